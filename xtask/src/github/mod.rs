//! GitHub's side of a run: what Actions says about the pull request, what the pull request is told, and whether another
//! run is still going. Pure but for reading the event's file and `runs`; `tools/github.rs` talks to the API, and `access`
//! says whether it may.

pub mod access;
pub mod comment;
pub mod event;
pub mod runs;
pub mod summary;
mod text;

use crate::preview::Key;

pub use access::Access;
pub use event::{PullRequest, Repository, State};
pub use runs::RunState;
pub use summary::{Data, Outcome, PreviewSummary, Status, WorkerSummary};

/// The environment the deployments of a preview stand under; none when it belongs to no pull request.
pub fn environment(key: Key) -> Option<String> {
    match key {
        Key::Pr(number) => Some(format!("preview/pr-{number}")),
        Key::None => None,
    }
}
