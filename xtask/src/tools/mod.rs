//! One module per outside program; each is the only place that knows that program.

pub mod cloudflare;
pub mod d1_copy;
pub mod git;
pub mod github;
pub mod http;
pub mod local_cloud;
pub mod node;
pub mod node_modules;
pub mod process;
pub mod tail;
pub mod wrangler;
