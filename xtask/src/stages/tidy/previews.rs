//! Rules about the workflows of previews, taken together: what one makes another takes down, and the two never work on one
//! preview at the same time.

use super::workflows::File;
use super::{Repo, scripts};
use crate::findings::Finding;

/// Checks the workflows of `preview` and `cleanup` against each other.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let files = File::workflows(repo);
    let for_changes = |verb: &str| {
        let calls = |file: &&File<'_>| {
            let on_changes = file.document.get("on.pull_request").is_some();
            on_changes && file.calls().contains(&verb.to_owned())
        };
        files.iter().find(calls)
    };
    let Some(preview) = for_changes("preview") else {
        return Vec::new();
    };
    let Some(cleanup) = for_changes("cleanup") else {
        return vec![preview.problem(
            1,
            "makes previews, and no workflow takes them down",
            "add one that calls `cargo xtask cleanup` on `pull_request: { types: [closed] }`",
        )];
    };
    let mut found = Vec::new();
    let types = cleanup.value("on.pull_request.types").unwrap_or_default();
    if !types.contains("closed") {
        found.push(cleanup.problem(
            1,
            "takes previews down, but not when a pull request is closed",
            "say `pull_request: { types: [closed] }`",
        ));
    }
    let group = preview.value("concurrency.group");
    if cleanup.value("concurrency.group") != group {
        found.push(
            cleanup.problem(
                cleanup
                    .document
                    .get("concurrency")
                    .map_or(1, |entry| entry.line),
                "may take a preview down while it is being made",
                format!(
                    "give it the concurrency group of {}: `{}`",
                    preview.path.display(),
                    group.unwrap_or_default()
                ),
            ),
        );
    }
    let swept = |file: &File<'_>| {
        let runs = file.document.all("run");
        let stale = |run: &super::yaml::Entry| run.value.contains("cargo xtask cleanup --stale");
        file.document.get("on.schedule").is_some() && runs.into_iter().any(stale)
    };
    if !files.iter().any(swept) {
        found.push(preview.problem(
            1,
            "makes previews, and nothing looks for those that were left over: GitHub runs no workflow when a pull request with a conflict is closed",
            "add a job that calls `cargo xtask cleanup --stale` to a workflow on a `schedule`",
        ));
    }
    found
}

impl File<'_> {
    /// The verbs its steps call.
    fn calls(&self) -> Vec<String> {
        let runs = self.document.all("run");
        let calls = runs.flat_map(|run| scripts::calls(&run.value, self.repo));
        calls.map(|call| call.verb).collect()
    }
}
