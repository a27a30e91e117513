//! One release under way: its facts, and the phases that carry it forward. Each phase plans, runs and takes the results
//! in; the order of the phases is `deploy`'s business.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use serde_json::Value;

use crate::config;
use crate::context::Ctx;
use crate::derive;
use crate::digest;
use crate::error::{Exit, Fail};
use crate::ledger::migrations::{self, Files};
use crate::ledger::releases::{self, Record};
use crate::ledger::{Database, lease};
use crate::live::{self, Live, Triggers};
use crate::plan::{Action, Plan, Step};
use crate::run::{Outcome, Status};
use crate::stages::deploy::Options;
use crate::stages::deploy::part::{Change, Effective, Part, digest_mark};
use crate::stages::deploy::plans::{self, STAGE};
use crate::stages::effects::Effects;
use crate::target::Target;
use crate::tools::cloudflare::Call;
use crate::tools::git::Head;
use crate::tools::wrangler::{Upload, Wrangler};
use crate::workspace::{Worker, Workspace};

/// How often a phase whose requests got lost is planned anew from what is live.
const ROUNDS_MAX: usize = 3;

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
    /// The last complete release.
    pub(super) previous: Option<Record>,
    /// Short names, callees before callers.
    pub(super) levels: Vec<BTreeSet<String>>,
    /// Everything that was run so far.
    pub(super) outcome: Option<Outcome>,
    pub(super) bookmark: Option<String>,
    pub(super) applied: BTreeMap<String, String>,
    pub(super) warnings: Vec<String>,
    /// What a reader should know but need not act on.
    pub(super) notes: BTreeSet<String>,
    wrangler: Option<Wrangler>,
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
        let mut databases = Vec::new();
        for database in &workspace.pipeline.databases {
            let files = migrations::gather(&workspace.root, database)?;
            if let Some(id) = &database.id {
                databases.push((Database::new(&target.cloudflare, &database.name, id), files));
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
            previous: None,
            levels,
            outcome: None,
            bookmark: None,
            applied: BTreeMap::new(),
            warnings: workspace.warnings.clone(),
            notes: BTreeSet::new(),
            wrangler: None,
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
        Ok(())
    }

    /// Refuses what must not be released. Nothing has been changed yet.
    pub fn check(&self) -> anyhow::Result<()> {
        for part in &self.parts {
            part.check()?;
        }
        self.check_domains()?;
        if self.target.reachable {
            for (database, files) in &self.databases {
                let ledger = migrations::read_ledger(database)?;
                migrations::pending(files, &ledger, &self.id, SystemTime::now())?;
            }
        }
        Ok(())
    }

    /// A custom domain that another worker has would be taken away from it without a word.
    fn check_domains(&self) -> anyhow::Result<()> {
        let cloud = &self.target.cloudflare;
        for part in self.parts.iter().filter(|part| {
            self.target.reachable && part.wanted.domains != part.live.triggers.domains
        }) {
            let hosts: Vec<Value> = part
                .wanted
                .domains
                .iter()
                .map(|host| serde_json::json!({"hostname": host}))
                .collect();
            let path = cloud.script(part.script(), "/domains/changeset?replace_state=true");
            let changeset = match cloud.call(&Call::repeatable("POST", path, Value::from(hosts)))? {
                Err(error) if error.is_not_found() => continue,
                answer => answer.map_err(Fail::from)?,
            };
            if let Some(conflict) = changeset["conflicting"]
                .as_array()
                .and_then(|list| list.first())
            {
                let host = conflict["hostname"].as_str().unwrap_or("a custom domain");
                let owner = conflict["service"].as_str().unwrap_or("another worker");
                return Err(Fail::setup(format!(
                    "{host} belongs to {owner}, not to {}",
                    part.script()
                ))
                .why("attaching it would silently take it away from there")
                .fix("remove the domain from that worker, or from this worker's wrangler config")
                .into());
            }
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
            expiry,
            self.options.steal_lock,
            &self.ctx.interrupt,
        )?;
        self.warnings.extend(lease.notice.clone());
        Ok(Some(lease))
    }

    /// Builds and bundles every worker, then decides what each needs. Touches nothing on the cloud.
    pub fn build(&mut self) -> anyhow::Result<()> {
        let wrangler = Wrangler::find(
            &self.ctx.root,
            self.target.cloudflare.base(),
            self.target.cloudflare.account(),
        )?;
        for part in &self.parts {
            // Files of an earlier bundle would count into the digest.
            let folder = self.bundle_dir(part.name());
            if folder.exists() {
                std::fs::remove_dir_all(&folder)
                    .with_context(|| format!("failed to empty {}", folder.display()))?;
            }
        }
        let plan = self.build_plan(&wrangler);
        self.wrangler = Some(wrangler);
        self.run(&plan)?;
        for index in 0..self.parts.len() {
            let effective = effective_config(self.parts[index].worker)?;
            self.parts[index].digest = self.digest(&self.parts[index], &effective)?;
            self.parts[index].effective = Some(effective);
        }
        self.decide();
        Ok(())
    }

    fn build_plan(&self, wrangler: &Wrangler) -> Plan {
        let mut plan = Plan::new(STAGE);
        let timeout = self.workspace.pipeline.deploy.build_timeout;
        for part in &self.parts {
            let worker = part.worker;
            let command = wrangler.bundle(worker, &self.bundle_dir(part.name()));
            let goal = format!("build {}", part.name());
            let step = Step::new(
                "build",
                format!("build {}", part.name()),
                goal,
                Action::Command(command),
            );
            plan.push(step.worker(part.name()).timeout(timeout));
        }
        plan
    }

    fn digest(&self, part: &Part<'_>, effective: &Effective) -> anyhow::Result<String> {
        let content = derive::content(&effective.config, part.script());
        let assets = effective.config["assets"]["directory"]
            .as_str()
            .map(|path| derive::join(&effective.dir, path));
        let secrets: Vec<(&str, &str)> = part
            .secrets
            .iter()
            .filter_map(|name| Some((name.as_str(), self.target.env.var(name)?)))
            .collect();
        digest::content(&digest::Content {
            bundle: &self.bundle_dir(part.name()),
            assets: assets.as_deref().filter(|folder| folder.is_dir()),
            config: &content,
            secrets: &secrets,
        })
    }

    fn decide(&mut self) {
        for part in &mut self.parts {
            part.decide(self.options.force);
        }
        // A version that an interrupted run of this commit left is taken up, and the release with it.
        let resumed = self.parts.iter().find_map(|part| match &part.change {
            Change::Reuse(id) => part
                .live
                .version(id)?
                .tag
                .clone()
                .filter(|tag| tag.ends_with(&format!("-{}", self.commit))),
            _ => None,
        });
        if let Some(id) = resumed {
            self.id = id;
        }
    }

    /// Applies pending migrations behind a restore point. A lost answer is no failure: the ledger tells what is done.
    pub fn migrate(&mut self) -> anyhow::Result<()> {
        for index in 0..self.databases.len() {
            let (database, files) = self.databases[index].clone();
            for round in 1.. {
                let ledger = migrations::read_ledger(&database)?;
                let todo = migrations::pending(&files, &ledger, &self.id, SystemTime::now())?;
                if todo.is_empty() {
                    break;
                }
                if self.bookmark.is_none() {
                    self.bookmark = Some(database.bookmark()?);
                }
                let outcome = self.attempt(&plans::migrate(&database, &todo));
                let passed: Vec<&str> = outcome
                    .steps
                    .iter()
                    .filter(|step| step.status == Status::Passed)
                    .map(|step| step.id.as_str())
                    .collect();
                for apply in todo.iter().filter(|apply| {
                    passed.contains(&format!("{} {}", apply.kind, apply.name).as_str())
                }) {
                    self.applied
                        .insert(apply.name.clone(), apply.kind.to_owned());
                }
                let failed = !outcome.ok();
                let unclear = lost_only(&outcome);
                if failed && (round == ROUNDS_MAX || !unclear) {
                    return Err(self.stop(outcome).into());
                }
                self.keep(outcome, failed);
            }
        }
        Ok(())
    }

    /// Creates missing workers and uploads every changed one as a version that gets no traffic.
    pub fn upload(&mut self) -> anyhow::Result<()> {
        for round in 1.. {
            let mut plan = plans::create(&self.target.cloudflare, self.workspace, &self.parts);
            let created = !plan.steps.is_empty();
            if created {
                let outcome = self.attempt(&plan);
                let failed = !outcome.ok();
                if failed && (round == ROUNDS_MAX || !lost_only(&outcome)) {
                    return Err(self.stop(outcome).into());
                }
                self.keep(outcome, failed);
                self.reread()?;
                if failed {
                    continue;
                }
            }
            plan = self.upload_plan()?;
            let outcome = self.attempt(&plan);
            for part in &mut self.parts {
                let id = outcome
                    .output(&format!("upload {}", part.name()))
                    .and_then(|output| output["version_id"].as_str());
                part.version = id.map(str::to_owned).or(part.version.take());
            }
            if outcome.ok()
                && self
                    .parts
                    .iter()
                    .all(|part| !part.staged() || part.version.is_some())
            {
                self.keep(outcome, false);
                return Ok(());
            }
            if round == ROUNDS_MAX || !lost_only(&outcome) {
                return Err(self.stop(outcome).into());
            }
            // An upload whose answer was lost may be there: look before uploading again.
            self.keep(outcome, true);
            self.reread()?;
        }
        Ok(())
    }

    fn upload_plan(&self) -> anyhow::Result<Plan> {
        let mut plan = Plan::new(STAGE);
        let timeout = self.workspace.pipeline.deploy.upload_timeout;
        for part in self.parts.iter().filter(|part| part.staged()) {
            let id = format!("upload {}", part.name());
            let goal = format!("upload a version of {}", part.name());
            if let Some(version) = &part.version {
                let step = Step::new("upload", &id, goal, Action::Nothing).worker(part.name());
                plan.push(step.done(format!("version {} is there already", short(version))));
                continue;
            }
            let command = self.wrangler_upload(part, Wrangler::upload_version)?;
            plan.push(
                Step::new("upload", &id, goal, Action::Command(command))
                    .worker(part.name())
                    .timeout(timeout),
            );
        }
        Ok(plan)
    }

    /// The command that uploads a worker, with its derived config written where the command expects it.
    pub(super) fn wrangler_upload(
        &self,
        part: &Part<'_>,
        command: impl Fn(&Wrangler, &Upload<'_>) -> crate::plan::Command,
    ) -> anyhow::Result<crate::plan::Command> {
        let (Some(wrangler), Some(effective)) = (&self.wrangler, &part.effective) else {
            anyhow::bail!("{} is uploaded before it was built", part.name());
        };
        let folder = self.ctx.state().join("derived").join(part.name());
        let config = folder.join("wrangler.json");
        let account = self.target.cloudflare.account();
        let workers_dev = part.live.triggers.workers_dev;
        let derived = derive::upload_config(
            &effective.config,
            part.script(),
            &effective.dir,
            account,
            workers_dev,
        );
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
        std::fs::write(&config, serde_json::to_string_pretty(&derived)?)
            .with_context(|| format!("failed to write {}", config.display()))?;
        let message = format!("xtask {} {}", self.commit, digest_mark(&part.digest));
        Ok(command(
            wrangler,
            &Upload {
                worker: part.name(),
                dir: &part.worker.dir,
                config: &config,
                tag: &self.id,
                message: &message,
                secrets: part.secrets.clone(),
            },
        ))
    }

    /// Reads the live state of all parts again and decides anew, keeping what was built.
    fn reread(&mut self) -> anyhow::Result<()> {
        let scripts: Vec<String> = self
            .parts
            .iter()
            .map(|part| part.script().to_owned())
            .collect();
        let lives = live::read_all(&self.target.cloudflare, &scripts)?;
        for (part, live) in self.parts.iter_mut().zip(lives) {
            part.base = part
                .base
                .take()
                .or_else(|| live.serving().map(str::to_owned));
            part.live = live;
            part.version = None;
            // Even `--force` does not upload the same release twice.
            let ours = part
                .live
                .versions
                .first()
                .is_some_and(|version| version.tag.as_ref() == Some(&self.id));
            part.decide(self.options.force && !ours);
        }
        Ok(())
    }

    /// Runs a plan that must succeed.
    pub(super) fn run(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let outcome = self.attempt(plan);
        if outcome.ok() {
            self.keep(outcome, false);
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

    /// Adds a run to the report. One whose failures are being repaired counts them as warnings: they stay visible.
    pub(super) fn keep(&mut self, mut outcome: Outcome, repaired: bool) {
        if repaired {
            for step in outcome
                .steps
                .iter_mut()
                .filter(|step| step.status == Status::Failed)
            {
                step.status = Status::Warning;
            }
        }
        match &mut self.outcome {
            Some(all) => all.merge(outcome),
            None => self.outcome = Some(outcome),
        }
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
        self.keep(outcome, false);
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

/// The config that ships: the one a build generated, when there is one, else the worker's own.
fn effective_config(worker: &Worker) -> anyhow::Result<Effective> {
    if let Some(path) = config::generated_config(&worker.dir)? {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        let config = serde_json::from_str(&text).map_err(|error| {
            Fail::check(format!("{} is not valid JSON", path.display()))
                .why(error.to_string())
                .fix("it was generated by the worker's build: run the build again")
        })?;
        return Ok(Effective {
            config,
            dir: parent(&path),
        });
    }
    Ok(Effective {
        config: worker.config.raw.clone(),
        dir: parent(&worker.config_path),
    })
}

fn parent(path: &Path) -> std::path::PathBuf {
    path.parent().unwrap_or(Path::new(".")).to_owned()
}

/// True when every failure is one of the cloud's or the line's, which the same request may not meet again.
fn lost_only(outcome: &Outcome) -> bool {
    !outcome.interrupted
        && outcome
            .failures()
            .all(|step| step.exit == Some(Exit::Remote))
}

fn holder(ctx: &Ctx, release: &str) -> lease::Holder {
    let who = ctx
        .env
        .var("GITHUB_ACTOR")
        .or_else(|| ctx.env.var("USER"))
        .unwrap_or("someone");
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let host = ctx
        .env
        .var("HOSTNAME")
        .map_or_else(|| host.trim().to_owned(), str::to_owned);
    let run_url = ctx.env.var("GITHUB_RUN_ID").and_then(|run| {
        let server = ctx.env.var("GITHUB_SERVER_URL")?;
        Some(format!(
            "{server}/{}/actions/runs/{run}",
            ctx.env.var("GITHUB_REPOSITORY")?
        ))
    });
    let started = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    lease::Holder {
        name: format!("{who}@{host} pid {}", std::process::id()),
        run_url,
        token: format!(
            "{release}-{:x}-{:x}",
            std::process::id(),
            started.as_nanos()
        ),
    }
}

/// The first eight characters of a version id, as the dashboard shows it.
pub fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
