//! `deploy` after a run that was killed on another machine: whose lease it takes over, and where it goes back to.
#![cfg(unix)]

use std::time::{Duration, Instant};

use crate::support::World;
use expect_test::expect;
use serde_json::{Value, json};

const SITE: &str = "workers/site/index.js";
const CONFIG: &str = "workers/site/wrangler.toml";
/// The others would only be built over and over.
const ONLY_SITE: [&str; 3] = ["deploy", "--only", "site"];
const HEALTH: &str = "if (pathname === \"/health\") {";

/// What belongs to the site and to none of its versions.
#[derive(Debug, PartialEq)]
struct Around {
    crons: Value,
    settings: Value,
}

#[track_caller]
fn around(world: &World) -> Around {
    let get = |rest: &str| {
        let path = format!("/workers/scripts/small-site/{rest}");
        world.cloud().result("GET", &path, None)
    };
    let listed = get("schedules")["schedules"].as_array().cloned();
    let crons = listed.unwrap_or_default();
    let mut settings = get("script-settings");
    if settings["observability"].is_null() {
        settings["observability"] = json!({"enabled": false});
    }
    Around {
        crons: crons.iter().map(|cron| cron["cron"].clone()).collect(),
        settings,
    }
}

/// The environment of a job of GitHub Actions, on a machine of its own.
fn in_actions(world: &mut World, run: u64) {
    world.set("GITHUB_RUN_ID", &run.to_string());
    world.set("GITHUB_RUN_ATTEMPT", "1");
    world.set("HOSTNAME", &format!("runner-{run}"));
    let body = json!({"repo": "acme/shop", "id": run});
    world.cloud().local("POST", "/github/runs", Some(body));
}

fn change_run(world: &World, change: Value) {
    world.cloud().local("POST", "/github/runs", Some(change));
}

/// Starts a deploy and kills it when it has set everything around the site: it asks for the site's health by then.
fn kill_between_triggers_and_verify(world: &World, wanted: &str) {
    let before = around(world);
    let running = world.start(&ONLY_SITE);
    let until = Instant::now() + Duration::from_secs(200);
    loop {
        let now = around(world);
        if now.crons == json!([wanted]) && now.settings != before.settings {
            break;
        }
        assert!(Instant::now() < until, "the triggers were never set");
        std::thread::sleep(Duration::from_millis(50));
    }
    running.signal("KILL");
    let run = running.end();
    assert_eq!(run.status, None, "{run}");
}

#[test]
fn what_a_killed_run_left_is_taken_over_and_put_back() {
    let mut world = World::deployed().with_stand_in();
    world.set("GITHUB_SERVER_URL", "https://github.com");
    world.set("GITHUB_REPOSITORY", "acme/shop");
    world.replace("pipeline.toml", "within = \"20s\"", "within = \"4s\"");
    world.commit("less patience");
    // Other triggers alone are a release, too: a rollback to it brings them back.
    world.replace(CONFIG, "0 6 * * *", "0 7 * * *");
    world.commit("another time");
    let run = world
        .run(ONLY_SITE)
        .exits(0)
        .says("only triggers changed: no version was uploaded");
    let rows = world.query("SELECT id FROM xtask_releases ORDER BY number DESC");
    assert_eq!(rows[0]["id"], run.report("deploy")["release"], "{run}");
    let (before, serving) = (around(&world), world.serving("small-site"));

    let good = world.read(SITE);
    let ill = "if (pathname === \"/health\" && !request.headers.has(\"cloudflare-workers-version-overrides\"))\n\
               return new Response(\"not in public\", { status: 503 });\n";
    world.edit(SITE, &good.replacen(HEALTH, &format!("{ill}{HEALTH}"), 1));
    world.replace(CONFIG, "0 7 * * *", "0 8 * * *");
    let observed = world.read(CONFIG) + "\n[observability]\nenabled = true\n";
    world.edit(CONFIG, &format!("logpush = true\n{observed}"));
    world.commit("ill in public, at another time, observed");
    in_actions(&mut world, 7);
    kill_between_triggers_and_verify(&world, "0 8 * * *");

    // As far as GitHub knows its run goes on. On another machine nothing else tells that it is dead.
    in_actions(&mut world, 8);
    let run = world.run(ONLY_SITE).exits(3);
    let mut said = world.redact(run.error());
    for (mark, end) in [(" pid ", " "), (" since ", "\n"), (" expires in ", " s")] {
        let (head, tail) = said.split_once(mark).expect("it is told");
        let (_, rest) = tail.split_once(end).expect("more follows");
        said = format!("{head}{mark}[…]{end}{rest}");
    }
    expect![[r#"
        error: another deploy is running
          why: the lease is held by tester@runner-7 pid […] since […]
               https://github.com/acme/shop/actions/runs/7/attempts/1 goes on
          fix: wait for it to end; without a heartbeat the lease expires in […] s
               or add `--steal-lock`   (only when you know that it is dead)"#]]
    .assert_eq(&said);

    let ended =
        json!({"repo": "acme/shop", "id": 7, "status": "completed", "conclusion": "cancelled"});
    change_run(&world, ended);
    let run = world
        .run(ONLY_SITE)
        .exits(3)
        .says("(its run on GitHub is over: cancelled)")
        .says("was put back: every worker serves what it served before");
    assert_eq!(around(&world), before, "{run}");
    assert_eq!(world.serving("small-site"), serving, "{run}");
    let leases = world.query("SELECT * FROM xtask_lease");
    assert!(leases.is_empty(), "{leases:?}");
}
