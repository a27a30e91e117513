//! The repo's npm packages, installed when they are not, once, however many test programs start at the same time. Both
//! crates' tests use it.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the boundary to npm and cargo"
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The repo this crate stands in.
pub fn own_repo() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|folder| folder.join("package-lock.json").is_file())
        .expect("the crate stands in a repo with packages")
}

/// The installed packages of this repo: installed now if they are not.
pub fn node_modules() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let modules = own_repo().join("node_modules");
        // One of the first packages a test needs, and the last that came: an installation older than it is made anew.
        let needed = [
            "wrangler/wrangler-dist/cli.js",
            "@cloudflare/vite-plugin/dist/index.mjs",
        ];
        let installed = || needed.iter().all(|file| modules.join(file).is_file());
        if !installed() {
            alone("npm", || {
                if !installed() {
                    run(
                        "npm",
                        &["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                    );
                }
            });
        }
        assert!(
            installed(),
            "`npm ci --ignore-scripts` did not bring {needed:?}"
        );
        modules
    })
}

/// Runs a program at the repo's root; it must succeed.
#[track_caller]
pub fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(own_repo())
        // With it `.ci/timed` asks a test program for times; to cargo it would be another toolchain.
        .env_remove("RUSTC_BOOTSTRAP")
        .status()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        status.success(),
        "{program} {arguments:?} ended with {status}"
    );
}

/// Runs `work` while no other test program runs the same. The system releases the lock of a process that is gone.
pub fn alone(name: &str, work: impl FnOnce()) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.lock"));
    let lock = File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    lock.lock().expect("a file can be locked");
    work();
}
