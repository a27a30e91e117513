//! One release under way: its facts, and the phases that carry it forward. Each phase plans, runs and takes the results
//! in; the order of the phases is `deploy`'s business.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::context::Ctx;
use crate::error::{Exit, Fail};
use crate::github::runs;
use crate::ledger::migrations::{self, Files, Ledger};
use crate::ledger::releases::{self, Record};
use crate::ledger::{Database, aside, lease};
use crate::live::{self, Live, Triggers};
use crate::migrate::Done;
use crate::plan::Plan;
use crate::run::Outcome;
use crate::stages::deploy::Options;
use crate::stages::deploy::addresses;
use crate::stages::deploy::part::Part;
use crate::stages::effects::Effects;
use crate::target::Target;
use crate::tools::git::Head;
use crate::tools::wrangler::Wrangler;
use crate::watch::{Seen, Watch};
use crate::workspace::{Worker, Workspace};

/// A release under way.
pub struct Release<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) options: &'a Options,
    pub(super) workspace: &'a Workspace,
    pub(super) target: &'a Target,
    pub(super) head: Head,
    /// The commit as it stands at the end of the release id.
    pub(super) commit: String,
    /// The release id, which is the tag of its versions.
    pub(super) id: String,
    pub(super) parts: Vec<Part<'a>>,
    pub(super) databases: Vec<(Database, Files)>,
    /// Their ledgers as they were last read.
    pub(super) ledgers: Vec<Ledger>,
    /// The last complete release.
    pub(super) previous: Option<Record>,
    /// Short names, callees before callers.
    pub(super) levels: Vec<BTreeSet<String>>,
    /// Everything that was run so far.
    pub(super) outcome: Option<Outcome>,
    /// What was done to the databases.
    pub(super) migrated: Done,
    /// True when this release was recorded as live.
    pub(super) recorded: bool,
    pub(super) warnings: Vec<String>,
    /// What a reader should know but need not act on.
    pub(super) notes: BTreeSet<String>,
    pub(super) wrangler: Wrangler,
    /// Open from the staging on, when the release is to be watched.
    pub(super) watch: Option<Watch<'a>>,
    /// What was heard.
    pub(super) seen: Seen,
}

impl<'a> Release<'a> {
    /// Reads everything a release needs to know. Changes nothing.
    pub fn gather(
        ctx: &'a Ctx,
        options: &'a Options,
        workspace: &'a Workspace,
        target: &'a Target,
        (head, commit): (Head, String),
    ) -> anyhow::Result<Release<'a>> {
        // Looked for first: without it nothing can be shipped, and nothing must be changed.
        let cloud = &target.cloudflare;
        let wrangler = Wrangler::find(workspace, cloud.base(), cloud.account())?;
        let ignored = wrangler.ignored(&ctx.env, workspace.workers.iter());
        let mut databases = Vec::new();
        for database in &workspace.pipeline.databases {
            let files = migrations::gather(&workspace.root, database)?;
            if let Some(id) = &database.id {
                databases.push((Database::of(&target.cloudflare, database, id), files));
            }
        }
        let levels = workspace
            .callees_first()
            .iter()
            .map(|level| level.iter().map(|worker| worker.name.clone()).collect())
            .collect();
        let stamp = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let digits: String = stamp.chars().filter(char::is_ascii_digit).collect();
        let mut release = Release {
            ctx,
            options,
            workspace,
            target,
            head,
            id: format!("r{}-{}-{commit}", &digits[..8], &digits[8..14]),
            commit,
            parts: Vec::new(),
            databases,
            ledgers: Vec::new(),
            previous: None,
            levels,
            outcome: None,
            migrated: Done::default(),
            recorded: false,
            warnings: workspace.warnings.clone(),
            notes: ignored.into_iter().collect(),
            wrangler,
            watch: None,
            seen: Seen::default(),
        };
        release.refresh()?;
        Ok(release)
    }

    /// Reads again what is live; called once more when the lease is held.
    pub fn refresh(&mut self) -> anyhow::Result<()> {
        let workers = self.workspace.select(&self.ctx.only)?;
        let mut lives = vec![Live::default(); workers.len()];
        if self.target.reachable {
            let scripts: Vec<String> = workers
                .iter()
                .map(|worker| worker.config.name.clone())
                .collect();
            lives = live::read_all(&self.target.cloudflare, &scripts)?;
            if let Some(database) = self.ledger_database()? {
                self.previous = releases::last_live(database)?;
            }
        }
        let none = BTreeMap::new();
        let previous = self
            .previous
            .as_ref()
            .map_or(&none, |record| &record.versions);
        self.parts = workers
            .into_iter()
            .zip(lives)
            .map(|(worker, live)| {
                let mut part = Part::new(worker, live, &self.commit, previous);
                part.secrets = known_secrets(worker, self.target);
                part
            })
            .collect();
        self.remember_triggers();
        Ok(())
    }

    /// An interrupted run of this commit may have set triggers, too: a failure goes back to those of the last record.
    fn remember_triggers(&mut self) {
        if !self.parts.iter().any(Part::interrupted) {
            return;
        }
        let recorded = self.previous.iter().flat_map(|record| &record.triggers);
        for (script, recorded) in recorded {
            for part in self.parts.iter_mut().filter(|part| part.script() == script) {
                let live = &part.live.triggers;
                part.before = Some(Triggers::before_interrupted(recorded, live, &part.wanted));
            }
        }
    }

    /// Refuses what must not be released. Nothing has been changed yet.
    pub fn check(&mut self) -> anyhow::Result<()> {
        for part in &self.parts {
            part.check()?;
        }
        addresses::check(self.target, &self.workspace.root, &self.parts)?;
        self.ledgers.clear();
        for (database, files) in &self.databases {
            let ledger = match self.target.reachable {
                true => migrations::read_ledger(database)?,
                false => Ledger::default(),
            };
            if self.target.reachable {
                migrations::pending(files, &ledger, &self.id, SystemTime::now())?;
            }
            for shared in migrations::shared_numbers(files) {
                if !self.warnings.contains(&shared) {
                    self.warnings.push(shared);
                }
            }
            self.ledgers.push(ledger);
        }
        Ok(())
    }

    /// Takes the lease, when there is a database to keep it in.
    pub fn lease(&mut self) -> anyhow::Result<Option<lease::Lease>> {
        let Some((database, _)) = self.databases.first() else {
            self.warnings.push(
                "no database in pipeline.toml: no lease is taken and no record kept; let CI's concurrency group queue deploys"
                    .to_owned(),
            );
            return Ok(None);
        };
        if !migrations::read_ledger(database)?.has_ledger {
            database.create_tables()?;
        }
        let expiry = self.workspace.pipeline.deploy.lease_expiry;
        let lease = lease::acquire(
            database,
            &holder(self.ctx, &self.id),
            &lease::Terms {
                expiry,
                steal: self.options.steal_lock,
                interrupt: &self.ctx.interrupt,
                run: &|url| runs::state(self.ctx, self.target, url),
            },
        )?;
        self.warnings
            .extend(aside::settle(&self.ctx.state(), database)?);
        self.warnings.extend(lease.notice.clone());
        Ok(Some(lease))
    }

    /// Runs a plan that must succeed.
    pub(super) fn run(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let outcome = self.attempt(plan);
        if outcome.ok() {
            self.keep(outcome);
            return Ok(());
        }
        Err(self.stop(outcome).into())
    }

    pub(super) fn attempt(&mut self, plan: &Plan) -> Outcome {
        self.notes.extend(plan.notes.iter().cloned());
        self.ctx.run(
            plan,
            &Effects {
                target: self.target,
            },
        )
    }

    /// Adds a run to the report.
    pub(super) fn keep(&mut self, outcome: Outcome) {
        outcome.add_to(&mut self.outcome);
    }

    /// Adds a failed run to the report and gives the reason to stop.
    pub(super) fn stop(&mut self, outcome: Outcome) -> Fail {
        let exit = outcome.exit().unwrap_or(Exit::Remote);
        let failed: Vec<String> = outcome.failures().map(|step| step.goal.clone()).collect();
        let why = if outcome.interrupted {
            "the run was interrupted".to_owned()
        } else {
            format!("failed to {}", failed.join(", "))
        };
        self.keep(outcome);
        Fail::new(exit, why)
    }

    pub(super) fn url(&self, part: &Part<'_>, triggers: &Triggers) -> Option<String> {
        part.url(triggers, &self.target.workers_dev_url(part.script()))
    }

    pub(super) fn bundle_dir(&self, worker: &str) -> std::path::PathBuf {
        self.ctx.state().join("build").join(worker)
    }

    fn ledger_database(&self) -> anyhow::Result<Option<&Database>> {
        let Some((database, _)) = self.databases.first() else {
            return Ok(None);
        };
        Ok(migrations::read_ledger(database)?
            .has_ledger
            .then_some(database))
    }
}

/// The names of a worker's secrets whose values this run knows.
fn known_secrets(worker: &Worker, target: &Target) -> Vec<String> {
    worker
        .secrets
        .iter()
        .filter(|name| target.env.var(name).is_some())
        .cloned()
        .collect()
}

/// Who this run is, for the lease and the release record.
pub(crate) fn holder(ctx: &Ctx, release: &str) -> lease::Holder {
    lease::Holder::of(&ctx.env, release)
}

/// The first eight characters of a version id, as the dashboard shows it.
pub fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
