//! Objects of an R2 bucket, as `wrangler r2 object … --remote` moves them: bare bodies, metadata in headers.

use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Json as JsonAnswer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::context::Context;
use super::r2;
use crate::envelope::{ApiError, ApiResult, ok};
use crate::extract::Json;

/// The headers that are kept with an object, and R2's own names for them. `expires` is not kept: the binding that
/// stores objects wants a date object there, which JSON cannot carry.
const HTTP_METADATA: [(HeaderName, &str); 5] = [
    (header::CONTENT_TYPE, "contentType"),
    (header::CONTENT_LANGUAGE, "contentLanguage"),
    (header::CONTENT_DISPOSITION, "contentDisposition"),
    (header::CONTENT_ENCODING, "contentEncoding"),
    (header::CACHE_CONTROL, "cacheControl"),
];
/// As documented for object keys.
const KEY_BYTES_MAX: usize = 1024;
/// As documented for deleting a list of objects.
const BULK_DELETE_MAX: usize = 1000;

type ObjectPath = Path<(String, String, String)>;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    prefix: String,
    cursor: Option<String>,
    per_page: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct DeleteQuery {
    prefix: Option<String>,
}

/// `GET …/objects?prefix&cursor&per_page`
pub(super) async fn list(
    context: Context,
    Path((_, bucket)): Path<(String, String)>,
    Query(query): Query<ListQuery>,
) -> ApiResult {
    r2::find(&context, &bucket)?;
    let limit = query.per_page.unwrap_or(1000).clamp(1, 1000);
    let cursor = query.cursor.filter(|cursor| !cursor.is_empty());
    let body =
        json!({ "bucket": bucket, "prefix": query.prefix, "limit": limit, "cursor": cursor });
    let answer = context.sidecar("/r2/list", &body).await?;
    let objects: Vec<Value> = answer["objects"]
        .as_array()
        .into_iter()
        .flatten()
        .map(row)
        .collect();
    let cursor = answer["cursor"].as_str().unwrap_or_default();
    let body = json!({
        "success": true, "errors": [], "messages": [], "result": objects,
        "result_info": { "cursor": cursor, "is_truncated": !cursor.is_empty(), "per_page": limit },
    });
    Ok(JsonAnswer(body).into_response())
}

/// `GET …/objects/{key}`: the bare object.
pub(super) async fn get(context: Context, Path((_, bucket, key)): ObjectPath) -> ApiResult {
    r2::find(&context, &bucket)?;
    let object = context
        .sidecar("/r2/get", &json!({ "bucket": bucket, "key": key }))
        .await?;
    let Some(body) = object["value_base64"].as_str() else {
        return Err(ApiError::not_found(
            10007,
            "The specified key does not exist.",
        ));
    };
    let mut response = BASE64
        .decode(body)
        .map_err(ApiError::internal)?
        .into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    let stored = &object["http_metadata"];
    for (header, field) in HTTP_METADATA {
        let text = stored[field].as_str();
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(header, value);
        }
    }
    if let Some(etag) = object["etag"]
        .as_str()
        .and_then(|etag| HeaderValue::from_str(&format!("\"{etag}\"")).ok())
    {
        headers.insert(header::ETAG, etag);
    }
    Ok(response)
}

/// `PUT …/objects/{key}`: the bare object, its HTTP metadata in the headers.
pub(super) async fn put(
    context: Context,
    Path((_, bucket, key)): ObjectPath,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult {
    r2::find(&context, &bucket)?;
    if key.len() > KEY_BYTES_MAX {
        // A choice: the real code for a bad key is not known.
        let message = format!(
            "the key is {} bytes long: at most {KEY_BYTES_MAX} are allowed",
            key.len()
        );
        return Err(ApiError::bad_request(10020, message));
    }
    let body = json!({
        "bucket": bucket, "key": key, "value_base64": BASE64.encode(&body), "http_metadata": http_metadata(&headers),
    });
    ok(row(&context.sidecar("/r2/put", &body).await?))
}

/// `DELETE …/objects/{key}`: succeeds whether or not the key exists.
pub(super) async fn delete(context: Context, Path((_, bucket, key)): ObjectPath) -> ApiResult {
    r2::find(&context, &bucket)?;
    context
        .sidecar("/r2/delete", &json!({ "bucket": bucket, "keys": [key] }))
        .await?;
    ok(json!({ "key": key }))
}

/// `DELETE …/objects` with an array of keys: what is there is deleted, and every key that is not counts as an error,
/// which does not tell the key. The status is 200 in both cases.
pub(super) async fn bulk_delete(
    context: Context,
    Path((_, bucket)): Path<(String, String)>,
    Query(query): Query<DeleteQuery>,
    Json(keys): Json<Option<Vec<String>>>,
) -> ApiResult {
    r2::find(&context, &bucket)?;
    if query.prefix.is_some() {
        let message = "the local cloud has no jobs that delete by prefix: send an array of keys";
        return Err(ApiError::new(501, 10020, message));
    }
    let keys = keys.unwrap_or_default();
    if !(1..=BULK_DELETE_MAX).contains(&keys.len()) {
        let message = format!("the body must be an array of 1 to {BULK_DELETE_MAX} keys");
        return Err(ApiError::bad_request(10020, message));
    }
    let answer = context
        .sidecar("/r2/delete", &json!({ "bucket": bucket, "keys": keys }))
        .await?;
    let missing = answer["missing"].as_array().map_or(0, Vec::len);
    if missing == 0 {
        let deleted = keys.iter().map(|key| json!({ "key": key }));
        return ok(deleted.collect::<Vec<_>>());
    }
    let error = json!({ "code": 10007, "message": "The specified key does not exist." });
    let body =
        json!({ "success": false, "errors": vec![error; missing], "messages": [], "result": null });
    Ok(JsonAnswer(body).into_response())
}

/// Objects and their bytes, for `r2 bucket info`.
pub(super) async fn size(context: &Context, bucket: &str) -> Result<(u64, u64), ApiError> {
    let (mut objects, mut bytes, mut cursor) = (0, 0, Value::Null);
    loop {
        let body = json!({ "bucket": bucket, "limit": 1000, "cursor": cursor });
        let mut answer = context.sidecar("/r2/list", &body).await?;
        for object in answer["objects"].as_array().into_iter().flatten() {
            objects += 1;
            bytes += object["size"].as_u64().unwrap_or_default();
        }
        cursor = answer["cursor"].take();
        if cursor.as_str().is_none_or(str::is_empty) {
            return Ok((objects, bytes));
        }
    }
}

fn http_metadata(headers: &HeaderMap) -> Map<String, Value> {
    HTTP_METADATA
        .iter()
        .filter_map(|(header, field)| {
            let text = headers.get(header)?.to_str().ok()?;
            Some(((*field).to_owned(), Value::from(text)))
        })
        .collect()
}

fn row(object: &Value) -> Value {
    json!({
        "key": object["key"],
        "etag": object["etag"],
        "size": object["size"],
        "last_modified": object["uploaded"],
        "http_metadata": object["http_metadata"],
        "custom_metadata": object["custom_metadata"],
        "storage_class": "Standard",
    })
}
