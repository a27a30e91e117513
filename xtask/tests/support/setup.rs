//! What has to be there before the first test runs: installed packages and the local cloud's binary. Made once, however
//! many test programs start at the same time.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long another test program may take to set up: a slow line and a cold compiler.
const SETUP_MAX: Duration = Duration::from_secs(900);

/// The repo this crate stands in.
pub fn own_repo() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate stands in a repo")
}

/// The installed packages of this repo: installed now if they are not.
pub fn node_modules() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let modules = own_repo().join("node_modules");
        let installed = || modules.join("wrangler/wrangler-dist/cli.js").is_file();
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
        assert!(installed(), "`npm ci --ignore-scripts` brought no wrangler");
        modules
    })
}

/// The local cloud's binary beside the binary under test; cargo builds it if it is missing or out of date.
pub fn local_cloud() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let path = BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_xtask"))
            .parent()
            .expect("a program lies in a folder");
        let target = folder.parent().expect("a profile's folder lies in target");
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(name) => name,
        };
        let cargo = option_env!("CARGO").unwrap_or("cargo");
        let target = target.display().to_string();
        let arguments = [
            "build",
            "--quiet",
            "--package",
            "local-cloud",
            "--profile",
            profile,
            "--target-dir",
            &target,
        ];
        alone("local-cloud", || run(cargo, &arguments));
        folder.join(format!("local-cloud{}", std::env::consts::EXE_SUFFIX))
    });
    assert!(path.is_file(), "cargo built no {}", path.display());
    path.clone()
}

/// Where node keeps compiled code, for all tests of all runs.
pub fn compile_cache() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node-compile-cache");
    fs::create_dir_all(&path).expect("a folder can be made");
    path
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(own_repo())
        .status()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        status.success(),
        "{program} {arguments:?} ended with {status}"
    );
}

/// Runs `work` while no other test program runs the same. A lock whose process is gone is taken over.
fn alone(name: &str, work: impl FnOnce()) {
    let lock = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.lock"));
    let until = Instant::now() + SETUP_MAX;
    loop {
        match fs::File::create_new(&lock) {
            Ok(mut file) => {
                let _ = write!(file, "{}", std::process::id());
                break;
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{}: {error}", lock.display()),
        }
        let holder = fs::read_to_string(&lock).unwrap_or_default();
        if !holder.is_empty() && !Path::new("/proc").join(&holder).exists() {
            let _ = fs::remove_file(&lock);
            continue;
        }
        assert!(
            Instant::now() < until,
            "{} is never released",
            lock.display()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let released = Released(lock);
    work();
    drop(released);
}

struct Released(PathBuf);

impl Drop for Released {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
