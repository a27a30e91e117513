//! One run of the binary that may be killed at a chosen moment, with all that it started.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::World;

/// No run needs longer, the waits of its retries included.
const RUN_MAX: Duration = Duration::from_secs(150);

/// A run that ended.
#[derive(Clone, Debug)]
pub struct Run {
    /// `None` when it was killed.
    pub exit: Option<i32>,
    /// What it said.
    pub stderr: String,
    /// True when the sweep killed it.
    pub killed: bool,
}

/// Runs the binary to its end, or kills it and all it started as soon as `kill_when` says so.
pub fn run(world: &World, arguments: &[String], kill_when: impl Fn() -> bool) -> Run {
    let log = world.base().join("stderr.log");
    let file = fs::File::create(&log).expect("a file");
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut child = world
        .xtask(&words)
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
        if !killed && (kill_when() || Instant::now() > deadline) {
            killed = true;
            kill_group(child.id());
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let stderr = fs::read_to_string(&log).unwrap_or_default();
    assert!(Instant::now() < deadline, "a run did not end:\n{stderr}");
    Run {
        exit: status.code(),
        stderr,
        killed,
    }
}

#[expect(
    unsafe_code,
    reason = "a whole group is killed, which the standard library cannot"
)]
fn kill_group(pid: u32) {
    // SAFETY: kill has no memory effects; the group is the child's own, and the child was not waited for yet.
    unsafe { libc::kill(-pid.cast_signed(), libc::SIGKILL) };
}
