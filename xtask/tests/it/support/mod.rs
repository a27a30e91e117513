//! Support of the whole-run tests: a repo in a temporary folder, a local cloud of its own, and the real binary run
//! against both with a clean environment. Knows what the programs are called, not what they should do.

pub mod canary;
pub mod cloud;
pub mod complete;
mod git;
pub mod hand;
mod http;
#[expect(dead_code, reason = "the local cloud's tests read headers, too")]
mod loopback;
mod packages;
pub mod pending;
pub mod redact;
pub mod repo;
mod run;
pub mod setup;
pub mod signals;
mod stand_in;
pub mod sweep;
pub mod tools;
mod warm;
mod world;

use std::path::Path;

pub use cloud::{Answer, Cloud};
pub use http::request_line;
pub use run::{Run, Running};
pub use world::World;

/// The account every test repo ships to.
pub const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";
/// The database of every test repo.
pub const DATABASE: &str = "5d1c3a52-7c84-4f0e-9b6d-2f8e1a90c7b3";

/// The installed packages of this repo.
pub fn node_modules() -> &'static Path {
    setup::node_modules()
}
