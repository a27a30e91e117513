//! Real processes: what is captured, what is hidden, and that nothing stays behind.

use std::collections::BTreeMap;

use expect_test::expect;

use super::*;
use crate::error::{exit_of, render};
use crate::interrupt::Interrupt;
use crate::ui::Ui;

const SECRET: &str = "canary-3f9c";

fn sh(script: &str) -> Command {
    Command {
        display: "sh".to_owned(),
        program: "sh".to_owned(),
        argv: vec!["-c".to_owned(), script.to_owned()],
        cwd: std::env::temp_dir(),
        env: BTreeMap::new(),
        secret_env: Vec::new(),
        env_remove: Vec::new(),
        keep_env: Vec::new(),
        secrets_on_stdin: Vec::new(),
        files: BTreeMap::new(),
    }
}

fn env() -> Env {
    let vars = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("ADMIN_KEY", SECRET),
        ("PLAIN", "plain"),
    ];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Env::from_vars(vars.into(), false, std::env::temp_dir())
}

fn ui() -> Ui {
    let ui = Ui::in_memory(false);
    ui.hide(&Mask::new([("ADMIN_KEY", SECRET)]));
    ui
}

fn run_sh(script: &str, timeout: Duration) -> Finished {
    let ui = ui();
    let io = Io::new("step", &ui, Interrupt::detached());
    run(&sh(script), &env(), &io, timeout).expect("sh starts")
}

const LONG: Duration = Duration::from_secs(30);

#[track_caller]
fn assert_gone(pid: &str) {
    let pid: u32 = pid.trim().parse().expect("a process id");
    // A killed orphan is a zombie until init collects it; it runs no more.
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = status.rsplit(") ").next().unwrap_or_default();
        if status.is_empty() || state.starts_with(['Z', 'X']) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("process {pid} still runs");
}

#[test]
fn both_streams_are_captured_plain_and_masked() {
    let finished = run_sh(
        "printf '\\033[31mred\\033[0m\\r\\n'; echo out; echo key canary-3f9c >&2; printf last; exit 3",
        LONG,
    );
    assert_eq!(finished.stdout, "red\nout\nlast\n");
    assert_eq!(finished.stderr, "key ***\n");
    assert_eq!((finished.status, finished.killed), (3, None));
    assert!(!finished.success());
    assert_eq!(finished.ending(), "exited with 3");
}

#[test]
fn lines_reach_the_io_as_they_arrive() {
    let ui = ui();
    let io = Io::new("step", &ui, Interrupt::detached());
    let seen = std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            run(&sh("echo first; sleep 2; echo second"), &env(), &io, LONG).expect("sh starts")
        });
        while io.log_now().is_empty() && !running.is_finished() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let early = io.log_now();
        running.join().expect("no panic");
        early
    });
    assert_eq!(seen, ["first"]);
    assert_eq!(io.log_now(), ["first", "second"]);
}

#[test]
fn data_comes_back_untouched_and_stderr_is_masked() {
    let ui = ui();
    let io = Io::new("step", &ui, Interrupt::detached());
    let input = "line canary-3f9c\nno newline at the end".as_bytes();
    let finished = run_with_stdin(&sh("echo canary-3f9c >&2; cat"), &env(), &io, LONG, input)
        .expect("sh starts");
    assert_eq!(finished.stdout.as_bytes(), input);
    assert_eq!(finished.stderr, "***\n");
    assert_eq!(io.log_now(), ["***"]);
}

#[test]
fn a_large_input_and_output_do_not_block_each_other() {
    let ui = ui();
    let io = Io::new("step", &ui, Interrupt::detached());
    let input = vec![b'x'; 3_000_000];
    let finished = run_with_stdin(&sh("cat"), &env(), &io, LONG, input.clone()).expect("sh starts");
    assert_eq!(finished.stdout.len(), input.len());
}

#[test]
fn a_program_sees_only_the_secrets_it_is_given() {
    let ui = ui();
    let io = Io::new("step", &ui, Interrupt::detached());
    let script = "echo \"[${ADMIN_KEY:-none}] [$PLAIN] [$SET] [${#ADMIN_KEY}]\"";
    let mut command = sh(script);
    command.env.insert("SET".to_owned(), "set".to_owned());
    let without = run(&command, &env(), &io, LONG).expect("sh starts");
    assert_eq!(without.stdout, "[none] [plain] [set] [0]\n");
    command.secret_env.push("ADMIN_KEY".to_owned());
    command.env_remove.push("PLAIN".to_owned());
    let with = run(&command, &env(), &io, LONG).expect("sh starts");
    assert_eq!(with.stdout, "[***] [] [set] [11]\n");
}

#[test]
fn secrets_on_stdin_are_one_json_object() {
    let ui = ui();
    let io = Io::new("step", &ui, Interrupt::detached());
    let mut command = sh("wc -c < /dev/stdin");
    command.secrets_on_stdin.push("ADMIN_KEY".to_owned());
    let finished = run(&command, &env(), &io, LONG).expect("sh starts");
    let length = format!("{{\"ADMIN_KEY\":\"{SECRET}\"}}").len();
    assert_eq!(finished.stdout.trim(), length.to_string());
}

#[test]
fn a_missing_secret_program_or_folder_is_told_before_anything_starts() {
    let ui = ui();
    let io = Io::new("step", &ui, Interrupt::detached());
    let fail = |command: &Command| {
        let error = run(command, &env(), &io, LONG).expect_err("cannot start");
        assert_eq!(exit_of(&error), crate::error::Exit::Setup);
        render(&error)
    };
    let mut secret = sh("true");
    secret.secret_env.push("FB_SECRET".to_owned());
    let mut program = sh("true");
    program.program = "node-of-nowhere".to_owned();
    program.display = "node-of-nowhere cli.js".to_owned();
    let mut folder = sh("true");
    folder.cwd = PathBuf::from("/nowhere/at/all");
    expect![[r"
        error: cannot run `sh`
          why: the secret `FB_SECRET` is not set
          fix: set `FB_SECRET` in the environment (on GitHub: a repository secret) and run it again
        error: cannot run `node-of-nowhere cli.js`
          why: no program named `node-of-nowhere` is in the folders of PATH
          fix: install it, or add its folder to PATH; `cargo xtask doctor` lists all that is needed
        error: cannot run `sh`
          why: the folder `/nowhere/at/all` does not exist"]]
    .assert_eq(&[fail(&secret), fail(&program), fail(&folder)].join("\n"));
}

#[test]
fn a_timeout_ends_the_grandchildren_too() {
    let finished = run_sh("sleep 300 & echo $!; wait", Duration::from_millis(300));
    assert_eq!(finished.killed, Some("timeout"));
    assert!(finished.duration < Duration::from_secs(10), "{finished:?}");
    assert_gone(&finished.stdout);
}

#[test]
fn a_program_that_ignores_the_request_is_killed() {
    let finished = run_sh(
        "trap '' TERM; sleep 300 & echo $!; wait",
        Duration::from_millis(200),
    );
    assert_eq!((finished.killed, finished.status), (Some("timeout"), 137));
    assert!(finished.duration >= Duration::from_secs(2));
    assert_gone(&finished.stdout);
}

#[test]
fn what_a_program_leaves_behind_is_killed() {
    let finished = run_sh("sleep 300 & echo $!", LONG);
    assert_eq!((finished.status, finished.killed), (0, None));
    assert!(finished.duration < Duration::from_secs(10), "{finished:?}");
    assert_gone(&finished.stdout);
}

#[test]
fn a_process_that_left_the_group_cannot_hold_the_step_up() {
    let finished = run_sh("setsid sleep 15 & echo started", LONG);
    assert_eq!(finished.stdout, "started\n");
    assert!(finished.duration < Duration::from_secs(10), "{finished:?}");
}

#[test]
fn closing_its_output_does_not_end_a_program() {
    let finished = run_sh("exec >&- 2>&-; sleep 0.3; exit 7", LONG);
    assert_eq!((finished.status, finished.killed), (7, None));
}

#[test]
fn an_interrupt_ends_what_runs() {
    let ui = ui();
    let interrupt = Interrupt::detached();
    let io = Io::new("step", &ui, interrupt.clone());
    let finished = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            interrupt.request();
        });
        run(&sh("sleep 300 & echo $!; wait"), &env(), &io, LONG).expect("sh starts")
    });
    assert_eq!(finished.killed, Some("interrupt"));
    assert_gone(&finished.stdout);
}

#[test]
fn a_detached_program_lives_in_its_own_session() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("log");
    let script = "echo up; cut -d' ' -f6 /proc/$$/stat; exit 5";
    let detached = start_detached(&sh(script), &env(), &Mask::new([]), &log).expect("sh starts");
    let until = Instant::now() + Duration::from_secs(5);
    while detached.ended().is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(detached.ended(), Some(5));
    let text = std::fs::read_to_string(&log).expect("the log is there");
    assert_eq!(text, format!("up\n{}\n", detached.pid));
}
