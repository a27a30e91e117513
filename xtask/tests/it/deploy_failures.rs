//! `deploy`, whole runs that fail: what serves afterwards is what served before.
#![cfg(unix)]

use std::time::{Duration, Instant};

use crate::support::{Run, World};
use expect_test::expect;
use serde_json::{Value, json};

const SCRIPTS: [&str; 3] = ["small-site", "small-agent", "small-api"];
const SITE: &str = "workers/site/index.js";
const HEALTH: &str = "if (pathname === \"/health\") {";

/// What must be the same before and after a release that failed: what serves each worker, and what calls it.
#[derive(Debug, PartialEq)]
struct Live {
    splits: Vec<Vec<(String, u64)>>,
    crons: Value,
    page: Value,
    old_domain: u16,
    new_domain: u16,
}

#[track_caller]
fn live(world: &World) -> Live {
    Live {
        splits: SCRIPTS.iter().map(|script| world.split(script)).collect(),
        crons: crons(world),
        page: world.edge_get("small.example", "/").ok(),
        old_domain: world.edge_get("small.example", "/health").status,
        new_domain: world.edge_get("new.example", "/health").status,
    }
}

#[track_caller]
fn crons(world: &World) -> Value {
    let path = "/workers/scripts/small-site/schedules";
    let answer = world.cloud().result("GET", path, None);
    let listed = answer["schedules"].as_array().cloned().unwrap_or_default();
    listed.iter().map(|cron| cron["cron"].clone()).collect()
}

/// A deployed set, and a change of all three workers on top: one failure must not let the other two live.
fn changed_world() -> (World, Live) {
    let world = World::deployed().with_stand_in();
    world.replace("pipeline.toml", "within = \"20s\"", "within = \"4s\"");
    world.commit("less patience");
    let before = live(&world);
    world.change("workers/api/index.js");
    world.change("workers/agent/index.js");
    (world, before)
}

#[test]
fn a_version_that_cannot_be_built_or_started_or_is_ill_never_gets_traffic() {
    let (world, before) = changed_world();
    let good = world.read(SITE);

    world.edit(SITE, "export default {{{");
    world.commit("a syntax error");
    world.clear_journal();
    let run = world.run(["deploy"]).exits(1).says("failed to build site");
    assert_eq!(world.uploads(), [""; 0], "{run}");
    assert_eq!(live(&world), before);

    world.edit(
        SITE,
        &format!("{good}\nthrow new Error(\"boom at start\");\n"),
    );
    world.commit("throws at start-up");
    let run = world.run(["deploy"]).exits(1).says("boom at start");
    assert_eq!(live(&world), before, "{run}");

    let ill = format!("{HEALTH} return new Response(\"out of order\", {{ status: 503 }});");
    world.edit(SITE, &good.replacen(HEALTH, &ill, 1));
    world.commit("ill");
    let run = world
        .run(["deploy"])
        .exits(1)
        .says("answered 503 instead of 200: out of order");
    assert_eq!(live(&world), before, "{run}");
    assert_eq!(run.report("deploy")["outcome"], "failure");

    // The change that is well goes live, with what the failed runs have uploaded already.
    world.edit(SITE, &good);
    world.commit("as before");
    world.clear_journal();
    world.deploy().says("2 of 3 workers changed");
    assert_eq!(world.uploads(), [""; 0], "both were there already");
    assert_eq!(world.serving("small-site"), before.splits[0][0].0);
}

/// Code that is healthy as long as it is only asked with the header that names a version.
fn ill_in_public(code: &str) -> String {
    let ill = "if (pathname === \"/health\" && !request.headers.has(\"cloudflare-workers-version-overrides\"))\n\
               return new Response(\"not in public\", { status: 503 });\n";
    code.replacen(HEALTH, &format!("{ill}{HEALTH}"), 1)
}

/// The way back of one worker is closed: the tables say what each worker serves then, wherever they are read.
fn what_serves_is_told_when_it_could_not_be_put_back(world: &mut World, before: &Live) {
    let summary = world.aside("summary.md");
    world.set("GITHUB_STEP_SUMMARY", &summary.display().to_string());
    // The first deployment stages the site, the second promotes it.
    let path = "small-site/deployments$";
    let action = json!({"status": 500});
    world.fault(json!({"method": "POST", "path": path, "nth": 3, "count": 1000, "action": action}));
    let run = world.run(["deploy"]).exits(4);
    world.clear_faults();
    world.unset("GITHUB_STEP_SUMMARY");
    let (now, ill) = (live(world), world.serving("small-site"));
    assert_eq!(now.splits[1..], before.splits[1..], "{run}");
    assert_ne!(now.splits[0], before.splits[0], "{run}");
    expect![[r#"
        workers
        worker  version   change     url
        site    [version]  promoted   http://small.example.localhost:[port]
        agent   [version]  as before  http://small-agent.test.localhost:[port]
        api     [version]  as before  http://small-api.test.localhost:[port]"#]]
    .assert_eq(&world.redact(run.workers()));
    let report = run.report("deploy");
    let tables = report["tables"].as_array().expect("tables");
    let workers = tables.iter().find(|table| table["title"] == "workers");
    let rows = &workers.expect("the table")["rows"];
    assert_eq!(rows[0]["version"], ill[..8], "{report}");
    assert_eq!(rows[0]["change"], "promoted", "{report}");
    let summary = std::fs::read_to_string(summary).expect("written");
    let row = format!("| site | {} | promoted |", &ill[..8]);
    assert!(summary.contains(&row), "{summary}");
}

#[test]
fn a_release_that_is_ill_in_public_is_put_back_with_its_triggers() {
    let (mut world, before) = changed_world();
    let good = world.read(SITE);
    world.edit(SITE, &ill_in_public(&good));
    let config = "workers/site/wrangler.toml";
    world.replace(config, "0 6 * * *", "0 7 * * *");
    world.replace(config, "small.example", "new.example");
    world.commit("ill in public, with other triggers");
    world.clear_journal();
    let run = world
        .run(["deploy"])
        .exits(3)
        .says("was put back: every worker serves what it served before")
        .says("not in public");
    assert_eq!(world.uploads().len(), 3, "{run}");
    assert_eq!(live(&world), before, "{run}");
    let rows = world.query("SELECT status FROM xtask_releases ORDER BY number");
    let statuses: Vec<&Value> = rows.iter().map(|row| &row["status"]).collect();
    assert_eq!(statuses, ["live", "rolled-back"], "{run}");
    assert_eq!(
        world.query("SELECT * FROM xtask_lease"),
        Vec::<Value>::new()
    );
    what_serves_is_told_when_it_could_not_be_put_back(&mut world, &before);

    // The repaired release takes the new triggers along.
    world.edit(SITE, &good);
    world.commit("repaired");
    world.deploy();
    assert_eq!(world.edge_get("new.example", "/health").status, 200);
    assert_eq!(world.edge_get("small.example", "/health").status, 404);
    assert_eq!(crons(&world), json!(["0 7 * * *"]));
    assert_ne!(world.split("small-api"), before.splits[2]);
}

#[test]
fn ctrl_c_during_the_promotion_puts_everything_back() {
    let (world, before) = changed_world();
    // The second deployment of the agent is its promotion: api is promoted, site still waits.
    world.fault(
        json!({"method": "POST", "path": "small-agent/deployments$", "nth": 2,
                       "action": {"delay_ms": 4000}}),
    );
    let running = world.start(&["deploy"]);
    let until = Instant::now() + Duration::from_secs(200);
    while world.faults_fired() == 0 {
        assert!(Instant::now() < until, "the promotion was never reached");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_ne!(
        world.split("small-api"),
        before.splits[2],
        "api is promoted"
    );
    running.signal_group("INT");
    let run: Run = running.end().exits(3).says("was put back");
    assert_eq!(live(&world), before, "{run}");
    assert_eq!(
        world.query("SELECT * FROM xtask_lease"),
        Vec::<Value>::new()
    );
    world.deploy().says("2 of 3 workers changed");
}
