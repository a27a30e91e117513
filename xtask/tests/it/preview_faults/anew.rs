//! What was made and not marked yet, while the one Worker that announces it is made anew: each run is killed.

use serde_json::json;

use crate::preview_faults::payload::{self, IGNORED, REPOSITORY, SECRETS};
use crate::preview_faults::{orphans, pull, things};
use crate::support::World;
use crate::support::sweep::run::run;

/// A push of pull request 7, in a repo that has never been deployed.
fn push(world: &World, n: u64, tag: u64) {
    for (path, text) in payload::files(n, tag, 1) {
        world.edit(&path, &text);
    }
    let sha = world.commit(&format!("push {n}"));
    let change = json!({"sha": sha, "branch": "topic", "state": "open"});
    pull(world, REPOSITORY, change);
}

/// Previews one Worker, and dies as soon as a request was carried out.
#[track_caller]
fn killed_after(world: &World, method: &str, path: &str) {
    world.fault(json!({"method": method, "path": path, "action": {"hang": "after"}}));
    let arguments = ["preview", "--pr", "7", "--only", "beta"].map(str::to_owned);
    let run = run(world, &arguments, || world.faults_fired() > 0);
    assert!(run.killed, "{}", run.stderr);
    world.clear_faults();
}

#[test]
fn what_one_worker_announces_is_marked_before_it_is_made_anew() {
    let mut world = World::of(&[(".gitignore", IGNORED)]).with_stand_in();
    for (name, value) in SECRETS {
        world.set(name, value);
    }
    world.set("GITHUB_REPOSITORY", REPOSITORY);
    push(&world, 1, 1);
    killed_after(&world, "POST", "/d1/database$");
    let made = things(&world);
    let wanted = ["sweep-beta-pr-7-preview", "sweep-db-pr-7-preview"];
    let all = wanted.iter().all(|name| made.iter().any(|one| one == name));
    assert!(all, "{made:?}");
    // Its Durable Objects do not fit any more, and it goes.
    push(&world, 2, 2);
    killed_after(&world, "DELETE", "/workers/services/sweep-beta");
    let left = things(&world);
    assert!(
        !left.iter().any(|name| name == wanted[0]) && left.iter().any(|name| name == wanted[1]),
        "{left:?}"
    );
    // The pull request is closed, and the main branch does not know the storage.
    for (path, text) in payload::without_storage() {
        world.edit(&path, &text);
    }
    assert_eq!(orphans(&world, REPOSITORY), [""; 0]);
}
