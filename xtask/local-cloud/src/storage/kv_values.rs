//! Keys and values of a KV namespace: one by one, listed, and in bulk.
//!
//! Limits are the documented ones; the codes of their errors are a choice unless the comment says otherwise.

use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Query, Request};
use axum::http::header;
use axum::response::{IntoResponse as _, Json as JsonAnswer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::context::Context;
use super::kv;
use crate::app::App;
use crate::envelope::{ApiError, ApiResult, ok};
use crate::extract::{Form, Json};

const KEY_BYTES_MAX: usize = 512;
const VALUE_BYTES_MAX: usize = 25 << 20;
const METADATA_BYTES_MAX: usize = 1024;
const TTL_SECS_MIN: u64 = 60;
const BULK_PUT_MAX: usize = 10_000;
const BULK_GET_MAX: usize = 100;
const LIST_MAX: u64 = 1000;

type KeyPath = Path<(String, String, String)>;
type NamespacePath = Path<(String, String)>;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    prefix: String,
    limit: Option<u64>,
    cursor: Option<String>,
}

/// `GET …/keys?prefix&limit&cursor`
pub(super) async fn keys(
    context: Context,
    Path((_, namespace)): NamespacePath,
    Query(query): Query<ListQuery>,
) -> ApiResult {
    kv::find(&context, &namespace)?;
    let limit = query.limit.unwrap_or(LIST_MAX);
    // The documented minimum is 10; smaller pages are allowed here because tests of paging need them. A choice.
    if limit == 0 || limit > LIST_MAX {
        return Err(ApiError::bad_request(
            10028,
            format!("`limit` must be 1 to {LIST_MAX}, not {limit}"),
        ));
    }
    let cursor = query.cursor.filter(|cursor| !cursor.is_empty());
    let body = json!({ "namespace_id": namespace, "prefix": query.prefix, "limit": limit, "cursor": cursor });
    let answer = refused_as(10022, context.ask("/kv/list", &body).await?)?;
    let keys = answer["keys"].as_array().cloned().unwrap_or_default();
    let cursor = answer["cursor"].as_str().unwrap_or_default();
    let body = json!({
        "success": true, "errors": [], "messages": [], "result": keys,
        "result_info": { "count": keys.len(), "cursor": cursor },
    });
    Ok(JsonAnswer(body).into_response())
}

/// `GET …/values/{key}`: the bare value, without an envelope.
pub(super) async fn get(context: Context, Path((_, namespace, key)): KeyPath) -> ApiResult {
    let entry = entry(&context, &namespace, &key).await?;
    let mut response = decode(&entry)?.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/octet-stream"),
    );
    if let Some(expiration) = entry["expiration"].as_u64() {
        headers.insert("expiration", expiration.into());
    }
    Ok(response)
}

/// `GET …/metadata/{key}`
pub(super) async fn metadata(context: Context, Path((_, namespace, key)): KeyPath) -> ApiResult {
    ok(&entry(&context, &namespace, &key).await?["metadata"])
}

#[derive(Deserialize)]
pub(super) struct Lifetime {
    expiration: Option<u64>,
    expiration_ttl: Option<u64>,
}

/// `PUT …/values/{key}`: the bare value, or a form with `value` and `metadata`.
pub(super) async fn put(
    context: Context,
    Path((_, namespace, key)): KeyPath,
    Query(lifetime): Query<Lifetime>,
    request: Request,
) -> ApiResult {
    kv::find(&context, &namespace)?;
    let (value, metadata) = read_value(&context.app, request).await?;
    let pair = pair(&namespace, &key, &value, metadata.as_ref(), &lifetime)?;
    context.sidecar("/kv/put", &pair).await?;
    ok(Value::Null)
}

/// `DELETE …/values/{key}`: succeeds whether or not the key exists, as documented.
pub(super) async fn delete(context: Context, Path((_, namespace, key)): KeyPath) -> ApiResult {
    kv::find(&context, &namespace)?;
    context
        .sidecar(
            "/kv/delete",
            &json!({ "namespace_id": namespace, "key": key }),
        )
        .await?;
    ok(Value::Null)
}

#[derive(Deserialize)]
pub(super) struct BulkPair {
    key: String,
    value: String,
    #[serde(default)]
    base64: bool,
    metadata: Option<Value>,
    #[serde(flatten)]
    lifetime: Lifetime,
}

/// `PUT …/bulk`: all pairs are checked before the first is written.
pub(super) async fn bulk_put(
    context: Context,
    Path((_, namespace)): NamespacePath,
    Json(pairs): Json<Vec<BulkPair>>,
) -> ApiResult {
    kv::find(&context, &namespace)?;
    check_bulk(pairs.len(), BULK_PUT_MAX)?;
    let checked: Vec<Value> = pairs
        .iter()
        .map(|bulk| {
            let value = if bulk.base64 {
                let malformed = |error| {
                    bad(&format!(
                        "the value of '{}' is not base64: {error}",
                        bulk.key
                    ))
                };
                BASE64.decode(&bulk.value).map_err(malformed)?
            } else {
                bulk.value.clone().into_bytes()
            };
            pair(
                &namespace,
                &bulk.key,
                &value,
                bulk.metadata.as_ref(),
                &bulk.lifetime,
            )
        })
        .collect::<Result<_, ApiError>>()?;
    for pair in &checked {
        context.sidecar("/kv/put", pair).await?;
    }
    ok(json!({ "successful_key_count": checked.len(), "unsuccessful_keys": [] }))
}

/// `DELETE …/bulk` and `POST …/bulk/delete`: a list of names, or of objects with `name`.
pub(super) async fn bulk_delete(
    context: Context,
    Path((_, namespace)): NamespacePath,
    Json(keys): Json<Vec<Value>>,
) -> ApiResult {
    kv::find(&context, &namespace)?;
    check_bulk(keys.len(), BULK_PUT_MAX)?;
    let names: Vec<&str> = keys
        .iter()
        .map(|key| {
            key.as_str()
                .or_else(|| key["name"].as_str())
                .ok_or_else(|| bad("each key must be a string"))
        })
        .collect::<Result<_, ApiError>>()?;
    for name in &names {
        context
            .sidecar(
                "/kv/delete",
                &json!({ "namespace_id": namespace, "key": name }),
            )
            .await?;
    }
    ok(json!({ "successful_key_count": names.len(), "unsuccessful_keys": [] }))
}

#[derive(Deserialize)]
pub(super) struct BulkGet {
    keys: Vec<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default, rename = "withMetadata")]
    with_metadata: bool,
}

/// `POST …/bulk/get`: `{"values":{key: value}}`, `null` for a missing key.
pub(super) async fn bulk_get(
    context: Context,
    Path((_, namespace)): NamespacePath,
    Json(wanted): Json<BulkGet>,
) -> ApiResult {
    kv::find(&context, &namespace)?;
    check_bulk(wanted.keys.len(), BULK_GET_MAX)?;
    let mut values = serde_json::Map::new();
    for key in wanted.keys {
        let body = json!({ "namespace_id": namespace, "key": key });
        let entry = context.sidecar("/kv/get", &body).await?;
        let value = if entry["value_base64"].is_null() {
            Value::Null
        } else {
            bulk_value(&wanted.kind, &decode(&entry)?)?
        };
        let shown = if wanted.with_metadata && !value.is_null() {
            json!({ "value": value, "metadata": entry["metadata"], "expiration": entry["expiration"] })
        } else {
            value
        };
        values.insert(key, shown);
    }
    ok(json!({ "values": values }))
}

fn bulk_value(kind: &Option<String>, bytes: &[u8]) -> Result<Value, ApiError> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| bad("only text values can be read in bulk"))?;
    match kind.as_deref() {
        Some("json") => serde_json::from_str(text)
            .map_err(|error| bad(&format!("a value is not JSON: {error}"))),
        _ => Ok(Value::from(text)),
    }
}

async fn entry(context: &Context, namespace: &str, key: &str) -> Result<Value, ApiError> {
    kv::find(context, namespace)?;
    let entry = context
        .sidecar("/kv/get", &json!({ "namespace_id": namespace, "key": key }))
        .await?;
    if entry["value_base64"].is_null() {
        return Err(ApiError::not_found(10009, "get: 'key not found'"));
    }
    Ok(entry)
}

/// The value of a `PUT`, and its metadata if it is a form.
async fn read_value(app: &App, request: Request) -> Result<(Bytes, Option<Value>), ApiError> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let is_form =
        content_type.is_some_and(|value| value.as_bytes().starts_with(b"multipart/form-data"));
    if !is_form {
        let body = Bytes::from_request(request, app).await;
        return Ok((
            body.map_err(|error| bad(&format!("could not read the value: {error}")))?,
            None,
        ));
    }
    let Form(parts) = Form::from_request(request, app).await?;
    let part = |name: &str| {
        parts
            .iter()
            .find(|part| part.name == name)
            .map(|part| part.bytes.clone())
    };
    let value = part("value").ok_or_else(|| bad("the form has no part `value`"))?;
    let metadata = match part("metadata") {
        None => None,
        Some(text) => Some(
            serde_json::from_slice(&text)
                .map_err(|error| bad(&format!("the metadata is not JSON: {error}")))?,
        ),
    };
    Ok((value, metadata))
}

/// A checked pair as the sidecar takes it.
fn pair(
    namespace: &str,
    key: &str,
    value: &[u8],
    metadata: Option<&Value>,
    lifetime: &Lifetime,
) -> Result<Value, ApiError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX || key == "." || key == ".." {
        return Err(bad(&format!(
            "invalid key '{key}': a key is 1 to {KEY_BYTES_MAX} bytes, and not `.` or `..`"
        )));
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(ApiError::new(
            413,
            10025,
            format!("the value of '{key}' is larger than {VALUE_BYTES_MAX} bytes"),
        ));
    }
    if metadata.is_some_and(|metadata| metadata.to_string().len() > METADATA_BYTES_MAX) {
        return Err(bad(&format!(
            "the metadata of '{key}' is larger than {METADATA_BYTES_MAX} bytes"
        )));
    }
    Ok(json!({
        "namespace_id": namespace,
        "key": key,
        "value_base64": BASE64.encode(value),
        "metadata": metadata,
        "expiration": expiration(lifetime, SystemTime::now())?,
    }))
}

/// Seconds since 1970. If both are given the time to live wins, as documented.
fn expiration(lifetime: &Lifetime, now: SystemTime) -> Result<Option<u64>, ApiError> {
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs();
    match (lifetime.expiration_ttl, lifetime.expiration) {
        (Some(ttl), _) if ttl < TTL_SECS_MIN => Err(bad(&format!(
            "invalid expiration_ttl of {ttl}: it must be at least {TTL_SECS_MIN} seconds"
        ))),
        (Some(ttl), _) => Ok(Some(now.saturating_add(ttl))),
        (None, Some(at)) if at < now.saturating_add(TTL_SECS_MIN) => {
            let rule = format!("it must be at least {TTL_SECS_MIN} seconds in the future");
            Err(bad(&format!("invalid expiration of {at}: {rule}")))
        }
        (None, at) => Ok(at),
    }
}

fn decode(entry: &Value) -> Result<Vec<u8>, ApiError> {
    BASE64
        .decode(entry["value_base64"].as_str().unwrap_or_default())
        .map_err(ApiError::internal)
}

fn check_bulk(count: usize, max: usize) -> Result<(), ApiError> {
    if count > max {
        return Err(bad(&format!(
            "{count} keys in one request: at most {max} are allowed"
        )));
    }
    Ok(())
}

fn refused_as(code: u32, answer: Result<Value, String>) -> Result<Value, ApiError> {
    answer.map_err(|message| ApiError::bad_request(code, message))
}

fn bad(message: &str) -> ApiError {
    ApiError::bad_request(10033, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expires(
        expiration: Option<u64>,
        expiration_ttl: Option<u64>,
    ) -> Result<Option<u64>, String> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        super::expiration(
            &Lifetime {
                expiration,
                expiration_ttl,
            },
            now,
        )
        .map_err(|error| error.message)
    }

    #[test]
    fn lifetimes_of_less_than_a_minute_are_refused() {
        assert_eq!(expires(None, None), Ok(None));
        assert_eq!(expires(Some(1060), None), Ok(Some(1060)));
        assert_eq!(expires(Some(5000), Some(60)), Ok(Some(1060)));
        assert!(expires(Some(1059), None).is_err());
        assert!(expires(Some(5000), Some(59)).is_err());
    }

    #[test]
    fn pairs_are_checked() {
        let never = Lifetime {
            expiration: None,
            expiration_ttl: None,
        };
        let check =
            |key: &str, metadata: Option<&Value>| pair("n", key, b"v", metadata, &never).is_ok();
        assert!(check("a/b c", None));
        assert!(!check("", None) && !check("..", None) && !check(&"k".repeat(513), None));
        assert!(check("a", Some(&json!({ "m": 1 }))));
        assert!(!check("a", Some(&json!("m".repeat(1024)))));
    }
}
