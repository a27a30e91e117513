//! `scripts/bootstrap.sh` on machines that lack something: the real script, a PATH with nothing but what is there, and a package
//! manager and an installer of Rust that are played by scripts. Nothing is installed without consent.
#![cfg(unix)]
#![expect(
    clippy::disallowed_methods,
    reason = "the script under test is run here"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::{Expect, expect};

/// What a bare system has.
const BASICS: [&str; 6] = ["sh", "sed", "id", "dirname", "cat", "ln"];
/// What the pipeline needs.
const TOOLS: [&str; 6] = ["curl", "git", "node", "npm", "rustc", "cargo"];

/// A machine: a folder PATH leads to, and a home.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    /// With everything but `lacking`, and with a package manager that brings it.
    fn without(lacking: &[&str]) -> Machine {
        let machine = Machine {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        for folder in ["bin", "home", "store"] {
            fs::create_dir(machine.path(folder)).expect("a folder can be made");
        }
        for program in BASICS {
            let found = Command::new("sh")
                .args(["-c", &format!("command -v {program}")])
                .output()
                .expect("sh is there");
            let found = String::from_utf8_lossy(&found.stdout).trim().to_owned();
            symlink(found, machine.path("bin").join(program)).expect("a link can be made");
        }
        machine.stock();
        for tool in TOOLS.iter().filter(|tool| !lacking.contains(tool)) {
            machine.take(tool);
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Programs as a package manager has them, and those that bring them. Each says what it was asked for.
    fn stock(&self) {
        let log = self.path("log");
        let log = log.display();
        let said = |version: &str| format!("#!/bin/sh\necho \"{version}\"\n");
        self.store("git", &said("git version 2.40.0"));
        self.store("node", &said("v18.0.0"));
        self.store("npm", &said("9.0.0"));
        self.store("rustc", &said("rustc 1.95.0 (59807616e 2026-04-14)"));
        self.store("cargo", &format!("#!/bin/sh\necho \"cargo $*\" >> {log}\n"));
        let (bin, store) = (self.path("bin"), self.path("store"));
        let (bin, store) = (bin.display(), store.display());
        // rustup's installer comes through curl: it puts cargo and rustc into the home.
        let rust = format!(
            "mkdir -p \"$HOME/.cargo/bin\"\nln -s {store}/rustc {store}/cargo \"$HOME/.cargo/bin\"\necho 'PATH=\"$HOME/.cargo/bin:$PATH\"' > \"$HOME/.cargo/env\"\n"
        );
        fs::write(self.path("rustup-init"), rust).expect("a file can be written");
        let installer = self.path("rustup-init");
        self.store(
            "curl",
            &format!(
                "#!/bin/sh\necho \"curl $*\" >> {log}\ncat {}\n",
                installer.display()
            ),
        );
        let apt = format!(
            "#!/bin/sh\necho \"apt-get $*\" >> {log}\n[ \"$1\" = install ] || exit 0\nshift 2\nfor package; do\n  case $package in nodejs) package=node ;; esac\n  [ -e {bin}/$package ] || ln -s {store}/$package {bin}/$package\ndone\n"
        );
        program(&self.path("bin").join("apt-get"), &apt);
        let mkdir = Command::new("sh")
            .args(["-c", "command -v mkdir"])
            .output()
            .expect("sh is there");
        symlink(
            String::from_utf8_lossy(&mkdir.stdout).trim(),
            self.path("bin").join("mkdir"),
        )
        .expect("a link can be made");
    }

    fn store(&self, name: &str, text: &str) {
        program(&self.path("store").join(name), text);
    }

    fn take(&self, tool: &str) {
        symlink(self.path("store").join(tool), self.path("bin").join(tool))
            .expect("a link can be made");
    }

    /// Runs the script; its exit code, what it said, and what the programs were asked for since the last run.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the crate stands in a repo");
        let output = Command::new("sh")
            .arg(repo.join("scripts/bootstrap.sh"))
            .args(arguments)
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("home"))
            .output()
            .expect("sh is there");
        let asked = fs::read_to_string(self.path("log")).unwrap_or_default();
        let _ = fs::remove_file(self.path("log"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said, asked)
    }
}

fn program(path: &Path, text: &str) {
    fs::write(path, text).expect("a file can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

#[test]
fn each_tool_that_is_missing_is_named_and_brought_on_consent_only() {
    for tool in ["curl", "git", "node", "npm", "rustc"] {
        let machine = Machine::without(if tool == "rustc" {
            &["rustc", "cargo"]
        } else {
            std::slice::from_ref(&tool)
        });
        let shown = if tool == "rustc" { "rust" } else { tool };
        // Nobody sits there: what would help is said, and nothing is done.
        for arguments in [&["--check"][..], &[]] {
            let (code, said, asked) = machine.run(arguments);
            assert_eq!((code, asked.as_str()), (Some(2), ""), "{tool}: {said}");
            assert!(
                said.contains(&format!("still missing: {shown}\n")),
                "{tool}: {said}"
            );
        }
        let (code, said, asked) = machine.run(&["--yes"]);
        assert_eq!(code, Some(0), "{tool}: {said}");
        assert!(
            said.contains(&format!("ok       {shown}")) && said.contains("(installed now)"),
            "{tool}: {said}"
        );
        assert!(asked.ends_with("cargo xtask doctor\n"), "{tool}: {asked}");
        // Again: nothing is left to do.
        let (code, said, asked) = machine.run(&["--yes"]);
        assert_eq!(
            (code, asked.as_str()),
            (Some(0), "cargo xtask doctor\n"),
            "{tool}: {said}"
        );
    }
}

#[track_caller]
fn check(machine: &Machine, arguments: &[&str], expect: Expect) {
    let (code, said, asked) = machine.run(arguments);
    let version = said.replace(env!("CARGO_PKG_RUST_VERSION"), "[msrv]");
    expect.assert_eq(&format!("exit {code:?}\n{version}--\n{asked}"));
}

#[test]
fn what_it_says_is_as_recorded() {
    check(
        &Machine::without(&TOOLS),
        &[],
        expect![[r#"
        exit Some(2)
        curl is missing. This brings it:
          apt-get update && apt-get install --yes curl
          (nobody is here to say yes: run it yourself, or add --yes)
        missing  curl
        git is missing. This brings it:
          apt-get update && apt-get install --yes git
          (nobody is here to say yes: run it yourself, or add --yes)
        missing  git
        node is missing. This brings it:
          apt-get update && apt-get install --yes nodejs npm
          (nobody is here to say yes: run it yourself, or add --yes)
        missing  node
        npm is missing. This brings it:
          apt-get update && apt-get install --yes npm
          (nobody is here to say yes: run it yourself, or add --yes)
        missing  npm
        Rust [msrv] or newer (rustup's official installer) is missing. This brings it:
          curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
          (nobody is here to say yes: run it yourself, or add --yes)
        missing  rust

        still missing: curl git node npm rust
        install what is named above, then run scripts/bootstrap.sh again
        --
    "#]],
    );
    check(
        &Machine::without(&TOOLS),
        &["--yes"],
        expect![[r#"
        exit Some(0)
        curl is missing. This brings it:
          apt-get update && apt-get install --yes curl
        ok       curl (installed now)
        git is missing. This brings it:
          apt-get update && apt-get install --yes git
        ok       git (installed now)
        node is missing. This brings it:
          apt-get update && apt-get install --yes nodejs npm
        ok       node (installed now)
        ok       npm
        Rust [msrv] or newer (rustup's official installer) is missing. This brings it:
          curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
        ok       rust 1.95 (installed now)

        $ cargo xtask doctor
        --
        apt-get update
        apt-get install --yes curl
        apt-get update
        apt-get install --yes git
        apt-get update
        apt-get install --yes nodejs npm
        curl --proto =https --tlsv1.2 -sSf https://sh.rustup.rs
        cargo xtask doctor
    "#]],
    );
}

#[test]
fn what_it_says_of_what_it_cannot_bring_is_as_recorded() {
    let old = Machine::without(&[]);
    old.store(
        "rustc",
        "#!/bin/sh\necho 'rustc 1.60.0 (7737e0b5c 2022-04-04)'\n",
    );
    check(
        &old,
        &["--check"],
        expect![[r#"
        exit Some(2)
        ok       curl
        ok       git
        ok       node
        ok       npm
        Rust [msrv] or newer (this one is 1.60; rustup's official installer brings another beside it) is missing. This brings it:
          curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
        missing  rust

        still missing: rust
        install what is named above, then run scripts/bootstrap.sh again
        --
    "#]],
    );
    let strange = Machine::without(&["git"]);
    fs::remove_file(strange.path("bin").join("apt-get")).expect("it is there");
    check(
        &strange,
        &["--yes"],
        expect![[r#"
        exit Some(2)
        ok       curl
        missing  git: no package manager is known here; get it from https://git-scm.com/downloads
        ok       node
        ok       npm
        ok       rust 1.95

        still missing: git
        install what is named above, then run scripts/bootstrap.sh again
        --
    "#]],
    );
    check(
        &strange,
        &["--force"],
        expect![[r#"
        exit Some(2)
        usage: scripts/bootstrap.sh [--yes | --check]
        --
    "#]],
    );
}

/// Where shellcheck is (GitHub's runners have it), it has nothing to say about any script.
#[test]
fn the_scripts_are_clean() {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate stands in a repo");
    let Ok(output) = Command::new("shellcheck")
        .arg(repo.join("scripts/bootstrap.sh"))
        .output()
    else {
        // sh itself at least can read it.
        let read = Command::new("sh")
            .arg("-n")
            .arg(repo.join("scripts/bootstrap.sh"))
            .status();
        assert!(read.expect("sh is there").success());
        return;
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
