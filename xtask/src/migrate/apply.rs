//! Applies pending files, one after the other: each is one atomic request together with its ledger rows, so that a run
//! killed anywhere leaves schema and ledger in agreement. A lost answer is no failure: the ledger tells what is done.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::Done;
use super::rehearsal::{self, Guard};
use crate::context::Ctx;
use crate::error::{Exit, Fail};
use crate::ledger::Database;
use crate::ledger::migrations::{self, Apply, Files, Ledger};
use crate::plan::{Action, Plan, Rest, Step};
use crate::run::{Io, Outcome, Runner, Status};
use crate::target::Target;
use crate::tools::cloudflare::Call;

/// How often a phase whose requests got lost is planned anew from what is live.
const ROUNDS_MAX: usize = 3;
/// What Cloudflare answers when SQLite refuses a statement.
const SQL_REFUSED: i64 = 7500;

/// Brings databases forward for one run.
pub struct Migrator<'a> {
    /// The run's surroundings.
    pub ctx: &'a Ctx,
    /// The cloud.
    pub target: &'a Target,
    /// The verb the steps belong to.
    pub stage: &'static str,
    /// What the ledger names as the one that applied them.
    pub release: &'a str,
    /// Nothing numbered above it is applied, nor the seed while something is left.
    pub up_to: Option<u64>,
    /// The release that is live.
    pub serving: Option<&'a str>,
}

/// The steps that apply files.
pub fn plan(stage: &str, database: &Database, todo: &[Apply]) -> Plan {
    guarded(stage, database, todo, &BTreeMap::new())
}

/// The same with what counts the rows around each file.
fn guarded(
    stage: &str,
    database: &Database,
    todo: &[Apply],
    guards: &BTreeMap<String, Guard>,
) -> Plan {
    let mut plan = Plan::new(stage);
    let mut last: Option<String> = None;
    for apply in todo {
        let id = step_id(apply);
        let goal = format!("apply {} to {}", apply.name, database.name);
        let guard = guards.get(&apply.name).cloned().unwrap_or_default();
        let sql = apply.request(&guard.before, &guard.after);
        // Not repeatable: after a lost answer the ledger is read to see whether it was applied.
        let rest = Rest {
            repeatable: false,
            ..Rest::set("POST", database.query_path(), json!({ "sql": sql }))
        };
        let step = Step::new("migrate", &id, goal, Action::Rest(rest)).needs(last);
        last = Some(id);
        plan.push(step);
    }
    plan
}

impl Migrator<'_> {
    /// What is still to be applied to a database, by its ledger.
    pub fn pending(&self, database: &Database, files: &Files) -> anyhow::Result<Vec<Apply>> {
        self.pending_by(files, &migrations::read_ledger(database)?)
    }

    /// As [`Migrator::pending`], by a ledger that was read already.
    pub fn pending_by(&self, files: &Files, ledger: &Ledger) -> anyhow::Result<Vec<Apply>> {
        let todo = migrations::pending(files, ledger, self.release, SystemTime::now())?;
        let Some(limit) = self.up_to else {
            return Ok(todo);
        };
        let above = |apply: &Apply| {
            apply.kind == "migration" && migrations::number(&apply.name) > Some(limit)
        };
        let cut = todo.iter().any(above);
        let wanted = |apply: &Apply| !(above(apply) || cut && apply.kind == "seed");
        Ok(todo.into_iter().filter(wanted).collect())
    }

    /// Applies everything pending behind a restore point.
    pub fn up(&self, database: &Database, files: &Files, done: &mut Done) -> anyhow::Result<()> {
        let mut before: Vec<Apply> = Vec::new();
        for round in 1.. {
            let ledger = migrations::read_ledger(database)?;
            let todo = self.pending_by(files, &ledger)?;
            // A file whose answer was lost is there when it is no longer pending.
            let arrived = before.iter().filter(|one| !names(&todo, one));
            arrived.for_each(|apply| note(database, apply, done));
            if todo.is_empty() {
                done.schema.insert(database.name.clone(), ledger.applied);
                break;
            }
            if !ledger.has_ledger {
                // The one that keeps the lease has the tables by now; others are met here first.
                database.create_tables()?;
            }
            if !done.restore_points.contains_key(&database.name) {
                let bookmark = database.bookmark()?;
                done.restore_points.insert(database.name.clone(), bookmark);
            }
            let outcome = self.ctx.run(
                &guarded(self.stage, database, &todo, &done.guards(&database.name)),
                &Sql {
                    target: self.target,
                },
            );
            note_applied(database, &todo, &outcome, done);
            let stop = (!outcome.ok() && (round == ROUNDS_MAX || !lost_only(&outcome)))
                .then(|| failure(&outcome));
            let outcome = match &stop {
                Some(_) => outcome,
                None => outcome.repaired(),
            };
            outcome.add_to(&mut done.outcome);
            if let Some(fail) = stop {
                let fail = done.explain(&database.name, fail);
                if let Err(error) = done.note_losses(database) {
                    done.warnings
                        .push(format!("what was lost could not be read: {error:#}"));
                }
                return Err(fail.into());
            }
            before = todo;
        }
        done.note_losses(database)
    }
}

fn step_id(apply: &Apply) -> String {
    format!("{} {}", apply.kind, apply.name)
}

fn note_applied(database: &Database, todo: &[Apply], outcome: &Outcome, done: &mut Done) {
    for apply in todo {
        let step = outcome.step(&step_id(apply));
        if step.is_some_and(|step| step.status == Status::Passed) {
            note(database, apply, done);
        }
    }
}

fn note(database: &Database, apply: &Apply, done: &mut Done) {
    if done
        .applied
        .insert(apply.name.clone(), apply.kind)
        .is_none()
    {
        let files = done.files.entry(database.name.clone()).or_default();
        files.push(apply.name.clone());
    }
}

fn names(todo: &[Apply], one: &Apply) -> bool {
    todo.iter().any(|apply| apply.name == one.name)
}

pub(super) fn failure(outcome: &Outcome) -> Fail {
    let exit = outcome.exit().unwrap_or(Exit::Remote);
    if outcome.interrupted {
        return Fail::new(exit, "the run was interrupted");
    }
    let failed: Vec<&str> = outcome.failures().map(|step| &*step.goal).collect();
    Fail::new(exit, format!("failed to {}", failed.join(", ")))
}

/// True when every failure is one of the cloud's or the line's, which the same request may not meet again.
fn lost_only(outcome: &Outcome) -> bool {
    !outcome.interrupted
        && outcome
            .failures()
            .all(|step| step.exit == Some(Exit::Remote))
}

/// Sends the requests. What SQLite refuses is the file's fault, not the cloud's.
struct Sql<'a> {
    target: &'a Target,
}

impl Runner for Sql<'_> {
    fn exec(&self, step: &Step, _: &Io) -> anyhow::Result<Value> {
        let Action::Rest(rest) = &step.action else {
            return Ok(Value::Null);
        };
        let call = Call {
            method: "POST",
            path: rest.path.clone(),
            body: rest.body.clone(),
            repeatable: rest.repeatable,
        };
        match self.target.cloudflare.call(&call)? {
            Ok(_) => Ok(Value::Null),
            Err(error) if error.says(&[SQL_REFUSED]) => {
                if let Some(said) = rehearsal::said(&error.message) {
                    return Err(Fail::check("the file loses rows that the rehearsal did not see going")
                        .why(said)
                        .why("nothing of it was applied")
                        .fix("find the statement that drops them: a trigger, a SELECT that leaves some out")
                        .into());
                }
                Err(Fail::check("the database refused the file")
                    .why(error.message)
                    .why("nothing of it was applied")
                    .into())
            }
            Err(error) => Err(Fail::from(error).into()),
        }
    }
}
