//! Pull requests.

use std::collections::BTreeSet;

use super::{Call, Github, GithubError};
use crate::github::PullRequest;

/// A workflow has to grant this.
const NEEDS: &str = "pull-requests: read";

impl Github {
    /// One pull request; `None` when there is none of that number.
    pub fn pull(&self, number: u64) -> anyhow::Result<Option<PullRequest>> {
        let call = Call::get(self.path(&format!("/pulls/{number}")), NEEDS);
        let value = match self.call(&call)? {
            Ok(answer) => answer.value,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.fail().into()),
        };
        let pull = PullRequest::parse(&value)
            .ok()
            .filter(|pull| pull.number == number);
        let odd =
            || GithubError::odd(&call.path, "the answer is not that pull request", NEEDS).fail();
        Ok(Some(pull.ok_or_else(odd)?))
    }

    /// The numbers of all open pull requests, drafts included.
    pub fn open_pulls(&self) -> anyhow::Result<BTreeSet<u64>> {
        let path = self.path("/pulls?state=open&sort=created&direction=asc");
        let rows = self.list(&path, NEEDS)?.map_err(|error| error.fail())?;
        rows.iter()
            .map(|row| {
                let odd = || GithubError::odd(&path, "a row is no open pull request", NEEDS).fail();
                let open = row["state"].as_str() == Some("open");
                let number = row["number"].as_u64().filter(|_| open);
                number.ok_or_else(|| odd().into())
            })
            .collect()
    }
}
