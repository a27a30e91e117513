//! SQL on a D1 database: `/query` and `/raw`, and the one way in which all other D1 code runs SQL.
//!
//! Knows when a request wrote, so that a point in time is recorded; must not know how (`time_travel`).

use axum::extract::Path;
use serde::Deserialize;
use serde_json::{Value, json};

use super::context::{Context, Usage, lock};
use super::{d1, time_travel};
use crate::envelope::{ApiError, ApiResult, ok};
use crate::extract::Json;
use crate::resource_id::ResourceId;

/// The body of `/query` and `/raw`: one piece of SQL, or several with their own parameters.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Request {
    Batch { batch: Vec<Statement> },
    Single(Statement),
}

/// SQL and what its `?` stand for.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Statement {
    pub(super) sql: String,
    #[serde(default)]
    pub(super) params: Vec<Value>,
}

/// Why SQL did not run.
pub(super) enum Failure {
    /// SQLite's text, e.g. `no such table: x: SQLITE_ERROR`.
    Sql(String),
    /// The local cloud's own trouble.
    Local(ApiError),
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sql(message) => ApiError::bad_request(7500, message),
            Failure::Local(error) => error,
        }
    }
}

/// `POST …/query`: an array with one result per statement, rows as objects.
pub(super) async fn query(
    context: Context,
    Path((_, database)): Path<(String, String)>,
    Json(request): Json<Request>,
) -> ApiResult {
    ok(run_request(&context, &database, request).await?)
}

/// `POST …/raw`: the same with rows as arrays.
pub(super) async fn raw(
    context: Context,
    Path((_, database)): Path<(String, String)>,
    Json(request): Json<Request>,
) -> ApiResult {
    let results = run_request(&context, &database, request).await?;
    ok(results.into_iter().map(rows_as_arrays).collect::<Vec<_>>())
}

async fn run_request(
    context: &Context,
    database: &str,
    request: Request,
) -> Result<Vec<Value>, ApiError> {
    let (uuid, _) = d1::find(context, database)?;
    let statements = match request {
        Request::Batch { batch } => batch,
        Request::Single(statement) => vec![statement],
    };
    if statements
        .iter()
        .all(|statement| statement.sql.trim().is_empty())
    {
        return Err(ApiError::bad_request(
            7400,
            "the request has no SQL: `sql` is empty",
        ));
    }
    let shared = context.database(&uuid);
    let _turn = shared.turn.lock().await;
    Ok(run(context, &uuid, &statements).await?)
}

/// Runs all statements or none, and records a point in time if they wrote. The caller has the database's turn.
pub(super) async fn run(
    context: &Context,
    uuid: &ResourceId,
    statements: &[Statement],
) -> Result<Vec<Value>, Failure> {
    run_first(context, uuid, statements, None).await
}

/// `run` of only the first so many statements, for an injected fault.
pub(super) async fn run_first(
    context: &Context,
    uuid: &ResourceId,
    statements: &[Statement],
    first: Option<usize>,
) -> Result<Vec<Value>, Failure> {
    time_travel::ensure_first(context, uuid)
        .await
        .map_err(Failure::Local)?;
    let (sql, params) = join(statements);
    let body = json!({ "database_id": uuid, "sql": sql, "params": params, "first": first });
    let answer = context
        .ask("/d1/query", &body)
        .await
        .map_err(Failure::Local)?
        .map_err(Failure::Sql)?;
    let Value::Array(results) = answer["results"].clone() else {
        return Err(Failure::Local(ApiError::internal(
            "the sidecar's answer to a query has no `results`",
        )));
    };
    let wrote = count_usage(&mut lock(&context.database(uuid).usage), &results);
    if wrote {
        time_travel::record(context, uuid)
            .await
            .map_err(Failure::Local)?;
    }
    Ok(results)
}

/// A batch as one text, which the sidecar runs atomically: it hands the values out to the statements in order.
fn join(statements: &[Statement]) -> (String, Vec<&Value>) {
    // The line break ends a trailing `--` comment, which would swallow the separator.
    let sql = statements
        .iter()
        .map(|statement| statement.sql.as_str())
        .collect::<Vec<_>>()
        .join("\n;\n");
    let params = statements
        .iter()
        .flat_map(|statement| &statement.params)
        .collect();
    (sql, params)
}

/// Tables and bytes of a database, for `d1 info`.
pub(super) async fn size(context: &Context, uuid: &ResourceId) -> Result<(u64, u64), ApiError> {
    // Names with these prefixes are SQLite's and D1's own.
    let sql = "SELECT count(*) AS tables FROM sqlite_master \
               WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'";
    let shared = context.database(uuid);
    let _turn = shared.turn.lock().await;
    let body = json!({ "database_id": uuid, "sql": sql, "params": [] });
    let answer = context.sidecar("/d1/query", &body).await?;
    let result = &answer["results"][0];
    let tables = result["results"][0]["tables"].as_u64().unwrap_or_default();
    Ok((
        tables,
        result["meta"]["size_after"].as_u64().unwrap_or_default(),
    ))
}

/// Adds what the statements did, and tells whether any of them changed the database.
fn count_usage(usage: &mut Usage, results: &[Value]) -> bool {
    let mut wrote = false;
    for result in results {
        let meta = &result["meta"];
        let number = |name: &str| meta[name].as_u64().unwrap_or_default();
        let changed = meta["changed_db"].as_bool().unwrap_or(false);
        let writes = changed || number("rows_written") > 0 || number("changes") > 0;
        usage.rows_read += number("rows_read");
        usage.rows_written += number("rows_written");
        if writes {
            usage.queries_written += 1;
        } else {
            usage.queries_read += 1;
        }
        wrote |= writes;
    }
    wrote
}

/// `[{"id":1}]` becomes `{"columns":["id"],"rows":[[1]]}`.
fn rows_as_arrays(mut result: Value) -> Value {
    let rows = match result["results"].take() {
        Value::Array(rows) => rows,
        _ => Vec::new(),
    };
    let columns: Vec<String> = match rows.first() {
        Some(Value::Object(first)) => first.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let values = |row: Value| -> Vec<Value> {
        columns
            .iter()
            .map(|column| row.get(column).cloned().unwrap_or(Value::Null))
            .collect()
    };
    let rows: Vec<Vec<Value>> = rows.into_iter().map(values).collect();
    result["results"] = json!({ "columns": columns, "rows": rows });
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_rows_follow_the_columns() {
        let result =
            json!({ "results": [{ "b": 1, "a": "x" }, { "b": 2, "a": null }], "success": true });
        let raw = rows_as_arrays(result);
        assert_eq!(
            raw["results"],
            json!({ "columns": ["b", "a"], "rows": [[1, "x"], [2, null]] })
        );
        assert_eq!(
            rows_as_arrays(json!({ "results": [] }))["results"],
            json!({ "columns": [], "rows": [] })
        );
    }

    #[test]
    fn a_statement_that_changed_nothing_is_a_read() {
        let mut usage = Usage::default();
        let read = json!({ "meta": { "changed_db": false, "rows_read": 3, "rows_written": 0, "changes": 0 } });
        let write = json!({ "meta": { "changed_db": true, "rows_read": 0, "rows_written": 2, "changes": 1 } });
        assert!(!count_usage(&mut usage, std::slice::from_ref(&read)));
        assert!(count_usage(&mut usage, &[read, write]));
        assert_eq!(
            (
                usage.queries_read,
                usage.queries_written,
                usage.rows_read,
                usage.rows_written
            ),
            (2, 1, 6, 2)
        );
    }
}
