//! Pending files are tried on a copy of the live schema before anything is applied: what would fail is refused with its
//! place, and what would be lost is told with the numbers of the live database, and refused unless the file says why.
//!
//! The copy has the live database's schema and none of its rows: `sqlite_schema`, read in one query. D1's export would
//! say the same, in several requests, during which the database answers nobody, and it knows no virtual tables.

mod allow;
mod alter;
mod cascade;
mod compare;
mod effect;
mod ending;
mod follow;
mod guard;
mod judge;
mod schema;
mod statement;
#[cfg(test)]
mod tests;
mod tokens;
mod words;

use std::collections::BTreeMap;

use serde_json::Value;

use self::cascade::Count;
pub(crate) use self::guard::{Guard, counts_sql, said};
use self::judge::{Case, Judged};
use self::schema::Schema;
pub(crate) use self::words::thousands;
use crate::context::Ctx;
use crate::error::Fail;
use crate::findings::{Finding, Severity};
use crate::ledger::migrations::{Apply, Files, SqlFile};
use crate::ledger::{Database, tables_sql};
use crate::run::Io;
use crate::tools::d1_copy::{self, Answer, Object, Request, Script};

/// Everything of the live schema but SQLite's and Cloudflare's own.
const SCHEMA_SQL: &str = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY rowid";
/// So many questions go in one request.
const QUERIES_MAX: usize = 50;

/// What a rehearsal found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rehearsal {
    /// The database.
    pub(crate) database: String,
    /// What each file does to data, and by whose leave: for the plan and the record.
    pub(crate) losses: BTreeMap<String, Vec<String>>,
    /// Why nothing may be applied.
    pub(crate) problems: Vec<Finding>,
    /// What a reader should know.
    pub(crate) warnings: Vec<String>,
    /// What the code that is live now was made with and is going to miss.
    pub(crate) incompatible: Vec<String>,
    /// What each file is sent in.
    pub(crate) guards: BTreeMap<String, Guard>,
    /// How many files were tried.
    pub(crate) files: usize,
    missing_allow: bool,
}

/// Tries files on a copy of a database's schema. Reads from the live database, writes nothing there.
pub(crate) fn rehearse(
    ctx: &Ctx,
    database: &Database,
    files: &Files,
    todo: &[Apply],
    release: &str,
    io: &Io,
) -> anyhow::Result<Rehearsal> {
    let request = request(database, live_schema(database)?, todo);
    let answer = d1_copy::rehearse(ctx, &request, io)?;
    copied(database, &answer)?;
    let files: Vec<&SqlFile> = todo.iter().filter_map(|apply| files.of(apply)).collect();
    let case = Case::new(&answer, &request.schema, &files);
    let numbers = count(database, &case.counts())?;
    let number = |count: &Count| {
        count
            .queries
            .iter()
            .filter_map(|sql| numbers.get(sql))
            .sum()
    };
    let judged = case.judge(&number);
    Ok(rehearsal(database, judged, release, todo.len()))
}

/// In what a live schema differs from the one that files make of an empty database.
pub(crate) fn differences(
    ctx: &Ctx,
    database: &Database,
    files: &Files,
    todo: &[Apply],
    io: &Io,
) -> anyhow::Result<Vec<String>> {
    let schema = live_schema(database)?;
    let live = d1_copy::rehearse(ctx, &request(database, schema, &[]), io)?;
    copied(database, &live)?;
    let made = d1_copy::rehearse(ctx, &request(database, Vec::new(), todo), io)?;
    let files: Vec<&SqlFile> = todo.iter().filter_map(|apply| files.of(apply)).collect();
    let failed = judge::failures(&made, &files);
    if !failed.is_empty() {
        return Ok(failed.iter().map(ToString::to_string).collect());
    }
    Ok(compare::differences(
        &after(&live),
        &after(&made),
        &database.table,
    ))
}

/// The schema that the last statement left.
fn after(answer: &Answer) -> Schema {
    let mut schema = Schema::default();
    schema.apply(&answer.before);
    let statements = answer.files.iter().flat_map(|file| &file.statements);
    for change in statements.filter_map(|statement| statement.after.as_ref()) {
        schema.apply(change);
    }
    schema
}

fn request(database: &Database, schema: Vec<Object>, todo: &[Apply]) -> Request {
    let scripts = todo.iter().map(|apply| Script {
        name: apply.name.clone(),
        sql: apply.sql.clone(),
        ledger: apply.ledger.clone(),
    });
    Request {
        schema,
        own_tables: tables_sql(&database.table),
        files: scripts.collect(),
    }
}

fn live_schema(database: &Database) -> anyhow::Result<Vec<Object>> {
    let rows = database.read(SCHEMA_SQL)?;
    Ok(serde_json::from_value(Value::Array(rows))?)
}

fn copied(database: &Database, answer: &Answer) -> Result<(), Fail> {
    let Some(why) = &answer.unreadable else {
        return Ok(());
    };
    Err(Fail::check(format!("the schema of `{}` cannot be copied", database.name))
        .why(why)
        .fix("put the live schema right: what its own SQLite no longer understands, no migration can be tried on"))
}

/// Asks the live database for numbers.
fn count(database: &Database, counts: &[&Count]) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut queries: Vec<&String> = counts.iter().flat_map(|count| &count.queries).collect();
    queries.sort();
    queries.dedup();
    let mut numbers = BTreeMap::new();
    for some in queries.chunks(QUERIES_MAX) {
        let sql: Vec<&str> = some.iter().map(|query| query.as_str()).collect();
        let Some(sets) = database.read_each(&sql.join(";\n"))? else {
            return Err(Fail::remote(format!("the schema of `{}` changed meanwhile", database.name))
                .why("a table that was there a moment ago is gone: somebody else migrates, past the lease")
                .fix("run the command again")
                .into());
        };
        for (query, rows) in some.iter().zip(sets) {
            let number = rows.first().and_then(|row| row["n"].as_u64());
            numbers.insert((*query).clone(), number.unwrap_or(0));
        }
    }
    Ok(numbers)
}

fn rehearsal(database: &Database, judged: Judged, release: &str, files: usize) -> Rehearsal {
    let guards = judged.watched.iter();
    let guards = guards.map(|(file, watched)| (file.clone(), guard::guard(file, release, watched)));
    Rehearsal {
        database: database.name.clone(),
        guards: guards
            .filter(|(_, guard)| *guard != Guard::default())
            .collect(),
        losses: judged.losses,
        problems: judged.problems,
        warnings: judged.warnings,
        incompatible: judged.incompatible,
        missing_allow: judged.missing_allow,
        files,
    }
}

impl Rehearsal {
    /// Why nothing may be applied; the findings are told beside it.
    pub(crate) fn refusal(&self) -> Option<Fail> {
        if self.problems.is_empty() {
            return None;
        }
        let counts = crate::findings::counts(&self.problems);
        let mut fail = Fail::check(format!("{counts}, and nothing was applied"));
        if self.missing_allow {
            fail = fail
                .fix("do without the loss: docs/migrate.md#destructive-changes says how")
                .fix("or say in the file why it may: `-- xtask: allow RULE because REASON`");
        }
        Some(fail)
    }

    /// The refusal with its findings, for where nobody tells them beside it.
    pub(crate) fn whole_refusal(&self) -> Option<Fail> {
        let mut fail = self.refusal()?;
        fail.what = format!("the pending files of `{}` are refused", self.database);
        Some(
            self.problems
                .iter()
                .fold(fail, |fail, problem| fail.why(problem.to_string())),
        )
    }

    /// What a plan says of it.
    pub(crate) fn notes(&self) -> Vec<String> {
        let losses = self.losses.values().flatten().cloned();
        let warnings = self.warnings.iter();
        losses
            .chain(warnings.map(|text| format!("warning: {text}")))
            .collect()
    }
}

/// A problem at a place in a file.
fn problem(file: &SqlFile, line: u32, message: impl Into<String>) -> Finding {
    Finding::new(Severity::Error, message)
        .in_file(&file.path)
        .at(line, 0)
}
