//! A repo of two tiny workers, and a local cloud of its own to ship it to. Knows nothing of faults.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::payload::{self, ACCOUNT, DATABASE, SECRETS, script};

/// No run of xtask needs longer, the waits of its retries included.
const RUN_MAX: Duration = Duration::from_secs(150);

/// What differs from one kind of update to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Code, a secret's worker, a cron, an asset, an SQL migration.
    Plain,
    /// All that, and a new Durable Object class.
    Durable,
}

pub struct World {
    dir: TempDir,
    cloud: Child,
    pub port: u16,
    /// The release that HEAD is; 0 when nothing was written yet.
    pub release: u64,
    /// Releases that brought a Durable Object class.
    durable: Vec<u64>,
}

/// One run of `xtask deploy` that ended.
pub struct Run {
    /// `None` when it was killed.
    pub exit: Option<i32>,
    pub stderr: String,
    pub killed: bool,
}

impl World {
    pub fn new() -> World {
        let dir = tempfile::Builder::new()
            .prefix("sweep-")
            .tempdir()
            .expect("a temporary folder");
        let root = dir.path().join("repo");
        for folder in ["repo/.xtask/local-cloud", "home", "tmp"] {
            fs::create_dir_all(dir.path().join(folder)).expect("a folder");
        }
        let modules = own_repo().join("node_modules");
        assert!(
            modules.join("wrangler").is_dir(),
            "wrangler is not installed\n  fix: npm ci --ignore-scripts"
        );
        std::os::unix::fs::symlink(modules, root.join("node_modules")).expect("a link");
        // wrangler's compiled code is the same in every world.
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node-cache");
        fs::create_dir_all(&cache).expect("a folder");
        fs::create_dir_all(root.join(".xtask/cache")).expect("a folder");
        std::os::unix::fs::symlink(cache, root.join(".xtask/cache/node")).expect("a link");
        let (cloud, port) = start_cloud(&root);
        let mut world = World {
            dir,
            cloud,
            port,
            release: 0,
            durable: Vec::new(),
        };
        world.git(&["init", "--quiet", "--initial-branch=main"]);
        world.fresh();
        world
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The server, which outlives every run.
    pub fn cloud_pid(&self) -> u32 {
        self.cloud.id()
    }

    /// An empty account, and release 1 at HEAD.
    pub fn fresh(&mut self) {
        self.post("/_local/reset", &json!({}));
        self.forget_faults();
        let _ = fs::remove_dir_all(self.root().join(".xtask/releases"));
        let _ = fs::remove_dir_all(self.root().join("migrations"));
        self.release = 0;
        self.durable.clear();
        self.advance(Update::Plain);
    }

    /// The next release at HEAD: every worker changes.
    pub fn advance(&mut self, update: Update) {
        self.release += 1;
        if update == Update::Durable || self.release == 1 {
            self.durable.push(self.release);
        }
        for (path, text) in payload::files(self.release, &self.durable) {
            let path = self.root().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        self.git(&["add", "--all"]);
        self.git(&[
            "commit",
            "--allow-empty",
            "--quiet",
            "--message",
            &format!("release {}", self.release),
        ]);
    }

    /// The cron of this release.
    pub fn cron(&self) -> String {
        payload::cron(self.release)
    }

    fn git(&self, args: &[&str]) {
        let mut git = Command::new("git");
        git.args([
            "-c",
            "user.name=Sweep",
            "-c",
            "user.email=sweep@example.com",
        ]);
        git.args(["-c", "commit.gpgsign=false"]).args(args);
        let output = self.surroundings(&mut git).output().expect("git runs");
        assert!(output.status.success(), "git {args:?}: {output:?}");
    }

    /// No variable of the person who runs the tests reaches the programs.
    fn surroundings<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .current_dir(self.root())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.dir().join("home"))
            .env("TMPDIR", self.dir().join("tmp"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("USER", "sweep")
            .env("HOSTNAME", "sweep")
            .env("XTASK_LOCAL_CLOUD_BIN", cloud_binary())
    }

    /// Runs a deploy to its end, or kills it and all it started as soon as `kill_when` says so.
    pub fn deploy(&self, kill_when: impl Fn(&World) -> bool) -> Run {
        let log = self.dir().join("stderr.log");
        let file = fs::File::create(&log).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["--cloud", "local", "--jobs", "2", "--root"]);
        command.arg(self.root()).arg("deploy");
        let mut child = self
            .surroundings(&mut command)
            .envs(SECRETS)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .process_group(0)
            .spawn()
            .expect("xtask starts");
        let deadline = Instant::now() + RUN_MAX;
        let mut killed = false;
        let status = loop {
            if let Some(status) = child.try_wait().expect("xtask is waited for") {
                break status;
            }
            if !killed && (kill_when(self) || Instant::now() > deadline) {
                killed = true;
                kill_group(child.id());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let stderr = fs::read_to_string(&log).unwrap_or_default();
        assert!(Instant::now() < deadline, "a deploy did not end:\n{stderr}");
        Run {
            exit: status.code(),
            stderr,
            killed,
        }
    }

    /// The API: the result, or the status when it is refused.
    pub fn api(&self, method: &str, path: &str, body: &Value) -> Result<Value, u16> {
        let path = format!("/client/v4/accounts/{ACCOUNT}{path}");
        let (status, text) = self.http(method, "127.0.0.1", &path, &body.to_string());
        let mut body: Value = serde_json::from_str(&text).unwrap_or_default();
        match body["success"].as_bool() {
            Some(true) => Ok(body["result"].take()),
            _ => Err(status),
        }
    }

    /// The rows of one SELECT.
    pub fn rows(&self, sql: &str) -> Vec<Value> {
        let path = format!("/d1/database/{DATABASE}/query");
        let answer = self.api("POST", &path, &json!({ "sql": sql }));
        let Ok(mut answer) = answer else {
            return Vec::new();
        };
        serde_json::from_value(answer[0]["results"].take()).unwrap_or_default()
    }

    /// A control endpoint of the local cloud.
    pub fn get(&self, path: &str) -> Value {
        let (status, text) = self.http("GET", "127.0.0.1", path, "");
        assert_eq!(status, 200, "GET {path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        let (status, text) = self.http("POST", "127.0.0.1", path, &body.to_string());
        assert_eq!(status, 200, "POST {path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    pub fn forget_faults(&self) {
        let (status, text) = self.http("DELETE", "127.0.0.1", "/_local/faults", "");
        assert_eq!(status, 200, "{text}");
    }

    /// What the public sees of a worker.
    pub fn alive(&self, worker: &str) -> (u16, Value) {
        let host = match worker {
            "alpha" => payload::DOMAIN.to_owned(),
            _ => format!("{}.kiamichi.localhost", script(worker)),
        };
        let (status, text) = self.http("GET", &host, &format!("/alive/{worker}"), "");
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    fn http(&self, method: &str, host: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the cloud is there");
        let limit = Some(Duration::from_secs(60));
        stream.set_read_timeout(limit).expect("a limit");
        // 1.0: one answer, not in chunks, and then the end.
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer local-cloud-token\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("it is sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it is answered");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or(0), body.to_owned())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // End of input stops the server and its sidecar.
        drop(self.cloud.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.cloud.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.cloud.kill();
        let _ = self.cloud.wait();
    }
}

fn start_cloud(root: &Path) -> (Child, u16) {
    let state = root.join(".xtask/local-cloud");
    let mut child = Command::new(cloud_binary())
        .args(["serve", "--exit-with-stdin", "--subdomain", "kiamichi"])
        .args(["--port", "0", "--state"])
        .arg(&state)
        .arg("--repo-root")
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the local cloud starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let text = fs::read_to_string(state.join("server.json")).unwrap_or_default();
        let server: Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(port) = server["port"].as_u64() {
            return (child, u16::try_from(port).expect("a port"));
        }
        let ended = child.try_wait().expect("it is waited for");
        assert!(
            ended.is_none() && Instant::now() < deadline,
            "the local cloud did not start"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The server's binary, built once per run of the tests.
fn cloud_binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        if let Some(path) = std::env::var_os("XTASK_LOCAL_CLOUD_BIN") {
            return PathBuf::from(path);
        }
        let folder = Path::new(env!("CARGO_BIN_EXE_xtask"))
            .parent()
            .expect("a folder");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "local-cloud"])
            .current_dir(own_repo())
            .env(
                "CARGO_TARGET_DIR",
                folder.parent().expect("a target folder"),
            )
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the local cloud does not build");
        folder.join("local-cloud")
    };
    BINARY.get_or_init(build).clone()
}

fn own_repo() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    own.expect("xtask stands in a repo").to_owned()
}

#[expect(
    unsafe_code,
    reason = "a whole group is killed, which the standard library cannot"
)]
fn kill_group(pid: u32) {
    // SAFETY: kill has no memory effects; the group is the child's own, and the child was not waited for yet.
    unsafe { libc::kill(-pid.cast_signed(), libc::SIGKILL) };
}
