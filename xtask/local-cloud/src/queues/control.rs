//! `/_local/queues`: what waits in each queue and what was delivered, for tests and people.

use axum::Router;
use axum::response::{IntoResponse as _, Json as Answer, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::api::queue_messages::ask;
use crate::app::App;
use crate::envelope::ApiError;

/// Routes.
pub fn router() -> Router<App> {
    Router::new().route("/_local/queues", get(queues))
}

/// Every queue, by name: its messages, oldest first, and its last deliveries.
async fn queues(app: App) -> Result<Response, ApiError> {
    let state = app.snapshot();
    let mut shown = serde_json::Map::new();
    let mut by_name: Vec<_> = state.queues.iter().collect();
    by_name.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    for (id, queue) in by_name {
        let messages = ask(&app, id, "peek", json!({})).await?;
        let deliveries = ask(&app, id, "deliveries", Value::Null).await?;
        let one =
            json!({ "messages": messages["messages"], "deliveries": deliveries["deliveries"] });
        shown.insert(queue.name.clone(), one);
    }
    Ok(Answer(json!({ "queues": shown })).into_response())
}
