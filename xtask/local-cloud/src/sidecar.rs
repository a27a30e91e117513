//! The Node process itself: how it is started, where its output goes, how it ends. Knows nothing of its control requests.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};

use crate::ids;
use crate::runtime::{RuntimeError, RuntimeOptions};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The log is started anew when it is larger than this; one older file is kept.
const LOG_BYTES_MAX: u64 = 1 << 20;

/// How many of the last lines are quoted when the sidecar does not start.
const LAST_LINES: usize = 20;

/// workerd closes idle connections after 5 seconds; ours are given up before.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// A pooled HTTP client for loopback.
pub fn http_client() -> Client<HttpConnector, Body> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_timer(TokioTimer::new())
        .build(connector)
}

/// A running sidecar process.
pub struct Sidecar {
    child: Child,
    /// Its end of file tells the sidecar to stop; so a dead parent leaves nothing behind.
    stdin: ChildStdin,
    /// Its process group; noted early, because the id is gone once the process was waited for.
    group: Option<u32>,
    port: u16,
    token: String,
}

impl Sidecar {
    /// Starts the process and waits until it listens.
    pub async fn start(options: &RuntimeOptions) -> Result<Self, RuntimeError> {
        let unavailable = |why: String| {
            let fix = format!(
                "run `npm ci --ignore-scripts` in {}, or pass --node with a Node 22 binary",
                options.repo_root.display()
            );
            RuntimeError::Unavailable(format!(
                "could not start the sidecar that runs Workers\n  why: {why}\n  fix: {fix}"
            ))
        };
        let mut child = command(options)
            .spawn()
            .map_err(|error| unavailable(format!("{}: {error}", options.node.display())))?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(unavailable("its pipes are missing".into()));
        };
        let token = ids::hex32();
        let last_lines = Arc::new(Mutex::new(VecDeque::new()));
        let log = options.storage.with_file_name("runtime.log");
        let logged = tokio::spawn(keep_log(stderr, log, last_lines.clone()));
        let first = json!({
            "token": token, "storage": options.storage, "blobs": options.blobs, "repo_root": options.repo_root,
        });
        stdin
            .write_all(format!("{first}\n").as_bytes())
            .await
            .map_err(|error| unavailable(error.to_string()))?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_TIMEOUT, lines.next_line())
            .await
            .map_err(|_| unavailable(format!("no answer within {START_TIMEOUT:?}")))?
            .map_err(|error| unavailable(error.to_string()))?;
        let port = line
            .and_then(|line| serde_json::from_str::<Value>(&line).ok())
            .and_then(|line| u16::try_from(line["control_port"].as_u64()?).ok());
        let Some(port) = port else {
            // Its last words are the reason; wait for them.
            let _ = tokio::time::timeout(STOP_TIMEOUT, logged).await;
            let said: Vec<String> = lock(&last_lines).iter().cloned().collect();
            return Err(unavailable(said.join("\n")));
        };
        // Nothing else is expected on stdout; a full pipe would block the process.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            group: child.id(),
            child,
            stdin,
            port,
            token,
        })
    }

    /// Port and token of the control requests.
    pub fn control(&self) -> (u16, String) {
        (self.port, self.token.clone())
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the process, gently at first.
    pub async fn stop(self) {
        let Self {
            mut child,
            stdin,
            group,
            ..
        } = self;
        drop(stdin);
        let status = tokio::time::timeout(STOP_TIMEOUT, child.wait()).await;
        if matches!(status, Ok(Ok(status)) if status.success()) {
            return;
        }
        // It hangs or died: what it started (workerd, on the storage files) must not outlive it.
        kill_group(group).await;
        // Killed now, if it was not dead before; waiting only takes its zombie away.
        let _ = child.wait().await;
    }
}

/// Kills the sidecar's whole process group. Through the shell, because the standard library cannot signal a group.
async fn kill_group(group: Option<u32>) {
    let Some(group) = group else { return };
    // Nobody left to kill is what is wanted.
    let _ = Command::new("/bin/sh")
        .args(["-c", "kill -s KILL -- \"-$0\"", &group.to_string()])
        .stderr(Stdio::null())
        .status()
        .await;
}

fn command(options: &RuntimeOptions) -> Command {
    let mut command = Command::new(&options.node);
    command
        .arg("--disable-warning=ExperimentalWarning")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("runtime/main.mjs"))
        // Ctrl-C at the terminal is for the server, which then stops the sidecar in order.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Appends what the sidecar says to a bounded log file, and remembers the last lines.
async fn keep_log(stderr: ChildStderr, path: PathBuf, last: Arc<Mutex<VecDeque<String>>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // A full disk must not stop the sidecar, whose pipe has to be emptied.
        let _ = append(&path, &line);
        let mut last = lock(&last);
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > LOG_BYTES_MAX) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    writeln!(file, "{} {line}", ids::now())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
