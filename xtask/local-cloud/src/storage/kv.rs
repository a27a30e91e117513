//! KV namespaces as things: create, list, look up, rename, delete. Must not know keys and values (`kv_values`).

use axum::extract::{Path, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use super::context::Context;
use super::resource_id;
use crate::envelope::{self, ApiError, ApiResult, Page, ok};
use crate::extract::Json;
use crate::ids;
use crate::resource_id::ResourceId;
use crate::state::{KvNamespace, State};

/// As documented for namespace titles.
const TITLE_LENGTH_MAX: usize = 512;

#[derive(Deserialize)]
pub(super) struct Titled {
    title: String,
}

/// `POST /accounts/{account}/storage/kv/namespaces`
pub(super) async fn create(context: Context, Json(titled): Json<Titled>) -> ApiResult {
    check_title(&titled.title)?;
    let id = resource_id(ids::hex32())?;
    let namespace = KvNamespace {
        title: titled.title,
    };
    let result = row(&id, &namespace);
    context.app.mutate(|state| insert(state, id, namespace))?;
    ok(result)
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    page: Option<String>,
    per_page: Option<String>,
    order: Option<String>,
    direction: Option<String>,
}

/// `GET /accounts/{account}/storage/kv/namespaces?page&per_page&order&direction`
pub(super) async fn list(context: Context, Query(query): Query<ListQuery>) -> ApiResult {
    let state = context.app.snapshot();
    // The map is in order of ids, which is the API's order unless titles are asked for.
    let mut found: Vec<_> = state.kv.iter().collect();
    if query.order.as_deref() == Some("title") {
        found.sort_by(|(_, a), (_, b)| a.title.cmp(&b.title));
    }
    if query.direction.as_deref() == Some("desc") {
        found.reverse();
    }
    let rows: Vec<Value> = found
        .into_iter()
        .map(|(id, namespace)| row(id, namespace))
        .collect();
    envelope::list(&rows, &Page::new(query.page, query.per_page))
}

/// `GET /accounts/{account}/storage/kv/namespaces/{id}`
pub(super) async fn get(context: Context, Path((_, id)): Path<(String, String)>) -> ApiResult {
    let (id, namespace) = find(&context, &id)?;
    ok(row(&id, &namespace))
}

/// `PUT /accounts/{account}/storage/kv/namespaces/{id}`: a new title.
pub(super) async fn rename(
    context: Context,
    Path((_, id)): Path<(String, String)>,
    Json(titled): Json<Titled>,
) -> ApiResult {
    let (id, _) = find(&context, &id)?;
    check_title(&titled.title)?;
    let namespace = KvNamespace {
        title: titled.title,
    };
    let result = row(&id, &namespace);
    context.app.mutate(|state| insert(state, id, namespace))?;
    ok(result)
}

/// `DELETE /accounts/{account}/storage/kv/namespaces/{id}`
pub(super) async fn delete(context: Context, Path((_, id)): Path<(String, String)>) -> ApiResult {
    let (id, _) = find(&context, &id)?;
    context.app.mutate(|state| {
        state.kv.remove(&id);
        Ok(())
    })?;
    ok(Value::Null)
}

/// The namespace of a path, or the API's 404.
pub(super) fn find(context: &Context, id: &str) -> Result<(ResourceId, KvNamespace), ApiError> {
    let known = context.app.read(|state| {
        let known = state.kv.get_key_value(id);
        known.map(|(id, namespace)| (id.clone(), namespace.clone()))
    });
    if let Some(known) = known {
        return Ok(known);
    }
    if context.app.config().adopt
        && id.len() == 32
        && id.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        // Configs name production's namespaces by id. Adopting means: here, that id is an empty one of its own.
        let namespace = KvNamespace {
            title: format!("adopted-{id}"),
        };
        let adopted = (resource_id(id)?, namespace);
        let (id, namespace) = adopted.clone();
        context.app.mutate(|state| insert(state, id, namespace))?;
        return Ok(adopted);
    }
    Err(ApiError::not_found(10013, "namespace not found"))
}

fn insert(state: &mut State, id: ResourceId, namespace: KvNamespace) -> Result<(), ApiError> {
    if state
        .kv
        .iter()
        .any(|(other, known)| *other != id && known.title == namespace.title)
    {
        return Err(ApiError::bad_request(
            10014,
            "a namespace with this account ID and title already exists",
        ));
    }
    state.kv.insert(id, namespace);
    Ok(())
}

fn row(id: &ResourceId, namespace: &KvNamespace) -> Value {
    json!({ "id": id, "title": namespace.title, "supports_url_encoding": true })
}

fn check_title(title: &str) -> Result<(), ApiError> {
    if title.trim().is_empty() || title.len() > TITLE_LENGTH_MAX {
        // A choice: the real code for a bad title is not known.
        let rule = format!("a title is 1 to {TITLE_LENGTH_MAX} bytes");
        return Err(ApiError::bad_request(
            10019,
            format!("invalid namespace title: {rule}"),
        ));
    }
    Ok(())
}
