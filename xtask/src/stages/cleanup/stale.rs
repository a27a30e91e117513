//! Which previews are left over: those of pull requests that GitHub itself says are closed. Any doubt ends the run before
//! anything is deleted.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Fail;
use crate::github::{Access, PullRequest, State};
use crate::preview::Key;

/// What became of the pull requests that have a preview.
#[derive(Debug, Default)]
pub struct Stale {
    /// Previews of closed ones.
    pub doomed: BTreeSet<Key>,
    /// The closed ones.
    pub pulls: BTreeMap<u64, PullRequest>,
    /// Numbers of the open ones.
    pub open: Vec<u64>,
}

/// Asks GitHub. The list of open pull requests alone is not believed: an empty answer for a wrong reason would doom every
/// preview. So each pull request that is not in it is asked for, and has to be closed.
pub fn ask(keys: &BTreeSet<Key>, access: &Access) -> anyhow::Result<Stale> {
    let github = match access {
        Access::Open(github) => github,
        Access::None(why) => {
            return Err(Fail::setup("it is not known which pull requests are open")
                .why(why.clone())
                .fix("set GITHUB_TOKEN and GITHUB_REPOSITORY (`owner/name`), or name the preview: cargo xtask cleanup --pr N")
                .into());
        }
    };
    let open = github.open_pulls()?;
    let mut stale = Stale::default();
    for key in keys {
        let Key::Pr(number) = *key else {
            continue;
        };
        if open.contains(&number) {
            stale.open.push(number);
            continue;
        }
        match github.pull(number)? {
            Some(pull) if pull.state == State::Closed => {
                stale.doomed.insert(*key);
                stale.pulls.insert(number, pull);
            }
            Some(_) => stale.open.push(number),
            None => return Err(unknown(number, &github.repository().full_name()).into()),
        }
    }
    Ok(stale)
}

fn unknown(number: u64, repository: &str) -> Fail {
    Fail::setup(format!("{repository} has no pull request {number}, but it has a preview"))
        .why("so this is not the repository the previews belong to, or the token cannot see it; nothing was deleted")
        .fix("check GITHUB_REPOSITORY, and that the token may read pull requests (`permissions: pull-requests: read`)")
        .fix(format!("if it really is of this repo: cargo xtask cleanup --pr {number}"))
}
