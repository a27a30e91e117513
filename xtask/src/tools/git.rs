//! The only module that runs git.
#![expect(clippy::disallowed_macros, reason = "this is the git boundary")]

mod listing;
mod log;
mod revert;
mod state;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use xshell::{Shell, cmd};

pub use self::listing::Indexed;
pub use self::log::Logged;
pub use self::revert::{Commit, Reverted};
pub use self::state::{Identity, NoRepository, State};
use crate::error::Fail;

/// A repository's work tree.
pub struct Git {
    root: PathBuf,
}

/// Where HEAD stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The full commit id.
    pub sha: String,
    /// The branch, unless HEAD is detached.
    pub branch: Option<String>,
    /// The commit's author: `Name <mail>`.
    pub author: String,
    /// The first line of the commit's message.
    pub subject: String,
}

/// The variables by which a hook points git at another repository or index than that of the folder.
const REDIRECTIONS: [&str; 6] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
];

impl Git {
    /// The repository of a folder that is known to hold one.
    pub(crate) fn at(root: &Path) -> Git {
        Git {
            root: root.to_owned(),
        }
    }

    /// The folder this was opened with.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The repository that holds `root`.
    pub fn open(root: &Path) -> anyhow::Result<Git> {
        let git = Git {
            root: root.to_owned(),
        };
        if which::which("git").is_err() {
            return Err(Fail::setup("`git` is not installed")
                .why("releases are named after commits")
                .fix("install git (apt-get install git, brew install git)")
                .into());
        }
        if git.read(&["rev-parse", "--show-toplevel"]).is_err() {
            return Err(
                Fail::setup(format!("{} is not a git repository", root.display()))
                    .why("a release records the commit it was made from")
                    .fix("git init && git add --all && git commit --message 'first commit'")
                    .into(),
            );
        }
        Ok(git)
    }

    /// Where HEAD stands; a repository without a commit is a set-up error.
    pub fn head(&self) -> anyhow::Result<Head> {
        let Ok(sha) = self.read(&["rev-parse", "--verify", "HEAD"]) else {
            return Err(Fail::setup("the repository has no commit yet")
                .why("a release records the commit it was made from")
                .fix("git add --all && git commit --message 'first commit'")
                .into());
        };
        let log = self.read(&["log", "-1", "--format=%an <%ae>%n%s"])?;
        let (author, subject) = log.split_once('\n').unwrap_or((&log, ""));
        Ok(Head {
            sha,
            branch: self
                .read(&["symbolic-ref", "--quiet", "--short", "HEAD"])
                .ok(),
            author: author.to_owned(),
            subject: subject.to_owned(),
        })
    }

    /// The address of a remote; it may hold a password, so it is never shown.
    pub fn remote(&self, name: &str) -> Option<String> {
        self.read(&["remote", "get-url", name]).ok()
    }

    /// Files that are changed or untracked, as `git status --porcelain` shows them; empty when the tree is clean.
    pub fn dirty_files(&self) -> anyhow::Result<Vec<String>> {
        let status = self.read_raw(&["status", "--porcelain", "--untracked-files=normal"])?;
        Ok(status.lines().map(str::to_owned).collect())
    }

    /// How many commits HEAD has that a commit has not, and the other way round; `None` when the commit is not known here.
    pub fn ahead_behind(&self, sha: &str) -> Option<(usize, usize)> {
        let range = format!("HEAD...{sha}");
        let counts = self
            .read(&["rev-list", "--left-right", "--count", &range])
            .ok()?;
        let (ahead, behind) = counts.split_once('\t')?;
        Some((ahead.parse().ok()?, behind.parse().ok()?))
    }

    /// True when HEAD is on `branch`, here or at `origin`. `None` when neither exists.
    pub fn head_is_on(&self, branch: &str) -> Option<bool> {
        let known: Vec<String> = [
            format!("refs/heads/{branch}"),
            format!("refs/remotes/origin/{branch}"),
        ]
        .into_iter()
        .filter(|name| {
            self.read(&["rev-parse", "--verify", "--quiet", name])
                .is_ok()
        })
        .collect();
        if known.is_empty() {
            return None;
        }
        Some(known.iter().any(|name| {
            self.read(&["merge-base", "--is-ancestor", "HEAD", name])
                .is_ok()
        }))
    }

    /// The command that brings what [`Git::head_is_on`] has to know: the whole history, and the branch under the name this
    /// looks for. A clone of one tag or branch fetches nothing else by itself.
    pub fn fetch_command(branch: &str, shallow: bool) -> String {
        let unshallow = if shallow { "--unshallow " } else { "" };
        format!("git fetch {unshallow}origin +refs/heads/{branch}:refs/remotes/origin/{branch}")
    }

    /// Tracked and untracked files, without ignored ones, relative to the root.
    pub fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let listed = self.read_raw(&[
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])?;
        Ok(listed
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .collect())
    }

    /// True when git leaves a path alone, whether it exists or not.
    pub fn ignores(&self, path: &str) -> bool {
        self.read(&["check-ignore", "--quiet", "--no-index", "--", path])
            .is_ok()
    }

    /// The branch releases most likely come from: what `origin` calls its own, else `main` or `master`, else this one.
    pub fn likely_main(&self) -> Option<String> {
        let short = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
        let head = self.read(&["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"]);
        let here = || {
            self.read(&["symbolic-ref", "--quiet", "--short", "HEAD"])
                .ok()
        };
        let known = ["main", "master"].into_iter().find(|branch| {
            let name = format!("refs/heads/{branch}");
            self.read(&["rev-parse", "--verify", "--quiet", &name])
                .is_ok()
        });
        head.ok()
            .map(|head| short(&head))
            .or_else(|| known.map(str::to_owned))
            .or_else(here)
            .filter(|branch| !branch.is_empty())
    }

    /// Makes the folder a repository of its own on `branch` and commits everything in it.
    pub fn commit_all(root: &Path, branch: &str, message: &str) -> anyhow::Result<()> {
        let git = Git {
            root: root.to_owned(),
        };
        if !root.join(".git").exists() {
            git.read(&["init", "--quiet", "--initial-branch", branch])?;
        }
        git.read(&["add", "--all"])?;
        git.read(&[
            "-c",
            "user.name=xtask",
            "-c",
            "user.email=xtask@localhost",
            "-c",
            "commit.gpgsign=false",
            "commit",
            "--quiet",
            "--no-verify",
            "--message",
            message,
        ])?;
        Ok(())
    }

    fn read(&self, arguments: &[&str]) -> anyhow::Result<String> {
        Ok(self.read_raw(arguments)?.trim().to_owned())
    }

    fn read_raw(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let shell = Shell::new().context("failed to open the current folder")?;
        shell.change_dir(&self.root);
        let root = &self.root;
        cmd!(shell, "git -C {root} {arguments...}")
            .quiet()
            .ignore_stderr()
            .read()
            .with_context(|| format!("failed to run git {}", arguments.join(" ")))
    }

    /// What git wrote, byte for byte: names may hold line ends and need not be UTF-8. Takes no lock on the index, which
    /// a killed run would leave behind, and obeys no variable that points at another repository.
    fn bytes(&self, arguments: &[&str], stdin: &[u8]) -> anyhow::Result<Vec<u8>> {
        let shell = Shell::new().context("failed to open the current folder")?;
        shell.change_dir(&self.root);
        let root = &self.root;
        let mut git = cmd!(shell, "git --no-optional-locks -C {root} {arguments...}")
            .quiet()
            .ignore_status()
            .stdin(stdin);
        for variable in REDIRECTIONS {
            git = git.env_remove(variable);
        }
        let shown = arguments.join(" ");
        let output = git
            .output()
            .with_context(|| format!("failed to run git {shown}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            anyhow::bail!("failed to run git {shown}: {}", said.trim());
        }
        Ok(output.stdout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_tells_its_head_dirt_and_branch() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Git::open(dir.path()).is_err());
        std::fs::write(dir.path().join("a file.txt"), "1").unwrap();
        Git::commit_all(dir.path(), "main", "first: a file").unwrap();
        let git = Git::open(dir.path()).unwrap();
        let head = git.head().unwrap();
        assert_eq!(
            (head.branch.as_deref(), head.subject.as_str()),
            (Some("main"), "first: a file")
        );
        assert_eq!(git.head_is_on("main"), Some(true));
        assert_eq!(git.head_is_on("trunk"), None);
        assert!(git.dirty_files().unwrap().is_empty());
        std::fs::write(dir.path().join("new"), "2").unwrap();
        assert_eq!(git.dirty_files().unwrap(), ["?? new"]);
        assert_eq!(git.files().unwrap().len(), 2);
    }
}
