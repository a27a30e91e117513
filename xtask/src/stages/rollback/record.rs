//! What a rollback leaves behind: its record, its report, and the text of a dry run.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::error::{Exit, exit_of};
use crate::ledger::lease::Holder;
use crate::ledger::releases::{self, Record, Status};
use crate::live::Triggers;
use crate::plan::Plan;
use crate::report::{Report, Table};
use crate::stages::deploy::part::Part;
use crate::stages::deploy::release::short;
use crate::stages::deploy::serving;
use crate::stages::rollback::facts::{self, Rollback};
use crate::stages::rollback::history::shown;
use crate::stages::rollback::plans::{self, STAGE};
use crate::watch;

/// The fact that names the file of a post-mortem.
pub(super) const POSTMORTEM: &str = "post-mortem";
/// What happened to a worker that serves the target's version.
const ROLLED_BACK: &str = "rolled back";

impl Rollback<'_> {
    /// Writes the record of this rollback, as one that has not ended.
    pub(super) fn begin(&mut self, who: &Holder) -> anyhow::Result<Record> {
        let record = match &self.goal.resumed {
            Some(record) => Record {
                status: Status::Partial,
                ..record.clone()
            },
            None => self.new_record(who)?,
        };
        releases::save(self.database, &record)?;
        Ok(record)
    }

    fn new_record(&self, who: &Holder) -> anyhow::Result<Record> {
        let target = &self.goal.target;
        let mut versions = self.others.clone();
        let mut previous = BTreeMap::new();
        let mut triggers: BTreeMap<String, Triggers> = match &self.goal.from {
            Some(from) => from.triggers.clone(),
            None => BTreeMap::new(),
        };
        for part in &self.parts {
            let script = part.script().to_owned();
            versions.extend(part.version.clone().map(|id| (script.clone(), id)));
            previous.extend(part.base.clone().map(|id| (script.clone(), id)));
            triggers.insert(script, part.wanted.clone());
        }
        // What the databases have when this is over.
        let mut schema = self.applied.clone();
        for restore in &self.restores {
            let name = &restore.database.name;
            if let (Some(names), Some(gap)) = (schema.get_mut(name), self.gaps.get(name)) {
                names.retain(|name| !gap.since.contains(name));
            }
        }
        let selected = self.workspace.select(&self.ctx.only)?;
        Ok(Record {
            id: self.id.clone(),
            number: releases::next_number(self.database)?,
            created_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            sha: target.sha.clone(),
            author: target.author.clone(),
            status: Status::Partial,
            versions,
            previous,
            bookmark: None,
            migrations: BTreeMap::new(),
            losses: BTreeMap::new(),
            secrets: target.secrets.clone(),
            digests: target.digests.clone(),
            subject: target.subject.clone(),
            by: who.name.clone(),
            run_url: who.run_url.clone(),
            triggers,
            schema,
            restore_points: BTreeMap::new(),
            failed: Vec::new(),
            rollback: Some(releases::Rollback {
                to: target.id.clone(),
                from: self
                    .goal
                    .from
                    .as_ref()
                    .map(|from| from.id.clone())
                    .unwrap_or_default(),
                only: facts::only(self.workspace, &selected),
                undo: BTreeMap::new(),
            }),
        })
    }

    pub(super) fn save(&self, record: &Record) -> anyhow::Result<()> {
        releases::save(self.database, record)?;
        releases::save_file(&self.ctx.root, record)
    }

    /// `failed to …: why`, one line for each step that failed.
    pub(super) fn failed_steps(&self) -> Vec<String> {
        self.outcome
            .iter()
            .flat_map(crate::run::Outcome::failed_lines)
            .collect()
    }

    pub(super) fn said(&mut self, name: &str, value: impl Into<String>) {
        self.said.push((name.to_owned(), value.into()));
    }

    /// `#3 (…) → #2 (…)`.
    pub(super) fn way(&self) -> String {
        let from = match &self.goal.from {
            Some(from) if from.id != self.goal.target.id => shown(from),
            _ => "what serves".to_owned(),
        };
        format!("{from} → {}", shown(&self.goal.target))
    }

    /// Everything a reader wants to know at the end.
    pub fn report(&mut self, ending: anyhow::Result<()>) -> anyhow::Result<Report> {
        let mut report = match &self.outcome {
            Some(outcome) => Report::new(STAGE, outcome),
            None => Report::empty(STAGE),
        };
        if self.options.force && !self.gaps.is_empty() {
            self.warnings.push(format!(
                "the schema has changed since #{}; `--force` let its code run on it",
                self.goal.target.number
            ));
        }
        for warning in &self.warnings {
            report.warn(warning);
        }
        for note in &self.notes {
            report.fact("note", note);
        }
        report.release = Some(self.id.clone());
        report.fact("rolled back", self.way());
        let target = &self.goal.target;
        let commit = format!("{} {}", short(&target.sha), target.subject);
        report.fact("commit", commit.trim_end());
        if ending.is_ok() {
            for restore in &self.restores {
                let name = &restore.database.name;
                report.fact("restored", format!("{name} to {}", restore.bookmark));
            }
        }
        for (name, value) in &self.said {
            report.fact(name, value);
            if name == POSTMORTEM {
                report.outputs.push(("postmortem", value.clone()));
            }
        }
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

    fn shown_url(&self, part: &Part<'_>, triggers: &Triggers) -> String {
        let url = self.url(part, triggers);
        url.map_or("-".to_owned(), |url| self.target.shown_url(&url))
    }

    fn workers_table(&self) -> Table {
        let mut table = Table::new("workers", &["worker", "version", "change", "url"]);
        for part in &self.parts {
            let change = match part.version == part.base {
                true => "unchanged",
                false => ROLLED_BACK,
            };
            let version = part.version.as_deref().map_or("-", short);
            let url = self.shown_url(part, &part.wanted);
            table.row([part.name(), version, change, &url]);
        }
        table
    }

    /// Not what was meant: what is there.
    fn serving_table(&self, part_way: bool) -> Table {
        let mut table = Table::new("workers", &["worker", "version", "change", "url"]);
        let now = serving::look(&self.target.cloudflare, &self.parts, part_way);
        for (part, now) in self.parts.iter().zip(now) {
            let change = now.change(part.base.as_deref(), part.version.as_deref(), ROLLED_BACK);
            let url = self.shown_url(part, now.triggers(part));
            table.row([part.name(), &now.shown(), change, &url]);
        }
        table
    }

    /// Prints what a rollback would do, and does nothing.
    pub fn dry_run(&self) -> anyhow::Result<Report> {
        let plan = self.whole_plan();
        self.ctx.show(&plan);
        let mut report = Report::empty(STAGE);
        report.release = Some(self.id.clone());
        Ok(report)
    }

    fn whole_plan(&self) -> Plan {
        let cloud = &self.target.cloudflare;
        let mut plan = Plan::new(STAGE);
        plan.notes.push(self.way());
        plan.notes.extend(self.notes.iter().cloned());
        plan.notes.extend(self.window());
        let parts: Vec<_> = self.parts.iter().collect();
        let message = format!("{} rollback to {}", self.id, self.goal.target.id);
        let words = ("roll back", message.as_str());
        let flips = plans::flips(cloud, &self.levels, &parts, words, |part| {
            part.version.clone()
        });
        let now: Vec<Triggers> = self
            .parts
            .iter()
            .map(|part| part.live.triggers.clone())
            .collect();
        let triggers = plans::triggers(cloud, "triggers", &self.parts, &now, |part| {
            part.wanted.clone()
        });
        let restores: Vec<(String, String)> = self
            .restores
            .iter()
            .map(|restore| (restore.database.name.clone(), restore.bookmark.clone()))
            .collect();
        let mut phases = vec![flips];
        phases.extend(triggers);
        phases.extend([plans::restores(&restores), self.verify_plan()]);
        let window = watch::window(self.options.watch, &self.workspace.pipeline.watch);
        phases.extend(window.map(|window| watch::plan(STAGE, window)));
        for phase in phases {
            plan.then(phase);
        }
        plan
    }
}
