//! The control plane: every route under `/client/v4`, and the rules that hold for all of them.

pub mod access;
pub mod assets;
mod deployments;
mod domains;
mod identity;
mod previews;
pub mod queue_messages;
mod queues;
mod scripts;
mod secrets;
mod services;
mod triggers;
mod versions;
mod workers;

use axum::Router;
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::from_fn_with_state;

use crate::app::App;
use crate::envelope::ApiError;
use crate::state::Version;
use crate::{faults, journal, storage, tails};

/// Who made everything: there is one person on this machine.
const AUTHOR: &str = "developer@localhost";

/// All API routes; the caller nests them under `/client/v4`.
pub fn router(app: App) -> Router<App> {
    Router::new()
        .merge(identity::router())
        .merge(access::router())
        .merge(scripts::router())
        .merge(versions::router())
        .merge(deployments::router())
        .merge(secrets::router())
        .merge(assets::router())
        .merge(triggers::router())
        .merge(domains::router())
        .merge(services::router())
        .merge(workers::router())
        .merge(previews::router())
        .merge(queues::router())
        .merge(queue_messages::router())
        .merge(storage::router())
        .merge(tails::router())
        .fallback(async |method: Method, uri: Uri| {
            ApiError::not_found(
                7000,
                format!("No route for that URI: {method} {}", uri.path()),
            )
        })
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            ApiError::new(
                405,
                7001,
                format!("Method {method} not available for that URI: {}", uri.path()),
            )
        })
        // The last layer is the first to see a request.
        .layer(from_fn_with_state(app.clone(), access::authorize))
        .layer(from_fn_with_state(app.clone(), faults::inject))
        .layer(from_fn_with_state(app, journal::record))
}

/// Who sent a request, as versions and deployments record it.
fn source(headers: &HeaderMap) -> String {
    let agent = headers
        .get("user-agent")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if agent.starts_with("wrangler/") {
        "wrangler".to_owned()
    } else {
        "api".to_owned()
    }
}

/// The kinds of event a version takes: `fetch` is assumed of one whose handlers nobody could tell.
fn handlers(version: &Version) -> Vec<&str> {
    match (&version.main_module, version.handlers.is_empty()) {
        (None, _) => Vec::new(),
        (Some(_), true) => vec!["fetch"],
        (Some(_), false) => version.handlers.iter().map(String::as_str).collect(),
    }
}

/// The rules of a Worker's name.
fn check_name(name: &str) -> Result<(), ApiError> {
    let fits = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
    if fits && !name.is_empty() && name.len() <= 255 {
        return Ok(());
    }
    let message = format!(
        "Worker name '{name}' is invalid: lowercase letters, digits, dashes and underscores only."
    );
    Err(ApiError::bad_request(10016, message))
}

/// The error for a Worker that has no version.
fn no_version(name: &str) -> ApiError {
    ApiError::bad_request(10222, format!("The Worker '{name}' has no version yet."))
}
