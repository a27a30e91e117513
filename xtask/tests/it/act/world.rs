//! A copy of the repo, act to run its workflows, and what a run leaves behind.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use xtask::tools::git::Git;

use crate::act::tools::tools;
use crate::support::cloud::Cloud;
use crate::support::setup;

/// The secrets the deployed workers need; none may be seen anywhere.
const SECRETS: [(&str, &str); 5] = [
    ("ADMIN_KEY", "canary-admin-key"),
    ("FB_EMAIL", "canary-fb-email"),
    ("FB_PASSWORD", "canary-fb-password"),
    ("FB_SECRET", "canary-fb-secret"),
    ("GOOGLE_SECRET", "canary-google-secret"),
];

/// In the place of `scripts/test-all`.
const NOTES_ITS_CALL: &str =
    "#!/usr/bin/env bash\necho \"scripts/test-all $*\" >> \"$ACT_STORE/calls\"\n";

/// What the repository is called on the local GitHub.
pub const REPOSITORY: &str = "acme/site";

/// A copy of this repo as a repository of its own, and what its runs leave behind.
pub struct World {
    folder: TempDir,
    /// The account that outlives a job; without it every job ships to a cloud of its own.
    cloud: Option<Cloud>,
    /// What `XTASK_CLOUD` says.
    choice: &'static str,
    /// The one job that runs; without it all of a workflow do.
    job: Option<&'static str>,
}

impl World {
    /// A fresh copy, committed on `main`.
    pub fn new() -> World {
        crate::support::setup::node_modules();
        // Outside the repo: hashFiles heeds the .gitignore of every folder above, and `target/` stands in ours.
        let folder = tempfile::tempdir().expect("a temporary folder");
        let world = World {
            folder,
            cloud: None,
            choice: "local",
            job: None,
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
        // act refuses `queue`, which GitHub has had since 2026-05; remove this with the first act that knows it.
        for workflow in ["deploy", "migrate", "rollback"] {
            let file = format!(".github/workflows/{workflow}.yml");
            let text = fs::read_to_string(world.repo().join(&file)).expect("the workflow is there");
            let line = text
                .lines()
                .find(|line| line.trim_start().starts_with("queue: max"));
            let line = line.unwrap_or_else(|| panic!("{file} has no `queue: max`"));
            world.replace(&file, &format!("{line}\n"), "");
        }
        // Every test there is, from within a test? What the workflow asks for is noted instead.
        world.add("scripts/test-all", NOTES_ITS_CALL);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The copy.
    pub fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    /// A folder on the runner's PATH, for programs it has.
    pub fn bin(&self) -> PathBuf {
        self.path("bin")
    }

    /// Writes a file and commits.
    pub fn add(&self, file: &str, text: &str) {
        fs::write(self.repo().join(file), text).expect("it can be written");
        Git::commit_all(&self.repo(), "main", &format!("{file}: new")).expect("a commit");
    }

    /// Starts the cloud that all jobs from now on ship to.
    pub fn start_cloud(&mut self) -> &Cloud {
        fs::create_dir_all(self.path("home")).expect("a folder can be made");
        let mut cloud = Cloud::start(&setup::local_cloud(), &self.path("account"));
        cloud.account = super::ACCOUNT;
        self.cloud.insert(cloud)
    }

    /// Sets `XTASK_CLOUD`.
    pub fn choose_cloud(&mut self, choice: &'static str) {
        self.choice = choice;
    }

    /// From now on only this job of a workflow runs.
    pub fn choose_job(&mut self, job: &'static str) {
        self.job = Some(job);
    }

    /// That cloud.
    pub fn cloud(&self) -> &Cloud {
        self.cloud.as_ref().expect("a cloud was started")
    }

    /// Changes a file and commits; the commit.
    pub fn replace(&self, file: &str, from: &str, to: &str) -> String {
        let path = self.repo().join(file);
        let text = fs::read_to_string(&path).expect("the file is there");
        assert!(text.contains(from), "{file} no longer says {from:?}");
        fs::write(&path, text.replacen(from, to, 1)).expect("it can be written");
        Git::commit_all(&self.repo(), "main", &format!("{file}: a change")).expect("a commit");
        let git = Git::open(&self.repo()).expect("it is a repository");
        git.head().expect("it has a commit").sha
    }

    /// Runs a workflow for an event. `xtask` is the program `cargo xtask` starts.
    pub fn act(&self, event: &str, workflow: &str, payload: &str, xtask: &Path) -> Run {
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
            .arg(self.path("secrets"))
            .args(self.job.iter().flat_map(|job| ["--job", job]));
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
            ("XTASK_CLOUD", self.choice.to_owned()),
            (
                "XTASK_LOCAL_CLOUD_BIN",
                setup::local_cloud().display().to_string(),
            ),
            (
                "NODE_COMPILE_CACHE",
                setup::compile_cache().display().to_string(),
            ),
        ];
        let account = self
            .path("account/.xtask/local-cloud")
            .display()
            .to_string();
        let shared = self.cloud.iter().flat_map(|_| {
            [
                ("ACT_CLOUD", account.clone()),
                ("GITHUB_REPOSITORY", REPOSITORY.to_owned()),
            ]
        });
        for (name, value) in variables.into_iter().chain(shared) {
            act.args(["--env", &format!("{name}={value}")]);
        }
        act.env("PATH", self.search_path(&stubs));
        let output = act.output().expect("act can be started");
        Run::of(&output, &store)
    }

    /// The stand-ins first, then what the runner has besides this machine's programs.
    fn search_path(&self, stubs: &Path) -> OsString {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [stubs.join("bin"), self.bin()];
        let folders = folders.into_iter().chain(std::env::split_paths(&path));
        std::env::join_paths(folders).expect("a PATH")
    }
}

/// What a workflow's run left behind.
pub struct Run {
    /// Whether every job succeeded.
    pub success: bool,
    /// The log.
    pub said: String,
    /// The calls of cargo and of the caches.
    pub calls: Vec<String>,
    /// The reports of all jobs: the job's name, and the report.
    reports: Vec<(String, Value)>,
    /// Artifacts that were kept: the artifact's name, and the file's.
    artifacts: Vec<(String, String)>,
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
        let list = |folder: &Path| -> Vec<String> {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
            entries.map(name).collect()
        };
        let artifacts = store.join("artifacts");
        let kept = list(&artifacts).into_iter().flat_map(|name| {
            let files = list(&artifacts.join(&name)).into_iter();
            files.map(move |file| (name.clone(), file))
        });
        let run = Run {
            artifacts: kept.collect(),
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

    /// Fails with the log unless every job succeeded.
    #[track_caller]
    pub fn expect_success(&self) {
        assert!(self.success, "the workflow failed:\n{}", self.said);
    }

    /// The calls of xtask, sorted: jobs run side by side.
    pub fn xtask_calls(&self) -> Vec<&str> {
        let calls = self
            .calls
            .iter()
            .filter_map(|call| call.strip_prefix("cargo xtask "));
        let mut calls: Vec<&str> = calls.collect();
        calls.sort_unstable();
        calls
    }

    /// The file of the one artifact with this name.
    #[track_caller]
    pub fn artifact(&self, artifact: &str) -> &str {
        let found = self.artifacts.iter().find(|(name, _)| name == artifact);
        let (_, file) = found.unwrap_or_else(|| panic!("no artifact `{artifact}`:\n{}", self.said));
        file
    }

    /// The report of the one job with this name.
    #[track_caller]
    pub fn report(&self, job: &str) -> &Value {
        let found = self.reports.iter().find(|(name, _)| name == job);
        let (_, report) = found.unwrap_or_else(|| panic!("no report of `{job}`:\n{}", self.said));
        report
    }
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
