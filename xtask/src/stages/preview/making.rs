//! One preview under way: its facts, and the phases that carry it forward. The order of the phases is `preview`'s business.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context as _;
use serde_json::Value;

use crate::config::{DataReset, PreviewData};
use crate::context::Ctx;
use crate::error::{Exit, Fail};
use crate::ledger::migrations::{self, Files};
use crate::live::{self, Live};
use crate::plan::Plan;
use crate::preview::{Key, Resources, names};
use crate::run::{Outcome, Runner};
use crate::stages::cleanup::found::{self as remains, Scope, Wanted};
use crate::stages::effects::Effects;
use crate::stages::preview::facts::Subject;
use crate::stages::preview::found::{self, Found};
use crate::stages::preview::piece::Piece;
use crate::stages::preview::rewire::{Rewired, Wiring, rewire};
use crate::stages::preview::storage::Storage;
use crate::stages::preview::telling::Telling;
use crate::stages::preview::{Options, STAGE, twin};
use crate::target::Target;
use crate::tools::wrangler::Wrangler;
use crate::workspace::Workspace;

/// A preview under way.
pub struct Making<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) options: &'a Options,
    /// The repo as it is in production.
    pub(super) source: &'a Workspace,
    /// The repo as the preview has it.
    pub(super) twin: &'a Workspace,
    pub(super) target: &'a Target,
    pub(super) subject: &'a Subject,
    pub(super) telling: Telling,
    /// Tells this repo's previews from others'.
    pub(super) repo: String,
    /// The release id its Workers tell.
    pub(super) release: String,
    pub(super) found: Found,
    /// True once the preview's Workers carry this run's commit.
    pub(super) claimed: bool,
    pub(super) pieces: Vec<Piece<'a>>,
    pub(super) siblings: BTreeMap<String, String>,
    pub(super) resources: Resources,
    pub(super) storage: Storage,
    pub(super) files: Vec<(String, Files)>,
    /// Migrations production lacks.
    pub(super) on_deploy: Vec<String>,
    /// Short names, callees before callers.
    pub(super) levels: Vec<BTreeSet<String>>,
    pub(super) outcome: Option<Outcome>,
    pub(super) warnings: Vec<String>,
    pub(super) notes: BTreeSet<String>,
    pub(super) started: SystemTime,
    pub(super) wrangler: Wrangler,
}

impl<'a> Making<'a> {
    /// Reads everything a preview needs to know. Changes nothing.
    pub fn gather(
        ctx: &'a Ctx,
        options: &'a Options,
        (source, twin): (&'a Workspace, &'a Workspace),
        target: &'a Target,
        (subject, telling): (&'a Subject, Telling),
    ) -> anyhow::Result<Making<'a>> {
        let cloud = &target.cloudflare;
        let wrangler = Wrangler::find(twin, cloud.base(), cloud.account())?;
        let ignored = wrangler.ignored(&ctx.env, source.workers.iter());
        let mut files = Vec::new();
        for database in &source.pipeline.databases {
            let read = migrations::gather(&source.root, database)?;
            files.push((database.id.clone().unwrap_or(database.name.clone()), read));
        }
        let levels = twin.callees_first();
        let level = |level: &Vec<&crate::workspace::Worker>| {
            level.iter().map(|worker| worker.name.clone()).collect()
        };
        let mut making = Making {
            ctx,
            options,
            source,
            twin,
            target,
            subject,
            telling,
            repo: names::repo_hash(cloud.account(), &source.pipeline.project.name),
            release: subject.release(),
            found: Found::default(),
            claimed: false,
            pieces: Vec::new(),
            siblings: twin::siblings(source, subject.key),
            resources: Resources::default(),
            storage: Storage::default(),
            files,
            on_deploy: Vec::new(),
            levels: levels.iter().map(level).collect(),
            outcome: None,
            warnings: source.warnings.clone(),
            notes: ignored.into_iter().collect(),
            started: SystemTime::now(),
            wrangler,
        };
        making.resources =
            making.resources_of(source.workers.iter().map(|worker| &worker.config.raw));
        making.refresh()?;
        Ok(making)
    }

    /// Reads again what is live of the preview.
    pub(super) fn refresh(&mut self) -> anyhow::Result<()> {
        let workers = &self.twin.workers;
        let mut lives = vec![Live::default(); workers.len()];
        if self.target.reachable {
            let cloud = &self.target.cloudflare;
            self.found = found::read(cloud)?;
            let scripts: Vec<String> = workers
                .iter()
                .map(|worker| worker.config.name.clone())
                .collect();
            lives = live::read_all(cloud, &scripts)?;
        }
        let before = std::mem::take(&mut self.pieces);
        for (index, (worker, live)) in workers.iter().zip(lives).enumerate() {
            let secrets = worker.secrets.iter();
            let known = secrets.filter(|name| self.target.env.var(name).is_some());
            let mut piece = Piece::new(worker, live, known.cloned().collect());
            if let Some(before) = before.get(index) {
                piece.effective.clone_from(&before.effective);
                piece.rewired.clone_from(&before.rewired);
                piece.digest.clone_from(&before.digest);
                piece.size = before.size;
                piece.size_of_production = before.size_of_production;
                piece.uploaded = before.uploaded;
            }
            self.pieces.push(piece);
        }
        Ok(())
    }

    /// The configs (short name, JSON) as the preview has them; one error for everything that has no rule.
    pub(super) fn rewire_all(&self, configs: &[(String, Value)]) -> anyhow::Result<Vec<Rewired>> {
        let policy = &self.source.pipeline.preview;
        let words = self.words();
        let wiring = Wiring {
            key: self.subject.key,
            policy,
            siblings: &self.siblings,
            resources: &self.resources,
            ids: &self.storage.ids,
            words: &words,
        };
        let mut all = Vec::new();
        let mut mistakes = Vec::new();
        for (name, config) in configs {
            match rewire(name, config, &wiring) {
                Ok(rewired) => all.push(rewired),
                Err(found) => mistakes.extend(found),
            }
        }
        let useless = |name: &&String| {
            self.ctx.only.is_empty() && !all.iter().any(|rewired| rewired.kept.contains(*name))
        };
        if mistakes.is_empty() {
            let useless = policy.keep.iter().filter(useless);
            mistakes.extend(useless.map(|name| {
                format!("`preview.keep`: no binding `{name}` is of a kind that can be kept")
            }));
        }
        if mistakes.is_empty() {
            return Ok(all);
        }
        Err(Fail::setup("a preview cannot be made of these configs")
            .why(mistakes.join("\n"))
            .fix("correct the configs or [preview] in pipeline.toml; docs/preview.md has the rule of each kind of binding")
            .into())
    }

    fn words(&self) -> BTreeMap<String, String> {
        let mut words = BTreeMap::from([
            ("sha".to_owned(), self.subject.sha.clone()),
            (
                "branch".to_owned(),
                self.subject.branch.clone().unwrap_or_default(),
            ),
            (
                "pr".to_owned(),
                match self.subject.key {
                    Key::Pr(number) => number.to_string(),
                    Key::None => String::new(),
                },
            ),
        ]);
        for worker in &self.source.workers {
            let script = &self.siblings[&worker.config.name];
            words.insert(
                format!("url:{}", worker.name),
                self.target.workers_dev_url(script),
            );
        }
        words
    }

    pub(super) fn resources_of<'c>(
        &self,
        configs: impl IntoIterator<Item = &'c Value>,
    ) -> Resources {
        if self.shared() {
            return Resources::default();
        }
        Resources::of(
            configs,
            &self.source.pipeline.project.name,
            self.subject.key,
        )
    }

    pub(super) fn shared(&self) -> bool {
        self.source.pipeline.preview.data == PreviewData::Shared
    }

    /// When data is made anew, in this run.
    pub(super) fn reset(&self) -> DataReset {
        match self.options.reset_data {
            true => DataReset::Always,
            false => self.source.pipeline.preview.data_reset,
        }
    }

    /// Marks what a run that was killed has left unmarked, before a Worker that announces it is deleted to be made anew: killed
    /// in between, nobody would find it again.
    pub(super) fn mark_announced(&mut self) -> anyhow::Result<()> {
        if !self.pieces.iter().any(|piece| piece.renew) {
            return Ok(());
        }
        let cloud = &self.target.cloudflare;
        let wanted = Wanted::One(self.subject.key);
        let scope = Scope::new(self.source, cloud.account(), wanted);
        let found = remains::gather(&scope, self.target)?;
        let mut plan = Plan::new(STAGE);
        for store in found.stores.iter().filter(|store| store.unmarked) {
            plan.push(store.mark(cloud, &self.repo));
        }
        self.run(&plan)
    }

    /// The tags of each piece: whose it is, what it is made from, and which storage is the preview's.
    pub(super) fn tags(&self) -> Vec<Vec<String>> {
        let own = found::tags(self.subject.key, &self.repo, &self.subject.commit);
        let of = |piece: &Piece<'_>| {
            let earlier = self.found.tags(piece.script());
            let stores = names::stores_tags(self.resources.names(), earlier);
            own.iter().cloned().chain(stores).collect()
        };
        self.pieces.iter().map(of).collect()
    }

    /// The folder of this preview's own state.
    pub(super) fn folder(&self) -> PathBuf {
        self.ctx
            .state()
            .join("preview")
            .join(self.subject.key.suffix())
    }

    /// Runs a plan that must succeed.
    pub(super) fn run(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let outcome = self.attempt(plan);
        self.settle(outcome)
    }

    pub(super) fn attempt(&mut self, plan: &Plan) -> Outcome {
        let effects = Effects {
            target: self.target,
        };
        self.attempt_with(plan, &effects)
    }

    pub(super) fn attempt_with(&mut self, plan: &Plan, runner: &dyn Runner) -> Outcome {
        self.notes.extend(plan.notes.iter().cloned());
        self.ctx.run(plan, runner)
    }

    /// Adds a run to the report; one that failed is the reason to stop.
    pub(super) fn settle(&mut self, outcome: Outcome) -> anyhow::Result<()> {
        if outcome.ok() {
            self.keep(outcome);
            return Ok(());
        }
        let exit = outcome.exit().unwrap_or(Exit::Remote);
        let failed: Vec<String> = outcome.failures().map(|step| step.goal.clone()).collect();
        let why = match outcome.interrupted {
            true => "the run was interrupted".to_owned(),
            false => format!("failed to {}", failed.join(", ")),
        };
        self.keep(outcome);
        Err(Fail::new(exit, why).into())
    }

    /// Adds a run to the report.
    pub(super) fn keep(&mut self, outcome: Outcome) {
        outcome.add_to(&mut self.outcome);
    }

    /// Writes a file of this preview's own state.
    pub(super) fn write(&self, path: &std::path::Path, text: &str) -> anyhow::Result<()> {
        let folder = path.parent().unwrap_or(path);
        std::fs::create_dir_all(folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
        std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
    }
}
