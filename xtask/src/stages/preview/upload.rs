//! What a preview writes: Workers under its names, storage of its own, and versions. Each phase is planned anew from what
//! is live when an answer was lost.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde_json::Value;

use crate::config::DataReset;
use crate::derive;
use crate::digest;
use crate::error::{Exit, Fail};
use crate::ledger::Database;
use crate::ledger::migrations::{self, Files, Ledger};
use crate::migrate;
use crate::plan::{Action, Plan, Step};
use crate::preview::names;
use crate::run::Outcome;
use crate::stages::deploy::build::effective_config;
use crate::stages::preview::making::Making;
use crate::stages::preview::{STAGE, plans, storage};
use crate::tools::wrangler::Upload;

/// How often a phase whose requests got lost is planned anew from what is live.
const ROUNDS_MAX: usize = 3;

impl Making<'_> {
    /// Builds every worker and, meanwhile, makes what the preview is to consist of: Workers that stand in until there
    /// is something to upload, empty databases, namespaces and buckets.
    pub fn build_and_claim(&mut self) -> anyhow::Result<()> {
        let bundles = self.folder().join("build");
        if bundles.exists() {
            // Files of an earlier bundle would count into the digest.
            std::fs::remove_dir_all(&bundles)
                .with_context(|| format!("failed to empty {}", bundles.display()))?;
        }
        self.storage = storage::look(&self.target.cloudflare, &self.resources)?;
        self.check_databases()?;
        self.mark_announced()?;
        let mut build = true;
        for round in 1.. {
            let mut plan = Plan::new(STAGE);
            if build {
                plan.steps.extend(self.build_plan().steps);
            }
            let cloud = &self.target.cloudflare;
            let claim = plans::claim(cloud, self.twin, &self.pieces, &self.tags());
            let create = storage::create(cloud, &self.resources, &self.storage, &claim);
            plan.steps.extend(claim.steps);
            plan.steps.extend(create.steps);
            let outcome = self.attempt(&plan);
            self.take_sizes(&outcome);
            let lost = !outcome.ok() && lost_only(&outcome) && round < ROUNDS_MAX;
            build &= outcome
                .steps
                .iter()
                .any(|step| step.group == "build" && !step.status.lets_others_start());
            if lost {
                self.keep(outcome.repaired());
            } else {
                self.settle(outcome)?;
            }
            self.refresh()?;
            self.storage = storage::look(&self.target.cloudflare, &self.resources)?;
            let claimed = self
                .pieces
                .iter()
                .all(|piece| piece.live.exists && !piece.renew);
            if !lost && claimed && self.storage.covers(&self.resources) {
                self.claimed = true;
                return Ok(());
            }
            if round == ROUNDS_MAX {
                return Err(
                    Fail::remote("what the preview needs was made, but is not there")
                        .fix("run the command again: it is safe to repeat")
                        .into(),
                );
            }
        }
        Ok(())
    }

    pub(super) fn build_plan(&self) -> Plan {
        let timeout = self.source.pipeline.deploy.build_timeout;
        plans::build(
            &self.wrangler,
            &self.pieces,
            &self.folder().join("build"),
            timeout,
        )
    }

    fn take_sizes(&mut self, outcome: &Outcome) {
        for piece in &mut self.pieces {
            let output = outcome.output(&format!("build {}", piece.name()));
            let size = output.and_then(|output| output["gzip_bytes"].as_u64());
            piece.size = size.or(piece.size);
        }
    }

    /// Takes in the configs the builds made, and makes what only those ask for.
    pub fn take_configs(&mut self) -> anyhow::Result<()> {
        for piece in &mut self.pieces {
            let mut effective = effective_config(piece.worker)?;
            // The names are production's: the twin's were never in a file.
            if let Some(worker) = self
                .source
                .workers
                .iter()
                .find(|worker| worker.name == piece.worker.name)
            {
                effective.config["name"] = Value::from(worker.config.name.as_str());
            }
            piece.effective = Some(effective);
        }
        let configs = self.effective_configs();
        let more = self.resources_of(configs.iter().map(|(_, config)| config));
        self.resources.extend(more);
        for round in 1..=ROUNDS_MAX {
            let cloud = &self.target.cloudflare;
            let mut plan = plans::announce(cloud, &self.pieces, &self.tags(), &self.found);
            let create = storage::create(cloud, &self.resources, &self.storage, &plan);
            if create.steps.is_empty() {
                break;
            }
            plan.steps.extend(create.steps);
            let outcome = self.attempt(&plan);
            if outcome.ok() || round == ROUNDS_MAX || !lost_only(&outcome) {
                self.settle(outcome)?;
            } else {
                self.keep(outcome.repaired());
            }
            self.storage = storage::look(&self.target.cloudflare, &self.resources)?;
        }
        let rewired = self.rewire_all(&configs)?;
        for (piece, rewired) in self.pieces.iter_mut().zip(rewired) {
            piece.rewired = rewired;
        }
        Ok(())
    }

    fn effective_configs(&self) -> Vec<(String, Value)> {
        let config = |piece: &crate::stages::preview::piece::Piece<'_>| {
            let effective = piece.effective.as_ref()?;
            Some((piece.name().to_owned(), effective.config.clone()))
        };
        self.pieces.iter().filter_map(config).collect()
    }

    /// The preview's databases with their SQL files; those that pipeline.toml does not know have none.
    fn databases(&self) -> Vec<(Database, Option<Files>)> {
        let found = self
            .resources
            .databases
            .iter()
            .filter_map(|(production, name)| {
                let id = self.storage.ids.get(name)?;
                let files = self.files.iter().find(|(id, _)| id == production);
                let mut database = Database::new(&self.target.cloudflare, name, id);
                if let Some((_, files)) = files {
                    database = database.recorded_in(&files.table);
                }
                Some((database, files.map(|(_, files)| files.clone())))
            });
        found.collect()
    }

    fn check_databases(&self) -> anyhow::Result<()> {
        for (database, _) in self.databases() {
            storage::check_ours(&database, self.subject.key, &self.repo)?;
        }
        Ok(())
    }

    /// Throws away what is to be made anew, marks what there is, and brings every database to this commit's schema.
    pub fn fill(&mut self) -> anyhow::Result<()> {
        let old = self.outdated()?;
        if !old.is_empty() {
            let plan = storage::delete(
                &self.target.cloudflare,
                &old,
                &self.resources,
                &self.storage,
            );
            self.run(&plan)?;
            self.storage = storage::look(&self.target.cloudflare, &self.resources)?;
            self.take_configs()?;
        }
        let mark = storage::mark(
            &self.target.cloudflare,
            &self.resources,
            &self.storage,
            self.subject.key,
            &self.repo,
        );
        self.run(&mark)?;
        for (database, files) in self.databases() {
            match files {
                Some(files) => self.migrate(&database, &files)?,
                None => {
                    let name = &database.name;
                    self.notes.insert(format!(
                        "{name} is empty: pipeline.toml names no migrations for it"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The names of databases and namespaces that are to be made anew.
    fn outdated(&mut self) -> anyhow::Result<BTreeSet<String>> {
        let reset = self.reset();
        let mut old = BTreeSet::new();
        if reset == DataReset::Always {
            old.extend(self.storage.ids.keys().cloned());
        }
        for (database, files) in self.databases() {
            let Some(files) = files.filter(|_| reset != DataReset::Always) else {
                continue;
            };
            let ledger = migrations::read_ledger(&database)?;
            if let Some(why) = self.misfit(&files, &ledger)? {
                self.notes
                    .insert(format!("{} is made anew: {why}", database.name));
                old.insert(database.name.clone());
            }
        }
        debug_assert!(old.iter().all(|name| names::parse(name).is_some()));
        Ok(old)
    }

    /// Why a database does not go together with this commit's files.
    fn misfit(&self, files: &Files, ledger: &Ledger) -> anyhow::Result<Option<String>> {
        let baseline = files.baseline.as_ref().filter(|file| {
            let known = ledger.hashes.get(&file.name);
            known.is_some_and(|hash| *hash != file.hash)
        });
        let refused = migrations::pending(files, ledger, &self.release, self.started).err();
        let edited = baseline.map(|file| format!("`{}` was edited", file.name));
        match (self.reset(), refused) {
            (DataReset::Never, Some(fail)) => Err(fail
                .fix("or add `--reset-data`: the preview's database is then made anew")
                .into()),
            (DataReset::Never, None) => Ok(None),
            (_, refused) => Ok(edited.or(refused.map(|fail| fail.what))),
        }
    }

    /// Applies what is pending. A lost answer is no failure: the ledger tells what is done.
    fn migrate(&mut self, database: &Database, files: &Files) -> anyhow::Result<()> {
        for round in 1.. {
            let ledger = migrations::read_ledger(database)?;
            let todo = migrations::pending(files, &ledger, &self.release, self.started)?;
            if todo.is_empty() {
                break;
            }
            if !ledger.has_ledger {
                // Another table than wrangler's default one, which every marked database has.
                database.create_tables()?;
            }
            let outcome = self.attempt(&migrate::plan(STAGE, database, &todo));
            if outcome.ok() || round == ROUNDS_MAX || !lost_only(&outcome) {
                self.settle(outcome)?;
            } else {
                self.keep(outcome.repaired());
            }
        }
        Ok(())
    }

    /// Uploads a version of every worker; one that this very commit and content has already is taken up.
    pub fn upload(&mut self) -> anyhow::Result<()> {
        for index in 0..self.pieces.len() {
            self.pieces[index].digest = self.digest(index)?;
        }
        for round in 1.. {
            for piece in &mut self.pieces {
                piece.decide(&self.subject.commit);
            }
            let plan = self.upload_plan()?;
            let outcome = self.attempt(&plan);
            for piece in &mut self.pieces {
                let output = outcome.output(&format!("upload {}", piece.name()));
                if let Some(id) = output.and_then(|output| output["version_id"].as_str()) {
                    piece.version = Some(id.to_owned());
                    piece.uploaded = true;
                }
            }
            let complete = self.pieces.iter().all(|piece| piece.version.is_some());
            if (outcome.ok() && complete) || round == ROUNDS_MAX || !lost_only(&outcome) {
                return self.settle(outcome);
            }
            // An upload whose answer was lost may be there: look before uploading again.
            self.keep(outcome.repaired());
            self.refresh()?;
        }
        Ok(())
    }

    fn digest(&self, index: usize) -> anyhow::Result<String> {
        let piece = &self.pieces[index];
        let mut content = derive::content(&piece.rewired.config, piece.script());
        // Whoever is bound to the objects of a Worker that was made anew has to be uploaded again.
        let created = self.found.created(&content);
        content["bound to"] = serde_json::json!(created);
        let effective = piece.effective.as_ref();
        let assets = effective.and_then(|effective| {
            let folder = effective.config["assets"]["directory"].as_str()?;
            Some(derive::join(&effective.dir, folder))
        });
        let secrets = piece.secrets.iter();
        let secrets: Vec<(&str, &str)> = secrets
            .filter_map(|name| Some((name.as_str(), self.target.env.var(name)?)))
            .collect();
        digest::content(&digest::Content {
            bundle: &self.folder().join("build").join(piece.name()),
            assets: assets.as_deref().filter(|folder| folder.is_dir()),
            config: &content,
            secrets: &secrets,
        })
    }

    fn upload_plan(&self) -> anyhow::Result<Plan> {
        let mut plan = Plan::new(STAGE);
        for piece in &self.pieces {
            let id = format!("upload {}", piece.name());
            let goal = format!("upload the preview of {}", piece.name());
            if piece.version.is_some() {
                let step = Step::new("upload", &id, goal, Action::Nothing).worker(piece.name());
                plan.push(step.done("this commit's version is there already"));
                continue;
            }
            let Some(effective) = &piece.effective else {
                anyhow::bail!("{} is uploaded before it was built", piece.name());
            };
            let account = self.target.cloudflare.account();
            let folder = self.folder().join("derived").join(piece.name());
            let config = derive::upload_config(
                &piece.rewired.config,
                piece.script(),
                (&effective.dir, &folder),
                account,
                true,
            );
            let path = folder.join("wrangler.json");
            self.write(&path, &serde_json::to_string_pretty(&config)?)?;
            let command = self.wrangler.upload_version(&Upload {
                worker: piece.worker,
                label: &format!("{}-{}", piece.name(), self.subject.key.suffix()),
                config: &path,
                tsconfig: derive::tsconfig(&piece.rewired.config, &effective.dir),
                tag: &self.release,
                message: &piece.message(&self.subject.commit),
                secrets: piece.secrets.clone(),
            });
            let step =
                Step::new("upload", &id, goal, Action::Command(command)).worker(piece.name());
            plan.push(step.timeout(self.source.pipeline.deploy.upload_timeout));
        }
        Ok(plan)
    }

    /// Has the versions answer.
    pub fn serve(&mut self) -> anyhow::Result<()> {
        let cloud = &self.target.cloudflare;
        let plan = plans::serve(
            cloud,
            &self.levels,
            &self.pieces,
            &self.release,
            &self.tags(),
        );
        self.run(&plan)
    }
}

/// True when every failure is one of the cloud's or the line's, which the same request may not meet again.
fn lost_only(outcome: &Outcome) -> bool {
    !outcome.interrupted
        && outcome
            .failures()
            .all(|step| step.exit == Some(Exit::Remote))
}
