//! What a release writes before anybody can see it: migrations behind a restore point, and versions without traffic.
//! Each phase is planned anew from what is live when an answer was lost.

use anyhow::Context as _;

use crate::derive;
use crate::error::{Exit, exit_of};
use crate::live;
use crate::migrate::{Done, Migrator, Subject};
use crate::plan::{Action, Command, Plan, Step};
use crate::run::Outcome;
use crate::stages::deploy::part::{Part, version_message};
use crate::stages::deploy::plans::{self, STAGE};
use crate::stages::deploy::release::{Release, short};
use crate::tools::wrangler::{Upload, Wrangler};

/// How often a phase whose requests got lost is planned anew from what is live.
const ROUNDS_MAX: usize = 3;

impl Release<'_> {
    /// Tries pending migrations on a copy; what would fail or lose data is refused before anything is built.
    pub fn rehearse(&mut self) -> anyhow::Result<()> {
        let mut done = std::mem::take(&mut self.migrated);
        let subjects: Vec<Subject<'_>> = self.subjects().collect();
        let result = self.migrator().rehearse(&subjects, &mut done);
        self.take(done);
        result
    }

    /// Applies pending migrations behind a restore point.
    pub fn migrate(&mut self) -> anyhow::Result<()> {
        let mut done = std::mem::take(&mut self.migrated);
        let migrator = self.migrator();
        let mut databases = self.databases.iter();
        let result =
            databases.try_for_each(|(database, files)| migrator.up(database, files, &mut done));
        self.take(done);
        result
    }

    /// What brings this release's databases forward.
    pub(super) fn migrator(&self) -> Migrator<'_> {
        Migrator {
            ctx: self.ctx,
            target: self.target,
            stage: STAGE,
            release: &self.id,
            up_to: None,
            serving: self.previous.as_ref().map(|record| &*record.id),
        }
    }

    /// The databases with their ledgers.
    pub(super) fn subjects(&self) -> impl Iterator<Item = Subject<'_>> {
        self.databases
            .iter()
            .zip(&self.ledgers)
            .map(|((database, files), ledger)| Subject {
                database,
                files,
                ledger,
            })
    }

    fn take(&mut self, mut done: Done) {
        if let Some(outcome) = done.outcome.take() {
            self.keep(outcome);
        }
        self.warnings.append(&mut done.warnings);
        self.migrated = done;
    }

    /// Takes the databases back after a failure, unless something of the release still serves: it may need them.
    pub fn restore(&mut self, error: anyhow::Error) -> anyhow::Error {
        if exit_of(&error) == Exit::Partial {
            self.warnings.push(
                "the database was not restored: not everything could be put back, and what serves may need it"
                    .to_owned(),
            );
            return error;
        }
        // A Ctrl-C may have got us here; the way back is gone all the same.
        self.ctx.interrupt.reset();
        let databases = self.databases.iter().map(|(database, _)| database);
        let restored = self.migrated.restore(&self.ctx.state(), databases);
        self.warnings.append(&mut self.migrated.warnings);
        match restored {
            Ok(()) => error,
            Err(failed) => failed.context(format!("{error}; and then")),
        }
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
                self.keep(match failed {
                    true => outcome.repaired(),
                    false => outcome,
                });
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
                self.keep(outcome);
                return Ok(());
            }
            if round == ROUNDS_MAX || !lost_only(&outcome) {
                return Err(self.stop(outcome).into());
            }
            // An upload whose answer was lost may be there: look before uploading again.
            self.keep(outcome.repaired());
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
        command: impl Fn(&Wrangler, &Upload<'_>) -> Command,
    ) -> anyhow::Result<Command> {
        let Some(effective) = &part.effective else {
            anyhow::bail!("{} is uploaded before it was built", part.name());
        };
        let folder = self.ctx.state().join("derived").join(part.name());
        let config = folder.join("wrangler.json");
        let account = self.target.cloudflare.account();
        let workers_dev = part.live.triggers.workers_dev;
        let derived = derive::upload_config(
            &effective.config,
            part.script(),
            (&effective.dir, &folder),
            account,
            workers_dev,
        );
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
        std::fs::write(&config, serde_json::to_string_pretty(&derived)?)
            .with_context(|| format!("failed to write {}", config.display()))?;
        let built = self.outcome.as_ref();
        let built = built.and_then(|outcome| outcome.output(&format!("build {}", part.name())));
        let gzip = built.and_then(|output| output["gzip_bytes"].as_u64());
        let message = version_message(&self.commit, gzip, &part.digest);
        Ok(command(
            &self.wrangler,
            &Upload {
                worker: part.worker,
                label: part.name(),
                config: &config,
                tsconfig: derive::tsconfig(&effective.config, &effective.dir),
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
}

/// True when every failure is one of the cloud's or the line's, which the same request may not meet again.
fn lost_only(outcome: &Outcome) -> bool {
    !outcome.interrupted
        && outcome
            .failures()
            .all(|step| step.exit == Some(Exit::Remote))
}
