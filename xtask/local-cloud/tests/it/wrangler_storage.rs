//! The real wrangler's `d1`, `kv` and `r2` commands against the local cloud.

use crate::support::{ACCOUNT, Cloud, Project};
use serde_json::{Value, json};

/// A project whose config names the database, as `d1 migrations` wants it.
fn project_with(database: &Value) -> Project {
    Project::answering("shop", "hello").with(
        "d1_databases",
        json!([{
            "binding": "DB",
            "database_name": database["name"],
            "database_id": database["uuid"],
            "migrations_dir": "migrations",
        }]),
    )
}

fn create_database(cloud: &Cloud, name: &str) -> Value {
    cloud.result("POST", "/d1/database", Some(json!({ "name": name })))
}

/// The rows one statement gives, through the API.
#[track_caller]
fn rows(cloud: &Cloud, database: &Value, sql: &str) -> Value {
    let path = format!("/d1/database/{}/query", uuid(database));
    cloud.result("POST", &path, Some(json!({ "sql": sql })))[0]["results"].clone()
}

fn uuid(database: &Value) -> &str {
    database["uuid"].as_str().expect("a uuid")
}

#[test]
fn d1_databases_come_and_go() {
    let cloud = Cloud::start();
    let project = Project::answering("shop", "hello");
    cloud
        .wrangler(&project, &["d1", "create", "shop-db"])
        .ok()
        .says("shop-db");
    cloud
        .wrangler(&project, &["d1", "create", "shop-db"])
        .fails_with("A database with that name already exists");
    cloud
        .wrangler(&project, &["d1", "create", "no spaces"])
        .fails_with("7400");
    for number in 0..11 {
        create_database(&cloud, &format!("more-{number}"));
    }

    let list = cloud
        .wrangler(&project, &["d1", "list", "--json"])
        .ok()
        .json();
    assert_eq!(list.as_array().map(Vec::len), Some(12), "two pages: {list}");
    let info = cloud
        .wrangler(&project, &["d1", "info", "shop-db", "--json"])
        .ok()
        .json();
    assert_eq!(
        (&info["name"], &info["num_tables"]),
        (&json!("shop-db"), &json!(0)),
        "{info}"
    );

    cloud
        .wrangler(&project, &["d1", "delete", "shop-db", "-y"])
        .ok();
    cloud
        .wrangler(&project, &["d1", "delete", "shop-db", "-y"])
        .fails_with("shop-db");
    let gone = cloud.call("GET", "/d1/database/shop-db", None);
    assert_eq!(gone["errors"][0]["code"], 7404, "{gone}");
}

#[test]
fn d1_runs_commands_and_files() {
    let cloud = Cloud::start();
    let database = create_database(&cloud, "shop-db");
    let project = Project::answering("shop", "hello")
        .file(
            "good.sql",
            "CREATE TABLE item(id INTEGER PRIMARY KEY, zest TEXT, apple TEXT);\n\
             -- a comment; with a semicolon\n\
             INSERT INTO item VALUES (1, 'a;b', 'x'), (2, 'c', NULL);\n\
             CREATE TRIGGER t AFTER INSERT ON item BEGIN UPDATE item SET apple = 'new' WHERE id = NEW.id; END;\n\
             INSERT INTO item (id) VALUES (3);\n",
        )
        .file("bad.sql", "CREATE TABLE a(x);\nINSERT INTO a VALUES (1);\nINSERT INTO nowhere VALUES (1);\n");
    let execute = |rest: &[&str]| {
        cloud.wrangler(
            &project,
            &[&["d1", "execute", "shop-db", "--remote", "--json"], rest].concat(),
        )
    };

    execute(&["--file", "good.sql", "-y"])
        .ok()
        .says("Total queries executed");
    // The same file again: it is already there, and fails this time because the table is.
    execute(&["--file", "good.sql", "-y"]).fails_with("table item already exists");
    execute(&["--file", "bad.sql", "-y"]).fails_with("no such table: nowhere");
    let tables = rows(
        &cloud,
        &database,
        "SELECT name FROM sqlite_master WHERE name = 'a'",
    );
    assert_eq!(tables, json!([]), "nothing of a failed file stays");

    let select = execute(&["--command", "SELECT * FROM item WHERE id <> 2"])
        .ok()
        .json();
    let expected = json!([{ "id": 1, "zest": "a;b", "apple": "x" }, { "id": 3, "zest": null, "apple": "new" }]);
    assert_eq!(select[0]["results"], expected);
    let columns: Vec<_> = select[0]["results"][0]
        .as_object()
        .expect("a row")
        .keys()
        .collect();
    assert_eq!(
        columns,
        ["id", "zest", "apple"],
        "columns in the order of the query"
    );

    let two = execute(&[
        "--command",
        "DELETE FROM item WHERE id = 1; SELECT count(*) AS n FROM item",
    ])
    .ok()
    .json();
    assert_eq!(two[1]["results"], json!([{ "n": 2 }]), "{two}");
    execute(&["--command", "DELETE FROM item; SELECT * FROM nowhere"]).fails_with("7500");
    assert_eq!(
        rows(&cloud, &database, "SELECT count(*) AS n FROM item"),
        json!([{ "n": 2 }])
    );
}

#[test]
fn d1_query_takes_parameters_batches_and_raw() {
    let cloud = Cloud::start();
    let database = create_database(&cloud, "shop-db");
    let path = |action: &str| format!("/d1/database/{}/{action}", uuid(&database));
    let batch = json!({ "batch": [
        { "sql": "CREATE TABLE t(a, b)" },
        { "sql": "INSERT INTO t VALUES (?, ?) -- two", "params": [1, "x"] },
        { "sql": "INSERT INTO t VALUES (?, ?)", "params": [2, null] },
    ] });
    let results = cloud.result("POST", &path("query"), Some(batch));
    assert_eq!(results.as_array().map(Vec::len), Some(3), "{results}");
    let raw = json!({ "sql": "SELECT b, a FROM t WHERE a >= ?", "params": [1] });
    let raw = cloud.result("POST", &path("raw"), Some(raw));
    assert_eq!(
        raw[0]["results"],
        json!({ "columns": ["b", "a"], "rows": [["x", 1], [null, 2]] })
    );

    let failing = json!({ "batch": [{ "sql": "DELETE FROM t" }, { "sql": "INSERT INTO nowhere VALUES (1)" }] });
    let error = cloud.call("POST", &path("query"), Some(failing));
    assert_eq!(error["errors"][0]["code"], 7500, "{error}");
    assert_eq!(
        rows(&cloud, &database, "SELECT count(*) AS n FROM t"),
        json!([{ "n": 2 }])
    );
    let empty = cloud.call("POST", &path("query"), Some(json!({ "sql": " " })));
    assert_eq!(empty["errors"][0]["code"], 7400, "{empty}");
}

#[test]
fn d1_migrations_are_listed_and_applied() {
    let cloud = Cloud::start();
    let database = create_database(&cloud, "shop-db");
    let project = project_with(&database);
    cloud
        .wrangler(
            &project,
            &["d1", "migrations", "create", "shop-db", "first"],
        )
        .ok();
    let project = project
        .file(
            "migrations/0001_first.sql",
            "CREATE TABLE item(id INTEGER PRIMARY KEY);\nINSERT INTO item VALUES (1);\n",
        )
        .file(
            "migrations/0002_second.sql",
            "INSERT INTO item VALUES (2);\nINSERT INTO nowhere VALUES (1);\n",
        );
    let list = || {
        cloud
            .wrangler(
                &project,
                &["d1", "migrations", "list", "shop-db", "--remote"],
            )
            .ok()
    };
    let apply = || {
        cloud.wrangler(
            &project,
            &["d1", "migrations", "apply", "shop-db", "--remote"],
        )
    };
    list().says("0001_first.sql").says("0002_second.sql");

    apply().fails_with("no such table: nowhere");
    let ledger = rows(
        &cloud,
        &database,
        "SELECT name FROM d1_migrations ORDER BY id",
    );
    assert_eq!(ledger, json!([{ "name": "0001_first.sql" }]));
    assert_eq!(
        rows(&cloud, &database, "SELECT id FROM item"),
        json!([{ "id": 1 }]),
        "0002 left nothing"
    );

    std::fs::write(
        project.dir.path().join("migrations/0002_second.sql"),
        "INSERT INTO item VALUES (2);\n",
    )
    .expect("the file can be written");
    apply().ok();
    assert_eq!(
        rows(&cloud, &database, "SELECT count(*) AS n FROM item"),
        json!([{ "n": 2 }])
    );
    list().says("No migrations to apply");
}

#[test]
fn d1_exports_what_was_imported() {
    let cloud = Cloud::start();
    let database = create_database(&cloud, "shop-db");
    rows(&cloud, &database, "CREATE TABLE a(x TEXT)");
    rows(&cloud, &database, "INSERT INTO a VALUES ('it''s; here')");
    rows(&cloud, &database, "CREATE TABLE b(y)");
    let project = project_with(&database);
    let export = |file: &str, more: &[&str]| {
        let fixed = [
            "d1", "export", "shop-db", "--remote", "-y", "--output", file,
        ];
        cloud.wrangler(&project, &[&fixed, more].concat()).ok();
        std::fs::read_to_string(project.dir.path().join(file)).expect("the export was written")
    };
    let all = export("all.sql", &[]);
    assert!(
        all.contains("CREATE TABLE") && all.contains("it''s; here"),
        "{all}"
    );
    let schema = export("schema.sql", &["--no-data"]);
    assert!(
        schema.contains("CREATE TABLE") && !schema.contains("INSERT"),
        "{schema}"
    );
    let data = export("data.sql", &["--no-schema", "--table", "a"]);
    assert!(
        !data.contains("CREATE TABLE") && data.contains("it''s; here"),
        "{data}"
    );

    let copy = create_database(&cloud, "copy-db");
    cloud
        .wrangler(
            &project,
            &[
                "d1", "execute", "copy-db", "--remote", "-y", "--file", "all.sql",
            ],
        )
        .ok();
    assert_eq!(
        rows(&cloud, &copy, "SELECT x FROM a"),
        json!([{ "x": "it's; here" }])
    );
}

#[test]
fn d1_travels_in_time() {
    let mut cloud = Cloud::start();
    let database = create_database(&cloud, "shop-db");
    let project = project_with(&database);
    rows(&cloud, &database, "CREATE TABLE t(a)");
    rows(&cloud, &database, "INSERT INTO t VALUES (1), (2)");
    let info = || {
        cloud
            .wrangler(
                &project,
                &["d1", "time-travel", "info", "shop-db", "--json"],
            )
            .ok()
            .json()
    };
    let before = info()["bookmark"].clone();
    assert_eq!(before, info()["bookmark"], "nothing changed in between");
    let groups: Vec<usize> = before
        .as_str()
        .expect("a bookmark")
        .split('-')
        .map(str::len)
        .collect();
    assert_eq!(groups, [8, 8, 8, 32], "{before}");

    rows(&cloud, &database, "DELETE FROM t");
    let bookmark = |value: &Value| value.as_str().expect("a bookmark").to_owned();
    // The points must outlive the process.
    cloud.restart();
    let restore = |to: &str| {
        let fixed = [
            "d1",
            "time-travel",
            "restore",
            "shop-db",
            "--json",
            "--bookmark",
            to,
        ];
        cloud.wrangler(&project, &fixed).ok().json()
    };
    let restored = restore(&bookmark(&before));
    assert_eq!(restored["bookmark"], before);
    assert!(
        bookmark(&restored["previous_bookmark"]) > bookmark(&before),
        "bookmarks increase: {restored}"
    );
    assert_eq!(
        rows(&cloud, &database, "SELECT count(*) AS n FROM t"),
        json!([{ "n": 2 }]),
        "the rows are back"
    );

    restore(&bookmark(&restored["previous_bookmark"]));
    assert_eq!(
        rows(&cloud, &database, "SELECT count(*) AS n FROM t"),
        json!([{ "n": 0 }]),
        "a restore is undoable"
    );

    let unknown = [
        "d1",
        "time-travel",
        "restore",
        "shop-db",
        "--json",
        "--bookmark",
        "00000000-0",
    ];
    cloud
        .wrangler(&project, &unknown)
        .fails_with("invalid bookmark");
}

#[test]
fn workers_wait_while_a_database_is_restored() {
    let cloud = Cloud::start();
    let database = create_database(&cloud, "shop-db");
    let source = "export default { async fetch(_, env) {\n\
                  const row = await env.DB.prepare('SELECT count(*) AS n FROM t').first();\n\
                  return new Response(String(row.n)); } };\n";
    let project = Project::new("shop", source).with(
        "d1_databases",
        json!([{ "binding": "DB", "database_name": "shop-db", "database_id": database["uuid"] }]),
    );
    rows(&cloud, &database, "CREATE TABLE t(a)");
    cloud.wrangler(&project, &["deploy"]).ok();
    let path = format!("/d1/database/{}/time_travel", uuid(&database));
    let empty = cloud.result("GET", &format!("{path}/bookmark"), None);
    let empty = empty["bookmark"].as_str().expect("a bookmark");
    rows(&cloud, &database, "INSERT INTO t VALUES (1)");
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            (0..100)
                .map(|_| cloud.get("shop.kiamichi.localhost", "/"))
                .collect::<Vec<_>>()
        });
        cloud.result("POST", &format!("{path}/restore?bookmark={empty}"), None);
        let answers = reader.join().expect("the reader ends");
        let odd = answers
            .iter()
            .find(|answer| !matches!(&*answer.body, "0" | "1"));
        assert!(
            odd.is_none(),
            "a request failed during the restore: {odd:?}"
        );
    });
    assert_eq!(cloud.get("shop.kiamichi.localhost", "/").body, "0");
}

#[test]
fn ids_of_a_config_are_adopted_when_asked_for() {
    let id = "11111111-2222-4333-8444-555555555555";
    let namespace = "0123456789abcdef0123456789abcdef";
    let query = json!({ "sql": "SELECT 1 AS one" });
    let ask = |cloud: &Cloud| {
        let database = cloud.call(
            "POST",
            &format!("/d1/database/{id}/query"),
            Some(query.clone()),
        );
        let keys = cloud.call(
            "GET",
            &format!("/storage/kv/namespaces/{namespace}/keys"),
            None,
        );
        (database["success"].clone(), keys["success"].clone())
    };
    assert_eq!(ask(&Cloud::start()), (json!(false), json!(false)));
    assert_eq!(
        ask(&Cloud::start_with(&["--adopt"])),
        (json!(true), json!(true))
    );
}

#[test]
fn d1_finds_the_bookmark_of_a_moment() {
    let cloud = Cloud::start();
    let database = create_database(&cloud, "shop-db");
    let path = |rest: &str| format!("/d1/database/{}/time_travel/{rest}", uuid(&database));
    rows(&cloud, &database, "CREATE TABLE t(a)");
    let created = cloud.result("GET", &path("bookmark"), None)["bookmark"].clone();
    std::thread::sleep(std::time::Duration::from_millis(5));
    let moment = humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string();
    std::thread::sleep(std::time::Duration::from_millis(5));
    rows(&cloud, &database, "INSERT INTO t VALUES (1)");
    let then =
        cloud.result("GET", &path(&format!("bookmark?timestamp={moment}")), None)["bookmark"]
            .clone();
    assert_eq!(then, created);
    cloud.result("POST", &path(&format!("restore?timestamp={moment}")), None);
    assert_eq!(
        rows(&cloud, &database, "SELECT count(*) AS n FROM t"),
        json!([{ "n": 0 }])
    );
    let early = cloud.call(
        "GET",
        &path("bookmark?timestamp=2020-01-01T00:00:00.000Z"),
        None,
    );
    assert_eq!(early["success"], false, "{early}");
}

#[test]
fn d1_import_refuses_what_was_not_announced() {
    let cloud = Cloud::start();
    let database = create_database(&cloud, "shop-db");
    let path = format!("/d1/database/{}/import", uuid(&database));
    let import = |body: Value| cloud.call("POST", &path, Some(body));
    assert_eq!(
        import(json!({ "action": "init", "etag": "../../x" }))["success"],
        false
    );
    let etag = "d41d8cd98f00b204e9800998ecf8427e";
    let init = import(json!({ "action": "init", "etag": etag }))["result"].clone();
    let url = init["upload_url"].as_str().expect("an upload URL");
    let upload_path = &url[url.find("/client").expect("an API path")..];
    let put = |body: &[u8]| {
        cloud
            .http("PUT", "127.0.0.1", upload_path, &[], body)
            .expect("an answer")
    };
    assert_eq!(
        put(b"SELECT 1").status,
        400,
        "another content than announced"
    );
    let early = import(json!({ "action": "ingest", "etag": etag, "filename": init["filename"] }));
    assert_eq!(early["success"], false, "not uploaded yet: {early}");
    let idle = import(json!({ "action": "poll", "current_bookmark": "" }))["result"].clone();
    assert_eq!(idle["error"], "Not currently importing anything.");
    let uploaded = put(b"");
    assert_eq!(
        (uploaded.status, uploaded.header("etag")),
        (200, Some(&*format!("\"{etag}\"")))
    );
    let mut done =
        import(json!({ "action": "ingest", "etag": etag, "filename": init["filename"] }));
    while done["result"]["status"] == "active" {
        let at = done["result"]["at_bookmark"].clone();
        done = import(json!({ "action": "poll", "current_bookmark": at }));
    }
    let done = done["result"].clone();
    assert_eq!(
        (&done["status"], &done["result"]["num_queries"]),
        (&json!("complete"), &json!(0)),
        "{done}"
    );
    let stranger = format!("/client/v4/local-cloud/d1/uploads/{ACCOUNT}");
    assert_eq!(
        cloud
            .http("PUT", "127.0.0.1", &stranger, &[], b"")
            .map(|answer| answer.status),
        Some(403)
    );
}

#[test]
fn kv_namespaces_come_and_go() {
    let cloud = Cloud::start();
    let project = Project::answering("shop", "hello");
    cloud
        .wrangler(&project, &["kv", "namespace", "create", "CACHE"])
        .ok()
        .says("CACHE");
    cloud
        .wrangler(&project, &["kv", "namespace", "create", "CACHE"])
        .fails_with("already exists");
    let list = cloud
        .wrangler(&project, &["kv", "namespace", "list"])
        .ok()
        .json();
    assert_eq!(list[0]["title"], "CACHE", "{list}");
    let page = cloud.result("GET", "/storage/kv/namespaces?per_page=1000&page=2", None);
    assert_eq!(page, json!([]), "a page past the end is empty");
    let id = list[0]["id"].as_str().expect("an id");
    let path = format!("/storage/kv/namespaces/{id}");
    cloud.result("PUT", &path, Some(json!({ "title": "RENAMED" })));
    assert_eq!(cloud.result("GET", &path, None)["title"], "RENAMED");
    cloud
        .wrangler(
            &project,
            &["kv", "namespace", "delete", "--namespace-id", id, "-y"],
        )
        .ok();
    assert_eq!(cloud.call("GET", &path, None)["errors"][0]["code"], 10013);
}

#[test]
fn kv_keys_are_put_got_listed_and_deleted() {
    let cloud = Cloud::start();
    let project = Project::answering("shop", "hello").file(
        "bulk.json",
        r#"[{"key":"bulk/1","value":"one"},{"key":"bulk/2","value":"dHdv","base64":true,"metadata":{"n":2}}]"#,
    );
    let namespace = cloud.result(
        "POST",
        "/storage/kv/namespaces",
        Some(json!({ "title": "CACHE" })),
    );
    let id = namespace["id"].as_str().expect("an id");
    let key = |rest: &[&str]| {
        let fixed = ["kv", "key", rest[0], "--remote", "--namespace-id", id];
        cloud.wrangler(&project, &[&fixed, &rest[1..]].concat())
    };
    key(&["put", "a/b c", "value 1"]).ok();
    key(&[
        "put",
        "with-metadata",
        "v",
        "--metadata",
        r#"{"m":1}"#,
        "--ttl",
        "3600",
    ])
    .ok();
    assert_eq!(key(&["get", "a/b c", "--text"]).ok().stdout, "value 1\n");
    key(&["put", "short", "v", "--ttl", "59"]).fails_with("60");
    key(&["get", "nowhere"]).fails_with("404");

    let bulk = [
        "kv",
        "bulk",
        "put",
        "bulk.json",
        "--remote",
        "--namespace-id",
        id,
    ];
    cloud.wrangler(&project, &bulk).ok();
    let keys = key(&["list", "--prefix", "bulk/"]).ok().json();
    assert_eq!(
        keys,
        json!([{ "name": "bulk/1" }, { "name": "bulk/2", "metadata": { "n": 2 } }])
    );
    assert_eq!(key(&["get", "bulk/2", "--text"]).ok().stdout, "two\n");
    let listed = key(&["list", "--prefix", "with"]).ok().json();
    assert!(
        listed[0]["expiration"].is_u64() && listed[0]["metadata"] == json!({ "m": 1 }),
        "{listed}"
    );

    key(&["delete", "a/b c"]).ok();
    key(&["get", "a/b c"]).fails_with("404");
}

#[test]
fn kv_is_paged_and_read_in_bulk() {
    let cloud = Cloud::start();
    let namespace = json!({ "title": "CACHE" });
    let namespace = cloud.result("POST", "/storage/kv/namespaces", Some(namespace));
    let id = namespace["id"].as_str().expect("an id");
    let base = format!("/storage/kv/namespaces/{id}");
    let pairs = json!([
        { "key": "bulk/1", "value": "one" },
        { "key": "bulk/2", "value": "two" },
        { "key": "other", "value": "v", "metadata": { "m": 1 } },
    ]);
    cloud.result("PUT", &format!("{base}/bulk"), Some(pairs));
    let first = cloud.call("GET", &format!("{base}/keys?limit=2"), None);
    let cursor = first["result_info"]["cursor"].as_str().expect("a cursor");
    assert!(!cursor.is_empty(), "{first}");
    let second = cloud.call("GET", &format!("{base}/keys?limit=2&cursor={cursor}"), None);
    assert_eq!(
        second["result"].as_array().map(Vec::len),
        Some(1),
        "{second}"
    );
    assert_eq!(second["result_info"]["cursor"], "", "{second}");
    let values = cloud.result(
        "POST",
        &format!("{base}/bulk/get"),
        Some(json!({ "keys": ["bulk/1", "nowhere"] })),
    );
    assert_eq!(
        values,
        json!({ "values": { "bulk/1": "one", "nowhere": null } })
    );
    assert_eq!(
        cloud.result("GET", &format!("{base}/metadata/other"), None),
        json!({ "m": 1 })
    );
    let unsafe_pair = json!([{ "key": "ok", "value": "v" }, { "key": "..", "value": "v" }]);
    let refused = cloud.call("PUT", &format!("{base}/bulk"), Some(unsafe_pair));
    assert_eq!(refused["success"], false, "{refused}");
    cloud.result(
        "DELETE",
        &format!("{base}/bulk"),
        Some(json!(["bulk/1", "bulk/2"])),
    );
    let left = cloud.result("GET", &format!("{base}/keys"), None);
    let names: Vec<_> = left
        .as_array()
        .into_iter()
        .flatten()
        .map(|key| &key["name"])
        .collect();
    assert_eq!(
        names,
        ["other"],
        "nothing of the refused request was written"
    );
}

#[test]
fn r2_buckets_and_objects_come_and_go() {
    let cloud = Cloud::start();
    let project = Project::answering("shop", "hello").file("logo.txt", "a logo");
    let bucket = |rest: &[&str]| cloud.wrangler(&project, &[&["r2", "bucket"], rest].concat());
    let object = |rest: &[&str]| {
        cloud.wrangler(&project, &[&["r2", "object"], rest, &["--remote"]].concat())
    };
    bucket(&["create", "images"]).ok();
    bucket(&["create", "images"]).fails_with("10004");
    bucket(&["list"]).ok().says("images");
    let no_name = cloud.call("POST", "/r2/buckets", Some(json!({ "name": "No" })));
    assert_eq!(no_name["errors"][0]["code"], 10005);
    let add = ["lifecycle", "add", "images", "old ones", "logs/"];
    bucket(&[&add[..], &["--expire-days", "7"]].concat()).ok();
    let rules = bucket(&["lifecycle", "list", "images"]).ok();
    rules.says("old ones").says("Default Multipart Abort Rule");

    object(&[
        "put",
        "images/a/b c.txt",
        "--file",
        "logo.txt",
        "--content-type",
        "text/x-logo",
    ])
    .ok();
    object(&["get", "images/a/b c.txt", "--file", "copy.txt"]).ok();
    let copy = std::fs::read_to_string(project.dir.path().join("copy.txt"))
        .expect("the object was written");
    assert_eq!(copy, "a logo");
    let path = format!("/client/v4/accounts/{ACCOUNT}/r2/buckets/images/objects/a/b%20c.txt");
    assert_eq!(
        cloud.request("GET", &path, None).header("content-type"),
        Some("text/x-logo")
    );
    let listed = cloud.result("GET", "/r2/buckets/images/objects?prefix=a/", None);
    assert_eq!(
        (&listed[0]["key"], &listed[0]["size"]),
        (&json!("a/b c.txt"), &json!(6)),
        "{listed}"
    );

    let info = bucket(&["info", "images", "--json"]).ok().json();
    assert_eq!(
        (&info["name"], &info["object_count"]),
        (&json!("images"), &json!("1")),
        "{info}"
    );
    bucket(&["delete", "images"]).fails_with("10008");
    object(&["delete", "images/a/b c.txt"]).ok();
    object(&["get", "images/a/b c.txt", "--file", "copy.txt"]).fails_with("does not exist");
    bucket(&["delete", "images"]).ok();
    bucket(&["info", "images"]).fails_with("10006");
}
