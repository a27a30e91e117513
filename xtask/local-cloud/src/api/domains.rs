//! Custom domains: whole hosts that belong to a Worker, one Worker each.

use axum::Router;
use axum::extract::{Path, Query};
use axum::routing::{get, post, put};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::identity::{zone_id, zone_of};
use crate::app::App;
use crate::envelope::{ApiError, ApiResult, Page, list, ok};
use crate::extract::Json;
use crate::ids;
use crate::state::Domain;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route(
            "/accounts/{account}/workers/scripts/{name}/domains/changeset",
            post(domain_changes),
        )
        .route(
            "/accounts/{account}/workers/scripts/{name}/domains/records",
            put(replace_domains),
        )
        .route("/accounts/{account}/workers/domains/records", get(domains))
        .route(
            "/accounts/{account}/workers/domains/records/{id}",
            get(domain).delete(delete_domain),
        )
        .route("/accounts/{account}/workers/domains", get(domains))
}

type ScriptPath = Path<(String, String)>;

#[derive(Deserialize)]
struct WantedDomain {
    hostname: String,
}

#[derive(Deserialize)]
struct WantedDomains {
    #[serde(default)]
    override_existing_origin: bool,
    origins: Vec<WantedDomain>,
}

/// What `PUT …/domains/records` would do. A host of another Worker is `updated` (that is where wrangler looks for it)
/// and, [A], `conflicting`, too.
async fn domain_changes(
    app: App,
    Path((_, name)): ScriptPath,
    Json(wanted): Json<Vec<WantedDomain>>,
) -> ApiResult {
    let state = app.snapshot();
    state.script(&name)?;
    let (mut added, mut updated, mut conflicting) = (Vec::new(), Vec::new(), Vec::new());
    for WantedDomain { hostname } in &wanted {
        let Some(domain) = state.domains.get(hostname) else {
            added.push(shown_domain(&domain_of(hostname, &name)));
            continue;
        };
        let mut shown = shown_domain(domain);
        shown["modified"] = Value::from(domain.service != name);
        if domain.service != name {
            conflicting.push(shown.clone());
        }
        updated.push(shown);
    }
    let kept = |domain: &&Domain| {
        domain.service == name
            && !wanted
                .iter()
                .any(|wanted| wanted.hostname == domain.hostname)
    };
    let removed: Vec<Value> = state
        .domains
        .values()
        .filter(kept)
        .map(shown_domain)
        .collect();
    ok(
        json!({ "added": added, "removed": removed, "updated": updated, "conflicting": conflicting }),
    )
}

fn domain_of(hostname: &str, service: &str) -> Domain {
    Domain {
        id: ids::hex32(),
        hostname: hostname.to_owned(),
        service: service.to_owned(),
        zone_name: zone_of(hostname).to_owned(),
    }
}

async fn replace_domains(
    app: App,
    Path((_, name)): ScriptPath,
    Json(wanted): Json<WantedDomains>,
) -> ApiResult {
    let shown = app.mutate(|state| {
        state.script(&name)?;
        for WantedDomain { hostname } in &wanted.origins {
            if !hostname.contains('.') || hostname.contains(['*', '/']) {
                return Err(ApiError::bad_request(
                    100_116,
                    format!("\"{hostname}\" is not a host name"),
                ));
            }
            let other = state
                .domains
                .get(hostname)
                .filter(|domain| domain.service != name);
            if let Some(other) = other.filter(|_| !wanted.override_existing_origin) {
                let message = format!(
                    "Hostname '{hostname}' is already in use by the Worker '{}'",
                    other.service
                );
                return Err(ApiError::new(409, 100_117, message));
            }
        }
        state.domains.retain(|hostname, domain| {
            domain.service != name || wanted.origins.iter().any(|w| w.hostname == *hostname)
        });
        for WantedDomain { hostname } in &wanted.origins {
            let domain = state
                .domains
                .entry(hostname.clone())
                .or_insert_with(|| domain_of(hostname, &name));
            domain.service.clone_from(&name);
        }
        Ok(state
            .domains
            .values()
            .filter(|domain| domain.service == name)
            .map(shown_domain)
            .collect::<Vec<_>>())
    })?;
    ok(shown)
}

fn shown_domain(domain: &Domain) -> Value {
    json!({
        "id": domain.id,
        "hostname": domain.hostname,
        "service": domain.service,
        "environment": "production",
        "zone_name": domain.zone_name,
        "zone_id": zone_id(&domain.zone_name),
        "enabled": true,
        "previews_enabled": false,
    })
}

#[derive(Deserialize)]
struct DomainQuery {
    service: Option<String>,
    hostname: Option<String>,
}

async fn domains(
    app: App,
    Query(query): Query<DomainQuery>,
    Query(page): Query<Page>,
) -> ApiResult {
    let fits = |domain: &&Domain| {
        query
            .service
            .as_ref()
            .is_none_or(|service| *service == domain.service)
            && query
                .hostname
                .as_ref()
                .is_none_or(|hostname| *hostname == domain.hostname)
    };
    let shown: Vec<Value> = app.read(|state| {
        state
            .domains
            .values()
            .filter(fits)
            .map(shown_domain)
            .collect()
    });
    list(&shown, &page)
}

fn missing_domain(id: &str) -> ApiError {
    ApiError::not_found(100_114, format!("Custom domain '{id}' not found."))
}

async fn domain(app: App, Path((_, id)): ScriptPath) -> ApiResult {
    let state = app.snapshot();
    let domain = state.domains.values().find(|domain| domain.id == id);
    ok(shown_domain(domain.ok_or_else(|| missing_domain(&id))?))
}

async fn delete_domain(app: App, Path((_, id)): ScriptPath) -> ApiResult {
    app.mutate(|state| {
        let before = state.domains.len();
        state.domains.retain(|_, domain| domain.id != id);
        if state.domains.len() == before {
            Err(missing_domain(&id))
        } else {
            Ok(())
        }
    })?;
    ok(Value::Null)
}
