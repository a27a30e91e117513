//! Completions as somebody at a terminal meets them: bash and zsh on a pseudo-terminal, with a completion for cargo that was there
//! before, and what fish offers. Where zsh or fish is not installed it is left out, and that is said.
#![cfg(unix)]
#![expect(
    clippy::disallowed_methods,
    reason = "the shells are the programs under test"
)]

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

fn completions(shell: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["completions", shell])
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("a script is text")
}

/// What bash runs when these lines are typed: `cargo` is a function here that says its arguments.
fn typed(lines: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rc = folder.path().join("rc");
    let own = "cargo() { echo \"ran: $*.\"; }\n_own() { COMPREPLY=($(compgen -W 'build xtask' -- \"$2\")); }\ncomplete -F _own cargo\n";
    fs::write(&rc, format!("PS1='$ '\n{own}{0}\n{0}", completions("bash")))
        .expect("it can be written");
    on_a_terminal(
        &format!("bash --noprofile --rcfile '{}' -i", rc.display()),
        lines,
    )
}

/// What a shell says when these lines are typed into it.
fn on_a_terminal(shell: &str, lines: &str) -> String {
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", shell, "/dev/null"])
        .env("INPUTRC", "/dev/null")
        .env("TERM", "dumb")
        .env("HISTFILE", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`script` of util-linux is there");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(lines.as_bytes()).expect("it can be typed");
    stdin.write_all(b"exit\n").expect("it can be typed");
    drop(stdin);
    let output = child.wait_with_output().expect("it is our child");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a program says; it must succeed.
#[track_caller]
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.expect("the program starts");
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// True, and said past the test harness, where a shell is not installed.
fn left_out(shell: &str) -> bool {
    let missing = Command::new(shell).arg("--version").output().is_err();
    if missing {
        let note =
            format!("note: completions for {shell} are not tested here: there is no {shell}\n");
        let _ = std::io::stderr().write_all(note.as_bytes());
    }
    missing
}

#[test]
fn bash_completes_verbs_flags_and_values_and_leaves_the_rest_to_cargo() {
    let said = typed(
        "cargo xtask depl\t\ncargo +nightly xtask roll\t--l\t\ncargo xtask deploy --cloud lo\t\ncargo xtask worker ren\t\ncargo bui\t\n",
    );
    for ran in [
        "ran: xtask deploy.",
        "ran: +nightly xtask rollback --list.",
        "ran: xtask deploy --cloud local.",
        "ran: xtask worker rename.",
        "ran: build.",
    ] {
        assert!(said.contains(ran), "no {ran:?} in what was run:\n{said}");
    }
}

/// As docs/completions.md says: a file in `fpath`, called by the completion that comes with cargo.
#[test]
fn zsh_completes_what_cargos_own_completion_hands_on() {
    if left_out("zsh") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("_cargo-xtask");
    fs::write(&file, completions("zsh")).expect("it can be written");
    said("zsh", &["-n", &file.display().to_string()]);
    let toolchain = said("rustc", &["--print", "sysroot"]);
    let rc = format!(
        "PS1='$ '\nfpath=('{}' '{}/share/zsh/site-functions' $fpath)\nautoload -U compinit && compinit -u -D\n\
         cargo() {{ echo \"ran: $*.\" }}\n",
        folder.path().display(),
        toolchain.trim()
    );
    fs::write(folder.path().join(".zshrc"), rc).expect("it can be written");
    let said = on_a_terminal(
        &format!("env ZDOTDIR='{}' zsh -d -i", folder.path().display()),
        "cargo xtask depl\t\ncargo xtask rollback --lis\t\ncargo xtask deploy --cloud lo\t\ncargo xtask worker ren\t\n",
    );
    for ran in [
        "ran: xtask deploy.",
        "ran: xtask rollback --list.",
        "ran: xtask deploy --cloud local.",
        "ran: xtask worker rename.",
    ] {
        assert!(said.contains(ran), "no {ran:?} in what was run:\n{said}");
    }
}

#[test]
fn fish_offers_verbs_flags_and_values() {
    if left_out("fish") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("cargo-xtask.fish");
    fs::write(&file, completions("fish")).expect("it can be written");
    let path = file.display();
    said("fish", &["--no-execute", &path.to_string()]);
    let typed = [
        ("cargo xtask depl", "deploy"),
        ("cargo +nightly xtask rollback --l", "--list"),
        ("cargo xtask deploy --cloud lo", "local"),
        ("cargo xtask worker ren", "rename"),
    ];
    let asked = typed.map(|(line, _)| format!("complete -C '{line}'"));
    let script = format!("source '{path}'; {}", asked.join("; "));
    let offered = said("fish", &["--no-config", "--command", &script]);
    let words: Vec<&str> = offered
        .lines()
        .filter_map(|line| line.split('\t').next())
        .collect();
    assert_eq!(words, typed.map(|(_, word)| word), "{offered}");
}

/// All have the same verbs; each registers with cargo in its own way.
#[test]
fn each_shell_gets_a_script_that_is_about_cargo() {
    let zsh = completions("zsh");
    assert!(
        zsh.starts_with("#autoload\n") && zsh.ends_with("\n_xtask \"$@\"\n"),
        "{zsh}"
    );
    assert!(!zsh.contains("compdef"), "cargo's own completion calls it");
    let fish = completions("fish");
    assert!(fish.contains("complete -c cargo -n '__fish_seen_subcommand_from xtask'"));
    let powershell = completions("powershell");
    assert!(
        powershell.contains("-CommandName 'cargo'") && powershell.contains("'cargo;xtask;deploy'")
    );
    for script in [zsh, fish, powershell] {
        assert!(script.contains("rollback") && script.contains("canary"));
    }
}

#[test]
fn another_shell_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["completions", "csh"])
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(2));
    expect_test::expect![[r#"
        error: invalid value 'csh' for '<SHELL>'
          [possible values: bash, zsh, fish, powershell]

          tip: a similar value exists: 'zsh'

        For more information, try '--help'.
    "#]]
    .assert_eq(&String::from_utf8_lossy(&output.stderr));
}
