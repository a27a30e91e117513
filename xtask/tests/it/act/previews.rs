//! A pull request's life on GitHub: opened, pushed to, closed; one from a fork; and one whose end was missed.

use serde_json::{Value, json};

use crate::act::tools::left_out;
use crate::act::world::{REPOSITORY, Run, World};
use crate::act::xtask;

const WORKERS: usize = 4;

/// The pull request on the local GitHub, at a commit; what GitHub tells a workflow about it.
fn pull(world: &World, number: u64, change: Value) -> String {
    let mut body = json!({"repo": REPOSITORY, "number": number});
    let fields = change.as_object().into_iter().flatten();
    fields.for_each(|(name, value)| body[name] = value.clone());
    world.cloud().local("POST", "/github/pulls", Some(body));
    let path = format!("/github/{REPOSITORY}/pull/{number}/event");
    world.cloud().local("GET", &path, None).to_string()
}

/// Runs a workflow for what happened to a pull request; no job may fail.
#[track_caller]
fn happens(world: &World, workflow: &str, event: &str) -> Run {
    let run = world.act("pull_request", workflow, event, xtask());
    run.expect_success();
    run
}

/// How many Workers, databases, namespaces and buckets bear a preview's name.
fn count(world: &World, number: u64) -> usize {
    let mark = format!("-pr-{number}-preview");
    let state = world.cloud().local("GET", "/state", None);
    let of = |kind: &str, name: fn(&str, &Value) -> String| {
        let all = state[kind].as_object().into_iter().flatten();
        all.filter(|(key, value)| name(key, value).ends_with(&mark))
            .count()
    };
    let own = |key: &str, _: &Value| key.to_owned();
    of("scripts", own)
        + of("d1", |_, database| {
            database["name"].as_str().unwrap_or_default().to_owned()
        })
        + of("kv", |_, namespace| {
            namespace["title"].as_str().unwrap_or_default().to_owned()
        })
        + of("r2", own)
}

/// The one comment on a pull request.
#[track_caller]
fn comment(world: &World, number: u64) -> String {
    let headers = [("authorization", "Bearer x"), ("user-agent", "a test")];
    let path = format!("/github/repos/{REPOSITORY}/issues/{number}/comments");
    let answer = world.cloud().edge("GET", "127.0.0.1", &path, &headers, "");
    let comments = answer.ok();
    assert_eq!(comments.as_array().map(Vec::len), Some(1), "{comments}");
    comments[0]["body"].as_str().expect("a text").to_owned()
}

#[test]
fn a_pull_request_has_a_preview_until_it_is_closed() {
    if left_out() {
        return;
    }
    let mut world = World::new();
    world.start_cloud();
    let file = "workers/main/src/index.ts";
    let first = world.replace(file, "\n", "\n// The first push.\n");
    let opened = pull(
        &world,
        7,
        json!({"sha": first, "branch": "faster", "title": "Faster"}),
    );
    let run = happens(&world, "preview", &opened);
    assert_eq!(run.xtask_calls(), ["preview"]);
    assert_eq!(
        run.report("preview")["release"],
        format!("pr7-{}", &first[..7])
    );
    assert!(comment(&world, 7).contains(&first[..7]));
    let made = count(&world, 7);
    assert!(made > WORKERS, "{made}");

    let second = world.replace(file, "\n", "\n// The second push.\n");
    let pushed = pull(&world, 7, json!({"sha": second}));
    let run = happens(&world, "preview", &pushed);
    assert_eq!(
        run.report("preview")["release"],
        format!("pr7-{}", &second[..7])
    );
    assert_eq!(count(&world, 7), made, "updated in place");
    assert!(comment(&world, 7).contains(&second[..7]));

    // The end of this one is missed: with a conflict, GitHub runs no workflow. The patrol finds it, and only it.
    let missed = pull(&world, 8, json!({"sha": second, "branch": "missed"}));
    happens(&world, "preview", &missed);
    assert_eq!(count(&world, 8), made);
    pull(&world, 8, json!({"state": "closed"}));
    let patrol = world.act("schedule", "patrol", "{}", xtask());
    patrol.expect_success();
    assert_eq!(
        patrol.xtask_calls(),
        ["cleanup --stale", "rehearse", "status"]
    );
    let parts = [
        "tests", "benches", "deploy", "preview", "cleanup", "migrate", "rollback",
    ];
    for part in parts {
        let call = format!("scripts/test-all {part}");
        assert!(
            patrol.calls.contains(&call),
            "no {call}: {:?}",
            patrol.calls
        );
    }
    let rehearsal = patrol.report("rehearse");
    assert_ne!(rehearsal["outcome"], "failure", "{rehearsal}");
    let built = "cargo build --locked --package xtask --package local-cloud".to_owned();
    assert!(patrol.calls.contains(&built), "{:?}", patrol.calls);
    assert_eq!((count(&world, 7), count(&world, 8)), (made, 0));
    assert!(comment(&world, 8).contains("was removed"));

    let closed = pull(&world, 7, json!({"state": "closed", "merged": true}));
    let run = happens(&world, "cleanup", &closed);
    assert_eq!(run.xtask_calls(), ["cleanup"]);
    assert_eq!(run.report("cleanup")["outcome"], "success");
    assert_eq!(count(&world, 7), 0);
    assert!(comment(&world, 7).contains("was removed"));
}

/// Its runs get no secrets, and nothing is made or changed: with the real cloud chosen, either would fail without a token.
#[test]
fn a_fork_gets_no_preview_and_no_failure() {
    if left_out() {
        return;
    }
    let mut world = World::new();
    world.start_cloud();
    let sha = "b".repeat(40);
    let opened = pull(
        &world,
        9,
        json!({"sha": sha, "branch": "fork", "fork": true}),
    );
    world.choose_cloud("cloudflare");
    let run = happens(&world, "preview", &opened);
    assert!(
        run.said
            .contains("comes from a fork: its runs get no secrets"),
        "{}",
        run.said
    );
    let closed = pull(&world, 9, json!({"state": "closed"}));
    let run = happens(&world, "cleanup", &closed);
    assert!(
        run.said.contains("comes from a fork, so it has no preview"),
        "{}",
        run.said
    );
    assert_eq!(
        world.cloud().local("GET", "/state", None)["scripts"],
        json!({})
    );
}
