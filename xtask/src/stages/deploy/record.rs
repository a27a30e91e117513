//! What a release leaves behind: its record, its report, and the text of a dry run.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::error::{Exit, Fail, exit_of};
use crate::ledger::releases::{self, Record, Status};
use crate::live;
use crate::migrate;
use crate::plan::{Action, Plan, Step};
use crate::report::{Report, Table};
use crate::stages::deploy::part::{Change, Part};
use crate::stages::deploy::plans::{self, STAGE};
use crate::stages::deploy::release::{Release, holder, short};
use crate::stages::deploy::{serving, triggers};
use crate::watch;

impl Release<'_> {
    /// Writes the record of a release that serves. Not needed when nothing changed and the record is there.
    pub fn record(&mut self) -> anyhow::Result<()> {
        self.record_live().map_err(|error| {
            Fail::partial(format!(
                "the release {} serves, but its record could not be written",
                self.id
            ))
            .why(format!("{error:#}"))
            .fix("run the same deploy again: it uploads nothing and writes the record")
            .into()
        })
    }

    fn record_live(&mut self) -> anyhow::Result<()> {
        let versions = self.versions()?;
        let known = self.previous.as_ref().is_some_and(|record| {
            let same = |(script, triggers): (&String, &live::Triggers)| {
                let recorded = record.triggers.get(script);
                recorded.is_some_and(|recorded| triggers.are_as(recorded))
            };
            record.versions == versions && self.all_triggers().iter().all(same)
        });
        if known && self.migrated.applied.is_empty() {
            return Ok(());
        }
        let record = self.make_record(Status::Live, versions)?;
        self.save(&record)?;
        self.recorded = true;
        Ok(())
    }

    /// Writes the record of a release that failed. The release's own error matters more than one of this.
    pub fn record_failure(&mut self, partial: bool) {
        let status = if partial {
            Status::Partial
        } else {
            Status::RolledBack
        };
        let versions = self
            .parts
            .iter()
            .filter_map(|part| Some((part.script().to_owned(), part.version.clone()?)));
        let versions = versions.collect();
        let saved = self
            .make_record(status, versions)
            .and_then(|record| self.save(&record));
        if let Err(error) = saved {
            self.warnings.push(format!(
                "the failed release could not be recorded: {error:#}"
            ));
        }
    }

    fn make_record(
        &self,
        status: Status,
        versions: BTreeMap<String, String>,
    ) -> anyhow::Result<Record> {
        let number = match self.databases.first() {
            Some((database, _)) => releases::next_number(database)?,
            None => 1,
        };
        let who = holder(self.ctx, &self.id);
        let by_script = |value: &dyn Fn(&Part<'_>) -> Option<String>| -> BTreeMap<String, String> {
            self.parts
                .iter()
                .filter_map(|part| Some((part.script().to_owned(), value(part)?)))
                .collect()
        };
        Ok(Record {
            id: self.id.clone(),
            number,
            created_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            sha: self.head.sha.clone(),
            author: self.head.author.clone(),
            status,
            versions,
            previous: by_script(&|part| part.base.clone()),
            bookmark: self.restore_point(),
            migrations: self.migration_hashes(),
            secrets: self
                .parts
                .iter()
                .map(|part| (part.script().to_owned(), part.worker.secrets.clone()))
                .collect(),
            digests: by_script(&|part| Some(part.digest.clone())),
            subject: self.head.subject.clone(),
            by: who.name,
            run_url: who.run_url,
            triggers: self.all_triggers(),
            schema: self.migrated.schema.clone(),
            losses: self.migrated.losses.clone(),
            restore_points: self.migrated.restore_points.clone(),
            failed: self.failed_steps(),
            rollback: None,
        })
    }

    /// The restore point of the database that keeps the ledger.
    fn restore_point(&self) -> Option<String> {
        let (database, _) = self.databases.first()?;
        self.migrated.restore_points.get(&database.name).cloned()
    }

    /// Script → what calls it with this release. Workers that are no part of it keep what the last record says.
    fn all_triggers(&self) -> BTreeMap<String, live::Triggers> {
        let mut triggers = self
            .previous
            .as_ref()
            .map(|record| record.triggers.clone())
            .unwrap_or_default();
        let own = self.parts.iter();
        triggers.extend(own.map(|part| (part.script().to_owned(), part.wanted.clone())));
        triggers
    }

    /// `failed to …: why`, one line for each step that failed.
    fn failed_steps(&self) -> Vec<String> {
        self.outcome
            .iter()
            .flat_map(crate::run::Outcome::failed_lines)
            .collect()
    }

    fn save(&self, record: &Record) -> anyhow::Result<()> {
        if let Some((database, _)) = self.databases.first() {
            releases::save(database, record)?;
        }
        releases::save_file(&self.ctx.root, record)
    }

    fn migration_hashes(&self) -> BTreeMap<String, String> {
        let files = self.databases.iter().flat_map(|(_, files)| {
            files
                .baseline
                .iter()
                .chain(&files.migrations)
                .chain(&files.seed)
        });
        files
            .filter(|file| self.migrated.applied.contains_key(&file.name))
            .map(|file| (file.name.clone(), file.hash.clone()))
            .collect()
    }

    /// Script → version that serves now, for all workers of the repo, shipped by this run or not.
    fn versions(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let mut versions = BTreeMap::new();
        for worker in &self.workspace.workers {
            let script = &worker.config.name;
            let shipped = self
                .parts
                .iter()
                .find(|part| part.script() == script)
                .and_then(|part| part.version.clone());
            let version = match shipped {
                Some(version) => Some(version),
                None => live::read_split(&self.target.cloudflare, script)?
                    .into_iter()
                    .max_by_key(|(_, share)| *share)
                    .map(|(id, _)| id),
            };
            versions.extend(version.map(|id| (script.clone(), id)));
        }
        Ok(versions)
    }

    /// Everything a reader wants to know at the end.
    pub fn report(&mut self, ending: anyhow::Result<()>) -> anyhow::Result<Report> {
        let mut report = match &self.outcome {
            Some(outcome) => Report::new(STAGE, outcome),
            None => Report::empty(STAGE),
        };
        for warning in &self.warnings {
            report.warn(warning);
        }
        for note in &self.notes {
            report.fact("note", note);
        }
        let uploaded = self.parts.iter().filter(|part| part.changes()).count();
        let last = self.previous.as_ref().map(|record| record.id.clone());
        let is_news =
            ending.is_err() || uploaded > 0 || self.recorded || !self.migrated.applied.is_empty();
        report.release = if is_news { Some(self.id.clone()) } else { last };
        report.fact(
            "commit",
            format!("{} {}", short(&self.head.sha), self.head.subject),
        );
        for (database, bookmark) in &self.migrated.restore_points {
            report.fact("restore point", format!("{bookmark} of {database}"));
        }
        match &ending {
            Ok(()) if uploaded == 0 => {
                let steps = self.outcome.iter().flat_map(|outcome| &outcome.steps);
                let what = match steps.filter(|step| step.group == "triggers").count() {
                    0 => "nothing",
                    _ => "only triggers",
                };
                report.fact("result", format!("{what} changed: no version was uploaded"));
            }
            Ok(()) => report.fact(
                "result",
                format!("{uploaded} of {} workers changed", self.parts.len()),
            ),
            Err(error) => report.fact(
                "result",
                error
                    .to_string()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            ),
        }
        report.tables.extend(self.migrated.table());
        report.tables.push(match &ending {
            Ok(()) => self.workers_table(),
            Err(error) => self.serving_table(exit_of(error) == Exit::Partial),
        });
        report.tables.extend(self.seen.table());
        if let Err(error) = ending {
            self.ctx.fail(&mut report, error)?;
        }
        Ok(report)
    }

    fn workers_table(&self) -> Table {
        let mut table = Table::new("workers", &["worker", "version", "change", "url"]);
        for part in &self.parts {
            let version = part.version.as_deref().or(part.base.as_deref());
            let url = self.shown_url(part, &part.wanted);
            table.row([part.name(), version.map_or("-", short), word(part), &url]);
        }
        table
    }

    /// Not what was meant: what is there.
    fn serving_table(&self, part_way: bool) -> Table {
        let mut table = Table::new("workers", &["worker", "version", "change", "url"]);
        let now = serving::look(&self.target.cloudflare, &self.parts, part_way);
        for (part, now) in self.parts.iter().zip(now) {
            // What an interrupted run of this commit put live is known before this one has built anything.
            let (meant, word) = match part.interrupted() {
                true => (part.live.serving(), "promoted"),
                false => (part.version.as_deref(), word(part)),
            };
            let change = now.change(part.base.as_deref(), meant, word);
            let url = self.shown_url(part, now.triggers(part));
            table.row([part.name(), &now.shown(), change, &url]);
        }
        table
    }

    fn shown_url(&self, part: &Part<'_>, triggers: &live::Triggers) -> String {
        let url = self.url(part, triggers);
        url.map_or("-".to_owned(), |url| self.target.shown_url(&url))
    }

    /// Prints what a deploy would do, and does nothing.
    pub fn dry_run(&self) -> anyhow::Result<Report> {
        let (plan, refusals) = self.whole_plan()?;
        self.ctx.show(&plan);
        let mut report = Report::empty(STAGE);
        report.release = Some(self.id.clone());
        for refusal in refusals {
            report.fail(refusal.exit as u8);
            self.ctx.ui.error(&refusal.into());
        }
        Ok(report)
    }

    /// Every phase in one plan, with names where ids are only known later; and why it would be refused half-way.
    pub fn whole_plan(&self) -> anyhow::Result<(Plan, Vec<Fail>)> {
        let cloud = &self.target.cloudflare;
        let health = &self.workspace.pipeline.health;
        let mut parts = self.parts.clone();
        for part in &mut parts {
            part.version = Some(format!("(new version of {})", part.name()));
            part.base = part.base.clone().or(Some("(placeholder)".to_owned()));
            if part.migration_pending() {
                part.change = Change::Immediate;
            }
        }
        let mut plan = Plan::new(STAGE);
        plan.notes = plans::notes(&parts);
        if !self.target.reachable {
            plan.notes.push(
                "the local cloud is not running or does not know this repo yet: planned as the first deploy to an empty account"
                    .to_owned(),
            );
        }
        plan.notes.push("a worker whose content is live already is neither uploaded nor promoted; the build tells".to_owned());
        let refusals = self.plan_databases(&mut plan)?;
        plan.then(plans::create(cloud, self.workspace, &parts));
        let mut uploads = Plan::new(STAGE);
        for part in parts.iter().filter(|part| part.staged()) {
            let goal = format!("upload a version of {}", part.name());
            let step = Step::new(
                "upload",
                format!("upload {}", part.name()),
                goal,
                Action::Nothing,
            );
            uploads.push(step.worker(part.name()));
        }
        plan.then(uploads);
        let url = |part: &Part<'_>, triggers: &live::Triggers| self.url(part, triggers);
        let wanted = parts
            .iter()
            .map(|part| (part, part.live.triggers.clone(), part.wanted.clone()));
        let phases = [
            plans::stage(cloud, &parts, &self.id),
            plans::smoke(&parts, health, &self.id, url),
            plans::promote(cloud, &self.levels, &parts, &self.id, 100),
            triggers::triggers(cloud, "triggers", wanted),
            plans::verify(&parts, health, &self.id, url),
        ];
        let limits = &self.workspace.pipeline.watch;
        let window = watch::window(self.options.watch, limits);
        let watched = window.map(|window| watch::plan(STAGE, window));
        for phase in phases.into_iter().chain(watched) {
            plan.then(phase);
        }
        Ok((plan, refusals))
    }

    /// The rehearsals, the builds between them and the files, and the files.
    fn plan_databases(&self, plan: &mut Plan) -> anyhow::Result<Vec<Fail>> {
        let migrator = self.migrator();
        let mut refusals = Vec::new();
        let mut files = Vec::new();
        for subject in self.subjects() {
            let todo = migrator.pending_by(subject.files, subject.ledger)?;
            if let Some(tried) = migrator.try_out(&subject)? {
                plan.push(tried.step);
                plan.notes.extend(tried.notes);
                refusals.extend(tried.refusal);
            }
            files.push(migrate::plan(STAGE, subject.database, &todo));
        }
        plan.then(self.build_plan());
        files.into_iter().for_each(|phase| plan.then(phase));
        Ok(refusals)
    }
}

/// What happens to a worker, in a word.
fn word(part: &Part<'_>) -> &'static str {
    match &part.change {
        Change::Unchanged => "unchanged",
        Change::Reuse(_) => "promoted",
        Change::Upload if part.is_new() => "new",
        Change::Upload => "uploaded",
        Change::Immediate => "deployed",
    }
}
