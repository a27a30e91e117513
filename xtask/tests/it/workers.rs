//! The payload's own checks as part of `cargo test --workspace`: the vitest suites of the workers, run inside workerd, and
//! the type check. Knows the two npm scripts of the root package.json, not what they test. And what is installed with them.

#[expect(
    clippy::disallowed_methods,
    reason = "npm is the program under test here"
)]
#[track_caller]
fn npm(script: &str) -> String {
    crate::support::setup::node_modules();
    let output = std::process::Command::new("npm")
        .args(["run", script])
        .current_dir(crate::support::setup::own_repo())
        .env("NO_COLOR", "1")
        .env("CI", "true")
        .output()
        .unwrap_or_else(|error| panic!("npm could not be started: {error}"));
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success(),
        "`npm run {script}` ended with {}; repair what it says:\n{said}",
        output.status
    );
    said
}

/// One suite per worker: a worker without tests, or one that npm does not know, is a failure, too.
#[test]
fn the_workers_pass_their_own_tests_in_workerd() {
    let said = npm("test");
    let workers = std::fs::read_dir(crate::support::setup::own_repo().join("workers"))
        .expect("the repo has workers")
        .filter(|entry| {
            entry
                .as_ref()
                .is_ok_and(|entry| entry.path().join("package.json").is_file())
        })
        .count();
    assert!(workers > 0, "no worker was found below workers/");
    let suites = said
        .lines()
        .filter(|line| line.trim_start().starts_with("Test Files") && line.contains("passed"))
        .count();
    assert_eq!(suites, workers, "a worker has no vitest suite:\n{said}");
}

#[test]
fn the_workers_type_check() {
    let said = npm("typecheck");
    assert!(
        said.contains("tsc --noEmit"),
        "nothing was checked:\n{said}"
    );
}

/// Two copies of workerd are 200 MB, and what one of them accepts the other may refuse.
#[test]
fn there_is_one_wrangler_with_one_workerd() {
    let text = std::fs::read_to_string(crate::support::setup::own_repo().join("package-lock.json"))
        .expect("the repo has a lock file");
    let lock: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    for package in ["wrangler", "miniflare", "workerd"] {
        let end = format!("node_modules/{package}");
        let paths = lock["packages"].as_object().into_iter().flatten();
        let copies: Vec<&String> = paths
            .map(|(path, _)| path)
            .filter(|path| path.ends_with(&end))
            .collect();
        assert_eq!(
            copies,
            [&end],
            "the Vite plugin pins a wrangler of its own: `overrides` in package.json must name what the root's wrangler comes \
             with; change them together, then run `npm install`"
        );
    }
}
