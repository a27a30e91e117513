//! D1, KV and R2: the API over the registries in `State` and the data in the runtime.

use axum::Router;

use crate::app::App;

/// API routes (under `/client/v4`), upload and download URLs included.
pub fn router() -> Router<App> {
    Router::new()
}
