//! `migrate new`: a file with the next free number. Needs no cloud.

use std::io::Write as _;

use anyhow::Context as _;

use super::{Options, STAGE, chosen};
use crate::context::Ctx;
use crate::error::Fail;
use crate::ledger::migrations::{self, Files, number};
use crate::report::Report;
use crate::workspace::Workspace;

/// Numbers have at least so many digits.
const DIGITS_MIN: usize = 4;

/// Writes the file, and says where it is.
pub(super) fn new(
    ctx: &Ctx,
    workspace: &Workspace,
    options: &Options,
    name: &str,
) -> anyhow::Result<Report> {
    let databases = chosen(workspace, options)?;
    let [database] = databases.as_slice() else {
        let names: Vec<&str> = databases.iter().map(|one| &*one.name).collect();
        return Err(Fail::setup("which database is the migration for?")
            .why(format!("pipeline.toml names {}", names.join(", ")))
            .fix(format!("add `--database {}`", names[0]))
            .into());
    };
    let files = migrations::gather(&workspace.root, database)?;
    let file = file_name(&files, name)?;
    if !database.layout.matches(&file) {
        return Err(Fail::setup(format!("`{file}` would never be applied"))
            .why(format!(
                "the migrations of `{}` are the files that match `{}`",
                database.name, database.layout.pattern
            ))
            .fix("npx drizzle-kit generate   (or what else writes the migrations of this database)")
            .into());
    }
    let path = workspace.root.join(&database.migrations).join(&file);
    let shown = path.strip_prefix(&workspace.root).unwrap_or(&path);
    let shown = shown.display().to_string();
    let mut report = Report::empty(STAGE);
    report.fact("migration", &shown);
    if ctx.dry_run {
        ctx.ui.data(&format!("would write {shown}"));
        return Ok(report);
    }
    let text = format!(
        "-- {name}\n--\n-- Runs before the new code does: it has to work with the code that is live, too.\n"
    );
    // Somebody else's file of this name must not be overwritten.
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut opened| opened.write_all(text.as_bytes()))
        .with_context(|| format!("failed to write {}", path.display()))?;
    if ctx.ui.format() == crate::ui::Format::Text {
        ctx.ui.data(&shown);
    }
    Ok(report)
}

fn file_name(files: &Files, name: &str) -> Result<String, Fail> {
    let mut slug = String::new();
    for c in name.trim().trim_end_matches(".sql").chars() {
        match c {
            c if c.is_ascii_alphanumeric() => slug.push(c.to_ascii_lowercase()),
            _ if slug.ends_with('_') || slug.is_empty() => {}
            _ => slug.push('_'),
        }
    }
    let slug = slug.trim_end_matches('_');
    if slug.is_empty() {
        return Err(Fail::setup(format!("`{name}` makes no file name"))
            .why("of a name only letters and digits are kept")
            .fix("cargo xtask migrate new add_opening_hours"));
    }
    let last = files
        .migrations
        .iter()
        .rev()
        .find(|file| number(&file.name).is_some());
    let digits = last.map_or(DIGITS_MIN, |file| {
        file.name.len()
            - file
                .name
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len()
    });
    let next = last.and_then(|file| number(&file.name)).unwrap_or(0) + 1;
    Ok(format!("{next:0>digits$}_{slug}.sql"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::migrations::SqlFile;

    #[track_caller]
    fn check(present: &[&str], name: &str, expected: &str) {
        let file = |name: &&str| SqlFile {
            name: (*name).to_owned(),
            path: String::new(),
            sql: String::new(),
            hash: String::new(),
        };
        let files = Files {
            migrations: present.iter().map(file).collect(),
            ..Files::default()
        };
        let made = file_name(&files, name).map_err(|fail| fail.what);
        assert_eq!(made.unwrap_or_else(|what| what), expected);
    }

    #[test]
    fn the_next_number_keeps_the_width_of_the_last() {
        check(&[], "Add users", "0001_add_users.sql");
        check(&["0001_a.sql", "0009_b.sql"], "c", "0010_c.sql");
        check(&["9_a.sql"], "b", "10_b.sql");
        check(&["20261124103000_a.sql"], "b", "20261124103001_b.sql");
        check(
            &["0001_a.sql"],
            "  drop: old--columns!.sql ",
            "0002_drop_old_columns.sql",
        );
        check(&[], "…", "`…` makes no file name");
    }
}
