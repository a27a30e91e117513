//! One short question to a program, such as its version: no step, no log, no process group.

use std::path::PathBuf;
use std::process::Stdio;

use crate::env::Env;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// No such program is on PATH.
    Missing,
    /// It is there, but ended badly: its last words.
    Broken(String),
    /// What it wrote to stdout, trimmed.
    Said(String),
}

/// Variables programs need to find their own files; nothing else of ours is theirs to see.
const PASSED_ON: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "TMPDIR",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "VOLTA_HOME",
    "NVM_DIR",
    "ASDF_DATA_DIR",
    "SystemRoot",
];

/// Where a program is on the PATH of this run.
pub fn find(env: &Env, program: &str) -> Option<PathBuf> {
    which::which_in(program, Some(env.var("PATH").unwrap_or_default()), &env.cwd).ok()
}

/// Asks a program, by name or path.
#[expect(
    clippy::disallowed_methods,
    reason = "one short question, answered before any step exists"
)]
pub fn ask(env: &Env, program: &str, arguments: &[&str]) -> Answer {
    let Some(path) = find(env, program) else {
        return Answer::Missing;
    };
    let output = std::process::Command::new(path)
        .args(arguments)
        .current_dir(&env.cwd)
        .env_clear()
        .envs(
            PASSED_ON
                .iter()
                .filter_map(|name| Some((name, env.var(name)?))),
        )
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            Answer::Said(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rev().find(|line| !line.trim().is_empty());
            Answer::Broken(
                last.map_or_else(|| output.status.to_string(), |line| line.trim().to_owned()),
            )
        }
        Err(error) => Answer::Broken(error.to_string()),
    }
}
