//! The local cloud as a process: start, stop, restart, faults, control endpoints. Needs no wrangler.

#![expect(clippy::disallowed_methods, reason = "starts the program under test")]

use std::process::{Command, Stdio};

use crate::support::Cloud;
use expect_test::expect;
use serde_json::{Value, json};

const WORKERS: &str = "/workers/workers";

#[test]
fn an_unknown_route_and_method_say_so() {
    let cloud = Cloud::start();
    assert_eq!(
        cloud.call("GET", "/nothing/here", None)["errors"][0]["code"],
        7000
    );
    assert_eq!(
        cloud.call("PUT", "/workers/subdomain/x", None)["errors"][0]["code"],
        7000
    );
    assert_eq!(
        cloud.call("DELETE", "/workers/subdomain", None)["errors"][0]["code"],
        7001
    );
}

#[test]
fn the_account_survives_a_kill() {
    let mut cloud = Cloud::start();
    cloud.result(
        "POST",
        WORKERS,
        Some(json!({"name": "api", "subdomain": {"enabled": true}})),
    );
    let before = cloud.local("GET", "/state", None);
    cloud.restart();
    assert_eq!(cloud.local("GET", "/state", None), before);
    cloud.local("POST", "/reset", None);
    assert_eq!(cloud.local("GET", "/state", None)["scripts"], json!({}));
}

#[test]
fn it_announces_itself_and_cleans_up() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let mut child = Command::new(env!("CARGO_BIN_EXE_local-cloud"))
        .args(["serve", "--port", "0", "--exit-with-stdin", "--state"])
        .arg(state.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the local cloud starts");
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().expect("stdout is piped"));
    std::io::BufRead::read_line(&mut stdout, &mut line).expect("a line");
    let file = std::fs::read_to_string(state.path().join("server.json")).expect("server.json");
    assert_eq!(file, line.trim_end());
    let server: Value = serde_json::from_str(&file).expect("JSON");
    assert_eq!(server["pid"], child.id());
    drop(child.stdin.take());
    assert!(child.wait().expect("it ends").success());
    assert!(!state.path().join("server.json").exists());
}

#[test]
fn a_port_in_use_is_told() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let state = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new(env!("CARGO_BIN_EXE_local-cloud"))
        .args(["serve", "--port", &port, "--state"])
        .arg(state.path())
        .output()
        .expect("the local cloud starts");
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr).replace(&port, "PORT");
    expect![[r#"
        error: could not serve the local cloud on 127.0.0.1:PORT
          why: Address already in use (os error 98)
          fix: stop the program that uses the port, or pass --port 0 to take a free one
    "#]]
    .assert_eq(&stderr);
}

#[test]
fn a_second_server_on_one_folder_is_refused() {
    let cloud = Cloud::start();
    let shown = cloud.state_dir().display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_local-cloud"))
        .args(["serve", "--port", "0", "--state", &shown])
        .output()
        .expect("the local cloud starts");
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr).replace(&shown, "STATE");
    expect![[r#"
        error: could not take the state directory STATE
          why: another local cloud is using it
          fix: stop that one, or pass --state with another directory
    "#]]
    .assert_eq(&stderr);
    cloud.local("GET", "/health", None);
}

#[test]
fn a_request_to_stop_ends_the_process() {
    let cloud = Cloud::start();
    cloud.local("POST", "/shutdown", None);
    let file = cloud.state_dir().join("server.json");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while file.exists() {
        assert!(
            std::time::Instant::now() < deadline,
            "server.json is still there"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn faults_strike_before_or_after_the_work() {
    let cloud = Cloud::start();
    let fault = |action: Value| {
        cloud.local("DELETE", "/faults", None);
        cloud.local(
            "POST",
            "/faults",
            Some(json!({"method": "POST", "path": "/workers/workers$", "action": action})),
        );
    };
    let create = |name: &str| {
        let path = format!("/client/v4/accounts/{}{WORKERS}", crate::support::ACCOUNT);
        let body = json!({ "name": name }).to_string();
        cloud.http(
            "POST",
            "127.0.0.1",
            &path,
            &[("authorization", "Bearer t")],
            body.as_bytes(),
        )
    };
    let exists =
        |name: &str| cloud.call("GET", &format!("{WORKERS}/{name}"), None)["success"] == true;

    fault(json!({"status": 503}));
    assert_eq!(create("a").map(|answer| answer.status), Some(503));
    assert!(!exists("a"));
    assert_eq!(
        create("a").map(|answer| answer.status),
        Some(200),
        "a fault strikes once"
    );

    fault(json!({"drop": "before"}));
    assert!(create("b").is_none());
    assert!(!exists("b"));

    fault(json!({"drop": "after"}));
    assert!(create("c").is_none());
    assert!(exists("c"));

    fault(json!({"status": 429, "retry_after": "1"}));
    let answer = create("d").expect("an answer");
    assert_eq!(
        (
            answer.header("retry-after"),
            &answer.json()["errors"][0]["code"]
        ),
        (Some("1"), &json!(971))
    );

    let journal = cloud.local("GET", "/journal", None);
    let faults = journal["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .filter(|entry| entry["fault"].is_u64())
        .count();
    assert_eq!(faults, 4);
}

#[test]
fn the_page_lists_what_exists() {
    let cloud = Cloud::start();
    cloud.result(
        "POST",
        WORKERS,
        Some(json!({"name": "api", "subdomain": {"enabled": true}})),
    );
    let page = cloud.request("GET", "/", None).body;
    assert!(
        page.contains(&format!("http://api.kiamichi.localhost:{}/", cloud.port)),
        "{page}"
    );
}
