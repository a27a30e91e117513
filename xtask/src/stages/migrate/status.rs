//! `migrate status`: the live ledger against the repo. Changes nothing, not even a missing ledger table.

use super::{STAGE, Subject};
use crate::error::Exit;
use crate::ledger::migrations::status::{Row, State, status as rows_of};
use crate::ledger::migrations::{Ledger, read_ledger, shared_numbers};
use crate::report::{Report, Table};
use crate::target::Target;

/// Reports the state of every file; exit 1 when `up` would refuse.
pub(super) fn status(target: &Target, subjects: &[Subject]) -> anyhow::Result<Report> {
    let mut report = Report::empty(STAGE);
    if !target.reachable {
        report.warn("the local cloud is not running or does not know this repo yet: shown as an empty database");
    }
    for subject in subjects {
        let ledger = match target.reachable {
            true => read_ledger(&subject.database)?,
            false => Ledger::default(),
        };
        let rows = rows_of(&subject.files, &ledger);
        report.tables.push(table(&subject.database.name, &rows));
        report.fact(&subject.database.name, summary(&rows));
        if ledger.predates() && !rows.is_empty() {
            report.warn(format!(
                "{} has tables but no ledger: `cargo xtask migrate baseline` adopts it",
                subject.database.name
            ));
            report.fail(Exit::Check as u8);
        }
        for shared in shared_numbers(&subject.files) {
            report.warn(shared);
        }
        for row in rows.iter().filter(|row| row.state.is_wrong()) {
            report.warn(explanation(row));
            report.fail(Exit::Check as u8);
        }
    }
    Ok(report)
}

fn table(name: &str, rows: &[Row]) -> Table {
    let mut table = Table::new(name, &["file", "kind", "state", "release", "applied at"]);
    for row in rows {
        let (release, at) = match &row.by {
            Some((release, at)) => (release.as_str(), at.as_str()),
            None => ("-", "-"),
        };
        table.row([&row.name, row.kind, row.state.word(), release, at]);
    }
    table
}

fn summary(rows: &[Row]) -> String {
    let count =
        |wanted: &dyn Fn(&State) -> bool| rows.iter().filter(|row| wanted(&row.state)).count();
    let applied = count(&|state| matches!(state, State::Applied | State::Adopted));
    let pending = count(&|state| *state == State::Pending);
    let wrong = count(&State::is_wrong);
    let mut text = format!("{applied} applied, {pending} pending");
    if wrong > 0 {
        text.push_str(&format!(", {wrong} to be put right"));
    }
    text
}

fn explanation(row: &Row) -> String {
    let name = &row.name;
    match &row.state {
        State::Edited => format!(
            "{name} was edited after it was applied: restore it from git history, or record the edit with \
             `cargo xtask migrate rebless {name} --reason …`"
        ),
        State::Missing => {
            format!("{name} is applied and not in the repo: pull, or restore it from git history")
        }
        State::Duplicate(other) => format!(
            "{name} has the same number as {other}: give the newer one the next free number"
        ),
        State::OutOfOrder => {
            format!("{name} is numbered before an applied one: give it the next free number")
        }
        _ => format!("{name} starts with no number: rename it to NNNN_name.sql"),
    }
}
