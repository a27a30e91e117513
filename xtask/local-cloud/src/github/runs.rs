//! Runs of workflows: what another run needs to know whether one is still going.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde_json::{Value, json};

use crate::app::App;
use crate::github::answer::{GithubError, GithubResult, base, number, ok};
use crate::github::model::Run;

/// Routes.
pub fn router() -> Router<App> {
    Router::new().route("/repos/{owner}/{repo}/actions/runs/{id}", get(read))
}

async fn read(app: App, Path((owner, repo, id)): Path<(String, String, String)>) -> GithubResult {
    let id = number(&id)?;
    let state = app.snapshot();
    let (name, repo) = state.github.repo(&owner, &repo)?;
    let run = repo.runs.get(&id).ok_or_else(GithubError::not_found)?;
    ok(run_json(app.config().port, name, run))
}

/// A run as GitHub shows one.
pub fn run_json(port: u16, full_name: &str, run: &Run) -> Value {
    json!({
        "id": run.id,
        "name": run.name,
        "event": run.event,
        "status": run.status,
        "conclusion": run.conclusion,
        "head_branch": run.branch,
        "head_sha": run.sha,
        "run_attempt": run.attempt,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "run_started_at": run.created_at,
        "url": format!("{}/repos/{full_name}/actions/runs/{}", base(port), run.id),
        "html_url": format!("https://github.com/{full_name}/actions/runs/{}", run.id),
    })
}
