//! The way back of a database: to a bookmark, with what the pipeline has recorded since then kept. Time travel takes
//! the whole database back, the ledger of releases and the lease included; those must not be forgotten with it.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::Fail;
use crate::ledger::Database;
use crate::ledger::aside::{self, Rows};
use crate::pause;
use crate::tools::cloudflare::{self, Call};

/// How long a restored database may take to answer again.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// Tables whose rows outlive a restore: what went live, and who is at work.
const KEPT: [(&str, &[&str]); 2] = [
    (
        "xtask_releases",
        &[
            "id",
            "number",
            "created_at",
            "sha",
            "author",
            "status",
            "record",
        ],
    ),
    (
        "xtask_lease",
        &[
            "name",
            "token",
            "holder",
            "run_url",
            "acquired_at",
            "expires_at",
        ],
    ),
];

/// What came of a restore.
pub struct Restored {
    /// The bookmark that undoes it.
    pub undo: String,
    /// What somebody should know.
    pub warnings: Vec<String>,
}

/// Takes the database back to a bookmark, waits until it answers, and puts back the release records and the lease it
/// had; `state` is where the records lie meanwhile, for a run that is killed in between ([`aside::settle`]).
pub fn restore(state: &Path, database: &Database, bookmark: &str) -> anyhow::Result<Restored> {
    let mut warnings: Vec<String> = aside::settle(state, database)?.into_iter().collect();
    let kept = kept_rows(database)?;
    for rows in of_tables(&kept) {
        warnings.extend(aside::put(state, database, &rows)?);
    }
    let path = format!(
        "{}?bookmark={}",
        database.time_travel_path("restore"),
        cloudflare::encode(bookmark)
    );
    let answer = database
        .cloud
        .call(&Call::repeatable("POST", path, json!({})))?;
    let answer = answer.map_err(|error| {
        Fail::partial(format!(
            "the database `{}` could not be restored",
            database.name
        ))
        .why(error.to_string())
        .fix(command(&database.name, bookmark))
    })?;
    wait(database)?;
    put_back(database, &kept)?;
    warnings.extend(aside::forget(state, database)?);
    let undo = answer["previous_bookmark"].as_str().unwrap_or_default();
    Ok(Restored {
        undo: undo.to_owned(),
        warnings,
    })
}

/// What a person types to do the same by hand.
pub fn command(database: &str, bookmark: &str) -> String {
    format!("npx wrangler d1 time-travel restore {database} --bookmark={bookmark}")
}

fn kept_rows(database: &Database) -> anyhow::Result<Vec<Vec<Value>>> {
    let tables = database.tables()?;
    KEPT.iter()
        .map(|(table, _)| match tables.contains(*table) {
            true => database.read(&format!("SELECT * FROM {table}")),
            false => Ok(Vec::new()),
        })
        .collect()
}

fn wait(database: &Database) -> anyhow::Result<()> {
    let until = Instant::now() + ANSWERS_WITHIN;
    loop {
        match database.read("SELECT 1") {
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => pause::wait(Duration::from_millis(500)),
            Ok(_) => return Ok(()),
        }
    }
}

fn of_tables(kept: &[Vec<Value>]) -> impl Iterator<Item = Rows<'_>> {
    let tables = KEPT.iter().zip(kept);
    tables.map(|((table, columns), rows)| Rows {
        table,
        columns,
        rows,
    })
}

fn put_back(database: &Database, kept: &[Vec<Value>]) -> anyhow::Result<()> {
    if kept.iter().all(Vec::is_empty) {
        return Ok(());
    }
    database.create_tables()?;
    let mut statements = Vec::new();
    for Rows {
        table,
        columns,
        rows,
    } in of_tables(kept)
    {
        let rows = rows.iter();
        statements.extend(rows.map(|row| aside::insert(table, columns, row, "REPLACE")));
    }
    aside::write_all(database, &statements)
}
