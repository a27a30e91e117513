//! What a preview came to, as a value: the stage that made it fills it in, the comment, the terminal and the summary of
//! the run show it. Texts are plain: whoever shows them escapes them.

use std::time::Duration;

use crate::preview::Key;

/// One run of `preview` or `cleanup` on one preview.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewSummary {
    /// Which preview.
    pub key: Key,
    /// The full id of the commit it was made from.
    pub commit: String,
    /// The branch, when there is one.
    pub branch: Option<String>,
    /// The pull request's title.
    pub title: Option<String>,
    /// How long the run took; `None` while it runs.
    pub duration: Option<Duration>,
    /// Whose data the preview works on.
    pub data: Data,
    /// How far it came.
    pub outcome: Outcome,
    /// One per Worker, in the order of pipeline.toml.
    pub workers: Vec<WorkerSummary>,
    /// Names of migrations that production lacks: a deploy would apply them, in this order.
    pub migrations_on_deploy: Vec<String>,
    /// What works differently from production, or not at all: crons, routes, queues …
    pub not_covered: Vec<String>,
    /// Bindings that lead out of the preview, e.g. to a Worker that this repo does not ship.
    pub external_bindings: Vec<String>,
    /// What a tester should know: where the data comes from, how to sign in …
    pub notes: Vec<String>,
    /// How and when the preview goes away.
    pub removal: String,
    /// The page of the CI run.
    pub run_url: Option<String>,
}

/// Whose data a preview works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Its own databases, namespaces and buckets.
    Isolated,
    /// Production's: everything written through the preview is written to production.
    Shared,
}

/// How far a preview came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is being made; what an earlier run made may still answer.
    Building,
    /// It answers.
    Ready,
    /// It could not be made; the reason in a few lines.
    Failed(String),
    /// It was not made, and that is right (a fork, a draft, the quota); the reason.
    Skipped(String),
    /// It is being taken down.
    Removing,
    /// It was taken down.
    Removed,
    /// It should have been taken down, and some of it is still there: what, one line each.
    PartlyRemoved(Vec<String>),
}

/// One Worker of a preview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSummary {
    /// The short name used in commands.
    pub name: String,
    /// The preview's name on Cloudflare.
    pub script: String,
    /// How far it came.
    pub status: Status,
    /// Where it answers.
    pub url: Option<String>,
    /// The compressed bundle in bytes, when it is known.
    pub size: Option<u64>,
    /// How much larger (or smaller) than production's it is, in bytes, when both are known.
    pub size_change: Option<i64>,
}

/// How far one Worker of a preview came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing has been done yet.
    Waiting,
    /// Uploaded and healthy.
    Ready,
    /// What was live already is what this commit makes.
    Unchanged,
    /// It failed to build, to upload or to answer.
    Failed,
    /// Not tried, because something it needs failed.
    NotTried,
    /// Deleted, or it was not there.
    Removed,
}

impl PreviewSummary {
    /// A preview about which nothing more is known than what it is made from.
    pub fn new(key: Key, commit: &str) -> PreviewSummary {
        PreviewSummary {
            key,
            commit: commit.to_owned(),
            branch: None,
            title: None,
            duration: None,
            data: Data::Isolated,
            outcome: Outcome::Building,
            workers: Vec::new(),
            migrations_on_deploy: Vec::new(),
            not_covered: Vec::new(),
            external_bindings: Vec::new(),
            notes: Vec::new(),
            removal: String::new(),
            run_url: None,
        }
    }
}

impl WorkerSummary {
    /// A Worker that has not been touched yet.
    pub fn waiting(name: &str, script: &str) -> WorkerSummary {
        WorkerSummary {
            name: name.to_owned(),
            script: script.to_owned(),
            status: Status::Waiting,
            url: None,
            size: None,
            size_change: None,
        }
    }
}
