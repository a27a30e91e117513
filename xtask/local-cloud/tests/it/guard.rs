//! Web pages and the control plane: what a page of another origin sends is refused, and changes nothing.

use serde_json::json;

use crate::support::{ACCOUNT, Cloud};

const EVIL: (&str, &str) = ("origin", "http://evil.example");
const JSON: (&str, &str) = ("content-type", "application/json");
const TEXT: (&str, &str) = ("content-type", "text/plain");
const TOKEN: (&str, &str) = ("authorization", "Bearer test-token");

/// A cloud with one Worker, to see whether it is still there.
fn cloud() -> Cloud {
    let cloud = Cloud::start();
    let worker = json!({ "name": "api", "subdomain": { "enabled": true } });
    cloud.result("POST", "/workers/workers", Some(worker));
    cloud
}

fn status(cloud: &Cloud, head: (&str, &str, &str), headers: &[(&str, &str)], body: &str) -> u16 {
    let (method, host, path) = head;
    let answer = cloud.http(method, host, path, headers, body.as_bytes());
    answer.expect("an answer").status
}

#[test]
fn a_page_of_another_origin_commands_nothing() {
    let cloud = cloud();
    let before = cloud.local("GET", "/state", None);
    let database = format!("/client/v4/accounts/{ACCOUNT}/d1/database");
    let worker = format!("/client/v4/accounts/{ACCOUNT}/workers/workers");
    let own = format!("127.0.0.1:{}", cloud.port);
    let requests = [
        ("POST", "/_local/reset", ""),
        ("POST", "/_local/shutdown", ""),
        ("POST", "/_local/faults", r#"{"action":{"status":500}}"#),
        ("DELETE", "/_local/faults", ""),
        ("DELETE", "/_local/journal", ""),
        ("POST", "/_local/tokens", r#"{"token":"t"}"#),
        ("DELETE", "/_local/tokens", ""),
        ("POST", "/_local/resources", r#"{"r2":["bucket"]}"#),
        (
            "POST",
            "/_local/crons/run",
            r#"{"worker":"api","cron":"* * * * *"}"#,
        ),
        ("POST", "/_local/github/pulls", r#"{"repo":"a/b"}"#),
        ("PUT", "/_local/github/runs", r#"{"repo":"a/b","id":1}"#),
        ("POST", &database, r#"{"name":"db"}"#),
        ("POST", &worker, r#"{"name":"other"}"#),
        (
            "POST",
            "/github/repos/a/b/issues/1/comments",
            r#"{"body":"x"}"#,
        ),
        ("OPTIONS", "/_local/reset", ""),
        ("GET", "/_local/state", ""),
        ("GET", "/", ""),
    ];
    for (method, path, body) in requests {
        let head = (method, own.as_str(), path);
        for kind in [JSON, TEXT] {
            let sent = status(&cloud, head, &[EVIL, TOKEN, kind], body);
            assert_eq!(sent, 403, "{method} {path} {kind:?}");
        }
        for site in ["cross-site", "same-site"] {
            let sent = status(&cloud, head, &[("sec-fetch-site", site), TOKEN, JSON], body);
            assert_eq!(sent, 403, "{method} {path} {site}");
        }
    }
    assert_eq!(cloud.local("GET", "/state", None), before);
}

#[test]
fn a_body_of_another_type_is_refused_under_local_only() {
    let cloud = cloud();
    let own = "127.0.0.1";
    let fault = r#"{"action":{"status":500}}"#;
    for path in ["/_local/reset", "/_local/faults", "/_local/github/pulls"] {
        let sent = status(&cloud, ("POST", own, path), &[TEXT], fault);
        assert_eq!(sent, 415, "{path}");
    }
    // An empty body needs no type.
    assert_eq!(
        status(&cloud, ("DELETE", own, "/_local/faults"), &[], ""),
        200
    );
    // wrangler sends JSON as text/plain, too.
    let database = format!("/client/v4/accounts/{ACCOUNT}/d1/database");
    let made = status(
        &cloud,
        ("POST", own, &database),
        &[TEXT, TOKEN],
        r#"{"name":"db"}"#,
    );
    assert_eq!(made, 200);
}

#[test]
fn own_pages_and_loopback_names_are_served() {
    let cloud = cloud();
    for name in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"] {
        let host = format!("{name}:{}", cloud.port);
        let origin = format!("http://{host}").to_lowercase();
        let headers = [
            ("origin", origin.as_str()),
            ("sec-fetch-site", "same-origin"),
            JSON,
        ];
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/_local/state"),
            ("DELETE", "/_local/faults"),
        ] {
            let sent = status(&cloud, (method, &host, path), &headers, "");
            assert_eq!(sent, 200, "{name} {method} {path}");
        }
    }
}

#[test]
fn a_name_that_was_made_to_lead_here_reads_and_changes_nothing() {
    let cloud = cloud();
    let rebound = format!("evil.example:{}", cloud.port);
    let own = ("origin", format!("http://{rebound}"));
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/_local/state"),
        ("GET", "/_local/github"),
        ("POST", "/_local/reset"),
        ("GET", "/client/v4/accounts"),
        ("GET", "/github/user"),
    ] {
        let headers = [(own.0, own.1.as_str()), ("sec-fetch-site", "same-origin")];
        let answer = cloud.http(method, &rebound, path, &headers, b"");
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 404, "{method} {path}: {answer}");
        assert!(!answer.body.contains("api"), "{method} {path}: {answer}");
    }
    let listed = cloud.get("nosuch.localhost", "/");
    assert!(
        listed.body.contains("api -> http://api.kiamichi.localhost"),
        "{listed}"
    );
}

#[test]
fn answers_are_sealed_against_scripts_and_frames_of_others() {
    let cloud = cloud();
    for path in [
        "/",
        "/_local/state",
        "/_local/github",
        "/client/v4/user",
        "/nothing",
    ] {
        let answer = cloud.request("GET", path, None);
        let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        assert_eq!(
            header("cross-origin-resource-policy"),
            "same-origin",
            "{path}"
        );
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("access-control-allow-origin"), "", "{path}");
    }
    for page in ["/", "/_local/github"] {
        let answer = cloud.request("GET", page, None);
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'"), "{page}: {policy}");
    }
}
