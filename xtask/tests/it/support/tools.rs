//! Programs that only tests need, pinned: installed from their registries once, and kept in the target folder.

#![expect(clippy::disallowed_methods, reason = "this is the boundary to npm")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::setup::alone;

/// The folder with an npm package's programs (`node_modules/.bin`), installed now if they are not; `package` is `name@version`.
pub fn npm(package: &str) -> PathBuf {
    let name = package.replace(['@', '/'], "-");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("npm{name}"));
    let done = folder.join("installed");
    alone(&format!("npm{name}"), || {
        if done.exists() {
            return;
        }
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder can be made");
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund"]);
        npm.arg("--prefix").arg(&folder).arg(package);
        install(&mut npm, &format!("the npm registry ({package})"));
        fs::write(&done, "").expect("a file can be written");
    });
    folder.join("node_modules/.bin")
}

/// Runs one installation; a failure names what is missing rather than letting the tests pass unseen.
#[track_caller]
pub fn install(command: &mut Command, what: &str) {
    let output = command.output();
    let said = match &output {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    panic!(
        "what a test needs is not there\n  why: {what} did not deliver: {}\n  fix: connect to the network (or set up a \
         mirror) and run the tests again; the tools are kept in target/",
        said.trim()
    );
}
