//! `cargo xtask cleanup`: takes previews down with everything that was made for them. It needs no memory of what was made:
//! names, tags and markers say it. The protocol is in docs/cleanup.md.

pub(in crate::stages) mod found;
mod plan;
mod runner;
mod stale;
mod stores;
mod tell;
mod teller;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::SystemTime;

use crate::context::{CloudKind, Ctx};
use crate::error::{Exit, Fail};
use crate::github::{PullRequest, access, event};
use crate::plan::Plan;
use crate::preview::Key;
use crate::report::{Report, Table};
use crate::run::{Outcome, Status};
use crate::stages::cleanup::found::{Found, Scope, Wanted};
use crate::stages::cleanup::runner::CleanupRunner;
use crate::stages::cleanup::stale::Stale;
use crate::stages::cleanup::tell::Fate;
use crate::stages::cleanup::teller::Teller;
use crate::stages::effects::Effects;
use crate::target::Target;
use crate::workspace::Workspace;

/// The verb all plans of this stage belong to.
const STAGE: &str = "cleanup";

/// The flags of `cleanup`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The pull request whose preview goes.
    pub pr: Option<u64>,
    /// All previews of closed pull requests go.
    pub stale: bool,
}

/// Takes previews down. An `Err` means nothing was changed; a failure after that is in the report.
pub fn cleanup(ctx: &Ctx, options: &Options) -> anyhow::Result<Report> {
    let started = SystemTime::now();
    if !ctx.only.is_empty() {
        return Err(Fail::setup("`cleanup` takes no `--only`")
            .why("a preview is taken down as a whole: its workers are bound to each other")
            .fix("cargo xtask cleanup --pr N")
            .into());
    }
    let workspace = Workspace::load(&ctx.root)?;
    let told = event::pull_request(&ctx.env)?;
    let pull = told.filter(|pull| options.pr.is_none_or(|number| number == pull.number));
    if let Some(why) = no_preview(ctx, options, pull.as_ref()) {
        let mut report = Report::empty(STAGE);
        report.fact("note", why);
        return Ok(report);
    }
    let number = options.pr.or(pull.as_ref().map(|pull| pull.number));
    if number.is_none() && !options.stale {
        event::refuse_without_pull(&ctx.env, STAGE)?;
    }
    let target = Target::open(ctx, &workspace)?;
    let access = access::open(ctx, &target)?;
    let wanted = match options.stale {
        true => Wanted::EveryPr,
        false => Wanted::One(number.map_or(Key::None, Key::Pr)),
    };
    let scope = Scope::new(&workspace, target.cloudflare.account(), wanted);
    let mut found = found::gather(&scope, &target)?;
    let stale = match wanted {
        Wanted::EveryPr | Wanted::Every => stale::ask(&found.keys(), &access)?,
        Wanted::One(key) => Stale {
            doomed: BTreeSet::from([key]),
            pulls: pull.into_iter().map(|pull| (pull.number, pull)).collect(),
            open: Vec::new(),
        },
    };
    found = found.only(&stale.doomed);
    let cleanup = plan::plan(&found, &target.cloudflare, &scope.repo);
    if ctx.dry_run {
        return Ok(dry_run(ctx, cleanup.plan, &found, &stale));
    }
    let teller = Teller {
        ctx,
        workspace: &workspace,
        access: &access,
        stale: &stale,
        started,
    };
    let first = teller.first(&found);
    let runner = CleanupRunner {
        effects: Effects { target: &target },
        emptied: cleanup.emptied,
    };
    let outcome = ctx.run_all(&cleanup.plan, &runner);
    let fates = fates(&found, Some(&outcome), &stale);
    let mut report = report(&found, &outcome, &stale, &fates);
    if let Some(first) = first {
        report.add(&first);
    }
    if !outcome.interrupted {
        teller.last(&fates, &mut report);
        if options.stale && report.exit != 0 {
            // What is gone is not looked for again.
            report.fact("if only GitHub was not told", "cargo xtask cleanup --pr N");
        }
    }
    Ok(report)
}

/// Takes one preview down with all that was made for it, whatever Ctrl-C says: for a stage that has found out that it must
/// not stand. GitHub is told nothing.
pub fn take_down(
    ctx: &Ctx,
    target: &Target,
    workspace: &Workspace,
    key: Key,
) -> anyhow::Result<Outcome> {
    ctx.interrupt.reset();
    let scope = Scope::new(workspace, target.cloudflare.account(), Wanted::One(key));
    let found = found::gather(&scope, target)?;
    let cleanup = plan::plan(&found, &target.cloudflare, &scope.repo);
    let runner = CleanupRunner {
        effects: Effects { target },
        emptied: cleanup.emptied,
    };
    Ok(ctx.run_all(&cleanup.plan, &runner))
}

/// Why there is rightly nothing to do: a run for a fork has no secrets, and a fork gets no preview.
fn no_preview(ctx: &Ctx, options: &Options, pull: Option<&PullRequest>) -> Option<String> {
    let pull = pull.filter(|pull| pull.fork && !options.stale)?;
    let secretless =
        ctx.cloud == CloudKind::Cloudflare && ctx.env.var("CLOUDFLARE_API_TOKEN").is_none();
    secretless.then(|| {
        format!(
            "pull request {} comes from a fork, so it has no preview",
            pull.number
        )
    })
}

fn dry_run(ctx: &Ctx, mut plan: Plan, found: &Found, stale: &Stale) -> Report {
    plan.notes
        .extend(found.foreign.iter().map(|what| left_alone(what)));
    plan.notes.extend(kept(stale));
    if plan.steps.is_empty() {
        plan.notes.push("there is nothing to delete".to_owned());
    }
    ctx.show(&plan);
    Report::empty(STAGE)
}

fn left_alone(what: &str) -> String {
    format!("left alone: {what}")
}

fn kept(stale: &Stale) -> Option<String> {
    let open: Vec<String> = stale.open.iter().map(u64::to_string).collect();
    (!open.is_empty()).then(|| format!("open, so kept: pull request {}", open.join(", ")))
}

/// What became of each preview; without an outcome, what stands of it.
fn fates(found: &Found, outcome: Option<&Outcome>, stale: &Stale) -> Vec<Fate> {
    let gone = |id: &str| {
        outcome
            .and_then(|outcome| outcome.step(id))
            .is_some_and(|step| step.status.lets_others_start())
    };
    let of = |key: Key| {
        let workers = found.workers.iter().filter(|worker| worker.key == key);
        let standing = workers.filter(|worker| !gone(&plan::worker_id(&worker.script)));
        let standing: Vec<String> = standing.map(|worker| worker.script.clone()).collect();
        let stores = found.stores.iter().filter(|store| store.key == key);
        let full = stores.filter(|store| !gone(&plan::store_id(store)));
        let mut left: Vec<String> = standing
            .iter()
            .map(|script| format!("the worker `{script}`"))
            .collect();
        left.extend(full.map(|store| format!("the {} `{}`", store.kind.word(), store.name)));
        let pull = match key {
            Key::Pr(number) => stale.pulls.get(&number).cloned(),
            Key::None => None,
        };
        Fate {
            key,
            left,
            standing,
            pull,
        }
    };
    stale.doomed.iter().map(|key| of(*key)).collect()
}

fn report(found: &Found, outcome: &Outcome, stale: &Stale, fates: &[Fate]) -> Report {
    let mut report = Report::new(STAGE, outcome);
    for what in &found.foreign {
        report.warn(left_alone(what));
    }
    if let Some(kept) = kept(stale) {
        report.fact("kept", kept);
    }
    let result = |id: &str| {
        outcome.step(id).map_or("-", |step| match step.status {
            Status::Passed => "deleted",
            other => other.word(),
        })
    };
    let mut table = Table::new("deleted", &["preview", "what", "name", "result"]);
    for worker in &found.workers {
        let id = plan::worker_id(&worker.script);
        table.row([
            worker.key.suffix().as_str(),
            "worker",
            &worker.script,
            result(&id),
        ]);
    }
    for store in &found.stores {
        let id = plan::store_id(store);
        table.row([
            store.key.suffix().as_str(),
            store.kind.word(),
            &store.name,
            result(&id),
        ]);
    }
    match found.workers.is_empty() && found.stores.is_empty() {
        true => report.fact("note", "there was nothing to delete"),
        false => report.tables.push(table),
    }
    let left: usize = fates.iter().map(|fate| fate.left.len()).sum();
    let done = outcome
        .steps
        .iter()
        .any(|step| step.status == Status::Passed);
    if left > 0 && done && !outcome.interrupted {
        // Whatever the refusals were, something was changed, and the same command goes on.
        report.fail(Exit::Remote as u8);
    }
    report
}
