//! The control plane: every route under `/client/v4`, and the rules that hold for all of them.

use axum::Router;

use crate::app::App;
use crate::envelope::ApiError;
use crate::{storage, tails};

/// All API routes; the caller nests them under `/client/v4`.
pub fn router() -> Router<App> {
    Router::new()
        .merge(storage::router())
        .merge(tails::router())
        .fallback(
            |method: axum::http::Method, uri: axum::http::Uri| async move {
                ApiError::not_found(
                    7000,
                    format!("No route for that URI: {method} {}", uri.path()),
                )
            },
        )
}
