//! `cargo xtask ci`: type check, audit, build, test; side by side, honestly, and never twice for the same inputs.

mod audit;
mod facts;
mod judge;
pub mod packages;
mod plan;
mod runner;
pub mod script;
mod shard;
mod sizes;
mod turn;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use crate::affected::{Affected, since};
use crate::cache::{Store, Tree};
use crate::config::{Date, allowed, unknown_allows};
use crate::context::Ctx;
use crate::env::Env;
use crate::findings::audit::idle_exceptions;
use crate::findings::{Finding, Severity};
use crate::plan::OnFailure;
use crate::report::Report;
use crate::stages::ci::plan::{CiPlan, Material, STAGE};
use crate::stages::ci::runner::CiRunner;
pub use crate::stages::ci::shard::Shard;
use crate::stages::ci::sizes::Sizes;
use crate::tools::cloudflare::PRODUCTION_API;
use crate::tools::git::Git;
use crate::tools::wrangler::Wrangler;
use crate::tools::{local_cloud, node};
use crate::workspace::{Worker, Workspace};

/// The cache may grow to this size.
const CACHE_BYTES_MAX: u64 = 64 << 20;

/// The flags of `ci`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Run everything, whatever passed before.
    pub no_cache: bool,
    /// Only workers a diff touches: `Some(None)` against the main branch, `Some(Some(base))` against another commit.
    pub affected: Option<Option<String>>,
    /// Only this part of the steps.
    pub shard: Option<Shard>,
    /// Print `strategy.matrix` and stop.
    pub matrix: bool,
    /// Put the shards' reports in this folder together, and stop.
    pub gather: Option<PathBuf>,
    /// Run every step, whatever fails (`None`: in CI only).
    pub keep_going: Option<bool>,
    /// Also write JUnit XML.
    pub junit: Option<PathBuf>,
}

/// Checks the repo.
pub fn ci(ctx: &Ctx, options: &Options) -> anyhow::Result<Report> {
    let report = match &options.gather {
        Some(folder) => shard::gather(folder)?,
        None => check(ctx, options)?,
    };
    if let Some(path) = options.junit.as_ref().filter(|_| !ctx.dry_run) {
        report.write_junit(&ctx.ui, &ctx.env.cwd.join(path))?;
    }
    Ok(report)
}

fn check(ctx: &Ctx, options: &Options) -> anyhow::Result<Report> {
    let started = Instant::now();
    if options.matrix {
        let (workspace, _) = Workspace::read(&ctx.root);
        let count = workspace.map_or(1, |workspace| workspace.workers.len());
        ctx.ui.data(&shard::matrix(count).to_string());
        return Ok(Report::empty(STAGE));
    }
    let state = ctx.state();
    let mut warnings = Vec::new();
    if !ctx.dry_run {
        warnings.extend(turn::wait(ctx));
        turn::forget_the_last(&state, STAGE);
    }
    let (workspace, problems) = Workspace::read(&ctx.root);
    let mut problems = findings_of(&problems);
    let git = Git::open(&ctx.root).ok();
    let mut notes = Vec::new();
    let selected = match &workspace {
        Some(workspace) => select(ctx, options, workspace, git.as_ref(), &mut notes)?,
        None => Vec::new(),
    };
    let facts = facts::gather(ctx, workspace.as_ref(), &selected);
    problems.extend(facts.broken.iter().cloned());
    let workers = workspace.iter().flat_map(|workspace| &workspace.workers);
    let folders = workers.map(|worker| worker.dir.as_path());
    let wrangler = Wrangler::expected(&ctx.root, folders.clone(), PRODUCTION_API, "");
    let mut ci = plan::plan(&Material {
        workspace: workspace.as_ref(),
        facts: &facts,
        wrangler: &wrangler,
        state: &state,
        today: Date::of(SystemTime::now()).to_string(),
        modules: local_cloud::modules_root(&ctx.root, folders).unwrap_or_else(|| ctx.root.clone()),
        migrate_script: local_cloud::own_repo()
            .join("xtask/local-cloud/runtime/rehearse-migrations.mjs"),
    });
    ci.plan.notes.extend(notes);
    warnings.extend(apply_policy(&mut ci, workspace.as_ref()));
    let whole = shard::name(&ci.plan);
    if let Some(shard) = options.shard {
        ci.plan = shard::take(&ci.plan, shard);
    }
    if ctx.dry_run {
        ctx.show(&ci.plan);
        return Ok(Report::empty(STAGE));
    }
    let env = environment(ctx);
    let mut report = run(
        ctx,
        env,
        options,
        &ci,
        workspace.as_ref(),
        problems,
        git.as_ref(),
    );
    for warning in warnings {
        report.warn(warning);
    }
    if let Some(shard) = options.shard {
        report.fact("shard", shard.to_string());
        report.fact("plan", whole);
    }
    finish(&mut report, &ci, options, workspace.as_ref(), started);
    Ok(report)
}

/// What the programs of a run see.
fn environment(ctx: &Ctx) -> Env {
    let env = ctx.env.clone();
    // Compiling the test runner's own code is a sixth of a small test run, and every worker's run does it again.
    if env.var(node::CODE_CACHE).is_some() {
        return env;
    }
    env.with(node::CODE_CACHE, node::code_cache(&ctx.state()))
}

fn run(
    ctx: &Ctx,
    env: Env,
    options: &Options,
    ci: &CiPlan,
    workspace: Option<&Workspace>,
    problems: Vec<Finding>,
    git: Option<&Git>,
) -> Report {
    let state = ctx.state();
    let mut warnings = Vec::new();
    let tree = git.and_then(|git| match Tree::read(git) {
        Ok(tree) => Some(tree),
        Err(error) => {
            warnings.push(format!("nothing is cached: {error:#}"));
            None
        }
    });
    let runner = CiRunner {
        ctx,
        env,
        node: node::expected(&ctx.root),
        ci,
        workspace,
        problems,
        tree,
        store: Store::open(&state, CACHE_BYTES_MAX),
        read_cache: !options.no_cache,
        allow: workspace.map_or(&[], |workspace| &workspace.pipeline.allow),
        today: Date::of(SystemTime::now()),
        sizes: Mutex::new(Sizes::open(&state)),
        warnings: Mutex::new(warnings),
    };
    let keep_going = options.keep_going.unwrap_or(ctx.env.ci);
    let outcome = if keep_going {
        ctx.run_all(&ci.plan, &runner)
    } else {
        ctx.run(&ci.plan, &runner)
    };
    let mut report = Report::new(STAGE, &outcome);
    let sizes = runner
        .sizes
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let kept = sizes.save().err();
    for warning in runner
        .warnings
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .into_iter()
        .chain(kept)
    {
        report.warn(warning);
    }
    runner.store.prune();
    report
}

fn finish(
    report: &mut Report,
    ci: &CiPlan,
    options: &Options,
    workspace: Option<&Workspace>,
    started: Instant,
) {
    for note in &ci.plan.notes {
        report.fact("note", note);
    }
    // A shard sees only its own audits; the exceptions of the others look unused to it.
    if let Some(workspace) = workspace.filter(|_| options.shard.is_none()) {
        for finding in idle_exceptions(
            &workspace.pipeline.audit,
            &used_exceptions(report),
            Date::of(SystemTime::now()),
        ) {
            report.warn(finding.to_string());
        }
    }
    if let Some(workspace) = workspace {
        report.keep_to(workspace.pipeline.budgets.ci, started.elapsed());
    }
}

/// The audit exceptions that applied, by id; none are told when no audit ran.
fn used_exceptions(report: &Report) -> Vec<String> {
    let outputs = report.steps.iter().map(|step| &step.output["exceptions"]);
    let ids = outputs.flat_map(|list| list.as_array().into_iter().flatten());
    ids.filter_map(|id| id.as_str().map(str::to_owned))
        .collect()
}

/// The workers this run is about.
fn select<'a>(
    ctx: &Ctx,
    options: &Options,
    workspace: &'a Workspace,
    git: Option<&Git>,
    notes: &mut Vec<String>,
) -> anyhow::Result<Vec<&'a Worker>> {
    let selected = workspace.select(&ctx.only)?;
    let (Some(base), Some(git)) = (&options.affected, git) else {
        return Ok(selected);
    };
    let changes = since(
        git,
        base.as_deref(),
        &workspace.pipeline.project.main_branch,
    );
    let affected = Affected::by(workspace, &changes);
    notes.extend(affected.why);
    if affected.all {
        return Ok(selected);
    }
    Ok(selected
        .into_iter()
        .filter(|worker| affected.workers.contains(&worker.name))
        .collect())
}

/// A failure that `[[allow]]` tolerates becomes a warning; an entry that is about no step is said.
fn apply_policy(ci: &mut CiPlan, workspace: Option<&Workspace>) -> Vec<String> {
    let Some(workspace) = workspace else {
        return Vec::new();
    };
    let today = Date::of(SystemTime::now());
    for step in &mut ci.plan.steps {
        if allowed(&workspace.pipeline.allow, &step.id, today).is_some() {
            step.on_failure = OnFailure::Warn;
        }
    }
    let ids: Vec<&str> = ci.plan.steps.iter().map(|step| step.id.as_str()).collect();
    unknown_allows(&workspace.pipeline.allow, &ids)
}

fn findings_of(problems: &crate::config::Problems) -> Vec<Finding> {
    problems
        .sorted()
        .into_iter()
        .map(|problem| {
            let severity = if problem.warning {
                Severity::Warning
            } else {
                Severity::Error
            };
            let message = match &problem.fix {
                Some(fix) => format!("{}\nfix: {fix}", problem.message),
                None => problem.message.clone(),
            };
            Finding::new(severity, message)
                .in_file(&problem.path)
                .at(problem.line as u32, problem.col as u32)
        })
        .collect()
}
