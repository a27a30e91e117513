//! GitHub's side of a preview: what Actions says about the pull request, and what the pull request is told. Pure but
//! for reading the event's file; `tools/github.rs` talks to the API.

pub mod event;
pub mod summary;

pub use event::{PullRequest, Repository, State};
pub use summary::{Data, Outcome, PreviewSummary, Status, WorkerSummary};
