//! `deploy` of repos with peculiarities: circles, builds, generated configs, Durable Object migrations, triggers.
#![cfg(unix)]

use crate::support::{World, repo};
use expect_test::expect;
use serde_json::{Value, json};

const IGNORED: &str = "/.xtask/\nnode_modules\ndist/\n.wrangler/\n";
const AGENT: &str = "workers/agent/index.js";
const AGENT_CONFIG: &str = "workers/agent/wrangler.jsonc";

const CIRCLE: &str = r#"
[cloudflare]
account_id = "0123456789abcdef0123456789abcdef"
[workers.left]
path = "left"
[workers.right]
path = "right"
[health]
within = "20s"
timeout = "10s"
[local]
port = 0
subdomain = "test"
"#;

fn circle_config(own: &str, other: &str) -> String {
    format!(
        "name = \"{own}\"\nmain = \"index.js\"\ncompatibility_date = \"2026-09-01\"\nworkers_dev = true\n\
         [[services]]\nbinding = \"OTHER\"\nservice = \"{other}\"\n\
         [version_metadata]\nbinding = \"VERSION\"\n"
    )
}

fn circle_code(own: &str) -> String {
    format!(
        r#"export default {{ async fetch(request, env) {{
  const {{ pathname }} = new URL(request.url);
  if (pathname === "/health") return Response.json({{ version: env.VERSION.id }});
  if (pathname === "/other") return env.OTHER.fetch("http://other/name");
  return Response.json({{ name: "{own}" }});
}} }};"#
    )
}

#[test]
fn workers_that_call_each_other_go_live_in_one_first_release() {
    let (left, right) = (
        circle_config("left", "right"),
        circle_config("right", "left"),
    );
    let (left_code, right_code) = (circle_code("left"), circle_code("right"));
    let world = World::of(&[
        (".gitignore", IGNORED),
        ("pipeline.toml", CIRCLE),
        ("left/wrangler.toml", &left),
        ("left/index.js", &left_code),
        ("right/wrangler.toml", &right),
        ("right/index.js", &right_code),
    ]);
    world.deploy();
    for (own, other) in [("left", "right"), ("right", "left")] {
        let host = format!("{own}.test.localhost");
        assert_eq!(world.edge_get(&host, "/other").ok()["name"], other);
    }
    world
        .deploy()
        .says("nothing changed: no version was uploaded");
}

/// Adds a second Durable Object class to the agent, with its migration.
fn add_class(world: &World) {
    world.replace(
        AGENT_CONFIG,
        "\"new_sqlite_classes\": [\"Counter\"] }]",
        "\"new_sqlite_classes\": [\"Counter\"] }, { \"tag\": \"v2\", \"new_sqlite_classes\": [\"Second\"] }]",
    );
    world.replace(
        AGENT_CONFIG,
        "\"class_name\": \"Counter\" }]",
        "\"class_name\": \"Counter\" }, { \"name\": \"SECOND\", \"class_name\": \"Second\" }]",
    );
    world.edit(
        AGENT,
        &(world.read(AGENT) + "\nexport class Second extends Counter {}\n"),
    );
}

#[test]
fn a_pending_durable_object_migration_goes_live_last_and_keeps_the_state() {
    let world = World::deployed().with_stand_in();
    assert_eq!(world.edge_get("small.example", "/agent").ok()["count"], 1);
    add_class(&world);
    world.change("workers/api/index.js");
    let plan = world.run(["deploy", "--dry-run"]).exits(0);
    let note = "agent has a pending Durable Object migration: it cannot be staged, goes live last, and cannot be put back";
    assert!(plan.stdout.contains(note), "{plan}");
    world.clear_journal();
    let run = world.deploy().says("2 of 3 workers changed");
    let lines = world.requests();
    let at = |wanted: &str| lines.iter().rposition(|line| line == wanted);
    let promoted = at("POST /workers/scripts/small-api/deployments").expect("api is promoted");
    let deployed = at("PUT /workers/scripts/small-agent").expect("agent is deployed");
    assert!(promoted < deployed, "{run}\n{lines:#?}");
    assert_eq!(world.edge_get("small.example", "/agent").ok()["count"], 2);
    world
        .deploy()
        .says("nothing changed: no version was uploaded");
}

#[test]
fn a_durable_object_migration_that_fails_is_put_back_and_one_that_was_applied_is_named() {
    let world = World::deployed().with_stand_in();
    world.replace("pipeline.toml", "within = \"20s\"", "within = \"4s\"");
    world.commit("less patience");
    let api = world.serving("small-api");
    let agent = world.serving("small-agent");
    add_class(&world);
    let good = world.read(AGENT);
    world.replace(
        AGENT,
        "if (pathname === \"/health\")",
        "if (pathname === \"/health\") return new Response(\"ill\", { status: 503 });\nif (pathname === \"/healthy\")",
    );
    world.change("workers/api/index.js");
    // The cloud refuses the migration: nothing is applied, and what was promoted before goes back.
    let path = "/workers/scripts/small-agent$";
    let action = json!({"status": 400});
    world.fault(json!({"method": "PUT", "path": path, "count": 9, "action": action}));
    let run = world.run(["deploy"]).exits(3);
    expect![[r#"
        error: the release [release] was put back: every worker serves what it served before
          why: failed to deploy agent with its Durable Object migration
          fix: see the failed step above, then run the command again"#]]
    .assert_eq(&world.redact(run.error()));
    assert_eq!(world.serving("small-api"), api, "{run}");
    assert_eq!(world.serving("small-agent"), agent, "{run}");
    world.clear_faults();

    // It is applied, and the worker is ill: no way back for that one.
    let run = world.run(["deploy"]).exits(4);
    expect![[r#"
        error: the release [release] failed and could not be put back completely
          why: failed to get a healthy answer from agent
               agent: serves [version] at 100 % instead of [version]
               a Durable Object migration came with that version of agent: no earlier version can be deployed
          fix: correct agent and deploy: it can only go forward
               or run the same deploy again: it carries on from here"#]].assert_eq(&world.redact(run.error()));
    assert_eq!(world.serving("small-api"), api, "{run}");
    let ill = world.serving("small-agent");
    assert_ne!(ill, agent, "{run}");

    // Forward is.
    world.edit(AGENT, &good);
    world.commit("repaired");
    world.deploy().says("2 of 3 workers changed");
    assert_ne!(world.serving("small-agent"), ill);
}

#[test]
fn builds_run_first_and_what_they_generate_is_what_ships() {
    let world = World::of(&repo::one_worker(repo::API_CODE));
    let config = "worker/wrangler.toml";
    let plain = world.read(config);
    // wrangler's own build command writes the module.
    world.remove("worker/index.js");
    world.edit(
        "worker/source.js",
        &repo::API_CODE.replace("\"api\"", "\"built\""),
    );
    world.edit(
        config,
        &format!(
            "{}\n[build]\ncommand = \"mkdir -p dist && cp source.js dist/out.js\"\n",
            plain.replace("\"index.js\"", "\"dist/out.js\"")
        ),
    );
    world.commit("a build command");
    world.deploy();
    assert_eq!(
        world.edge_get("one.test.localhost", "/").ok()["worker"],
        "built"
    );

    // A build of the pipeline's that generates a whole config, as the Vite plugin does.
    world.edit(config, &plain.replace("\"index.js\"", "\"source.js\""));
    world.edit(
        "worker/build.sh",
        r#"set -e
mkdir -p dist/app .wrangler/deploy
sed 's/"built"/"generated"/' source.js > dist/app/index.js
cat > dist/app/wrangler.json <<END
{"name": "one", "main": "index.js", "compatibility_date": "2026-09-01", "workers_dev": true, "no_bundle": true,
 "rules": [{"type": "ESModule", "globs": ["**/*.js"]}], "version_metadata": {"binding": "VERSION"},
 "vars": {"GENERATED": "yes"}}
END
echo '{"configPath": "../../dist/app/wrangler.json"}' > .wrangler/deploy/config.json
"#,
    );
    world.replace(
        "pipeline.toml",
        "path = \"worker\"",
        "path = \"worker\"\nbuild = \"sh build.sh\"",
    );
    world.commit("a build that generates a config");
    let run = world.deploy();
    let answer = world.edge_get("one.test.localhost", "/").ok();
    assert_eq!(answer["worker"], "generated", "{run}");
    let state = world.cloud_state();
    assert!(
        state.to_string().contains("GENERATED"),
        "the generated config was not used: {run}"
    );
    world
        .deploy()
        .says("nothing changed: no version was uploaded");

    // A build that fails is the end of the run, and nothing has changed.
    let serving = world.serving("one");
    world.edit(
        "worker/build.sh",
        "echo cannot find the kitchen sink >&2; exit 3\n",
    );
    world.commit("a build that fails");
    world
        .run(["deploy"])
        .exits(1)
        .says("cannot find the kitchen sink");
    assert_eq!(world.serving("one"), serving);
}

#[test]
fn triggers_follow_the_config() {
    let world = World::deployed_from("one worker", &repo::one_worker(repo::API_CODE));
    let config = "worker/wrangler.toml";
    let plain = world.read(config);
    let with = |routes: &str, crons: &str, dev: bool| {
        let first = plain.replace(
            "workers_dev = true",
            &format!("workers_dev = {dev}\nroutes = [{routes}]"),
        );
        format!("{first}\n[triggers]\ncrons = [{crons}]\n")
    };
    let domain = r#"{ pattern = "one.example", custom_domain = true }"#;
    let route = r#"{ pattern = "routed.example/api/*", zone_name = "routed.example" }"#;
    world.edit(
        config,
        &with(
            &format!("{domain}, {route}"),
            "\"0 1 * * *\", \"30 2 * * 1\"",
            false,
        ),
    );
    world.commit("a domain, a route, crons, no workers.dev");
    world.clear_journal();
    world
        .deploy()
        .says("only triggers changed: no version was uploaded");
    assert_eq!(world.uploads(), [""; 0], "triggers need no upload");
    assert_eq!(world.edge_get("one.example", "/").status, 200);
    assert_eq!(world.edge_get("routed.example", "/api/x").status, 200);
    assert_eq!(world.edge_get("routed.example", "/").status, 404);
    assert_eq!(world.edge_get("one.test.localhost", "/").status, 404);
    assert_eq!(crons(&world), json!(["0 1 * * *", "30 2 * * 1"]));

    world.edit(
        config,
        &with(
            r#"{ pattern = "two.example", custom_domain = true }"#,
            "",
            true,
        ),
    );
    world.commit("another domain, no crons, workers.dev");
    world.deploy();
    assert_eq!(world.edge_get("two.example", "/").status, 200);
    assert_eq!(world.edge_get("one.example", "/").status, 404);
    assert_eq!(world.edge_get("one.test.localhost", "/").status, 200);
    assert_eq!(crons(&world), json!([]));
}

#[track_caller]
fn crons(world: &World) -> Value {
    let answer = world
        .cloud()
        .result("GET", "/workers/scripts/one/schedules", None);
    let listed = answer["schedules"].as_array().cloned().unwrap_or_default();
    let mut crons: Vec<String> = listed
        .iter()
        .filter_map(|cron| Some(cron["cron"].as_str()?.to_owned()))
        .collect();
    crons.sort();
    json!(crons)
}
