//! What a release would leave out without a word is refused before anything changes; accepted, it is named.

use expect_test::expect;

use crate::support::World;

const PIPELINE: &str = r#"
[cloudflare]
account_id = "0123456789abcdef0123456789abcdef"
[workers.app]
path = "app"
health = false
[local]
port = 0
subdomain = "test"
"#;

const CONFIG: &str = r#"{
  "compatibility_flag": ["nodejs_compat"],
  "name": "app",
  "main": "index.js",
  "compatibility_date": "2026-01-01",
  "workers_dev": true,
  "queues": { "consumers": [{ "queue": "jobs", "max_batch_size": 5 }] },
  "workflows": [
    { "binding": "FLOW", "name": "flow", "class_name": "Flow" }
  ],
  "addresses": ["hello@example.com"],
  "containers": [{ "image": "docker.io/library/alpine:3", "class_name": "Box" }],
  "d1_databases": [{ "binding": "DB", "database_id": "5d1c3a52-7c84-4f0e-9b6d-2f8e1a90c7b3" }]
}
"#;

const CODE: &str = "export default { fetch: () => new Response(\"ok\") };\n";

fn world(config: &str) -> World {
    World::of(&[
        (".gitignore", "/.xtask/\nnode_modules\n.wrangler/\n"),
        ("pipeline.toml", PIPELINE),
        ("app/wrangler.jsonc", config),
        ("app/index.js", CODE),
    ])
}

#[test]
fn what_a_release_would_leave_out_is_refused_before_anything_changes() {
    let world = world(CONFIG);
    let refused = world.run(["deploy"]).exits(2);
    let error = refused.stderr.find("error: ").expect("an error");
    expect![[r#"
        error: this release would leave out 5 settings
          why: app/wrangler.jsonc:7:28: `queues.consumers`: the pipeline attaches no consumers to queues
               app/wrangler.jsonc:9:5: `workflows`: the pipeline registers no Workflows
               app/wrangler.jsonc:11:16: `addresses`: the pipeline routes no e-mail addresses to a Worker
               app/wrangler.jsonc:12:17: `containers`: the pipeline rolls out no containers
               app/wrangler.jsonc:13:20: `d1_databases.database_name`: without it the pipeline cannot tell which database of pipeline.toml it is, and applies no migrations
          fix: remove the settings from the wrangler configs
               or set allow_missing = ["addresses", "containers", "d1_databases.database_name", "queues.consumers", "workflows"] under [deploy] in pipeline.toml: the release then leaves them out and names them in a warning
    "#]].assert_eq(&refused.stderr[error..]);
    assert_eq!(world.uploads(), [""; 0]);
    let state = world.cloud_state();
    assert!(
        state["scripts"]
            .as_object()
            .is_none_or(serde_json::Map::is_empty)
    );
    world
        .run(["deploy", "--dry-run"])
        .exits(2)
        .says("`queues.consumers`");

    // A key that no wrangler knows is named with the nearest one.
    let doctor = world.run(["doctor"]);
    assert!(
        doctor
            .stdout
            .contains("did you mean `compatibility_flags`?"),
        "{doctor}"
    );
    assert!(
        doctor.stdout.contains("`workflows` is not shipped"),
        "{doctor}"
    );
}

#[test]
fn what_is_allowed_to_be_missing_is_left_out_and_named() {
    let config = CONFIG
        .replace("\"workflows\": [\n    { \"binding\": \"FLOW\", \"name\": \"flow\", \"class_name\": \"Flow\" }\n  ],", "")
        .replace("\"containers\": [{ \"image\": \"docker.io/library/alpine:3\", \"class_name\": \"Box\" }],", "")
        .replace("  \"compatibility_flag\": [\"nodejs_compat\"],\n", "")
        .replace("\"d1_databases\": [{ \"binding\": \"DB\", \"database_id\": \"5d1c3a52-7c84-4f0e-9b6d-2f8e1a90c7b3\" }]", "\"workflows\": []");
    let world = world(&config);
    world.replace(
        "pipeline.toml",
        "[local]",
        "[deploy]\nallow_missing = [\"queues.consumers\", \"addresses\"]\n[local]",
    );
    world.commit("allowed");
    world
        .run(["deploy"])
        .exits(0)
        .says("`queues.consumers` is left out")
        .says("`addresses` is left out");
    // A slip in the list is a mistake, and the nearest setting is named.
    world.replace("pipeline.toml", "\"addresses\"", "\"adresses\"");
    world
        .run(["deploy", "--allow-dirty"])
        .exits(2)
        .says("did you mean `addresses`?");
}
