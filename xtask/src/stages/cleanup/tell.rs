//! What GitHub is told after a clean-up: the deployments are over, and the comment says what became of the preview. A pull
//! request that has no comment gets none now.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::context::Ctx;
use crate::github::{self, Outcome, PreviewSummary, PullRequest, Status, WorkerSummary, comment};
use crate::plan::{Action, Plan, Step};
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

/// Plans what is said about these previews.
pub fn plan<'a>(
    ctx: &Ctx,
    workspace: &Workspace,
    github: &'a Github,
    fates: &[Fate],
    started: SystemTime,
) -> (Plan, TellRunner<'a>) {
    let mut plan = Plan::new(STAGE);
    let mut messages = BTreeMap::new();
    let mut push = |id: String, goal: String, message: Message| {
        let action = Action::Task { name: id.clone() };
        plan.push(Step::new("github", &id, goal, action));
        messages.insert(id, message);
    };
    for fate in fates {
        let (Key::Pr(pr), Some(environment)) = (fate.key, github::environment(fate.key)) else {
            continue;
        };
        if fate.standing.is_empty() {
            let goal = format!("mark the deployments to {environment} as inactive");
            push(
                format!("retire {environment}"),
                goal,
                Message::Retire { environment },
            );
        }
        let body = comment::markdown(&summary(ctx, workspace, fate, started));
        let goal = format!("update the comment on pull request {pr}");
        push(
            format!("comment on pr {pr}"),
            goal,
            Message::Comment { pr, body },
        );
    }
    (plan, TellRunner { github, messages })
}

fn summary(ctx: &Ctx, workspace: &Workspace, fate: &Fate, started: SystemTime) -> PreviewSummary {
    let workers = workspace.workers.iter().map(|worker| {
        let script = names::script(&worker.config.name, fate.key);
        let status = match fate.standing.contains(&script) {
            true => Status::Failed,
            false => Status::Removed,
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
        duration: started.elapsed().ok(),
        outcome: match gone {
            true => Outcome::Removed,
            false => Outcome::PartlyRemoved(fate.left.clone()),
        },
        workers: workers.collect(),
        removal: match (gone, fate.key) {
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
