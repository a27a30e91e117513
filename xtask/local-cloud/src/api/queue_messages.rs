//! `/queues/{id}/messages`: messages by the REST API. They are kept and handed out by the runtime.

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::queues::pull_consumer;
use crate::app::App;
use crate::envelope::{ApiError, ApiResult, ok};
use crate::extract::Json;
use crate::ids;
use crate::runtime::RuntimeError;

/// [A] What the real service says of a message it does not take was never seen.
const INVALID_MESSAGE: u32 = 10_203;

const PULL_MESSAGES_MAX: u64 = 100;

/// Routes.
pub fn router() -> Router<App> {
    let messages = "/accounts/{account}/queues/{queue}/messages";
    Router::new()
        .route(messages, post(push))
        .route(&format!("{messages}/batch"), post(push_batch))
        .route(&format!("{messages}/pull"), post(pull))
        .route(&format!("{messages}/ack"), post(ack))
        .route(&format!("{messages}/peek"), post(peek))
        .route(
            "/accounts/{account}/queues/{queue}/purge",
            post(purge).get(purged),
        )
        .route("/accounts/{account}/queues/{queue}/metrics", get(metrics))
}

type QueuePath = Path<(String, String)>;

/// A request to the worker that keeps the messages, once it knows the queue.
pub(crate) async fn ask(
    app: &App,
    queue: &str,
    operation: &str,
    body: Value,
) -> Result<Value, ApiError> {
    let mut request = json!({ "operation": operation, "queue": queue });
    if let (Some(request), Value::Object(body)) = (request.as_object_mut(), body) {
        request.extend(body);
    }
    let _no_reload = app.settle().await?;
    match app.runtime().await?.post("/queues", &request).await {
        Ok(answer) => Ok(answer),
        Err(RuntimeError::Refused(message)) => Err(ApiError::bad_request(INVALID_MESSAGE, message)),
        Err(unavailable) => Err(unavailable.into()),
    }
}

fn known(app: &App, queue: &str) -> Result<(), ApiError> {
    app.read(|state| state.queue(queue).map(|_| ()))
}

async fn push(app: App, Path((_, queue)): QueuePath, Json(message): Json<Value>) -> ApiResult {
    known(&app, &queue)?;
    let body = json!({ "messages": [message] });
    ok(json!({ "metadata": { "metrics": shown_metrics(&ask(&app, &queue, "push", body).await?) } }))
}

#[derive(Deserialize)]
struct Batch {
    messages: Vec<Map<String, Value>>,
    delay_seconds: Option<u64>,
}

async fn push_batch(app: App, Path((_, queue)): QueuePath, Json(batch): Json<Batch>) -> ApiResult {
    known(&app, &queue)?;
    let mut messages = batch.messages;
    if let Some(delay) = batch.delay_seconds {
        for message in &mut messages {
            message.entry("delay_seconds").or_insert(json!(delay));
        }
    }
    let body = json!({ "messages": messages });
    ok(json!({ "metadata": { "metrics": shown_metrics(&ask(&app, &queue, "push", body).await?) } }))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Pull {
    batch_size: Option<u64>,
    visibility_timeout_ms: Option<u64>,
    /// The older name of the same.
    visibility_timeout: Option<u64>,
}

async fn pull(app: App, Path((_, queue)): QueuePath, Json(asked): Json<Option<Pull>>) -> ApiResult {
    let asked = asked.unwrap_or_default();
    let body = app.read(|state| {
        let consumer = pull_consumer(state.queue(&queue)?)?;
        let settings = &consumer.settings;
        let dead_letter = consumer.dead_letter_queue.as_deref();
        let batch_size = asked.batch_size.or(settings.batch_size).unwrap_or(5);
        Ok::<_, ApiError>(json!({
            "batch_size": batch_size.min(PULL_MESSAGES_MAX),
            "lease_ms": asked.visibility_timeout_ms.or(asked.visibility_timeout).or(settings.visibility_timeout_ms),
            "max_retries": settings.max_retries,
            "dead_letter": dead_letter.and_then(|name| state.queue_named(name)).map(|(id, _)| id),
        }))
    })?;
    let mut answer = ask(&app, &queue, "pull", body).await?;
    ok(json!({
        "messages": answer["messages"].take(),
        "message_backlog_count": answer["backlogCount"],
        "metadata": { "metrics": shown_metrics(&answer) },
    }))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Ack {
    acks: Vec<Value>,
    retries: Vec<Value>,
}

async fn ack(app: App, Path((_, queue)): QueuePath, Json(asked): Json<Ack>) -> ApiResult {
    let retry_delay = app.read(|state| {
        let consumer = pull_consumer(state.queue(&queue)?)?;
        Ok::<_, ApiError>(consumer.settings.retry_delay)
    })?;
    let body = json!({ "acks": asked.acks, "retries": asked.retries, "retry_delay": retry_delay });
    let answer = ask(&app, &queue, "ack", body).await?;
    ok(
        json!({ "ackCount": answer["acked"], "retryCount": answer["retried"], "warnings": answer["warnings"] }),
    )
}

async fn peek(app: App, Path((_, queue)): QueuePath, Json(asked): Json<Option<Pull>>) -> ApiResult {
    known(&app, &queue)?;
    let limit = asked.unwrap_or_default().batch_size;
    let mut answer = ask(&app, &queue, "peek", json!({ "limit": limit })).await?;
    ok(json!({ "messages": answer["messages"].take() }))
}

async fn purge(app: App, Path((_, queue)): QueuePath, Json(asked): Json<Value>) -> ApiResult {
    known(&app, &queue)?;
    if asked["delete_messages_permanently"] != true {
        // [A] The real code was never seen.
        let message = "set delete_messages_permanently to true to purge a queue";
        return Err(ApiError::bad_request(INVALID_MESSAGE, message));
    }
    ask(&app, &queue, "purge", json!({})).await?;
    queue_of(&app, &queue)
}

/// Purging is done when its request is answered.
async fn purged(app: App, Path((_, queue)): QueuePath) -> ApiResult {
    known(&app, &queue)?;
    ok(json!({ "completed": true, "started_at": ids::now() }))
}

fn queue_of(app: &App, queue: &str) -> ApiResult {
    let state = app.snapshot();
    ok(crate::queues::shown(&state, queue, state.queue(queue)?))
}

async fn metrics(app: App, Path((_, queue)): QueuePath) -> ApiResult {
    known(&app, &queue)?;
    ok(shown_metrics(
        &ask(&app, &queue, "metrics", json!({})).await?,
    ))
}

fn shown_metrics(answer: &Value) -> Value {
    json!({
        "backlog_count": answer["backlogCount"],
        "backlog_bytes": answer["backlogBytes"],
        "oldest_message_timestamp_ms": answer["oldestMessageTimestamp"],
    })
}
