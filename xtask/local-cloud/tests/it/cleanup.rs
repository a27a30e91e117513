//! What taking a preview down needs: Workers told by their tags, deleted after those that call them, and storage emptied.

use crate::support::{ACCOUNT, Answer, Cloud};
use serde_json::{Value, json};

/// Uploads a Worker that answers with its name.
#[track_caller]
fn upload(cloud: &Cloud, name: &str, bindings: Value) {
    let source = format!("export default {{ fetch() {{ return new Response({name:?}); }} }};");
    upload_source(cloud, name, &source, bindings);
}

#[track_caller]
fn upload_source(cloud: &Cloud, name: &str, source: &str, bindings: Value) {
    let metadata = json!({"main_module": "index.js", "compatibility_date": "2025-09-01", "bindings": bindings});
    let part = |head: &str, body: &str| {
        format!("--line\r\ncontent-disposition: form-data; {head}\r\n\r\n{body}\r\n")
    };
    let module =
        "name=\"index.js\"; filename=\"index.js\"\r\ncontent-type: application/javascript+module";
    let body = format!(
        "{}{}--line--\r\n",
        part("name=\"metadata\"", &metadata.to_string()),
        part(module, source)
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

/// One database, namespace and bucket by ids of their own, each with something in it.
struct Stores {
    database: String,
    namespace: String,
    bucket: String,
}

impl Stores {
    fn new(digit: char) -> Self {
        let of = |length: usize| String::from(digit).repeat(length);
        Self {
            database: format!("{}-{}-4{}-8{}-{}", of(8), of(4), of(3), of(3), of(12)),
            namespace: of(32),
            bucket: format!("bucket-{digit}"),
        }
    }

    /// Makes them; with the ids they had before, if there were any.
    #[track_caller]
    fn make(&self, cloud: &Cloud) {
        let wanted = json!({
            "d1": [{"id": self.database, "name": format!("db-{}", self.bucket)}],
            "kv": [{"id": self.namespace, "title": format!("kv-{}", self.bucket)}],
            "r2": [self.bucket],
        });
        let adopted = cloud.local("POST", "/resources", Some(wanted));
        assert_eq!(adopted["adopted"].as_array().map(Vec::len), Some(3));
    }

    fn query(&self, cloud: &Cloud, sql: &str) -> Value {
        let path = format!("/d1/database/{}/query", self.database);
        cloud.result("POST", &path, Some(json!({ "sql": sql })))
    }

    #[track_caller]
    fn fill(&self, cloud: &Cloud) {
        self.query(cloud, "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
        let namespace = format!("/storage/kv/namespaces/{}", self.namespace);
        let pairs = json!([{"key": "page", "value": "cached"}]);
        cloud.result("PUT", &format!("{namespace}/bulk"), Some(pairs));
        let object = format!(
            "/client/v4/accounts/{ACCOUNT}/r2/buckets/{}/objects/logo",
            self.bucket
        );
        assert_eq!(cloud.request("PUT", &object, None).status, 200);
    }

    /// How many tables, keys and objects there are.
    fn held(&self, cloud: &Cloud) -> [usize; 3] {
        let tables = self.query(cloud, "SELECT name FROM sqlite_master WHERE name = 't'");
        let count = |rows: &Value| rows.as_array().map_or(0, Vec::len);
        let keys = format!("/storage/kv/namespaces/{}/keys", self.namespace);
        let objects = format!("/r2/buckets/{}/objects", self.bucket);
        [
            count(&tables[0]["results"]),
            count(&cloud.result("GET", &keys, None)),
            count(&cloud.result("GET", &objects, None)),
        ]
    }

    #[track_caller]
    fn delete(&self, cloud: &Cloud) {
        let object = format!("/r2/buckets/{}/objects", self.bucket);
        cloud.call("DELETE", &object, Some(json!(["logo"])));
        for path in [
            format!("/d1/database/{}", self.database),
            format!("/storage/kv/namespaces/{}", self.namespace),
            format!("/r2/buckets/{}", self.bucket),
        ] {
            assert_eq!(cloud.call("DELETE", &path, None)["success"], true, "{path}");
        }
    }
}

/// The files in which runtimes keep what is stored, by kind.
fn files(cloud: &Cloud) -> Vec<String> {
    let storage = cloud.state_dir().join("storage");
    let mut found = Vec::new();
    for folder in ["d1", "kv", "r2"] {
        let mut folders = vec![storage.join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let shared = path.to_string_lossy().ends_with("metadata.sqlite");
                match path.is_dir() {
                    true => folders.push(path),
                    false if path.extension().is_some_and(|end| end == "sqlite") && !shared => {
                        found.push(path.display().to_string());
                    }
                    false => {}
                }
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_was_deleted_is_gone_and_its_namesake_is_empty() {
    let mut cloud = Cloud::start();
    let (kept, gone) = (Stores::new('a'), Stores::new('b'));
    kept.make(&cloud);
    kept.fill(&cloud);
    assert_eq!(kept.held(&cloud), [1, 1, 1]);
    let of_the_kept = files(&cloud);
    assert_eq!(of_the_kept.len(), 3, "{of_the_kept:?}");

    gone.make(&cloud);
    gone.fill(&cloud);
    // A Worker that is bound to it has it open for as long as it runs.
    let source = "export default { async fetch(_, env) { return new Response(String(await env.KV.get('page'))); } };";
    let binding = json!([{"type": "kv_namespace", "name": "KV", "namespace_id": gone.namespace}]);
    upload_source(&cloud, "reader", source, binding);
    let enabled = Some(json!({"enabled": true}));
    cloud.result("POST", "/workers/scripts/reader/subdomain", enabled);
    let page = |cloud: &Cloud| cloud.get("reader.kiamichi.localhost", "/").body;
    assert_eq!(page(&cloud), "cached");

    // Made again before the runtime has let go of it, and after.
    gone.delete(&cloud);
    gone.make(&cloud);
    assert_eq!(gone.held(&cloud), [0, 0, 0]);
    assert_eq!(page(&cloud), "null");
    gone.fill(&cloud);
    assert_eq!(page(&cloud), "cached");
    gone.delete(&cloud);
    assert_eq!(page(&cloud), "null");
    gone.make(&cloud);
    assert_eq!(gone.held(&cloud), [0, 0, 0]);

    // Killed before it could remove what was deleted, the next server does.
    gone.fill(&cloud);
    gone.delete(&cloud);
    cloud.restart();
    assert_eq!(page(&cloud), "null");
    assert_eq!(
        cloud.local("GET", "/state", None)["dropped"]["d1"],
        json!([])
    );
    cloud.result("DELETE", "/workers/scripts/reader", None);
    assert_eq!(kept.held(&cloud), [1, 1, 1]);
    let left = files(&cloud);
    let missing: Vec<_> = of_the_kept
        .iter()
        .filter(|file| !left.contains(file))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    // The Worker's own look at its namespace made an empty one.
    assert!(left.len() <= of_the_kept.len() + 1, "{left:?}");
    gone.make(&cloud);
    assert_eq!(gone.held(&cloud), [0, 0, 0]);
}
