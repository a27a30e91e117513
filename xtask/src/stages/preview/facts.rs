//! What a preview is of: which pull request, commit and branch. From flags, else from GitHub's event, else from git.

use crate::config::Preview;
use crate::context::Ctx;
use crate::error::Fail;
use crate::github::{PullRequest, State, event};
use crate::preview::Key;
use crate::stages::preview::Options;
use crate::tools::git::Git;

/// What is previewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Which preview.
    pub key: Key,
    /// The full commit id.
    pub sha: String,
    /// The commit as names and tags carry it: shortened, with an `x` for uncommitted changes.
    pub commit: String,
    /// The branch, when it is known.
    pub branch: Option<String>,
    /// What git says the commit is about.
    pub subject: String,
    /// The pull request, when GitHub told of one.
    pub pull: Option<PullRequest>,
    /// True in a merge queue, which tests several pull requests together.
    pub merge_queue: bool,
    /// True when files were changed since the commit.
    pub dirty: bool,
    /// True when GitHub's event told the commit: it is one that was pushed.
    pub pushed: bool,
}

impl Subject {
    /// Finds out. Flags win over the event, the event over git.
    pub fn find(ctx: &Ctx, options: &Options) -> anyhow::Result<Subject> {
        let told = event::pull_request(&ctx.env)?;
        let pull = told.filter(|pull| options.pr.is_none_or(|number| number == pull.number));
        let git = Git::open(&ctx.root)?;
        let head = git.head()?;
        let dirty = !git.dirty_files()?.is_empty();
        let from_pull = pull.as_ref();
        let sha = options
            .sha
            .clone()
            .or(from_pull.map(|pull| pull.sha.clone()));
        let sha = sha.unwrap_or(head.sha);
        check_sha(&sha)?;
        let number = options.pr.or(from_pull.map(|pull| pull.number));
        let merge_queue =
            number.is_none() && event::without_pull(&ctx.env) == event::WithoutPull::MergeQueue;
        if number.is_none() && !merge_queue {
            event::refuse_without_pull(&ctx.env, "preview")?;
        }
        let branch = options.branch.clone();
        let branch = branch.or(from_pull.map(|pull| pull.branch.clone()));
        Ok(Subject {
            key: number.map_or(Key::None, Key::Pr),
            commit: label(&sha, dirty),
            sha,
            branch: branch.or(head.branch),
            subject: head.subject,
            merge_queue,
            dirty,
            pushed: options.sha.is_none() && from_pull.is_some(),
            pull,
        })
    }

    /// The release id of the preview: its Workers answer it when asked for their health.
    pub fn release(&self) -> String {
        match self.key {
            Key::Pr(number) => format!("pr{number}-{}", self.commit),
            Key::None => format!("preview-{}", self.commit),
        }
    }

    /// Takes in how the pull request is now; says why this commit need not be previewed any more.
    pub fn take(&mut self, now: PullRequest) -> Option<String> {
        let newer = self.newer(&now);
        self.pull = Some(now);
        newer
    }

    /// That a newer commit was pushed, when one was.
    pub fn newer(&self, now: &PullRequest) -> Option<String> {
        (self.pushed && now.sha != self.sha).then(|| {
            let newer = now.sha.get(..7).unwrap_or(&now.sha);
            format!(
                "the commit {newer} was pushed since: it is previewed instead of {}",
                self.commit
            )
        })
    }

    /// Why there is rightly no preview.
    pub fn not_previewed(&self, policy: &Preview) -> Option<String> {
        if self.merge_queue {
            return Some(
                "a merge queue tests several pull requests together: each has a preview of its own"
                    .to_owned(),
            );
        }
        let pull = self.pull.as_ref()?;
        if pull.state == State::Closed {
            return Some(format!("pull request {} is closed", pull.number));
        }
        if pull.fork {
            return Some(format!(
                "pull request {} comes from a fork: its runs get no secrets, and its code must not run with them; \
                 push the branch to this repository to get a preview",
                pull.number
            ));
        }
        (pull.draft && !policy.drafts).then(|| {
            format!(
                "pull request {} is a draft, and `preview.drafts` is false",
                pull.number
            )
        })
    }
}

fn check_sha(sha: &str) -> Result<(), Fail> {
    let fits = (7..=64).contains(&sha.len()) && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits {
        return Ok(());
    }
    Err(Fail::setup("the commit to preview is no commit id")
        .why("`--sha` takes 7 to 64 hexadecimal digits")
        .fix("git rev-parse HEAD"))
}

/// `x` is no hex digit: a preview of uncommitted changes never looks like its commit.
fn label(sha: &str, dirty: bool) -> String {
    let short = sha.get(..7).unwrap_or(sha).to_lowercase();
    if dirty { format!("{short}x") } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(change: impl Fn(&mut PullRequest)) -> Subject {
        let mut pull = PullRequest {
            number: 7,
            sha: "a".repeat(40),
            branch: "b".into(),
            title: "t".into(),
            author: "ann".into(),
            draft: false,
            fork: false,
            state: State::Open,
        };
        change(&mut pull);
        Subject {
            key: Key::Pr(7),
            sha: "a".repeat(40),
            commit: label(&"A".repeat(40), true),
            branch: None,
            subject: String::new(),
            pull: Some(pull),
            merge_queue: false,
            dirty: true,
            pushed: true,
        }
    }

    #[test]
    fn forks_closed_and_unwanted_drafts_get_none() {
        let policy = Preview {
            drafts: false,
            ..Preview::default()
        };
        let said = |change: &dyn Fn(&mut PullRequest)| subject(change).not_previewed(&policy);
        assert_eq!(said(&|_| {}), None);
        assert!(
            said(&|pull| pull.fork = true)
                .unwrap()
                .contains("from a fork")
        );
        assert!(
            said(&|pull| pull.draft = true)
                .unwrap()
                .contains("is a draft")
        );
        assert!(
            said(&|pull| pull.state = State::Closed)
                .unwrap()
                .contains("is closed")
        );
        let drafts = Preview::default();
        assert_eq!(
            subject(|pull| pull.draft = true).not_previewed(&drafts),
            None
        );
    }

    #[test]
    fn the_release_tells_the_pull_request_and_the_commit() {
        assert_eq!(subject(|_| {}).release(), "pr7-aaaaaaax");
        assert!(check_sha("$(reboot)").is_err() && check_sha("abc").is_err());
        assert!(check_sha("abcdef0").is_ok());
    }
}
