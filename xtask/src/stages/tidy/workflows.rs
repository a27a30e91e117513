//! Rules about `.github`: a workflow is trigger, permissions, concurrency and one call of xtask per job; it runs pinned
//! actions with the least rights, and can neither hide a failure nor leak a secret.

use std::path::Path;

use super::yaml::{Document, Entry, list};
use super::{Repo, previews, problem, scripts};
use crate::config::{Pipeline, Problems};
use crate::findings::Finding;

/// A workflow with more lines than this has logic in it.
const LINES_MAX: usize = 60;

/// Checks all workflows and composite actions.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, text) in &repo.files {
        let (workflow, action) = (
            path.starts_with(".github/workflows"),
            path.starts_with(".github/actions"),
        );
        if !is_yaml(path) || !(workflow || action) {
            continue;
        }
        let file = File::read(repo, path, text);
        found.extend(file.unreadable());
        found.extend(file.actions());
        found.extend(file.scripts());
        if workflow {
            found.extend(file.head());
            found.extend(file.top());
            found.extend(file.jobs());
            found.extend(file.conclusion());
            found.extend(file.secrets());
        } else if !text.starts_with("# ") {
            found.push(file.problem(1, "does not say what it is for", "open it with a comment"));
        }
    }
    found.extend(previews::check(repo));
    found
}

pub(super) struct File<'r> {
    pub(super) repo: &'r Repo,
    pub(super) path: &'r Path,
    pub(super) text: &'r str,
    pub(super) document: Document,
}

impl<'r> File<'r> {
    fn read(repo: &'r Repo, path: &'r Path, text: &'r str) -> File<'r> {
        File {
            repo,
            path,
            text,
            document: Document::read(text),
        }
    }

    /// Every workflow of the repo.
    pub(super) fn workflows(repo: &'r Repo) -> Vec<File<'r>> {
        let files = repo.files.iter();
        files
            .filter(|(path, _)| is_yaml(path) && path.starts_with(".github/workflows"))
            .map(|(path, text)| File::read(repo, path, text))
            .collect()
    }
}

fn is_yaml(path: &Path) -> bool {
    let ending = path.extension();
    ending.is_some_and(|ending| ending == "yml" || ending == "yaml")
}

impl File<'_> {
    pub(super) fn problem(
        &self,
        line: usize,
        what: impl AsRef<str>,
        fix: impl AsRef<str>,
    ) -> Finding {
        problem(self.path, line, what, fix)
    }

    pub(super) fn value(&self, path: &str) -> Option<&str> {
        self.document.get(path).map(|entry| entry.value.as_str())
    }

    fn unreadable(&self) -> Vec<Finding> {
        let lines = self.document.unreadable.iter();
        let problem = |line: &usize| {
            self.problem(
                *line,
                "is more YAML than the rules can follow",
                "write it plainly: blocks, one-line `{ }` and `[ ]`, `|` for scripts; no anchors",
            )
        };
        lines.map(problem).collect()
    }

    /// What it does, where the logic is, how to try it.
    fn head(&self) -> Vec<Finding> {
        let head: Vec<&str> = self
            .text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect();
        let head = head.join(" ");
        let mut found = Vec::new();
        let logic = head
            .split("Logic: ")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .map(|path| path.trim_end_matches(['.', ',']));
        let exists = |logic: &str| self.repo.files.keys().any(|path| path.starts_with(logic));
        match logic {
            None => found.push(self.problem(
                1,
                "does not say where its logic is",
                "say in the comment at the top `Logic: xtask/src/stages/…`",
            )),
            Some(logic) if !exists(logic) => found.push(self.problem(
                1,
                format!("says its logic is in {logic}, which does not exist"),
                "name the stage's file",
            )),
            Some(_) => {}
        }
        if !head.contains("Try it: cargo xtask ") {
            found.push(self.problem(
                1,
                "does not say how to try it on a laptop",
                "say in the comment at the top `Try it: cargo xtask …`",
            ));
        }
        let count = self.text.lines().count();
        if count > LINES_MAX {
            found.push(self.problem(
                LINES_MAX + 1,
                format!("has {count} lines, of at most {LINES_MAX}"),
                "move the logic into the verb, and repeated steps into .github/actions",
            ));
        }
        found
    }

    fn top(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        if self.value("permissions") != Some("{}") {
            let line = self
                .document
                .get("permissions")
                .map_or(1, |entry| entry.line);
            found.push(self.problem(
                line,
                "gives rights to all of its jobs",
                "say `permissions: {}` at the top, and grant each job what it needs",
            ));
        }
        for trigger in ["pull_request_target", "workflow_run"] {
            if let Some(entry) = self.document.all(trigger).next() {
                found.push(self.problem(
                    entry.line,
                    format!("`{trigger}` runs with the repo's secrets on a stranger's change"),
                    "use `pull_request`",
                ));
            }
        }
        found.extend(self.concurrency());
        found
    }

    fn concurrency(&self) -> Vec<Finding> {
        let Some(entry) = self.document.get("concurrency") else {
            return vec![self.problem(
                1,
                "does not say what happens when two runs meet",
                "add `concurrency:` with `group`, `cancel-in-progress` and the reason in a comment",
            )];
        };
        let mut found = Vec::new();
        let next = self.document.entries.iter().find(|other| {
            other.line > entry.line && !other.path.contains('.') && !other.path.contains('[')
        });
        let end = next.map_or(usize::MAX, |next| next.line);
        let has_reason = |line: &usize| (entry.line..end).contains(line);
        if !self.document.comments.iter().any(has_reason) {
            found.push(self.problem(
                entry.line,
                "`concurrency` has no reason",
                "say in a comment why runs are cancelled, or why they wait",
            ));
        }
        let cancel = self.value("concurrency.cancel-in-progress");
        if self.value("concurrency.group").is_none() || cancel.is_none() {
            found.push(self.problem(
                entry.line,
                "`concurrency` is not complete",
                "say both `group` and `cancel-in-progress`",
            ));
        }
        // What reads secrets changes something outside.
        let changes = self.text.contains("secrets.") && !self.is_about_previews();
        if changes && cancel.is_some_and(|value| value != "false") {
            found.push(self.problem(
                entry.line,
                "a run that changes something outside may be cancelled half-way",
                "say `cancel-in-progress: false`",
            ));
        }
        let waits = self.calls_any(&["deploy", "rollback", "migrate"]);
        if waits && cancel == Some("false") && self.value("concurrency.queue") != Some("max") {
            found.push(self.problem(
                entry.line,
                "a waiting run is cancelled by the next one: a push to main can cancel a rollback",
                "add `queue: max`: GitHub then keeps every waiting run",
            ));
        }
        found
    }

    /// Whether a step calls one of these verbs.
    fn calls_any(&self, verbs: &[&str]) -> bool {
        let mut runs = self.document.all("run");
        runs.any(|run| {
            let calls = scripts::calls(&run.value, self.repo);
            calls.iter().any(|call| verbs.contains(&call.verb.as_str()))
        })
    }

    /// These verbs see for themselves that a change comes from a fork, whose run gets no secrets anyway, and what they
    /// leave half-done the next run makes good.
    fn is_about_previews(&self) -> bool {
        let calls = self.document.all("run");
        let calls: Vec<_> = calls
            .flat_map(|run| scripts::calls(&run.value, self.repo))
            .collect();
        !calls.is_empty()
            && calls
                .iter()
                .all(|call| ["preview", "cleanup"].contains(&call.verb.as_str()))
    }

    fn jobs(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut verbs: Vec<String> = Vec::new();
        for job in self.document.below("jobs") {
            let name = job.key().unwrap_or_default();
            found.extend(self.job(job, name));
            let runs = self
                .document
                .all("run")
                .filter(|run| run.path.starts_with(&format!("{}.", job.path)));
            let mut count = 0;
            for run in runs {
                for call in scripts::calls(&run.value, self.repo) {
                    count += 1;
                    if let Some(wrong) = call.wrong {
                        found.push(self.problem(run.line, wrong, "call a verb as --help shows it"));
                    }
                    verbs.push(call.verb);
                }
                if self.is_a_patrol() {
                    count += scripts::own(&run.value, self.repo);
                }
            }
            if count != 1 {
                found.push(self.problem(
                    job.line,
                    format!("the job `{name}` calls xtask {count} times"),
                    "make it exactly one `cargo xtask <verb>`: what belongs together is the verb's to know",
                ));
            }
        }
        verbs.sort();
        verbs.dedup();
        if verbs.len() > 1 && !self.is_a_patrol() {
            found.push(self.problem(
                1,
                format!("calls {} verbs: {}", verbs.len(), verbs.join(", ")),
                "give each verb a workflow of its own",
            ));
        }
        found
    }

    /// What runs on a schedule looks after several things, each in a job of its own; no change and no person waits for it.
    fn is_a_patrol(&self) -> bool {
        let triggers: Vec<&str> = self.document.below("on").filter_map(Entry::key).collect();
        let waited_for = |trigger: &&str| !["schedule", "workflow_dispatch"].contains(trigger);
        triggers.contains(&"schedule") && !triggers.iter().any(waited_for)
    }

    fn job(&self, job: &Entry, name: &str) -> Vec<Finding> {
        let mut found = Vec::new();
        let of = |key: &str| self.document.get(&format!("{}.{key}", job.path));
        if of("timeout-minutes").is_none() {
            found.push(self.problem(
                job.line,
                format!("the job `{name}` may hang for six hours"),
                "add `timeout-minutes`",
            ));
        }
        match of("permissions") {
            None => found.push(self.problem(
                job.line,
                format!("the job `{name}` does not say its permissions"),
                "add `permissions: { contents: read }`, or what it really needs",
            )),
            Some(entry) if entry.value.ends_with("-all") => found.push(self.problem(
                entry.line,
                format!("the job `{name}` takes all permissions"),
                "name those it needs, one by one",
            )),
            Some(_) => {}
        }
        found
    }

    /// The one required check has to see every job.
    fn conclusion(&self) -> Vec<Finding> {
        let jobs: Vec<&Entry> = self.document.below("jobs").collect();
        let on_changes = self.document.get("on.pull_request").is_some();
        if !on_changes || jobs.len() < 2 {
            return Vec::new();
        }
        let Some(conclusion) = self.document.get("jobs.conclusion") else {
            return vec![self.problem(
                1,
                "several jobs check a change, and no job concludes",
                "add a job `conclusion` that needs all others; it is the required check",
            )];
        };
        let mut found = Vec::new();
        let needs = self.value("jobs.conclusion.needs").unwrap_or_default();
        let needs = list(needs);
        for job in jobs {
            let name = job.key().unwrap_or_default();
            if name != "conclusion" && !needs.contains(&name) {
                found.push(self.problem(
                    conclusion.line,
                    format!("`conclusion` does not need `{name}`: it may fail unseen"),
                    format!("add `{name}` to its `needs`"),
                ));
            }
        }
        if self.value("jobs.conclusion.if") != Some("always()") {
            found.push(self.problem(
                conclusion.line,
                "`conclusion` is skipped when a job fails, and a skipped check counts as passed",
                "add `if: always()`",
            ));
        }
        found
    }

    fn secrets(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let uses_secrets = self.text.lines().position(|line| line.contains("secrets."));
        let on_changes = self.document.get("on.pull_request").is_some();
        if let (Some(index), true) = (uses_secrets, on_changes && !self.is_about_previews()) {
            found.push(self.problem(
                index + 1,
                "reads secrets in a workflow that runs for pull requests, from forks too",
                "move what needs secrets into a workflow that runs for main; only `preview` and `cleanup` see to forks themselves",
            ));
        }
        if self.path.file_stem().is_none_or(|stem| stem != "deploy") {
            return found;
        }
        let mut ignored = Problems::new(&self.repo.root);
        let pipeline = Pipeline::load(&self.repo.root, &mut ignored);
        let workers = pipeline.iter().flat_map(|pipeline| &pipeline.workers);
        let mut names: Vec<&String> = workers.flat_map(|(_, worker)| &worker.secrets).collect();
        names.sort();
        names.dedup();
        for name in names {
            if self.document.all(name).next().is_none() {
                found.push(self.problem(
                    1,
                    format!("does not hand over the secret `{name}` of pipeline.toml"),
                    format!("add `{name}: ${{{{ secrets.{name} }}}}` to the `env` of its step"),
                ));
            }
        }
        found
    }
}
