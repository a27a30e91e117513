//! Files that change while a step runs.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use expect_test::{Expect, expect};

use super::*;

fn settled(files: &[(&str, &str)]) -> (Repo, Tree) {
    let repo = Repo::new(files);
    // A file written in the same moment as the tree is read is taken for touched.
    sleep(Duration::from_millis(50));
    let tree = repo.tree();
    (repo, tree)
}

#[track_caller]
fn check(change: impl FnOnce(&Repo), expected: Option<Expect>) {
    let (repo, tree) = settled(&[("a/x.ts", "1"), ("b/y.ts", "1"), (".gitignore", "dist\n")]);
    change(&repo);
    let why = tree.what_changed(&inputs(&["a"]));
    assert_eq!(tree.unchanged(&inputs(&["a"])), why.is_none());
    match expected {
        Some(expected) => expected.assert_eq(&why.unwrap_or_else(|| "nothing".into())),
        None => assert_eq!(why, None),
    }
}

#[test]
fn what_is_not_an_input_may_change() {
    check(|_| {}, None);
    check(|repo| repo.write("b/y.ts", "2"), None);
    check(|repo| repo.write("a/dist/out.js", "2"), None);
    check(
        |repo| repo.write("a/x.ts.not", "2"),
        Some(expect!["`a` changed"]),
    );
    // Staging and committing change no file.
    check(Repo::commit, None);
}

#[test]
fn every_change_of_an_input_is_seen() {
    check(
        |repo| repo.write("a/x.ts", "2"),
        Some(expect!["`a` changed"]),
    );
    check(
        |repo| repo.write("a/new.ts", "2"),
        Some(expect!["`a` changed"]),
    );
    check(
        |repo| fs::remove_file(repo.root().join("a/x.ts")).unwrap(),
        Some(expect!["`a` changed"]),
    );
}

#[test]
fn an_input_that_is_as_before_but_was_not_meanwhile_is_seen() {
    check(
        |repo| repo.write("a/x.ts", "1"),
        Some(expect!["`a/x.ts` was written"]),
    );
    check(
        |repo| {
            let file = repo.root().join("a/x.ts");
            let facts = fs::metadata(&file).unwrap();
            repo.write("a/x.ts", "2");
            repo.write("a/x.ts", "1");
            let file = fs::File::options().write(true).open(file).unwrap();
            file.set_modified(facts.modified().unwrap()).unwrap();
        },
        Some(expect!["`a/x.ts` was written"]),
    );
    check(
        |repo| {
            repo.write("a/x.ts", "2");
            repo.git(&["stash", "--quiet"]);
        },
        Some(expect!["`a/x.ts` was written"]),
    );
}

#[test]
fn what_a_link_leads_to_is_an_input() {
    let repo = Repo::new(&[("shared/s.ts", "1"), ("a/x.ts", "1")]);
    std::os::unix::fs::symlink("../shared", repo.root().join("a/shared")).unwrap();
    repo.commit();
    sleep(Duration::from_millis(50));
    let tree = repo.tree();
    assert_eq!(tree.what_changed(&inputs(&["a"])), None);
    repo.write("shared/s.ts", "1");
    let why = tree.what_changed(&inputs(&["a"]));
    expect!["`shared/s.ts` was written"].assert_eq(&why.unwrap());
}

#[test]
fn without_git_nothing_is_kept() {
    let (repo, tree) = settled(&[("a/x.ts", "1")]);
    fs::remove_dir_all(repo.root().join(".git")).unwrap();
    let why = tree.what_changed(&inputs(&["a"])).unwrap();
    assert!(
        why.starts_with("git cannot tell: failed to find the repository of"),
        "{why}"
    );
}
