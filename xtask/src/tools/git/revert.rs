//! Takes a commit back on top of a branch, in a work tree of its own: the person's checkout, index and branches are not
//! touched, so nothing can be lost.

use std::path::Path;

use anyhow::Context as _;
use xshell::{Shell, cmd};

use super::Git;
use crate::error::Fail;

/// A hook is meant for a person's own work tree: it may install packages, or ask something.
const NO_HOOKS: [&str; 2] = ["-c", "core.hooksPath=/dev/null"];

/// A commit, as far as reverting it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The full id.
    pub sha: String,
    /// The first line of its message.
    pub subject: String,
    /// How many parents it has: 0 for the first one, 2 or more for a merge.
    pub parents: usize,
}

/// What became of a revert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reverted {
    /// The commit that takes it back.
    Commit(String),
    /// These files have been changed since, so it does not apply.
    Conflict(Vec<String>),
    /// All of it has been taken back already.
    Nothing,
}

impl Git {
    /// A commit by any name git knows; `None` when there is none.
    pub fn commit(&self, name: &str) -> anyhow::Result<Option<Commit>> {
        let name = format!("{name}^{{commit}}");
        let Ok(sha) = self.read(&["rev-parse", "--verify", "--quiet", &name]) else {
            return Ok(None);
        };
        let log = self.read(&["log", "-1", "--format=%P%n%s", &sha])?;
        let (parents, subject) = log.split_once('\n').unwrap_or((&log, ""));
        Ok(Some(Commit {
            parents: parents.split_whitespace().count(),
            subject: subject.to_owned(),
            sha,
        }))
    }

    /// True when git takes it for the name of a branch.
    pub fn is_branch_name(&self, name: &str) -> bool {
        !name.starts_with('-') && self.read(&["check-ref-format", "--branch", name]).is_ok()
    }

    /// True when `commit` is an ancestor of `of`, or the same.
    pub fn is_ancestor(&self, commit: &str, of: &str) -> bool {
        self.read(&["merge-base", "--is-ancestor", commit, of])
            .is_ok()
    }

    /// The tip of a branch at `origin`, asked there; `None` when it does not exist.
    pub fn remote_tip(&self, branch: &str) -> anyhow::Result<Option<String>> {
        let reference = format!("refs/heads/{branch}");
        let said = self.at_origin(&["ls-remote", "origin", &reference])?;
        Ok(said.split_whitespace().next().map(str::to_owned))
    }

    /// Brings a branch of `origin` here, into `refs/remotes/origin/…` only.
    pub fn fetch_branch(&self, branch: &str) -> anyhow::Result<()> {
        let refspec = format!("+refs/heads/{branch}:refs/remotes/origin/{branch}");
        self.at_origin(&["fetch", "--quiet", "--no-tags", "origin", &refspec])
            .map(drop)
    }

    /// Pushes a commit to a branch of `origin`; never by force.
    pub fn push(&self, commit: &str, branch: &str) -> anyhow::Result<()> {
        let refspec = format!("{commit}:refs/heads/{branch}");
        self.at_origin(&["push", "--quiet", "origin", &refspec])
            .map(drop)
    }

    /// The commit on `on` that says it reverts `commit`, when it is the tip itself.
    pub fn is_revert_of(&self, tip: &str, commit: &str) -> bool {
        self.read(&["log", "-1", "--format=%B", tip])
            .is_ok_and(|message| message.contains(&format!("This reverts commit {commit}")))
    }

    /// Makes the commit that takes `commit` back on top of `on`, in a work tree at `folder` that is removed afterwards. Of a
    /// merge, `parent` says which side stays.
    pub fn revert(
        &self,
        commit: &str,
        on: &str,
        parent: Option<u8>,
        folder: &Path,
    ) -> anyhow::Result<Reverted> {
        self.remove_worktree(folder);
        let place = folder.display().to_string();
        let add = ["worktree", "add", "--quiet", "--detach", &place, on];
        self.read(&[&NO_HOOKS[..], &add].concat())
            .context("failed to make a work tree for the revert")?;
        let result = Git::at(folder).revert_here(commit, parent);
        self.remove_worktree(folder);
        result
    }

    /// What a killed run may have left there goes with it.
    fn remove_worktree(&self, folder: &Path) {
        let place = folder.display().to_string();
        let _ = self.read(&["worktree", "remove", "--force", &place]);
        let _ = std::fs::remove_dir_all(folder);
        let _ = self.read(&["worktree", "prune"]);
    }

    fn revert_here(&self, commit: &str, parent: Option<u8>) -> anyhow::Result<Reverted> {
        let parent = parent.map(|parent| parent.to_string());
        let mut arguments = NO_HOOKS.map(str::to_owned).to_vec();
        // A CI machine has no name of its own.
        if self.read(&["config", "user.email"]).is_err() {
            for setting in ["user.name=xtask", "user.email=xtask@localhost"] {
                arguments.extend(["-c".to_owned(), setting.to_owned()]);
            }
        }
        arguments.extend(["revert".to_owned(), "--no-edit".to_owned()]);
        if let Some(parent) = parent {
            arguments.extend(["--mainline".to_owned(), parent]);
        }
        arguments.push(commit.to_owned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let before = self.read(&["rev-parse", "HEAD"])?;
        let failed = self.said(&arguments)?.err();
        let conflicts = self.read(&["diff", "--name-only", "--diff-filter=U"])?;
        if !conflicts.is_empty() {
            return Ok(Reverted::Conflict(
                conflicts.lines().map(str::to_owned).collect(),
            ));
        }
        let after = self.read(&["rev-parse", "HEAD"])?;
        match failed {
            None if after != before => Ok(Reverted::Commit(after)),
            _ if self.read(&["status", "--porcelain"])?.is_empty() => Ok(Reverted::Nothing),
            said => Err(Fail::check(format!("git could not revert {commit}"))
                .why(said.unwrap_or_default())
                .fix("see `git revert --help`; nothing was changed")
                .into()),
        }
    }

    /// A command that talks to `origin`. It asks for no password: nobody may be there to give one.
    fn at_origin(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.said(arguments)?.map_err(|said| {
            Fail::remote(format!("git {} failed", arguments[0]))
                .why(said)
                .fix("check that `git push` works from here, then run the command again: it is safe to repeat")
                .into()
        })
    }

    /// What git wrote to stdout, or, when it failed, to stderr.
    pub(super) fn said(&self, arguments: &[&str]) -> anyhow::Result<Result<String, String>> {
        let shell = Shell::new().context("failed to open the current folder")?;
        let root = self.root();
        let mut git = cmd!(shell, "git -C {root} {arguments...}")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_EDITOR", "true")
            .quiet()
            .ignore_status();
        for variable in super::REDIRECTIONS {
            git = git.env_remove(variable);
        }
        let output = git.output().context("failed to run git")?;
        let text = |bytes: &[u8]| without_credentials(String::from_utf8_lossy(bytes).trim());
        Ok(match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        })
    }
}

/// git quotes the address of a remote in its messages, and that may hold a token: `https://name:token@host/…`.
fn without_credentials(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after
            .find(|c: char| c == '/' || c.is_whitespace() || c == '\'')
            .unwrap_or(after.len());
        let host = after[..end].rfind('@').map_or(0, |at| at + 1);
        rest = &after[host..];
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_token() {
        let said = "fatal: unable to access 'https://me:s3cret@example.com/r.git/': denied https://a@b c@d";
        assert_eq!(
            without_credentials(said),
            "fatal: unable to access 'https://example.com/r.git/': denied https://b c@d"
        );
    }
}
