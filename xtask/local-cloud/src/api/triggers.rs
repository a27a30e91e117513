//! What makes a Worker run: workers.dev flags, zone routes, crons. Custom domains are next door.

use axum::Router;
use axum::extract::Path;
use axum::routing::{delete, get};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::identity::{zone_id, zone_name, zone_of};
use crate::app::App;
use crate::envelope::{ApiError, ApiResult, ok};
use crate::extract::Json;
use crate::ids;
use crate::state::{Route, Schedule, State, Subdomain};

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route(
            "/accounts/{account}/workers/scripts/{name}/subdomain",
            get(subdomain).post(change_subdomain),
        )
        .route(
            "/accounts/{account}/workers/scripts/{name}/schedules",
            get(schedules).put(replace_schedules),
        )
        .route(
            "/accounts/{account}/workers/scripts/{name}/routes",
            get(routes).put(replace_routes),
        )
        .route(
            "/zones/{zone}/workers/routes",
            get(zone_routes).post(add_zone_route),
        )
        .route(
            "/zones/{zone}/workers/routes/{id}",
            delete(delete_zone_route),
        )
}

/// A workers.dev address begins with the name of the Worker, which is one label of a host name.
const HOST_LABEL_MAX: usize = 63;

type ScriptPath = Path<(String, String)>;

async fn subdomain(app: App, Path((_, name)): ScriptPath) -> ApiResult {
    app.read(|state| ok(&state.script(&name)?.subdomain))
}

#[derive(Deserialize)]
struct WantedSubdomain {
    enabled: bool,
    previews_enabled: Option<bool>,
}

async fn change_subdomain(
    app: App,
    Path((_, name)): ScriptPath,
    Json(wanted): Json<WantedSubdomain>,
) -> ApiResult {
    // With the API date wrangler sends, preview URLs follow the workers.dev flag unless told otherwise.
    let previews_enabled = wanted.previews_enabled.unwrap_or(wanted.enabled);
    let subdomain = Subdomain {
        enabled: wanted.enabled,
        previews_enabled,
    };
    ok(app.mutate(|state| {
        let script = state.script_mut(&name)?;
        if wanted.enabled && name.len() > HOST_LABEL_MAX {
            // As documented; the code is a choice.
            let message = format!(
                "The Worker '{name}' has no workers.dev address: its name is longer than {HOST_LABEL_MAX} characters."
            );
            return Err(ApiError::bad_request(10016, message));
        }
        script.subdomain = subdomain.clone();
        Ok(subdomain)
    })?)
}

async fn schedules(app: App, Path((_, name)): ScriptPath) -> ApiResult {
    app.read(|state| ok(json!({ "schedules": state.script(&name)?.schedules })))
}

#[derive(Deserialize)]
struct WantedSchedule {
    cron: String,
}

async fn replace_schedules(
    app: App,
    Path((_, name)): ScriptPath,
    Json(wanted): Json<Vec<WantedSchedule>>,
) -> ApiResult {
    for schedule in &wanted {
        check_cron(&schedule.cron)?;
    }
    let now = ids::now();
    let schedules = app.mutate(|state| {
        let script = state.script_mut(&name)?;
        let schedule = |wanted: &WantedSchedule| {
            let old = script.schedules.iter().find(|old| old.cron == wanted.cron);
            let created_on = old.map_or_else(|| now.clone(), |old| old.created_on.clone());
            Schedule {
                cron: wanted.cron.clone(),
                created_on,
                modified_on: now.clone(),
            }
        };
        script.schedules = wanted.iter().map(schedule).collect();
        Ok(script.schedules.clone())
    })?;
    ok(json!({ "schedules": schedules }))
}

/// The shape of a cron: five fields of the known characters. What each field may hold is not checked.
fn check_cron(cron: &str) -> Result<(), ApiError> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let known = |field: &&str| {
        field
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "*,-/#?".contains(c))
    };
    if fields.len() == 5 && fields.iter().all(known) {
        return Ok(());
    }
    Err(ApiError::bad_request(
        10100,
        format!("invalid cron string: {cron}"),
    ))
}

#[derive(Deserialize)]
struct WantedRoute {
    pattern: String,
    #[serde(default)]
    zone_name: Option<String>,
}

async fn routes(app: App, Path((_, name)): ScriptPath) -> ApiResult {
    app.read(|state| {
        ok(state
            .script(&name)?
            .routes
            .iter()
            .map(|route| shown_route(route, &name))
            .collect::<Vec<_>>())
    })
}

async fn replace_routes(
    app: App,
    Path((_, name)): ScriptPath,
    Json(wanted): Json<Vec<WantedRoute>>,
) -> ApiResult {
    let shown = app.mutate(|state| {
        state.script(&name)?;
        let routes = wanted
            .iter()
            .map(|wanted| route(state, &name, wanted))
            .collect::<Result<Vec<_>, _>>()?;
        let shown: Vec<Value> = routes
            .iter()
            .map(|route| shown_route(route, &name))
            .collect();
        state.script_mut(&name)?.routes = routes;
        Ok(shown)
    })?;
    ok(shown)
}

/// A route as it is kept; refused when another Worker has the pattern or the zone is not the host's.
fn route(state: &State, name: &str, wanted: &WantedRoute) -> Result<Route, ApiError> {
    let pattern = wanted
        .pattern
        .split_once("://")
        .map_or(wanted.pattern.as_str(), |(_, rest)| rest);
    let host = pattern
        .split('/')
        .next()
        .unwrap_or_default()
        .trim_start_matches('*')
        .trim_start_matches('.');
    let derived = zone_of(host);
    let zone_name = wanted.zone_name.as_deref().unwrap_or(derived);
    if !host.contains('.') || !(host == zone_name || host.ends_with(&format!(".{zone_name}"))) {
        let message = format!(
            "Invalid pattern \"{}\" for zone \"{zone_name}\"",
            wanted.pattern
        );
        return Err(ApiError::bad_request(10022, message));
    }
    for (owner, script) in state.scripts.iter().filter(|(owner, _)| *owner != name) {
        if script
            .routes
            .iter()
            .any(|route| route.pattern == wanted.pattern)
        {
            let message = format!(
                "A route with the same pattern already exists: \"{}\" belongs to the Worker \"{owner}\"",
                wanted.pattern
            );
            return Err(ApiError::new(409, 10020, message));
        }
    }
    let old = state.scripts.get(name).and_then(|script| {
        script
            .routes
            .iter()
            .find(|old| old.pattern == wanted.pattern)
    });
    let id = old.map_or_else(ids::hex32, |old| old.id.clone());
    Ok(Route {
        id,
        pattern: wanted.pattern.clone(),
        zone_name: zone_name.to_owned(),
    })
}

fn shown_route(route: &Route, script: &str) -> Value {
    json!({ "id": route.id, "pattern": route.pattern, "script": script, "zone_name": route.zone_name, "zone_id": zone_id(&route.zone_name) })
}

async fn zone_routes(app: App, Path(zone): Path<String>) -> ApiResult {
    let routes: Vec<Value> = app.read(|state| {
        let all = state.scripts.values().flat_map(|script| {
            script
                .routes
                .iter()
                .map(|route| (script.name.as_str(), route))
        });
        all.filter(|(_, route)| zone_id(&route.zone_name) == zone)
            .map(|(name, route)| shown_route(route, name))
            .collect()
    });
    ok(routes)
}

#[derive(Deserialize)]
struct WantedZoneRoute {
    pattern: String,
    script: String,
}

async fn add_zone_route(
    app: App,
    Path(zone): Path<String>,
    Json(wanted): Json<WantedZoneRoute>,
) -> ApiResult {
    let route_wanted = WantedRoute {
        pattern: wanted.pattern,
        zone_name: None,
    };
    let shown = app.mutate(|state| {
        let route = route(state, &wanted.script, &route_wanted)?;
        if zone_id(&route.zone_name) != zone {
            return Err(ApiError::bad_request(
                10022,
                "the pattern is not in this zone",
            ));
        }
        let script = state.script_mut(&wanted.script)?;
        script.routes.retain(|old| old.pattern != route.pattern);
        script.routes.push(route.clone());
        Ok(shown_route(&route, &wanted.script))
    })?;
    ok(shown)
}

async fn delete_zone_route(app: App, Path((zone, id)): Path<(String, String)>) -> ApiResult {
    zone_name(&app, &zone)?;
    app.mutate(|state| {
        let before: usize = state
            .scripts
            .values()
            .map(|script| script.routes.len())
            .sum();
        for script in state.scripts.values_mut() {
            script.routes.retain(|route| route.id != id);
        }
        let after: usize = state
            .scripts
            .values()
            .map(|script| script.routes.len())
            .sum();
        if before == after {
            Err(ApiError::not_found(
                10020,
                format!("Route '{id}' not found."),
            ))
        } else {
            Ok(())
        }
    })?;
    ok(json!({ "id": id }))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::state::Script;

    fn check(pattern: &str, zone_name: Option<&str>, expected: Expect) {
        let mut state = State::default();
        let taken = Route {
            id: "1".into(),
            pattern: "taken.com/*".into(),
            zone_name: "taken.com".into(),
        };
        state.scripts.insert(
            "other".into(),
            Script {
                routes: vec![taken],
                ..Script::default()
            },
        );
        let wanted = WantedRoute {
            pattern: pattern.into(),
            zone_name: zone_name.map(str::to_owned),
        };
        let text = match route(&state, "api", &wanted) {
            Ok(route) => format!("{} in {}", route.pattern, route.zone_name),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn a_route_lies_in_its_zone_and_has_one_owner() {
        check(
            "example.com/api/*",
            None,
            expect!["example.com/api/* in example.com"],
        );
        check(
            "*.example.com/*",
            Some("example.com"),
            expect!["*.example.com/* in example.com"],
        );
        check(
            "https://www.example.com/*",
            None,
            expect!["https://www.example.com/* in example.com"],
        );
        check(
            "www.example.com/*",
            Some("other.com"),
            expect!["Invalid pattern \"www.example.com/*\" for zone \"other.com\" [code: 10022]"],
        );
        check(
            "nothing",
            None,
            expect!["Invalid pattern \"nothing\" for zone \"nothing\" [code: 10022]"],
        );
        check(
            "taken.com/*",
            None,
            expect![
                "A route with the same pattern already exists: \"taken.com/*\" belongs to the Worker \"other\" [code: 10020]"
            ],
        );
    }

    #[test]
    fn a_cron_has_five_fields() {
        assert_eq!(check_cron("*/5 2,14 * * MON-FRI"), Ok(()));
        assert!(check_cron("* * * *").is_err());
        assert!(check_cron("* * * * $").is_err());
    }
}
