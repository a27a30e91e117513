//! `migrate up`: what is pending, under the lease that `deploy` takes, too.

use super::{Action, Options, Run, STAGE, Subject};
use crate::context::Ctx;
use crate::error::{Exit, exit_of};
use crate::ledger::migrations::{Ledger, read_ledger};
use crate::migrate::{self, Done, Migrator};
use crate::plan::Plan;
use crate::report::Report;

/// Applies what is pending.
pub(super) fn up(run: &Run<'_>, subjects: &[Subject], to: Option<u64>) -> anyhow::Result<Report> {
    let ctx = run.ctx;
    let migrator = Migrator {
        ctx,
        target: run.target,
        stage: STAGE,
        release: &run.id,
        up_to: to,
    };
    if ctx.dry_run {
        return dry_run(&migrator, subjects);
    }
    let todo = subjects
        .iter()
        .map(|subject| migrator.pending(&subject.database, &subject.files))
        .collect::<anyhow::Result<Vec<_>>>()?;
    if todo.iter().all(Vec::is_empty) {
        let mut report = Report::empty(STAGE);
        report.fact("result", "nothing is pending");
        return Ok(report);
    }
    let lease = run.lease()?;
    let mut done = Done::default();
    let mut ending = Ok(());
    for subject in subjects {
        ending = migrator.up(&subject.database, &subject.files, &mut done);
        if ending.is_err() {
            break;
        }
    }
    if ending.is_err() && run.options.restores() && !lease.lost() {
        ctx.interrupt.reset();
        done.restore(subjects.iter().map(|subject| &subject.database))?;
    }
    if lease.lost() {
        ending = ending.map_err(|error| {
            error.context("another deploy took the lease over while this one ran")
        });
    }
    let mut report = report(ctx, &run.id, done, ending)?;
    if let Some(notice) = &lease.notice {
        report.warn(notice);
    }
    Ok(report)
}

fn dry_run(migrator: &Migrator<'_>, subjects: &[Subject]) -> anyhow::Result<Report> {
    let mut whole = Plan::new(STAGE);
    for subject in subjects {
        let ledger = match migrator.target.reachable {
            true => read_ledger(&subject.database)?,
            false => Ledger::default(),
        };
        let todo = migrator.pending_by(&subject.files, &ledger)?;
        let plan = migrate::plan(STAGE, &subject.database, &todo);
        whole.then(plan);
    }
    migrator.ctx.show(&whole);
    Ok(Report::empty(STAGE))
}

fn report(
    ctx: &Ctx,
    release: &str,
    done: Done,
    ending: anyhow::Result<()>,
) -> anyhow::Result<Report> {
    let mut report = match &done.outcome {
        Some(outcome) => Report::new(STAGE, outcome),
        None => Report::empty(STAGE),
    };
    report.release = Some(release.to_owned());
    for warning in &done.warnings {
        report.warn(warning);
    }
    for (database, bookmark) in &done.restore_points {
        report.fact(&format!("restore point of {database}"), bookmark);
    }
    report.fact("result", format!("{} files applied", done.applied.len()));
    if let Err(error) = ending {
        if exit_of(&error) == Exit::Bug {
            return Err(error);
        }
        report.fail(exit_of(&error) as u8);
        ctx.ui.error(&error);
    }
    Ok(report)
}

impl Options {
    /// True when a failure takes the database back.
    pub(super) fn restores(&self) -> bool {
        matches!(
            self.action,
            Action::Up {
                restore_on_failure: true,
                ..
            }
        )
    }
}
