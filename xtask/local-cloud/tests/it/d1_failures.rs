//! D1 in trouble: each failure with its text, before, within and after the work, as the real wrangler meets it.

use crate::support::{Cloud, Project};
use serde_json::{Value, json};

struct World {
    cloud: Cloud,
    project: Project,
    uuid: String,
}

impl World {
    /// One database with a table of one row, and a file that adds three.
    fn new() -> Self {
        let cloud = Cloud::start();
        let made = cloud.result("POST", "/d1/database", Some(json!({"name": "shop"})));
        let uuid = made["uuid"].as_str().expect("a uuid").to_owned();
        let databases = json!([{ "binding": "DB", "database_name": "shop", "database_id": uuid }]);
        let rows =
            "INSERT INTO t VALUES (2);\nINSERT INTO t VALUES (3);\nINSERT INTO t VALUES (4);\n";
        let project = Project::answering("shop", "hello")
            .with("d1_databases", databases)
            .file("rows.sql", rows);
        let world = Self {
            cloud,
            project,
            uuid,
        };
        let answer =
            world.query("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
        assert_eq!(answer["success"], true, "{answer}");
        world
    }

    fn query(&self, sql: &str) -> Value {
        let path = format!("/d1/database/{}/query", self.uuid);
        self.cloud.call("POST", &path, Some(json!({ "sql": sql })))
    }

    #[track_caller]
    fn ids(&self) -> Vec<u64> {
        let answer = self.query("SELECT id FROM t ORDER BY id");
        let rows = answer["result"][0]["results"].as_array().expect("rows");
        rows.iter().filter_map(|row| row["id"].as_u64()).collect()
    }

    fn fault(&self, fault: Value) {
        self.cloud.local("POST", "/faults", Some(fault));
    }

    fn import(&self) -> crate::support::Run {
        let arguments = [
            "d1", "execute", "shop", "--remote", "--file", "rows.sql", "-y",
        ];
        self.cloud.wrangler(&self.project, &arguments)
    }
}

#[test]
fn a_query_fails_with_the_words_of_d1() {
    let world = World::new();
    let trouble = [
        (
            "overloaded",
            "D1 DB is overloaded. Requests queued for too long.",
        ),
        ("locked", "database is locked: SQLITE_BUSY"),
        (
            "timeout",
            "D1 DB storage operation exceeded timeout which caused object to be reset.",
        ),
        ("reset", "D1 DB reset because its code was updated."),
        ("network_lost", "Network connection lost."),
        ("internal", "internal error; reference = local-cloud"),
        (
            "cpu_limit",
            "D1 DB exceeded its CPU time limit and was reset.",
        ),
        ("full", "Exceeded maximum DB size."),
        ("exporting", "Currently processing a long-running export."),
    ];
    for (failure, text) in trouble {
        world.fault(json!({"path": "/query$", "action": {"d1": failure}}));
        let answer = world.query("INSERT INTO t (id) SELECT max(id) + 1 FROM t");
        assert_eq!(answer["errors"], json!([{"code": 7500, "message": text}]));
    }
    assert_eq!(world.ids(), [1], "nothing was done");

    // The API stops waiting, the database does not: this is how a write is lost sight of.
    world.fault(json!({"path": "/query$", "action": {"d1": "gateway_timeout", "when": "after"}}));
    let path = format!(
        "/client/v4/accounts/{}/d1/database/{}/query",
        crate::support::ACCOUNT,
        world.uuid
    );
    let answer = world.cloud.request(
        "POST",
        &path,
        Some(json!({"sql": "INSERT INTO t VALUES (2)"})),
    );
    assert_eq!(answer.status, 504);
    assert!(answer.body.starts_with("<!DOCTYPE html>"), "{answer}");
    assert_eq!(world.ids(), [1, 2]);
}

#[test]
fn an_import_fails_before_within_and_after_its_work() {
    let world = World::new();
    let import = |action: Value| {
        world.fault(json!({"scope": "job", "path": "/import$", "action": action}));
        world
            .import()
            .fails_with("storage operation exceeded timeout");
        world.ids()
    };
    assert_eq!(import(json!({"d1": "timeout"})), [1]);
    assert_eq!(import(json!({"d1": "timeout", "statements": 2})), [1, 2, 3]);
    let removed = world.query("DELETE FROM t WHERE id > 1");
    assert_eq!(removed["success"], true);
    assert_eq!(
        import(json!({"d1": "timeout", "when": "after"})),
        [1, 2, 3, 4],
        "told as failed, and done"
    );
    let journal = world.cloud.local("GET", "/journal", None).to_string();
    let note = format!("in the import of D1 database {}", world.uuid);
    assert_eq!(journal.matches(&note).count(), 3, "{journal}");

    // A point in time before each of them: what stayed of a failed import can be undone.
    world.query("DELETE FROM t WHERE id > 1");
    let bookmark = world.cloud.result(
        "GET",
        &format!("/d1/database/{}/time_travel/bookmark", world.uuid),
        None,
    )["bookmark"]
        .clone();
    assert_eq!(import(json!({"d1": "timeout", "statements": 1})), [1, 2]);
    let arguments = [
        "d1",
        "time-travel",
        "restore",
        "shop",
        "--json",
        "--bookmark",
        bookmark.as_str().expect("a bookmark"),
    ];
    world.cloud.wrangler(&world.project, &arguments).ok();
    assert_eq!(world.ids(), [1]);
    world.import().ok();
    assert_eq!(world.ids(), [1, 2, 3, 4]);
}

#[test]
fn a_slow_import_is_polled_and_an_export_can_fail() {
    let world = World::new();
    world.fault(json!({"scope": "job", "path": "/import$", "action": {"delay_ms": 1500}}));
    world.cloud.local("DELETE", "/journal", None);
    world.import().ok();
    assert_eq!(world.ids(), [1, 2, 3, 4]);
    let journal = world.cloud.local("GET", "/journal", None);
    let polls = journal["entries"].as_array().expect("entries").iter();
    let polls = polls.filter(|entry| entry["request_body"]["action"] == "poll");
    assert!(polls.count() >= 2, "{journal}");

    world.fault(json!({"scope": "job", "path": "/export$", "action": {"d1": "internal"}}));
    let export = || {
        let arguments = [
            "d1", "export", "shop", "--remote", "--output", "dump.sql", "-y",
        ];
        world.cloud.wrangler(&world.project, &arguments)
    };
    export().fails_with("internal error");
    export().ok();

    let status = json!({"scope": "job", "action": {"status": 500}});
    let refused = world.cloud.request("POST", "/_local/faults", Some(status));
    assert_eq!(refused.status, 400, "{refused}");
}
