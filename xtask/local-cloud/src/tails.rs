//! Tails: `POST/DELETE …/tails` and the WebSocket that carries trace items. Knows the filters wrangler sends, and nothing of
//! how the runtime collects its traces.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State as Extracted};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, post};
use serde_json::{Value, json};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, interval_at};

use crate::app::App;
use crate::envelope::{ApiError, ApiResult, ok};
use crate::extract::Json;
use crate::state::Tail;
use crate::{ids, routing};

/// The subprotocol wrangler asks for, and refuses to go on without.
const PROTOCOL: &str = "trace-v1";

const PING_EVERY: Duration = Duration::from_secs(10);
const LIFETIME: Duration = Duration::from_secs(6 * 60 * 60);

/// API routes (under `/client/v4`) of tails; the WebSocket included.
pub fn router() -> Router<App> {
    let tails = "/accounts/{account}/workers/scripts/{script}/tails";
    Router::new()
        .route(tails, post(create).get(list))
        .route(&format!("{tails}/{{id}}"), delete(remove))
        .route("/local-cloud/tails/{id}", any(socket))
}

async fn create(
    app: App,
    Path((_, script)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> ApiResult {
    app.read(|state| state.script(&script).map(|_| ()))?;
    let id = ids::hex32();
    let expires_at = humantime::format_rfc3339_seconds(SystemTime::now() + LIFETIME).to_string();
    let tail = Tail {
        script,
        filters: body["filters"].clone(),
        expires_at: expires_at.clone(),
    };
    app.mutate(|state| {
        // RFC 3339 in UTC sorts as text.
        let now = ids::now();
        state.tails.retain(|_, tail| tail.expires_at > now);
        state.tails.insert(id.clone(), tail);
        Ok(())
    })?;
    let port = app.config().port;
    let url = format!("ws://127.0.0.1:{port}/client/v4/local-cloud/tails/{id}");
    ok(json!({ "id": id, "url": url, "expires_at": expires_at }))
}

async fn list(app: App, Path((_, script)): Path<(String, String)>) -> ApiResult {
    let tails: Vec<Value> = app.read(|state| {
        state.script(&script).map(|_| ())?;
        let mine = state.tails.iter().filter(|(_, tail)| tail.script == script);
        Ok::<_, ApiError>(
            mine.map(|(id, tail)| json!({ "id": id, "expires_at": tail.expires_at }))
                .collect(),
        )
    })?;
    ok(tails)
}

async fn remove(app: App, Path((_, script, id)): Path<(String, String, String)>) -> ApiResult {
    app.mutate(|state| match state.tails.get(&id) {
        Some(tail) if tail.script == script => {
            state.tails.remove(&id);
            Ok(())
        }
        _ => Err(ApiError::not_found(
            10068,
            format!("This tail does not exist. [{id}]"),
        )),
    })?;
    ok(Value::Null)
}

async fn socket(
    Extracted(app): Extracted<App>,
    Path(id): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(tail) = app.read(|state| state.tails.get(&id).cloned()) else {
        return ApiError::not_found(10068, format!("This tail does not exist. [{id}]"))
            .into_response();
    };
    let events = match app.runtime().await {
        Ok(runtime) => runtime.events().await.map_err(ApiError::from),
        Err(error) => Err(error),
    };
    match events {
        Ok(events) => upgrade
            .protocols([PROTOCOL])
            // wrangler sends its first frame unmasked, against RFC 6455; the real service accepts that.
            .accept_unmasked_frames(true)
            .on_upgrade(move |socket| carry(app, id, tail, events, socket)),
        Err(error) => error.into_response(),
    }
}

/// Sends the tail's events until either side goes, or the tail is deleted.
async fn carry(
    app: App,
    id: String,
    tail: Tail,
    mut events: broadcast::Receiver<Value>,
    mut socket: WebSocket,
) {
    let filters = Filters::read(&tail.filters);
    let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => {
                    let mine = event["script"] == tail.script.as_str() && filters.pass(&event);
                    let text = event["item"].to_string();
                    if mine && socket.send(Message::Text(text.into())).await.is_err() {
                        return;
                    }
                }
                // Too slow a reader loses events, as with the real service.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            _ = ping.tick() => {
                let gone = app.read(|state| !state.tails.contains_key(&id));
                if gone || socket.send(Message::Ping(b"local-cloud".as_slice().into())).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => {
                // What wrangler says ({"debug":false}) changes nothing; pongs are answered below us.
                if !matches!(message, Some(Ok(_))) {
                    return;
                }
            }
        }
    }
}

/// What wrangler's flags ask for; a list where every entry must be met.
#[derive(Debug, Default)]
struct Filters {
    entries: Vec<Value>,
}

impl Filters {
    fn read(filters: &Value) -> Self {
        Self {
            entries: filters.as_array().cloned().unwrap_or_default(),
        }
    }

    fn pass(&self, event: &Value) -> bool {
        let item = &event["item"];
        self.entries.iter().all(|entry| {
            let Some((kind, wanted)) = entry.as_object().and_then(|entry| entry.iter().next())
            else {
                return true;
            };
            match kind.as_str() {
                "sampling_rate" => {
                    routing::fraction(&ids::hex32()) < wanted.as_f64().unwrap_or(1.0)
                }
                "outcome" => one_of(wanted, &item["outcome"]),
                "method" => one_of(wanted, &item["event"]["request"]["method"]),
                "client_ip" => {
                    // "self" is the caller's own address, and here everybody is.
                    one_of(wanted, &json!("self"))
                        || one_of(
                            wanted,
                            &item["event"]["request"]["headers"]["cf-connecting-ip"],
                        )
                }
                "header" => has_header(wanted, &item["event"]["request"]["headers"]),
                "query" => wanted
                    .as_str()
                    .is_some_and(|text| item["logs"].to_string().contains(text)),
                "scriptVersion" => *wanted == event["version"],
                // A filter of a later wrangler: better too many events than none.
                _ => true,
            }
        })
    }
}

fn one_of(wanted: &Value, actual: &Value) -> bool {
    let (Some(wanted), Some(actual)) = (wanted.as_array(), actual.as_str()) else {
        return false;
    };
    wanted
        .iter()
        .filter_map(Value::as_str)
        .any(|wanted| wanted.eq_ignore_ascii_case(actual))
}

fn has_header(wanted: &Value, headers: &Value) -> bool {
    let Some(key) = wanted["key"].as_str() else {
        return true;
    };
    let value = headers
        .as_object()
        .into_iter()
        .flatten()
        .find(|(name, _)| name.eq_ignore_ascii_case(key));
    match (value, wanted["query"].as_str()) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some((_, value)), Some(query)) => value
            .as_str()
            .is_some_and(|value| value.to_lowercase().contains(&query.to_lowercase())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(filters: Value, expected: bool) {
        let event = json!({ "script": "api", "version": "v1", "item": {
            "outcome": "exception",
            "logs": [{ "level": "log", "message": ["order 66"] }],
            "event": { "request": { "method": "POST", "headers": { "x-user": "Ann Lee" } } },
        }});
        assert_eq!(Filters::read(&filters).pass(&event), expected, "{filters}");
    }

    #[test]
    fn every_filter_must_be_met() {
        check(json!([]), true);
        check(json!([{ "outcome": ["exception", "unknown"] }]), true);
        check(json!([{ "outcome": ["ok"] }]), false);
        check(json!([{ "method": ["post"] }, { "query": "66" }]), true);
        check(json!([{ "method": ["post"] }, { "query": "67" }]), false);
        check(
            json!([{ "header": { "key": "X-User", "query": "ann" } }]),
            true,
        );
        check(
            json!([{ "header": { "key": "x-user", "query": "bob" } }]),
            false,
        );
        check(json!([{ "header": { "key": "x-other" } }]), false);
        check(json!([{ "scriptVersion": "v1" }]), true);
        check(json!([{ "sampling_rate": 0 }]), false);
    }
}
