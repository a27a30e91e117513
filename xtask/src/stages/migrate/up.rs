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
    let mut migrator = Migrator {
        ctx,
        target: run.target,
        stage: STAGE,
        release: &run.id,
        up_to: to,
        serving: None,
    };
    let mut serving = None;
    if pending(&migrator, subjects)? {
        serving = run.serving()?;
    } else if !ctx.dry_run {
        let mut report = Report::empty(STAGE);
        report.fact("result", "nothing is pending");
        return Ok(report);
    }
    migrator.serving = serving.as_deref();
    if ctx.dry_run {
        return dry_run(&migrator, subjects);
    }
    let lease = run.lease()?;
    let mut done = Done::default();
    let mut ending = carry_out(&migrator, subjects, &mut done);
    if ending.is_err() && run.options.restores() && !lease.lost() {
        ctx.interrupt.reset();
        let databases = subjects.iter().map(|subject| &subject.database);
        done.restore(&ctx.state(), databases)?;
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

fn pending(migrator: &Migrator<'_>, subjects: &[Subject]) -> anyhow::Result<bool> {
    let mut any = false;
    for subject in subjects {
        let ledger = ledger(migrator, subject)?;
        any |= !migrator.pending_by(&subject.files, &ledger)?.is_empty();
    }
    Ok(any)
}

/// Rehearses everything before the first file is applied to any database.
fn carry_out(migrator: &Migrator<'_>, subjects: &[Subject], done: &mut Done) -> anyhow::Result<()> {
    let ledgers = subjects
        .iter()
        .map(|subject| ledger(migrator, subject))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let known: Vec<migrate::Subject<'_>> = subjects
        .iter()
        .zip(&ledgers)
        .map(|(subject, ledger)| subject.with(ledger))
        .collect();
    migrator.rehearse(&known, done)?;
    subjects
        .iter()
        .try_for_each(|subject| migrator.up(&subject.database, &subject.files, done))
}

fn ledger(migrator: &Migrator<'_>, subject: &Subject) -> anyhow::Result<Ledger> {
    match migrator.target.reachable {
        true => read_ledger(&subject.database),
        false => Ok(Ledger::default()),
    }
}

fn dry_run(migrator: &Migrator<'_>, subjects: &[Subject]) -> anyhow::Result<Report> {
    let mut whole = Plan::new(STAGE);
    let mut report = Report::empty(STAGE);
    let mut refusals = Vec::new();
    for subject in subjects {
        let ledger = ledger(migrator, subject)?;
        let todo = migrator.pending_by(&subject.files, &ledger)?;
        if let Some(tried) = migrator.try_out(&subject.with(&ledger))? {
            whole.push(tried.step);
            whole.notes.extend(tried.notes);
            refusals.extend(tried.refusal);
        }
        let plan = migrate::plan(STAGE, &subject.database, &todo);
        whole.then(plan);
    }
    migrator.ctx.show(&whole);
    for refusal in refusals {
        report.fail(refusal.exit as u8);
        migrator.ctx.ui.error(&refusal.into());
    }
    Ok(report)
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
    report.tables.extend(done.table());
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
