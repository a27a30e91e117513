//! The repo's history: commits a test makes, and what git answers.

#![expect(clippy::disallowed_methods, reason = "this is the boundary to git")]

use std::process::Command;

use super::World;

impl World {
    /// Commits everything; gives the full commit id.
    #[track_caller]
    pub fn commit(&self, message: &str) -> String {
        if !self.root().join(".git").exists() {
            self.git(&["init", "--quiet", "--initial-branch", "main"]);
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Changes the code of a worker and commits it.
    #[track_caller]
    pub fn change(&self, path: &str) -> String {
        let mut text = self.read(path);
        let mark = text.len();
        text.push_str(&format!(
            "\nReflect.set(globalThis, \"changed{mark}\", {mark});\n"
        ));
        self.edit(path, &text);
        self.commit(&format!("change {path}"))
    }

    /// Runs git in the repo; its trimmed output.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=Tester",
                "-c",
                "user.email=tester@localhost",
            ])
            .args(["-c", "commit.gpgsign=false"])
            .args(arguments)
            .current_dir(self.root())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
