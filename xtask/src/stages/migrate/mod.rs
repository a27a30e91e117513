//! `cargo xtask migrate`: the databases of a release on their own. `deploy` uses the same code in its migrate step.

mod baseline;
mod new;
mod rebless;
mod status;
mod up;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::context::Ctx;
use crate::error::Fail;
use crate::github::runs;
use crate::ledger::lease::{self, Holder, Lease};
use crate::ledger::migrations::{self, Files, Ledger};
use crate::ledger::releases;
use crate::ledger::{Database, aside};
use crate::preview::names::{self, Key};
use crate::report::Report;
use crate::target::Target;
use crate::tools::cloudflare::{self, Call};
use crate::tools::git::Git;
use crate::workspace::Workspace;

const STAGE: &str = "migrate";

/// What `migrate` is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Say how the files and the ledger stand to each other.
    Status,
    /// Apply what is pending.
    Up {
        /// Nothing numbered above it.
        to: Option<u64>,
        /// Go back to the restore point when a file fails.
        restore_on_failure: bool,
    },
    /// Write an empty migration with the next number.
    New {
        /// What it does.
        name: String,
    },
    /// Record files as applied without running them.
    Baseline {
        /// Only up to this number.
        to: Option<u64>,
        /// Whatever the live schema is.
        force: bool,
    },
    /// Record an intended edit.
    Rebless {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

/// The flags of `migrate`.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to do.
    pub action: Action,
    /// Only this database.
    pub database: Option<String>,
    /// The database of this pull request's preview instead of production's.
    pub pr: Option<u64>,
    /// Take the lease whoever has it.
    pub steal_lock: bool,
}

/// One run of the verb.
struct Run<'a> {
    ctx: &'a Ctx,
    target: &'a Target,
    options: &'a Options,
    /// The database that keeps the lease.
    keeper: Database,
    /// How long the lease lasts without a heartbeat.
    expiry: Duration,
    /// `m20261124-101500-338e40e`: in the ledger, what was done outside a release.
    id: String,
}

/// A database of the release, with its files.
struct Subject {
    database: Database,
    files: Files,
}

/// Runs `migrate`.
pub fn migrate(ctx: &Ctx, options: &Options) -> anyhow::Result<Report> {
    let started = Instant::now();
    let workspace = Workspace::load(&ctx.root)?;
    if let Action::New { name } = &options.action {
        return new::new(ctx, &workspace, options, name);
    }
    let target = Target::open(ctx, &workspace)?;
    let subjects = subjects(&workspace, &target, options)?;
    let run = Run {
        ctx,
        target: &target,
        expiry: workspace.pipeline.deploy.lease_expiry,
        keeper: keeper(&workspace, &target, options)?,
        id: run_id(ctx),
        options,
    };
    let mut report = match &options.action {
        Action::Status => status::status(&target, &subjects),
        Action::Up { to, .. } => up::up(&run, &subjects, *to),
        Action::Baseline { to, force } => baseline::baseline(&run, &subjects, *to, *force),
        Action::Rebless { file, reason } => rebless::rebless(&run, &subjects, file, reason),
        Action::New { .. } => unreachable!("it needs no cloud and was answered above"),
    }?;
    report.keep_to(workspace.pipeline.budgets.migrate, started.elapsed());
    Ok(report)
}

impl Subject {
    /// Together with its ledger.
    fn with<'a>(&'a self, ledger: &'a Ledger) -> crate::migrate::Subject<'a> {
        crate::migrate::Subject {
            database: &self.database,
            files: &self.files,
            ledger,
        }
    }
}

impl Run<'_> {
    /// The release that is live, if the database knows one.
    fn serving(&self) -> anyhow::Result<Option<String>> {
        if !self.target.reachable || !migrations::read_ledger(&self.keeper)?.has_ledger {
            return Ok(None);
        }
        Ok(releases::last_live(&self.keeper)?.map(|record| record.id))
    }

    /// Takes the lease: nobody else migrates or deploys meanwhile.
    fn lease(&self) -> anyhow::Result<Lease> {
        if !migrations::read_ledger(&self.keeper)?.has_ledger {
            self.keeper.create_tables()?;
        }
        let lease = lease::acquire(
            &self.keeper,
            &Holder::of(&self.ctx.env, &self.id),
            &lease::Terms {
                expiry: self.expiry,
                steal: self.options.steal_lock,
                interrupt: &self.ctx.interrupt,
                run: &|url| runs::state(self.ctx, self.target, url),
            },
        )?;
        if let Some(warning) = aside::settle(&self.ctx.state(), &self.keeper)? {
            self.ctx.ui.warn(&warning);
        }
        Ok(lease)
    }
}

fn run_id(ctx: &Ctx) -> String {
    let stamp = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let digits: String = stamp.chars().filter(char::is_ascii_digit).collect();
    let head = Git::open(&ctx.root).and_then(|git| git.head()).ok();
    let commit = head.map_or_else(|| "nocommit".to_owned(), |head| head.sha[..7].to_owned());
    format!("m{}-{}-{commit}", &digits[..8], &digits[8..14])
}

/// The databases named in `pipeline.toml` that this run is about.
fn chosen<'a>(
    workspace: &'a Workspace,
    options: &Options,
) -> anyhow::Result<Vec<&'a crate::config::Database>> {
    let all = &workspace.pipeline.databases;
    if all.is_empty() {
        return Err(Fail::setup("pipeline.toml names no database")
            .why("migrations belong to a [databases.NAME] table")
            .fix("add one, with the folder of its `migrations`")
            .into());
    }
    let Some(name) = &options.database else {
        return Ok(all.iter().collect());
    };
    let found: Vec<_> = all.iter().filter(|one| one.name == *name).collect();
    if found.is_empty() {
        let known: Vec<&str> = all.iter().map(|one| &*one.name).collect();
        return Err(Fail::setup(format!("there is no database `{name}`"))
            .why(format!("pipeline.toml names {}", known.join(", ")))
            .fix(format!("--database {}", known[0]))
            .into());
    }
    Ok(found)
}

fn subjects(
    workspace: &Workspace,
    target: &Target,
    options: &Options,
) -> anyhow::Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for config in chosen(workspace, options)? {
        subjects.push(Subject {
            database: open(target, config, options.pr)?,
            files: migrations::gather(&workspace.root, config)?,
        });
    }
    Ok(subjects)
}

/// The production database of a `[databases]` table, or its copy in a preview.
fn open(
    target: &Target,
    config: &crate::config::Database,
    pr: Option<u64>,
) -> anyhow::Result<Database> {
    let cloud = &target.cloudflare;
    let Some(number) = pr else {
        let Some(id) = &config.id else {
            return Err(Fail::setup(format!(
                "the id of the database `{}` is not known",
                config.name
            ))
            .why("no wrangler config that binds it says its `database_id`")
            .fix(format!(
                "npx wrangler d1 create {}   (then put the id into the configs)",
                config.name
            ))
            .into());
        };
        return Ok(Database::of(cloud, config, id));
    };
    let name = names::resource(&config.name, Key::Pr(number));
    let path = cloud.path(&format!("/d1/database?name={}", cloudflare::encode(&name)));
    let found = cloud.expect(&Call::get(path))?;
    let mut all = found.as_array().into_iter().flatten();
    let id = all
        .find(|entry| entry["name"] == name.as_str())
        .and_then(|entry| entry["uuid"].as_str());
    match id {
        Some(id) => Ok(Database::new(cloud, &name, id).recorded_in(&config.layout.table)),
        None => Err(Fail::setup(format!("there is no database `{name}`"))
            .why(format!("the preview of pull request {number} does not exist, or it shares production's data"))
            .fix("push to the pull request: its preview is made then")
            .into()),
    }
}

/// The database that keeps the lease: production's first, or the preview's.
fn keeper(workspace: &Workspace, target: &Target, options: &Options) -> anyhow::Result<Database> {
    let Some(first) = workspace.pipeline.databases.first() else {
        return Err(Fail::setup("pipeline.toml names no database").into());
    };
    open(target, first, options.pr)
}
