//! `/workers/workers`: the newer view of a Worker, which exists before its first upload.

use axum::Router;
use axum::extract::{Path, Query};
use axum::routing::{get, patch};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::scripts::Settings;
use crate::app::App;
use crate::envelope::{ApiError, ApiResult, Page, list, ok};
use crate::extract::Json;
use crate::ids;
use crate::state::{Script, Subdomain};
use crate::upload::new_script;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route(
            "/accounts/{account}/workers/workers",
            get(workers).post(create),
        )
        .route(
            "/accounts/{account}/workers/workers/{name}",
            get(worker).patch(change).delete(super::services::delete),
        )
        .route(
            "/accounts/{account}/workers/workers/{name}/versions/latest",
            patch(super::versions::patch_latest),
        )
}

/// A Worker's own address on the local edge; `suffix` of a preview is the same with a dash before it.
pub(super) fn url(app: &App, name: &str) -> String {
    format!(
        "{name}.{}.localhost:{}",
        app.config().subdomain,
        app.config().port
    )
}

fn shown(app: &App, script: &Script) -> Value {
    let url = url(app, &script.name);
    json!({
        "id": script.tag,
        "name": script.name,
        "created_on": script.created_on,
        "updated_on": script.modified_on,
        "deployed_on": script.live().map(|live| live.created_on.as_str()),
        "subdomain": {
            "enabled": script.subdomain.enabled,
            "previews_enabled": script.subdomain.previews_enabled,
            "url": format!("http://{url}"),
            "preview_url_suffix": format!("-{url}"),
        },
        "tags": script.tags,
        "logpush": script.logpush.clone().unwrap_or(Value::Bool(false)),
        "observability": script.observability,
        "tail_consumers": script.tail_consumers,
    })
}

async fn workers(app: App, Query(page): Query<Page>) -> ApiResult {
    let state = app.snapshot();
    list(
        &state
            .scripts
            .values()
            .filter(|script| script.preview.is_none())
            .map(|script| shown(&app, script))
            .collect::<Vec<_>>(),
        &page,
    )
}

async fn worker(app: App, Path((_, name)): Path<(String, String)>) -> ApiResult {
    ok(shown(&app, find(&app.snapshot(), &name)?))
}

/// By name or by id.
pub(super) fn find<'a>(state: &'a crate::state::State, name: &str) -> Result<&'a Script, ApiError> {
    match state.scripts.get(name) {
        Some(script) => Ok(script),
        None => state
            .scripts
            .values()
            .find(|script| script.tag == name)
            .ok_or_else(|| crate::state::missing_script(name)),
    }
}

#[derive(Deserialize)]
struct Wanted {
    name: Option<String>,
    subdomain: Option<WantedSubdomain>,
    #[serde(flatten)]
    settings: Settings,
}

#[derive(Deserialize)]
struct WantedSubdomain {
    enabled: Option<bool>,
    previews_enabled: Option<bool>,
}

impl Wanted {
    fn apply(self, script: &mut Script) {
        if let Some(wanted) = self.subdomain {
            let enabled = wanted.enabled.unwrap_or(script.subdomain.enabled);
            let previews_enabled = wanted
                .previews_enabled
                .unwrap_or(script.subdomain.previews_enabled);
            script.subdomain = Subdomain {
                enabled,
                previews_enabled,
            };
        }
        self.settings.apply(script);
    }
}

async fn create(app: App, Json(wanted): Json<Wanted>) -> ApiResult {
    let name = wanted.name.clone().unwrap_or_default();
    super::check_name(&name)?;
    let script = app.mutate(|state| {
        if state.scripts.contains_key(&name) {
            // [A] 10040: the real code was never seen.
            return Err(ApiError::new(
                409,
                10040,
                format!("A Worker named '{name}' already exists."),
            ));
        }
        let mut script = new_script(&name, &ids::now());
        wanted.apply(&mut script);
        state.scripts.insert(name.clone(), script.clone());
        Ok(script)
    })?;
    ok(shown(&app, &script))
}

async fn change(
    app: App,
    Path((_, name)): Path<(String, String)>,
    Json(wanted): Json<Wanted>,
) -> ApiResult {
    let script = app.mutate(|state| {
        let script = state.script_mut(&name)?;
        wanted.apply(script);
        Ok(script.clone())
    })?;
    ok(shown(&app, &script))
}
