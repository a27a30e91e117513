//! What has to be there before the first test runs: installed packages and the local cloud's binary. Made once, however
//! many test programs start at the same time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub(super) use super::packages::alone;
use super::packages::run;
pub use super::packages::{node_modules, own_repo};

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
