//! R2 buckets as things: create, list, look up, delete, and their rules for old objects. Must not know objects beyond "is there one" (`r2_objects`).

use std::collections::BTreeSet;

use axum::extract::{Path, Query};
use axum::response::{IntoResponse as _, Json as JsonAnswer};
use serde::Deserialize;
use serde_json::{Value, json};

use super::context::Context;
use super::resource_id;
use crate::envelope::{ApiError, ApiResult, ok};
use crate::extract::Json;
use crate::ids;
use crate::state::R2Bucket;

/// A choice: where a bucket without a location hint is said to be.
const LOCATION: &str = "WEUR";
const PER_PAGE: usize = 1000;

#[derive(Deserialize)]
pub(super) struct Create {
    name: String,
}

/// `POST /accounts/{account}/r2/buckets`
pub(super) async fn create(context: Context, Json(create): Json<Create>) -> ApiResult {
    check_name(&create.name)?;
    let name = resource_id(create.name)?;
    let bucket = R2Bucket::created(ids::now());
    let result = row(name.as_str(), &bucket);
    context.app.mutate(|state| {
        if state.r2.contains_key(&name) {
            let message = "The bucket you tried to create already exists, and you own it.";
            return Err(ApiError::new(409, 10004, message));
        }
        state.r2.insert(name, bucket);
        Ok(())
    })?;
    ok(result)
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    name_contains: String,
    cursor: Option<String>,
    per_page: Option<usize>,
    direction: Option<String>,
}

/// `GET /accounts/{account}/r2/buckets?name_contains&cursor&per_page&direction`
pub(super) async fn list(context: Context, Query(query): Query<ListQuery>) -> ApiResult {
    let state = context.app.snapshot();
    let mut found: Vec<_> = state
        .r2
        .iter()
        .filter(|(name, _)| name.as_str().contains(&query.name_contains))
        .collect();
    let descending = query.direction.as_deref() == Some("desc");
    if descending {
        found.reverse();
    }
    // The cursor is the last name seen. A choice: the real one is opaque.
    if let Some(cursor) = query.cursor.filter(|cursor| !cursor.is_empty()) {
        found.retain(|(name, _)| {
            if descending {
                name.as_str() < cursor.as_str()
            } else {
                name.as_str() > cursor.as_str()
            }
        });
    }
    let per_page = query.per_page.unwrap_or(PER_PAGE).clamp(1, PER_PAGE);
    let more = found.len() > per_page;
    found.truncate(per_page);
    let cursor = found
        .last()
        .filter(|_| more)
        .map(|(name, _)| name.as_str())
        .unwrap_or_default();
    let buckets: Vec<Value> = found
        .iter()
        .map(|(name, bucket)| row(name.as_str(), bucket))
        .collect();
    let body = json!({
        "success": true, "errors": [], "messages": [], "result": { "buckets": buckets },
        "result_info": { "cursor": cursor, "per_page": per_page },
    });
    Ok(JsonAnswer(body).into_response())
}

/// `GET /accounts/{account}/r2/buckets/{bucket}`
pub(super) async fn get(context: Context, Path((_, name)): Path<(String, String)>) -> ApiResult {
    ok(row(&name, &find(&context, &name)?))
}

/// `DELETE /accounts/{account}/r2/buckets/{bucket}`: only an empty one.
pub(super) async fn delete(context: Context, Path((_, name)): Path<(String, String)>) -> ApiResult {
    find(&context, &name)?;
    let answer = context
        .sidecar("/r2/list", &json!({ "bucket": name, "limit": 1 }))
        .await?;
    if answer["objects"]
        .as_array()
        .is_some_and(|objects| !objects.is_empty())
    {
        let message = "The bucket you tried to delete is not empty.";
        return Err(ApiError::new(409, 10008, message));
    }
    context.app.mutate(|state| {
        state.r2.remove(name.as_str());
        Ok(())
    })?;
    ok(Value::Object(serde_json::Map::new()))
}

#[derive(Deserialize)]
pub(super) struct Lifecycle {
    rules: Vec<Value>,
}

/// `GET /accounts/{account}/r2/buckets/{bucket}/lifecycle`: as documented, a new bucket gives uploads in parts up after a week.
pub(super) async fn lifecycle(
    context: Context,
    Path((_, name)): Path<(String, String)>,
) -> ApiResult {
    let rules = find(&context, &name)?.lifecycle.unwrap_or_else(|| {
        vec![json!({
            "id": "Default Multipart Abort Rule", "enabled": true, "conditions": { "prefix": "" },
            "abortMultipartUploadsTransition": { "condition": { "type": "Age", "maxAge": 604_800 } },
        })]
    });
    ok(json!({ "rules": rules }))
}

/// `PUT /accounts/{account}/r2/buckets/{bucket}/lifecycle`: the rules are kept, and shown; nothing here gets old enough for one.
pub(super) async fn set_lifecycle(
    context: Context,
    Path((_, name)): Path<(String, String)>,
    Json(wanted): Json<Lifecycle>,
) -> ApiResult {
    find(&context, &name)?;
    let mut ids = BTreeSet::new();
    for rule in &wanted.rules {
        let id = rule["id"].as_str().filter(|id| !id.is_empty());
        let whole = rule["enabled"].is_boolean() && rule["conditions"].is_object();
        if !id.is_some_and(|id| ids.insert(id.to_owned())) || !whole {
            let message = "A lifecycle rule needs an id of its own, `enabled` and `conditions`.";
            return Err(ApiError::bad_request(10040, message));
        }
    }
    context.app.mutate(|state| {
        if let Some(bucket) = state.r2.get_mut(name.as_str()) {
            bucket.lifecycle = Some(wanted.rules);
        }
        Ok(())
    })?;
    ok(json!({}))
}

/// The bucket of a path, or the API's 404. 10006 is what makes wrangler offer to create it.
pub(super) fn find(context: &Context, name: &str) -> Result<R2Bucket, ApiError> {
    let found = context.app.read(|state| state.r2.get(name).cloned());
    found.ok_or_else(|| ApiError::not_found(10006, "The specified bucket does not exist."))
}

fn row(name: &str, bucket: &R2Bucket) -> Value {
    json!({
        "name": name,
        "creation_date": bucket.creation_date,
        "location": LOCATION,
        "storage_class": "Standard",
        "jurisdiction": "default",
    })
}

/// As documented: 3 to 63 lowercase letters, digits and hyphens, no hyphen at either end.
fn check_name(name: &str) -> Result<(), ApiError> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let framed = !name.starts_with('-') && !name.ends_with('-');
    if (3..=63).contains(&name.len()) && name.bytes().all(legal) && framed {
        return Ok(());
    }
    let rule = "3 to 63 lowercase letters, digits and hyphens, beginning and ending with a letter or digit";
    Err(ApiError::bad_request(
        10005,
        format!("The bucket name '{name}' is invalid: it must be {rule}"),
    ))
}
