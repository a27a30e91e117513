//! `preview` against a local cloud: real wrangler, real workerd, real SQLite. Every test says what must hold for a
//! person whose pull request is previewed.
#![cfg(unix)]

mod data;
pub mod dump;
mod github;
mod isolation;
mod policy;
mod shapes;
mod vite;
