//! `migrate rebless`: an applied file was edited on purpose (a comment, a typo in a name nobody uses), and the ledger
//! is told so, with the reason.

use std::path::Path;
use std::time::SystemTime;

use super::{Run, STAGE, Subject};
use crate::context::Ctx;
use crate::error::Fail;
use crate::ledger::literal;
use crate::ledger::migrations::{SqlFile, read_ledger};
use crate::report::Report;

/// Who changed which applied file, and why.
const EDITS_TABLE: &str = "CREATE TABLE IF NOT EXISTS xtask_edits (id INTEGER PRIMARY KEY AUTOINCREMENT, \
name TEXT NOT NULL, old_hash TEXT, new_hash TEXT NOT NULL, reason TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL);";

/// Records the edit.
pub(super) fn rebless(
    run: &Run<'_>,
    subjects: &[Subject],
    path: &Path,
    reason: &str,
) -> anyhow::Result<Report> {
    let ctx = run.ctx;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if reason.trim().is_empty() {
        return Err(Fail::setup("the reason is empty")
            .why("whoever finds the edit later has nothing else to go by")
            .fix(format!(
                "cargo xtask migrate rebless {name} --reason 'corrected a comment'"
            ))
            .into());
    }
    let (subject, file) = find(subjects, &name)?;
    let ledger = read_ledger(&subject.database)?;
    if !ledger.applied.contains(&file.name) {
        return Err(Fail::setup(format!("`{name}` is not applied yet"))
            .why("only an applied file has a content on record")
            .fix("edit it as you like, then `cargo xtask migrate up`")
            .into());
    }
    let old = ledger.hashes.get(&file.name);
    let mut report = Report::empty(STAGE);
    if old == Some(&file.hash) {
        report.fact("result", format!("{name} is as recorded"));
        return Ok(report);
    }
    report.fact("old hash", old.map_or("none", String::as_str));
    report.fact("new hash", &file.hash);
    if ctx.dry_run {
        ctx.ui
            .data(&format!("would record the edit of {name}: {reason}"));
        return Ok(report);
    }
    let lease = run.lease()?;
    subject
        .database
        .write(&sql(file, old, &run.id, reason, ctx), &[])?;
    drop(lease);
    report.fact("result", format!("the edit of {name} is recorded"));
    Ok(report)
}

fn find<'a>(subjects: &'a [Subject], name: &str) -> anyhow::Result<(&'a Subject, &'a SqlFile)> {
    let mut found = subjects.iter().filter_map(|subject| {
        let mut files = subject.files.migrations.iter();
        Some((subject, files.find(|file| file.name == name)?))
    });
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Fail::setup(format!("two databases have a file `{name}`"))
            .why("the edit is recorded in one of them")
            .fix("add `--database NAME`")
            .into()),
        (None, _) => Err(Fail::setup(format!("there is no migration `{name}`"))
            .why("none of the migrations folders in pipeline.toml holds it")
            .fix("cargo xtask migrate status   (lists them)")
            .into()),
    }
}

/// One atomic request: the note and the new hash. Sent twice, as after a lost answer, it makes one note.
fn sql(file: &SqlFile, old: Option<&String>, release: &str, reason: &str, ctx: &Ctx) -> String {
    let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let by = ctx.env.var("GITHUB_ACTOR").or_else(|| ctx.env.var("USER"));
    let old = old.map_or_else(|| "NULL".to_owned(), |hash| literal(hash));
    let [name, hash, at] = [&file.name, &file.hash, &at].map(|text| literal(text));
    format!(
        "{EDITS_TABLE}\nINSERT INTO xtask_edits (name, old_hash, new_hash, reason, by, at) SELECT {name}, {old}, {hash}, {}, {}, {at} \
         WHERE NOT EXISTS (SELECT 1 FROM xtask_migrations WHERE name = {name} AND hash = {hash});\n\
         INSERT INTO xtask_migrations (name, kind, hash, release, applied_at) VALUES ({name}, 'migration', {hash}, {}, {at}) \
         ON CONFLICT (name) DO UPDATE SET hash = excluded.hash;",
        literal(reason.trim()),
        literal(by.unwrap_or("someone")),
        literal(release),
    )
}
