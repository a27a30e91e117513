//! Deployments, their statuses and their environments.

use serde_json::{Value, json};

use crate::github::{REPO, call_as, expect, open_pull};
use crate::support::Cloud;

#[test]
fn a_success_ends_the_deployments_before_it() {
    let cloud = Cloud::start();
    open_pull(&cloud, 7);
    let deployments = format!("{REPO}/deployments");
    let make = |fields: Value| {
        let mut body = json!({"ref": "topic-7", "environment": "preview/pr-7", "auto_merge": false, "required_contexts": []});
        for (name, value) in fields.as_object().expect("fields") {
            body[name] = value.clone();
        }
        let made = expect(&cloud, 201, "POST", &deployments, Some(body));
        made["id"].as_u64().expect("an id")
    };
    let say = |id: u64, body: Value| {
        expect(
            &cloud,
            201,
            "POST",
            &format!("{deployments}/{id}/statuses"),
            Some(body),
        )
    };
    let states = |id: u64| -> Vec<String> {
        let rows = expect(
            &cloud,
            200,
            "GET",
            &format!("{deployments}/{id}/statuses"),
            None,
        );
        let rows = rows.as_array().expect("a list").iter();
        rows.map(|row| row["state"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let (first, failed) = (make(json!({})), make(json!({})));
    let (passing, elsewhere) = (
        make(json!({"transient_environment": true})),
        make(json!({"environment": "preview/pr-8"})),
    );
    let last = make(json!({"ref": format!("{:040x}", 9)}));
    for id in [first, passing, elsewhere] {
        say(
            id,
            json!({"state": "success", "auto_inactive": false, "environment_url": "https://x.example"}),
        );
    }
    say(failed, json!({"state": "failure"}));
    say(last, json!({"state": "in_progress"}));
    assert_eq!(states(first), ["success"]);
    say(last, json!({"state": "success"}));
    assert_eq!(states(first), ["inactive", "success"]);
    assert_eq!(states(failed), ["failure"], "only successes are over");
    assert_eq!(
        states(passing),
        ["success"],
        "a transient environment is the maker's business"
    );
    assert_eq!(states(elsewhere), ["success"]);
    assert_eq!(
        states(last),
        ["success", "in_progress"],
        "the newest status first"
    );
}

#[test]
fn deployments_are_listed_by_environment_and_deleted_when_over() {
    let cloud = Cloud::start();
    open_pull(&cloud, 7);
    let deployments = format!("{REPO}/deployments");
    let make = |environment: &str| {
        let body = json!({"ref": "topic-7", "environment": environment});
        expect(&cloud, 201, "POST", &deployments, Some(body))["id"].clone()
    };
    let (_, last) = (make("preview/pr-7"), make("preview/pr-7"));
    make("preview/pr-8");
    let say = |state: &str| {
        let path = format!("{deployments}/{last}/statuses");
        expect(&cloud, 201, "POST", &path, Some(json!({ "state": state })))
    };
    say("success");
    let get = |path: &str| expect(&cloud, 200, "GET", &format!("{REPO}/{path}"), None);
    let listed = get("deployments?environment=preview%2Fpr-7&per_page=1");
    assert_eq!((&listed[0]["id"], &listed[1]), (&last, &Value::Null));
    assert_eq!(listed[0]["sha"], format!("{:040x}", 7));
    assert_eq!(get("environments")["total_count"], 2);
    assert_eq!(get("environments/preview%2Fpr-7")["name"], "preview/pr-7");
    let environment = format!("{REPO}/environments/preview%2Fpr-7");
    expect(&cloud, 403, "DELETE", &environment, None);

    let one = format!("{deployments}/{last}");
    let refused = expect(&cloud, 422, "DELETE", &one, None);
    let why = refused["message"].as_str().unwrap_or_default();
    assert!(why.contains("active deployment"), "{refused}");
    say("inactive");
    expect(&cloud, 204, "DELETE", &one, None);
    expect(&cloud, 404, "GET", &one, None);
    let person = call_as(&cloud, "Bearer ghp_mine", "DELETE", &environment, None);
    assert_eq!(person.status, 204);
    assert_eq!(get("environments")["total_count"], 1);
}

#[test]
fn a_deployment_is_refused_as_github_does() {
    let cloud = Cloud::start();
    open_pull(&cloud, 7);
    let deployments = format!("{REPO}/deployments");
    let refused =
        |path: &str, body: Value| expect(&cloud, 422, "POST", path, Some(body))["message"].clone();
    assert_eq!(
        refused(&deployments, json!({})),
        "Invalid request.\n\n\"ref\" wasn't supplied."
    );
    assert_eq!(
        refused(&deployments, json!({"ref": "gone"})),
        "No ref found for: gone"
    );
    let made = expect(
        &cloud,
        201,
        "POST",
        &deployments,
        Some(json!({"ref": "main"})),
    );
    assert_eq!(
        (
            &made["environment"],
            &made["production_environment"],
            &made["task"]
        ),
        (&json!("production"), &json!(true), &json!("deploy"))
    );
    let statuses = format!("{deployments}/{}/statuses", made["id"]);
    assert_eq!(
        refused(&statuses, json!({"state": "done"})),
        "Validation Failed"
    );
    let long = json!({"state": "success", "description": "x".repeat(141)});
    assert_eq!(refused(&statuses, long), "Validation Failed");
    let script = json!({"state": "success", "environment_url": "javascript:alert(1)"});
    assert_eq!(refused(&statuses, script), "Validation Failed");
}
