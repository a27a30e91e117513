//! Static assets: an upload session says which files are missing, the files come in, a completion token closes it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::envelope::{ApiError, ApiResult, answer, ok};
use crate::extract::{Form, Json};
use crate::ids;
use crate::state::{AssetBlob, AssetFile, AssetSession, State};
use crate::upload::asset_files;

/// Files per bucket: wrangler uploads a bucket per request, three at a time.
const BUCKET_FILES_MAX: usize = 50;
/// Finished and abandoned sessions kept.
const SESSIONS_MAX: usize = 200;
/// [A] The real codes for refused tokens and manifests were never seen.
const INVALID_ASSETS: u32 = 10304;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route(
            "/accounts/{account}/workers/scripts/{name}/assets-upload-session",
            post(open),
        )
        .route(
            "/accounts/{account}/workers/assets/upload",
            post(upload_many),
        )
        .route(
            "/accounts/{account}/workers/assets/upload/{hash}",
            post(upload_one),
        )
}

#[derive(Deserialize)]
struct Manifest {
    manifest: BTreeMap<String, ManifestEntry>,
}

#[derive(Deserialize)]
struct ManifestEntry {
    hash: String,
}

async fn open(
    app: App,
    Path((_, script)): Path<(String, String)>,
    Json(body): Json<Manifest>,
) -> ApiResult {
    super::check_name(&script)?;
    let manifest: BTreeMap<String, String> = body
        .manifest
        .into_iter()
        .map(|(path, entry)| (path, entry.hash))
        .collect();
    if let Some((path, _)) = manifest
        .iter()
        .find(|(path, hash)| !path.starts_with('/') || !is_hash(hash))
    {
        let message = format!(
            "the manifest entry {path} needs a path that starts with a slash and a hash of 32 hex digits"
        );
        return Err(ApiError::bad_request(INVALID_ASSETS, message));
    }
    let id = ids::hex32();
    let missing = app.mutate(|state| {
        while state.asset_sessions.len() >= SESSIONS_MAX {
            let oldest = state
                .asset_sessions
                .iter()
                .min_by(|a, b| a.1.created_on.cmp(&b.1.created_on));
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                break;
            };
            state.asset_sessions.remove(&oldest);
        }
        let session = AssetSession {
            script: script.clone(),
            created_on: ids::now(),
            manifest,
        };
        let missing = missing(state, &session);
        state.asset_sessions.insert(id.clone(), session);
        Ok(missing)
    })?;
    let purpose = if missing.is_empty() {
        "completion"
    } else {
        "session"
    };
    let buckets: Vec<&[String]> = missing.chunks(BUCKET_FILES_MAX).collect();
    ok(json!({ "jwt": token(&id, purpose), "buckets": buckets }))
}

fn is_hash(hash: &str) -> bool {
    hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Hashes not yet uploaded, each once.
fn missing(state: &State, session: &AssetSession) -> Vec<String> {
    let hashes: BTreeSet<&String> = session.manifest.values().collect();
    hashes
        .into_iter()
        .filter(|hash| !state.asset_files.contains_key(*hash))
        .cloned()
        .collect()
}

/// A token wrangler can read. Nothing is signed: whoever reaches this port is the one developer on this machine.
fn token(session: &str, purpose: &str) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs());
    let payload = json!({ "session": session, "purpose": purpose, "iat": now, "exp": now + 3600 });
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.{}",
        part(json!({ "alg": "none", "typ": "JWT" })),
        part(payload),
        URL_SAFE_NO_PAD.encode("local-cloud")
    )
}

/// The session a token names, if it has the purpose.
fn session_id(token: &str, purpose: &str) -> Option<String> {
    let payload = token.split('.').nth(1)?;
    let payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    (payload["purpose"] == purpose).then(|| payload["session"].as_str().map(str::to_owned))?
}

fn session_of(headers: &HeaderMap) -> Result<String, ApiError> {
    let authorization = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    session_id(authorization.trim_start_matches("Bearer "), "session").ok_or_else(|| {
        ApiError::new(
            401,
            10000,
            "asset uploads are authorized by the token of their upload session",
        )
    })
}

#[derive(Deserialize)]
struct UploadQuery {
    base64: Option<String>,
}

async fn upload_many(
    app: App,
    Query(query): Query<UploadQuery>,
    headers: HeaderMap,
    Form(parts): Form,
) -> ApiResult {
    let session = session_of(&headers)?;
    let base64 = query.base64.as_deref() == Some("true");
    let mut files = Vec::with_capacity(parts.len());
    for part in parts {
        let content = if base64 {
            let text: Vec<u8> = part
                .bytes
                .iter()
                .copied()
                .filter(|byte| !byte.is_ascii_whitespace())
                .collect();
            STANDARD.decode(text).map_err(|error| {
                ApiError::bad_request(
                    INVALID_ASSETS,
                    format!("the asset {} is not base64: {error}", part.name),
                )
            })?
        } else {
            part.bytes.to_vec()
        };
        files.push((part.name, content, part.content_type));
    }
    receive(&app, &session, &files)
}

async fn upload_one(
    app: App,
    Path((_, hash)): Path<(String, String)>,
    headers: HeaderMap,
    content: Bytes,
) -> ApiResult {
    let session = session_of(&headers)?;
    let content_type = headers
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    receive(&app, &session, &[(hash, content.to_vec(), content_type)])
}

/// Keeps files: (hash, content, content type). The last one of a session brings the completion token.
fn receive(app: &App, session: &str, files: &[(String, Vec<u8>, Option<String>)]) -> ApiResult {
    let mut blobs = Vec::with_capacity(files.len());
    for (hash, content, content_type) in files {
        // wrangler's word for "unknown".
        let content_type = content_type
            .clone()
            .filter(|kind| kind != "application/null");
        blobs.push((
            hash.clone(),
            AssetBlob {
                blob: app.put_blob(content)?,
                content_type,
            },
        ));
    }
    let complete = app.mutate(|state| {
        let unknown =
            || ApiError::new(401, 10000, "the asset upload session is unknown or expired");
        let manifest = state
            .asset_sessions
            .get(session)
            .ok_or_else(unknown)?
            .manifest
            .clone();
        for (hash, blob) in blobs {
            if !manifest.values().any(|expected| *expected == hash) {
                return Err(ApiError::bad_request(
                    INVALID_ASSETS,
                    format!("the asset {hash} is not in the manifest"),
                ));
            }
            state.asset_files.insert(hash, blob);
        }
        Ok(manifest
            .values()
            .all(|hash| state.asset_files.contains_key(hash)))
    })?;
    if complete {
        answer(
            StatusCode::CREATED,
            json!({ "jwt": token(session, "completion") }),
        )
    } else {
        answer(StatusCode::ACCEPTED, json!({ "jwt": null }))
    }
}

/// The files a completion token stands for.
pub(crate) fn completed_files(
    state: &State,
    script: &str,
    jwt: &str,
) -> Result<Vec<AssetFile>, ApiError> {
    let invalid = |message: &str| ApiError::bad_request(INVALID_ASSETS, message);
    let id = session_id(jwt, "completion")
        .ok_or_else(|| invalid("the assets token is not a completion token"))?;
    let session = state
        .asset_sessions
        .get(&id)
        .ok_or_else(|| invalid("the assets token is unknown or expired"))?;
    if session.script != script {
        return Err(invalid("the assets token belongs to another Worker"));
    }
    asset_files(state, &session.manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_serves_its_purpose_only() {
        let token = token("abc", "session");
        assert_eq!(token.split('.').count(), 3);
        assert_eq!(session_id(&token, "session").as_deref(), Some("abc"));
        assert_eq!(session_id(&token, "completion"), None);
        assert_eq!(session_id("not-a-token", "session"), None);
    }

    #[test]
    fn a_missing_file_is_asked_for_once_and_named_when_it_never_came() {
        let session = AssetSession {
            manifest: BTreeMap::from([("/a".into(), "h1".into()), ("/b".into(), "h1".into())]),
            ..AssetSession::default()
        };
        let state = State::default();
        assert_eq!(missing(&state, &session), ["h1"]);
        let error = asset_files(&state, &session.manifest).expect_err("nothing was uploaded");
        assert_eq!(error.message, "the asset /a was never uploaded");
    }
}
