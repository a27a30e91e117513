//! `wrangler preview`: a preview is a Worker of its own, hidden from the lists, that dies with its parent.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::scripts::Settings;
use crate::api::{no_version, source};
use crate::app::App;
use crate::bindings::shown as shown_binding;
use crate::envelope::{ApiError, ApiResult, ok};
use crate::extract::{Form, Json};
use crate::form::Upload;
use crate::ids;
use crate::state::{Preview, Script, State, Subdomain, Version};
use crate::upload::{Purpose, Request, accept, new_script};

/// Longer slugs are cut: slug and Worker share one DNS label.
const LABEL_LENGTH_MAX: usize = 63;

/// Routes.
pub fn router() -> Router<App> {
    const PREVIEWS: &str = "/accounts/{account}/workers/workers/{name}/previews";
    Router::new()
        .route(PREVIEWS, get(previews).post(create))
        .route(
            &format!("{PREVIEWS}/{{preview}}"),
            get(preview).patch(change).delete(delete),
        )
        .route(&format!("{PREVIEWS}/{{preview}}/deployments"), post(deploy))
        .route(
            &format!("{PREVIEWS}/{{preview}}/deployments/latest"),
            get(latest),
        )
}

type WorkerPath = Path<(String, String)>;
type PreviewPath = Path<(String, String, String)>;

#[derive(Deserialize)]
struct Wanted {
    name: String,
    #[serde(flatten)]
    settings: Settings,
}

async fn create(app: App, Path((_, worker)): WorkerPath, Json(wanted): Json<Wanted>) -> ApiResult {
    let script = app.mutate(|state| {
        let parent = super::workers::find(state, &worker)?.name.clone();
        let slug = slug(&wanted.name, &parent);
        let name = format!("{slug}-{parent}");
        if slug.is_empty() || state.scripts.contains_key(&name) {
            // [A] 10024: the real code was never seen.
            let message = format!(
                "the preview '{}' cannot be made: '{name}' is not free or not a name",
                wanted.name
            );
            return Err(ApiError::new(409, 10024, message));
        }
        let mut script = new_script(&name, &ids::now());
        script.subdomain = Subdomain {
            enabled: true,
            previews_enabled: false,
        };
        script.preview = Some(Preview {
            of: parent,
            name: wanted.name.clone(),
            slug,
        });
        wanted.settings.apply(&mut script);
        state.scripts.insert(name, script.clone());
        Ok(script)
    })?;
    ok(shown(&app, &script))
}

/// A preview's name as part of a host name: `feature/Abc` → `feature-abc`.
fn slug(name: &str, worker: &str) -> String {
    let character = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let mut slug: String = name.chars().map(character).collect();
    slug.truncate(LABEL_LENGTH_MAX.saturating_sub(worker.len() + 1));
    slug.trim_matches('-').to_owned()
}

/// A preview of a Worker by name, slug or id; 10007 without the Worker, 10025 without the preview.
fn find<'a>(state: &'a State, worker: &str, wanted: &str) -> Result<&'a Script, ApiError> {
    let parent = &super::workers::find(state, worker)?.name;
    let is_wanted = |script: &&Script| {
        let preview = script
            .preview
            .as_ref()
            .filter(|preview| preview.of == *parent);
        preview.is_some_and(|preview| {
            [&preview.name, &preview.slug, &script.tag]
                .into_iter()
                .any(|known| known == wanted)
        })
    };
    let missing = || {
        ApiError::not_found(
            10025,
            format!("Preview '{wanted}' of Worker '{worker}' not found."),
        )
    };
    state.scripts.values().find(is_wanted).ok_or_else(missing)
}

fn urls(app: &App, script: &Script) -> Vec<String> {
    vec![format!("http://{}", super::workers::url(app, &script.name))]
}

fn shown(app: &App, script: &Script) -> Value {
    let preview = script.preview.clone().unwrap_or_default();
    json!({
        "id": script.tag,
        "name": preview.name,
        "slug": preview.slug,
        "urls": urls(app, script),
        "worker_name": preview.of,
        "created_on": script.created_on,
        "updated_on": script.modified_on,
        "observability": script.observability,
        "logpush": script.logpush,
        "tail_consumers": script.tail_consumers,
    })
}

async fn previews(app: App, Path((_, worker)): WorkerPath) -> ApiResult {
    let state = app.snapshot();
    let parent = &super::workers::find(&state, &worker)?.name;
    let own = state.scripts.values().filter(|script| {
        script
            .preview
            .as_ref()
            .is_some_and(|preview| preview.of == *parent)
    });
    ok(own.map(|script| shown(&app, script)).collect::<Vec<_>>())
}

async fn preview(app: App, Path((_, worker, preview)): PreviewPath) -> ApiResult {
    ok(shown(&app, find(&app.snapshot(), &worker, &preview)?))
}

async fn change(
    app: App,
    Path((_, worker, preview)): PreviewPath,
    Json(settings): Json<Settings>,
) -> ApiResult {
    let script = app.mutate(|state| {
        let name = find(state, &worker, &preview)?.name.clone();
        let script = state.script_mut(&name)?;
        settings.apply(script);
        Ok(script.clone())
    })?;
    ok(shown(&app, &script))
}

async fn delete(app: App, Path((_, worker, preview)): PreviewPath) -> ApiResult {
    app.mutate(|state| {
        let name = find(state, &worker, &preview)?.name.clone();
        state.scripts.remove(&name);
        Ok(())
    })?;
    ok(Value::Null)
}

async fn deploy(
    app: App,
    Path((_, worker, preview)): PreviewPath,
    headers: HeaderMap,
    Form(parts): Form,
) -> ApiResult {
    let state = app.snapshot();
    let script = find(&state, &worker, &preview)?;
    let parent = script.preview.as_ref().map(|preview| preview.of.clone());
    let upload = Upload::read(&app, &parts)?;
    let request = Request {
        script: script.name.clone(),
        // The files of a preview are uploaded in a session of its parent.
        assets_of: parent.unwrap_or_else(|| worker.clone()),
        purpose: Purpose::Deploy,
        strict: true,
        source: source(&headers),
    };
    let version = accept(&app, &request, &upload).await?;
    ok(deployment(
        &app,
        app.snapshot().script(&request.script)?,
        &version,
    ))
}

fn deployment(app: &App, script: &Script, version: &Version) -> Value {
    let preview = script.preview.clone().unwrap_or_default();
    let env: BTreeMap<String, Value> = version.bindings.iter().map(named).collect();
    json!({
        "id": version.id,
        "preview_id": script.tag,
        "preview_name": preview.name,
        "urls": urls(app, script),
        "created_on": version.created_on,
        "compatibility_date": version.compatibility_date,
        "compatibility_flags": version.compatibility_flags,
        "migration_tag": script.migration_tag,
        "annotations": version.annotations,
        "env": env,
    })
}

/// A binding the way previews show it: its name outside, `database_id` for a database.
fn named(binding: &Value) -> (String, Value) {
    let mut shown = shown_binding(binding);
    let mut name = String::new();
    if let Some(fields) = shown.as_object_mut() {
        if let Some(Value::String(text)) = fields.remove("name") {
            name = text;
        }
        if fields.get("type") == Some(&Value::from("d1"))
            && let Some(id) = fields.remove("id")
        {
            fields.insert("database_id".to_owned(), id);
        }
    }
    (name, shown)
}

async fn latest(app: App, Path((_, worker, preview)): PreviewPath) -> ApiResult {
    let state = app.snapshot();
    let script = find(&state, &worker, &preview)?;
    let version = script.latest().ok_or_else(|| ApiError {
        status: axum::http::StatusCode::NOT_FOUND,
        ..no_version(&script.name)
    })?;
    ok(deployment(&app, script, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_fits_into_a_host_name() {
        assert_eq!(slug("feature/Abc", "api"), "feature-abc");
        assert_eq!(slug("--x--", "api"), "x");
        assert!(slug(&"long".repeat(40), "api").len() + "-api".len() <= LABEL_LENGTH_MAX);
    }

    #[test]
    fn a_database_is_shown_by_its_other_name() {
        let (name, shown) = named(&json!({"name": "DB", "type": "d1", "id": "1"}));
        assert_eq!(
            (name.as_str(), shown),
            ("DB", json!({"type": "d1", "database_id": "1"}))
        );
    }
}
