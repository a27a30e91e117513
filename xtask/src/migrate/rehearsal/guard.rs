//! Counts the rows of tables inside the very request that applies a file, before its first statement and after its
//! last: whatever the public writes meanwhile, the difference is the file's. Fewer rows where none may be lost make the
//! request fail, and then nothing of it is applied. Pure.

use super::ending::Watched;
use super::schema::quoted;
use crate::ledger::literal;

/// Where the counts are kept: what a restore needs to be judged by, and what a report after a lost answer is made of.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS xtask_counts (file TEXT NOT NULL, \"table\" TEXT NOT NULL, release TEXT NOT NULL, \
kept INTEGER NOT NULL, rows_before INTEGER NOT NULL, rows_after INTEGER, PRIMARY KEY (file, \"table\"));";
/// Stands in front of what the request fails with.
pub(crate) const MARK: &str = "xtask counted: ";

/// What goes around a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guard {
    /// In front of it.
    pub(crate) before: String,
    /// Behind it.
    pub(crate) after: String,
}

/// The guard of a file; empty when nothing has to be counted.
pub(crate) fn guard(file: &str, release: &str, watched: &[Watched]) -> Guard {
    if watched.is_empty() {
        return Guard::default();
    }
    let name = literal(file);
    let mut guard = Guard {
        before: format!("{TABLE}\n"),
        after: String::new(),
    };
    for table in watched {
        let key = literal(&table.before);
        let kept = u8::from(table.kept);
        guard.before.push_str(&format!(
            "INSERT OR REPLACE INTO xtask_counts (file, \"table\", release, kept, rows_before) \
             SELECT {name}, {key}, {}, {kept}, count(*) FROM {};\n",
            literal(release),
            quoted(&table.before)
        ));
        let count = match &table.after {
            Some(after) => format!("(SELECT count(*) FROM {})", quoted(after)),
            None => "0".to_owned(),
        };
        guard.after.push_str(&format!(
            "\nUPDATE xtask_counts SET rows_after = {count} WHERE file = {name} AND \"table\" = {key};"
        ));
    }
    // SQLite can only fail with words of ours where it quotes what it was given: a JSON path is such a thing.
    guard.after.push_str(&format!(
        "\nSELECT CASE WHEN count(*) > 0 THEN json_extract('{{}}', '{MARK}' || group_concat(\"table\" || ' had ' || \
         rows_before || ' rows and has ' || rows_after, ', ')) END FROM xtask_counts WHERE file = {name} AND kept AND rows_after < rows_before;"
    ));
    guard
}

/// The counts of some files, as [`guard`] has kept them.
pub(crate) fn counts_sql(files: &[&str]) -> String {
    let names: Vec<String> = files.iter().map(|file| literal(file)).collect();
    format!(
        "SELECT file, \"table\", kept, rows_before, rows_after FROM xtask_counts WHERE file IN ({}) ORDER BY file, \"table\"",
        names.join(", ")
    )
}

/// What the guard said, in an error of the database.
pub(crate) fn said(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once(MARK)?;
    Some(rest.split('\'').next().unwrap_or(rest))
}
