//! The repo keeps its own rules; and each rule fails on a small bad example, with a message that says how to repair it.

mod files;
mod workflows;
mod world;

use std::path::Path;

use xtask::stages::tidy::{Repo, check};

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
