//! What a change touches, in whole repos.

use std::path::Path;

use expect_test::{Expect, expect};

use super::*;
use crate::cache::tests::{Repo, git};

const PIPELINE: &str = r#"
[workers.front]
path = "workers/front"
[workers.api]
path = "workers/api"
inputs = ["libs/api", "workers/front/src/shared.ts"]
[workers.store]
path = "workers/store"
[workers.alone]
path = "workers/alone"
[databases.data]
migrations = "workers/store/migrations"
"#;

fn files() -> Vec<(&'static str, String)> {
    let config = |name: &str, more: &str| {
        format!(
            "name = \"s-{name}\"\nmain = \"src/index.ts\"\ncompatibility_date = \"2025-01-01\"\n{more}"
        )
    };
    let d1 = "[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"data\"\ndatabase_id = \"3f1c9a7b-e2d8-4c05-b6a1-d7e94f20c8aa\"\n";
    let object = "[[durable_objects.bindings]]\nname = \"ROOM\"\nclass_name = \"Room\"\n";
    vec![
        ("pipeline.toml", PIPELINE.to_owned()),
        (
            "workers/front/wrangler.toml",
            config(
                "front",
                "[assets]\ndirectory = \"public\"\n[[services]]\nbinding = \"API\"\nservice = \"s-api\"\n",
            ),
        ),
        (
            "workers/api/wrangler.toml",
            config("api", &format!("{object}script_name = \"s-store\"\n")),
        ),
        (
            "workers/store/wrangler.toml",
            config(
                "store",
                &format!(
                    "{d1}{object}[[migrations]]\ntag = \"v1\"\nnew_sqlite_classes = [\"Room\"]\n"
                ),
            ),
        ),
        ("workers/alone/wrangler.toml", config("alone", d1)),
        ("workers/front/src/index.ts", String::new()),
        ("workers/api/src/index.ts", String::new()),
        ("workers/store/src/index.ts", String::new()),
        ("workers/alone/src/index.ts", String::new()),
        ("workers/front/src/shared.ts", String::new()),
        ("libs/api/x.ts", String::new()),
        ("workers/front/public/x", String::new()),
        (
            "workers/store/migrations/0001_a.sql",
            "SELECT 1;".to_owned(),
        ),
    ]
}

fn repo(extra: &[(&str, &str)]) -> Repo {
    let files = files();
    let mut all: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    all.retain(|(path, _)| extra.iter().all(|(other, _)| other != path));
    all.extend(extra);
    Repo::new(&all)
}

fn load(root: &Path) -> Workspace {
    Workspace::load(root).unwrap_or_else(|error| panic!("{}", crate::error::render(&error)))
}

#[track_caller]
fn check(workspace: &Workspace, changed: &[&str], expected: Expect) {
    let changed: Vec<PathBuf> = changed.iter().map(PathBuf::from).collect();
    let found = affected(workspace, &changed);
    let workers = match found.workers.as_slice() {
        [] => "none".to_owned(),
        workers => workers.join(" "),
    };
    let mut text = format!("{workers}{}\n", if found.all { " (all)" } else { "" });
    for why in found.why {
        text.push_str(&format!("{why}\n"));
    }
    expected.assert_eq(&text);
}

#[test]
fn a_file_touches_its_worker_and_the_callers_of_that() {
    let repo = repo(&[]);
    let workspace = load(repo.root());
    check(
        &workspace,
        &[],
        expect![[r#"
            none
        "#]],
    );
    check(
        &workspace,
        &["workers/front/src/index.ts"],
        expect![[r#"
        front
        front: `workers/front/src/index.ts`
    "#]],
    );
    check(
        &workspace,
        &["workers/store/src/a.ts", "workers/store/src/b.ts"],
        expect![[r#"
            front api store
            front: calls api
            api: calls store
            store: `workers/store/src/a.ts` and 1 more
        "#]],
    );
    check(
        &workspace,
        &[
            "workers/alone/package-lock.json",
            "workers/../workers/api/x",
        ],
        expect![[r#"
            front api alone
            front: calls api
            api: `workers/api/x`
            alone: `workers/alone/package-lock.json`
        "#]],
    );
    // `inputs`, in another worker's folder and in none.
    check(
        &workspace,
        &["workers/front/src/shared.ts"],
        expect![[r#"
        front api
        front: `workers/front/src/shared.ts`
        api: `workers/front/src/shared.ts`
    "#]],
    );
    check(
        &workspace,
        &["libs/api/x/y.ts"],
        expect![[r#"
        front api
        front: calls api
        api: `libs/api/x/y.ts`
    "#]],
    );
    // A migration is part of every worker that is bound to the database.
    check(
        &workspace,
        &["workers/store/migrations/0002_b.sql"],
        expect![[r#"
            front api store alone
            front: calls api
            api: calls store
            store: `workers/store/migrations/0002_b.sql`
            alone: `workers/store/migrations/0002_b.sql`
        "#]],
    );
}

#[test]
fn shared_files_touch_all_and_texts_none() {
    let repo = repo(&[]);
    let workspace = load(repo.root());
    for shared in [
        "package-lock.json",
        "pnpm-lock.yaml",
        "package.json",
        "tsconfig.base.json",
        "pipeline.toml",
        "workers/shared/x.ts",
        "libs/other.ts",
        ".github/workflows/ci.yml",
        "../beside/x.ts",
        "prompts/system.md",
    ] {
        let found = affected(&workspace, &[shared.into()]);
        assert!(found.all && found.workers.len() == 4, "{shared}");
    }
    for text in [
        "README.md",
        "notes.md",
        "docs/deploy.md",
        "docs/picture.png",
        "workers/api/README.md",
        "workers/api/notes.md",
        "workers/api/src/deep/README.md",
        "workers/api/docs/x.svg",
        "workers/shared/README.md",
    ] {
        let found = affected(&workspace, &[text.into()]);
        assert_eq!(found, Affected::default(), "{text}");
    }
    // Markdown that ships.
    check(
        &workspace,
        &["workers/front/public/README.md"],
        expect![[r#"
            front
            front: `workers/front/public/README.md`
        "#]],
    );
    check(
        &workspace,
        &["workers/alone/src/prompt.md"],
        expect![[r#"
        alone
        alone: `workers/alone/src/prompt.md`
    "#]],
    );
    check(
        &workspace,
        &["libs/api/README.md"],
        expect![[r#"
        front api
        front: calls api
        api: `libs/api/README.md`
    "#]],
    );
    check(
        &workspace,
        &["workers/alone/x.ts", "package.json"],
        expect![[r#"
            front api store alone (all)
            all workers: `package.json` is shared by them
        "#]],
    );
}

#[test]
fn a_worker_in_the_root_folder_does_not_make_shared_files_its_own() {
    let root = "[workers.root]\npath = \".\"\n[workers.a]\npath = \"a\"\n";
    let config = "main = \"index.ts\"\ncompatibility_date = \"2025-01-01\"\n";
    let repo = Repo::new(&[
        ("pipeline.toml", root),
        ("wrangler.toml", &format!("name = \"root\"\n{config}")),
        ("a/wrangler.toml", &format!("name = \"a\"\n{config}")),
        ("index.ts", ""),
        ("a/index.ts", ""),
    ]);
    let workspace = load(repo.root());
    check(
        &workspace,
        &["package.json"],
        expect![[r#"
        root a (all)
        all workers: `package.json` is shared by them
    "#]],
    );
    check(
        &workspace,
        &["src/x.ts"],
        expect![[r#"
        root a (all)
        all workers: `src/x.ts` is shared by them
    "#]],
    );
    check(
        &workspace,
        &["a/x.ts"],
        expect![[r#"
        root a
        root: `a/x.ts`
        a: `a/x.ts`
    "#]],
    );
    check(
        &workspace,
        &["README.md", "a/README.md"],
        expect![[r#"
            none
        "#]],
    );
}

fn names(changes: &Changes, root: &Path) -> Vec<String> {
    let Changes::Files { files, .. } = changes else {
        panic!("{changes:?}");
    };
    let relative = files.iter().map(|file| file.strip_prefix(root).unwrap());
    relative.map(|file| file.display().to_string()).collect()
}

#[test]
fn changes_since_the_base_are_committed_staged_and_loose_ones() {
    let repo = repo(&[("old name.ts", "the same\n"), (".gitignore", "dist\n")]);
    repo.git(&["checkout", "--quiet", "-b", "topic"]);
    repo.git(&["mv", "old name.ts", "new\nname.ts"]);
    repo.commit();
    // What happens on the base meanwhile is not ours.
    repo.git(&["checkout", "--quiet", "main"]);
    repo.write("theirs.ts", "1");
    repo.commit();
    repo.git(&["checkout", "--quiet", "topic"]);
    repo.write("staged.ts", "1");
    repo.git(&["add", "staged.ts"]);
    repo.write("workers/api/src/index.ts", "loose");
    repo.write("untracked.ts", "1");
    repo.write("dist/x", "1");
    std::fs::remove_file(repo.root().join("workers/alone/src/index.ts")).unwrap();
    let git = Git::open(repo.root()).unwrap();
    let expected = [
        "new\nname.ts",
        "old name.ts",
        "staged.ts",
        "untracked.ts",
        "workers/alone/src/index.ts",
        "workers/api/src/index.ts",
    ];
    for base in [None, Some("main"), Some("main~1"), Some("topic~1")] {
        assert_eq!(
            names(&since(&git, base, "main"), repo.root()),
            expected,
            "{base:?}"
        );
    }
    // The same, seen from a folder of the repository.
    let inside = Git::open(&repo.root().join("workers/api")).unwrap();
    assert_eq!(names(&since(&inside, None, "main"), repo.root()), expected);
}

#[test]
fn without_a_usable_base_everything_is_touched_and_the_reason_is_said() {
    let repo = repo(&[]);
    repo.commit();
    let workspace = load(repo.root());
    let opened = Git::open(repo.root()).unwrap();
    let why = |git: &Git, base: Option<&str>, main: &str| {
        let found = Affected::by(&workspace, &since(git, base, main));
        assert!(found.all && found.workers.len() == 4, "{found:?}");
        found.why.join("\n")
    };
    expect!["all workers: `nowhere` is unknown here or has no commit in common with HEAD"]
        .assert_eq(&why(&opened, Some("nowhere"), "main"));
    expect!["all workers: `origin/trunk` or `trunk` is unknown here or has no commit in common with HEAD"]
        .assert_eq(&why(&opened, None, "trunk"));
    expect!["all workers: `--all` is unknown here or has no commit in common with HEAD"]
        .assert_eq(&why(&opened, Some("--all"), "main"));
    repo.git(&["checkout", "--quiet", "--orphan", "unrelated"]);
    repo.write("other.ts", "1");
    repo.commit();
    expect![
        "all workers: `origin/main` or `main` is unknown here or has no commit in common with HEAD"
    ]
    .assert_eq(&why(&opened, None, "main"));
    repo.git(&["checkout", "--quiet", "main"]);

    let elsewhere = tempfile::tempdir().unwrap();
    let url = format!("file://{}", repo.root().display());
    git(
        elsewhere.path(),
        &["clone", "--quiet", "--depth", "1", &url, "shallow"],
    );
    let shallow = Git::open(&elsewhere.path().join("shallow")).unwrap();
    expect!["all workers: the clone is shallow, so there may be changes it does not show (fetch-depth: 0)"].assert_eq(&why(&shallow, None, "main"));
    // A whole clone compares with what it was cloned from, not with its own main.
    git(elsewhere.path(), &["clone", "--quiet", &url, "whole"]);
    let root = elsewhere.path().join("whole");
    std::fs::write(root.join("README.md"), "x").unwrap();
    git(&root, &["add", "--all"]);
    git(&root, &["commit", "--quiet", "--message", "x"]);
    let whole = Git::open(&root).unwrap();
    let changes = since(&whole, None, "main");
    assert_eq!(names(&changes, &root), ["README.md"]);
    let found = Affected::by(&load(&root), &changes);
    assert!(found.workers.is_empty() && !found.all);
    expect!["nothing that a worker is made of changed since `origin/main`"]
        .assert_eq(&found.why.join("\n"));
}
