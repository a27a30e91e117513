//! What must outlive a restore, put aside in a file first: a run that is killed before it has written it back leaves it there,
//! and the next one that takes the lease finds it. Knows rows, not what they mean.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::ledger::{Database, literal};

/// Release records, which nothing else knows. The lease is not among these: that of a run that was killed is over.
const RECORDS: &str = "xtask_releases";

/// Rows of a table, with the columns they are written back with.
pub(super) struct Rows<'a> {
    pub(super) table: &'a str,
    pub(super) columns: &'a [&'a str],
    pub(super) rows: &'a [Value],
}

/// Writes the records of a database to a file below the state folder; it is whole, or it is not there.
pub(super) fn put(state: &Path, database: &Database, records: &Rows<'_>) -> anyhow::Result<()> {
    if records.table != RECORDS || records.rows.is_empty() {
        return Ok(());
    }
    let path = path(state, database);
    let text = json!({
        "database": database.id, "columns": records.columns, "rows": records.rows,
    });
    let folder = path.parent().unwrap_or(&path);
    let whole = path.with_extension("tmp");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&whole, text.to_string()))
        .and_then(|()| std::fs::rename(&whole, &path))
        .with_context(|| format!("failed to write {}", path.display()))
}

/// Writes records back that an interrupted restore left aside. Nothing is aside unless a restore began.
pub fn recover(state: &Path, database: &Database) -> anyhow::Result<()> {
    let path = path(state, database);
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Ok(());
    };
    let aside: Value = serde_json::from_str(&text)
        .with_context(|| format!("failed to read {}", path.display()))?;
    let texts = |list: &Value| -> Vec<String> {
        let texts = list.as_array().into_iter().flatten();
        texts
            .filter_map(|text| text.as_str().map(str::to_owned))
            .collect()
    };
    let columns = texts(&aside["columns"]);
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let rows = aside["rows"].as_array().cloned().unwrap_or_default();
    database.create_tables()?;
    let known = database.read(&format!("SELECT id FROM {RECORDS}"))?;
    let ours: BTreeSet<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    // Where somebody has gone on since, theirs are the newer ones.
    let gone_on = known
        .iter()
        .any(|row| row["id"].as_str().is_some_and(|id| !ours.contains(id)));
    let or = if gone_on { "IGNORE" } else { "REPLACE" };
    for row in &rows {
        database.write(&insert(RECORDS, &columns, row, or), &[])?;
    }
    forget(state, database)
}

/// Removes the file, once all is written back.
pub(super) fn forget(state: &Path, database: &Database) -> anyhow::Result<()> {
    let path = path(state, database);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn path(state: &Path, database: &Database) -> PathBuf {
    state.join("restore").join(format!("{}.json", database.id))
}

/// The statement that writes a row; `or` says what becomes of one that is there.
pub(super) fn insert(table: &str, columns: &[&str], row: &Value, or: &str) -> String {
    let value = |column: &&str| match &row[*column] {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => literal(text),
        other => other.to_string(),
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    format!(
        "INSERT OR {or} INTO {table} ({}) VALUES ({})",
        columns.join(", "),
        values.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_row_is_put_back_as_it_was() {
        let row = json!({"name": "deploy", "holder": "it's", "run_url": null, "expires_at": 12});
        let columns = ["name", "holder", "run_url", "expires_at"];
        expect!["INSERT OR REPLACE INTO xtask_lease (name, holder, run_url, expires_at) VALUES ('deploy', 'it''s', NULL, 12)"]
            .assert_eq(&insert("xtask_lease", &columns, &row, "REPLACE"));
    }
}
