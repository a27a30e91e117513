//! `secrets` against a local cloud that plays production: what is shown, what is refused, and that new values reach every
//! worker or none. All of it with canaries: no value is ever seen.
#![cfg(unix)]

mod change;
mod list;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use expect_test::expect;
use serde_json::{Value, json};

use crate::support::canary::{self, Watch};
use crate::support::{DATABASE, Run, World};

const SITE_KEY: &str = "canary-one-7f3a9c\"quote\\and/slash";
const API_KEY: &str = "canary-two-51be07 space+plus=equals";
const NEW_KEY: &str = "canary-three-0d94e2-the-new-value";
const TOKEN: &str = "canary-four-token-aa18c0";

fn forms() -> Vec<String> {
    canary::forms(&[SITE_KEY, API_KEY, NEW_KEY, TOKEN])
}

/// The small set, deployed to a local cloud that plays production.
fn deployed() -> World {
    let mut world = World::warm("production of canaries", make_production);
    play_production(&mut world);
    world
}

/// What of it is the cloud's own.
fn play_production(world: &mut World) {
    let (api, port) = (world.cloud().api(), world.cloud().port);
    world.set("CLOUDFLARE_API_BASE_URL", &api);
    world.set("XTASK_EDGE", &format!("127.0.0.1:{port}"));
}

fn make_production() -> World {
    let mut world = World::new().with_stand_in();
    // A busy machine is no news here.
    world.replace("pipeline.toml", "within = \"20s\"", "within = \"100s\"");
    world.replace("pipeline.toml", "timeout = \"10s\"", "timeout = \"60s\"");
    world.commit("patience");
    for (name, value) in [
        ("SITE_KEY", SITE_KEY),
        ("API_KEY", API_KEY),
        ("CLOUDFLARE_API_TOKEN", TOKEN),
    ] {
        world.set(name, value);
    }
    play_production(&mut world);
    world.set("XTASK_CLOUD", "cloudflare");
    let resources = json!({
        "d1": [{"id": DATABASE, "name": "small-db"}],
        "kv": [{"id": "b6b44e270e4b4f6c8d19c7e2b0f35d62", "title": "CACHE"}],
    });
    world.cloud().local("POST", "/resources", Some(resources));
    world.deploy();
    world
}

/// How long the values are that the site has: which ones they are.
#[track_caller]
fn lengths(world: &World) -> (usize, usize) {
    let told = world.edge_get("small.example", "/secrets").ok();
    let length = |name: &str| told[name].as_u64().map_or(0, |length| length as usize);
    (length("site"), length("api"))
}

/// A file beside the repo with this mode.
fn file(world: &World, text: &str, mode: u32) -> PathBuf {
    let path = world.aside("values.json");
    fs::write(&path, text).expect("a file can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
    path
}

/// What serves each worker.
fn serving(world: &World) -> Vec<String> {
    ["small-site", "small-agent", "small-api"]
        .map(|script| world.serving(script))
        .to_vec()
}

#[track_caller]
fn nothing_shown(runs: &[&Run]) {
    for run in runs {
        canary::no_leak(&forms(), "stdout", &run.stdout);
        canary::no_leak(&forms(), "stderr", &run.stderr);
    }
}

/// What a version of the api tells the release it belongs to.
fn tag(world: &World, version: &str) -> Value {
    let path = format!("/workers/scripts/small-api/versions/{version}");
    world.cloud().result("GET", &path, None)["annotations"]["workers/tag"].clone()
}

/// Rotates a secret, after a dry run of that; both runs.
fn rotated(world: &mut World) -> [Run; 2] {
    let before = serving(world);
    world.set("API_KEY", NEW_KEY);
    let plan = [
        "secrets",
        "rotate",
        "API_KEY",
        "--dry-run",
        "--format",
        "json",
    ];
    let files = world.files();
    let run = world.run(["secrets", "rotate", "API_KEY", "--dry-run"]);
    expect![[r#"
        secrets: 4 steps

        secrets
          1. version site
             make a version of site with the new API_KEY, without traffic
          2. version api
             make a version of api with the new API_KEY, without traffic

        promote
          3. promote site (after 1-2)
             try that version of site, then give it all of the traffic
          4. promote api (after 1-2)
             try that version of api, then give it all of the traffic
    "#]]
    .assert_eq(&run.exits(0).stdout);
    let plan = world.run(plan).exits(0);
    let drawn = world.run(["secrets", "rotate", "API_KEY", "--format", "mermaid"]);
    let drawn = drawn.exits(0).stdout;
    assert!(drawn.contains("s0[\"version site\"]"), "{drawn}");
    assert_eq!(before, serving(world), "a dry run changes nothing");
    assert_eq!(files, world.files(), "a dry run writes nothing");
    let rotate = [
        "secrets",
        "rotate",
        "API_KEY",
        "--verbose",
        "--format",
        "json",
    ];
    let rotated = world.run(rotate).exits(0);
    assert_eq!(
        lengths(world),
        (SITE_KEY.len(), NEW_KEY.len()),
        "it did arrive"
    );

    // The agent declares neither; the api still tells the release its code came with.
    let after = serving(world);
    let same: Vec<bool> = before
        .iter()
        .zip(&after)
        .map(|(one, other)| one == other)
        .collect();
    assert_eq!(same, [false, true, false]);
    assert_eq!(tag(world, &before[2]), tag(world, &after[2]));
    [plan, rotated]
}

#[test]
fn values_are_seen_nowhere_and_reach_every_worker() {
    let mut world = deployed();
    let watch = Watch::start(forms());
    let [plan, rotated] = rotated(&mut world);
    let values = json!({"API_KEY": API_KEY, "SITE_KEY": SITE_KEY}).to_string();
    let path = file(&world, &values, 0o600);
    let synced = world
        .run([
            "secrets",
            "sync",
            "--from",
            &path.display().to_string(),
            "--jobs",
            "1",
        ])
        .exits(0);
    for line in [
        "✓ version site",
        "✓ version api",
        "✓ promote api",
        "✓ verify site",
        "worker  secrets            version",
        "site    SITE_KEY, API_KEY  ",
        "secrets: success, 10 steps",
    ] {
        assert!(synced.stderr.contains(line), "no {line:?} in {synced}");
    }
    assert_eq!(lengths(&world), (SITE_KEY.len(), API_KEY.len()));
    let bulk = world
        .run(["secrets", "sync", "--bulk", "--verbose"])
        .exits(0);
    assert_eq!(
        lengths(&world),
        (SITE_KEY.len(), NEW_KEY.len()),
        "the environment's"
    );
    let part = file(&world, &json!({"API_KEY": API_KEY}).to_string(), 0o600);
    let part = part.display().to_string();
    let part = world
        .run(["secrets", "sync", "--from", &part, "--bulk", "--dry-run"])
        .exits(0);
    expect![[r#"
        secrets: 2 steps

        secrets
          1. set site
             set API_KEY of site, live at once
          2. set api
             set API_KEY of api, live at once

        note: no value was given for SITE_KEY: what the workers have stays
    "#]]
    .assert_eq(&part.stdout);
    // Refusals quote files and environments; not these.
    let broken = file(&world, &format!("{{\"API_KEY\": \"{NEW_KEY}\", }}"), 0o600);
    let refused = world
        .run(["secrets", "sync", "--from", &broken.display().to_string()])
        .exits(2);
    fs::remove_file(broken).expect("it is there");
    let (_, leaks) = watch.end();
    assert!(leaks.is_empty(), "in argv: {leaks:?}");
    nothing_shown(&[&plan, &rotated, &synced, &bulk, &part, &refused]);

    nothing_kept(&world);

    // A deploy of the same commit goes on from there, and a rollback knows the release.
    world.run(["deploy"]).exits(0);
    assert_eq!(lengths(&world), (SITE_KEY.len(), NEW_KEY.len()));
    world.run(["rollback", "--list"]).exits(0);
}

/// No journal, state or file has a value, except where the local cloud keeps its Workers.
#[track_caller]
fn nothing_kept(world: &World) {
    canary::no_leak(&forms(), "the journal", &json!(world.journal()).to_string());
    canary::no_leak(&forms(), "the state", &world.cloud_state().to_string());
    let mut found = Vec::new();
    let base = world.root().parent().expect("it has one").to_owned();
    canary::leaking_files(&base, &forms(), &mut found);
    assert_eq!(
        found,
        [world.root().join(".xtask/local-cloud/state.json")],
        "only the local cloud keeps them"
    );
}
