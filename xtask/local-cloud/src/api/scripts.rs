//! `/workers/scripts/{name}`: upload, settings and listing of Workers.

use axum::Router;
use axum::extract::{Path, Query};
use axum::http::HeaderMap;
use axum::routing::{get, patch, put};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::services::DeleteQuery;
use crate::api::{handlers, source};
use crate::app::App;
use crate::bindings::shown;
use crate::envelope::{ApiError, ApiResult, ok};
use crate::extract::{Form, Json};
use crate::form::Upload;
use crate::state::{Script, State, missing_script};
use crate::upload::{Purpose, Request, accept};

/// As documented.
const TAGS_MAX: usize = 8;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/accounts/{account}/workers/scripts", get(scripts))
        .route(
            "/accounts/{account}/workers/scripts/{name}",
            put(upload).delete(delete),
        )
        .route(
            "/accounts/{account}/workers/scripts/{name}/settings",
            get(settings),
        )
        .route(
            "/accounts/{account}/workers/scripts/{name}/script-settings",
            patch(change_settings).get(script_settings),
        )
}

#[derive(Deserialize)]
pub(super) struct UploadQuery {
    bindings_inherit: Option<String>,
}

impl UploadQuery {
    pub(super) fn strict(&self) -> bool {
        self.bindings_inherit.as_deref() == Some("strict")
    }
}

async fn upload(
    app: App,
    Path((_, name)): Path<(String, String)>,
    Query(query): Query<UploadQuery>,
    headers: HeaderMap,
    Form(parts): Form,
) -> ApiResult {
    super::check_name(&name)?;
    let upload = Upload::read(&app, &parts)?;
    let strict = query.strict();
    let request = Request {
        script: name.clone(),
        assets_of: name.clone(),
        purpose: Purpose::Deploy,
        strict,
        source: source(&headers),
    };
    let version = accept(&app, &request, &upload).await?;
    let (created_on, modified_on, tag) = app.read(|state| {
        let script = state.script(&name)?;
        Ok::<_, crate::envelope::ApiError>((
            script.created_on.clone(),
            script.modified_on.clone(),
            script.tag.clone(),
        ))
    })?;
    ok(json!({
        "id": name,
        "tag": tag,
        "etag": version.etag,
        "handlers": handlers(&version),
        "created_on": created_on,
        "modified_on": modified_on,
        "deployment_id": version.id,
        "startup_time_ms": version.startup_time_ms,
        "usage_model": "standard",
        "has_assets": version.assets.is_some(),
        "has_modules": version.main_module.is_some(),
    }))
}

#[derive(Deserialize)]
struct ListQuery {
    /// `a:yes,b:no`: has the tag `a`, and not `b`.
    tags: Option<String>,
}

/// All of them at once: this list has no pages.
async fn scripts(app: App, Query(query): Query<ListQuery>) -> ApiResult {
    let wanted = query.tags.unwrap_or_default();
    let tags: Vec<(&str, &str)> = wanted
        .split(',')
        .filter_map(|pair| pair.rsplit_once(':'))
        .collect();
    let fits = |script: &&Script| {
        tags.iter()
            .all(|(tag, wanted)| script.tags.iter().any(|own| own == tag) == (*wanted == "yes"))
    };
    let state = app.snapshot();
    let scripts: Vec<Value> = state
        .scripts
        .values()
        .filter(|script| script.latest().is_some() && script.preview.is_none())
        .filter(fits)
        .map(summary)
        .collect();
    ok(scripts)
}

/// Like the end of a service, with this path's own "not found".
async fn delete(
    app: App,
    Path((account, name)): Path<(String, String)>,
    query: Query<DeleteQuery>,
) -> ApiResult {
    let is_there = |state: &State| state.script(&name).is_ok_and(|it| it.latest().is_some());
    if !app.read(is_there) {
        return Err(missing_script(&name));
    }
    super::services::delete(app, Path((account, name)), query).await
}

/// What listings and `SV` say about a Worker.
pub(super) fn summary(script: &Script) -> Value {
    let latest = script.latest();
    json!({
        "id": script.name,
        "tag": script.tag,
        "tags": script.tags,
        "etag": latest.map(|version| version.etag.as_str()),
        "handlers": latest.map(handlers).unwrap_or_default(),
        "created_on": script.created_on,
        "modified_on": script.modified_on,
        "migration_tag": script.migration_tag,
        "last_deployed_from": script.last_deployed_from,
        "logpush": script.logpush.clone().unwrap_or(Value::Bool(false)),
        "observability": script.observability,
        "tail_consumers": script.tail_consumers,
        "usage_model": "standard",
        "has_assets": latest.is_some_and(|version| version.assets.is_some()),
    })
}

async fn settings(app: App, Path((_, name)): Path<(String, String)>) -> ApiResult {
    let state = app.snapshot();
    let script = state.script(&name)?;
    let version = script.latest().ok_or_else(|| missing_script(&name))?;
    ok(json!({
        "bindings": version.bindings.iter().map(shown).collect::<Vec<_>>(),
        "compatibility_date": version.compatibility_date,
        "compatibility_flags": version.compatibility_flags,
        "migration_tag": script.migration_tag,
        "observability": script.observability,
        "logpush": script.logpush.clone().unwrap_or(Value::Bool(false)),
        "tail_consumers": script.tail_consumers,
        "tags": script.tags,
        "annotations": version.annotations,
        "placement": version.extra.get("placement"),
        "limits": version.extra.get("limits"),
        "usage_model": "standard",
    }))
}

async fn script_settings(app: App, Path((_, name)): Path<(String, String)>) -> ApiResult {
    let state = app.snapshot();
    ok(script_settings_of(state.script(&name)?))
}

fn script_settings_of(script: &Script) -> Value {
    json!({
        "tags": script.tags,
        "observability": script.observability,
        "logpush": script.logpush.clone().unwrap_or(Value::Bool(false)),
        "tail_consumers": script.tail_consumers,
    })
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Settings {
    tags: Option<Vec<String>>,
    observability: Option<Value>,
    logpush: Option<Value>,
    tail_consumers: Option<Value>,
}

impl Settings {
    /// The rules of tags. The code is a choice.
    fn check(&self) -> Result<(), ApiError> {
        let tags = self.tags.as_deref().unwrap_or_default();
        let why = if tags.len() > TAGS_MAX {
            format!("a Worker has at most {TAGS_MAX} tags, not {}", tags.len())
        } else if let Some(tag) = tags.iter().find(|tag| tag.contains([',', '&'])) {
            format!("the tag '{tag}' has a comma or an ampersand in it")
        } else {
            return Ok(());
        };
        Err(ApiError::bad_request(10100, why))
    }

    pub(super) fn apply(self, script: &mut Script) {
        if let Some(tags) = self.tags {
            script.tags = tags;
        }
        script.observability = self.observability.or(script.observability.take());
        script.logpush = self.logpush.or(script.logpush.take());
        script.tail_consumers = self.tail_consumers.or(script.tail_consumers.take());
    }
}

async fn change_settings(
    app: App,
    Path((_, name)): Path<(String, String)>,
    Json(settings): Json<Settings>,
) -> ApiResult {
    settings.check()?;
    ok(app.mutate(|state| {
        let script = state.script_mut(&name)?;
        settings.apply(script);
        Ok(script_settings_of(script))
    })?)
}
