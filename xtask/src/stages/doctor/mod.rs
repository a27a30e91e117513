//! `cargo xtask doctor`: everything a stage needs, looked at before a stage needs it. Reads only, unless `--fix` is given.
//! It never gives up at the first problem, and works where nothing is set up.

mod check;
mod cloud;
mod files;
mod fix;
mod git;
mod installer;
mod live;
mod machine;
mod packages;
mod permissions;
mod range;
mod rights;
mod scopes;
mod screen;
mod times;
mod token;
mod wrangler;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::json;

use self::check::{Check, Standing};
use crate::context::Ctx;
use crate::error::{Exit, Fail};
use crate::report::Report;
use crate::run::{Status, StepReport};
use crate::stages::install;
use crate::target;

const STAGE: &str = "doctor";

/// The flags of `doctor`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Make the repairs that can do no harm, then look again.
    pub fix: bool,
    /// Ask neither Cloudflare nor GitHub.
    pub offline: bool,
    /// Print the least-privilege token and stop.
    pub token_scopes: bool,
}

/// Looks at everything. Exit 2 when a stage would fail.
pub fn doctor(ctx: &Ctx, options: &Options) -> anyhow::Result<Option<Report>> {
    if options.token_scopes {
        return scopes::print(ctx).map(|()| None);
    }
    let started = SystemTime::now();
    let mut checks = look(ctx, options)?;
    let mut repairs = None;
    if options.fix {
        let installs = install::of_repo(&ctx.root);
        let plan = fix::plan(&checks, &ctx.root, &installs);
        if !plan.steps.is_empty() && !ctx.dry_run {
            repairs = Some(fix::run(ctx, &plan, &checks, &installs));
            checks = look(ctx, options)?;
        }
    }
    let mut report = report(ctx, &checks, started);
    // Where nothing is set up, nothing is left behind either.
    report.stored = ctx.root.join("pipeline.toml").is_file();
    if let Some(outcome) = &repairs {
        report.steps.extend(outcome.steps.iter().cloned());
    }
    Ok(Some(report))
}

fn look(ctx: &Ctx, options: &Options) -> anyhow::Result<Vec<Check>> {
    ctx.ui.hide(&target::mask(&ctx.env, None));
    let machine = machine::gather(&ctx.env, &ctx.root);
    let files = files::gather(&ctx.root)?;
    let repository = git::gather(ctx, machine.has_git(), files.workspace.as_ref())?;
    let workflows = files::workflows(&ctx.root, repository.is_readable())?;
    if let Some(workspace) = &files.workspace {
        ctx.ui.hide(&target::mask(&ctx.env, Some(workspace)));
    }
    let dirs: Vec<PathBuf> = files
        .workspace
        .iter()
        .flat_map(|workspace| &workspace.workers)
        .map(|worker| worker.dir.clone())
        .collect();
    let packages = packages::gather(&ctx.env, &ctx.root, &dirs);
    let cloud = cloud::look(ctx, options, machine.has_curl(), files.workspace.as_ref())?;
    let mut checks = machine::judge(&machine);
    let now = SystemTime::now();
    checks.push(times::clock(
        now,
        cloud.server_time,
        repository.committed_at(),
    ));
    checks.extend(packages::judge(&packages));
    checks.extend(git::judge(&repository));
    checks.extend(files::judge(&files, workflows.as_deref()));
    checks.extend(
        files
            .workspace
            .as_ref()
            .map(|workspace| times::crons(workspace, now)),
    );
    checks.extend(cloud.checks);
    Ok(checks)
}

fn report(ctx: &Ctx, checks: &[Check], started: SystemTime) -> Report {
    let mut report = Report::empty(STAGE);
    report.steps = checks.iter().map(|check| step(check, started)).collect();
    for check in checks
        .iter()
        .filter(|check| check.standing == Standing::Warn)
    {
        report.warn(format!("{}: {}", check.id, check.found));
    }
    if checks.iter().any(|check| check.standing == Standing::Fail) {
        report.fail(Exit::Setup as u8);
    }
    report.answer = Some(screen::screen(checks, ctx.ui.columns()));
    report
}

fn step(check: &Check, started: SystemTime) -> StepReport {
    let status = match check.standing {
        Standing::Pass => Status::Passed,
        Standing::Warn => Status::Warning,
        Standing::Fail => Status::Failed,
        Standing::Skipped => Status::Skipped,
    };
    let failed = check.is_problem().then(|| {
        let mut fail = Fail::setup(format!("{}: {}", check.id, check.found));
        fail.why.clone_from(&check.why);
        fail.fix.clone_from(&check.fix);
        format!("error: {fail}")
    });
    StepReport {
        id: check.id.to_owned(),
        goal: format!("find {} in order", check.id),
        group: check.group.word().to_owned(),
        worker: None,
        status,
        started,
        duration: Duration::ZERO,
        attempts: 0,
        error: failed,
        exit: (check.standing == Standing::Fail).then_some(Exit::Setup),
        note: Some(check.found.clone()),
        output: json!({"found": check.found, "why": check.why, "fix": check.fix, "safe": check.repair.is_some()}),
        log: Vec::new(),
    }
}
