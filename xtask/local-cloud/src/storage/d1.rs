//! D1 databases as things: create, list, look up, delete.
//!
//! Must not know SQL (`d1_query`), transfers (`d1_transfer`) or time travel.

use axum::extract::{Path, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use super::context::Context;
use super::{d1_query, resource_id, time_travel};
use crate::envelope::{self, ApiError, ApiResult, Page, ok};
use crate::extract::Json;
use crate::ids;
use crate::resource_id::ResourceId;
use crate::state::{D1Database, State};

/// wrangler refuses time travel on `alpha` databases.
const VERSION: &str = "production";
/// A choice: the real limit is not documented.
const NAME_LENGTH_MAX: usize = 64;
/// A choice: where a database without a location hint is said to run.
const REGION: &str = "WEUR";

#[derive(Deserialize)]
pub(super) struct Create {
    name: String,
    primary_location_hint: Option<String>,
}

/// `POST /accounts/{account}/d1/database`
pub(super) async fn create(context: Context, Json(create): Json<Create>) -> ApiResult {
    check_name(&create.name)?;
    let uuid = resource_id(ids::uuid())?;
    let database = D1Database {
        name: create.name,
        created_at: ids::now(),
        version: VERSION.to_owned(),
    };
    let mut result = summary(&uuid, &database);
    result["created_in_region"] = json!(
        create
            .primary_location_hint
            .as_deref()
            .unwrap_or(REGION)
            .to_uppercase()
    );
    context.app.mutate(|state| insert(state, uuid, database))?;
    ok(result)
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    page: Option<String>,
    per_page: Option<String>,
    name: Option<String>,
}

/// `GET /accounts/{account}/d1/database?page&per_page&name`
pub(super) async fn list(context: Context, Query(query): Query<ListQuery>) -> ApiResult {
    let state = context.app.snapshot();
    let wanted = |database: &D1Database| {
        query
            .name
            .as_deref()
            .is_none_or(|part| database.name.contains(part))
    };
    let mut found: Vec<_> = state
        .d1
        .iter()
        .filter(|(_, database)| wanted(database))
        .collect();
    found.sort_by(|(_, a), (_, b)| {
        b.created_at
            .cmp(&a.created_at)
            .then_with(|| a.name.cmp(&b.name))
    });
    let rows: Vec<Value> = found
        .into_iter()
        .map(|(uuid, database)| summary(uuid, database))
        .collect();
    envelope::list(&rows, &Page::new(query.page, query.per_page))
}

#[derive(Deserialize)]
pub(super) struct GetQuery {
    fields: Option<String>,
}

/// `GET /accounts/{account}/d1/database/{uuid or name}?fields`
pub(super) async fn get(
    context: Context,
    Path((_, database)): Path<(String, String)>,
    Query(query): Query<GetQuery>,
) -> ApiResult {
    let (uuid, database) = find(&context, &database)?;
    let mut result = summary(&uuid, &database);
    if let Some(fields) = query.fields {
        let wanted: Vec<&str> = fields.split(',').map(str::trim).collect();
        if let Value::Object(object) = &mut result {
            object.retain(|field, _| wanted.contains(&field.as_str()));
        }
        return ok(result);
    }
    let (tables, bytes) = d1_query::size(&context, &uuid).await?;
    result["num_tables"] = json!(tables);
    result["file_size"] = json!(bytes);
    result["running_in_region"] = json!(REGION);
    result["read_replication"] = json!({ "mode": "disabled" });
    ok(result)
}

/// `DELETE /accounts/{account}/d1/database/{uuid}`
pub(super) async fn delete(
    context: Context,
    Path((_, database)): Path<(String, String)>,
) -> ApiResult {
    let (uuid, _) = find(&context, &database)?;
    let shared = context.database(&uuid);
    let _turn = shared.turn.lock().await;
    // Its past first: a crash in between leaves a database without one, which can be deleted again.
    time_travel::forget(&context, &uuid).map_err(ApiError::internal)?;
    context.app.mutate(|state| {
        state.d1.remove(&uuid);
        Ok(())
    })?;
    context.forget_database(&uuid);
    ok(Value::Null)
}

/// The database of a path, by uuid or name, or the API's 404.
pub(super) fn find(
    context: &Context,
    uuid_or_name: &str,
) -> Result<(ResourceId, D1Database), ApiError> {
    let found = context.app.read(|state| {
        let by_uuid = state.d1.get_key_value(uuid_or_name);
        let found = by_uuid.or_else(|| {
            state
                .d1
                .iter()
                .find(|(_, database)| database.name == uuid_or_name)
        });
        found.map(|(uuid, database)| (uuid.clone(), database.clone()))
    });
    if let Some(found) = found {
        return Ok(found);
    }
    if context.app.config().adopt && uuid::Uuid::parse_str(uuid_or_name).is_ok() {
        return adopt(context, resource_id(uuid_or_name)?);
    }
    Err(ApiError::not_found(
        7404,
        format!("The database {uuid_or_name} could not be found"),
    ))
}

/// Configs name production's databases by id. Adopting means: here, that id is an empty database of its own.
fn adopt(context: &Context, uuid: ResourceId) -> Result<(ResourceId, D1Database), ApiError> {
    let name = format!("adopted-{uuid}");
    let database = D1Database {
        name,
        created_at: ids::now(),
        version: VERSION.to_owned(),
    };
    let adopted = (uuid.clone(), database.clone());
    context.app.mutate(|state| insert(state, uuid, database))?;
    Ok(adopted)
}

fn insert(state: &mut State, uuid: ResourceId, database: D1Database) -> Result<(), ApiError> {
    if state.d1.values().any(|other| other.name == database.name) {
        let name = &database.name;
        return Err(ApiError::bad_request(
            7502,
            format!("A database with the name '{name}' already exists"),
        ));
    }
    state.d1.insert(uuid, database);
    Ok(())
}

fn summary(uuid: &ResourceId, database: &D1Database) -> Value {
    json!({
        "uuid": uuid,
        "name": database.name,
        "created_at": database.created_at,
        "version": database.version,
    })
}

/// A choice: an alphabet that is safe in paths and file names; the real rule is not documented.
fn check_name(name: &str) -> Result<(), ApiError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > NAME_LENGTH_MAX || !name.chars().all(legal) {
        let rule = format!("a name is 1 to {NAME_LENGTH_MAX} letters, digits, `-` or `_`");
        return Err(ApiError::bad_request(
            7400,
            format!("invalid database name '{name}': {rule}"),
        ));
    }
    Ok(())
}
