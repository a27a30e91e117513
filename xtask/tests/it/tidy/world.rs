//! A small repo that keeps every rule, for the tests to break one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use expect_test::Expect;
use xtask::stages::tidy::{Repo, check};

/// A workflow that breaks no rule.
pub const GOOD: &str = r#"# Checks a change. Logic: xtask/src/stages/ci.rs. Try it: cargo xtask ci
name: ci
on:
  pull_request:
permissions: {}
concurrency:
  # A newer push makes the older run worthless.
  group: ci
  cancel-in-progress: true
jobs:
  check:
    runs-on: ubuntu-latest
    timeout-minutes: 10
    permissions: { contents: read } # checkout
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with: { persist-credentials: false }
      - uses: ./.github/actions/setup
      - run: cargo xtask ci --shard "$SHARD"
  conclusion:
    needs: [check]
    if: always()
    runs-on: ubuntu-latest
    timeout-minutes: 10
    permissions: { contents: read } # checkout
    steps:
      - run: cargo xtask ci
"#;

/// A composite action that breaks no rule.
pub const ACTION: &str = "# Makes a runner ready.\nname: setup\ndescription: Make a runner ready\nruns:\n  using: composite\n  steps:\n    - shell: bash\n      run: cargo build\n";

/// A workflow with secrets that breaks no rule.
pub const DEPLOY: &str = r#"# Ships. Logic: xtask/src/stages/deploy.rs. Try it: cargo xtask deploy --dry-run
on:
  push: { branches: [main] }
permissions: {}
concurrency: { group: deploy, cancel-in-progress: false, queue: max } # Half a deploy is worse than a slow one.
jobs:
  deploy:
    timeout-minutes: 10
    permissions: { contents: read } # checkout
    steps:
      - run: cargo xtask deploy ${CANARY:+--canary "$CANARY"}
        env: { CANARY: "${{ inputs.canary }}", KEY: "${{ secrets.KEY }}" }
"#;

/// The three workflows of previews, which break no rule: what makes them, what takes them down, what looks for left-overs.
pub const PREVIEWS: [(&str, &str); 3] = [
    (
        ".github/workflows/preview.yml",
        r#"# Previews. Logic: xtask/src/stages/ci.rs. Try it: cargo xtask preview
on:
  pull_request:
permissions: {}
concurrency: { group: "preview-${{ github.event.number }}", cancel-in-progress: true } # The next run makes up for it.
jobs:
  preview:
    timeout-minutes: 10
    permissions: { contents: read } # checkout
    steps:
      - run: cargo xtask preview
        env: { KEY: "${{ secrets.KEY }}" }
"#,
    ),
    (
        ".github/workflows/cleanup.yml",
        r#"# Cleans up. Logic: xtask/src/stages/ci.rs. Try it: cargo xtask cleanup
on:
  pull_request: { types: [closed] }
permissions: {}
concurrency: { group: "preview-${{ github.event.number }}", cancel-in-progress: true } # That of preview.
jobs:
  cleanup:
    timeout-minutes: 10
    permissions: { contents: read } # checkout
    steps:
      - run: cargo xtask cleanup
        env: { KEY: "${{ secrets.KEY }}" }
"#,
    ),
    (
        ".github/workflows/patrol.yml",
        r#"# Looks around. Logic: xtask/src/stages/ci.rs. Try it: cargo xtask ci
on:
  schedule: [{ cron: "17 4 * * *" }]
permissions: {}
concurrency: { group: patrol, cancel-in-progress: false } # One at a time.
jobs:
  ci:
    timeout-minutes: 10
    permissions: { contents: read } # checkout
    steps:
      - run: cargo xtask ci
  cleanup:
    timeout-minutes: 10
    permissions: { contents: read } # checkout
    steps:
      - run: cargo xtask cleanup --stale
        env: { KEY: "${{ secrets.KEY }}" }
"#,
    ),
];

/// A small repo that breaks no rule, with some files replaced.
pub fn repo(folder: &Path, changes: &[(&str, &str)]) -> Repo {
    let mut files: BTreeMap<PathBuf, String> = [
        (".github/workflows/ci.yml", GOOD),
        (".github/workflows/deploy.yml", DEPLOY),
        (".github/actions/setup/action.yml", ACTION),
        (
            "README.md",
            "`cargo xtask ci` checks, `cargo xtask deploy` ships, `cargo xtask preview` shows, `cargo xtask cleanup` removes.\n",
        ),
        (
            "pipeline.toml",
            "[workers.w]\npath = \"w\"\nsecrets = [\"KEY\"]\n",
        ),
        ("w/wrangler.toml", "name = \"w\"\n"),
        (
            "xtask/Cargo.toml",
            "[dependencies]\nanyhow = \"1\" # errors with context\n",
        ),
        ("xtask/src/stages/ci.rs", "//! Checks.\n"),
        ("xtask/src/stages/deploy.rs", "//! Ships.\n"),
    ]
    .map(|(path, text)| (PathBuf::from(path), text.to_owned()))
    .into();
    for (path, text) in changes {
        files.insert(PathBuf::from(path), (*text).to_owned());
    }
    for (path, text) in &files {
        let path = folder.join(path);
        let parent = path.parent().expect("a file lies in a folder");
        std::fs::create_dir_all(parent).expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
    }
    let flags = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    };
    Repo {
        root: folder.to_owned(),
        files,
        verbs: BTreeMap::from([
            ("ci".to_owned(), flags(&["shard", "gather"])),
            ("deploy".to_owned(), flags(&["canary", "dry-run"])),
            ("preview".to_owned(), flags(&["pr"])),
            ("cleanup".to_owned(), flags(&["pr", "stale"])),
        ]),
    }
}

/// The problems of the small repo with some files replaced.
#[track_caller]
pub fn expect_problems(changes: &[(&str, &str)], expected: Expect) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let found = check(&repo(folder.path(), changes));
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    expected.assert_eq(&shown.join("\n"));
}

/// The good workflow with one piece of it replaced.
#[track_caller]
pub fn expect_workflow_problems(from: &str, to: &str, expected: Expect) {
    assert!(GOOD.contains(from), "the example no longer says {from:?}");
    let text = GOOD.replacen(from, to, 1);
    expect_problems(&[(".github/workflows/ci.yml", &text)], expected);
}
