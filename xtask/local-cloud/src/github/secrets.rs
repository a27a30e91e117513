//! Secrets of a repository, its organization and its environments, by name and age: GitHub tells nobody a value, and none
//! is kept here. What people do to them is done through `/_local/github/secrets`.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::http::Uri;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::App;
use crate::extract::Json;
use crate::github::answer::{GithubError, GithubResult, ok, page_of};
use crate::github::model::{Github, Repo, User};
use crate::ids;

/// The secrets a repository's workflows may be handed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    /// Its own.
    pub repository: BTreeMap<String, Dates>,
    /// Those the organization shares with it.
    pub organization: BTreeMap<String, Dates>,
    /// Those of each environment.
    pub environments: BTreeMap<String, BTreeMap<String, Dates>>,
}

/// Since when a secret is there, and when its value was last set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dates {
    created_at: String,
    updated_at: String,
}

/// Routes below `/github`.
pub fn router() -> Router<App> {
    Router::new()
        .route("/repos/{owner}/{repo}/actions/secrets", get(of_repository))
        .route(
            "/repos/{owner}/{repo}/actions/organization-secrets",
            get(of_organization),
        )
        .route(
            "/repos/{owner}/{repo}/environments/{name}/secrets",
            get(of_environment),
        )
}

/// Routes below `/_local`.
pub fn control() -> Router<App> {
    Router::new().route("/_local/github/secrets", post(change).put(change))
}

async fn of_repository(
    app: App,
    Path((owner, repo)): Path<(String, String)>,
    uri: Uri,
    Extension(user): Extension<User>,
) -> GithubResult {
    may_read(&user)?;
    let state = app.snapshot();
    let (_, repo) = state.github.repo(&owner, &repo)?;
    shown(app.config().port, &uri, &repo.secrets.repository)
}

async fn of_organization(
    app: App,
    Path((owner, repo)): Path<(String, String)>,
    uri: Uri,
    Extension(user): Extension<User>,
) -> GithubResult {
    may_read(&user)?;
    let state = app.snapshot();
    let (_, repo) = state.github.repo(&owner, &repo)?;
    shown(app.config().port, &uri, &repo.secrets.organization)
}

async fn of_environment(
    app: App,
    Path((owner, repo, name)): Path<(String, String, String)>,
    uri: Uri,
    Extension(user): Extension<User>,
) -> GithubResult {
    may_read(&user)?;
    let state = app.snapshot();
    let (_, repo) = state.github.repo(&owner, &repo)?;
    let secrets = repo.secrets.environments.get(&name);
    let secrets = secrets.ok_or_else(GithubError::not_found)?;
    shown(app.config().port, &uri, secrets)
}

/// The token of a workflow cannot be given the right.
fn may_read(user: &User) -> Result<(), GithubError> {
    if user.is_bot() {
        return Err(GithubError::forbidden());
    }
    Ok(())
}

fn shown(port: u16, uri: &Uri, secrets: &BTreeMap<String, Dates>) -> GithubResult {
    let rows = secrets.iter().map(|(name, dates)| {
        json!({ "name": name, "created_at": dates.created_at, "updated_at": dates.updated_at })
    });
    page_of(
        port,
        uri,
        rows.collect(),
        |rows, total| json!({ "total_count": total, "secrets": rows }),
    )
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Change {
    repo: String,
    name: String,
    environment: Option<String>,
    organization: bool,
    created_at: Option<String>,
    updated_at: Option<String>,
    removed: bool,
}

/// Sets a secret (its value is nobody's business), or removes it.
async fn change(app: App, Json(change): Json<Change>) -> GithubResult {
    let now = ids::now_seconds();
    app.mutate_or(|state| apply(&mut state.github, change, &now))?;
    ok(json!({ "ok": true }))
}

fn apply(github: &mut Github, change: Change, now: &str) -> Result<(), GithubError> {
    let name = change.name.to_ascii_uppercase();
    let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if name.is_empty() || !fits || name.starts_with("GITHUB_") {
        return Err(GithubError::unprocessable(
            "Secret names can only contain alphanumeric characters ([a-z], [A-Z], [0-9]) or underscores (_) and must not start with GITHUB_",
        ));
    }
    let Github { repos, ids } = github;
    let known = repos
        .keys()
        .find(|known| known.eq_ignore_ascii_case(&change.repo));
    let full_name = known.cloned().unwrap_or(change.repo);
    let repo = repos
        .entry(full_name)
        .or_insert_with(|| Repo::new(ids.fresh(), now.to_owned()));
    let secrets = match (change.environment, change.organization) {
        (Some(environment), _) => repo.secrets.environments.entry(environment).or_default(),
        (None, true) => &mut repo.secrets.organization,
        (None, false) => &mut repo.secrets.repository,
    };
    if change.removed {
        secrets.remove(&name);
        return Ok(());
    }
    let dates = secrets.entry(name).or_insert_with(|| Dates {
        created_at: now.to_owned(),
        updated_at: now.to_owned(),
    });
    dates.updated_at = change.updated_at.unwrap_or_else(|| now.to_owned());
    if let Some(created) = change.created_at {
        dates.created_at = created;
    }
    Ok(())
}
