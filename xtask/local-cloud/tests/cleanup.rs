//! What taking a preview down needs: Workers told by their tags, deleted after those that call them, and storage emptied.

mod support;

use serde_json::{Value, json};
use support::{ACCOUNT, Answer, Cloud};

/// Uploads a Worker that answers with its name.
#[track_caller]
fn upload(cloud: &Cloud, name: &str, bindings: Value) {
    let metadata = json!({"main_module": "index.js", "compatibility_date": "2025-09-01", "bindings": bindings});
    let source = format!("export default {{ fetch() {{ return new Response({name:?}); }} }};");
    let part = |head: &str, body: &str| {
        format!("--line\r\ncontent-disposition: form-data; {head}\r\n\r\n{body}\r\n")
    };
    let module =
        "name=\"index.js\"; filename=\"index.js\"\r\ncontent-type: application/javascript+module";
    let body = format!(
        "{}{}--line--\r\n",
        part("name=\"metadata\"", &metadata.to_string()),
        part(module, &source)
    );
    let headers = [
        ("authorization", "Bearer t"),
        ("content-type", "multipart/form-data; boundary=line"),
    ];
    let path = format!("/client/v4/accounts/{ACCOUNT}/workers/scripts/{name}");
    let answer = cloud.http("PUT", "127.0.0.1", &path, &headers, body.as_bytes());
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 200, "{answer}");
}

fn names(scripts: &Value) -> Vec<&str> {
    let rows = scripts.as_array().into_iter().flatten();
    rows.filter_map(|script| script["id"].as_str()).collect()
}

fn code(envelope: &Value) -> u64 {
    envelope["errors"][0]["code"].as_u64().unwrap_or_default()
}

#[test]
fn workers_are_told_by_tags_and_go_after_their_callers() {
    let cloud = Cloud::start();
    let service = |target: &str| json!([{"type": "service", "name": "API", "service": target}]);
    upload(&cloud, "api", json!([]));
    upload(&cloud, "api-pr-7-preview", json!([]));
    upload(&cloud, "site-pr-7-preview", service("api-pr-7-preview"));
    let script = |name: &str, rest: &str| format!("/workers/scripts/{name}{rest}");
    for name in ["api-pr-7-preview", "site-pr-7-preview"] {
        let tags = json!({"tags": ["xtask-preview", "xtask-preview-pr-7"]});
        let settings = script(name, "/script-settings");
        cloud.result("PATCH", &settings, Some(tags.clone()));
        assert_eq!(cloud.result("GET", &settings, None)["tags"], tags["tags"]);
    }
    // A new upload keeps them.
    upload(&cloud, "api-pr-7-preview", json!([]));
    let list = |query: &str| cloud.result("GET", &format!("/workers/scripts{query}"), None);
    let all = list("");
    assert_eq!(
        names(&all),
        ["api", "api-pr-7-preview", "site-pr-7-preview"]
    );
    assert_eq!(
        all[1]["tags"],
        json!(["xtask-preview", "xtask-preview-pr-7"])
    );
    assert_eq!(
        names(&list("?tags=xtask-preview:yes")),
        ["api-pr-7-preview", "site-pr-7-preview"]
    );
    assert_eq!(names(&list("?tags=xtask-preview:no")), ["api"]);

    let delete = |name: &str| cloud.call("DELETE", &script(name, ""), None);
    let refused = delete("api-pr-7-preview");
    assert_eq!(code(&refused), 10059, "{refused}");
    assert!(
        refused.to_string().contains("site-pr-7-preview"),
        "{refused}"
    );
    assert_eq!(delete("site-pr-7-preview")["success"], true);
    assert_eq!(delete("api-pr-7-preview")["success"], true);
    // Twice is told apart by the path: the two collections have their own codes.
    assert_eq!(code(&delete("api-pr-7-preview")), 10007);
    let service = cloud.call("DELETE", "/workers/services/api-pr-7-preview", None);
    assert_eq!(code(&service), 10090);
    assert_eq!(names(&list("")), ["api"]);
}

#[test]
fn names_and_tags_have_limits() {
    let cloud = Cloud::start();
    let long = "n".repeat(64);
    let create = |name: &str| cloud.call("POST", "/workers/workers", Some(json!({ "name": name })));
    assert_eq!(create(&long)["success"], true);
    assert_eq!(code(&create(&"n".repeat(256))), 10016);
    let enable = |name: &str| {
        let path = format!("/workers/scripts/{name}/subdomain");
        cloud.call("POST", &path, Some(json!({"enabled": true})))
    };
    assert_eq!(code(&enable(&long)), 10016);
    assert_eq!(create(&"n".repeat(63))["success"], true);
    assert_eq!(enable(&"n".repeat(63))["success"], true);

    let settings = format!("/workers/scripts/{long}/script-settings");
    let tag = |tags: Value| cloud.call("PATCH", &settings, Some(json!({ "tags": tags })));
    let nine: Vec<String> = (0..9).map(|n| format!("t{n}")).collect();
    assert_eq!(tag(json!(nine[..8]))["success"], true);
    assert_eq!(code(&tag(json!(nine))), 10100);
    assert_eq!(code(&tag(json!(["a,b"]))), 10100);

    let database = |name: &str| cloud.call("POST", "/d1/database", Some(json!({ "name": name })));
    assert_eq!(database(&"d".repeat(64))["success"], true);
    assert_eq!(code(&database(&"d".repeat(65))), 7400);
    let bucket = |name: &str| cloud.call("POST", "/r2/buckets", Some(json!({ "name": name })));
    assert_eq!(bucket(&"b".repeat(63))["success"], true);
    assert_eq!(code(&bucket(&"b".repeat(64))), 10005);
    assert_eq!(code(&bucket("Upper")), 10005);
}

#[test]
fn a_bucket_is_emptied_page_by_page() {
    let cloud = Cloud::start();
    cloud.result(
        "POST",
        "/r2/buckets",
        Some(json!({"name": "images-pr-7-preview"})),
    );
    let objects = "/r2/buckets/images-pr-7-preview/objects";
    let put = |key: &str| -> Answer {
        let path = format!("/client/v4/accounts/{ACCOUNT}{objects}/{key}");
        cloud.request("PUT", &path, None)
    };
    for n in 0..5 {
        assert_eq!(put(&format!("a/{n}")).status, 200);
    }
    let page = |cursor: &str| {
        cloud.call(
            "GET",
            &format!("{objects}?per_page=2&cursor={cursor}"),
            None,
        )
    };
    let first = page("");
    let cursor = first["result_info"]["cursor"].as_str().expect("a cursor");
    assert!(!cursor.is_empty(), "{first}");
    let second = page(cursor);
    assert_eq!(second["result"][0]["key"], "a/2", "{second}");

    let delete = |keys: Value| cloud.call("DELETE", objects, Some(keys));
    assert_eq!(delete(json!(["a/0", "a/1"]))["success"], true);
    // A key that is not there is an error without a name, and the others are deleted all the same.
    let partly = delete(json!(["a/2", "gone", "a/3"]));
    assert_eq!(
        (&partly["success"], &partly["result"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        partly["errors"].as_array().map(Vec::len),
        Some(1),
        "{partly}"
    );
    let left = cloud.result("GET", objects, None);
    assert_eq!((&left[0]["key"], &left[1]), (&json!("a/4"), &Value::Null));
    assert_eq!(delete(json!([]))["success"], false);
    let bucket = "/r2/buckets/images-pr-7-preview";
    assert_eq!(code(&cloud.call("DELETE", bucket, None)), 10008);
    assert_eq!(delete(json!(["a/4"]))["success"], true);
    assert_eq!(cloud.call("DELETE", bucket, None)["success"], true);
    assert_eq!(code(&cloud.call("DELETE", bucket, None)), 10006);
}
