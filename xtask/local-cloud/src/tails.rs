//! Tails: `POST/DELETE …/tails` and the WebSocket that carries trace items.

use axum::Router;

use crate::app::App;

/// API routes (under `/client/v4`) of tails; the WebSocket included.
pub fn router() -> Router<App> {
    Router::new()
}
