//! Runs programs: the only place that spawns (git's short commands aside). Knows nothing of what they do.
//!
//! Each program gets a process group of its own, is ended as a group (TERM, two seconds, KILL), and sees only the
//! secrets its command names. What is left of the group when the program itself ends is killed too: no step leaves
//! a process behind.

mod ask;
mod group;
mod output;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;

pub use self::ask::{Answer, ask, find as find_program};
use self::group::{Ending, own_group, own_session, signal_group};
use self::output::{Collected, Piece, STDERR, STDOUT, Streams, read_pieces};
pub use self::stream::{Next, Stream};
use crate::env::Env;
use crate::error::Fail;
use crate::interrupt::guard_group;
use crate::mask::Mask;
use crate::plan::Command;
use crate::run::Io;

/// How long output may still arrive after the program has ended and the rest of its group was killed.
const DRAIN_GRACE: Duration = Duration::from_millis(500);
/// How often a wait looks at the interrupt flag; the end of the program itself is noticed at once.
const GLANCE: Duration = Duration::from_millis(50);

/// A program that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit code; 128 + the signal's number when a signal ended it.
    pub status: i32,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr, plain and masked.
    pub stderr: String,
    /// Why we ended it, if we did: `timeout` or `interrupt`.
    pub killed: Option<&'static str>,
    /// How long it ran.
    pub duration: Duration,
}

impl Finished {
    /// True when it ended by itself with 0.
    pub fn success(&self) -> bool {
        self.status == 0 && self.killed.is_none()
    }

    /// The last lines it wrote, stderr before stdout: the *why* of a failure.
    pub fn tail(&self, lines: usize) -> String {
        let text = if self.stderr.trim().is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        let all: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// How it ended, for an error's first line: `exited with 1`, `ran into its time limit`.
    pub fn ending(&self) -> String {
        match self.killed {
            Some("timeout") => format!(
                "did not end within {}",
                humantime::format_duration(Duration::from_secs(self.duration.as_secs()))
            ),
            Some(_) => "was interrupted".to_owned(),
            None if self.status > 128 => format!("was ended by signal {}", self.status - 128),
            None => format!("exited with {}", self.status),
        }
    }
}

/// Runs a program whose output is for people: every line, plain and masked, goes to `io` as it arrives. It reads its
/// command's `secrets_on_stdin` as one JSON object, or nothing.
pub fn run(command: &Command, env: &Env, io: &Io, timeout: Duration) -> anyhow::Result<Finished> {
    let stdin = secrets_as_json(command, env)?;
    run_as(command, env, io, timeout, stdin, false)
}

/// Runs a program that reads `stdin` and whose stdout is data: it is returned as it came, *not* masked and not shown,
/// so mask what you quote of it. stderr is treated as in [`run`].
pub fn run_with_stdin(
    command: &Command,
    env: &Env,
    io: &Io,
    timeout: Duration,
    stdin: impl Into<Vec<u8>>,
) -> anyhow::Result<Finished> {
    run_as(command, env, io, timeout, Some(stdin.into()), true)
}

/// A program that lives on after xtask ends, e.g. the local cloud.
pub struct Detached {
    handle: duct::Handle,
    /// Its process id, which is also its session's and its group's.
    pub pid: u32,
}

impl Detached {
    /// Its exit code if it has ended already.
    pub fn ended(&self) -> Option<i32> {
        let output = self.handle.try_wait().ok()??;
        Some(code_of(output.status))
    }
}

/// Starts a program in a session of its own, so that neither Ctrl-C nor the end of xtask reaches it. What it writes is
/// appended to `log`, *not* masked: it must be a program that masks by itself.
pub fn start_detached(
    command: &Command,
    env: &Env,
    mask: &Mask,
    log: &Path,
) -> anyhow::Result<Detached> {
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("failed to open `{}`", log.display()))?;
    let program = find(command, env)?;
    let expression = duct::cmd(program, &command.argv)
        .dir(&command.cwd)
        .full_env(environment(command, env, mask)?)
        .unchecked()
        .stdin_null()
        .stdout_file(file.try_clone()?)
        .stderr_file(file)
        .before_spawn(|child| {
            own_session(child);
            Ok(())
        });
    let handle = expression
        .start()
        .map_err(|error| not_started(command, &error))?;
    let pid = handle.pids().first().copied().unwrap_or_default();
    Ok(Detached { handle, pid })
}

/// Runs a program in the foreground: terminal, Ctrl-C and output are its own. Returns its exit code.
pub fn run_foreground(command: &Command, env: &Env, mask: &Mask) -> anyhow::Result<i32> {
    let output = duct::cmd(find(command, env)?, &command.argv)
        .dir(&command.cwd)
        .full_env(environment(command, env, mask)?)
        .unchecked()
        .run()
        .map_err(|error| not_started(command, &error))?;
    Ok(code_of(output.status))
}

fn run_as(
    command: &Command,
    env: &Env,
    io: &Io,
    timeout: Duration,
    stdin: Option<Vec<u8>>,
    stdout_is_data: bool,
) -> anyhow::Result<Finished> {
    let started = Instant::now();
    let (handle, pieces) = spawn(command, env, io.mask(), |expression| match stdin {
        Some(bytes) => expression.stdin_bytes(bytes),
        None => expression.stdin_null(),
    })?;
    let group = handle.pids().first().map_or(0, |&pid| pid.cast_signed());
    let _guard = guard_group(group);

    let mut collected = Collected::new(io, stdout_is_data);
    let mut ending = Ending::new(group, started.checked_add(timeout));
    let status = loop {
        if collected.take(&pieces, GLANCE) == Streams::Closed {
            // Both streams are closed: the program is about to end, or goes on in silence.
            if let Some(output) = handle.wait_timeout(GLANCE)? {
                break output.status;
            }
        } else if let Some(output) = handle.try_wait()? {
            break output.status;
        }
        ending.glance(io);
    };
    // The leader's number is free again only once its group is empty, and then this signal reaches nobody.
    signal_group(group, libc::SIGKILL);
    let drained_by = Instant::now() + DRAIN_GRACE;
    while collected.take(&pieces, GLANCE) == Streams::Open && Instant::now() < drained_by {}
    let (stdout, stderr) = collected.finish();
    Ok(Finished {
        status: code_of(status),
        stdout,
        stderr,
        killed: ending.killed,
        duration: started.elapsed(),
    })
}

fn spawn(
    command: &Command,
    env: &Env,
    mask: &Mask,
    stdin: impl FnOnce(duct::Expression) -> duct::Expression,
) -> anyhow::Result<(duct::Handle, Receiver<Piece>)> {
    let program = find(command, env)?;
    write_files(command)?;
    let (stdout_reader, stdout_writer) = std::io::pipe().context("failed to make a pipe")?;
    let (stderr_reader, stderr_writer) = std::io::pipe().context("failed to make a pipe")?;
    let expression = duct::cmd(program, &command.argv)
        .dir(&command.cwd)
        .full_env(environment(command, env, mask)?)
        .unchecked()
        .stdout_file(stdout_writer)
        .stderr_file(stderr_writer)
        .before_spawn(|child| {
            own_group(child);
            Ok(())
        });
    let expression = stdin(expression);
    let handle = expression
        .start()
        .map_err(|error| not_started(command, &error))?;
    // The expression holds the writing ends of the pipes: while it lives, no reader sees the end.
    drop(expression);
    // Bounded, so that a program which prints faster than we mask is slowed down rather than held in memory.
    let (sender, pieces) = sync_channel(64);
    for (stream, reader) in [(STDOUT, stdout_reader), (STDERR, stderr_reader)] {
        let sender = sender.clone();
        std::thread::spawn(move || read_pieces(stream, reader, &sender));
    }
    Ok((handle, pieces))
}

/// The program's absolute path: a missing one is reported here, in words, before anything is spawned.
fn find(command: &Command, env: &Env) -> anyhow::Result<PathBuf> {
    let name = &command.program;
    if !command.cwd.is_dir() {
        return Err(Fail::setup(format!("cannot run `{}`", command.display))
            .why(format!(
                "the folder `{}` does not exist",
                command.cwd.display()
            ))
            .into());
    }
    let path = env.var("PATH").unwrap_or_default();
    which::which_in(name, Some(path), &command.cwd).map_err(|_| {
        let why = if name.contains('/') {
            format!("`{name}` is missing or not executable")
        } else {
            format!("no program named `{name}` is in the folders of PATH")
        };
        let fix = match name.as_str() {
            "pnpm" | "yarn" | "bun" => &format!("npm install --global {name}   (with @ and the version, where package.json pins one as `packageManager`)"),
            "node" | "npm" | "npx" => "install Node.js 22 or later (https://nodejs.org) and run the command again",
            "curl" | "git" => "install it with the system's package manager, e.g. `apt-get install curl git`",
            _ => "install it, or add its folder to PATH; `cargo xtask doctor` lists all that is needed",
        };
        Fail::setup(format!("cannot run `{}`", command.display)).why(why).fix(fix).into()
    })
}

fn write_files(command: &Command) -> anyhow::Result<()> {
    for (path, text) in &command.files {
        let folder = path.parent().unwrap_or(path);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(path, text))
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

/// What the program sees: our environment without the secrets, then its own settings and the secrets it may see.
fn environment(command: &Command, env: &Env, mask: &Mask) -> anyhow::Result<Vec<(String, String)>> {
    let mut vars: BTreeMap<String, String> = env
        .names()
        .filter_map(|name| Some((name.to_owned(), env.var(name)?.to_owned())))
        .collect();
    for name in command
        .env_remove
        .iter()
        .map(String::as_str)
        .chain(mask.names())
        .filter(|name| !command.keep_env.iter().any(|kept| kept == name))
    {
        vars.remove(name);
    }
    vars.extend(command.env.clone());
    for name in &command.secret_env {
        vars.insert(name.clone(), secret(command, env, name)?.to_owned());
    }
    Ok(vars.into_iter().collect())
}

fn secrets_as_json(command: &Command, env: &Env) -> anyhow::Result<Option<Vec<u8>>> {
    if command.secrets_on_stdin.is_empty() {
        return Ok(None);
    }
    let mut values = serde_json::Map::new();
    for name in &command.secrets_on_stdin {
        values.insert(name.clone(), secret(command, env, name)?.into());
    }
    Ok(Some(serde_json::to_vec(&values)?))
}

fn secret<'env>(command: &Command, env: &'env Env, name: &str) -> anyhow::Result<&'env str> {
    env.var(name).ok_or_else(|| {
        Fail::setup(format!("cannot run `{}`", command.display))
            .why(format!("the secret `{name}` is not set"))
            .fix(format!(
                "set `{name}` in the environment (on GitHub: a repository secret) and run it again"
            ))
            .into()
    })
}

fn not_started(command: &Command, error: &std::io::Error) -> anyhow::Error {
    Fail::setup(format!("cannot run `{}`", command.display))
        .why(format!("the system refused to start it: {error}"))
        .into()
}

fn code_of(status: std::process::ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}
