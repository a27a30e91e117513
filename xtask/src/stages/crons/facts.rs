//! The schedules of the configs and the live ones, side by side. Reads only, and goes on when no cloud can be asked.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::{CloudKind, Ctx};
use crate::cron::Cron;
use crate::error::{Exit, Fail, exit_of};
use crate::target::Target;
use crate::workspace::{Worker, Workspace};
use crate::zone::Moment;

/// One cron trigger.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// Where its worker stands among all: the order in which equals are shown.
    pub order: usize,
    /// The worker's short name.
    pub worker: String,
    /// Its name on Cloudflare.
    pub script: String,
    /// The expression as written.
    pub text: String,
    /// What it means; `None` for a live one that this pipeline would refuse.
    pub cron: Option<Cron>,
    /// Whether the config asks for it.
    pub in_repo: bool,
    /// Whether it is live, when that is known.
    pub live: Option<bool>,
}

/// Script name → cron expressions, as they are live.
#[derive(Clone, Debug)]
pub(super) enum LiveCrons {
    /// They were read.
    Known(BTreeMap<String, BTreeSet<String>>),
    /// They were not; why, when it is worth a warning.
    Unknown(Option<String>),
}

impl Schedule {
    /// When it fires next.
    pub fn next(&self, after: Moment) -> Option<Moment> {
        self.cron.as_ref()?.after(after)
    }
}

/// Asks the cloud, if there is one that can be asked: without a token, or with no local cloud running, the configs alone
/// are shown. A cloud that fails is a warning. What is wrong with the set-up is an error only when it is no token's fault.
pub(super) fn live(ctx: &Ctx, workspace: &Workspace) -> anyhow::Result<LiveCrons> {
    if ctx.cloud == CloudKind::Cloudflare && ctx.env.var("CLOUDFLARE_API_TOKEN").is_none() {
        return Ok(LiveCrons::Unknown(None));
    }
    match read(ctx, workspace) {
        Ok(Some(live)) => Ok(LiveCrons::Known(live)),
        Ok(None) => Ok(LiveCrons::Unknown(None)),
        Err(error) if exit_of(&error) == Exit::Bug => Err(error),
        Err(error) => {
            let why = match error.downcast_ref::<Fail>() {
                Some(fail) if fail.why.is_empty() => fail.what.clone(),
                Some(fail) => format!("{}: {}", fail.what, fail.why.join(": ")),
                None => error.to_string(),
            };
            Ok(LiveCrons::Unknown(Some(why)))
        }
    }
}

/// All schedules over one connection; a worker that is not there has none.
fn read(
    ctx: &Ctx,
    workspace: &Workspace,
) -> anyhow::Result<Option<BTreeMap<String, BTreeSet<String>>>> {
    let target = Target::look(ctx, workspace)?;
    if !target.reachable {
        return Ok(None);
    }
    let cloud = &target.cloudflare;
    let workers = workspace.select(&ctx.only)?;
    let scripts: Vec<&str> = workers.iter().map(|it| it.config.name.as_str()).collect();
    let paths: Vec<String> = scripts
        .iter()
        .map(|script| cloud.script(script, "/schedules"))
        .collect();
    let mut live = BTreeMap::new();
    for (script, answer) in scripts.iter().zip(cloud.read_all(&paths)?) {
        let found = match answer {
            Ok(result) => crons(&result),
            Err(error) if error.is_not_found() => BTreeSet::new(),
            Err(error) => return Err(Fail::from(error).into()),
        };
        live.insert((*script).to_owned(), found);
    }
    Ok(Some(live))
}

fn crons(result: &serde_json::Value) -> BTreeSet<String> {
    let list = result["schedules"].as_array().into_iter().flatten();
    list.filter_map(|schedule| schedule["cron"].as_str().map(str::to_owned))
        .collect()
}

/// The triggers of some workers: those of their configs in the order written, then those that are only live.
pub(super) fn schedules(workers: &[&Worker], live: &LiveCrons) -> Vec<Schedule> {
    let mut schedules = Vec::new();
    for (order, worker) in workers.iter().enumerate() {
        let wanted = worker.config.crons.as_deref().unwrap_or_default();
        let there = match live {
            LiveCrons::Known(all) => all.get(&worker.config.name),
            LiveCrons::Unknown(_) => None,
        };
        let extra = there
            .into_iter()
            .flatten()
            .filter(|text| !wanted.contains(text));
        let all = wanted.iter().map(|text| (text, true));
        for (text, in_repo) in all.chain(extra.map(|text| (text, false))) {
            schedules.push(Schedule {
                order,
                worker: worker.name.clone(),
                script: worker.config.name.clone(),
                text: text.clone(),
                cron: Cron::parse(text).ok(),
                in_repo,
                live: there.map(|there| there.contains(text)),
            });
        }
    }
    schedules
}
