//! What GitHub is told of a clean-up: before it that the deployments are over and the preview goes, so that no run that ends
//! half-way leaves a comment that says it is ready; after it what became of the preview. A pull request that has no comment
//! gets none now.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::context::Ctx;
use crate::github::{self, Outcome, PreviewSummary, PullRequest, Status, WorkerSummary, comment};
use crate::plan::{Action, OnFailure, Plan, Step};
use crate::preview::{Key, names};
use crate::run::{Io, Runner};
use crate::stages::cleanup::STAGE;
use crate::tools::github::Github;
use crate::workspace::Workspace;

/// What became of one preview.
pub struct Fate {
    /// Which.
    pub key: Key,
    /// What is still there, one line each; empty when all of it is gone.
    pub left: Vec<String>,
    /// Its Workers that are still there.
    pub standing: Vec<String>,
    /// The pull request, when it is known.
    pub pull: Option<PullRequest>,
}

/// One thing to tell.
enum Message {
    Retire { environment: String },
    Comment { pr: u64, body: String },
}

/// Tells one repository.
pub struct TellRunner<'a> {
    github: &'a Github,
    messages: BTreeMap<String, Message>,
}

/// When something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Nothing is deleted yet. What cannot be said now is said at the end, if then.
    Before,
    /// What could be deleted is.
    After,
}

/// Plans what is said about these previews.
pub fn plan<'a>(
    (ctx, workspace): (&Ctx, &Workspace),
    github: &'a Github,
    fates: &[Fate],
    started: SystemTime,
    when: When,
) -> (Plan, TellRunner<'a>) {
    let mut plan = Plan::new(STAGE);
    let mut messages = BTreeMap::new();
    let mut push = |id: String, goal: String, message: Message| {
        let action = Action::Task { name: id.clone() };
        let mut step = Step::new("github", &id, goal, action);
        if when == When::Before {
            step.on_failure = OnFailure::Warn;
        }
        plan.push(step);
        messages.insert(id, message);
    };
    for fate in fates {
        let (Key::Pr(pr), Some(environment)) = (fate.key, github::environment(fate.key)) else {
            continue;
        };
        if fate.standing.is_empty() || when == When::Before {
            let goal = format!("mark the deployments to {environment} as inactive");
            push(
                id("retire", &environment, when),
                goal,
                Message::Retire { environment },
            );
        }
        let body = comment::markdown(&summary((ctx, workspace), fate, started, when));
        let goal = match when {
            When::Before => format!("say on pull request {pr} that its preview goes"),
            When::After => format!("update the comment on pull request {pr}"),
        };
        push(
            id("comment on", &format!("pr {pr}"), when),
            goal,
            Message::Comment { pr, body },
        );
    }
    (plan, TellRunner { github, messages })
}

fn id(what: &str, of: &str, when: When) -> String {
    match when {
        When::Before => format!("{what} {of}, first"),
        When::After => format!("{what} {of}"),
    }
}

fn summary(
    (ctx, workspace): (&Ctx, &Workspace),
    fate: &Fate,
    started: SystemTime,
    when: When,
) -> PreviewSummary {
    let workers = workspace.workers.iter().map(|worker| {
        let script = names::script(&worker.config.name, fate.key);
        let status = match (when, fate.standing.contains(&script)) {
            (When::Before, _) => Status::Waiting,
            (When::After, true) => Status::Failed,
            (When::After, false) => Status::Removed,
        };
        WorkerSummary {
            status,
            ..WorkerSummary::waiting(&worker.name, &script)
        }
    });
    let pull = fate.pull.as_ref();
    let sha = pull.map_or("", |pull| pull.sha.as_str());
    let gone = fate.left.is_empty();
    PreviewSummary {
        branch: pull.map(|pull| pull.branch.clone()),
        title: pull.map(|pull| pull.title.clone()),
        duration: started.elapsed().ok().filter(|_| when == When::After),
        outcome: match (when, gone) {
            (When::Before, _) => Outcome::Removing,
            (When::After, true) => Outcome::Removed,
            (When::After, false) => Outcome::PartlyRemoved(fate.left.clone()),
        },
        workers: workers.collect(),
        removal: match (gone || when == When::Before, fate.key) {
            (true, _) if when == When::Before => "Its databases, namespaces and buckets go, too.".to_owned(),
            (true, _) => "Its databases, namespaces and buckets are deleted, too. Reopening the pull request makes it anew.".to_owned(),
            (false, Key::Pr(pr)) => format!("`cargo xtask cleanup --pr {pr}` removes the rest."),
            (false, Key::None) => "`cargo xtask cleanup` removes the rest.".to_owned(),
        },
        run_url: github::event::run_url(&ctx.env),
        ..PreviewSummary::new(fate.key, sha)
    }
}

impl Runner for TellRunner<'_> {
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value> {
        match self.messages.get(&step.id) {
            Some(Message::Retire { environment }) => {
                let count =
                    self.github
                        .retire_deployments(environment, None, "the preview was removed")?;
                match count {
                    0 => io.skipped("none was active"),
                    count => io.note(&format!("{count} deployments")),
                }
                Ok(json!({ "deployments": count }))
            }
            Some(Message::Comment { pr, body }) => {
                if !self
                    .github
                    .change_comment_of(*pr, body, comment::is_marked)?
                {
                    io.skipped("there is none");
                }
                Ok(Value::Null)
            }
            None => anyhow::bail!("`{}` is a message nobody wrote", step.id),
        }
    }
}
