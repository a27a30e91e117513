//! Comments on pull requests, which GitHub keeps as comments on issues.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, Uri};
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::{Value, json};

use crate::app::App;
use crate::github::answer::{
    GithubError, GithubResult, base, created, deleted, fields, number, ok, page, parameter,
    pull_page, query, text_field,
};
use crate::github::model::{Comment, Pull, User};
use crate::github::{markdown, user_json};
use crate::ids;

/// The longest comment, in characters.
const BODY_CHARACTERS_MAX: usize = 65_536;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route(
            "/repos/{owner}/{repo}/issues/{number}/comments",
            get(list).post(create),
        )
        .route(
            "/repos/{owner}/{repo}/issues/comments/{id}",
            get(read).patch(update).delete(delete),
        )
}

type OfRepo = Path<(String, String, String)>;

async fn list(
    app: App,
    Path((owner, repo, pull)): OfRepo,
    uri: Uri,
    headers: HeaderMap,
) -> GithubResult {
    let state = app.snapshot();
    let (name, repo) = state.github.repo(&owner, &repo)?;
    let pull = repo.pull(number(&pull)?)?;
    let asked = query(&uri);
    let since = parameter(&asked, "since").unwrap_or_default();
    let view = View::new(&app, &headers, name, pull);
    let rows = pull
        .comments
        .iter()
        .filter(|comment| comment.updated_at.as_str() >= since)
        .map(|comment| view.json(comment))
        .collect();
    page(app.config().port, &uri, rows)
}

async fn create(
    app: App,
    Path((owner, repo, pull)): OfRepo,
    Extension(author): Extension<User>,
    headers: HeaderMap,
    body: Bytes,
) -> GithubResult {
    let number = number(&pull)?;
    app.read(|state| state.github.repo(&owner, &repo)?.1.pull(number).map(drop))?;
    let text = body_of(&body)?;
    let id = app.mutate_or(|state| {
        let (repo, new) = state.github.repo_mut(&owner, &repo)?;
        let pull = repo
            .pulls
            .get_mut(&number)
            .ok_or_else(GithubError::not_found)?;
        let (id, now) = (new.fresh(), ids::now_seconds());
        pull.updated_at.clone_from(&now);
        pull.comments.push(Comment {
            id,
            author,
            body: text,
            created_at: now.clone(),
            updated_at: now,
        });
        Ok::<_, GithubError>(id)
    })?;
    created(shown(&app, &headers, &owner, &repo, id)?)
}

async fn read(app: App, Path((owner, repo, id)): OfRepo, headers: HeaderMap) -> GithubResult {
    ok(shown(&app, &headers, &owner, &repo, number(&id)?)?)
}

/// Whoever may write to the repository may edit everybody's comments.
async fn update(
    app: App,
    Path((owner, repo, id)): OfRepo,
    headers: HeaderMap,
    body: Bytes,
) -> GithubResult {
    let id = number(&id)?;
    app.read(|state| state.github.repo(&owner, &repo)?.1.comment(id).map(drop))?;
    let text = body_of(&body)?;
    app.mutate_or(|state| {
        let (repo, _) = state.github.repo_mut(&owner, &repo)?;
        let mut comments = repo.pulls.values_mut().flat_map(|pull| &mut pull.comments);
        let comment = comments
            .find(|comment| comment.id == id)
            .ok_or_else(GithubError::not_found)?;
        comment.body = text;
        comment.updated_at = ids::now_seconds();
        Ok::<_, GithubError>(())
    })?;
    ok(shown(&app, &headers, &owner, &repo, id)?)
}

async fn delete(app: App, Path((owner, repo, id)): OfRepo) -> GithubResult {
    let id = number(&id)?;
    app.mutate_or(|state| {
        let (repo, _) = state.github.repo_mut(&owner, &repo)?;
        repo.comment(id)?;
        for pull in repo.pulls.values_mut() {
            pull.comments.retain(|comment| comment.id != id);
        }
        Ok::<_, GithubError>(())
    })?;
    deleted()
}

/// The body of a comment, within GitHub's rules.
pub fn body_of(body: &[u8]) -> Result<String, GithubError> {
    let fields = fields(body)?;
    let text = text_field(&fields, "body")?.ok_or_else(|| GithubError::missing("body"))?;
    check_body(text)?;
    Ok(text.to_owned())
}

/// GitHub's rules for the text of a comment.
pub fn check_body(text: &str) -> Result<(), GithubError> {
    let refuse = |message: &str| {
        Err(GithubError::invalid(
            "IssueComment",
            "data",
            "unprocessable",
            message,
        ))
    };
    if text.trim().is_empty() {
        return refuse("Body cannot be blank");
    }
    if text.chars().count() > BODY_CHARACTERS_MAX {
        return refuse(&format!(
            "Body is too long (maximum is {BODY_CHARACTERS_MAX} characters)"
        ));
    }
    Ok(())
}

fn shown(
    app: &App,
    headers: &HeaderMap,
    owner: &str,
    repo: &str,
    id: u64,
) -> Result<Value, GithubError> {
    let state = app.snapshot();
    let (name, repo) = state.github.repo(owner, repo)?;
    let (pull, comment) = repo.comment(id)?;
    Ok(View::new(app, headers, name, pull).json(comment))
}

/// How a comment is shown, and to whom.
struct View<'a> {
    port: u16,
    full_name: &'a str,
    pull: &'a Pull,
    /// Asked for with `Accept: application/vnd.github.html+json` or `…full+json`.
    html: bool,
}

impl<'a> View<'a> {
    fn new(app: &App, headers: &HeaderMap, full_name: &'a str, pull: &'a Pull) -> Self {
        let accept = headers.get("accept");
        let accept = accept
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Self {
            port: app.config().port,
            full_name,
            pull,
            html: accept.contains("html+json") || accept.contains("full+json"),
        }
    }

    fn json(&self, comment: &Comment) -> Value {
        let (base, number) = (base(self.port), self.pull.number);
        let repo = format!("{base}/repos/{}", self.full_name);
        let page = pull_page(self.port, self.full_name, number);
        let mut shown = json!({
            "id": comment.id,
            "url": format!("{repo}/issues/comments/{}", comment.id),
            "html_url": format!("{page}#issuecomment-{}", comment.id),
            "issue_url": format!("{repo}/issues/{number}"),
            "user": user_json(self.port, &comment.author),
            "created_at": comment.created_at,
            "updated_at": comment.updated_at,
            "author_association": if comment.author.is_bot() { "NONE" } else { "CONTRIBUTOR" },
            "body": comment.body,
            "performed_via_github_app": comment.author.is_bot().then(|| app_json(&comment.author)),
        });
        if self.html {
            shown["body_html"] = Value::from(markdown::html(&comment.body));
        }
        shown
    }
}

fn app_json(author: &User) -> Value {
    let slug = author.login.trim_end_matches("[bot]");
    json!({ "slug": slug, "name": slug })
}
