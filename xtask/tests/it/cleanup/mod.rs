//! `cleanup` against a local cloud. The previews are made through its API as `preview` makes them, but for one test that
//! lets `preview` do it.
#![cfg(unix)]

pub mod made;
mod stale;

use serde_json::{Value, json};
use xtask::preview::Key;

use crate::cleanup::made::{REPO, deletions, github, made, open_pull, production, sources};
use crate::preview::dump::{difference, dump};
use crate::support::World;

fn world() -> World {
    let mut world = World::of(&sources()).with_stand_in();
    world.set("GITHUB_REPOSITORY", REPO);
    made::adopted(&world);
    world
}

#[test]
fn after_it_nothing_named_for_it_exists_and_the_others_serve() {
    let world = world();
    production(&world);
    for number in [7, 8] {
        open_pull(&world, number, "open");
        made(&world, Key::Pr(number));
    }
    made(&world, Key::None);
    let others = dump(&world, "pr-7-preview");
    let comment = json!({"body": "<!-- xtask-preview -->\n### ready"});
    github(&world, "POST", "/issues/7/comments", Some(comment));
    for sha in ["a", "b"] {
        let deployment = json!({"ref": sha.repeat(40), "environment": "preview/pr-7"});
        github(&world, "POST", "/deployments", Some(deployment));
    }
    world.clear_journal();

    let run = world
        .run(["cleanup", "--pr", "7", "--format", "json"])
        .exits(0);
    let report = run.json();
    assert_eq!(report["outcome"], "success", "{report}");
    let left = difference(&others, &dump(&world, ""));
    assert!(left.is_empty(), "{left:#?}");
    check_order(&deletions(&world));
    for script in ["small-api-pr-8-preview", "small-api-preview", "small-api"] {
        let answer = world.edge_get(&format!("{script}.test.localhost"), "/");
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, script),
            "{answer}"
        );
    }
    check_told(&world);

    world.clear_journal();
    world
        .run(["cleanup", "--pr", "7"])
        .exits(0)
        .says("there was nothing to delete");
    assert_eq!(deletions(&world), Vec::<String>::new());
}

/// Callers go before those they call, Workers before what they store.
#[track_caller]
fn check_order(order: &[String]) {
    let at = |part: &str| {
        order
            .iter()
            .position(|line| line.contains(part))
            .unwrap_or_else(|| panic!("{part}: {order:#?}"))
    };
    assert!(
        at("services/small-site-pr-7-preview") < at("services/small-agent-pr-7-preview"),
        "{order:#?}"
    );
    assert!(
        at("services/small-agent-pr-7-preview") < at("services/small-api-pr-7-preview"),
        "{order:#?}"
    );
    assert!(
        at("services/small-site-pr-7-preview") < at("/storage/kv/namespaces/"),
        "{order:#?}"
    );
    assert!(
        at("services/small-api-pr-7-preview") < at("/d1/database/"),
        "{order:#?}"
    );
}

#[track_caller]
fn check_told(world: &World) {
    let comments = github(world, "GET", "/issues/7/comments", None);
    let body = comments[0]["body"].as_str().expect("a text");
    assert!(
        comments[1].is_null() && body.contains("Preview of pull request 7 was removed"),
        "{comments}"
    );
    for deployment in github(
        world,
        "GET",
        "/deployments?environment=preview%2Fpr-7",
        None,
    )
    .as_array()
    .expect("a list")
    {
        let statuses = github(
            world,
            "GET",
            &format!("/deployments/{}/statuses", deployment["id"]),
            None,
        );
        assert_eq!(statuses[0]["state"], "inactive", "{statuses}");
    }
}

#[test]
fn what_only_looks_like_a_preview_survives() {
    let world = world();
    production(&world);
    made::worker(&world, "small-api-pr-7-preview", &[], &[]);
    let stranger =
        xtask::preview::names::tags(Key::Pr(7), &xtask::preview::names::repo_hash("acc", "blog"));
    made::worker(&world, "small-agent-pr-7-preview", &[], &stranger);
    made::worker(&world, "blog-pr-7-preview", &[], &stranger);
    made::database(
        &world,
        "small-db-pr-7-preview",
        Some(("000000000000", "pr-7-preview")),
    );
    made::namespace(&world, "small-kv-b6b44e27-pr-7-preview", &[("mine", "1")]);
    made::bucket(
        &world,
        "small-images-pr-7-preview",
        Some("xtask-preview 000000000000 pr-7-preview"),
        &[],
    );
    made::bucket(&world, "stranger-pr-7-preview", None, &[]);
    let before = dump(&world, "");
    world.clear_journal();
    let run = world.run(["cleanup", "--pr", "7"]).exits(0);
    for said in [
        "left alone: the worker `small-api-pr-7-preview` lacks the tags of the preview of PR 7",
        "left alone: the worker `small-agent-pr-7-preview` lacks the tags",
        "left alone: the database `small-db-pr-7-preview` carries the marker of another",
        "left alone: the namespace `small-kv-b6b44e27-pr-7-preview` has something in it",
        "left alone: the bucket `small-images-pr-7-preview` carries the marker of another",
    ] {
        assert!(run.stderr.contains(said), "{said}:\n{}", run.stderr);
    }
    assert!(
        !run.stderr.contains("stranger") && !run.stderr.contains("blog"),
        "{}",
        run.stderr
    );
    assert_eq!(deletions(&world), Vec::<String>::new());
    let changed = difference(&before, &dump(&world, ""));
    assert!(changed.is_empty(), "{changed:#?}");
}

#[test]
fn what_a_killed_preview_left_unmarked_and_empty_goes() {
    let world = world();
    made::database(&world, "small-db-pr-7-preview", None);
    made::namespace(&world, "small-kv-b6b44e27-pr-7-preview", &[]);
    made::bucket(&world, "small-images-pr-7-preview", None, &[]);
    // Not of these configs, but marked: an older commit of the pull request had it.
    made::bucket(
        &world,
        "older-pr-7-preview",
        Some(&made::rule(Key::Pr(7))),
        &[],
    );
    made::bucket(&world, "unknown-pr-7-preview", None, &[]);
    world.run(["cleanup", "--pr", "7"]).exits(0);
    let left = dump(&world, "");
    let names: Vec<&String> = left
        .keys()
        .filter(|name| name.contains("preview"))
        .collect();
    assert_eq!(names, ["bucket unknown-pr-7-preview"]);
}

#[test]
fn it_goes_on_past_a_failure_and_a_rerun_finishes() {
    let world = world();
    production(&world);
    open_pull(&world, 7, "closed");
    made(&world, Key::Pr(7));
    github(
        &world,
        "POST",
        "/issues/7/comments",
        Some(json!({"body": "<!-- xtask-preview -->\nold"})),
    );
    let refused = json!({"method": "DELETE", "path": "services/small-agent-pr-7-preview", "count": 99, "action": {"status": 500}});
    world.fault(refused);
    let run = world.run(["cleanup", "--pr", "7"]).exits(3);
    assert!(
        run.stderr
            .contains("failed to delete the worker small-agent-pr-7-preview"),
        "{}",
        run.stderr
    );
    let left = dump(&world, "");
    let names: Vec<&str> = left
        .keys()
        .filter(|name| name.contains("pr-7"))
        .map(String::as_str)
        .collect();
    // The agent calls the api, and the api is bound to the database.
    let standing = |part: &str| names.iter().any(|name| name.contains(part));
    assert!(
        standing("small-agent") && standing("small-api") && standing("small-db"),
        "{names:?}"
    );
    assert!(
        !standing("small-site") && !standing("small-images") && !standing("small-kv"),
        "{names:?}"
    );
    let body = github(&world, "GET", "/issues/7/comments", None)[0]["body"].to_string();
    assert!(
        body.contains("was not removed completely") && body.contains("small-agent-pr-7-preview"),
        "{body}"
    );
    world.clear_faults();
    world.run(["cleanup", "--pr", "7"]).exits(0);
    assert!(!dump(&world, "").keys().any(|name| name.contains("pr-7")));
    let body = github(&world, "GET", "/issues/7/comments", None)[0]["body"].to_string();
    assert!(body.contains("was removed"), "{body}");
}

#[test]
fn a_bucket_and_a_namespace_of_more_than_one_page() {
    let world = world();
    let marker = made::marker(Key::Pr(7));
    let bucket = "small-images-pr-7-preview";
    made::bucket(&world, bucket, Some(&made::rule(Key::Pr(7))), &[]);
    let odd = ["a b/c%2Fd", "ä?#&=", "..", "x/../y", "-"];
    let names = (0..130)
        .map(|number| format!("zz/{number:04}.bin"))
        .chain(odd.map(str::to_owned));
    for name in names {
        made::object(&world, bucket, &name, "x");
    }
    let path = format!("/r2/buckets/{bucket}/objects?per_page=1000");
    let page = world.cloud().result("GET", &path, None);
    // With their metadata it lists no more at a time, whatever is asked for.
    assert_eq!(page.as_array().map(Vec::len), Some(100));
    let namespace = made::namespace(
        &world,
        "small-kv-b6b44e27-pr-7-preview",
        &[("xtask-preview", &marker)],
    );
    // No verb lists more than 10 keys at a time.
    let pairs: Vec<Value> = (0..45)
        .map(|number| json!({"key": format!("key {number}"), "value": "x"}))
        .collect();
    let path = format!("/storage/kv/namespaces/{namespace}/bulk");
    world.cloud().result("PUT", &path, Some(Value::from(pairs)));
    // More than a page of namespaces, so that the wanted ones are not on the first.
    for number in 0..105 {
        made::namespace(&world, &format!("another {number}"), &[]);
    }
    // The last delete of the first page fails: the bucket still tells whose it is.
    world.fault(json!({"method": "DELETE", "path": "/objects/", "nth": 100, "count": 99999, "action": {"status": 500}}));
    world.run(["cleanup", "--pr", "7"]).exits(3);
    world.clear_faults();
    world.run(["cleanup", "--pr", "7"]).exits(0);
    let left = dump(&world, "");
    assert!(
        !left.keys().any(|name| name.contains("preview")),
        "{:?}",
        left.keys()
    );
}

#[test]
fn a_dry_run_writes_nothing() {
    let world = world();
    made(&world, Key::Pr(7));
    open_pull(&world, 7, "closed");
    for arguments in [
        ["cleanup", "--pr=7", "--dry-run"],
        ["cleanup", "--stale", "--dry-run"],
    ] {
        world.clear_journal();
        let before = (world.files(), dump(&world, ""));
        world.clear_journal();
        let run = world.run(arguments).exits(0);
        for name in [
            "small-site-pr-7-preview",
            "small-db-pr-7-preview",
            "small-kv-b6b44e27-pr-7-preview",
            "small-images-pr-7-preview",
        ] {
            assert!(run.stdout.contains(name), "{name}: {}", run.stdout);
        }
        let writes: Vec<String> = world
            .requests()
            .into_iter()
            // A SELECT of D1 is a POST.
            .filter(|line| !line.starts_with("GET ") && !line.ends_with("/query"))
            .collect();
        assert_eq!(writes, Vec::<String>::new());
        assert!(before == (world.files(), dump(&world, "")));
    }
}

#[test]
fn input_that_makes_no_sense_is_refused() {
    let mut world = world();
    world
        .run(["cleanup", "--only", "site"])
        .exits(2)
        .says("`cleanup` takes no `--only`");
    world.run(["cleanup", "--pr", "0"]).exits(2);
    world.run(["cleanup", "--pr", "7", "--stale"]).exits(2);
    // A fork's run has no secrets, and a fork has no preview.
    let event = json!({"pull_request": {
        "number": 7, "state": "closed", "title": "t",
        "head": {"sha": "a".repeat(40), "ref": "b", "repo": {"full_name": "eve/site"}},
        "base": {"repo": {"full_name": REPO}},
    }});
    let path = world.aside("event.json");
    std::fs::write(&path, event.to_string()).expect("a file");
    world.set("GITHUB_EVENT_PATH", &path.display().to_string());
    world.set("XTASK_CLOUD", "cloudflare");
    world.run(["cleanup"]).exits(0).says("comes from a fork");
    world.unset("GITHUB_EVENT_PATH");
    world
        .run(["cleanup"])
        .exits(2)
        .says("CLOUDFLARE_API_TOKEN is not set");
}

#[test]
fn what_preview_made_is_gone_after_it() {
    let mut world = world();
    world.unset("GITHUB_REPOSITORY");
    world.deploy();
    let production = dump(&world, "");
    world.run(["preview", "--pr", "7"]).exits(0);
    let of_seven = dump(&world, "")
        .keys()
        .filter(|name| name.contains("pr-7-preview"))
        .count();
    assert!(of_seven > 5, "{of_seven}");
    world
        .run(["cleanup", "--pr", "7"])
        .exits(0)
        .says("GitHub was not told");
    let changed = difference(&production, &dump(&world, ""));
    assert!(changed.is_empty(), "{changed:#?}");
}
