//! The fault sweeps of `preview` and `cleanup`: every request they make fails, is lost, or is the last thing they do.
//! Production and the previews of others never change, a rerun converges, and whatever is left at any moment is found by
//! `cleanup --stale`. How a sweep is steered is in `support/sweep`.

mod anew;
mod cleanup;
pub mod payload;
mod preview;

use serde_json::{Value, json};

use crate::preview::dump::Dump;
use crate::support::World;

/// What bears the name of the preview under test.
const MARK: &str = "pr-7-preview";

/// Everything that is not of the preview under test.
fn others(world: &World) -> Dump {
    crate::preview::dump::dump(world, MARK)
}

/// What of others has changed.
fn changed(before: &Dump, world: &World) -> Vec<String> {
    let lines = crate::preview::dump::difference(before, &others(world)).into_iter();
    lines
        .map(|line| format!("of others, it changed {line}"))
        .collect()
}

/// The Workers, databases, namespaces and buckets of the preview under test.
fn things(world: &World) -> Vec<String> {
    let state = world.cloud_state();
    let of = |kind: &str, field: &str| -> Vec<String> {
        let all = state[kind].as_object().into_iter().flatten();
        let name = |(key, value): (&String, &Value)| match field {
            "" => key.clone(),
            field => value[field].as_str().unwrap_or_default().to_owned(),
        };
        all.map(name).filter(|name| name.ends_with(MARK)).collect()
    };
    [
        of("scripts", ""),
        of("d1", "name"),
        of("kv", "title"),
        of("r2", ""),
    ]
    .concat()
}

/// What `cleanup --stale` would not find, were the pull request closed now.
fn orphans(world: &World, repository: &str) -> Vec<String> {
    let there = things(world);
    if there.is_empty() {
        return Vec::new();
    }
    pull(world, repository, json!({"state": "closed"}));
    let run = world.run(["cleanup", "--stale", "--dry-run"]);
    pull(world, repository, json!({"state": "open"}));
    if run.status != Some(0) {
        return vec![format!("what is left cannot be looked for: {run}")];
    }
    let unseen = there
        .into_iter()
        .filter(|name| !run.stdout.contains(name.as_str()));
    unseen
        .map(|name| format!("an orphan that `cleanup --stale` does not find: {name}"))
        .collect()
}

/// Changes pull request 7.
fn pull(world: &World, repository: &str, change: Value) {
    let mut body = json!({"repo": repository, "number": 7});
    let fields = change.as_object().into_iter().flatten();
    fields.for_each(|(name, value)| body[name] = value.clone());
    world.cloud().local("POST", "/github/pulls", Some(body));
}

/// A GET at the local GitHub.
fn github(world: &World, repository: &str, path: &str) -> Value {
    let headers = [("authorization", "Bearer x"), ("user-agent", "a test")];
    let path = format!("/github/repos/{repository}{path}");
    world
        .cloud()
        .edge("GET", "127.0.0.1", &path, &headers, "")
        .json()
}

/// The comments on pull request 7.
fn comments(world: &World, repository: &str) -> Vec<String> {
    let listed = github(world, repository, "/issues/7/comments");
    let bodies = listed.as_array().into_iter().flatten();
    bodies
        .map(|comment| comment["body"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Takes the comments of pull request 7 away, as if nobody had said anything on it yet.
fn uncomment(world: &World, repository: &str) {
    let headers = [("authorization", "Bearer x"), ("user-agent", "a test")];
    let listed = github(world, repository, "/issues/7/comments");
    for comment in listed.as_array().into_iter().flatten() {
        let path = format!(
            "/github/repos/{repository}/issues/comments/{}",
            comment["id"]
        );
        let cloud = world.cloud();
        let answer = cloud.edge("DELETE", "127.0.0.1", &path, &headers, "");
        assert_eq!(answer.status, 204, "{answer}");
    }
    assert!(comments(world, repository).is_empty());
}

/// The newest state of each deployment to the environment of pull request 7.
fn deployments(world: &World, repository: &str) -> Vec<String> {
    let listed = github(
        world,
        repository,
        "/deployments?environment=preview%2Fpr-7&per_page=100",
    );
    let ids = listed.as_array().into_iter().flatten();
    ids.map(|row| {
        let statuses = github(
            world,
            repository,
            &format!("/deployments/{}/statuses", row["id"]),
        );
        statuses[0]["state"].as_str().unwrap_or("none").to_owned()
    })
    .collect()
}
