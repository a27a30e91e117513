//! The repo keeps its own rules; and each rule fails on a small bad example, with a message that says how to repair it.

mod files;
mod workflows;
mod world;

use std::path::Path;

use xtask::context::{CloudKind, Ctx};
use xtask::env::Env;
use xtask::interrupt::Interrupt;
use xtask::stages::tidy::{Repo, check, tidy};
use xtask::tools::git::Git;
use xtask::ui::Ui;

#[test]
fn this_repo_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate stands in a repo");
    let repo = Repo::open(root).expect("the repo can be read");
    assert!(repo.files.len() > 100, "only {} files", repo.files.len());
    assert!(repo.verbs.contains_key("deploy"));
    let workflows = repo
        .files
        .keys()
        .filter(|path| path.starts_with(".github/workflows"));
    assert!(workflows.count() >= 3, "the workflows were not found");
    let found = check(&repo);
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(shown.is_empty(), "repair:\n{}", shown.join("\n"));
}

#[test]
fn the_small_repo_breaks_no_rule() {
    world::expect_problems(&[], expect_test::expect![""]);
}

/// Every broken rule of every kind in one run, each with its place, and exit code 1.
#[test]
fn the_verb_reports_everything_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().canonicalize().expect("it is there");
    let changes = [
        ("README.md", "Nothing.\n"),
        ("xtask/src/mute.rs", "mod long;\n"),
        (
            ".github/workflows/deploy.yml",
            &world::DEPLOY.replace("    timeout-minutes: 10\n", ""),
        ),
    ];
    world::repo(&root, &changes);
    Git::commit_all(&root, "main", "first").expect("a commit");
    let ctx = Ctx {
        env: Env::from_vars(std::collections::BTreeMap::new(), false, root.clone()),
        ui: Ui::in_memory(false),
        root,
        cloud: CloudKind::Local,
        only: Vec::new(),
        jobs: 1,
        dry_run: false,
        diagram: false,
        interrupt: Interrupt::install(),
    };
    let report = tidy(&ctx).expect("it runs");
    assert_eq!(report.exit, 1);
    let text = report.text(200);
    for line in [
        "README.md: error: the verb `deploy` is documented nowhere",
        "xtask/src/mute.rs:1: error: does not say what it is for",
        ".github/workflows/deploy.yml:7: error: the job `deploy` may hang for six hours",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
}
