//! Runs of the binary under test, with a clean environment: started, waited for, and what they left.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the boundary to the program under test"
)]

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{World, signals};

/// How long a run of the binary may take: two cores are shared by all tests.
const RUN_MAX: Duration = Duration::from_secs(300);

impl World {
    /// The binary with arguments, not yet started.
    pub fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(self.root(), arguments);
        command.arg("--root").arg(self.root());
        command
    }

    /// The binary with arguments in any folder, not yet started.
    pub fn program(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .envs(self.env())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        signals::own_group(&mut command);
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
            root: self.root().to_owned(),
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
    /// The process.
    pub(super) fn child(&self) -> &Child {
        &self.child
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
