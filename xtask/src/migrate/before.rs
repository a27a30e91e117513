//! The step in front of the first file: what is pending is rehearsed on a copy, one step per database.

use std::sync::Mutex;

use serde_json::Value;

use super::rehearsal::{self, Rehearsal};
use super::{Done, Migrator};
use crate::error::Fail;
use crate::findings;
use crate::ledger::Database;
use crate::ledger::migrations::{Apply, Files, Ledger};
use crate::plan::{Action, Plan, Step};
use crate::run::{Io, Runner};

/// A database with its files, and its ledger as it was just read.
pub struct Subject<'a> {
    /// The database.
    pub database: &'a Database,
    /// Its files.
    pub files: &'a Files,
    /// What it says it has.
    pub ledger: &'a Ledger,
}

/// What a dry run shows of a rehearsal.
pub struct TriedOut {
    /// The step it stands for.
    pub step: Step,
    /// What is lost, and what a reader should know.
    pub notes: Vec<String>,
    /// Why the run would be refused.
    pub refusal: Option<Fail>,
}

impl Migrator<'_> {
    /// Tries everything pending on copies. Refuses what would fail, and what loses data without saying why.
    pub fn rehearse(&self, subjects: &[Subject<'_>], done: &mut Done) -> anyhow::Result<()> {
        let mut plan = Plan::new(self.stage);
        let mut work = Vec::new();
        for subject in subjects {
            if let Some(todo) = self.to_rehearse(subject)? {
                let step = self.rehearsal_step(subject.database);
                work.push((step.id.clone(), subject.database, subject.files, todo));
                plan.push(step);
            }
        }
        if plan.steps.is_empty() {
            return Ok(());
        }
        let runner = Rehearse {
            migrator: self,
            work,
            found: Mutex::default(),
        };
        let outcome = self.ctx.run(&plan, &runner);
        for rehearsal in runner.into_found() {
            done.warnings.extend(rehearsal.warnings.iter().cloned());
            done.warnings.extend(self.incompatible(&rehearsal));
            done.rehearsals
                .insert(rehearsal.database.clone(), rehearsal);
        }
        let failure = (!outcome.ok()).then(|| super::apply::failure(&outcome));
        outcome.add_to(&mut done.outcome);
        failure.map_or(Ok(()), |fail| Err(fail.into()))
    }

    /// As [`Migrator::rehearse`], for a dry run: the step and what it found; the caller says what that means.
    pub fn try_out(&self, subject: &Subject<'_>) -> anyhow::Result<Option<TriedOut>> {
        let Some(todo) = self.to_rehearse(subject)? else {
            return Ok(None);
        };
        let step = self.rehearsal_step(subject.database);
        let io = Io::new(&step.id, &self.ctx.ui, self.ctx.interrupt.clone());
        let found = self.one(subject.database, subject.files, &todo, &io)?;
        let mut notes = found.notes();
        notes.extend(
            self.incompatible(&found)
                .map(|text| format!("warning: {text}")),
        );
        let refusal = found.whole_refusal();
        Ok(Some(TriedOut {
            step,
            notes,
            refusal,
        }))
    }

    /// What is pending, if there is anything to learn from a rehearsal: an empty database has nothing to lose, and `ci`
    /// has applied the very same files to an empty one.
    fn to_rehearse(&self, subject: &Subject<'_>) -> anyhow::Result<Option<Vec<Apply>>> {
        let todo = self.pending_by(subject.files, subject.ledger)?;
        let empty = !subject.ledger.has_tables && subject.ledger.applied.is_empty();
        Ok((!todo.is_empty() && !empty).then_some(todo))
    }

    fn rehearsal_step(&self, database: &Database) -> Step {
        let goal = format!("rehearse the pending files of {} on a copy", database.name);
        let name = "rehearse".to_owned();
        let id = format!("rehearse {}", database.name);
        Step::new("migrate", id, goal, Action::Task { name })
            .timeout(std::time::Duration::from_secs(300))
    }

    fn one(
        &self,
        database: &Database,
        files: &Files,
        todo: &[Apply],
        io: &Io,
    ) -> anyhow::Result<Rehearsal> {
        rehearsal::rehearse(self.ctx, database, files, todo, self.release, io)
    }

    /// What the live code was made with and the files take away.
    fn incompatible(&self, found: &Rehearsal) -> impl Iterator<Item = String> {
        let serving = match self.serving {
            Some(release) => format!("the release {release}, which is live, was made with it"),
            None => "code that is live may be made with it".to_owned(),
        };
        let database = &found.database;
        found.incompatible.iter().map(move |what| {
            format!(
                "not backward compatible: {what} goes from {database}, and {serving} \
                 (docs/migrate.md#expand-and-contract)"
            )
        })
    }
}

struct Rehearse<'a> {
    migrator: &'a Migrator<'a>,
    work: Vec<(String, &'a Database, &'a Files, Vec<Apply>)>,
    found: Mutex<Vec<Rehearsal>>,
}

impl Rehearse<'_> {
    fn into_found(self) -> Vec<Rehearsal> {
        self.found
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Runner for Rehearse<'_> {
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value> {
        let Some((_, database, files, todo)) = self.work.iter().find(|(id, ..)| *id == step.id)
        else {
            return Ok(Value::Null);
        };
        let found = self.migrator.one(database, files, todo, io)?;
        io.attach(findings::into_output(Value::Null, &found.problems));
        let refusal = found.refusal();
        let losses: usize = found.losses.values().map(Vec::len).sum();
        let plural = if found.files == 1 { "" } else { "s" };
        io.note(&match losses {
            0 => format!("{} file{plural}, nothing is lost", found.files),
            _ => format!("{} file{plural}, with losses", found.files),
        });
        let mut all = self
            .found
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        all.push(found);
        refusal.map_or(Ok(Value::Null), |fail| Err(fail.into()))
    }
}
