//! What is refused before anything is made, and what is said at once.

use serde_json::Value;

use crate::config::{DataReset, MissingSecrets};
use crate::error::Fail;
use crate::ledger::{Database, migrations};
use crate::live;
use crate::preview::Key;
use crate::stages::deploy::part::size_told;
use crate::stages::preview::making::Making;
use crate::stages::preview::piece::Piece;

/// Said in the terminal, in the summary and in the comment.
pub const SHARED_WARNING: &str = "this preview works on PRODUCTION'S DATA (`data = \"shared\"`): whatever is written in it is written to production";

impl Making<'_> {
    /// Refuses what must not be previewed. Nothing has been changed yet.
    pub fn check(&mut self) -> anyhow::Result<()> {
        if self.target.workers_dev_suffix.starts_with("..") {
            return Err(Fail::setup("the account has no workers.dev subdomain")
                .why("a preview answers at <worker>.<subdomain>.workers.dev")
                .fix("choose one at https://dash.cloudflare.com/?to=/:account/workers")
                .into());
        }
        self.check_quota()?;
        for piece in &self.pieces {
            self.found
                .check_ours(piece.script(), self.subject.key, &self.repo)?;
        }
        self.check_objects()?;
        self.check_secrets()?;
        let configs: Vec<(String, Value)> = self
            .source
            .workers
            .iter()
            .filter(|worker| {
                self.twin
                    .workers
                    .iter()
                    .any(|twin| twin.name == worker.name)
            })
            .map(|worker| (worker.name.clone(), worker.config.raw.clone()))
            .collect();
        let rewired = self.rewire_all(&configs)?;
        // Shown by a dry run, and said again after the build with the configs it made.
        for (piece, rewired) in self.pieces.iter_mut().zip(rewired) {
            piece.rewired = rewired;
        }
        self.on_deploy = self.migrations_on_deploy()?;
        self.take_production_sizes()?;
        self.warn();
        Ok(())
    }

    fn check_quota(&self) -> Result<(), Fail> {
        let max = self.source.pipeline.preview.max;
        let others: Vec<Key> = self
            .found
            .previews(&self.repo)
            .into_iter()
            .filter(|key| *key != self.subject.key)
            .collect();
        if max == 0 || (others.len() as u64) < max {
            return Ok(());
        }
        let shown: Vec<String> = others.iter().map(|key| key.suffix()).collect();
        Err(Fail::setup(format!(
            "there are {} previews already, and `preview.max` is {max}",
            others.len()
        ))
        .why(shown.join(", "))
        .fix("cargo xtask cleanup --stale   (removes those of closed pull requests)")
        .fix("or raise `max` under [preview] in pipeline.toml"))
    }

    /// Durable Objects of a preview are lost when their migrations changed: said, or refused when data is to be kept.
    fn check_objects(&mut self) -> Result<(), Fail> {
        let renewed: Vec<&str> = self
            .pieces
            .iter()
            .filter(|piece| piece.renew)
            .map(Piece::name)
            .collect();
        if renewed.is_empty() {
            return Ok(());
        }
        let what = format!(
            "the Durable Object migrations of {} have changed since its preview was made",
            renewed.join(", ")
        );
        if self.reset() == DataReset::Never {
            return Err(Fail::check(what)
                .why("its preview would have to be made anew, and `data_reset` is \"never\"")
                .fix("add `--reset-data`"));
        }
        self.notes
            .insert(format!("{what}: it is made anew, its objects are lost"));
        Ok(())
    }

    fn check_secrets(&mut self) -> Result<(), Fail> {
        let missing: Vec<(String, Vec<String>)> = self
            .pieces
            .iter()
            .map(|piece| (piece.name(), piece.missing_secrets()))
            .filter(|(_, missing)| !missing.is_empty())
            .map(|(name, missing)| {
                (
                    name.to_owned(),
                    missing.into_iter().map(str::to_owned).collect(),
                )
            })
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = missing
            .iter()
            .map(|(name, missing)| {
                format!(
                    "the preview of {name} has no {}: set nowhere",
                    missing.join(", ")
                )
            })
            .collect();
        if self.source.pipeline.preview.secrets == MissingSecrets::Require {
            let first = &missing[0].1[0];
            return Err(Fail::setup("secrets of the preview are set nowhere, and `preview.secrets` is \"require\"")
                .why(lines.join("\n"))
                .fix(format!("export {first}=…   (in CI: add it to the repository's secrets and to the workflow's env)")));
        }
        self.warnings.extend(lines);
        Ok(())
    }

    fn warn(&mut self) {
        if self.subject.dirty {
            self.warnings
                .push("the preview is made from uncommitted changes".to_owned());
        }
        if self.shared() {
            self.warnings.push(SHARED_WARNING.to_owned());
            if !self.on_deploy.is_empty() {
                self.warnings.push(format!(
                    "production's database lacks {}: code that needs it fails in this preview",
                    self.on_deploy.join(", ")
                ));
            }
        }
    }

    /// What a deploy of this commit would apply to production's databases.
    fn migrations_on_deploy(&mut self) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        if !self.target.reachable {
            return Ok(names);
        }
        let databases = self.source.pipeline.databases.iter();
        for (database, (id, files)) in databases.zip(&mut self.files) {
            let production = Database::of(&self.target.cloudflare, database, id);
            let ledger = migrations::read_ledger(&production)?;
            files.history = ledger.applied.iter().cloned().collect();
            match migrations::pending(files, &ledger, &self.release, self.started) {
                Ok(todo) => names.extend(
                    todo.into_iter()
                        .filter(|apply| apply.kind != "seed")
                        .map(|apply| apply.name),
                ),
                Err(fail) => names.push(format!("none: a deploy would refuse, as {}", fail.what)),
            }
        }
        Ok(names)
    }

    /// What the versions that serve production tell of their size.
    fn take_production_sizes(&mut self) -> anyhow::Result<()> {
        let scripts: Vec<String> = self
            .pieces
            .iter()
            .filter_map(|piece| {
                let mut workers = self.source.workers.iter();
                let worker = workers.find(|worker| worker.name == piece.name())?;
                Some(worker.config.name.clone())
            })
            .collect();
        if !self.target.reachable {
            return Ok(());
        }
        let lives = live::read_all(&self.target.cloudflare, &scripts)?;
        for (piece, live) in self.pieces.iter_mut().zip(&lives) {
            let serving = live.serving().and_then(|id| live.version(id));
            let message = serving.and_then(|version| version.message.as_deref());
            piece.size_of_production = message.and_then(size_told);
        }
        Ok(())
    }
}
