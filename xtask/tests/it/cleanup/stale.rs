//! `cleanup --stale` deletes what belongs to closed pull requests, and nothing at the slightest doubt.

use serde_json::{Value, json};
use xtask::preview::{Key, names};

use crate::cleanup::made::{self, deletions, made, open_pull};
use crate::preview::dump::dump;
use crate::support::World;

fn with_previews(numbers: &[u64]) -> World {
    let world = crate::cleanup::world();
    for number in numbers {
        made(&world, Key::Pr(*number));
    }
    made(&world, Key::None);
    world
}

fn standing(world: &World, number: u64) -> bool {
    let name = format!("-pr-{number}-preview");
    dump(world, "").keys().any(|key| key.contains(&name))
}

#[test]
fn previews_of_closed_pull_requests_go() {
    let world = with_previews(&[7, 8, 9]);
    open_pull(&world, 7, "closed");
    open_pull(&world, 8, "open");
    open_pull(&world, 9, "closed");
    world
        .run(["cleanup", "--stale"])
        .exits(0)
        .says("open, so kept: pull request 8");
    assert!(!standing(&world, 7) && standing(&world, 8) && !standing(&world, 9));
    assert!(
        dump(&world, "").contains_key("script small-api-preview"),
        "it belongs to no pull request"
    );
}

/// A pull request that adds storage: the checkout that looks for what is left over does not know it, and a preview that was
/// killed had no time to mark it.
#[test]
fn storage_that_only_the_workers_announce_is_marked_before_they_go() {
    let world = crate::cleanup::world();
    open_pull(&world, 7, "closed");
    let name = |base: &str| format!("{base}-pr-7-preview");
    let announced = ["new-db", "new-kv", "new-files", "full-db"].map(name);
    let mut tags = names::tags(Key::Pr(7), &made::own());
    tags.extend(names::stores_tags(&announced, &[]));
    made::database(&world, &name("new-db"), None);
    made::namespace(&world, &name("new-kv"), &[]);
    made::bucket(&world, &name("new-files"), None, &[]);
    let files = json!({"type": "r2_bucket", "name": "FILES", "bucket_name": name("new-files")});
    made::worker(&world, &name("small-api"), &[files], &tags);
    // Nobody announced the one, and there is something in the other.
    made::database(&world, &name("others-db"), None);
    let full = made::database(&world, &name("full-db"), None);
    world.query_in(&full, "CREATE TABLE mine (x)");
    world.clear_journal();
    world.run(["cleanup", "--stale"]).exits(0).says(
        "the database `full-db-pr-7-preview` has something in it, but no marker of a preview",
    );
    let gone = deletions(&world);
    assert_eq!(gone.len(), 4, "{gone:#?}");
    // Once the one Worker that announces them is gone, nothing else leads to them. It is bound to the bucket, so it goes first.
    let requests = world.requests();
    let at = |line: &str| {
        let found = requests.iter().position(|other| other.starts_with(line));
        found.unwrap_or_else(|| panic!("{line}: {requests:#?}"))
    };
    let worker = at("DELETE /workers/services/small-api-pr-7-preview");
    assert!(at("PUT /storage/kv/namespaces/") < worker, "{requests:#?}");
    assert!(
        at("PUT /r2/buckets/new-files-pr-7-preview/lifecycle") < worker,
        "{requests:#?}"
    );
    assert!(
        worker < at("DELETE /r2/buckets/new-files-pr-7-preview"),
        "{requests:#?}"
    );
    let left = dump(&world, "");
    let left: Vec<&String> = left
        .keys()
        .filter(|key| key.contains("pr-7-preview"))
        .collect();
    assert_eq!(left.len(), 1, "{left:#?}");
    let state = world.cloud_state();
    let databases: Vec<&str> = state["d1"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.values().filter_map(|one| one["name"].as_str()))
        .filter(|one| one.ends_with("pr-7-preview"))
        .collect();
    assert_eq!(databases.len(), 2, "{databases:?}");
    assert!(
        databases.iter().all(|one| !one.starts_with("new-")),
        "{databases:?}"
    );
}

/// Path of a read, what becomes of it, the exit code, and what is said.
fn doubts() -> [(&'static str, Value, i32, &'static str); 9] {
    [
        (
            "/pulls$",
            json!({"status": 500}),
            3,
            "GitHub refused a request",
        ),
        (
            "/pulls$",
            json!({"status": 403, "body": {"message": "Resource not accessible by integration"}}),
            2,
            "pull-requests: read",
        ),
        (
            "/pulls$",
            json!({"drop": "before"}),
            3,
            "GitHub did not answer",
        ),
        (
            "/pulls$",
            json!({"status": 200, "body": {"pulls": []}}),
            3,
            "the answer is no list",
        ),
        (
            "/pulls/7$",
            json!({"status": 404, "body": {"message": "Not Found"}}),
            2,
            "has no pull request 7, but it has a preview",
        ),
        (
            "/pulls/7$",
            json!({"status": 502}),
            3,
            "GitHub refused a request",
        ),
        (
            "/pulls/7$",
            json!({"status": 200, "body": {"number": 8}}),
            3,
            "not that pull request",
        ),
        (
            "/workers/scripts$",
            json!({"status": 500}),
            3,
            "Cloudflare refused a request",
        ),
        (
            "/d1/database$",
            json!({"status": 500}),
            3,
            "Cloudflare refused a request",
        ),
    ]
}

#[test]
fn any_doubt_deletes_nothing() {
    let mut world = with_previews(&[7, 8]);
    open_pull(&world, 7, "closed");
    open_pull(&world, 8, "open");
    let before = dump(&world, "");
    let check = |world: &World, exit: i32, why: &str| {
        world.clear_journal();
        let run = world.run(["cleanup", "--stale"]).exits(exit);
        assert!(run.stderr.contains(why), "{why}:\n{}", run.stderr);
        assert_eq!(deletions(world), Vec::<String>::new(), "{why}");
        world.clear_faults();
    };
    for (path, action, exit, why) in doubts() {
        world.fault(json!({"method": "GET", "path": path, "count": 99, "action": action}));
        check(&world, exit, why);
    }
    // An empty list for a wrong reason: pull request 8 says of itself that it is open.
    world.fault(json!({"method": "GET", "path": "/pulls$", "count": 9, "action": {"status": 200, "body": []}}));
    let run = world.run(["cleanup", "--stale", "--dry-run"]).exits(0);
    assert!(
        run.stdout.contains("small-api-pr-7-preview")
            && !run.stdout.contains("small-api-pr-8-preview"),
        "{}",
        run.stdout
    );
    world.clear_faults();
    world.set("GITHUB_REPOSITORY", "acme/another");
    check(&world, 2, "GitHub does not know what was asked for");
    world.unset("GITHUB_REPOSITORY");
    check(&world, 2, "it is not known which pull requests are open");
    let changed = crate::preview::dump::difference(&before, &dump(&world, ""));
    assert!(changed.is_empty(), "{changed:#?}");
}
