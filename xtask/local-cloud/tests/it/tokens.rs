//! Tokens that were described, and the secrets GitHub lists. Needs no wrangler.

use crate::support::{ACCOUNT, Cloud};
use serde_json::{Value, json};

/// Status, error code and result of a request with a token.
#[track_caller]
fn ask(cloud: &Cloud, token: &str, method: &str, path: &str) -> (u16, u64, Value) {
    let path = path.replace("{a}", &format!("/accounts/{ACCOUNT}"));
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str())];
    let answer = cloud
        .http(
            method,
            "127.0.0.1",
            &format!("/client/v4{path}"),
            &headers,
            b"",
        )
        .expect("an HTTP answer");
    let body = answer.json();
    let code = body["errors"][0]["code"].as_u64().unwrap_or(0);
    (answer.status, code, body["result"].clone())
}

#[track_caller]
fn describe(cloud: &Cloud, token: Value) {
    cloud.local("POST", "/tokens", Some(token));
}

#[test]
fn a_described_token_is_held_to_its_description() {
    let mut cloud = Cloud::start();
    let refused = |cloud: &Cloud, token: &str, path: &str| {
        let (status, code, _) = ask(cloud, token, "GET", path);
        (status, code)
    };
    // Nobody described it: it may do everything.
    assert_eq!(
        ask(&cloud, "any", "GET", "/user/tokens/verify").2["status"],
        "active"
    );
    assert_eq!(refused(&cloud, "any", "{a}/d1/database"), (200, 0));

    describe(
        &cloud,
        json!({"token": "no-d1", "permissions": ["Workers Scripts: Edit", "Zone: Read"]}),
    );
    assert_eq!(
        ask(&cloud, "no-d1", "GET", "/user/tokens/verify").2["status"],
        "active"
    );
    assert_eq!(refused(&cloud, "no-d1", "{a}/workers/scripts"), (200, 0));
    assert_eq!(refused(&cloud, "no-d1", "{a}/d1/database"), (403, 7403));
    assert_eq!(
        refused(&cloud, "no-d1", "{a}/storage/kv/namespaces"),
        (403, 10000)
    );
    assert_eq!(refused(&cloud, "no-d1", "{a}/r2/buckets"), (403, 10000));
    assert_eq!(refused(&cloud, "no-d1", "/user"), (403, 9109));
    let (status, _, accounts) = ask(&cloud, "no-d1", "GET", "/accounts?page=1");
    assert_eq!((status, accounts), (200, json!([])), "it sees no account");

    describe(&cloud, json!({"token": "old", "status": "expired"}));
    describe(
        &cloud,
        json!({"token": "late", "expires_on": "2020-01-01T00:00:00Z"}),
    );
    for token in ["old", "late"] {
        let verified = ask(&cloud, token, "GET", "/user/tokens/verify");
        assert_eq!(
            (verified.0, &verified.2["status"]),
            (200, &json!("expired"))
        );
        assert_eq!(refused(&cloud, token, "{a}/workers/scripts"), (403, 10000));
        assert_eq!(refused(&cloud, token, "/zones?name=x.test"), (403, 9109));
    }
    describe(&cloud, json!({"token": "gone", "status": "unknown"}));
    assert_eq!(refused(&cloud, "gone", "/user/tokens/verify"), (401, 1000));
    describe(&cloud, json!({"token": "accounts-own", "kind": "account"}));
    assert_eq!(
        refused(&cloud, "accounts-own", "/user/tokens/verify"),
        (401, 1000)
    );
    assert_eq!(
        refused(&cloud, "accounts-own", "{a}/tokens/verify"),
        (200, 0)
    );

    let wrong = cloud.request(
        "POST",
        "/_local/tokens",
        Some(json!({"token": "x", "permissions": ["D1"]})),
    );
    assert_eq!(wrong.status, 400, "{wrong}");

    // It is kept without the token itself, and over a restart.
    cloud.restart();
    assert_eq!(refused(&cloud, "old", "{a}/workers/scripts"), (403, 10000));
    let state = std::fs::read_to_string(cloud.state_dir().join("state.json")).expect("it is there");
    assert!(!state.contains("accounts-own"), "{state}");
    cloud.local("DELETE", "/tokens", None);
    assert_eq!(refused(&cloud, "old", "{a}/workers/scripts"), (200, 0));

    secrets_of_github(&cloud);
}

fn secrets_of_github(cloud: &Cloud) {
    let get = |token: &str, path: &str| {
        let authorization = format!("Bearer {token}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("user-agent", "test"),
        ];
        let path = format!("/github/repos/acme/site{path}");
        cloud
            .http("GET", "127.0.0.1", &path, &headers, b"")
            .expect("an HTTP answer")
    };
    assert_eq!(get("ghp_me", "/actions/secrets").status, 404);
    for index in 0..31 {
        let body = json!({"repo": "acme/site", "name": format!("name_{index:02}"), "updated_at": "2026-01-02T03:04:05Z"});
        cloud.local("POST", "/github/secrets", Some(body));
    }
    let body = json!({"repo": "Acme/Site", "name": "KEY", "environment": "production"});
    cloud.local("POST", "/github/secrets", Some(body.clone()));
    let shared = json!({"repo": "acme/site", "name": "SHARED", "organization": true});
    cloud.local("POST", "/github/secrets", Some(shared));

    assert_eq!(get("ghs_workflow", "/actions/secrets").status, 403);
    let first = get("ghp_me", "/actions/secrets").json();
    assert_eq!(first["total_count"], 31);
    assert_eq!(first["secrets"].as_array().map(Vec::len), Some(30));
    assert_eq!(
        first["secrets"][0],
        json!({"name": "NAME_00", "created_at": first["secrets"][0]["created_at"], "updated_at": "2026-01-02T03:04:05Z"})
    );
    let second = get("ghp_me", "/actions/secrets?page=2").json();
    assert_eq!(second["secrets"][0]["name"], "NAME_30");
    assert_eq!(
        get("ghp_me", "/environments/production/secrets").json()["secrets"][0]["name"],
        "KEY"
    );
    assert_eq!(get("ghp_me", "/environments/staging/secrets").status, 404);
    assert_eq!(
        get("ghp_me", "/actions/organization-secrets").json()["secrets"][0]["name"],
        "SHARED"
    );
    let mut gone = body;
    gone["removed"] = json!(true);
    cloud.local("POST", "/github/secrets", Some(gone));
    assert_eq!(
        get("ghp_me", "/environments/production/secrets").json()["total_count"],
        0
    );
}
