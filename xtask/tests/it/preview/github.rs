//! What the pull request on GitHub sees of its preview.

use std::time::Duration;

use serde_json::{Value, json};

use crate::preview::policy::event;
use crate::support::{Cloud, World, repo};

const COMMENTS: &str = "/github/repos/shop/site/issues/7/comments";

fn pull(cloud: &Cloud, change: Value) {
    let mut body = json!({"repo": "shop/site", "number": 7});
    for (key, value) in change.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    cloud
        .control("POST", "/_local/github/pulls", Some(body))
        .ok();
}

/// GitHub answers nobody who does not say who they are.
#[track_caller]
fn ask(world: &World, path: &str) -> Value {
    let headers = [
        ("authorization", "Bearer test-token"),
        ("user-agent", "a test"),
    ];
    let answer = world.cloud().edge("GET", "127.0.0.1", path, &headers, "");
    answer.ok()
}

fn comments(world: &World) -> Vec<String> {
    let listed = ask(world, COMMENTS);
    let bodies = listed.as_array().into_iter().flatten();
    bodies
        .map(|comment| comment["body"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn states(world: &World) -> Vec<String> {
    let base = "/github/repos/shop/site/deployments";
    let listed = ask(world, &format!("{base}?environment=preview%2Fpr-7"));
    let ids: Vec<u64> = listed
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| row["id"].as_u64())
        .collect();
    ids.iter()
        .map(|id| {
            let statuses = ask(world, &format!("{base}/{id}/statuses"));
            let newest = &statuses[0];
            format!(
                "{} {}",
                newest["state"].as_str().unwrap_or("-"),
                newest["environment_url"].as_str().unwrap_or("-")
            )
        })
        .collect()
}

#[test]
fn the_pull_request_has_one_comment_and_one_deployment() {
    let mut world =
        World::deployed_from("one worker", &repo::one_worker(repo::API_CODE)).with_stand_in();
    world.set("GITHUB_REPOSITORY", "shop/site");
    let title = "Faster <!-- --> @everyone <script>alert(1)</script> [x](https://evil.example)";
    pull(world.cloud(), json!({"title": title, "branch": "a`b|c"}));
    world.run(["preview", "--pr", "7"]).exits(0);
    let told = comments(&world);
    let [comment] = told.as_slice() else {
        panic!("there is not one comment: {told:#?}");
    };
    let url = format!(
        "http://one-pr-7-preview.test.localhost:{}",
        world.cloud().port
    );
    assert!(comment.contains(&url), "{comment}");
    assert!(comment.contains("cargo xtask cleanup --pr 7"), "{comment}");
    assert!(
        !comment.contains("<script>") && !comment.contains("@everyone"),
        "{comment}"
    );
    assert_eq!(states(&world), [format!("success {url}")]);

    // A push that does not start: the same comment says so, and the deployment failed.
    world.edit(
        "worker/index.js",
        "export default { fetch() {} };\nthrow new Error('no start');\n",
    );
    world.commit("broken");
    world.run(["preview", "--pr", "7"]).exits(1);
    let told = comments(&world);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("no start"), "{}", told[0]);
    assert!(
        states(&world)
            .iter()
            .any(|state| state.starts_with("failure")),
        "{:?}",
        states(&world)
    );

    // A refusal before anything is made is told, too.
    let text = world.read("pipeline.toml");
    world.edit(
        "pipeline.toml",
        &format!("{text}\n[preview]\nkeep = [\"NOPE\"]\n"),
    );
    world.commit("a wrong setting");
    world.run(["preview", "--pr", "7"]).exits(2);
    let told = comments(&world);
    assert!(told.len() == 1 && told[0].contains("NOPE"), "{told:#?}");
}

#[test]
fn a_commit_that_is_no_longer_the_newest_is_not_previewed() {
    let mut world = World::of(&repo::one_worker(repo::API_CODE)).with_stand_in();
    event(&mut world, |_| {});
    pull(world.cloud(), json!({"sha": "b".repeat(40)}));
    world
        .run(["preview"])
        .exits(0)
        .says("the commit bbbbbbb was pushed since");
    assert_eq!(comments(&world), [""; 0]);
    assert_eq!(world.cloud_state()["scripts"], json!({}));
}

#[test]
fn a_pull_request_that_is_closed_meanwhile_leaves_no_preview() {
    let mut world = World::of(&repo::one_worker(repo::API_CODE)).with_stand_in();
    world.set("GITHUB_REPOSITORY", "shop/site");
    pull(world.cloud(), json!({}));
    world.fault(json!({
        "method": "POST", "path": "/workers/scripts/one-pr-7-preview/versions", "action": {"delay_ms": 3000},
    }));
    let run = world.start(&["preview", "--pr", "7"]);
    for _ in 0..600 {
        if world.cloud_state()["scripts"]["one-pr-7-preview"].is_object() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    pull(world.cloud(), json!({"state": "closed"}));
    run.end()
        .exits(0)
        .says("the pull request was closed meanwhile: what was made was taken down");
    assert_eq!(world.cloud_state()["scripts"], json!({}));
    assert!(
        states(&world)
            .iter()
            .all(|state| state.starts_with("inactive")),
        "{:?}",
        states(&world)
    );
}
