//! The local GitHub: the part of the REST API a pipeline uses on pull requests, under `/github`.
//!
//! Reading order: `model` (what it remembers), `answer` (how it answers), one module per group of endpoints, `control` (what
//! the real service does not have), `page` and `markdown` (a pull request, for a person to look at).

pub mod answer;
mod autolink;
mod comments;
pub mod control;
mod deployments;
pub mod markdown;
pub mod model;
mod page;
mod pulls;
mod runs;
pub mod secrets;

use axum::Extension;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::app::App;
use crate::faults::{self, Scope};
use crate::github::answer::{GithubError, GithubResult, base, ok};
use crate::github::model::User;
use crate::journal;

/// Tokens of people start like this; every other token counts as the one of a workflow.
const PERSONAL_TOKENS: [&str; 4] = ["ghp_", "github_pat_", "gho_", "ghu_"];
/// The person behind a personal token.
const PERSON: &str = "developer";

/// All routes; the caller nests them under `/github`.
pub fn router(app: App) -> Router<App> {
    Router::new()
        .route("/user", get(user))
        .merge(pulls::router())
        .merge(comments::router())
        .merge(deployments::router())
        .merge(runs::router())
        .merge(secrets::router())
        .fallback(async || GithubError::not_found())
        // GitHub answers 404, not 405.
        .method_not_allowed_fallback(async || GithubError::not_found())
        // The last layer is the first to see a request.
        .layer(from_fn(authorize))
        .layer(from_fn_with_state(app.clone(), inject))
        .layer(from_fn_with_state(app, journal::record))
}

/// Any token is good; none is not. The token tells who asks.
async fn authorize(mut request: Request, next: Next) -> Response {
    match admit(request.headers()) {
        Ok(user) => drop(request.extensions_mut().insert(user)),
        Err(refusal) => return *refusal,
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert(
        "x-github-media-type",
        HeaderValue::from_static("github.v3; format=json"),
    );
    response
}

/// Who asks; the refusal is boxed, because it is the rare case.
fn admit(headers: &HeaderMap) -> Result<User, Box<Response>> {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    if header("user-agent").is_empty() {
        let text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header\n";
        return Err(Box::new((StatusCode::FORBIDDEN, text).into_response()));
    }
    who(header("authorization")).ok_or_else(|| {
        let refusal = GithubError::new(StatusCode::UNAUTHORIZED, "Requires authentication");
        Box::new(refusal.into_response())
    })
}

fn who(authorization: &str) -> Option<User> {
    let (scheme, token) = authorization.split_once(' ')?;
    let known = ["bearer", "token"]
        .iter()
        .any(|name| scheme.eq_ignore_ascii_case(name));
    let token = token.trim();
    if !known || token.is_empty() {
        return None;
    }
    let personal = PERSONAL_TOKENS.iter().any(|start| token.starts_with(start));
    Some(if personal {
        User::named(PERSON)
    } else {
        User::actions()
    })
}

/// Injected faults, with GitHub's body where the fault brings none.
async fn inject(app: App, request: Request, next: Next) -> Response {
    let met = app
        .faults()
        .meet(Scope::Api, request.method().as_str(), request.uri().path())
        .map(|met| met.or_body(|status| GithubError::body_of(status, "injected fault")));
    faults::suffer(met, || next.run(request)).await
}

/// The token of a workflow belongs to no user, and is told so.
async fn user(app: App, Extension(user): Extension<User>) -> GithubResult {
    if user.is_bot() {
        return Err(GithubError::forbidden());
    }
    ok(user_json(app.config().port, &user))
}

/// A user as GitHub shows one.
fn user_json(port: u16, user: &User) -> Value {
    json!({
        "login": user.login,
        // The id of github-actions[bot] is the same everywhere, and known.
        "id": if user.login == "github-actions[bot]" { 41_898_282 } else { user_id(&user.login) },
        "url": format!("{}/users/{}", base(port), user.login),
        "html_url": format!("https://github.com/{}", user.login),
        "type": user.kind,
        "site_admin": false,
    })
}

/// A stable number for a login.
fn user_id(login: &str) -> u64 {
    let hash = crate::ids::sha256(login.as_bytes());
    u64::from_str_radix(&hash[..8], 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_tells_who_asks() {
        let login = |header: &str| who(header).map(|user| user.login);
        assert_eq!(login(""), None);
        assert_eq!(login("Bearer "), None);
        assert_eq!(login("Basic abc"), None);
        assert_eq!(
            login("Bearer ghs_abc").as_deref(),
            Some("github-actions[bot]")
        );
        assert_eq!(login("token any").as_deref(), Some("github-actions[bot]"));
        assert_eq!(login("bearer github_pat_1").as_deref(), Some("developer"));
    }
}
