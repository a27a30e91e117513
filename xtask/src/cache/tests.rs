//! The cache against real repositories, damaged files, a full disk and other processes.

mod key;
mod store;
mod touched;
mod tree;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::tools::git::Git;

/// A repository in a temporary folder.
pub(crate) struct Repo {
    pub(crate) dir: TempDir,
}

impl Repo {
    /// A repository with these files in its first commit.
    pub(crate) fn new(files: &[(&str, &str)]) -> Repo {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repo { dir };
        repo.git(&["init", "--quiet", "--initial-branch", "main"]);
        for (path, text) in files {
            repo.write(path, text);
        }
        repo.commit();
        repo
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, path: impl AsRef<Path>, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "x"]);
    }

    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(self.root(), arguments)
    }

    fn tree(&self) -> Tree {
        Tree::read(&Git::open(self.root()).unwrap()).unwrap()
    }

    fn digest(&self) -> String {
        self.digest_of("")
    }

    fn digest_of(&self, path: &str) -> String {
        self.tree().digest(&[PathBuf::from(path)])
    }
}

#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "tests set up repositories that the product never makes"
)]
pub(crate) fn git(root: &Path, arguments: &[&str]) -> String {
    let output = std::process::Command::new("git")
        .current_dir(root)
        .args(["-c", "user.name=t", "-c", "user.email=t@localhost"])
        .args([
            "-c",
            "protocol.file.allow=always",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

fn inputs(paths: &[&str]) -> Inputs {
    Inputs {
        paths: paths.iter().map(PathBuf::from).collect(),
        ..Inputs::default()
    }
}
