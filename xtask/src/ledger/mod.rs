//! What the pipeline remembers, kept in the release's own D1 database: the lease, the release records and the
//! migration ledger. Knows SQL and nothing of workers.

pub mod aside;
pub mod lease;
pub mod migrations;
pub mod releases;
pub mod restore;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::config::{self, layout};
use crate::error::Fail;
use crate::tools::cloudflare::{self, ApiError, Cloudflare};

/// The pipeline's own tables. Every statement may run again on a database that has them.
const TABLES: &str = "\
CREATE TABLE IF NOT EXISTS xtask_lease (name TEXT PRIMARY KEY, token TEXT NOT NULL, holder TEXT NOT NULL, \
run_url TEXT, acquired_at TEXT NOT NULL, expires_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS xtask_releases (id TEXT PRIMARY KEY, number INTEGER NOT NULL, created_at TEXT NOT NULL, \
sha TEXT NOT NULL, author TEXT NOT NULL, status TEXT NOT NULL, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS xtask_migrations (name TEXT PRIMARY KEY, kind TEXT NOT NULL, hash TEXT NOT NULL, \
release TEXT NOT NULL, applied_at TEXT NOT NULL);";

/// Makes the pipeline's own tables, and wrangler's table of applied migrations, as wrangler makes it. May run again.
pub fn tables_sql(applied: &str) -> String {
    format!(
        "{TABLES}\nCREATE TABLE IF NOT EXISTS {} (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, \
         applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL);",
        identifier(applied)
    )
}

/// True for a table that no SQL file of the repo makes; `applied` is wrangler's table of applied migrations.
pub fn is_own_table(name: &str, applied: &str) -> bool {
    name.starts_with("xtask_") || [layout::DEFAULT_TABLE, applied].contains(&name)
}

/// Lists the tables, without SQLite's and Cloudflare's own.
const TABLES_SQL: &str = "SELECT name FROM sqlite_master WHERE type = 'table' \
AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'";

/// One D1 database, reached over REST.
#[derive(Clone)]
pub struct Database {
    cloud: Cloudflare,
    /// Its name, for messages.
    pub name: String,
    /// Its UUID.
    pub id: String,
    /// The table wrangler records applied migrations in.
    pub table: String,
}

impl Database {
    /// The database `id` of the account.
    pub fn new(cloud: &Cloudflare, name: &str, id: &str) -> Database {
        Database {
            cloud: cloud.clone(),
            name: name.to_owned(),
            id: id.to_owned(),
            table: layout::DEFAULT_TABLE.to_owned(),
        }
    }

    /// The production database of a `[databases]` table.
    pub fn of(cloud: &Cloudflare, config: &config::Database, id: &str) -> Database {
        Database::new(cloud, &config.name, id).recorded_in(&config.layout.table)
    }

    /// The same database, whose applied migrations are in `table`.
    pub fn recorded_in(self, table: &str) -> Database {
        let table = table.to_owned();
        Database { table, ..self }
    }

    /// Selects the names of the applied migrations, in the order they were applied.
    pub fn applied_sql(&self) -> String {
        format!("SELECT name FROM {} ORDER BY id", identifier(&self.table))
    }

    /// The path of its `query` endpoint.
    pub fn query_path(&self) -> String {
        self.cloud.path(&format!(
            "/d1/database/{}/query",
            cloudflare::encode(&self.id)
        ))
    }

    /// The names of its tables, without SQLite's and Cloudflare's own.
    pub fn tables(&self) -> anyhow::Result<BTreeSet<String>> {
        Ok(names(&self.read(TABLES_SQL)?))
    }

    /// Makes the pipeline's tables.
    pub fn create_tables(&self) -> anyhow::Result<()> {
        let sql = tables_sql(&self.table);
        self.write(&sql, &[]).map(drop)
    }

    /// Rows of one SELECT.
    pub fn read(&self, sql: &str) -> anyhow::Result<Vec<Value>> {
        cloudflare::query(&self.cloud, &self.id, sql, &[], true)?.map_err(|error| self.fail(error))
    }

    /// The rows of each of several SELECTs in one request; `None` when a table they name does not exist.
    pub fn read_each(&self, sql: &str) -> anyhow::Result<Option<Vec<Vec<Value>>>> {
        let call = cloudflare::Call::repeatable("POST", self.query_path(), json!({ "sql": sql }));
        let mut answer = match self.cloud.call(&call)? {
            Ok(answer) => answer,
            Err(error) if error.message.contains("no such table") => return Ok(None),
            Err(error) => return Err(self.fail(error)),
        };
        let sets = answer
            .as_array_mut()
            .map(std::mem::take)
            .unwrap_or_default();
        let rows = |mut set: Value| match set["results"].take() {
            Value::Array(rows) => rows,
            _ => Vec::new(),
        };
        Ok(Some(sets.into_iter().map(rows).collect()))
    }

    /// A statement that may run twice without harm; gives the rows it returns.
    pub fn write(&self, sql: &str, params: &[Value]) -> anyhow::Result<Vec<Value>> {
        cloudflare::query(&self.cloud, &self.id, sql, params, true)?
            .map_err(|error| self.fail(error))
    }

    /// The bookmark that time travel can restore to.
    pub fn bookmark(&self) -> anyhow::Result<String> {
        let path = self.time_travel_path("bookmark");
        let answer = self.cloud.expect(&cloudflare::Call::get(path))?;
        Ok(answer["bookmark"].as_str().unwrap_or_default().to_owned())
    }

    /// The bookmark of a point in time, RFC 3339.
    pub fn bookmark_at(&self, time: &str) -> anyhow::Result<String> {
        let time = cloudflare::encode(time);
        let path = self.time_travel_path(&format!("bookmark?timestamp={time}"));
        let answer = self.cloud.expect(&cloudflare::Call::get(path))?;
        Ok(answer["bookmark"].as_str().unwrap_or_default().to_owned())
    }

    fn time_travel_path(&self, rest: &str) -> String {
        let id = cloudflare::encode(&self.id);
        self.cloud
            .path(&format!("/d1/database/{id}/time_travel/{rest}"))
    }

    fn fail(&self, error: ApiError) -> anyhow::Error {
        if error.status == 404 {
            return Fail::setup(format!("the database `{}` does not exist", self.name))
                .why(error.to_string())
                .fix(format!("npx wrangler d1 create {}", self.name))
                .fix("then put its id into the wrangler configs that bind it")
                .into();
        }
        anyhow::Error::new(Fail::from(error))
            .context(format!("failed to query the database `{}`", self.name))
    }
}

/// The `name` of each row.
fn names(rows: &[Value]) -> BTreeSet<String> {
    rows.iter()
        .filter_map(|row| row["name"].as_str().map(str::to_owned))
        .collect()
}

/// A name as an SQL identifier.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as an SQL literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
