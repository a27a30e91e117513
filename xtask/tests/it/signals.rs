//! Ctrl-C, twice, and a kill, against a process that runs a plan: this test starts itself again to be that process.
#![cfg(unix)]
#![expect(
    clippy::disallowed_methods,
    reason = "the test is the world outside, it starts and signals the process under test"
)]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use xtask::env::Env;
use xtask::interrupt::Interrupt;
use xtask::plan::{Action, Plan, Step};
use xtask::run::{Io, Options, Runner};
use xtask::tools::process;
use xtask::ui::{Format, Ui};

use crate::support::signals;

/// Set in the process under test: the script its step runs.
const SCRIPT: &str = "XTASK_SIGNALS_SCRIPT";
const PATIENCE: Duration = Duration::from_secs(20);

struct Shell {
    env: Env,
}

impl Runner for Shell {
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value> {
        let Action::Command(command) = &step.action else {
            return Ok(Value::Null);
        };
        let finished = process::run(command, &self.env, io, step.timeout)?;
        anyhow::ensure!(finished.success(), "the program {}", finished.ending());
        Ok(Value::Null)
    }
}

/// The process under test: one step with a script, a second one that must not start, then a step after the reset.
fn run_as_child(script: &str) -> ! {
    let env = Env::read();
    let ui = Ui::new(&env, false, false, Format::Text);
    let options = Options::new(1);
    let command = |script: &str| {
        Action::Command(xtask::plan::Command {
            display: "sh".to_owned(),
            program: "sh".to_owned(),
            argv: vec!["-c".to_owned(), script.to_owned()],
            cwd: env.cwd.clone(),
            env: BTreeMap::new(),
            secret_env: Vec::new(),
            env_remove: Vec::new(),
            keep_env: Vec::new(),
            secrets_on_stdin: Vec::new(),
            files: BTreeMap::new(),
        })
    };
    let mut plan = Plan::new("test");
    plan.push(Step::new("g", "first", "run first", command(script)));
    plan.push(Step::new(
        "g",
        "second",
        "run second",
        command("echo no >&2; exit 1"),
    ));
    let runner = Shell { env: env.clone() };
    let outcome = xtask::run::run(&plan, &runner, &ui, &options);
    options.interrupt.reset();
    let mut undo = Plan::new("test");
    undo.push(Step::new("g", "undo", "run undo", command("true")));
    let undone = xtask::run::run(&undo, &runner, &ui, &options);
    let statuses: Vec<&str> = outcome
        .steps
        .iter()
        .map(|step| step.status.word())
        .collect();
    ui.data(&format!(
        "interrupted={} {} undo={}",
        outcome.interrupted,
        statuses.join(" "),
        undone.ok()
    ));
    assert!(!Interrupt::install().requested());
    std::process::exit(40)
}

/// Starts the process under test; its script knows `PID_FILE`.
fn start(test: &str, script: &str, folder: &Path) -> Child {
    let pid_file = folder.join("pid").display().to_string();
    let itself = std::env::current_exe().expect("this test is a program");
    let mut command = Command::new(itself);
    signals::own_group(&mut command)
        .args([
            "--exact",
            &format!("signals::{test}"),
            "--nocapture",
            "--test-threads",
            "1",
        ])
        .env(SCRIPT, script.replace("PID_FILE", &pid_file))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test starts again")
}

/// Waits for the process id that the script writes.
fn pid_written(folder: &Path) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let pid = std::fs::read_to_string(folder.join("pid")).unwrap_or_default();
        if pid.ends_with('\n') {
            return pid.trim().to_owned();
        }
        assert!(Instant::now() < until, "the script wrote no process id");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The exit code, and all it wrote.
fn end_of(mut child: Child) -> (Option<i32>, String) {
    let until = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            break status;
        }
        assert!(Instant::now() < until, "the process did not end");
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut text = String::new();
    let mut stdout = child.stdout.take().expect("it is piped");
    let mut stderr = child.stderr.take().expect("it is piped");
    stdout.read_to_string(&mut text).expect("it is text");
    stderr.read_to_string(&mut text).expect("it is text");
    (status.code(), text)
}

#[track_caller]
fn assert_gone(pid: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit(") ").next().unwrap_or_default();
        if stat.is_empty() || state.starts_with(['Z', 'X']) {
            return;
        }
        assert!(Instant::now() < until, "process {pid} still runs: {stat}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs the process under test when this is it.
fn be_the_child_if_asked() {
    if let Some(script) = std::env::var_os(SCRIPT) {
        run_as_child(&script.to_string_lossy());
    }
}

/// The process under test at work: its script has written the process id of what it runs.
struct Started {
    child: Child,
    /// What its step runs.
    pid: String,
    _folder: tempfile::TempDir,
}

/// Starts the process under test, unless this is it.
fn started(test: &str, script: &str) -> Started {
    be_the_child_if_asked();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let child = start(test, script, folder.path());
    let pid = pid_written(folder.path());
    Started {
        child,
        pid,
        _folder: folder,
    }
}

impl Started {
    /// Sends the signals, a while apart; the exit code and all it wrote. What its step ran must be gone.
    #[track_caller]
    fn signalled(self, signals: &[&str]) -> (Option<i32>, String) {
        for (index, name) in signals.iter().enumerate() {
            if index > 0 {
                std::thread::sleep(Duration::from_millis(200));
            }
            match *name {
                "KILL" => signals::to_process(&self.child, name),
                _ => signals::to_group(&self.child, name),
            }
        }
        let (code, text) = end_of(self.child);
        assert_gone(&self.pid);
        (code, text)
    }
}

#[test]
fn one_ctrl_c_ends_the_programs_and_lets_the_stage_tidy_up() {
    let started = started(
        "one_ctrl_c_ends_the_programs_and_lets_the_stage_tidy_up",
        "sleep 300 & echo $! > PID_FILE; wait",
    );
    let (code, text) = started.signalled(&["INT"]);
    assert_eq!(code, Some(40), "{text}");
    assert!(
        text.contains("interrupted=true cancelled cancelled undo=true"),
        "{text}"
    );
}

#[test]
fn a_terminate_after_the_interrupt_does_not_cut_the_tidying_short() {
    let started = started(
        "a_terminate_after_the_interrupt_does_not_cut_the_tidying_short",
        "trap '' TERM; sleep 300 & echo $! > PID_FILE; wait",
    );
    let (code, text) = started.signalled(&["INT", "TERM"]);
    assert_eq!(code, Some(40), "{text}");
    assert!(
        text.contains("interrupted=true cancelled cancelled undo=true"),
        "{text}"
    );
}

#[test]
fn a_second_ctrl_c_kills_everything_at_once() {
    let started = started(
        "a_second_ctrl_c_kills_everything_at_once",
        "trap '' TERM; sleep 300 & echo $! > PID_FILE; wait",
    );
    let (code, text) = started.signalled(&["INT", "INT"]);
    assert_eq!(code, Some(130), "{text}");
    assert!(text.contains("killed by a second Ctrl-C"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_kill_of_the_pipeline_ends_its_programs() {
    let started = started(
        "a_kill_of_the_pipeline_ends_its_programs",
        "echo $$ > PID_FILE; exec sleep 300",
    );
    let (code, _) = started.signalled(&["KILL"]);
    assert_eq!(code, None);
}
