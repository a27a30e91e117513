//! A copy of a D1 database's schema in a workerd of its own, to try SQL files on: the only module that knows the script
//! that makes one, what it is asked and what it answers. Nothing of it stays.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::context::Ctx;
use crate::error::Fail;
use crate::plan::Command;
use crate::run::Io;
use crate::tools::{local_cloud, node, process};

/// How long a rehearsal may take: a workerd starts within a second, but a seed can be long.
const REHEARSAL_MAX: Duration = Duration::from_secs(300);

/// What is tried.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// What the live database's `sqlite_schema` holds.
    pub schema: Vec<Object>,
    /// Makes the pipeline's own tables where they are missing.
    pub own_tables: String,
    /// The files, in order.
    pub files: Vec<Script>,
}

/// A row of `sqlite_schema`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// `table`, `index`, `view` or `trigger`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The statement that makes it; none for an index that comes with its table.
    pub sql: Option<String>,
}

/// A file as it is going to be sent.
#[derive(Clone, Debug, Serialize)]
pub struct Script {
    /// The name the ledger knows it by.
    pub name: String,
    /// Its text.
    pub sql: String,
    /// What writes its ledger rows.
    pub ledger: String,
}

/// What happened.
#[derive(Clone, Debug, Deserialize)]
pub struct Answer {
    /// Why the schema could not be copied.
    pub unreadable: Option<String>,
    /// The schema that the files found.
    pub before: Change,
    /// The files that were tried; the last of them may have failed.
    pub files: Vec<Tried>,
}

/// One file that was tried.
#[derive(Clone, Debug, Deserialize)]
pub struct Tried {
    /// As in the request.
    pub name: String,
    /// False when the ledger rows did not come through, though nothing failed.
    pub recorded: bool,
    /// The statements of the file and its ledger rows.
    pub statements: Vec<Statement>,
    /// Statements that failed for want of rows.
    pub skipped: Vec<Said>,
    /// The statement that failed.
    pub failure: Option<Said>,
}

/// One statement of a file.
#[derive(Clone, Debug, Deserialize)]
pub struct Statement {
    /// The line its code starts in, from 1.
    pub line: u32,
    /// Its text.
    pub sql: String,
    /// What it did to the schema; none for a statement that changes none.
    pub after: Option<Change>,
}

/// What SQLite said about a statement.
#[derive(Clone, Debug, Deserialize)]
pub struct Said {
    /// Which one.
    pub index: usize,
    /// Its words.
    pub message: String,
}

/// What differs in a schema; `None` is what is gone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Change {
    /// By name.
    pub tables: BTreeMap<String, Option<Table>>,
    /// `index NAME`, `view NAME`, `trigger NAME`.
    pub others: BTreeMap<String, Option<Other>>,
}

/// A table, as SQLite describes it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Table {
    /// `table` or `virtual`.
    pub kind: String,
    /// The statement that makes it.
    pub sql: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The columns that refer to another table.
    pub keys: Vec<Key>,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as declared.
    #[serde(rename = "type")]
    pub declared: String,
    /// Whether it is `NOT NULL`.
    pub not_null: bool,
    /// The default, as SQL.
    pub default: Option<String>,
    /// Its place in the primary key, from 1; 0 when it is no part of it.
    pub pk: u32,
    /// Whether its values are computed from others.
    pub generated: bool,
}

/// One column of a foreign key.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Key {
    /// Columns with the same number are one key.
    pub id: u32,
    /// The table referred to.
    pub parent: String,
    /// The column that refers.
    pub from: String,
    /// The column referred to; none stands for the primary key.
    pub to: Option<String>,
    /// `CASCADE`, `SET NULL`, `SET DEFAULT`, `RESTRICT` or `NO ACTION`.
    pub on_delete: String,
}

/// An index, a view or a trigger.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Other {
    /// The table it belongs to.
    pub table: String,
    /// The statement that makes it; none for an index that comes with its table.
    pub sql: Option<String>,
}

/// Tries files on a copy.
pub fn rehearse(ctx: &Ctx, request: &Request, io: &Io) -> anyhow::Result<Answer> {
    let (modules, node) = local_cloud::runtime(ctx)?;
    let node = node.display().to_string();
    let script = local_cloud::own_repo().join("xtask/local-cloud/runtime/rehearse-pending.mjs");
    let script = script.display().to_string();
    let mut command = Command::new(&node, &["--no-warnings", &script], &ctx.root);
    command.display = "try the SQL files on a copy of the schema".to_owned();
    if !ctx.dry_run {
        let cache = node::code_cache(&ctx.state());
        command.env.insert(node::CODE_CACHE.to_owned(), cache);
    }
    let mut body = serde_json::to_value(request)?;
    body["repo_root"] = modules.display().to_string().into();
    let finished =
        process::run_with_stdin(&command, &ctx.env, io, REHEARSAL_MAX, body.to_string())?;
    if !finished.success() {
        return Err(Fail::setup(format!("the rehearsal {}", finished.ending()))
            .why(finished.tail(5))
            .fix("npm ci --ignore-scripts   (the rehearsal runs in the workerd that comes with wrangler)")
            .into());
    }
    serde_json::from_str(&finished.stdout).map_err(|error| {
        Fail::setup("the rehearsal answered what this pipeline cannot read")
            .why(error.to_string())
            .fix("git status xtask   (both are parts of the pipeline: were only some of its files updated?)")
            .into()
    })
}
