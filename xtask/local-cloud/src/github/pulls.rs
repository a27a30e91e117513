//! Repositories and their pull requests, read only: people make them, through `control`.

use axum::Router;
use axum::extract::Path;
use axum::http::Uri;
use axum::routing::get;
use serde_json::{Value, json};

use crate::app::App;
use crate::github::answer::{
    GithubError, GithubResult, base, number, ok, page, parameter, pull_page, query,
};
use crate::github::model::{Pull, Repo, User};
use crate::github::user_json;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/repos/{owner}/{repo}", get(read_repo))
        .route("/repos/{owner}/{repo}/pulls", get(list))
        .route("/repos/{owner}/{repo}/pulls/{number}", get(read))
}

async fn read_repo(app: App, Path((owner, repo)): Path<(String, String)>) -> GithubResult {
    let state = app.snapshot();
    let (name, repo) = state.github.repo(&owner, &repo)?;
    ok(repo_json(app.config().port, name, repo))
}

async fn list(app: App, Path((owner, repo)): Path<(String, String)>, uri: Uri) -> GithubResult {
    let state = app.snapshot();
    let (name, repo) = state.github.repo(&owner, &repo)?;
    let asked = query(&uri);
    let wanted = parameter(&asked, "state").unwrap_or("open");
    if !["open", "closed", "all"].contains(&wanted) {
        let message = format!("state: {wanted} is not one of open, closed, all");
        return Err(GithubError::invalid(
            "PullRequest",
            "state",
            "invalid",
            &message,
        ));
    }
    let fits = |pull: &&Pull| {
        let owner = head_name(name, pull).split('/').next().unwrap_or_default();
        let label = format!("{owner}:{}", pull.branch);
        (wanted == "all" || pull.state == wanted)
            && parameter(&asked, "head").is_none_or(|head| head == label)
            && parameter(&asked, "base").is_none_or(|base| base == pull.base)
    };
    // The newest first, unless asked otherwise.
    let mut pulls: Vec<&Pull> = repo.pulls.values().filter(fits).collect();
    if parameter(&asked, "direction") != Some("asc") {
        pulls.reverse();
    }
    let rows = pulls
        .into_iter()
        .map(|pull| pull_json(app.config().port, name, repo, pull))
        .collect();
    page(app.config().port, &uri, rows)
}

async fn read(app: App, Path((owner, repo, pull)): Path<(String, String, String)>) -> GithubResult {
    let state = app.snapshot();
    let (name, repo) = state.github.repo(&owner, &repo)?;
    let pull = repo.pull(number(&pull)?)?;
    ok(pull_json(app.config().port, name, repo, pull))
}

/// The repository the head of a pull request lies in.
fn head_name<'a>(full_name: &'a str, pull: &'a Pull) -> &'a str {
    pull.fork.as_deref().unwrap_or(full_name)
}

/// A repository as GitHub shows one.
pub fn repo_json(port: u16, full_name: &str, repo: &Repo) -> Value {
    let (owner, name) = full_name.split_once('/').unwrap_or((full_name, ""));
    json!({
        "id": repo.id,
        "name": name,
        "full_name": full_name,
        "owner": user_json(port, &User::named(owner)),
        "private": false,
        "fork": false,
        "default_branch": repo.default_branch,
        "created_at": repo.created_at,
        "url": format!("{}/repos/{full_name}", base(port)),
        "html_url": format!("https://github.com/{full_name}"),
    })
}

/// A pull request as GitHub shows one.
pub fn pull_json(port: u16, full_name: &str, repo: &Repo, pull: &Pull) -> Value {
    let api = format!("{}/repos/{full_name}", base(port));
    let own = repo_json(port, full_name, repo);
    let head = head_name(full_name, pull);
    let head_repo = match &pull.fork {
        None => own.clone(),
        Some(fork) => {
            let mut shown = repo_json(port, fork, repo);
            shown["fork"] = Value::from(true);
            shown["id"] = Value::from(super::user_id(fork));
            shown
        }
    };
    let owner = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    json!({
        "id": pull.id,
        "number": pull.number,
        "state": pull.state,
        "title": pull.title,
        "body": pull.body,
        "user": user_json(port, &pull.author),
        "draft": pull.draft,
        "locked": false,
        "merged": pull.merged_at.is_some(),
        "merged_at": pull.merged_at,
        "closed_at": pull.closed_at,
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "comments": pull.comments.len(),
        "head": {
            "label": format!("{}:{}", owner(head), pull.branch),
            "ref": pull.branch,
            "sha": pull.sha,
            "user": user_json(port, &User::named(&owner(head))),
            "repo": head_repo,
        },
        "base": {
            "label": format!("{}:{}", owner(full_name), pull.base),
            "ref": pull.base,
            "sha": branch_sha(full_name, &pull.base),
            "user": user_json(port, &User::named(&owner(full_name))),
            "repo": own,
        },
        "url": format!("{api}/pulls/{}", pull.number),
        "issue_url": format!("{api}/issues/{}", pull.number),
        "comments_url": format!("{api}/issues/{}/comments", pull.number),
        "html_url": pull_page(port, full_name, pull.number),
    })
}

/// A stand-in for the commit at the end of a branch nobody described.
pub fn branch_sha(full_name: &str, branch: &str) -> String {
    crate::ids::sha256(format!("{full_name} {branch}").as_bytes())[..40].to_owned()
}
