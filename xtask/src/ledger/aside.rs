//! What must outlive a restore, put aside first: in a file, and in a database of its own in the cloud, as the file goes with a
//! CI runner. A run that is killed before it has written it back leaves it there, and the next one finds it. Knows rows, not
//! what they mean.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::error::Fail;
use crate::ledger::{Database, TABLES, literal};
use crate::tools::cloudflare::{Call, encode};

/// Release records, which nothing else knows. The lease is not among these: that of a run that was killed is over.
const RECORDS: &str = "xtask_releases";
/// How long the SQL of one request gets: well below what D1 takes.
const SQL_MAX: usize = 60_000;

/// Rows of a table, with the columns they are written back with.
pub(super) struct Rows<'a> {
    pub(super) table: &'a str,
    pub(super) columns: &'a [&'a str],
    pub(super) rows: &'a [Value],
}

/// Puts the records of a database aside. Where the cloud does not take them the file alone must do: that is told.
pub(super) fn put(
    state: &Path,
    database: &Database,
    records: &Rows<'_>,
) -> anyhow::Result<Option<String>> {
    if records.table != RECORDS || records.rows.is_empty() {
        return Ok(None);
    }
    put_in_file(&path(state, database), database, records)?;
    let twin = twin_name(database);
    Ok(put_in_twin(database, records).err().map(|error| {
        format!(
            "the release records could not be put aside in the database {twin}: should this run be killed while {} goes \
             back, only this machine has them ({error:#})",
            database.name
        )
    }))
}

/// The file is whole, or it is not there.
fn put_in_file(path: &Path, database: &Database, records: &Rows<'_>) -> anyhow::Result<()> {
    let text = json!({
        "database": database.id, "columns": records.columns, "rows": records.rows,
    });
    let folder = path.parent().unwrap_or(path);
    let whole = path.with_extension("tmp");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&whole, text.to_string()))
        .and_then(|()| std::fs::rename(&whole, path))
        .with_context(|| format!("failed to write {}", path.display()))
}

/// A part of the rows does no harm: until all are there the database has them itself.
fn put_in_twin(database: &Database, records: &Rows<'_>) -> anyhow::Result<()> {
    let twin = match twin(database)? {
        Some(twin) => twin,
        None => make_twin(database)?,
    };
    let tables = TABLES.trim_end_matches(';');
    let mut statements = vec![format!("DROP TABLE IF EXISTS {RECORDS};\n{tables}")];
    let rows = records.rows.iter();
    statements.extend(rows.map(|row| insert(RECORDS, records.columns, row, "REPLACE")));
    write_all(&twin, &statements)
}

fn make_twin(database: &Database) -> anyhow::Result<Database> {
    let path = database.cloud.path("/d1/database");
    let name = twin_name(database);
    let made = database
        .cloud
        .call(&Call::once("POST", path, json!({ "name": name })))?;
    let id = match &made {
        Ok(made) => made["uuid"].as_str(),
        Err(_) => None,
    };
    match (id, made.as_ref().err()) {
        (Some(id), _) => Ok(Database::new(&database.cloud, &name, id)),
        // The answer may have been lost, and nothing else.
        (None, error) => twin(database)?.with_context(|| match error {
            Some(error) => error.to_string(),
            None => format!("{name} was made, and is not there"),
        }),
    }
}

/// The database beside this one that holds what was put aside.
fn twin(database: &Database) -> anyhow::Result<Option<Database>> {
    let name = twin_name(database);
    let path = format!("/d1/database?name={}", encode(&name));
    let listed = database
        .cloud
        .expect(&Call::get(database.cloud.path(&path)))?;
    let mut listed = listed.as_array().into_iter().flatten();
    let id = listed
        .find(|entry| entry["name"] == name.as_str())
        .and_then(|entry| entry["uuid"].as_str());
    Ok(id.map(|id| Database::new(&database.cloud, &name, id)))
}

/// The whole id: two databases may agree in its first characters.
fn twin_name(database: &Database) -> String {
    format!("xtask-aside-{}", database.id)
}

/// What an interrupted restore left aside.
struct Aside {
    columns: Vec<String>,
    rows: Vec<Value>,
}

/// Writes records back that an interrupted restore left aside, and forgets them; gives what somebody should know. For whoever
/// has the lease: nobody else is at work then.
pub fn settle(state: &Path, database: &Database) -> anyhow::Result<Option<String>> {
    match find(state, database)? {
        Some(aside) => {
            aside.write_back(database, false)?;
            forget(state, database)
        }
        None => Ok(None),
    }
}

/// Writes them back and keeps them; true when there were any. For whoever has no lease yet, and needs to know the records:
/// the run that put them aside may be at work still.
pub fn recover(state: &Path, database: &Database) -> anyhow::Result<bool> {
    let aside = find(state, database)?;
    if let Some(aside) = &aside {
        aside.write_back(database, true)?;
    }
    Ok(aside.is_some())
}

fn find(state: &Path, database: &Database) -> anyhow::Result<Option<Aside>> {
    let path = path(state, database);
    if let Ok(text) = std::fs::read_to_string(&path) {
        let aside: Value = serde_json::from_str(&text)
            .with_context(|| format!("failed to read {}", path.display()))?;
        let columns = aside["columns"].as_array().into_iter().flatten();
        return Ok(Some(Aside {
            columns: columns
                .filter_map(|column| column.as_str().map(str::to_owned))
                .collect(),
            rows: aside["rows"].as_array().cloned().unwrap_or_default(),
        }));
    }
    let Some(twin) = twin(database)? else {
        return Ok(None);
    };
    // Killed before it had a table: there is nothing in it, and nothing was restored.
    let sets = twin.read_each(&format!("SELECT * FROM {RECORDS}"))?;
    let rows: Vec<Value> = sets.into_iter().flatten().flatten().collect();
    let columns = rows.first().and_then(Value::as_object);
    Ok(Some(Aside {
        columns: columns.map_or_else(Vec::new, |row| row.keys().cloned().collect()),
        rows,
    }))
}

impl Aside {
    /// `only_lost`: not where every record is there, whatever it says by now.
    fn write_back(&self, database: &Database, only_lost: bool) -> anyhow::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        database.create_tables()?;
        let known = database.read(&format!("SELECT id FROM {RECORDS}"))?;
        let known: BTreeSet<&str> = known.iter().filter_map(|row| row["id"].as_str()).collect();
        let ours = self.rows.iter().filter_map(|row| row["id"].as_str());
        let ours: BTreeSet<&str> = ours.collect();
        if only_lost && ours.is_subset(&known) {
            return Ok(());
        }
        // Where somebody has gone on since, theirs are the newer ones.
        let or = match known.is_subset(&ours) {
            true => "REPLACE",
            false => "IGNORE",
        };
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        let rows = self.rows.iter();
        let statements: Vec<String> = rows.map(|row| insert(RECORDS, &columns, row, or)).collect();
        write_all(database, &statements)
    }
}

/// Removes all of it, once it is written back. What could not be removed does no harm, but is told.
pub(super) fn forget(state: &Path, database: &Database) -> anyhow::Result<Option<String>> {
    let path = path(state, database);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("failed to remove {}", path.display()));
        }
        _ => {}
    }
    Ok(remove_twin(database).err().map(|error| {
        let twin = twin_name(database);
        format!("the database {twin} could not be deleted; the next run does that ({error:#})")
    }))
}

fn remove_twin(database: &Database) -> anyhow::Result<()> {
    let Some(twin) = twin(database)? else {
        return Ok(());
    };
    let call = Call {
        method: "DELETE",
        path: (twin.cloud).path(&format!("/d1/database/{}", encode(&twin.id))),
        body: None,
        repeatable: true,
    };
    match twin.cloud.call(&call)? {
        Err(error) if !error.is_not_found() => Err(Fail::from(error).into()),
        _ => Ok(()),
    }
}

fn path(state: &Path, database: &Database) -> PathBuf {
    state.join("restore").join(format!("{}.json", database.id))
}

/// Carries out statements that may run twice without harm, in as few requests as they fit into.
pub(super) fn write_all(database: &Database, statements: &[String]) -> anyhow::Result<()> {
    for batch in batches(statements) {
        database.write(&batch, &[])?;
    }
    Ok(())
}

fn batches(statements: &[String]) -> Vec<String> {
    let mut batches: Vec<String> = Vec::new();
    for statement in statements {
        match batches.last_mut() {
            Some(batch) if batch.len() + statement.len() < SQL_MAX => {
                batch.push_str(";\n");
                batch.push_str(statement);
            }
            _ => batches.push(statement.clone()),
        }
    }
    batches
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

    #[test]
    fn many_rows_go_in_few_requests() {
        let text = |length: usize| "x".repeat(length);
        let (short, long) = (text(10), text(SQL_MAX));
        let found = batches(&[short.clone(), short.clone(), long.clone(), short.clone()]);
        assert_eq!(found, [format!("{short};\n{short}"), long, short]);
        assert_eq!(batches(&[]), [""; 0]);
    }
}
