//! Ids as parts of paths: one that leads out of the state directory is refused, a placeholder goes on working.

use std::fs;
use std::path::Path;

use expect_test::expect;
use serde_json::{Value, json};

use crate::support::{ACCOUNT, Cloud};

/// Folders of the user's around the state directory, one for each depth an id might climb.
struct Victims {
    cloud: Cloud,
    names: Vec<String>,
}

const DEPTHS: [&str; 4] = ["..", "../..", "../../..", "../../../.."];

impl Victims {
    fn new(cloud: Cloud) -> Self {
        let parent = cloud.state_dir().parent().expect("it lies in a folder");
        let name = format!("victim-{}", cloud.port);
        fs::create_dir_all(parent.join(&name).join("data")).expect("a folder beside the state");
        Self {
            names: DEPTHS.iter().map(|up| format!("{up}/{name}")).collect(),
            cloud,
        }
    }

    fn folder(&self) -> std::path::PathBuf {
        let parent = self.cloud.state_dir().parent();
        parent
            .unwrap_or(Path::new("/"))
            .join(format!("victim-{}", self.cloud.port))
    }

    #[track_caller]
    fn are_untouched(&self) {
        let left: Vec<_> = fs::read_dir(self.folder())
            .expect("the folder is still there")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(left, ["data"]);
    }
}

impl Drop for Victims {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.folder());
    }
}

fn encoded(id: &str) -> String {
    id.replace('/', "%2F")
}

#[test]
fn an_id_that_leads_out_of_the_state_directory_reaches_no_file() {
    let victims = Victims::new(Cloud::start());
    let cloud = &victims.cloud;
    // So that the folders exist through which such an id would climb.
    let good = cloud.result("POST", "/d1/database", Some(json!({ "name": "good" })));
    let uuid = good["uuid"].as_str().expect("a uuid");
    let sql = json!({ "sql": "CREATE TABLE t (a)" });
    cloud.result(
        "POST",
        &format!("/d1/database/{uuid}/query"),
        Some(sql.clone()),
    );
    for id in &victims.names {
        for wanted in [
            json!({ "d1": [{ "id": id, "name": "db" }] }),
            json!({ "kv": [{ "id": id, "title": "kv" }] }),
            json!({ "r2": [id] }),
        ] {
            let answer = cloud.request("POST", "/_local/resources", Some(wanted));
            assert_eq!(answer.status, 400, "{answer}");
        }
        let id = encoded(id);
        for (method, path, body) in [
            (
                "POST",
                format!("/d1/database/{id}/query"),
                Some(sql.clone()),
            ),
            (
                "GET",
                format!("/d1/database/{id}/time_travel/bookmark"),
                None,
            ),
            ("DELETE", format!("/d1/database/{id}"), None),
            (
                "PUT",
                format!("/storage/kv/namespaces/{id}/values/k"),
                Some(json!("v")),
            ),
            ("DELETE", format!("/storage/kv/namespaces/{id}"), None),
            (
                "PUT",
                format!("/r2/buckets/{id}/objects/k"),
                Some(json!("v")),
            ),
            ("DELETE", format!("/r2/buckets/{id}"), None),
        ] {
            let envelope = cloud.call(method, &path, body);
            assert_eq!(envelope["success"], false, "{method} {path}: {envelope}");
        }
    }
    victims.are_untouched();
    cloud.result("DELETE", &format!("/d1/database/{uuid}"), None);
}

#[test]
fn every_id_that_cannot_be_stored_is_named_and_nothing_is_adopted() {
    let cloud = Cloud::start();
    let wanted = json!({
        "d1": [{ "id": "../main", "name": "main" }, { "id": "fine", "name": "other" }],
        "kv": [{ "id": "", "title": "cache" }],
        "r2": [".."],
    });
    let answer = cloud.request("POST", "/_local/resources", Some(wanted));
    assert_eq!(answer.status, 400);
    let message = answer.json()["errors"][0]["message"].take();
    expect!["D1 database `main`: the id `../main` contains a path separator; KV namespace `cache`: the id is empty; R2 bucket `..`: the id `..` is a relative path"].assert_eq(message.as_str().unwrap_or_default());
    assert_eq!(cloud.local("GET", "/state", None)["d1"], json!({}));
}

/// A `PUT` of a Worker with one binding; the envelope.
fn upload(cloud: &Cloud, binding: &Value) -> Value {
    let metadata = json!({ "main_module": "index.js", "bindings": [binding], "compatibility_date": "2025-09-01" });
    let module = "export default { fetch() { return new Response('ok') } }";
    let body = format!(
        "--x\r\ncontent-disposition: form-data; name=\"metadata\"\r\n\r\n{metadata}\r\n\
         --x\r\ncontent-disposition: form-data; name=\"index.js\"; filename=\"index.js\"\r\n\
         content-type: application/javascript+module\r\n\r\n{module}\r\n--x--\r\n"
    );
    let headers = [
        ("authorization", "Bearer test-token"),
        ("content-type", "multipart/form-data; boundary=x"),
    ];
    let path = format!("/client/v4/accounts/{ACCOUNT}/workers/scripts/api");
    let answer = cloud.http("PUT", "127.0.0.1", &path, &headers, body.as_bytes());
    answer.expect("an answer").json()
}

#[test]
fn an_upload_adopts_placeholders_and_no_paths() {
    let victims = Victims::new(Cloud::start_with(&["--adopt"]));
    let cloud = &victims.cloud;
    for id in &victims.names {
        for (binding, code) in [
            (json!({ "name": "DB", "type": "d1", "id": id }), 10181),
            (
                json!({ "name": "KV", "type": "kv_namespace", "namespace_id": id }),
                10041,
            ),
            (
                json!({ "name": "R2", "type": "r2_bucket", "bucket_name": id }),
                10085,
            ),
        ] {
            let envelope = upload(cloud, &binding);
            assert_eq!(envelope["errors"][0]["code"], code, "{envelope}");
        }
    }
    victims.are_untouched();
    for binding in [
        json!({ "name": "DB", "type": "d1", "id": "REPLACE_WITH_YOUR_ID" }),
        json!({ "name": "KV", "type": "kv_namespace", "namespace_id": "<kv id>" }),
    ] {
        let envelope = upload(cloud, &binding);
        assert_eq!(envelope["success"], true, "{envelope}");
    }
}

#[test]
fn placeholders_hold_data_like_any_other_id() {
    let cloud = Cloud::start();
    let ids = ["REPLACE_WITH_YOUR_ID", "local-db", "<your id>", "${ID}"];
    for id in ids {
        let wanted = json!({
            "d1": [{ "id": id, "name": format!("db {id}") }],
            "kv": [{ "id": id, "title": format!("kv {id}") }],
            "r2": [id],
        });
        cloud.local("POST", "/resources", Some(wanted));
    }
    for id in ids {
        let id = id
            .replace('<', "%3C")
            .replace('>', "%3E")
            .replace(' ', "%20");
        let id = id.replace('{', "%7B").replace('}', "%7D");
        let database = format!("/d1/database/{id}");
        let sql = json!({ "sql": "CREATE TABLE t (a); INSERT INTO t VALUES (1)" });
        cloud.result("POST", &format!("{database}/query"), Some(sql));
        cloud.result("GET", &format!("{database}/time_travel/bookmark"), None);
        cloud.result("DELETE", &database, None);
        let namespace = format!("/storage/kv/namespaces/{id}");
        cloud.result("PUT", &format!("{namespace}/values/k"), Some(json!("v")));
        cloud.result("DELETE", &namespace, None);
        let bucket = format!("/r2/buckets/{id}");
        cloud.result("PUT", &format!("{bucket}/objects/k"), Some(json!("v")));
        cloud.result("DELETE", &format!("{bucket}/objects/k"), None);
        cloud.result("DELETE", &bucket, None);
    }
}

#[test]
fn a_state_with_an_id_that_is_refused_now_is_loaded_without_it() {
    let mut cloud = Cloud::start();
    let wanted =
        json!({ "d1": [{ "id": "kept", "name": "kept" }, { "id": "planted", "name": "db" }] });
    cloud.local("POST", "/resources", Some(wanted));
    let file = cloud.state_dir().join("state.json");
    let text = fs::read_to_string(&file).expect("state.json");
    fs::write(&file, text.replace("planted", "../../victim")).expect("it can be written");
    cloud.restart();
    let state = cloud.local("GET", "/state", None);
    let ids: Vec<_> = state["d1"].as_object().expect("databases").keys().collect();
    assert_eq!(ids, ["kept"]);
}
