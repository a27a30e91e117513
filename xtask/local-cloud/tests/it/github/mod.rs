//! The local GitHub. Here: who asks, pull requests, runs, faults. Beside it: comments with the page that shows them, and
//! deployments. Needs no wrangler.

mod comments;
mod deployments;

use crate::support::{Answer, Cloud};
use serde_json::{Value, json};

const REPO: &str = "/repos/acme/site";

/// A request as a workflow sends it.
#[track_caller]
fn call(cloud: &Cloud, method: &str, path: &str, body: Option<Value>) -> Answer {
    call_as(cloud, "Bearer ghs_workflow", method, path, body)
}

#[track_caller]
fn call_as(
    cloud: &Cloud,
    authorization: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Answer {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let mut headers = vec![
        ("user-agent", "test"),
        ("accept", "application/vnd.github+json"),
        ("content-type", "application/json"),
    ];
    if !authorization.is_empty() {
        headers.push(("authorization", authorization));
    }
    cloud
        .http(
            method,
            "127.0.0.1",
            &format!("/github{path}"),
            &headers,
            body.as_bytes(),
        )
        .expect("an HTTP answer")
}

/// Must answer with this status; the body.
#[track_caller]
fn expect(cloud: &Cloud, status: u16, method: &str, path: &str, body: Option<Value>) -> Value {
    let answer = call(cloud, method, path, body);
    assert_eq!(answer.status, status, "{method} {path}: {answer}");
    if answer.body.is_empty() {
        Value::Null
    } else {
        answer.json()
    }
}

#[track_caller]
fn open_pull(cloud: &Cloud, number: u64) -> Value {
    let body = json!({
        "repo": "acme/site", "number": number, "title": format!("Change {number}"), "branch": format!("topic-{number}"),
        "sha": format!("{number:040x}"), "author": "octo-cat",
    });
    cloud.local("POST", "/github/pulls", Some(body))
}

#[test]
fn who_asks_is_told_from_the_token() {
    let cloud = Cloud::start();
    open_pull(&cloud, 7);
    let pulls = format!("{REPO}/pulls");
    let nobody = call_as(&cloud, "", "GET", &pulls, None);
    assert_eq!(nobody.status, 401);
    assert_eq!(
        nobody.json(),
        json!({"message": "Requires authentication", "documentation_url": "https://docs.github.com/rest", "status": "401"})
    );
    let no_agent = cloud.http(
        "GET",
        "127.0.0.1",
        "/github/user",
        &[("authorization", "Bearer t")],
        b"",
    );
    assert_eq!(no_agent.map(|answer| answer.status), Some(403));

    let workflow = call(&cloud, "GET", "/user", None);
    assert_eq!(
        (workflow.status, &workflow.json()["message"]),
        (403, &json!("Resource not accessible by integration"))
    );
    let person = call_as(&cloud, "token ghp_mine", "GET", "/user", None).json();
    assert_eq!(
        (&person["login"], &person["type"]),
        (&json!("developer"), &json!("User"))
    );
    let missing = expect(&cloud, 404, "GET", "/repos/acme/other", None);
    assert_eq!(missing["message"], "Not Found");
    expect(&cloud, 404, "GET", "/nothing", None);
    expect(&cloud, 404, "GET", &format!("{REPO}/pulls/seven"), None);
}

#[test]
fn pull_requests_are_listed_by_state_and_page() {
    let cloud = Cloud::start();
    for number in 1..=5 {
        open_pull(&cloud, number);
    }
    let change = |fields: Value| cloud.local("PUT", "/github/pulls", Some(fields));
    change(json!({"repo": "ACME/site", "number": 2, "merged": true}));
    change(json!({"repo": "acme/site", "number": 3, "draft": true, "fork": "stranger/site"}));
    let numbers = |answer: &Answer| -> Vec<u64> {
        let rows = answer.json();
        let rows = rows.as_array().expect("a list").iter();
        rows.filter_map(|row| row["number"].as_u64()).collect()
    };
    let list = |query: &str| call(&cloud, "GET", &format!("{REPO}/pulls{query}"), None);
    assert_eq!(numbers(&list("")), [5, 4, 3, 1]);
    assert_eq!(numbers(&list("?state=closed")), [2]);
    assert_eq!(numbers(&list("?state=all&direction=asc")), [1, 2, 3, 4, 5]);
    assert_eq!(numbers(&list("?head=acme:topic-4")), [4]);
    assert_eq!(numbers(&list("?head=stranger:topic-3")), [3]);
    assert_eq!(list("?state=shut").status, 422);

    let first = list("?state=all&per_page=2");
    assert_eq!(numbers(&first), [5, 4]);
    let link = first.header("link").expect("there are more").to_owned();
    let next = link
        .split(", ")
        .find_map(|link| link.strip_suffix("; rel=\"next\""));
    let next = next
        .expect("a next page")
        .trim_matches(['<', '>'])
        .to_owned();
    let base = format!("http://127.0.0.1:{}/github", cloud.port);
    let second = call(
        &cloud,
        "GET",
        next.strip_prefix(&base).expect("the same server"),
        None,
    );
    assert_eq!(numbers(&second), [3, 2]);
    assert_eq!(
        list("?state=all&per_page=2&page=9").json(),
        json!([]),
        "past the end"
    );

    let merged = expect(&cloud, 200, "GET", "/repos/Acme/Site/pulls/2", None);
    assert_eq!(
        (&merged["state"], &merged["merged"]),
        (&json!("closed"), &json!(true))
    );
    let fork = expect(&cloud, 200, "GET", &format!("{REPO}/pulls/3"), None);
    assert_eq!(
        (
            &fork["draft"],
            &fork["head"]["repo"]["full_name"],
            &fork["head"]["repo"]["fork"]
        ),
        (&json!(true), &json!("stranger/site"), &json!(true))
    );
    assert_ne!(fork["head"]["repo"]["id"], fork["base"]["repo"]["id"]);
    let repo = expect(&cloud, 200, "GET", REPO, None);
    assert_eq!(repo["default_branch"], "main");
}

#[test]
fn a_run_has_the_state_it_was_given() {
    let cloud = Cloud::start();
    let run = format!("{REPO}/actions/runs/42");
    cloud.local(
        "POST",
        "/github/runs",
        Some(json!({"repo": "acme/site", "id": 42})),
    );
    let going = expect(&cloud, 200, "GET", &run, None);
    assert_eq!(
        (&going["status"], &going["conclusion"]),
        (&json!("in_progress"), &Value::Null)
    );
    let done =
        json!({"repo": "acme/site", "id": 42, "status": "completed", "conclusion": "cancelled"});
    cloud.local("PUT", "/github/runs", Some(done));
    let done = expect(&cloud, 200, "GET", &run, None);
    assert_eq!(
        (&done["status"], &done["conclusion"]),
        (&json!("completed"), &json!("cancelled"))
    );
    expect(&cloud, 404, "GET", &format!("{REPO}/actions/runs/43"), None);
}

#[test]
fn faults_the_journal_the_dump_and_reset_know_github() {
    let cloud = Cloud::start();
    open_pull(&cloud, 7);
    let comments = format!("{REPO}/issues/7/comments");
    let fault = |action: Value| {
        let fault = json!({"method": "POST", "path": "^/repos/.*/comments$", "action": action});
        cloud.local("POST", "/faults", Some(fault));
    };
    fault(json!({"status": 502}));
    let answer = call(&cloud, "POST", &comments, Some(json!({"body": "one"})));
    assert_eq!(
        (answer.status, &answer.json()["message"]),
        (502, &json!("injected fault"))
    );
    fault(json!({"drop": "after"}));
    let headers = [("authorization", "Bearer t"), ("user-agent", "test")];
    let path = format!("/github{comments}");
    let dropped = cloud.http("POST", "127.0.0.1", &path, &headers, br#"{"body": "two"}"#);
    assert!(dropped.is_none());

    let state = cloud.local("GET", "/state", None);
    let kept = &state["github"]["repos"]["acme/site"]["pulls"]["7"]["comments"];
    assert_eq!(
        (&kept[0]["body"], &kept[1]),
        (&json!("two"), &Value::Null),
        "the work was done"
    );
    let journal = cloud.local("GET", "/journal", None);
    let entries = journal["entries"].as_array().expect("entries");
    let seen: Vec<(&Value, &Value, bool)> = entries
        .iter()
        .map(|entry| (&entry["method"], &entry["path"], entry["fault"].is_u64()))
        .collect();
    let (post, path) = (json!("POST"), json!(comments));
    assert_eq!(seen, [(&post, &path, true), (&post, &path, true)]);
    assert!(!journal.to_string().contains("Bearer"), "no token is kept");

    cloud.local("POST", "/reset", None);
    assert_eq!(
        cloud.local("GET", "/state", None)["github"]["repos"],
        json!({})
    );
    expect(&cloud, 404, "GET", &comments, None);
}

#[test]
fn an_event_reads_as_a_workflow_gets_it() {
    let cloud = Cloud::start();
    open_pull(&cloud, 7);
    let event = cloud.local("GET", "/github/acme/site/pull/7/event?action=opened", None);
    assert_eq!(
        (
            &event["action"],
            &event["number"],
            &event["repository"]["full_name"]
        ),
        (&json!("opened"), &json!(7), &json!("acme/site"))
    );
    assert_eq!(event["pull_request"]["head"]["sha"], format!("{:040x}", 7));
    assert_eq!(event["sender"]["login"], "octo-cat");
}
