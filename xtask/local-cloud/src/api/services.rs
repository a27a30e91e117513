//! `/workers/services/{name}`: a Worker as one thing, its dependants, and its end.

use axum::Router;
use axum::extract::{Path, Query};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::scripts::summary;
use crate::app::App;
use crate::bindings::{shown, text};
use crate::envelope::{ApiError, ApiResult, Page, list, ok};
use crate::queues;
use crate::state::{Script, State};

/// Routes.
pub fn router() -> Router<App> {
    let service = "/accounts/{account}/workers/services/{name}";
    let environment = format!("{service}/environments/{{environment}}");
    Router::new()
        .route(service, get(self::service).delete(delete))
        .route(&environment, get(self::environment))
        .route(&format!("{environment}/bindings"), get(bindings))
        .route(&format!("{environment}/routes"), get(routes))
        .route(&format!("{environment}/subdomain"), get(subdomain))
        .route(
            "/accounts/{account}/workers/scripts/{name}/references",
            get(references),
        )
        .route(
            "/accounts/{account}/workers/tails/by-consumer/{name}",
            get(tail_producers),
        )
        .route(
            "/accounts/{account}/workers/durable_objects/namespaces",
            get(namespaces),
        )
}

type ServicePath = Path<(String, String)>;
type EnvironmentPath = Path<(String, String, String)>;

/// `services` has its own "not found". A Worker made by `POST workers/workers` and never uploaded counts as absent.
fn find<'a>(state: &'a State, name: &str) -> Result<&'a Script, ApiError> {
    let found = state
        .scripts
        .get(name)
        .filter(|script| script.latest().is_some());
    found.ok_or_else(|| {
        ApiError::not_found(
            10090,
            format!("This service does not exist on your account. [{name}]"),
        )
    })
}

fn shown_environment(script: &Script) -> Value {
    json!({
        "environment": "production",
        "created_on": script.created_on,
        "modified_on": script.modified_on,
        "script_tag": script.tag,
        "script": summary(script),
    })
}

async fn service(app: App, Path((_, name)): ServicePath) -> ApiResult {
    let state = app.snapshot();
    let script = find(&state, &name)?;
    ok(json!({
        "id": name,
        "created_on": script.created_on,
        "modified_on": script.modified_on,
        "usage_model": "standard",
        "default_environment": shown_environment(script),
        "environments": [shown_environment(script)],
    }))
}

async fn environment(app: App, Path((_, name, _)): EnvironmentPath) -> ApiResult {
    ok(shown_environment(find(&app.snapshot(), &name)?))
}

async fn bindings(app: App, Path((_, name, _)): EnvironmentPath) -> ApiResult {
    let state = app.snapshot();
    let latest = find(&state, &name)?.latest();
    ok(latest
        .map(|version| version.bindings.iter().map(shown).collect::<Vec<_>>())
        .unwrap_or_default())
}

async fn routes(app: App, Path((_, name, _)): EnvironmentPath) -> ApiResult {
    let state = app.snapshot();
    let script = find(&state, &name)?;
    let shown = |route: &crate::state::Route| json!({ "id": route.id, "pattern": route.pattern, "script": name, "zone_name": route.zone_name });
    ok(script.routes.iter().map(shown).collect::<Vec<_>>())
}

async fn subdomain(app: App, Path((_, name, _)): EnvironmentPath) -> ApiResult {
    ok(&find(&app.snapshot(), &name)?.subdomain)
}

/// Live bindings of other Workers that point to this one: (Worker, binding).
fn incoming<'a>(
    state: &'a State,
    name: &'a str,
    kind: &'static str,
    field: &'static str,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let others = state
        .scripts
        .values()
        .filter(move |script| script.name != name);
    others.flat_map(move |script| {
        let bindings = script
            .latest()
            .map(|version| version.bindings.as_slice())
            .unwrap_or_default();
        let pointing = bindings
            .iter()
            .filter(move |binding| text(binding, "type") == kind && text(binding, field) == name);
        pointing.map(|binding| (script.name.as_str(), binding))
    })
}

async fn references(app: App, Path((_, name)): ServicePath) -> ApiResult {
    let state = app.snapshot();
    let script = state.script(&name)?;
    let services: Vec<Value> = incoming(&state, &name, "service", "service")
        .map(|(service, binding)| json!({ "service": service, "environment": "production", "name": text(binding, "name") }))
        .collect();
    let objects: Vec<Value> = incoming(&state, &name, "durable_object_namespace", "script_name")
        .map(|(service, binding)| {
            let namespace = script.durable_objects.get(text(binding, "class_name"));
            json!({
                "service": service,
                "environment": "production",
                "name": text(binding, "name"),
                "durable_object_namespace_id": namespace.map(|namespace| namespace.id.as_str()),
                "durable_object_namespace_name": text(binding, "class_name"),
            })
        })
        .collect();
    let mut references = json!({});
    if !services.is_empty() {
        references["services"] = json!({ "incoming": services, "outgoing": [] });
    }
    if !objects.is_empty() {
        references["durable_objects"] = json!(objects);
    }
    ok(references)
}

async fn tail_producers(app: App, Path((_, name)): ServicePath) -> ApiResult {
    let state = app.snapshot();
    let consumes = |script: &&Script| {
        let consumers = script.tail_consumers.as_ref().and_then(Value::as_array);
        consumers.is_some_and(|consumers| {
            consumers
                .iter()
                .any(|consumer| text(consumer, "service") == name)
        })
    };
    let producers = state.scripts.values().filter(consumes);
    ok(producers.map(|script| json!({ "consumer": { "service": name, "environment": "production" }, "producer": { "service": script.name, "environment": "production" }, "log_push": false, "created_on": script.created_on, "modified_on": script.modified_on })).collect::<Vec<_>>())
}

async fn namespaces(app: App, Query(page): Query<Page>) -> ApiResult {
    let state = app.snapshot();
    let all = state.scripts.values().flat_map(|script| {
        script
            .durable_objects
            .iter()
            .map(move |entry| (&script.name, entry))
    });
    let shown: Vec<Value> = all
        .map(|(script, (class, namespace))| {
            json!({ "id": namespace.id, "name": format!("{script}_{class}"), "script": script, "class": class, "use_sqlite": namespace.sqlite })
        })
        .collect();
    list(&shown, &page)
}

#[derive(Deserialize)]
pub(super) struct DeleteQuery {
    force: Option<String>,
}

/// Deletes a Worker with its versions, triggers and Durable Objects.
pub(super) async fn delete(
    app: App,
    Path((_, name)): ServicePath,
    Query(query): Query<DeleteQuery>,
) -> ApiResult {
    let force = query.force.as_deref() == Some("true");
    app.mutate(|state| {
        find(state, &name)?;
        if !force {
            check_unreferenced(state, &name)?;
        }
        state.domains.retain(|_, domain| domain.service != name);
        state
            .asset_sessions
            .retain(|_, session| session.script != name);
        state.tails.retain(|_, tail| tail.script != name);
        let is_doomed = |script: &Script| {
            script.name == name
                || script
                    .preview
                    .as_ref()
                    .is_some_and(|preview| preview.of == name)
        };
        state.scripts.retain(|_, script| !is_doomed(script));
        queues::detach_missing(state);
        Ok(())
    })?;
    ok(Value::Null)
}

fn check_unreferenced(state: &State, name: &str) -> Result<(), ApiError> {
    if let Some(queue) = queues::consumed_by(state, name).next() {
        let message = format!(
            "Cannot delete the Worker '{name}': it is still in use as a consumer for the queue '{}'. Use force to delete it anyway.",
            queue.name
        );
        return Err(ApiError::bad_request(10064, message));
    }
    let services = incoming(state, name, "service", "service").map(|(service, _)| service);
    let objects = incoming(state, name, "durable_object_namespace", "script_name")
        .map(|(service, _)| service);
    let dependants: std::collections::BTreeSet<&str> = services.chain(objects).collect();
    if dependants.is_empty() {
        return Ok(());
    }
    // [A] 10059: the real code was never seen.
    let names = dependants.into_iter().collect::<Vec<_>>().join(", ");
    let message = format!(
        "Cannot delete the Worker '{name}': it is still referenced by service bindings of other Workers ({names}). Use force to delete it anyway."
    );
    Err(ApiError::bad_request(10059, message))
}
