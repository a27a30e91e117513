//! Completions as somebody at a terminal meets them: bash on a pseudo-terminal, with a completion for cargo that was there before.
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
    let shell = format!("bash --noprofile --rcfile '{}' -i", rc.display());
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &shell, "/dev/null"])
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

/// The others have the same verbs; each registers with cargo in its own way.
#[test]
fn other_shells_get_a_script_that_is_about_cargo() {
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
