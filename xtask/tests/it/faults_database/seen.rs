//! What is there: what serves, what calls it, and every row of the database; and whether ledger and schema agree.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::faults_database::shop::SCRIPTS;
use crate::support::World;

/// What the public has in front of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Script → versions and shares.
    pub serving: BTreeMap<&'static str, Vec<(String, u64)>>,
    /// The crons of alpha.
    pub crons: BTreeSet<String>,
    /// Table → its rows, the pipeline's own apart.
    pub rows: BTreeMap<String, Vec<Value>>,
}

/// Looks at everything.
pub fn look(world: &World) -> Seen {
    let path = "/workers/scripts/sweep-alpha/schedules";
    let answer = world.cloud().result("GET", path, None);
    let crons = answer["schedules"].as_array().cloned().unwrap_or_default();
    let cron = |entry: &Value| Some(entry["cron"].as_str()?.to_owned());
    Seen {
        serving: SCRIPTS
            .into_iter()
            .map(|script| (script, world.split(script)))
            .collect(),
        crons: crons.iter().filter_map(cron).collect(),
        rows: rows(world),
    }
}

/// The rows of every table of the migrations.
pub fn rows(world: &World) -> BTreeMap<String, Vec<Value>> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 't[0-9]*'";
    let read = |name: String| {
        let rows = world.query(&format!("SELECT rowid, * FROM {name} ORDER BY rowid"));
        (name, rows)
    };
    names(world, sql).into_iter().map(read).collect()
}

fn names(world: &World, sql: &str) -> Vec<String> {
    let rows = world.try_query(sql).unwrap_or_default();
    let name = |row: &Value| Some(row["name"].as_str()?.to_owned());
    rows.iter().filter_map(name).collect()
}

/// The files that make these tables.
pub fn files(rows: &BTreeMap<String, Vec<Value>>) -> Vec<String> {
    rows.keys()
        .map(|table| format!("{:0>4}_{table}.sql", table.trim_start_matches('t')))
        .collect()
}

/// The migrations a ledger knows.
pub fn listed(world: &World, table: &str) -> Vec<String> {
    let sql = format!("SELECT name FROM {table} WHERE name LIKE '%.sql' ORDER BY name");
    names(world, &sql)
}

/// Each migration is in the schema and in both ledgers, or nowhere.
pub fn ledger(world: &World, rows: &BTreeMap<String, Vec<Value>>) -> Vec<String> {
    let files = files(rows);
    let mut wrong = Vec::new();
    for table in ["d1_migrations", "xtask_migrations"] {
        let listed = listed(world, table);
        if listed != files {
            let tables: Vec<&String> = rows.keys().collect();
            wrong.push(format!(
                "the tables are {tables:?}, but {table} says {listed:?}"
            ));
        }
    }
    wrong
}
