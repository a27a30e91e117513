//! `/workers/scripts/{name}/versions`: staged uploads and what is known of each version.

use axum::Router;
use axum::extract::{Path, Query};
use axum::http::HeaderMap;
use axum::routing::get;
use serde_json::{Value, json};

use crate::api::scripts::UploadQuery;
use crate::api::{AUTHOR, handlers, source};
use crate::app::App;
use crate::bindings::shown;
use crate::envelope::{ApiError, ApiResult, ok};
use crate::extract::{Form, Json};
use crate::form::Upload;
use crate::state::{Script, Version, missing_script};
use crate::upload::{Purpose, Request, accept};

/// The real API offers this many versions for deployment.
const DEPLOYABLE_VERSIONS_MAX: usize = 100;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route(
            "/accounts/{account}/workers/scripts/{name}/versions",
            get(versions).post(stage),
        )
        .route(
            "/accounts/{account}/workers/scripts/{name}/versions/{id}",
            get(version),
        )
}

async fn stage(
    app: App,
    Path((_, name)): Path<(String, String)>,
    Query(query): Query<UploadQuery>,
    headers: HeaderMap,
    Form(parts): Form,
) -> ApiResult {
    app.read(|state| state.script(&name).map(|_| ()))?;
    let upload = Upload::read(&app, &parts)?;
    let request = Request {
        script: name.clone(),
        assets_of: name.clone(),
        purpose: Purpose::Stage,
        strict: query.strict(),
        source: source(&headers),
    };
    let version = accept(&app, &request, &upload).await?;
    ok(detail(&version))
}

async fn versions(app: App, Path((_, name)): Path<(String, String)>) -> ApiResult {
    let state = app.snapshot();
    let script = state.script(&name)?;
    if script.versions.is_empty() {
        return Err(missing_script(&name));
    }
    let items: Vec<Value> = script
        .versions
        .iter()
        .rev()
        .take(DEPLOYABLE_VERSIONS_MAX)
        .map(summary)
        .collect();
    ok(json!({ "items": items }))
}

async fn version(app: App, Path((_, name, id)): Path<(String, String, String)>) -> ApiResult {
    let state = app.snapshot();
    ok(detail(find(state.script(&name)?, &id)?))
}

/// A version, or the API's "not found". [A] 10146: the real code was never seen.
pub(super) fn find<'a>(script: &'a Script, id: &str) -> Result<&'a Version, ApiError> {
    let missing = || {
        ApiError::not_found(
            10146,
            format!("Version '{id}' of Worker '{}' not found.", script.name),
        )
    };
    script.version(id).ok_or_else(missing)
}

fn summary(version: &Version) -> Value {
    json!({
        "id": version.id,
        "number": version.number,
        "metadata": {
            "created_on": version.created_on,
            "modified_on": version.created_on,
            "source": version.source,
            "author_email": AUTHOR,
            "author_id": "local-cloud",
            "has_preview": version.has_preview,
        },
        "annotations": version.annotations,
    })
}

/// Everything about a version but its secrets and content.
pub(super) fn detail(version: &Version) -> Value {
    let mut detail = summary(version);
    detail["startup_time_ms"] = json!(version.startup_time_ms);
    detail["resources"] = json!({
        "script": {
            "etag": version.etag,
            "handlers": handlers(version),
            "named_handlers": named_handlers(version),
            "last_deployed_from": version.source,
        },
        "script_runtime": {
            "compatibility_date": version.compatibility_date,
            "compatibility_flags": version.compatibility_flags,
            "usage_model": "standard",
            "migration_tag": version.migration_tag,
            "limits": version.extra.get("limits"),
        },
        "bindings": version.bindings.iter().map(shown).collect::<Vec<_>>(),
    });
    detail
}

fn named_handlers(version: &Version) -> Vec<Value> {
    let named = version
        .exports
        .iter()
        .filter(|(name, _)| *name != "default");
    named.map(|(name, kind)| json!({ "name": name, "handlers": kind.as_ref().map_or_else(Vec::new, |kind| vec![kind]) })).collect()
}

/// `PATCH workers/{name}/versions/latest`: a staged version with other secrets.
pub(super) async fn patch_latest(
    app: App,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<super::secrets::EnvPatch>,
) -> ApiResult {
    let source = source(&headers);
    let version = app.mutate(|state| {
        let script = state.script_mut(&name)?;
        let latest = script.latest().ok_or_else(|| super::no_version(&name))?;
        let bindings = super::secrets::patched(latest, &body.env)?;
        let mut annotations = body.annotations.clone();
        annotations
            .entry("workers/triggered_by".to_owned())
            .or_insert_with(|| "secret".to_owned());
        crate::upload::derive(script, &source, annotations, bindings)
    })?;
    ok(detail(&version))
}
