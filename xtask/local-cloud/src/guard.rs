//! Keeps web pages away from the control plane. A page that a browser shows can send requests to any port of this
//! machine, and the control plane asks nobody for a password: only its own pages and programs may use it.
//!
//! Together with `serve::is_control_host`, which answers to loopback names only (a page that rebinds its own name to
//! 127.0.0.1 sends that name as `Host`), this covers requests from other origins and forms that need no preflight.

use axum::body::HttpBody as _;
use axum::extract::Request;
use axum::http::header::{
    CONTENT_TYPE, HOST, HeaderName, ORIGIN, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::envelope::ApiError;
use crate::github::answer::GithubError;

/// For pages: even if a stored text got something past the escaping, it could not run or load anything.
pub const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The path of everything that only the local cloud has.
const CONTROL: &str = "/_local";

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refusal {
    /// A page of another origin sent it.
    CrossOrigin(String),
    /// A form or a page without a preflight could have sent it.
    NotJson(String),
}

/// The answer to a request that no web page may send; `None` when it may be carried out.
pub fn refuse(request: &Request) -> Option<Response> {
    let refusal = judge(request).err()?;
    let (status, code, message) = match refusal {
        Refusal::CrossOrigin(from) => {
            let message = format!(
                "cross-origin request refused: {from}; the control plane accepts requests from its own pages and from programs"
            );
            (StatusCode::FORBIDDEN, 9109, message)
        }
        Refusal::NotJson(kind) => {
            let message = format!(
                "content type {kind} refused: {CONTROL} accepts `application/json`, which `curl --json` sends"
            );
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, 10001, message)
        }
    };
    Some(match is_below(request.uri().path(), "/github") {
        true => GithubError::new(status, message).into_response(),
        false => ApiError::new(status.as_u16(), code, message).into_response(),
    })
}

/// What keeps answers out of other origins' scripts and frames. Nothing here ever sends a CORS header.
pub fn seal(response: &mut Response) {
    let sealed = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in sealed {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
}

fn judge(request: &Request) -> Result<(), Refusal> {
    let headers = request.headers();
    let own = format!("http://{}", text(headers, &HOST)).to_ascii_lowercase();
    let mut origins = headers.get_all(ORIGIN).into_iter();
    let is_foreign =
        |origin: &&HeaderValue| !origin.as_bytes().eq_ignore_ascii_case(own.as_bytes());
    if let Some(origin) = origins.find(is_foreign) {
        let origin = String::from_utf8_lossy(origin.as_bytes());
        return Err(Refusal::CrossOrigin(format!("`Origin: {origin}`")));
    }
    let site = text(headers, &SEC_FETCH_SITE);
    if !["", "same-origin", "none"].contains(&site) && !opens_a_page(request) {
        let site = format!("`Sec-Fetch-Site: {site}`");
        return Err(Refusal::CrossOrigin(site));
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let has_body = !request.body().is_end_stream();
    if is_below(request.uri().path(), CONTROL) && changes && has_body && !is_json(headers) {
        let kind = match text(headers, &CONTENT_TYPE) {
            "" => "(none)".to_owned(),
            kind => format!("`{kind}`"),
        };
        return Err(Refusal::NotJson(kind));
    }
    Ok(())
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// A followed link that opens a page in a tab of its own: the page it came from cannot read what is shown.
fn opens_a_page(request: &Request) -> bool {
    let headers = request.headers();
    *request.method() == Method::GET
        && text(headers, &SEC_FETCH_MODE) == "navigate"
        && text(headers, &SEC_FETCH_DEST) == "document"
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = text(headers, &CONTENT_TYPE).to_ascii_lowercase();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use expect_test::{Expect, expect};

    use super::*;

    /// `POST /_local/reset`, with `body` when it is not empty.
    fn judged(head: &str, headers: &[(&str, &str)], body: &'static str) -> Result<(), Refusal> {
        let (method, path) = head.split_once(' ').expect("a method and a path");
        let mut request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1:8787");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        judge(&request.body(Body::from(body)).expect("a request"))
    }

    fn allowed(head: &str, headers: &[(&str, &str)], body: &'static str) -> bool {
        judged(head, headers, body).is_ok()
    }

    #[test]
    fn programs_and_own_pages_are_let_through() {
        let json = ("content-type", "application/json; charset=utf-8");
        assert!(allowed("POST /_local/reset", &[], ""));
        assert!(allowed("POST /_local/faults", &[json], "{}"));
        let own = ("origin", "http://127.0.0.1:8787");
        let fetch = ("sec-fetch-site", "same-origin");
        assert!(allowed("POST /_local/faults", &[own, fetch, json], "{}"));
        assert!(allowed("GET /", &[("sec-fetch-site", "none")], ""));
        // What Node's own fetch sends.
        assert!(allowed(
            "DELETE /_local/journal",
            &[("sec-fetch-mode", "cors")],
            ""
        ));
        // wrangler uploads forms.
        let form = ("content-type", "multipart/form-data; boundary=x");
        assert!(allowed(
            "PUT /client/v4/accounts/a/workers/scripts/b",
            &[form],
            "--x"
        ));
        let link = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert!(allowed("GET /_local/github", &link, ""));
        assert!(!allowed("POST /_local/reset", &link, ""));
    }

    #[test]
    fn pages_of_others_are_not() {
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1:3000",
            "https://127.0.0.1:8787",
            "http://localhost:8787",
            "http://127.0.0.1:8787.evil.example",
        ] {
            for head in [
                "POST /_local/reset",
                "DELETE /client/v4/accounts/a/d1/database/b",
                "PATCH /github/repos/a/b/issues/comments/1",
                "GET /_local/state",
                "OPTIONS /_local/reset",
            ] {
                assert!(!allowed(head, &[("origin", origin)], ""), "{origin} {head}");
            }
        }
        for site in ["cross-site", "same-site", "unheard-of"] {
            assert!(!allowed(
                "GET /_local/state",
                &[("sec-fetch-site", site)],
                ""
            ));
        }
        let frame = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "iframe"),
        ];
        assert!(!allowed("GET /_local/state", &frame, ""));
    }

    #[test]
    fn a_body_that_a_form_can_send_is_refused() {
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=application/json",
            "text/plain; application/json",
        ] {
            let sent = allowed("POST /_local/tokens", &[("content-type", kind)], "{}");
            assert!(!sent, "{kind}");
        }
        assert!(!allowed("POST /_local/tokens", &[], "{}"));
    }

    async fn told(path: &str, header: (&str, &str), body: &'static str, expected: Expect) {
        let request = axum::http::Request::builder()
            .method("POST")
            .uri(path)
            .header("host", "127.0.0.1:8787")
            .header(header.0, header.1)
            .body(Body::from(body))
            .expect("a request");
        let response = refuse(&request).expect("it is refused");
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 4096).await;
        let body = body.expect("a short body");
        expected.assert_eq(&format!("{status}\n{}", String::from_utf8_lossy(&body)));
    }

    #[tokio::test]
    async fn the_refusal_says_what_would_be_accepted() {
        told(
            "/_local/reset",
            ("origin", "http://evil.example"),
            "",
            expect![[r#"
                403 Forbidden
                {"success":false,"errors":[{"code":9109,"message":"cross-origin request refused: `Origin: http://evil.example`; the control plane accepts requests from its own pages and from programs"}],"messages":[],"result":null}"#]],
        )
        .await;
        told(
            "/_local/faults",
            ("content-type", "text/plain"),
            "{}",
            expect![[r#"
                415 Unsupported Media Type
                {"success":false,"errors":[{"code":10001,"message":"content type `text/plain` refused: /_local accepts `application/json`, which `curl --json` sends"}],"messages":[],"result":null}"#]],
        )
        .await;
        told(
            "/github/repos/a/b/issues/1/comments",
            ("sec-fetch-site", "cross-site"),
            "",
            expect![[r#"
                403 Forbidden
                {"message":"cross-origin request refused: `Sec-Fetch-Site: cross-site`; the control plane accepts requests from its own pages and from programs","documentation_url":"https://docs.github.com/rest","status":"403"}"#]],
        )
        .await;
    }
}
