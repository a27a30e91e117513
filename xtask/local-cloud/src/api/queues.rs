//! `/queues`: queues and their consumers. Their messages are next door.

use axum::Router;
use axum::extract::{Path, Query};
use axum::routing::get;
use serde::Deserialize;
use serde_json::Value;

use crate::app::App;
use crate::envelope::{ApiError, ApiResult, Page, list, ok};
use crate::extract::Json;
use crate::ids;
use crate::queues::{
    Consumer, ConsumerKind, ConsumerSettings, Queue, QueueSettings, producers, shown,
    shown_consumer,
};
use crate::state::State;

/// Routes.
pub fn router() -> Router<App> {
    let queue = "/accounts/{account}/queues/{queue}";
    let consumer = format!("{queue}/consumers/{{consumer}}");
    Router::new()
        .route("/accounts/{account}/queues", get(queues).post(create))
        .route(
            queue,
            get(self::queue).put(replace).patch(change).delete(delete),
        )
        .route(
            &format!("{queue}/consumers"),
            get(consumers).post(add_consumer),
        )
        .route(
            &consumer,
            get(self::consumer)
                .put(replace_consumer)
                .delete(delete_consumer),
        )
}

type QueuePath = Path<(String, String)>;
type ConsumerPath = Path<(String, String, String)>;

/// `name` may be given several times: those queues only.
async fn queues(app: App, Query(query): Query<Vec<(String, String)>>) -> ApiResult {
    let given = |key: &str| {
        let found = query.iter().filter(move |(name, _)| name == key);
        found.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let names = given("name");
    let page = Page::new(given("page").pop(), given("per_page").pop());
    let state = app.snapshot();
    let mut found: Vec<(&String, &Queue)> = state
        .queues
        .iter()
        .filter(|(_, queue)| names.is_empty() || names.contains(&queue.name))
        .collect();
    found.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let shown: Vec<Value> = found
        .into_iter()
        .map(|(id, queue)| shown(&state, id, queue))
        .collect();
    list(&shown, &page)
}

#[derive(Deserialize)]
struct Wanted {
    queue_name: Option<String>,
    #[serde(default)]
    settings: WantedSettings,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WantedSettings {
    delivery_delay: Option<u64>,
    delivery_paused: Option<bool>,
    message_retention_period: Option<u64>,
}

impl WantedSettings {
    fn over(&self, base: QueueSettings) -> QueueSettings {
        QueueSettings {
            delivery_delay: self.delivery_delay.unwrap_or(base.delivery_delay),
            delivery_paused: self.delivery_paused.unwrap_or(base.delivery_paused),
            message_retention_period: self
                .message_retention_period
                .unwrap_or(base.message_retention_period),
        }
    }
}

async fn create(app: App, Json(wanted): Json<Wanted>) -> ApiResult {
    let name = wanted.queue_name.unwrap_or_default();
    let settings = wanted.settings.over(QueueSettings::default());
    ok(app.mutate(|state| {
        let id = state.add_queue(&name, settings, &ids::now())?;
        Ok(shown(state, &id, state.queue(&id)?))
    })?)
}

async fn queue(app: App, Path((_, id)): QueuePath) -> ApiResult {
    let state = app.snapshot();
    ok(shown(&state, &id, state.queue(&id)?))
}

async fn replace(app: App, Path((_, id)): QueuePath, Json(wanted): Json<Wanted>) -> ApiResult {
    ok(app.mutate(|state| settle_settings(state, &id, &wanted, |_| QueueSettings::default()))?)
}

async fn change(app: App, Path((_, id)): QueuePath, Json(wanted): Json<Wanted>) -> ApiResult {
    ok(app.mutate(|state| settle_settings(state, &id, &wanted, |queue| queue.settings.clone()))?)
}

fn settle_settings(
    state: &mut State,
    id: &str,
    wanted: &Wanted,
    base: impl FnOnce(&Queue) -> QueueSettings,
) -> Result<Value, ApiError> {
    let queue = state.queue_mut(id)?;
    if wanted
        .queue_name
        .as_ref()
        .is_some_and(|name| *name != queue.name)
    {
        let message = format!("Queue '{}' cannot be renamed.", queue.name);
        return Err(ApiError::bad_request(11003, message));
    }
    let settings = wanted.settings.over(base(queue));
    settings.check()?;
    queue.settings = settings;
    queue.modified_on = ids::now();
    Ok(shown(state, id, state.queue(id)?))
}

/// A queue that a Worker sends to stays.
async fn delete(app: App, Path((_, id)): QueuePath) -> ApiResult {
    app.mutate(|state| {
        let name = &state.queue(&id)?.name;
        if let Some((script, binding)) = producers(state, name).first() {
            let message = format!(
                "Queue '{name}' is in use: the Worker '{script}' is bound to it as '{binding}'."
            );
            return Err(ApiError::bad_request(11005, message));
        }
        state.queues.remove(&id);
        Ok(())
    })?;
    ok(Value::Null)
}

async fn consumers(app: App, Path((_, id)): QueuePath) -> ApiResult {
    let state = app.snapshot();
    let queue = state.queue(&id)?;
    let shown: Vec<Value> = queue
        .consumer
        .iter()
        .map(|consumer| shown_consumer(queue, consumer))
        .collect();
    list(&shown, &Page::default())
}

async fn consumer(app: App, Path((_, id, consumer)): ConsumerPath) -> ApiResult {
    let state = app.snapshot();
    let queue = state.queue(&id)?;
    ok(shown_consumer(queue, find(queue, &consumer)?))
}

/// [A] 11002: the real code was never seen.
fn find<'a>(queue: &'a Queue, consumer: &str) -> Result<&'a Consumer, ApiError> {
    let found = queue.consumer.as_ref().filter(|own| own.id == consumer);
    found.ok_or_else(|| {
        let message = format!("Queue '{}' has no consumer '{consumer}'.", queue.name);
        ApiError::not_found(11002, message)
    })
}

#[derive(Deserialize)]
struct WantedConsumer {
    #[serde(rename = "type")]
    kind: ConsumerKind,
    script_name: Option<String>,
    dead_letter_queue: Option<String>,
    #[serde(default)]
    settings: Option<ConsumerSettings>,
}

async fn add_consumer(
    app: App,
    Path((_, id)): QueuePath,
    Json(wanted): Json<WantedConsumer>,
) -> ApiResult {
    ok(app.mutate(|state| {
        let queue = state.queue(&id)?;
        if let Some(other) = &queue.consumer {
            let who = other.script.as_deref().unwrap_or("http_pull");
            let message = format!(
                "workers.api.error.consumer_exists: queue '{}' already has the consumer '{who}'",
                queue.name
            );
            return Err(ApiError::new(409, 11004, message));
        }
        attach(state, &id, wanted, None)
    })?)
}

async fn replace_consumer(
    app: App,
    Path((_, id, consumer)): ConsumerPath,
    Json(wanted): Json<WantedConsumer>,
) -> ApiResult {
    ok(app.mutate(|state| {
        let old = find(state.queue(&id)?, &consumer)?.clone();
        attach(state, &id, wanted, Some(old))
    })?)
}

async fn delete_consumer(app: App, Path((_, id, consumer)): ConsumerPath) -> ApiResult {
    app.mutate(|state| {
        find(state.queue(&id)?, &consumer)?;
        state.queue_mut(&id)?.consumer = None;
        Ok(())
    })?;
    ok(Value::Null)
}

/// Puts a consumer in the place of `old`, or of none. Whatever the request leaves out has the service's default.
fn attach(
    state: &mut State,
    id: &str,
    wanted: WantedConsumer,
    old: Option<Consumer>,
) -> Result<Value, ApiError> {
    let script = match wanted.kind {
        ConsumerKind::Worker => Some(consuming_worker(state, wanted.script_name)?),
        ConsumerKind::HttpPull => None,
    };
    let settings = wanted.settings.unwrap_or_default().completed(wanted.kind);
    settings.check()?;
    let dead_letter_queue = wanted.dead_letter_queue.filter(|name| !name.is_empty());
    let now = ids::now();
    if let Some(name) = &dead_letter_queue {
        check_dead_letters(state, id, name)?;
        // As documented: made when it is not there.
        if state.queue_named(name).is_none() {
            state.add_queue(name, QueueSettings::default(), &now)?;
        }
    }
    let consumer = Consumer {
        id: old
            .as_ref()
            .map_or_else(ids::hex32, |consumer| consumer.id.clone()),
        created_on: old.map_or_else(|| now.clone(), |consumer| consumer.created_on),
        kind: wanted.kind,
        script,
        dead_letter_queue,
        settings,
    };
    let queue = state.queue_mut(id)?;
    queue.consumer = Some(consumer.clone());
    queue.modified_on = now;
    Ok(shown_consumer(queue, &consumer))
}

fn check_dead_letters(state: &State, id: &str, name: &str) -> Result<(), ApiError> {
    if state.queue(id)?.name != name {
        return Ok(());
    }
    let message = format!("Queue '{name}' cannot be its own dead letter queue.");
    Err(ApiError::bad_request(100_127, message))
}

/// A Worker that is deployed and takes messages.
fn consuming_worker(state: &State, name: Option<String>) -> Result<String, ApiError> {
    let name = name.unwrap_or_default();
    let script = state.script(&name)?;
    let live = script.live().into_iter().flat_map(|live| &live.versions);
    let mut versions = live.filter_map(|share| script.version(&share.version_id));
    // A version whose handlers nobody could tell is taken at its word.
    if versions.all(|version| version.handlers.is_empty() || version.handles("queue")) {
        return Ok(name);
    }
    let message = format!("queue handler is missing: the Worker '{name}' exports no `queue`");
    Err(ApiError::bad_request(11001, message))
}

/// What `http_pull` requests on a queue may do; refused while that is not how messages are taken from it.
pub(super) fn pull_consumer(queue: &Queue) -> Result<&Consumer, ApiError> {
    let consumer = queue.consumer.as_ref();
    consumer
        .filter(|consumer| consumer.kind == ConsumerKind::HttpPull)
        .ok_or_else(|| {
            let message = "messages cannot be pulled unless http_pull mode is enabled";
            ApiError::bad_request(0, message)
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patching_keeps_what_it_does_not_name() {
        let wanted: WantedSettings =
            serde_json::from_value(json!({"delivery_paused": true})).expect("settings");
        let base = QueueSettings {
            delivery_delay: 5,
            ..QueueSettings::default()
        };
        let settings = wanted.over(base);
        assert!(settings.delivery_paused);
        assert_eq!(settings.delivery_delay, 5);
    }
}
