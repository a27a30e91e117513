//! Who may do what: the tokens the account knows, and which permission each request needs, in Cloudflare's words. A token
//! nobody described is good for everything, so that a rehearsal needs none; a described one is held to its description.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use axum::Router;
use axum::extract::{Request, State as Extracted};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Json as Answer, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::App;
use crate::envelope::{ApiError, ApiResult, ok};
use crate::extract::Json;
use crate::ids;

/// A token that was described, kept under the hash of its text: the token itself is stored nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Token {
    /// Whose it is.
    pub kind: Kind,
    /// Whether it is alive.
    pub status: Status,
    /// `Workers Scripts: Edit` and the like; none: all of them.
    pub permissions: Option<BTreeSet<String>>,
    /// RFC 3339: refused from then on.
    pub expires_on: Option<String>,
}

/// Whose a token is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A person's: `/user/tokens/verify` knows it.
    #[default]
    User,
    /// The account's: only `/accounts/{id}/tokens/verify` knows it.
    Account,
}

/// Whether a token is alive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is.
    #[default]
    Active,
    /// Switched off in the dashboard.
    Disabled,
    /// Too old.
    Expired,
    /// Nobody made it, or it was deleted.
    Unknown,
}

/// How a request is refused to a token that may not make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Workers, KV, R2, queues and routes of a zone.
    Authentication,
    /// D1.
    Account,
    /// Users, accounts and zones.
    Unauthorized,
    /// A list that shows only what the token may see: nothing.
    EmptyList,
}

/// What a request needs.
#[derive(Debug, PartialEq, Eq)]
struct Need {
    /// One of these is enough: the group, and whether its Read is.
    any_of: Vec<(&'static str, bool)>,
    refusal: Refusal,
}

impl Need {
    fn new(any_of: &[(&'static str, bool)], refusal: Refusal) -> Self {
        Self {
            any_of: any_of.to_vec(),
            refusal,
        }
    }
}

/// Routes of `/_local/tokens`.
pub fn control() -> Router<App> {
    Router::new().route(
        "/_local/tokens",
        get(listed).post(describe).delete(forget_all),
    )
}

/// Routes under `/client/v4`: what a token may ask about itself, whatever it may do otherwise.
pub fn router() -> Router<App> {
    Router::new()
        .route("/user/tokens/verify", get(verify_user))
        .route("/accounts/{account}/tokens/verify", get(verify_account))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    token: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    status: Status,
    permissions: Option<BTreeSet<String>>,
    expires_on: Option<String>,
}

/// Describes a token; a later description replaces an earlier one.
async fn describe(app: App, Json(described): Json<Described>) -> Result<Response, ApiError> {
    let wrong = |what: String| ApiError::bad_request(10001, what);
    for permission in described.permissions.iter().flatten() {
        if level(permission).is_none() {
            return Err(wrong(format!(
                "'{permission}' is no permission: write it as 'D1: Edit' or 'Zone: Read'"
            )));
        }
    }
    if let Some(time) = &described.expires_on {
        humantime::parse_rfc3339(time).map_err(|error| wrong(format!("`expires_on`: {error}")))?;
    }
    let token = Token {
        kind: described.kind,
        status: described.status,
        permissions: described.permissions,
        expires_on: described.expires_on,
    };
    let id = key(&described.token);
    app.mutate(|state| {
        state.tokens.insert(id.clone(), token);
        Ok(())
    })?;
    Ok(Answer(json!({ "ok": true, "id": id })).into_response())
}

async fn listed(app: App) -> Result<Response, ApiError> {
    Ok(Answer(json!({ "tokens": app.snapshot().tokens })).into_response())
}

async fn forget_all(app: App) -> Result<Response, ApiError> {
    app.mutate(|state| {
        state.tokens = BTreeMap::new();
        Ok(())
    })?;
    Ok(Answer(json!({ "ok": true })).into_response())
}

/// What a token is known by.
fn key(token: &str) -> String {
    ids::sha256(token.as_bytes())[..32].to_owned()
}

/// Middleware: lets a request through, or refuses it as the real API does. Transfer URLs and tail sockets carry their
/// authorization in the address.
pub async fn authorize(Extracted(app): Extracted<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let open = path.starts_with("/local-cloud/")
        || path.contains("/tails/") && request.headers().contains_key("upgrade");
    if open {
        return next.run(request).await;
    }
    if !has_credentials(request.headers()) {
        return ApiError::new(403, 10000, "Authentication error").into_response();
    }
    let Some(token) = known(&app, request.headers()) else {
        return next.run(request).await;
    };
    // A token may always ask about itself; the answer is where it learns that it is dead.
    if path.ends_with("/tokens/verify") {
        return next.run(request).await;
    }
    if token.standing(SystemTime::now()) != Status::Active {
        return dead(path).into_response();
    }
    match needed(request.method(), path) {
        Some(need) if !token.may(&need) => refusal(need.refusal),
        _ => next.run(request).await,
    }
}

fn has_credentials(headers: &HeaderMap) -> bool {
    !bearer(headers).is_empty()
        || (!header(headers, "x-auth-key").is_empty()
            && !header(headers, "x-auth-email").is_empty())
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

fn bearer(headers: &HeaderMap) -> &str {
    let text = header(headers, "authorization");
    text.strip_prefix("Bearer ").unwrap_or_default().trim()
}

/// The description of the token a request carries.
fn known(app: &App, headers: &HeaderMap) -> Option<Token> {
    let token = bearer(headers);
    app.read(|state| state.tokens.get(&key(token)).cloned())
}

/// Endpoints of users, accounts and zones say 9109 to a dead token, the others 10000.
fn dead(path: &str) -> ApiError {
    let plain = ["/user", "/memberships", "/zones", "/accounts"];
    if plain.contains(&path.trim_end_matches('/')) || path.starts_with("/zones/") {
        return ApiError::new(403, 9109, "Invalid access token");
    }
    ApiError::new(403, 10000, "Authentication error")
}

fn refusal(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Authentication => {
            ApiError::new(403, 10000, "Authentication error").into_response()
        }
        Refusal::Account => {
            let message =
                "The given account is not valid or is not authorized to access this service";
            ApiError::new(403, 7403, message).into_response()
        }
        Refusal::Unauthorized => {
            ApiError::new(403, 9109, "Unauthorized to access requested resource").into_response()
        }
        Refusal::EmptyList => {
            let empty: [Value; 0] = [];
            crate::envelope::list(&empty, &crate::envelope::Page::default()).into_response()
        }
    }
}

async fn verify_user(app: App, headers: HeaderMap) -> ApiResult {
    verify(&app, &headers, Kind::User)
}

async fn verify_account(app: App, headers: HeaderMap) -> ApiResult {
    verify(&app, &headers, Kind::Account)
}

/// A token that nobody described counts as either kind: the local cloud takes any.
fn verify(app: &App, headers: &HeaderMap, asked: Kind) -> ApiResult {
    let invalid = || Err(ApiError::new(401, 1000, "Invalid API Token"));
    let Some(token) = known(app, headers) else {
        return ok(json!({ "id": ids::derived("token"), "status": "active" }));
    };
    let standing = token.standing(SystemTime::now());
    if token.kind != asked || standing == Status::Unknown {
        return invalid();
    }
    let mut result = json!({ "id": key(bearer(headers)), "status": standing });
    if let Some(time) = &token.expires_on {
        result["expires_on"] = json!(time);
    }
    ok(result)
}

impl Token {
    /// Its status now.
    fn standing(&self, now: SystemTime) -> Status {
        let until = self.expires_on.as_deref().map(humantime::parse_rfc3339);
        match (self.status, until) {
            (Status::Active, Some(Ok(until))) if until <= now => Status::Expired,
            (status, _) => status,
        }
    }

    fn may(&self, need: &Need) -> bool {
        let Some(permissions) = &self.permissions else {
            return true;
        };
        need.any_of.iter().any(|(group, read_is_enough)| {
            permissions
                .iter()
                .filter_map(|text| level(text))
                .any(|(granted, edit)| granted == *group && (edit || *read_is_enough))
        })
    }
}

/// `D1: Edit` → (`D1`, true).
fn level(permission: &str) -> Option<(&str, bool)> {
    match permission.rsplit_once(": ")? {
        (group, "Edit") if !group.is_empty() => Some((group, true)),
        (group, "Read") if !group.is_empty() => Some((group, false)),
        _ => None,
    }
}

/// What a request needs; none: any living token may. The groups are those of the API's reference.
fn needed(method: &Method, path: &str) -> Option<Need> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let reads = *method == Method::GET;
    let read = |group, refusal| Some(Need::new(&[(group, true)], refusal));
    let level = |group, refusal| Some(Need::new(&[(group, reads)], refusal));
    match parts.as_slice() {
        ["user"] => read("User Details", Refusal::Unauthorized),
        ["memberships"] => read("Memberships", Refusal::Authentication),
        ["accounts"] => read("Account Settings", Refusal::EmptyList),
        ["accounts", _] => read("Account Settings", Refusal::Unauthorized),
        ["zones"] => read("Zone", Refusal::EmptyList),
        ["zones", _] => read("Zone", Refusal::Unauthorized),
        ["zones", _, "workers", ..] => level("Workers Routes", Refusal::Authentication),
        // A query may read or write: the reference takes either right for it.
        ["accounts", _, "d1", .., "query" | "raw"] => read("D1", Refusal::Account),
        ["accounts", _, "d1", ..] => level("D1", Refusal::Account),
        ["accounts", _, "storage", "kv", ..] => {
            level("Workers KV Storage", Refusal::Authentication)
        }
        ["accounts", _, "r2", ..] => level("Workers R2 Storage", Refusal::Authentication),
        ["accounts", _, "queues", ..] => level("Queues", Refusal::Authentication),
        ["accounts", _, "workers", "scripts", _, "tails", ..] => Some(Need::new(
            &[("Workers Tail", true), ("Workers Scripts", false)],
            Refusal::Authentication,
        )),
        ["accounts", _, "workers", "scripts", _, "routes"] => {
            level("Workers Routes", Refusal::Authentication)
        }
        ["accounts", _, "workers", ..] => level("Workers Scripts", Refusal::Authentication),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(permissions: &[&str]) -> Token {
        let permissions = permissions.iter().map(|text| (*text).to_owned()).collect();
        Token {
            permissions: Some(permissions),
            ..Token::default()
        }
    }

    fn may(permissions: &[&str], method: &Method, path: &str) -> bool {
        needed(method, path).is_none_or(|need| token(permissions).may(&need))
    }

    #[test]
    fn a_right_covers_its_own_group_and_edit_covers_read() {
        let database = "/accounts/a/d1/database";
        assert!(!may(&["Workers Scripts: Edit"], &Method::GET, database));
        assert!(may(&["D1: Read"], &Method::GET, database));
        assert!(!may(&["D1: Read"], &Method::POST, database));
        assert!(may(&["D1: Edit"], &Method::POST, database));
        assert!(may(
            &["D1: Read"],
            &Method::POST,
            "/accounts/a/d1/database/b/query"
        ));
        let tails = "/accounts/a/workers/scripts/api/tails";
        assert!(may(&["Workers Tail: Read"], &Method::POST, tails));
        assert!(!may(&["Workers Scripts: Read"], &Method::POST, tails));
        assert!(may(&[], &Method::GET, "/no/such/path"));
    }

    #[test]
    fn a_token_dies_at_its_time() {
        let mut token = token(&[]);
        token.expires_on = Some("2026-01-02T00:00:00Z".to_owned());
        let at = |time| humantime::parse_rfc3339(time).expect("a time");
        assert_eq!(token.standing(at("2026-01-01T00:00:00Z")), Status::Active);
        assert_eq!(token.standing(at("2026-01-02T00:00:00Z")), Status::Expired);
        token.status = Status::Disabled;
        assert_eq!(token.standing(at("2026-01-02T00:00:00Z")), Status::Disabled);
    }
}
