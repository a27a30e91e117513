//! Support of the whole-run tests: a repo in a temporary folder, a local cloud of its own, and the real binary run
//! against both with a clean environment. Knows what the programs are called, not what they should do.

#![expect(
    clippy::disallowed_methods,
    reason = "this module is the boundary to the programs under test and to their environment"
)]

pub mod canary;
pub mod cloud;
pub mod complete;
pub mod hand;
#[expect(dead_code, reason = "the local cloud's tests read headers, too")]
mod loopback;
mod packages;
pub mod pending;
pub mod redact;
pub mod repo;
pub mod setup;
pub mod sweep;
pub mod tools;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

pub use cloud::{Answer, Cloud};

/// The account every test repo ships to.
pub const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";
/// The database of every test repo.
pub const DATABASE: &str = "5d1c3a52-7c84-4f0e-9b6d-2f8e1a90c7b3";
/// How long a run of the binary may take: two cores are shared by all tests.
const RUN_MAX: Duration = Duration::from_secs(300);

/// A repo, the local cloud it ships to, and the surroundings the binary is run in.
pub struct World {
    /// First, so that the cloud is stopped before its state folder is removed.
    cloud: Option<Cloud>,
    /// Removed on drop.
    _folder: TempDir,
    root: PathBuf,
    env: BTreeMap<String, String>,
}

impl World {
    /// Three small workers (`site` calls `agent` and `api`, `agent` has a Durable Object), one database, one cloud.
    pub fn new() -> World {
        World::of(&repo::small_set())
    }

    /// Any repo: path and text of each file; `pipeline.toml` is one of them.
    pub fn of(files: &[(&str, &str)]) -> World {
        let world = World::without_cloud(files);
        world.with_cloud()
    }

    /// A repo without a running cloud.
    pub fn without_cloud(files: &[(&str, &str)]) -> World {
        let mut world = World::empty();
        for (path, text) in files {
            world.edit(path, text);
        }
        world.commit("first commit");
        world.set("API_KEY", "the-api-key");
        world.set("SITE_KEY", "the-site-key");
        world
    }

    /// A copy of this repo's own workers and `pipeline.toml`, with every declared secret set.
    pub fn kiamichi() -> World {
        let mut world = World::empty();
        repo::copy_own_workers(&world.root);
        world.commit("the repo as it is");
        for name in [
            "ADMIN_KEY",
            "GOOGLE_SECRET",
            "FB_SECRET",
            "FB_EMAIL",
            "FB_PASSWORD",
        ] {
            world.set(name, &format!("test-value-of-{}", name.to_lowercase()));
        }
        world.with_cloud()
    }

    fn empty() -> World {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // The real path: the binary resolves links too, and texts are compared.
        let base = folder.path().canonicalize().expect("it exists");
        let root = base.join("repo");
        let home = base.join("home");
        fs::create_dir_all(&root).expect("a folder can be made");
        fs::create_dir_all(&home).expect("a folder can be made");
        std::os::unix::fs::symlink(setup::node_modules(), root.join("node_modules"))
            .expect("a link can be made");
        // One compile cache for all worlds: node reads wrangler's code once, not once per test.
        let cache = root.join(".xtask/cache");
        fs::create_dir_all(&cache).expect("a folder can be made");
        std::os::unix::fs::symlink(setup::compile_cache(), cache.join("node"))
            .expect("a link can be made");
        let path = std::env::var("PATH").unwrap_or_default();
        let home = home.display().to_string();
        let env = [
            ("PATH", path.as_str()),
            ("HOME", home.as_str()),
            ("XDG_CONFIG_HOME", home.as_str()),
            ("TMPDIR", home.as_str()),
            ("USER", "tester"),
            ("HOSTNAME", "testhost"),
            ("LANG", "C.UTF-8"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("XTASK_CLOUD", "local"),
        ];
        World {
            cloud: None,
            _folder: folder,
            root,
            env: env
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }
    }

    fn with_cloud(mut self) -> World {
        self.start_cloud();
        self
    }

    /// Starts the repo's local cloud where the binary looks for it.
    pub fn start_cloud(&mut self) {
        let program = setup::local_cloud();
        self.set("XTASK_LOCAL_CLOUD_BIN", &program.display().to_string());
        self.cloud = Some(Cloud::start(&program, &self.root));
    }

    /// Stops the local cloud; what it stored stays.
    pub fn stop_cloud(&mut self) {
        self.cloud = None;
    }

    /// The running local cloud.
    #[track_caller]
    pub fn cloud(&self) -> &Cloud {
        self.cloud.as_ref().expect("the world has a cloud")
    }

    /// The repo's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that holds the repo and everything else of this world.
    pub fn base(&self) -> &Path {
        self.root.parent().unwrap_or(&self.root)
    }

    /// A folder beside the repo, for what must not be in it.
    pub fn aside(&self, name: &str) -> PathBuf {
        let path = self.root.with_file_name("aside").join(name);
        fs::create_dir_all(path.parent().unwrap_or(&path)).expect("a folder can be made");
        path
    }

    /// Sets a variable of the binary's environment.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// A variable of the binary's environment.
    pub fn variable(&self, name: &str) -> String {
        self.env.get(name).cloned().unwrap_or_default()
    }

    /// Removes a variable of the binary's environment.
    pub fn unset(&mut self, name: &str) {
        self.env.remove(name);
    }

    /// Writes a file of the repo, and the folders above it.
    pub fn edit(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&self.root)).expect("a folder can be made");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// The text of a file of the repo.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        let path = self.root.join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Replaces a text that stands in a file of the repo.
    #[track_caller]
    pub fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} does not hold {from:?}");
        self.edit(path, &text.replacen(from, to, 1));
    }

    /// Removes a file of the repo.
    #[track_caller]
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.root.join(path)).expect("the file is there");
    }

    /// Commits everything; gives the full commit id.
    #[track_caller]
    pub fn commit(&self, message: &str) -> String {
        if !self.root.join(".git").exists() {
            self.git(&["init", "--quiet", "--initial-branch", "main"]);
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Changes the code of a worker and commits it.
    #[track_caller]
    pub fn change(&self, path: &str) -> String {
        let mut text = self.read(path);
        let mark = text.len();
        text.push_str(&format!(
            "\nReflect.set(globalThis, \"changed{mark}\", {mark});\n"
        ));
        self.edit(path, &text);
        self.commit(&format!("change {path}"))
    }

    /// Runs git in the repo; its trimmed output.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=Tester",
                "-c",
                "user.email=tester@localhost",
            ])
            .args(["-c", "commit.gpgsign=false"])
            .args(arguments)
            .current_dir(&self.root)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The binary with arguments, not yet started.
    pub fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(&self.root, arguments);
        command.arg("--root").arg(&self.root);
        command
    }

    /// The binary with arguments in any folder, not yet started.
    pub fn program(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the binary.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.xtask(arguments);
        let mut child = command.spawn().expect("the binary starts");
        let stdout = reader(child.stdout.take());
        let stderr = reader(child.stderr.take());
        Running {
            child,
            stdout: Some(stdout),
            stderr: Some(stderr),
            arguments: arguments.join(" "),
            root: self.root.clone(),
        }
    }

    /// Runs the binary to its end.
    #[track_caller]
    pub fn run<const N: usize>(&self, arguments: [&str; N]) -> Run {
        self.start(&arguments).end()
    }

    /// Runs `deploy`, which must succeed.
    #[track_caller]
    pub fn deploy(&self) -> Run {
        self.run(["deploy"]).exits(0)
    }

    /// GET of a host name through the edge.
    #[track_caller]
    pub fn edge_get(&self, host: &str, path: &str) -> Answer {
        self.cloud().edge("GET", host, path, &[], "")
    }

    /// The journal entries of API requests, oldest first.
    #[track_caller]
    pub fn journal(&self) -> Vec<Value> {
        let journal = self.cloud().local("GET", "/journal", None);
        let entries = journal["entries"].as_array().cloned().unwrap_or_default();
        entries
            .into_iter()
            .filter(|entry| entry["method"] != "" && !entry["method"].is_null())
            .collect()
    }

    /// Forgets the journal.
    #[track_caller]
    pub fn clear_journal(&self) {
        self.cloud().local("DELETE", "/journal", None);
    }

    /// `POST /accounts/…/versions` and the like: method and path (behind the account) of each journalled request.
    #[track_caller]
    pub fn requests(&self) -> Vec<String> {
        self.journal().iter().map(request_line).collect()
    }

    /// The requests that upload a version.
    #[track_caller]
    pub fn uploads(&self) -> Vec<String> {
        let all = self.requests().into_iter();
        all.filter(|line| line.starts_with("POST /workers/scripts/") && line.ends_with("/versions"))
            .collect()
    }

    /// The whole control-plane state, without secret values.
    #[track_caller]
    pub fn cloud_state(&self) -> Value {
        self.cloud().local("GET", "/state", None)
    }

    /// Arms a fault; its id.
    #[track_caller]
    pub fn fault(&self, fault: Value) -> u64 {
        let answer = self.cloud().local("POST", "/faults", Some(fault));
        answer["id"].as_u64().expect("an id")
    }

    /// Disarms all faults.
    #[track_caller]
    pub fn clear_faults(&self) {
        self.cloud().local("DELETE", "/faults", None);
    }

    /// How often armed faults have fired.
    #[track_caller]
    pub fn faults_fired(&self) -> u64 {
        let listed = self.cloud().local("GET", "/faults", None);
        let faults = listed["faults"].as_array().cloned().unwrap_or_default();
        faults
            .iter()
            .filter_map(|fault| fault["fired"].as_u64())
            .sum()
    }

    /// What serves a worker: version id and percentage, as the current deployment says.
    #[track_caller]
    pub fn split(&self, script: &str) -> Vec<(String, u64)> {
        let path = format!("/workers/scripts/{script}/deployments");
        let result = self.cloud().result("GET", &path, None);
        let versions = result["deployments"][0]["versions"].clone();
        let entry = |entry: &Value| {
            Some((
                entry["version_id"].as_str()?.to_owned(),
                entry["percentage"].as_f64()? as u64,
            ))
        };
        let listed = versions.as_array().into_iter().flatten();
        listed.filter_map(entry).collect()
    }

    /// The one version that serves a worker.
    #[track_caller]
    pub fn serving(&self, script: &str) -> String {
        match self.split(script).as_slice() {
            [(version, 100)] => version.clone(),
            split => panic!("{script} is not served by one version: {split:?}"),
        }
    }

    /// Rows of a query to the test repo's database.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<Value> {
        self.query_in(DATABASE, sql)
    }

    /// Rows of a query to a database.
    #[track_caller]
    pub fn query_in(&self, database: &str, sql: &str) -> Vec<Value> {
        let path = format!("/d1/database/{database}/query");
        let result = self
            .cloud()
            .result("POST", &path, Some(json!({ "sql": sql })));
        rows_of(&result)
    }

    /// Rows of a query to the test repo's database; none when it is refused.
    pub fn try_query(&self, sql: &str) -> Option<Vec<Value>> {
        let path = format!("/client/v4/accounts/{ACCOUNT}/d1/database/{DATABASE}/query");
        let body = Some(json!({ "sql": sql }));
        let envelope = self.cloud().control("POST", &path, body).json();
        (envelope["success"] == true).then(|| rows_of(&envelope["result"]))
    }

    /// Every file of the repo and its content, git's own and the local cloud's apart: to see what a run wrote.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        repo::collect(&self.root, &self.root, &mut found);
        found
    }

    /// A text with everything that differs from run to run replaced by what it is.
    pub fn redact(&self, text: &str) -> String {
        let root = self.root.display().to_string();
        let base = self.root.with_file_name("").display().to_string();
        let port = self.cloud.as_ref().map(|cloud| cloud.port);
        let text = text.replace(&root, "[repo]");
        let text = text.replace(base.trim_end_matches('/'), "[temp]");
        redact::redact(&text, port)
    }
}

/// The rows of the last statement.
fn rows_of(result: &Value) -> Vec<Value> {
    let last = result.as_array().and_then(|all| all.last()).cloned();
    let rows = last.unwrap_or_default()["results"].clone();
    rows.as_array().cloned().unwrap_or_default()
}

/// The installed packages of this repo.
pub fn node_modules() -> &'static Path {
    setup::node_modules()
}

/// Method and path of a journal entry, the account left out.
pub fn request_line(entry: &Value) -> String {
    let path = entry["path"].as_str().unwrap_or_default();
    let path = path.strip_prefix("/client/v4").unwrap_or(path);
    let path = path
        .strip_prefix("/accounts/")
        .and_then(|rest| rest.split_once('/'))
        .map_or(path.to_owned(), |(_, rest)| format!("/{rest}"));
    format!("{} {path}", entry["method"].as_str().unwrap_or_default())
}

fn reader(pipe: Option<impl std::io::Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    let mut pipe = pipe.expect("it is piped");
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A run of the binary that has not ended; killed on drop.
pub struct Running {
    child: Child,
    stdout: Option<std::thread::JoinHandle<String>>,
    stderr: Option<std::thread::JoinHandle<String>>,
    arguments: String,
    root: PathBuf,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `INT`, `TERM`, `KILL`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status()
            .expect("kill is there");
        assert!(status.success(), "kill -{name}");
    }

    /// Waits for the end.
    #[track_caller]
    pub fn end(mut self) -> Run {
        let until = Instant::now() + RUN_MAX;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(Instant::now() < until, "`{}` does not end", self.arguments);
            std::thread::sleep(Duration::from_millis(5));
        };
        let text = |handle: Option<std::thread::JoinHandle<String>>| {
            handle.map(|handle| handle.join().expect("a reader ends"))
        };
        Run {
            arguments: self.arguments.clone(),
            status: status.code(),
            stdout: text(self.stdout.take()).unwrap_or_default(),
            stderr: text(self.stderr.take()).unwrap_or_default(),
            root: self.root.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run of the binary.
#[derive(Clone, Debug)]
pub struct Run {
    arguments: String,
    /// The exit code; none when it was killed.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    root: PathBuf,
}

impl Run {
    /// Must have ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Run {
        assert_eq!(self.status, Some(code), "{self}");
        self
    }

    /// Must have said this on standard error.
    #[track_caller]
    pub fn says(self, text: &str) -> Run {
        assert!(self.stderr.contains(text), "expected {text:?} in: {self}");
        self
    }

    /// Must not have said this anywhere.
    #[track_caller]
    pub fn never_says(self, text: &str) -> Run {
        let said = self.stderr.contains(text) || self.stdout.contains(text);
        assert!(!said, "unexpected {text:?} in: {self}");
        self
    }

    /// The one JSON document on standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The last report the stage wrote.
    #[track_caller]
    pub fn report(&self, stage: &str) -> Value {
        let path = self.root.join(format!(".xtask/reports/{stage}.json"));
        let text = fs::read_to_string(&path).expect("a report was written");
        serde_json::from_str(&text).expect("a report is JSON")
    }

    /// Everything from the first `error:` on, without the report that follows.
    pub fn error(&self) -> &str {
        let start = self.stderr.find("error: ").unwrap_or(0);
        let text = &self.stderr[start..];
        // What follows are the report's tables, and counts of steps that depend on how many ran at the same time.
        let end = ["\nworkers\nworker", "\ndeploy: failure"]
            .iter()
            .filter_map(|mark| text.find(mark))
            .min()
            .unwrap_or(text.len());
        text[..end].trim_end()
    }

    /// The table of the workers at the end.
    pub fn workers(&self) -> &str {
        let start = self.stderr.find("workers\nworker").unwrap_or_default();
        let text = &self.stderr[start..];
        &text[..text.find("\n\n").unwrap_or(text.len())]
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Run {
            arguments,
            status,
            stdout,
            stderr,
            ..
        } = self;
        write!(
            f,
            "\n`xtask {arguments}` ended with {status:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---"
        )
    }
}
