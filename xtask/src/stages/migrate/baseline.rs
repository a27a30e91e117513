//! `migrate baseline`: a database that predates the ledger is adopted. Its files are recorded as applied without being
//! run, in wrangler's table and in ours, in one request.

use std::time::SystemTime;

use super::{Run, STAGE, Subject};
use crate::error::Fail;
use crate::ledger::literal;
use crate::ledger::migrations::{Files, Ledger, SqlFile, number, read_ledger};
use crate::report::Report;

/// The ledger's row for a database that was adopted and has no `schema` in `pipeline.toml`.
const ADOPTED: &str = "(adopted)";

/// Adopts every database that needs it.
pub(super) fn baseline(
    run: &Run<'_>,
    subjects: &[Subject],
    to: Option<u64>,
) -> anyhow::Result<Report> {
    let (ctx, target) = (run.ctx, run.target);
    let mut report = Report::empty(STAGE);
    let mut todo = Vec::new();
    for subject in subjects {
        let name = &subject.database.name;
        let ledger = match target.reachable {
            true => read_ledger(&subject.database)?,
            false => Ledger::default(),
        };
        if !ledger.has_tables {
            return Err(Fail::setup(format!("the database `{name}` is empty"))
                .why("there is nothing to adopt: recording files as applied would leave it empty for good")
                .fix("cargo xtask migrate up")
                .into());
        }
        let files = unrecorded(&subject.files, &ledger, to);
        if files.is_empty() && !ledger.predates() {
            report.fact(name, "the ledger knows every file already");
            continue;
        }
        let names: Vec<&str> = files.iter().map(|file| &*file.name).collect();
        let shown = if names.is_empty() {
            "no file".to_owned()
        } else {
            names.join(", ")
        };
        report.fact(name, format!("recorded as applied: {shown}"));
        todo.push((subject, sql(&subject.files, &files, &ledger, &run.id)));
    }
    if ctx.dry_run {
        for (name, text) in &report.facts {
            ctx.ui.data(&format!("{name}: {text}"));
        }
        return Ok(report);
    }
    if todo.is_empty() {
        return Ok(report);
    }
    let lease = run.lease()?;
    for (subject, sql) in todo {
        subject.database.create_tables()?;
        subject.database.write(&sql, &[])?;
    }
    drop(lease);
    Ok(report)
}

/// Files the ledger knows nothing of, or not the content of.
fn unrecorded<'a>(files: &'a Files, ledger: &Ledger, to: Option<u64>) -> Vec<&'a SqlFile> {
    files
        .migrations
        .iter()
        .filter(|file| to.is_none_or(|to| number(&file.name) <= Some(to)))
        .filter(|file| !ledger.hashes.contains_key(&file.name))
        .collect()
}

/// Written so that it can be sent twice; an edit is never recorded by it.
fn sql(files: &Files, migrations: &[&SqlFile], ledger: &Ledger, release: &str) -> String {
    let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let row = |name: &str, kind: &str, hash: &str| {
        format!(
            "INSERT OR IGNORE INTO xtask_migrations (name, kind, hash, release, applied_at) VALUES ({}, '{kind}', {}, {}, {});\n",
            literal(name),
            literal(hash),
            literal(release),
            literal(&at)
        )
    };
    let mut sql = match &files.baseline {
        Some(file) => row(&file.name, "baseline", &file.hash),
        None => row(ADOPTED, "baseline", ""),
    };
    for file in migrations {
        if !ledger.applied.contains(&file.name) {
            sql.push_str(&format!(
                "INSERT OR IGNORE INTO \"d1_migrations\" (name) VALUES ({});\n",
                literal(&file.name)
            ));
        }
        sql.push_str(&row(&file.name, "migration", &file.hash));
    }
    sql
}
