//! `migrate baseline`: a database that predates the ledger is adopted. Its files are recorded as applied without being
//! run, in wrangler's table and in ours, in one request.

use std::time::SystemTime;

use super::{Run, STAGE, Subject};
use crate::error::Fail;
use crate::ledger::migrations::{self, Files, Ledger, SqlFile, number, read_ledger};
use crate::ledger::{identifier, literal};
use crate::migrate::rehearsal;
use crate::report::Report;
use crate::run::Io;

/// So many differences are told.
const DIFFERENCES_SHOWN_MAX: usize = 10;
/// The ledger's row for a database that was adopted and has no `schema` in `pipeline.toml`.
const ADOPTED: &str = "(adopted)";

/// Adopts every database that needs it.
pub(super) fn baseline(
    run: &Run<'_>,
    subjects: &[Subject],
    to: Option<u64>,
    force: bool,
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
        if !force {
            compare(run, subject, &ledger, &files)?;
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

/// Refuses to record files that the live schema does not look like: what was never applied would be missing for good.
fn compare(
    run: &Run<'_>,
    subject: &Subject,
    ledger: &Ledger,
    recorded: &[&SqlFile],
) -> anyhow::Result<()> {
    let wanted = |file: &&SqlFile| {
        ledger.applied.contains(&file.name) || recorded.iter().any(|one| one.name == file.name)
    };
    let migrations = subject.files.migrations.iter().filter(wanted).cloned();
    let files = Files {
        baseline: subject.files.baseline.clone(),
        migrations: migrations.collect(),
        seed: None,
        history: ledger.applied.iter().cloned().collect(),
        table: subject.files.table.clone(),
    };
    let todo = migrations::pending(&files, &Ledger::default(), &run.id, SystemTime::now())?;
    if todo.is_empty() {
        return Ok(());
    }
    let io = Io::new(STAGE, &run.ctx.ui, run.ctx.interrupt.clone());
    let database = &subject.database;
    let found = rehearsal::differences(run.ctx, database, &files, &todo, &io)?;
    if found.is_empty() {
        return Ok(());
    }
    let what = format!(
        "the live schema of `{}` is not what the files make",
        database.name
    );
    let mut fail = Fail::check(what);
    for line in found.iter().take(DIFFERENCES_SHOWN_MAX) {
        fail = fail.why(line);
    }
    if found.len() > DIFFERENCES_SHOWN_MAX {
        fail = fail.why(format!("and {} more", found.len() - DIFFERENCES_SHOWN_MAX));
    }
    Err(fail
        .fix("cargo xtask migrate baseline --to N   (the last file that the database has had)")
        .fix("or put the files right; `--force` records them whatever the schema is")
        .into())
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
                "INSERT OR IGNORE INTO {} (name) VALUES ({});\n",
                identifier(&files.table),
                literal(&file.name)
            ));
        }
        sql.push_str(&row(&file.name, "migration", &file.hash));
    }
    sql
}
