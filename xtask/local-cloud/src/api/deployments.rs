//! `/workers/scripts/{name}/deployments`: which versions are live, and the rules for changing that.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::extract::{Path, Query};
use axum::http::HeaderMap;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{AUTHOR, source};
use crate::app::App;
use crate::bindings;
use crate::envelope::{ApiError, ApiResult, ok};
use crate::extract::Json;
use crate::ids;
use crate::state::{Deployment, Script, Share, State, missing_script};

/// [A] The real code for a malformed deployment was never seen.
const INVALID_DEPLOYMENT: u32 = 10145;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route(
            "/accounts/{account}/workers/scripts/{name}/deployments",
            get(deployments).post(deploy),
        )
        .route(
            "/accounts/{account}/workers/scripts/{name}/deployments/{id}",
            get(deployment),
        )
}

#[derive(Debug, Clone, Deserialize)]
struct Wanted {
    #[serde(default)]
    strategy: Option<String>,
    versions: Vec<Share>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct DeployQuery {
    force: Option<String>,
}

async fn deploy(
    app: App,
    Path((_, name)): Path<(String, String)>,
    Query(query): Query<DeployQuery>,
    headers: HeaderMap,
    Json(wanted): Json<Wanted>,
) -> ApiResult {
    let force = query.force.as_deref() == Some("true");
    let source = source(&headers);
    let deployment = app.mutate(|state| {
        check(state, state.script(&name)?, &wanted, force)?;
        let script = state.script_mut(&name)?;
        let mut annotations = wanted.annotations.clone();
        annotations
            .entry("workers/triggered_by".to_owned())
            .or_insert_with(|| "deployment".to_owned());
        let deployment = Deployment {
            id: ids::uuid(),
            created_on: ids::now(),
            source: source.clone(),
            annotations,
            versions: wanted.versions.clone(),
        };
        script.deployments.push(deployment.clone());
        script.modified_on.clone_from(&deployment.created_on);
        script.last_deployed_from = source;
        Ok(deployment)
    })?;
    ok(shown(&deployment))
}

async fn deployments(app: App, Path((_, name)): Path<(String, String)>) -> ApiResult {
    let state = app.snapshot();
    let script = state.script(&name)?;
    if script.versions.is_empty() {
        return Err(missing_script(&name));
    }
    let newest_first: Vec<Value> = script.deployments.iter().rev().map(shown).collect();
    ok(json!({ "deployments": newest_first }))
}

async fn deployment(app: App, Path((_, name, id)): Path<(String, String, String)>) -> ApiResult {
    let state = app.snapshot();
    let deployment = state
        .script(&name)?
        .deployments
        .iter()
        .find(|deployment| deployment.id == id);
    let missing = || {
        ApiError::not_found(
            INVALID_DEPLOYMENT,
            format!("Deployment '{id}' of Worker '{name}' not found."),
        )
    };
    ok(shown(deployment.ok_or_else(missing)?))
}

fn shown(deployment: &Deployment) -> Value {
    json!({
        "id": deployment.id,
        "source": deployment.source,
        "strategy": "percentage",
        "author_email": AUTHOR,
        "created_on": deployment.created_on,
        "annotations": deployment.annotations,
        "versions": deployment.versions,
    })
}

/// The rules of a deployment, in the order they are told.
fn check(state: &State, script: &Script, wanted: &Wanted, force: bool) -> Result<(), ApiError> {
    let invalid = |message: String| Err(ApiError::bad_request(INVALID_DEPLOYMENT, message));
    if wanted
        .strategy
        .as_deref()
        .is_some_and(|strategy| strategy != "percentage")
    {
        return invalid("the only deployment strategy is `percentage`".to_owned());
    }
    let ids: BTreeSet<&str> = wanted
        .versions
        .iter()
        .map(|share| share.version_id.as_str())
        .collect();
    if !(1..=2).contains(&wanted.versions.len()) || ids.len() != wanted.versions.len() {
        return invalid(format!(
            "a deployment has one or two different versions, this one has {}",
            wanted.versions.len()
        ));
    }
    if wanted
        .versions
        .iter()
        .any(|share| !(0.0..=100.0).contains(&share.percentage))
    {
        return invalid("a percentage lies between 0 and 100".to_owned());
    }
    let sum: f64 = wanted.versions.iter().map(|share| share.percentage).sum();
    if (sum - 100.0).abs() > 0.001 {
        return invalid(format!(
            "the percentages of a deployment sum to 100, these sum to {sum}"
        ));
    }
    for share in &wanted.versions {
        let version = super::versions::find(script, &share.version_id)?;
        if version.migration_tag != script.migration_tag {
            // [A] 10212. Documented: no deployment may cross a Durable Object migration.
            let message = format!(
                "Version '{}' cannot be deployed: a Durable Object migration was applied since it was uploaded.",
                version.id
            );
            return Err(ApiError::bad_request(10212, message));
        }
        bindings::check_storage(state, &version.bindings)?;
    }
    if force {
        Ok(())
    } else {
        check_secrets(script, wanted)
    }
}

/// Going back to an older version whose secrets differ needs `force=true`.
fn check_secrets(script: &Script, wanted: &Wanted) -> Result<(), ApiError> {
    let live = script
        .live()
        .map(|live| live.versions.as_slice())
        .unwrap_or_default();
    let live = live
        .iter()
        .filter_map(|share| script.version(&share.version_id));
    let Some(current) = live.clone().max_by_key(|version| version.number) else {
        return Ok(());
    };
    let stays = |id: &str| live.clone().any(|version| version.id == id);
    let older = wanted
        .versions
        .iter()
        .filter(|share| !stays(&share.version_id))
        .filter_map(|share| script.version(&share.version_id))
        .filter(|version| version.number < current.number);
    let now = bindings::secrets(&current.bindings);
    let mut changed = BTreeSet::new();
    for version in older {
        let then = bindings::secrets(&version.bindings);
        let differs = |name: &&str| now.get(name) != then.get(name);
        changed.extend(now.keys().chain(then.keys()).copied().filter(differs));
    }
    if changed.is_empty() {
        return Ok(());
    }
    let names = changed.into_iter().collect::<Vec<_>>().join(", ");
    let message = format!("Rollback failed. The following secrets have changed: {names}");
    Err(ApiError::bad_request(10220, message))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::state::Version;

    /// Versions v1 (secret K=1), v2 (K=2, live), v3 (K=2), v0 (before a migration).
    fn worker() -> Script {
        let version = |number: u64, secret: &str| Version {
            id: format!("v{number}"),
            number,
            migration_tag: (number > 0).then(|| "m1".to_owned()),
            bindings: vec![json!({"name": "K", "type": "secret_text", "text": secret})],
            ..Version::default()
        };
        let live = Deployment {
            versions: vec![Share {
                version_id: "v2".into(),
                percentage: 100.0,
            }],
            ..Deployment::default()
        };
        Script {
            name: "api".into(),
            migration_tag: Some("m1".into()),
            versions: vec![
                version(0, "2"),
                version(1, "1"),
                version(2, "2"),
                version(3, "2"),
            ],
            deployments: vec![live],
            ..Script::default()
        }
    }

    fn check_one(versions: Value, force: bool, expected: Expect) {
        let wanted: Wanted =
            serde_json::from_value(json!({"strategy": "percentage", "versions": versions}))
                .expect("a deployment");
        let outcome = check(&State::default(), &worker(), &wanted, force);
        expected.assert_eq(&outcome.map_or_else(|error| error.to_string(), |()| "ok".to_owned()));
    }

    fn share(id: &str, percentage: f64) -> Value {
        json!({"version_id": id, "percentage": percentage})
    }

    #[test]
    fn one_or_two_known_versions_that_sum_to_100() {
        check_one(json!([share("v3", 100.0)]), false, expect!["ok"]);
        check_one(
            json!([share("v3", 0.0), share("v2", 100.0)]),
            false,
            expect!["ok"],
        );
        check_one(
            json!([share("v3", 10.0), share("v2", 80.0)]),
            false,
            expect!["the percentages of a deployment sum to 100, these sum to 90 [code: 10145]"],
        );
        check_one(
            json!([]),
            false,
            expect!["a deployment has one or two different versions, this one has 0 [code: 10145]"],
        );
        check_one(
            json!([share("v3", 50.0), share("v3", 50.0)]),
            false,
            expect!["a deployment has one or two different versions, this one has 2 [code: 10145]"],
        );
        check_one(
            json!([share("v9", 100.0)]),
            false,
            expect!["Version 'v9' of Worker 'api' not found. [code: 10146]"],
        );
        check_one(
            json!([share("v3", 200.0), share("v2", -100.0)]),
            false,
            expect!["a percentage lies between 0 and 100 [code: 10145]"],
        );
    }

    #[test]
    fn going_back_over_changed_secrets_needs_force() {
        check_one(
            json!([share("v1", 100.0)]),
            false,
            expect!["Rollback failed. The following secrets have changed: K [code: 10220]"],
        );
        check_one(json!([share("v1", 100.0)]), true, expect!["ok"]);
        check_one(
            json!([share("v1", 50.0), share("v2", 50.0)]),
            false,
            expect!["Rollback failed. The following secrets have changed: K [code: 10220]"],
        );
    }

    #[test]
    fn no_deployment_crosses_a_migration() {
        check_one(
            json!([share("v0", 100.0)]),
            true,
            expect![
                "Version 'v0' cannot be deployed: a Durable Object migration was applied since it was uploaded. [code: 10212]"
            ],
        );
    }
}
