//! Canary secrets: no process list, file, log, report, journal or output ever shows one, plain or as base64.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::World;
use crate::support::canary::{self, Watch, holds, leaking_files};
use serde_json::json;

const SITE_KEY: &str = "canary-one-7f3a9c\"quote\\and/slash";
const API_KEY: &str = "canary-two-51be07 space+plus=equals";
const TOKEN: &str = "canary-three-token-0d94e2";

/// What must be nowhere: each secret and the forms it may be written in.
fn forms() -> Vec<String> {
    canary::forms(&[SITE_KEY, API_KEY, TOKEN])
}

#[track_caller]
fn no_leak(what: &str, text: &str) {
    canary::no_leak(&forms(), what, text);
}

/// A world that plays production: a token of its own, and the resources that an account in use has.
fn production() -> World {
    let mut world = World::new();
    world.set("SITE_KEY", SITE_KEY);
    world.set("API_KEY", API_KEY);
    world.set("CLOUDFLARE_API_TOKEN", TOKEN);
    let (api, port) = (world.cloud().api(), world.cloud().port);
    world.set("CLOUDFLARE_API_BASE_URL", &api);
    world.set("XTASK_EDGE", &format!("127.0.0.1:{port}"));
    world.set("XTASK_CLOUD", "cloudflare");
    let resources = json!({
        "d1": [{"id": crate::support::DATABASE, "name": "small-db"}],
        "kv": [{"id": "b6b44e270e4b4f6c8d19c7e2b0f35d62", "title": "CACHE"}],
    });
    world.cloud().local("POST", "/resources", Some(resources));
    world
}

#[test]
fn no_secret_is_seen_anywhere() {
    let mut world = production();
    // A build that says what it knows aloud, plain, encoded and inside other text. It is given no secret, but it may
    // come by one: here through a variable with an innocent name.
    world.replace(
        "pipeline.toml",
        "path = \"workers/api\"",
        "path = \"workers/api\"\nbuild = \"sh loud.sh\"",
    );
    world.edit(
        "workers/api/loud.sh",
        "echo \"given=$API_KEY$CLOUDFLARE_API_TOKEN;\"\necho \"found=$NOTE;\"\nprintf %s \"$NOTE\" | base64 >&2\n",
    );
    world.commit("a loud build");
    world.set("NOTE", API_KEY);
    let summary = world.aside("summary.md");
    world.set("GITHUB_ACTIONS", "true");
    world.set("GITHUB_STEP_SUMMARY", &summary.display().to_string());
    world.set(
        "GITHUB_OUTPUT",
        &world.aside("output").display().to_string(),
    );

    let watch = Watch::start(forms());
    let good = world.run(["deploy", "--verbose", "--format", "json"]);
    world.edit(
        "workers/api/index.js",
        "throw new Error(\"boom\");\nexport default {};\n",
    );
    world.commit("throws");
    let bad = world.run(["deploy", "--verbose"]);
    let plan = world.run(["deploy", "--dry-run", "--format", "json"]);
    let (programs, leaks) = watch.end();

    let good = good.exits(0);
    bad.clone().exits(1);
    plan.clone().exits(0);
    assert!(leaks.is_empty(), "in argv: {leaks:?}");
    assert_eq!(programs.len(), 3, "only these were seen: {programs:?}");
    let good = good.says("given=;").says("found=***;");
    let secrets = world.edge_get("small.example", "/secrets").ok();
    assert_eq!(
        secrets,
        json!({"site": SITE_KEY.len(), "api": API_KEY.len()}),
        "they did arrive"
    );

    for run in [&good, &bad, &plan] {
        no_leak("stdout", &run.stdout);
        no_leak("stderr", &run.stderr);
    }
    no_leak("the journal", &json!(world.journal()).to_string());
    no_leak("the state", &world.cloud_state().to_string());
    let page = world.cloud().control("GET", "/", None);
    no_leak("the control page", &page.body);

    // Everything below the repo, beside it (home, temporary files, summaries), and the local cloud's own files.
    let mut found = Vec::new();
    let base = world.root().parent().expect("it has one").to_owned();
    leaking_files(&base, &forms(), &mut found);
    let state = world.root().join(".xtask/local-cloud/state.json");
    assert_eq!(
        found,
        std::slice::from_ref(&state),
        "only the local cloud keeps them"
    );
    let mode = fs::metadata(&state)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&state).expect("it is text");
    assert!(!text.contains(TOKEN), "the token is nobody's business");
}

#[test]
fn a_real_token_is_never_sent_to_the_local_cloud_nor_left_in_its_environment() {
    let mut world = World::new();
    world.stop_cloud();
    world.set("CLOUDFLARE_API_TOKEN", TOKEN);
    world.set("SITE_KEY", SITE_KEY);
    let run = world.run(["local", "--detach", "--port", "0"]).exits(0);
    let server = world.read(".xtask/local-cloud/server.json");
    let server: serde_json::Value = serde_json::from_str(&server).expect("JSON");
    let environment = fs::read(format!("/proc/{}/environ", server["pid"])).expect("it runs");
    world.run(["local", "--stop"]).exits(0);
    assert!(!holds(&environment, TOKEN), "{run}");
    assert!(!holds(&environment, SITE_KEY), "{run}");
}
