//! The way back of a database: to a bookmark, with what the pipeline has recorded since then kept. Time travel takes
//! the whole database back, the ledger of releases and the lease included; those must not be forgotten with it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::Fail;
use crate::ledger::{Database, literal};
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

/// Takes the database back to a bookmark, waits until it answers, and puts back the release records and the lease it
/// had. Gives the bookmark that undoes the restore. Doing it again after an interruption does no harm.
pub fn restore(database: &Database, bookmark: &str) -> anyhow::Result<String> {
    let kept = kept_rows(database)?;
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
    Ok(answer["previous_bookmark"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
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
            Err(_) => std::thread::sleep(Duration::from_millis(500)),
            Ok(_) => return Ok(()),
        }
    }
}

fn put_back(database: &Database, kept: &[Vec<Value>]) -> anyhow::Result<()> {
    if kept.iter().all(Vec::is_empty) {
        return Ok(());
    }
    database.create_tables()?;
    for ((table, columns), rows) in KEPT.iter().zip(kept) {
        for row in rows {
            database.write(&insert(table, columns, row), &[])?;
        }
    }
    Ok(())
}

fn insert(table: &str, columns: &[&str], row: &Value) -> String {
    let value = |column: &&str| match &row[*column] {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => literal(text),
        other => other.to_string(),
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    format!(
        "INSERT OR REPLACE INTO {table} ({}) VALUES ({})",
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
        let row = json!({"name": "deploy", "token": "it's", "holder": "h", "run_url": null,
                         "acquired_at": "t", "expires_at": 12});
        expect!["INSERT OR REPLACE INTO xtask_lease (name, token, holder, run_url, acquired_at, expires_at) VALUES ('deploy', 'it''s', 'h', NULL, 't', 12)"]
            .assert_eq(&insert(KEPT[1].0, KEPT[1].1, &row));
    }
}
