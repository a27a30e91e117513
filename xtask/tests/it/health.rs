//! What a health answer may say: an app's own `version` fails nothing, another version of the worker does.
#![cfg(unix)]

use crate::support::repo::one_worker;
use crate::support::{Run, World};

/// A module whose health answer is this JavaScript expression.
fn module(answer: &str) -> String {
    format!("export default {{ fetch: () => {answer} }};\n")
}

/// Deploys a worker with this health answer.
#[track_caller]
fn deploy(world: &World, answer: &str) -> Run {
    world.edit("worker/index.js", &module(answer));
    world.commit(answer);
    world.run(["deploy"])
}

#[test]
fn a_version_of_the_apps_own_is_not_compared_and_another_version_of_the_worker_is() {
    let world = World::of(&one_worker(
        "export default { fetch: () => new Response() };\n",
    ))
    .with_stand_in();
    world.replace("pipeline.toml", "within = \"20s\"", "within = \"2s\"");
    world.commit("less patience");
    world.deploy();
    let old = world.serving("one");
    for answer in [
        "Response.json({ status: \"ok\", version: \"1.0.0\", release: \"2026.11\" })",
        "Response.json({ status: \"ok\", version: crypto.randomUUID() })",
        "Response.json({ status: \"ok\", version: null, release: { id: 3 } })",
        "new Response(\"<p>version 2</p>\", { headers: { \"content-type\": \"text/html\" } })",
    ] {
        deploy(&world, answer).exits(0);
        world.run(["status"]).exits(0);
    }
    let serving = world.serving("one");

    // A cached answer, or a route to the wrong place.
    deploy(&world, &format!("Response.json({{ version: \"{old}\" }})"))
        .exits(1)
        .says(&format!("its `version` is `{old}` instead of `"));
    deploy(
        &world,
        "Response.json({ release: \"r20200101-000000-abc1234\" })",
    )
    .exits(1)
    .says("its `release` is `r20200101-000000-abc1234` instead of `");
    assert_eq!(world.serving("one"), serving);

    world.replace(
        "pipeline.toml",
        "[health]",
        "[health]\nversion_field = \"build\"",
    );
    deploy(
        &world,
        "Response.json({ version: \"x\", build: \"1.0.0\" })",
    )
    .exits(1)
    .says("its `build` is `1.0.0` instead of `");
    world.replace("pipeline.toml", "\"build\"", "false");
    deploy(&world, &format!("Response.json({{ version: \"{old}\" }})")).exits(0);
}

/// A Worker's answer is text of somebody else: a terminal obeys none of it, and neither does the step summary.
#[test]
fn what_a_worker_answers_commands_no_terminal() {
    let mut world = World::of(&one_worker(
        "export default { fetch: () => new Response() };\n",
    ))
    .with_stand_in();
    world.replace("pipeline.toml", "within = \"20s\"", "within = \"1s\"");
    world.commit("less patience");
    let summary = world.aside("summary.md");
    world.set("GITHUB_STEP_SUMMARY", &summary.display().to_string());
    world.set("GITHUB_ACTIONS", "true");
    let hostile = r#"new Response("\u001b[2J\u001b]0;owned\u0007\u001b[31mfine\u202e\u009b1A\u0008", { status: 500 })"#;
    let run = deploy(&world, hostile);
    assert!(run.stderr.contains("fine"), "the answer is quoted: {run}");
    let written = std::fs::read_to_string(&summary).expect("there is a step summary");
    for text in [&run.stdout, &run.stderr, &written] {
        let obeyed = |c: &char| (c.is_control() && *c != '\n') || *c == '\u{202e}';
        let found: Vec<char> = text.chars().filter(obeyed).collect();
        assert!(found.is_empty(), "{found:?} in {text:?}");
    }
}
