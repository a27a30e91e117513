//! A disk that is too small.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file system of its own, as small as asked; none where mounting is not allowed.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn mount(at: &Path, size: &str) -> Option<SmallDisk> {
        let path = at.display().to_string();
        let option = format!("size={size}");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &option, "tmpfs", &path]);
        mounted.then(|| SmallDisk(at.to_owned()))
    }

    /// Leaves no more than so many bytes free, roughly.
    pub fn fill(&self, left: usize) {
        let file = self.0.join("ballast");
        let mut size = 0;
        let chunk = vec![0; 4096];
        let mut bytes = Vec::new();
        while fs::write(&file, &bytes).is_ok() {
            size = bytes.len();
            bytes.extend_from_slice(&chunk);
        }
        fs::write(&file, vec![0; size.saturating_sub(left)]).expect("less fits");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A program of the last run may still be on its way out.
        run("umount", &["--lazy", &self.0.display().to_string()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
