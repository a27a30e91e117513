//! `/workers/scripts/{name}/secrets`: every change is a new version, deployed at once.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::routing::{get, patch};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::source;
use crate::app::App;
use crate::bindings::{secrets, text};
use crate::envelope::{ApiError, ApiResult, ok};
use crate::extract::Json;
use crate::state::{Script, Version, missing_script};
use crate::upload::{deploy_all, derive};

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route(
            "/accounts/{account}/workers/scripts/{name}/secrets",
            get(names).put(put_one),
        )
        .route(
            "/accounts/{account}/workers/scripts/{name}/secrets/{key}",
            get(name_of_one).delete(delete_one),
        )
        .route(
            "/accounts/{account}/workers/scripts/{name}/secrets-bulk",
            patch(patch_many),
        )
}

/// `PATCH …/versions/latest`.
#[derive(Debug, Deserialize)]
pub struct EnvPatch {
    /// Secrets by name; `null` deletes.
    #[serde(default)]
    pub env: BTreeMap<String, Option<Value>>,
    /// Of the new version.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Bulk {
    secrets: BTreeMap<String, Option<Value>>,
}

async fn names(app: App, Path((_, name)): Path<(String, String)>) -> ApiResult {
    let state = app.snapshot();
    let latest = state
        .script(&name)?
        .latest()
        .ok_or_else(|| missing_script(&name))?;
    let names: Vec<Value> = secrets(&latest.bindings).into_keys().map(shown).collect();
    ok(names)
}

async fn name_of_one(app: App, Path((_, name, key)): Path<(String, String, String)>) -> ApiResult {
    let state = app.snapshot();
    let latest = state
        .script(&name)?
        .latest()
        .ok_or_else(|| missing_script(&name))?;
    if secrets(&latest.bindings).contains_key(key.as_str()) {
        ok(shown(&key))
    } else {
        Err(missing(&key))
    }
}

fn shown(name: &str) -> Value {
    json!({ "name": name, "type": "secret_text" })
}

/// [A] 10056: the code of a missing secret.
fn missing(key: &str) -> ApiError {
    ApiError::not_found(10056, format!("Secret '{key}' not found."))
}

async fn put_one(
    app: App,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(secret): Json<Value>,
) -> ApiResult {
    let key = text(&secret, "name").to_owned();
    change(
        &app,
        &name,
        &headers,
        &BTreeMap::from([(key.clone(), Some(secret))]),
    )?;
    ok(shown(&key))
}

async fn delete_one(
    app: App,
    Path((_, name, key)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> ApiResult {
    let known = app.read(|state| {
        let latest = state
            .script(&name)?
            .latest()
            .ok_or_else(|| missing_script(&name))?;
        Ok::<_, ApiError>(secrets(&latest.bindings).contains_key(key.as_str()))
    })?;
    if !known {
        return Err(missing(&key));
    }
    change(&app, &name, &headers, &BTreeMap::from([(key, None)]))?;
    ok(Value::Null)
}

async fn patch_many(
    app: App,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(bulk): Json<Bulk>,
) -> ApiResult {
    change(&app, &name, &headers, &bulk.secrets)?;
    ok(bulk
        .secrets
        .iter()
        .filter(|(_, secret)| secret.is_some())
        .map(|(key, _)| shown(key))
        .collect::<Vec<_>>())
}

fn change(
    app: &App,
    name: &str,
    headers: &HeaderMap,
    changes: &BTreeMap<String, Option<Value>>,
) -> Result<(), ApiError> {
    let source = source(headers);
    app.mutate(|state| {
        let script = state.script_mut(name)?;
        let latest = script.latest().ok_or_else(|| missing_script(name))?;
        check_latest_is_live(script)?;
        let bindings = patched(latest, changes)?;
        let annotations =
            BTreeMap::from([("workers/triggered_by".to_owned(), "secret".to_owned())]);
        let version = derive(script, &source, annotations, bindings)?;
        deploy_all(script, &version.id, &source, "secret", None);
        Ok(())
    })
}

/// A secret changes the latest version and goes live: refused when that would put undeployed code live.
fn check_latest_is_live(script: &Script) -> Result<(), ApiError> {
    let latest = script.latest().map(|version| version.id.as_str());
    match script.live().map(|live| live.versions.as_slice()) {
        Some([share]) if Some(share.version_id.as_str()) == latest => Ok(()),
        Some([_, _]) => {
            let message = "Secret edit failed. You attempted to modify a secret, but more than one version of your Worker is deployed. Please deploy one version to all traffic first, or use `wrangler versions secret`.";
            Err(ApiError::bad_request(10214, message))
        }
        _ => {
            let message = "Secret edit failed. You attempted to modify a secret, but the latest version of your Worker isn't currently deployed. Please ensure that the latest version of your Worker is fully deployed before modifying secrets.";
            Err(ApiError::bad_request(10215, message))
        }
    }
}

/// The bindings of a version with some secrets set or removed.
pub(super) fn patched(
    version: &Version,
    changes: &BTreeMap<String, Option<Value>>,
) -> Result<Vec<Value>, ApiError> {
    let mut bindings = version.bindings.clone();
    for (name, change) in changes {
        let taken = bindings.iter().find(|binding| {
            text(binding, "name") == name && text(binding, "type") != "secret_text"
        });
        if name.is_empty() || taken.is_some() {
            let message = format!(
                "Binding name '{name}' already in use. Please use a different name and try again."
            );
            return Err(ApiError::bad_request(10053, message));
        }
        bindings.retain(|binding| text(binding, "name") != name);
        let Some(secret) = change else { continue };
        let value = secret.get("text").and_then(Value::as_str);
        let value = value.ok_or_else(|| {
            ApiError::bad_request(10001, format!("the secret '{name}' has no text"))
        })?;
        bindings.push(json!({ "name": name, "type": "secret_text", "text": value }));
    }
    Ok(bindings)
}
