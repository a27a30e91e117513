//! The real wrangler against the local cloud: the control plane, one command after the other.

use crate::support::{Cloud, Project};
use serde_json::{Value, json};

const COUNTER: &str =
    "export class Counter {}\nexport default { fetch() { return new Response('ok'); } };\n";

/// Versions of the live deployment: (version id, percentage).
#[track_caller]
fn live(cloud: &Cloud, name: &str) -> Vec<(String, f64)> {
    let result = cloud.result("GET", &format!("/workers/scripts/{name}/deployments"), None);
    let versions = result["deployments"][0]["versions"]
        .as_array()
        .expect("a deployment")
        .clone();
    let share = |share: &Value| {
        let id = share["version_id"].as_str().expect("an id").to_owned();
        (id, share["percentage"].as_f64().expect("a percentage"))
    };
    versions.iter().map(share).collect()
}

#[test]
fn deploys_a_worker_twice() {
    let cloud = Cloud::start();
    let project = Project::answering("api", "one").with("vars", json!({"A": "1"}));
    let first = cloud
        .wrangler(&project, &["deploy"])
        .ok()
        .says("api.kiamichi.localhost");
    let second = cloud
        .wrangler(&project, &["deploy", "--tag", "r2", "--message", "second"])
        .ok()
        .version_id();
    assert_ne!(first.version_id(), second);
    assert_eq!(live(&cloud, "api"), [(second.clone(), 100.0)]);

    let version = cloud.result(
        "GET",
        &format!("/workers/scripts/api/versions/{second}"),
        None,
    );
    assert_eq!(version["number"], 2);
    assert_eq!(version["annotations"]["workers/tag"], "r2");
    assert_eq!(version["metadata"]["source"], "wrangler");
    assert_eq!(
        version["resources"]["bindings"],
        json!([{"name": "A", "text": "1", "type": "plain_text"}])
    );
}

#[test]
fn stages_splits_and_rolls_back_versions() {
    let cloud = Cloud::start();
    let project = Project::answering("api", "one");
    cloud
        .wrangler(&project, &["versions", "upload"])
        .fails_with("does not yet exist");
    let first = cloud.wrangler(&project, &["deploy"]).ok().version_id();
    let second = cloud
        .wrangler(&project, &["versions", "upload", "--tag", "v2"])
        .ok()
        .version_id();
    assert_eq!(live(&cloud, "api"), [(first.clone(), 100.0)]);

    let list = cloud
        .wrangler(&project, &["versions", "list", "--json"])
        .ok()
        .json();
    let ids: Vec<&str> = list
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|version| version["id"].as_str())
        .collect();
    assert_eq!(ids, [first.as_str(), second.as_str()]);

    let split = [format!("{first}@90"), format!("{second}@10")];
    cloud
        .wrangler(
            &project,
            &[
                "versions",
                "deploy",
                &split[0],
                &split[1],
                "-y",
                "--message",
                "canary",
            ],
        )
        .ok();
    let status = cloud
        .wrangler(&project, &["deployments", "status", "--json"])
        .ok()
        .json();
    assert_eq!(status["annotations"]["workers/message"], "canary");
    assert_eq!(status["versions"].as_array().map(Vec::len), Some(2));

    cloud
        .wrangler(
            &project,
            &["versions", "deploy", &format!("{second}@100"), "-y"],
        )
        .ok();
    cloud
        .wrangler(&project, &["rollback", &first, "-m", "oops"])
        .ok();
    assert_eq!(live(&cloud, "api"), [(first, 100.0)]);
    let list = cloud
        .wrangler(&project, &["deployments", "list", "--json"])
        .ok()
        .json();
    assert_eq!(list.as_array().map(Vec::len), Some(4));
    cloud
        .wrangler(&project, &["versions", "view", &second])
        .ok()
        .says(&second);
}

#[test]
fn a_preview_url_is_announced() {
    let cloud = Cloud::start();
    let project = Project::answering("api", "one");
    cloud.wrangler(&project, &["deploy"]).ok();
    let upload = cloud.wrangler(&project, &["versions", "upload"]).ok();
    let url = upload.event("version-upload")["preview_url"]
        .as_str()
        .expect("a preview URL")
        .to_owned();
    let expected = format!(
        "{}-api.kiamichi.localhost:{}",
        &upload.version_id()[..8],
        cloud.port
    );
    assert!(url.ends_with(&expected), "{url}");
}

#[test]
fn every_secret_change_is_a_deployed_version() {
    let cloud = Cloud::start();
    let project = Project::answering("api", "one");
    let first = cloud.wrangler(&project, &["deploy"]).ok().version_id();
    cloud
        .wrangler_with_input(&project, &["secret", "put", "KEY"], "canary-secret-1\n")
        .ok();
    cloud
        .wrangler_with_input(
            &project,
            &["secret", "bulk"],
            r#"{"KEY": "canary-secret-2", "OTHER": "x"}"#,
        )
        .ok();
    let list = cloud.wrangler(&project, &["secret", "list"]).ok().json();
    assert_eq!(
        list,
        json!([{"name": "KEY", "type": "secret_text"}, {"name": "OTHER", "type": "secret_text"}])
    );
    cloud
        .wrangler(&project, &["secret", "delete", "OTHER"])
        .ok();
    let versions = cloud.result("GET", "/workers/scripts/api/versions", None);
    assert_eq!(versions["items"].as_array().map(Vec::len), Some(4));

    // Secrets that the configuration does not know survive a deploy.
    cloud.wrangler(&project, &["deploy"]).ok();
    let settings = cloud.result("GET", "/workers/scripts/api/settings", None);
    assert_eq!(
        settings["bindings"],
        json!([{"name": "KEY", "type": "secret_text"}])
    );

    // Going back over the change is refused, until forced: wrangler answers "yes" to itself.
    let body =
        json!({"strategy": "percentage", "versions": [{"version_id": first, "percentage": 100}]});
    let refused = cloud.call("POST", "/workers/scripts/api/deployments", Some(body));
    assert_eq!(refused["errors"][0]["code"], 10220);
    cloud
        .wrangler(&project, &["rollback", &first, "-m", "back"])
        .ok();
    assert_eq!(live(&cloud, "api"), [(first, 100.0)]);

    let journal = cloud.local("GET", "/journal", None).to_string();
    let state = cloud.local("GET", "/state", None).to_string();
    let file =
        std::fs::read_to_string(cloud.state_dir().join("journal.ndjson")).expect("a journal");
    for text in [journal, state, file] {
        assert!(
            text.contains("KEY") && !text.contains("canary-secret"),
            "{text}"
        );
    }
}

#[test]
fn secrets_wait_for_the_latest_version_to_be_live() {
    let cloud = Cloud::start();
    let project = Project::answering("api", "one");
    cloud.wrangler(&project, &["deploy"]).ok();
    cloud.wrangler(&project, &["versions", "upload"]).ok();
    cloud
        .wrangler_with_input(&project, &["secret", "put", "KEY"], "v")
        .fails_with("versions secret");
    cloud
        .wrangler_with_input(&project, &["versions", "secret", "bulk"], r#"{"KEY": "v"}"#)
        .ok();
    let latest = &cloud.result("GET", "/workers/scripts/api/versions", None)["items"][0];
    assert_eq!(latest["number"], 3);
}

#[test]
fn secrets_of_an_absent_worker_make_a_draft() {
    let cloud = Cloud::start();
    let project = Project::answering("api", "one");
    cloud
        .wrangler_with_input(&project, &["secret", "bulk"], r#"{"KEY": "value"}"#)
        .ok();
    let secrets = cloud.result("GET", "/workers/scripts/api/secrets", None);
    assert_eq!(secrets, json!([{"name": "KEY", "type": "secret_text"}]));
}

#[test]
fn secrets_travel_with_a_version() {
    let cloud = Cloud::start();
    let project = Project::answering("api", "one").file("s.json", r#"{"KEY": "canary-secret"}"#);
    cloud.wrangler(&project, &["deploy"]).ok();
    cloud
        .wrangler(
            &project,
            &["versions", "upload", "--secrets-file", "s.json"],
        )
        .ok();
    let secrets = cloud.result("GET", "/workers/scripts/api/secrets", None);
    assert_eq!(secrets, json!([{"name": "KEY", "type": "secret_text"}]));
}

#[test]
fn triggers_follow_the_configuration() {
    let cloud = Cloud::start();
    let project = Project::answering("api", "one")
        .with("triggers", json!({"crons": ["0 2 * * *"]}))
        .with("routes", json!([{"pattern": "example.com/api/*", "zone_name": "example.com"}, {"pattern": "app.example.com", "custom_domain": true}]));
    cloud.wrangler(&project, &["deploy"]).ok();
    let project = project.with("triggers", json!({"crons": ["0 3 * * *", "0 15 * * *"]}));
    cloud.wrangler(&project, &["triggers", "deploy"]).ok();
    let schedules = cloud.result("GET", "/workers/scripts/api/schedules", None);
    let crons: Vec<&str> = schedules["schedules"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|s| s["cron"].as_str())
        .collect();
    assert_eq!(crons, ["0 3 * * *", "0 15 * * *"]);
    assert_eq!(
        cloud.result("GET", "/workers/scripts/api/routes", None)[0]["pattern"],
        "example.com/api/*"
    );
    assert_eq!(
        cloud.result("GET", "/workers/domains/records", None)[0]["service"],
        "api"
    );
    assert_eq!(
        cloud.result("GET", "/workers/scripts/api/subdomain", None)["enabled"],
        false
    );

    let other = Project::answering("other", "two").with(
        "routes",
        json!([{"pattern": "example.com/api/*", "zone_name": "example.com"}]),
    );
    cloud
        .wrangler(&other, &["deploy"])
        .fails_with("example.com/api/*");
}

#[test]
fn assets_are_uploaded_once() {
    let cloud = Cloud::start();
    let project = Project::answering("site", "worker")
        .file("public/index.html", "<h1>hello</h1>")
        .file("public/copy.html", "<h1>hello</h1>")
        .file("public/_headers", "/*\n  X-Test: 1\n")
        .with(
            "assets",
            json!({"directory": "public", "binding": "ASSETS"}),
        );
    cloud.wrangler(&project, &["deploy"]).ok();
    let uploads = |cloud: &Cloud| {
        let entries = cloud.local("GET", "/journal", None)["entries"]
            .as_array()
            .expect("entries")
            .clone();
        entries
            .iter()
            .filter(|entry| {
                entry["path"]
                    .as_str()
                    .is_some_and(|path| path.contains("/assets/upload"))
            })
            .count()
    };
    assert_eq!(uploads(&cloud), 1);
    cloud.wrangler(&project, &["deploy"]).ok();
    assert_eq!(uploads(&cloud), 1, "nothing changed");
    let state = cloud.local("GET", "/state", None);
    let assets = &state["scripts"]["site"]["versions"][1]["assets"];
    assert_eq!(assets["files"].as_array().map(Vec::len), Some(2));
    assert_eq!(assets["config"]["_headers"], "/*\n  X-Test: 1\n");

    let only = Project::answering("only-assets", "x")
        .with("main", Value::Null)
        .file("public/index.html", "<h1>static</h1>")
        .with("assets", json!({"directory": "public"}));
    cloud.wrangler(&only, &["deploy"]).ok();
    cloud.wrangler(&only, &["deploy"]).ok();
}

#[test]
fn a_service_binding_needs_its_target() {
    let cloud = Cloud::start();
    let front = Project::answering("front", "one")
        .with("services", json!([{"binding": "BACK", "service": "back"}]));
    let run = cloud
        .wrangler(&front, &["deploy"])
        .fails_with("Target script 'back' not found");
    assert_eq!(run.event("command-failed")["code"], 10143);
    assert_eq!(
        cloud.result("GET", "/workers/scripts", None),
        json!([]),
        "a failed first upload leaves no Worker"
    );
    cloud
        .wrangler(&Project::answering("back", "two"), &["deploy"])
        .ok();
    cloud.wrangler(&front, &["deploy"]).ok();

    // Deleting the target needs force, which wrangler gives itself when nobody can be asked.
    let refused = cloud.call("DELETE", "/workers/services/back?force=false", None);
    assert_eq!(refused["errors"][0]["code"], 10059);
    cloud.wrangler(&front, &["delete", "--name", "back"]).ok();
    assert_eq!(
        cloud.call("GET", "/workers/services/back", None)["errors"][0]["code"],
        10090
    );
    let gone = cloud
        .wrangler(&front, &["delete", "--name", "back", "--force"])
        .fails_with("10090");
    assert_eq!(gone.event("command-failed")["code"], 10090);
}

#[test]
fn durable_object_migrations_are_applied_in_order() {
    let cloud = Cloud::start();
    let bindings = json!({"bindings": [{"name": "COUNTER", "class_name": "Counter"}]});
    let project = Project::new("objects", COUNTER)
        .with("durable_objects", bindings)
        .with(
            "migrations",
            json!([{"tag": "v1", "new_sqlite_classes": ["Counter"]}]),
        );
    let first = cloud.wrangler(&project, &["deploy"]).ok().version_id();
    cloud.wrangler(&project, &["deploy"]).ok();
    let namespaces = cloud.result("GET", "/workers/durable_objects/namespaces", None);
    assert_eq!(namespaces[0]["class"], "Counter");

    let renamed = Project::new("objects", &COUNTER.replace("Counter", "Renamed"))
        .with("durable_objects", json!({"bindings": [{"name": "COUNTER", "class_name": "Renamed"}]}))
        .with("migrations", json!([{"tag": "v1", "new_sqlite_classes": ["Counter"]}, {"tag": "v2", "renamed_classes": [{"from": "Counter", "to": "Renamed"}]}]));
    cloud
        .wrangler(&renamed, &["versions", "upload"])
        .fails_with("migration");
    cloud.wrangler(&renamed, &["deploy"]).ok();
    let after = cloud.result("GET", "/workers/durable_objects/namespaces", None);
    assert_eq!(
        (&after[0]["class"], &after[0]["id"]),
        (&json!("Renamed"), &namespaces[0]["id"])
    );
    cloud
        .wrangler(&renamed, &["rollback", &first, "-m", "x"])
        .fails_with("migration was applied");
    cloud.wrangler(&renamed, &["delete", "--force"]).ok();
    assert_eq!(
        cloud.result("GET", "/workers/durable_objects/namespaces", None),
        json!([])
    );
}

#[test]
fn a_class_in_use_must_stay_exported() {
    let cloud = Cloud::start();
    let bindings = json!({"bindings": [{"name": "COUNTER", "class_name": "Counter"}]});
    let project = Project::new("objects", COUNTER)
        .with("durable_objects", bindings)
        .with(
            "migrations",
            json!([{"tag": "v1", "new_sqlite_classes": ["Counter"]}]),
        );
    cloud.wrangler(&project, &["deploy"]).ok();
    let project = project.with("durable_objects", Value::Null).file(
        "src/index.js",
        "export default { fetch() { return new Response('ok'); } };\n",
    );
    let run = cloud
        .wrangler(&project, &["deploy"])
        .fails_with("does not export class 'Counter'");
    assert_eq!(run.event("command-failed")["code"], 10064);
}

#[test]
fn a_bundle_that_throws_at_start_up_is_refused() {
    let cloud = Cloud::start();
    let project = Project::new(
        "bad",
        "throw new Error('boom at start');\nexport default { fetch() {} };\n",
    );
    let run = cloud
        .wrangler(&project, &["deploy"])
        .fails_with("boom at start");
    assert_eq!(run.event("command-failed")["code"], 10021);
    assert_eq!(cloud.result("GET", "/workers/scripts", None), json!([]));
}

#[test]
fn storage_of_a_binding_must_exist_or_be_adopted() {
    let with_storage = |project: Project| {
        project
            .with("d1_databases", json!([{"binding": "DB", "database_name": "db", "database_id": "11111111-2222-3333-4444-555555555555"}]))
            .with("kv_namespaces", json!([{"binding": "KV", "id": "0123456789abcdef0123456789abcdef"}]))
    };
    let project = with_storage(Project::answering("api", "one"));
    let cloud = Cloud::start();
    let run = cloud
        .wrangler(&project, &["deploy"])
        .fails_with("not found");
    let code = run.event("command-failed")["code"].as_u64();
    assert!([Some(10041), Some(10181)].contains(&code), "{run}");
    let resources = json!({
        "d1": [{"id": "11111111-2222-3333-4444-555555555555", "name": "db"}],
        "kv": [{"id": "0123456789abcdef0123456789abcdef", "title": "cache"}],
        "r2": ["images"],
    });
    cloud.local("POST", "/resources", Some(resources.clone()));
    assert_eq!(
        cloud.local("POST", "/resources", Some(resources))["adopted"],
        json!([])
    );
    cloud.wrangler(&project, &["deploy"]).ok();

    let adopting = Cloud::start_with(&["--adopt"]);
    adopting.wrangler(&project, &["deploy"]).ok();
    let journal = adopting.local("GET", "/journal", None).to_string();
    assert!(
        journal.contains("adopted D1 database 11111111"),
        "{journal}"
    );
}

#[test]
fn whoami_and_authentication() {
    let cloud = Cloud::start();
    let project = Project::answering("api", "one");
    cloud
        .wrangler(&project, &["whoami"])
        .ok()
        .says("Local cloud");
    let path = "/client/v4/accounts/a/workers/scripts";
    for headers in [
        &[][..],
        &[("authorization", "Bearer ")],
        &[("authorization", "Basic x")],
    ] {
        let answer = cloud
            .http("GET", "127.0.0.1", path, headers, b"")
            .expect("an answer");
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["code"]),
            (403, &json!(10000))
        );
    }
}

#[test]
fn a_deployed_worker_answers_and_a_deleted_one_does_not() {
    let mut cloud = Cloud::start();
    let source = "import { DurableObject } from 'cloudflare:workers';
export class Counter extends DurableObject {
  async fetch() {
    const n = ((await this.ctx.storage.get('n')) ?? 0) + 1;
    await this.ctx.storage.put('n', n);
    return new Response(String(n));
  }
}
export default { fetch(request, env) { return env.COUNTER.getByName('one').fetch(request); } };
";
    let project = Project::new("objects", source)
        .with(
            "durable_objects",
            json!({"bindings": [{"name": "COUNTER", "class_name": "Counter"}]}),
        )
        .with(
            "migrations",
            json!([{"tag": "v1", "new_sqlite_classes": ["Counter"]}]),
        );
    let host = "objects.kiamichi.localhost";
    cloud.wrangler(&project, &["deploy"]).ok();
    assert_eq!(cloud.get(host, "/").body, "1");
    cloud.wrangler(&project, &["deploy"]).ok();
    assert_eq!(cloud.get(host, "/").body, "2", "a deploy keeps objects");
    cloud.restart();
    assert_eq!(cloud.get(host, "/").body, "3", "a restart keeps objects");

    let namespaces = cloud.result("GET", "/workers/durable_objects/namespaces", None);
    let id = namespaces[0]["id"].as_str().expect("an id").to_owned();
    let stored = |cloud: &Cloud| {
        let folder = std::fs::read_dir(cloud.state_dir().join("storage/do")).expect("a folder");
        let names = folder.map(|entry| entry.expect("an entry").file_name());
        names
            .filter(|name| name.to_string_lossy().contains(&id))
            .count()
    };
    assert_eq!(stored(&cloud), 1);
    cloud.wrangler(&project, &["delete", "--force"]).ok();
    assert_eq!(cloud.get(host, "/").status, 404);
    cloud.wrangler(&project, &["deploy"]).ok();
    assert_eq!(
        cloud.get(host, "/").body,
        "1",
        "a new Worker has new objects"
    );
    // The files go when the next world is applied: that answer came from it.
    assert_eq!(stored(&cloud), 0, "its objects are deleted with a Worker");
}

#[test]
fn a_preview_runs_beside_its_worker_and_dies_with_it() {
    let cloud = Cloud::start();
    let source = "export default { fetch(request, env) { return new Response('hello from ' + env.STAGE); } };\n";
    let project = Project::new("api", source)
        .with("vars", json!({"STAGE": "production"}))
        .with("previews", json!({"vars": {"STAGE": "preview"}}));
    cloud.wrangler(&project, &["deploy"]).ok();
    let run = cloud
        .wrangler(&project, &["preview", "--name", "feature/x", "--json"])
        .ok();
    assert_eq!(
        run.json()["deployment"]["env"]["STAGE"]["text"],
        "preview",
        "{run}"
    );
    let host = "feature-x-api.kiamichi.localhost";
    assert_eq!(cloud.get(host, "/").body, "hello from preview");
    assert_eq!(
        cloud.get("api.kiamichi.localhost", "/").body,
        "hello from production"
    );
    cloud
        .wrangler(&project, &["preview", "--name", "feature/x", "--json"])
        .ok();
    let scripts = cloud.result("GET", "/workers/scripts", None);
    assert_eq!(
        scripts.as_array().map(Vec::len),
        Some(1),
        "previews are hidden"
    );
    cloud
        .wrangler(
            &project,
            &["preview", "delete", "--name", "feature/x", "-y"],
        )
        .ok();
    assert_eq!(cloud.get(host, "/").status, 404);
}
