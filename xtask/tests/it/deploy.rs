//! `deploy`, whole runs that end well: the real binary, wrangler and workerd against a local cloud.
#![cfg(unix)]

use crate::support::{World, repo};
use serde_json::{Value, json};

/// The database of this repo's own workers, and the account of its `pipeline.toml`.
const KIAMICHI_SITE: &str = "kiamichibizconnect.com";
const KIAMICHI_APP: &str = "app.kiamichibizconnect.com";

#[test]
fn the_repos_own_workers_go_live_together() {
    let world = World::kiamichi();
    world.deploy();

    let found = world.edge_get(KIAMICHI_SITE, "/api/search?q=coffee").ok();
    assert!(found.to_string().contains("Talimena Coffee"), "{found}");
    let page = world.edge_get(KIAMICHI_SITE, "/business/pine-ridge-diner");
    assert!(page.body.contains("Pine Ridge Diner"), "{page}");
    let www = world.edge_get("www.kiamichibizconnect.com", "/");
    assert_eq!(www.status, 200, "{www}");
    let dashboard = world.edge_get(KIAMICHI_APP, "/");
    assert!(dashboard.body.contains("<html"), "{dashboard}");
    let analyzed = world.edge_get(KIAMICHI_APP, "/api/analyze/pine-ridge-diner");
    assert!(analyzed.ok()["summary"].is_string(), "{analyzed}");
    let siblings = world.edge_get(KIAMICHI_APP, "/api/siblings").ok();
    assert_eq!(siblings["ok"], true, "{siblings}");

    say(&world, "is the diner open on Sunday?");
    assert_eq!(transcript(&world).len(), 2, "a question and an answer");
    world.clear_journal();
    world.change("workers/business-agent/src/index.ts");
    world.deploy().says("1 of 4 workers changed");
    assert_eq!(
        world.uploads(),
        ["POST /workers/scripts/kiamichi-business-agent/versions"]
    );
    assert_eq!(transcript(&world).len(), 2, "kept by the Durable Object");
    say(&world, "and on Monday?");
    assert_eq!(transcript(&world).len(), 4);

    world.clear_journal();
    world
        .deploy()
        .says("nothing changed: no version was uploaded");
    assert_eq!(world.uploads(), [""; 0]);
}

#[track_caller]
fn say(world: &World, text: &str) {
    let body = json!({ "text": text }).to_string();
    let json = [("content-type", "application/json")];
    let cloud = world.cloud();
    let answer = cloud.edge("POST", KIAMICHI_APP, "/api/chat/owner", &json, &body);
    assert_eq!(answer.status, 201, "{answer}");
}

#[track_caller]
fn transcript(world: &World) -> Vec<Value> {
    let answer = world.edge_get(KIAMICHI_APP, "/api/chat/owner").ok();
    answer["messages"].as_array().cloned().unwrap_or_default()
}

#[test]
fn only_what_changed_is_uploaded() {
    let world = World::new();
    world.deploy().says("3 of 3 workers changed");
    let notes = world.edge_get("small.example", "/notes").ok();
    assert_eq!(notes["notes"], json!(["first note"]));
    assert_eq!(world.edge_get("small.example", "/agent").ok()["count"], 1);
    let secrets = world.edge_get("small.example", "/secrets").ok();
    assert_eq!(
        secrets,
        json!({"site": "the-site-key".len(), "api": "the-api-key".len()})
    );
    let first = versions(&world);

    // The same commit, and then a commit that changes no worker.
    world.clear_journal();
    world
        .deploy()
        .says("nothing changed: no version was uploaded");
    world.edit("README.md", "text");
    world.commit("words");
    world
        .deploy()
        .says("nothing changed: no version was uploaded");
    assert_eq!(writes(&world), [""; 0], "only the lease is written");
    assert_eq!(versions(&world), first);

    // Both have changed, one is asked for.
    world.change("workers/api/index.js");
    world.change("workers/agent/index.js");
    world.clear_journal();
    world
        .run(["deploy", "--only", "api"])
        .exits(0)
        .says("1 of 1 workers changed");
    assert_eq!(
        world.uploads(),
        ["POST /workers/scripts/small-api/versions"]
    );
    let second = versions(&world);
    assert_ne!(second[2], first[2]);
    assert_eq!(second[..2], first[..2]);
    assert_eq!(served_by(&world, "/api"), second[2]);

    // The other one follows by a canary; the Durable Object counts on.
    world.clear_journal();
    world
        .run(["deploy", "--canary", "10", "--bake", "2s"])
        .exits(0)
        .says("1 of 3 workers changed");
    let splits = deployments(&world, "small-agent");
    assert_eq!(splits, [json!([0, 100]), json!([10, 90]), json!([100])]);
    let third = versions(&world);
    assert_ne!(third[1], second[1]);
    assert_eq!(world.edge_get("small.example", "/agent").ok()["count"], 2);

    // Unchanged, and uploaded all the same.
    world.clear_journal();
    world
        .run(["deploy", "--only", "small-api", "--force"])
        .exits(0);
    assert_eq!(world.uploads().len(), 1);
    assert_ne!(versions(&world)[2], third[2]);
}

/// What serves site, agent and api.
#[track_caller]
fn versions(world: &World) -> [String; 3] {
    ["small-site", "small-agent", "small-api"].map(|script| world.serving(script))
}

/// The version that says it answered.
#[track_caller]
fn served_by(world: &World, path: &str) -> String {
    let answer = world.edge_get("small.example", path).ok();
    answer["version"].as_str().expect("a version").to_owned()
}

/// Requests that change something on the cloud; questions that are POSTs and the lease's own queries left out.
#[track_caller]
fn writes(world: &World) -> Vec<String> {
    let harmless = ["/query", "/domains/changeset", "/time_travel/bookmark"];
    let mut lines = world.requests();
    lines.retain(|line| {
        !line.starts_with("GET ") && !harmless.iter().any(|end| line.ends_with(end))
    });
    lines
}

/// The percentages of each deployment that was made of a worker.
#[track_caller]
fn deployments(world: &World, script: &str) -> Vec<Value> {
    let path = format!("POST /workers/scripts/{script}/deployments");
    let journal = world.journal();
    let made = journal
        .iter()
        .filter(|entry| crate::support::request_line(entry) == path);
    let shares = |entry: &Value| {
        let versions = entry["request_body"]["versions"].as_array().cloned();
        let versions = versions.unwrap_or_default();
        Value::from_iter(versions.iter().map(|version| version["percentage"].clone()))
    };
    made.map(shares).collect()
}

#[test]
fn a_dry_run_writes_nothing_anywhere() {
    let empty = World::new();
    let nothing = empty.cloud_state();
    check_dry_run(&empty);
    assert_eq!(empty.cloud_state(), nothing);
    drop(empty);
    let mut world = World::deployed();
    world.change("workers/api/index.js");
    world.edit("migrations/0002_more.sql", "CREATE TABLE more (x);\n");
    world.commit("a migration");
    check_dry_run(&world);
    let run = world.run(["deploy", "--dry-run", "--format", "json"]);
    let plan = run.clone().exits(0).json();
    assert!(
        plan["steps"]
            .as_array()
            .is_some_and(|steps| !steps.is_empty()),
        "{run}"
    );
    world.stop_cloud();
    let before = world.files();
    let run = world.run(["deploy", "--dry-run"]).exits(0);
    assert!(
        run.stdout
            .contains("the local cloud is not running or does not know this repo yet"),
        "{run}"
    );
    assert_eq!(world.files(), before);
    let state = world.root().join(".xtask/local-cloud/server.json");
    assert!(!state.exists(), "a dry run started a local cloud");
}

#[track_caller]
fn check_dry_run(world: &World) {
    let (files, state) = (world.files(), world.cloud_state());
    let tables = |state: &Value| match state["d1"].as_object() {
        // Before the first deploy the cloud has no database to ask.
        Some(databases) if databases.is_empty() => Vec::new(),
        _ => world.query("SELECT name FROM sqlite_master ORDER BY name"),
    };
    let before = tables(&state);
    world.clear_journal();
    let run = world.run(["deploy", "--dry-run"]).exits(0);
    let requests = world.journal();
    assert!(run.stdout.contains("upload api"), "{run}");
    assert!(run.stdout.contains("promote site"), "{run}");
    assert_eq!(writes(world), [""; 0]);
    for entry in requests {
        let sql = entry["request_body"]["sql"].as_str().unwrap_or("SELECT");
        assert!(
            sql.starts_with("SELECT") || sql.starts_with("PRAGMA"),
            "{entry}"
        );
    }
    assert_eq!(world.cloud_state(), state);
    assert_eq!(tables(&state), before);
    assert_eq!(world.files(), files);
}

#[test]
fn the_result_is_there_for_programs_and_for_later() {
    let mut world = World::new().with_stand_in();
    let folder = world.aside("github");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let (summary, output) = (folder.join("summary.md"), folder.join("output"));
    world.set("GITHUB_ACTIONS", "true");
    world.set("CI", "true");
    world.set("GITHUB_STEP_SUMMARY", &summary.display().to_string());
    world.set("GITHUB_OUTPUT", &output.display().to_string());
    let run = world.run(["deploy", "--format", "json"]).exits(0);

    let report = run.json();
    assert_eq!(report["stage"], "deploy");
    assert_eq!(report["outcome"], "success", "{report}");
    assert_eq!(report["exit_code"], 0);
    let release = report["release"].as_str().expect("a release id");
    let steps = report["steps"].as_array().expect("steps");
    assert!(steps.iter().all(|step| {
        ["id", "goal", "status", "duration_ms"]
            .iter()
            .all(|key| !step[*key].is_null())
    }));
    assert_eq!(run.report("deploy")["release"], release);

    let output = std::fs::read_to_string(output).expect("written");
    assert_eq!(
        output,
        format!("stage=deploy\noutcome=success\nrelease={release}\n")
    );
    let summary = std::fs::read_to_string(summary).expect("written");
    assert!(summary.contains("```mermaid\ngantt"), "{summary}");
    assert!(summary.contains("small.example"), "{summary}");

    let path = format!(".xtask/releases/{release}.json");
    let record: Value = serde_json::from_str(&world.read(&path)).expect("JSON");
    assert_eq!(record["sha"], world.git(&["rev-parse", "HEAD"]).as_str());
    assert_eq!(
        record["versions"]["small-api"],
        world.serving("small-api").as_str()
    );
    assert!(record["bookmark"].is_string(), "{record}");
    assert_eq!(
        record["secrets"]["small-site"],
        json!(["SITE_KEY", "API_KEY"])
    );
    let names: Vec<&String> = record["migrations"]
        .as_object()
        .expect("a table")
        .keys()
        .collect();
    assert_eq!(names, ["0001_tags.sql", "schema.sql", "seed.sql"]);
    let rows = world.query("SELECT * FROM xtask_releases");
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["id"], release);
    assert_eq!(
        world.query("SELECT * FROM xtask_lease"),
        Vec::<Value>::new()
    );

    // Every version says which release it belongs to.
    let listed = world
        .cloud()
        .result("GET", "/workers/scripts/small-api/versions", None);
    assert_eq!(listed["items"][0]["annotations"]["workers/tag"], release);

    // A run that refuses answers programs too.
    world.edit("pipeline.toml", "not toml");
    let refused = world.run(["deploy", "--format", "json"]).exits(2);
    assert_eq!(refused.json()["outcome"], "failure");
}

#[test]
fn a_repo_without_a_database_says_that_there_is_no_lease() {
    let world = World::of(&repo::one_worker(repo::API_CODE)).with_stand_in();
    let budget = world.read("pipeline.toml") + "\n[budgets]\ndeploy = \"1ms\"\n";
    world.edit("pipeline.toml", &budget);
    world.commit("a budget nothing keeps to");
    world
        .deploy()
        .says("no database in pipeline.toml: no lease is taken")
        .says("its budget is 1ms");
    let answer = world.edge_get("one.test.localhost", "/health").ok();
    assert_eq!(answer["version"], world.serving("one").as_str());
}
