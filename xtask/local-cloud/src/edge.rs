//! The data plane: requests for deployed Workers, told apart by host and path, proxied to the runtime.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};

use crate::app::App;

/// Serves one request that is not for a control host.
pub async fn handle(_app: App, _request: Request) -> Response {
    (
        axum::http::StatusCode::NOT_FOUND,
        "the edge is not built yet\n",
    )
        .into_response()
}
