//! What people do on GitHub and a pipeline only sees: open and close pull requests, comment, start runs. Under
//! `/_local/github`, beside the page that shows a pull request.

use axum::Router;
use axum::extract::{Path, Query};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::extract::Json;
use crate::github::answer::{GithubError, GithubResult, ok};
use crate::github::model::{Comment, Github, Pull, Repo, Run, User};
use crate::github::{comments, page, pulls, runs, secrets};
use crate::ids;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/_local/github/pulls", post(change_pull).put(change_pull))
        .route("/_local/github/comments", post(comment))
        .route("/_local/github/runs", post(change_run).put(change_run))
        .route("/_local/github", get(page::index))
        .route(
            "/_local/github/{owner}/{repo}/pull/{number}",
            get(page::pull),
        )
        .route(
            "/_local/github/{owner}/{repo}/pull/{number}/event",
            get(event),
        )
        .merge(secrets::control())
}

/// Makes a pull request, or changes the named fields of one that is there. The repository comes with its first one.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct PullChange {
    repo: String,
    number: Option<u64>,
    title: Option<String>,
    body: Option<String>,
    author: Option<String>,
    state: Option<String>,
    merged: Option<bool>,
    draft: Option<bool>,
    branch: Option<String>,
    sha: Option<String>,
    base: Option<String>,
    fork: Option<Fork>,
}

/// `true` (some fork), `false` (none), or the fork's `owner/name`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Fork {
    Some(bool),
    Named(String),
}

async fn change_pull(app: App, Json(change): Json<PullChange>) -> GithubResult {
    let full_name = change.repo.clone();
    let (name, repo, number) = app.mutate_or(|state| {
        let number = apply(&mut state.github, change, &ids::now_seconds())?;
        let (owner, repo) = split(&full_name)?;
        let (name, repo) = state.github.repo(owner, repo)?;
        Ok::<_, GithubError>((name.to_owned(), repo.clone(), number))
    })?;
    ok(pulls::pull_json(
        app.config().port,
        &name,
        &repo,
        repo.pull(number)?,
    ))
}

fn apply(github: &mut Github, change: PullChange, now: &str) -> Result<u64, GithubError> {
    let Github { repos, ids } = github;
    split(&change.repo)?;
    let known = repos
        .keys()
        .find(|known| known.eq_ignore_ascii_case(&change.repo));
    let full_name = known.cloned().unwrap_or(change.repo);
    let repo = repos
        .entry(full_name.clone())
        .or_insert_with(|| Repo::new(ids.fresh(), now.to_owned()));
    let after_last = repo.pulls.keys().next_back().map_or(1, |last| last + 1);
    let number = change.number.unwrap_or(after_last);
    let base = repo.default_branch.clone();
    let pull = repo.pulls.entry(number).or_insert_with(|| Pull {
        id: ids.fresh(),
        number,
        title: format!("Pull request {number}"),
        author: User::named("contributor"),
        state: "open".to_owned(),
        branch: format!("topic-{number}"),
        sha: pulls::branch_sha(&full_name, &format!("topic-{number}")),
        base,
        created_at: now.to_owned(),
        ..Pull::default()
    });
    let set = |field: &mut String, wanted: Option<String>| {
        if let Some(wanted) = wanted {
            *field = wanted;
        }
    };
    set(&mut pull.title, change.title);
    set(&mut pull.body, change.body);
    set(&mut pull.branch, change.branch);
    set(&mut pull.sha, change.sha);
    set(&mut pull.base, change.base);
    if let Some(author) = change.author {
        pull.author = User::named(&author);
    }
    pull.draft = change.draft.unwrap_or(pull.draft);
    pull.fork = match change.fork {
        None => pull.fork.take(),
        Some(Fork::Some(false)) => None,
        Some(Fork::Some(true)) => {
            let name = full_name.split('/').nth(1).unwrap_or_default();
            Some(format!("contributor/{name}"))
        }
        Some(Fork::Named(name)) => Some(name),
    };
    set_state(pull, change.state.as_deref(), change.merged, now)?;
    now.clone_into(&mut pull.updated_at);
    Ok(number)
}

/// Merged is closed, and open is not merged.
fn set_state(
    pull: &mut Pull,
    state: Option<&str>,
    merged: Option<bool>,
    now: &str,
) -> Result<(), GithubError> {
    let state = match (state, merged) {
        (_, Some(true)) => "closed",
        (Some(state), _) => state,
        (None, _) => return Ok(()),
    };
    match state {
        "closed" => {
            let closed_at = pull.closed_at.get_or_insert_with(|| now.to_owned());
            if merged == Some(true) {
                pull.merged_at = Some(closed_at.clone());
            }
        }
        "open" => (pull.closed_at, pull.merged_at) = (None, None),
        other => {
            let why = format!("`state` is \"open\" or \"closed\", not \"{other}\"");
            return Err(GithubError::unprocessable(why));
        }
    }
    state.clone_into(&mut pull.state);
    Ok(())
}

fn split(full_name: &str) -> Result<(&str, &str), GithubError> {
    full_name
        .split_once('/')
        .filter(|(owner, name)| !owner.is_empty() && !name.is_empty() && !name.contains('/'))
        .ok_or_else(|| GithubError::unprocessable("`repo` must be \"owner/name\""))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewComment {
    repo: String,
    number: u64,
    author: String,
    body: String,
}

/// A comment by anybody.
async fn comment(app: App, Json(wanted): Json<NewComment>) -> GithubResult {
    comments::check_body(&wanted.body)?;
    let (owner, repo) = split(&wanted.repo)?;
    let id = app.mutate_or(|state| {
        let (repo, new) = state.github.repo_mut(owner, repo)?;
        let pull = repo
            .pulls
            .get_mut(&wanted.number)
            .ok_or_else(GithubError::not_found)?;
        let now = ids::now_seconds();
        let comment = Comment {
            id: new.fresh(),
            author: User::named(&wanted.author),
            body: wanted.body,
            created_at: now.clone(),
            updated_at: now,
        };
        let id = comment.id;
        pull.comments.push(comment);
        Ok::<_, GithubError>(id)
    })?;
    ok(json!({ "id": id }))
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RunChange {
    repo: String,
    id: u64,
    name: Option<String>,
    event: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    branch: Option<String>,
    sha: Option<String>,
    attempt: Option<u64>,
}

/// Makes a run of a workflow, or changes the named fields of one that is there.
async fn change_run(app: App, Json(change): Json<RunChange>) -> GithubResult {
    let (owner, name) = split(&change.repo)?;
    let run = app.mutate_or(|state| {
        let now = ids::now_seconds();
        let Github { repos, ids } = &mut state.github;
        let known = repos
            .keys()
            .find(|known| known.eq_ignore_ascii_case(&change.repo));
        let full_name = known.cloned().unwrap_or_else(|| format!("{owner}/{name}"));
        let repo = repos
            .entry(full_name)
            .or_insert_with(|| Repo::new(ids.fresh(), now.clone()));
        let run = repo.runs.entry(change.id).or_insert_with(|| Run {
            id: change.id,
            name: "workflow".to_owned(),
            event: "push".to_owned(),
            status: "in_progress".to_owned(),
            branch: "main".to_owned(),
            attempt: 1,
            created_at: now.clone(),
            ..Run::default()
        });
        let set = |field: &mut String, wanted: &Option<String>| {
            if let Some(wanted) = wanted {
                field.clone_from(wanted);
            }
        };
        set(&mut run.name, &change.name);
        set(&mut run.event, &change.event);
        set(&mut run.status, &change.status);
        set(&mut run.branch, &change.branch);
        set(&mut run.sha, &change.sha);
        run.attempt = change.attempt.unwrap_or(run.attempt);
        if run.status == "completed" {
            let before = run.conclusion.take();
            run.conclusion = change
                .conclusion
                .clone()
                .or(before)
                .or(Some("success".to_owned()));
        } else {
            run.conclusion = None;
        }
        run.updated_at = now;
        Ok::<_, GithubError>(run.clone())
    })?;
    ok(runs::run_json(app.config().port, &change.repo, &run))
}

#[derive(Deserialize)]
struct EventQuery {
    action: Option<String>,
}

/// What GitHub would hand to a workflow as `GITHUB_EVENT_PATH` for this pull request now.
async fn event(
    app: App,
    Path((owner, repo, number)): Path<(String, String, u64)>,
    Query(query): Query<EventQuery>,
) -> GithubResult {
    let port = app.config().port;
    let state = app.snapshot();
    let (name, repo) = state.github.repo(&owner, &repo)?;
    let pull = repo.pull(number)?;
    let action = query.action.unwrap_or_else(|| "synchronize".to_owned());
    let shown: Value = pulls::pull_json(port, name, repo, pull);
    ok(json!({
        "action": action,
        "number": number,
        "pull_request": shown,
        "repository": pulls::repo_json(port, name, repo),
        "sender": shown["user"],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str) -> PullChange {
        serde_json::from_str(text).expect("a change")
    }

    #[test]
    fn a_change_touches_only_what_it_names() {
        let mut github = Github::default();
        let make =
            r#"{"repo":"acme/site","number":7,"title":"A","branch":"topic","sha":"1","fork":true}"#;
        assert_eq!(apply(&mut github, change(make), "t1"), Ok(7));
        let close = r#"{"repo":"Acme/Site","number":7,"merged":true}"#;
        assert_eq!(apply(&mut github, change(close), "t2"), Ok(7));
        let pull = github.repos["acme/site"].pulls[&7].clone();
        assert_eq!(
            (
                pull.title.as_str(),
                pull.state.as_str(),
                pull.fork.as_deref()
            ),
            ("A", "closed", Some("contributor/site"))
        );
        assert_eq!(pull.merged_at.as_deref(), Some("t2"));
        let open = r#"{"repo":"acme/site","number":7,"state":"open","fork":false}"#;
        assert_eq!(apply(&mut github, change(open), "t3"), Ok(7));
        let pull = github.repos["acme/site"].pulls[&7].clone();
        assert_eq!(
            (pull.merged_at, pull.closed_at, pull.fork),
            (None, None, None)
        );
        assert_eq!(
            apply(&mut github, change(r#"{"repo":"acme/site"}"#), "t4"),
            Ok(8)
        );
        assert!(apply(&mut github, change(r#"{"repo":"acme"}"#), "t5").is_err());
    }
}
