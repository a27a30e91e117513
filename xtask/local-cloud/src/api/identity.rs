//! Who is asking, and what the account is: token, user, accounts, memberships, zones, the workers.dev subdomain.

use axum::Router;
use axum::extract::{Path, Query};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::AUTHOR;
use crate::app::App;
use crate::envelope::{ApiError, ApiResult, Page, list, ok};
use crate::extract::Json;
use crate::ids;

/// The account listed; any other id in a path means the same account.
const ACCOUNT_ID: &str = "0123456789abcdef0123456789abcdef";
const ACCOUNT_NAME: &str = "Local cloud";

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route(
            "/user",
            get(async || ok(json!({ "id": ids::derived("user"), "email": AUTHOR }))),
        )
        .route(
            "/accounts",
            get(async |page: Query<Page>| list(&[account()], &page)),
        )
        .route("/accounts/{account}", get(async || ok(account())))
        .route(
            "/memberships",
            get(async |page: Query<Page>| list(&[membership()], &page)),
        )
        .route("/zones", get(zones))
        .route("/zones/{zone}", get(zone))
        .route(
            "/accounts/{account}/workers/subdomain",
            get(subdomain).put(change_subdomain),
        )
        .route(
            "/accounts/{account}/workers/subdomains/{name}",
            get(subdomain_is_free),
        )
        .route(
            "/accounts/{account}/containers/applications",
            get(async || ok(json!([]))),
        )
        .route(
            "/accounts/{account}/containers/dash/applications",
            get(async || ok(json!([]))),
        )
}

fn account() -> Value {
    json!({ "id": ACCOUNT_ID, "name": ACCOUNT_NAME, "type": "standard" })
}

fn membership() -> Value {
    json!({
        "id": ids::derived("membership"),
        "status": "accepted",
        "account": account(),
        "roles": ["Super Administrator - All Privileges"],
    })
}

/// The zone of a host: its last two labels. The local account owns every zone.
pub(super) fn zone_of(host: &str) -> &str {
    host.rmatch_indices('.')
        .nth(1)
        .map_or(host, |(dot, _)| &host[dot + 1..])
}

/// A zone's id is derived from its name, so it is the same on every machine.
pub(super) fn zone_id(name: &str) -> String {
    ids::derived(&format!("zone:{name}"))
}

#[derive(Deserialize)]
struct ZoneQuery {
    name: Option<String>,
}

async fn zones(app: App, Query(query): Query<ZoneQuery>, Query(page): Query<Page>) -> ApiResult {
    let names: Vec<String> = match query.name {
        Some(name) => Some(name)
            .filter(|name| zone_of(name) == name && name.contains('.'))
            .into_iter()
            .collect(),
        None => known_zones(&app),
    };
    list(
        &names
            .iter()
            .map(|name| shown_zone(name))
            .collect::<Vec<_>>(),
        &page,
    )
}

async fn zone(app: App, Path(id): Path<String>) -> ApiResult {
    ok(shown_zone(&zone_name(&app, &id)?))
}

fn shown_zone(name: &str) -> Value {
    json!({ "id": zone_id(name), "name": name, "status": "active", "account": account() })
}

/// Zones that routes and custom domains use.
fn known_zones(app: &App) -> Vec<String> {
    app.read(|state| {
        let routes = state
            .scripts
            .values()
            .flat_map(|script| &script.routes)
            .map(|route| route.zone_name.clone());
        let domains = state
            .domains
            .values()
            .map(|domain| domain.zone_name.clone());
        routes
            .chain(domains)
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect()
    })
}

/// The name of a zone id: only of zones in use, since the id is a hash.
pub(super) fn zone_name(app: &App, id: &str) -> Result<String, ApiError> {
    let missing = || ApiError::not_found(1001, format!("Invalid zone identifier [{id}]"));
    known_zones(app)
        .into_iter()
        .find(|name| zone_id(name) == id)
        .ok_or_else(missing)
}

async fn subdomain(app: App) -> ApiResult {
    ok(json!({ "subdomain": app.config().subdomain }))
}

async fn change_subdomain(app: App, Json(body): Json<Value>) -> ApiResult {
    if body["subdomain"].as_str() == Some(app.config().subdomain.as_str()) {
        return subdomain(app).await;
    }
    Err(ApiError::new(
        409,
        10036,
        "the account has a workers.dev subdomain already; start the local cloud with --subdomain to change it",
    ))
}

async fn subdomain_is_free(app: App, Path((_, name)): Path<(String, String)>) -> ApiResult {
    if name == app.config().subdomain {
        return Err(ApiError::new(409, 10031, "the subdomain is taken"));
    }
    Err(ApiError::not_found(10032, "the subdomain is free"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_the_last_two_labels() {
        assert_eq!(zone_of("example.com"), "example.com");
        assert_eq!(zone_of("a.b.example.com"), "example.com");
        assert_eq!(zone_of("localhost"), "localhost");
    }
}
