//! Rules about single steps, in workflows and in composite actions: what they use, and what they run.

use std::path::Path;

use super::scripts;
use super::workflows::File;
use super::yaml::parent;
use crate::findings::Finding;

impl File<'_> {
    /// `uses:` of workflows and composite actions.
    pub(super) fn actions(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for uses in self.document.all("uses") {
            if let Some(local) = uses.value.strip_prefix("./") {
                if !self
                    .repo
                    .files
                    .contains_key(&Path::new(local).join("action.yml"))
                {
                    let what = format!("{} does not exist", uses.value);
                    found.push(self.problem(uses.line, what, "name an action of .github/actions"));
                }
                continue;
            }
            let (action, reference) = uses.value.split_once('@').unwrap_or((&uses.value, ""));
            let version = uses.comment.as_deref().unwrap_or_default();
            let pinned = reference.len() == 40 && reference.bytes().all(|b| b.is_ascii_hexdigit());
            if !pinned || !version.starts_with('v') {
                found.push(self.problem(
                    uses.line,
                    format!("{action} is not pinned: a tag can be moved"),
                    format!("write `uses: {action}@<full commit id> # v1.2.3`"),
                ));
            }
            if !action.starts_with("actions/") {
                found.push(self.problem(
                    uses.line,
                    format!("{action} is a third party's"),
                    "do it in xtask; only GitHub's own actions run here",
                ));
            }
            let keeps = format!("{}.with.persist-credentials", parent(&uses.path));
            if action == "actions/checkout" && self.value(&keeps) != Some("false") {
                found.push(self.problem(
                    uses.line,
                    "the checkout leaves a token in .git/config for every later step",
                    "add `with: { persist-credentials: false }`",
                ));
            }
        }
        found
    }

    pub(super) fn scripts(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for entry in self.document.all("continue-on-error") {
            found.push(self.problem(
                entry.line,
                "`continue-on-error` shows a failure as success",
                "remove it; tolerate a step with a reason and a date: `[[allow]]` in pipeline.toml",
            ));
        }
        for run in self.document.all("run") {
            // The lines of a block begin below `run: |`.
            let first = self.text.lines().nth(run.line - 1).unwrap_or_default();
            let offset = usize::from(first.trim_end().ends_with(['|', '>', '-', '+']));
            for (index, line) in run.value.lines().enumerate() {
                if line.contains("${{") {
                    found.push(self.problem(
                        run.line + offset + index,
                        "`${{ }}` in `run` lets a value become code",
                        "hand it over in `env`, and write \"$NAME\"",
                    ));
                }
            }
            for (index, trick, why) in scripts::tricks(&run.value) {
                found.push(self.problem(
                    run.line + offset + index,
                    format!("`{trick}` hides a failure: {why}"),
                    "let the step fail; tolerate it with a reason and a date: `[[allow]]` in pipeline.toml",
                ));
            }
        }
        found
    }
}
