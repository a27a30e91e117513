//! `rollback --revert`: real repositories with a bare remote. What is pushed, and that nothing of the person's is touched.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::support::{World, repo};

/// A repo whose main branch is at a bare `origin`: a file in three commits.
fn world() -> (World, PathBuf, String) {
    let world = World::without_cloud(&repo::small_set());
    let remote = world.aside("remote.git");
    let address = remote.display().to_string();
    world.git(&[
        "init",
        "--quiet",
        "--bare",
        "--initial-branch",
        "main",
        &address,
    ]);
    world.git(&["remote", "add", "origin", &address]);
    world.edit("notes.txt", "one\ntwo\nthree\n");
    world.commit("notes");
    world.edit("notes.txt", "one\nTWO\nthree\n");
    let wrong = world.commit("a mistake");
    world.edit("other.txt", "kept\n");
    world.commit("something else");
    push(&world, "main");
    (world, remote, wrong)
}

#[track_caller]
fn push(world: &World, branch: &str) {
    world.git(&["push", "--quiet", "origin", branch]);
}

/// A file as a branch of the remote has it.
#[track_caller]
fn at_remote(world: &World, branch: &str, path: &str) -> String {
    world.git(&["fetch", "--quiet", "origin"]);
    world.git(&["show", &format!("refs/remotes/origin/{branch}:{path}")])
}

/// Everything a person has here: refs, index, files, work trees.
#[derive(Debug, PartialEq)]
struct Here {
    refs: String,
    head: String,
    status: String,
    notes: String,
    worktrees: usize,
}

#[track_caller]
fn here(world: &World) -> Here {
    Here {
        refs: world.git(&["for-each-ref", "refs/heads", "refs/tags"]),
        head: world.git(&["symbolic-ref", "HEAD"]),
        status: world.git(&["status", "--porcelain"]),
        notes: world.read("notes.txt"),
        worktrees: world.git(&["worktree", "list"]).lines().count(),
    }
}

#[track_caller]
fn remote_refs(world: &World) -> String {
    world.git(&["ls-remote", "origin"])
}

#[test]
fn a_commit_is_taken_back_on_a_branch_and_once_only() {
    let (world, _, wrong) = world();
    world.git(&["switch", "--quiet", "--create", "my-work"]);
    let before = here(&world);
    let branch = format!("revert-{}", &wrong[..7]);
    let run = world.run(["rollback", "--revert", &wrong]).exits(0);
    assert_eq!(
        at_remote(&world, &branch, "notes.txt"),
        "one\ntwo\nthree",
        "{run}"
    );
    assert_eq!(at_remote(&world, &branch, "other.txt"), "kept", "{run}");
    assert_eq!(
        at_remote(&world, "main", "notes.txt"),
        "one\nTWO\nthree",
        "{run}"
    );
    let message = world.git(&["log", "-1", "--format=%B", &format!("origin/{branch}")]);
    assert!(
        message.contains(&format!("This reverts commit {wrong}")),
        "{message}"
    );
    assert_eq!(here(&world), before, "{run}");

    let refs = remote_refs(&world);
    world
        .run(["rollback", "--revert", &wrong])
        .exits(0)
        .says("origin has it");
    assert_eq!(remote_refs(&world), refs);

    // The same commit by a short name, on the main branch itself, and again.
    let run = world
        .run(["rollback", "--revert", &wrong[..8], "--main"])
        .exits(0);
    assert_eq!(
        at_remote(&world, "main", "notes.txt"),
        "one\ntwo\nthree",
        "{run}"
    );
    let refs = remote_refs(&world);
    let run = world
        .run(["rollback", "--revert", &wrong, "--main"])
        .exits(0)
        .says("taken back already");
    assert_eq!(remote_refs(&world), refs, "{run}");
    assert_eq!(here(&world), before);
}

#[test]
fn a_conflict_and_a_refused_push_lose_nothing() {
    let (world, remote, wrong) = world();
    world.edit("notes.txt", "one\nTWO again\nthree\n");
    world.commit("changed once more");
    push(&world, "main");
    let (before, refs) = (here(&world), remote_refs(&world));
    let run = world
        .run(["rollback", "--revert", &wrong])
        .exits(1)
        .says("cannot be taken back by itself")
        .says("notes.txt")
        .says("git revert");
    assert_eq!(here(&world), before, "{run}");
    assert_eq!(remote_refs(&world), refs, "{run}");

    let hook = remote.join("hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\necho 'not on a Friday' >&2\nexit 1\n").expect("a hook");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let run = world
        .run(["rollback", "--revert", "HEAD"])
        .exits(3)
        .says("git push failed")
        .says("not on a Friday");
    assert_eq!(here(&world), before, "{run}");
    assert_eq!(remote_refs(&world), refs, "{run}");
    std::fs::remove_file(&hook).expect("it is there");

    // What a killed run left in the way is no obstacle.
    let folder = format!(".xtask/revert/{}", &world.git(&["rev-parse", "HEAD"])[..7]);
    world.git(&["worktree", "add", "--quiet", "--detach", &folder, "HEAD~1"]);
    world
        .run(["rollback", "--revert", "HEAD", "--branch", "way-back"])
        .exits(0);
    assert_eq!(
        at_remote(&world, "way-back", "notes.txt"),
        "one\nTWO\nthree"
    );
    assert_eq!(here(&world), before);
}

#[test]
fn a_merge_needs_the_parent_that_stays() {
    let (world, _, _) = world();
    world.git(&["switch", "--quiet", "--create", "feature"]);
    world.edit("feature.txt", "new\n");
    world.commit("a feature");
    world.git(&["switch", "--quiet", "main"]);
    world.git(&[
        "merge",
        "--quiet",
        "--no-ff",
        "--message",
        "merge the feature",
        "feature",
    ]);
    push(&world, "main");
    let merge = world.git(&["rev-parse", "HEAD"]);
    world
        .run(["rollback", "--revert", &merge])
        .exits(2)
        .says("is a merge of 2 branches")
        .says("--parent 1");
    world
        .run(["rollback", "--revert", &merge, "--parent", "3"])
        .exits(2)
        .says("has no parent 3");
    world
        .run(["rollback", "--revert", "HEAD~1", "--parent", "1"])
        .exits(2)
        .says("is no merge");
    world
        .run(["rollback", "--revert", &merge, "--parent", "1", "--main"])
        .exits(0);
    world.git(&["fetch", "--quiet", "origin"]);
    let files = world.git(&["ls-tree", "--name-only", "origin/main"]);
    assert!(
        !files.contains("feature.txt") && files.contains("other.txt"),
        "{files}"
    );
}

#[test]
fn what_must_not_be_reverted_is_refused() {
    let (world, _, wrong) = world();
    let refs = remote_refs(&world);
    let refuse = |arguments: &[&str], text: &str| {
        let all: Vec<&str> = [&["rollback", "--revert"], arguments].concat();
        world.start(&all).end().exits(2).says(text);
    };
    refuse(&["nonsense"], "there is no commit `nonsense`");
    refuse(&[&wrong, "--branch", "main"], "is the main branch");
    refuse(
        &[&wrong, "--branch", "a..b"],
        "cannot be the name of a branch",
    );
    world.git(&["branch", "--quiet", "taken", "HEAD"]);
    push(&world, "taken");
    refuse(&[&wrong, "--branch", "taken"], "exists at origin already");
    world.edit("draft.txt", "half");
    refuse(&[&wrong], "uncommitted changes");
    world.commit("only here");
    refuse(&["HEAD"], "is not on main");
    world.git(&["push", "--quiet", "origin", "--delete", "taken"]);
    assert_eq!(remote_refs(&world), refs);

    let objects = || world.git(&["count-objects", "--verbose"]);
    let (before, counted) = (here(&world), objects());
    let run = world
        .run(["rollback", "--revert", &wrong, "--dry-run"])
        .exits(0);
    assert!(run.stdout.contains("push revert-"), "{run}");
    assert_eq!((here(&world), objects()), (before, counted));
    assert_eq!(remote_refs(&world), refs);

    world.git(&["remote", "remove", "origin"]);
    refuse(&[&wrong], "there is no remote `origin`");
}
