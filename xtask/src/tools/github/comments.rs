//! The one comment of the pipeline on a pull request.

use serde_json::{Value, json};

use super::{Call, Github, GithubError};
use crate::error::Fail;

/// A workflow has to grant this.
const NEEDS: &str = "pull-requests: write";

/// How often the comment is looked for again when others write and delete at the same time.
const ROUNDS_MAX: u32 = 5;

/// A comment that is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Own {
    id: u64,
    body: String,
}

impl Github {
    /// Writes the one comment: changes it when it is there, makes it when it is not. Whatever runs at the same time, one is
    /// left: the oldest. `is_marked` tells a text of ours; its author must be this token's, too.
    pub fn upsert_comment(
        &self,
        pr: u64,
        body: &str,
        is_marked: impl Fn(&str) -> bool,
    ) -> anyhow::Result<()> {
        let mut made: Option<Own> = None;
        for _ in 0..ROUNDS_MAX {
            let mut own = self.own_comments(pr, &is_marked)?;
            // A list may lag behind: what was made a moment ago is there, listed or not.
            if let Some(made) = made
                .take()
                .filter(|made| own.iter().all(|own| own.id != made.id))
            {
                own.push(made);
            }
            own.sort_by_key(|comment| comment.id);
            let Some((first, others)) = own.split_first() else {
                made = self.create_comment(pr, body)?;
                continue;
            };
            if first.body != body && !self.change_comment(first.id, body)? {
                continue;
            }
            for other in others {
                self.delete_comment(other.id)?;
            }
            return Ok(());
        }
        Err(
            Fail::remote(format!("the comment on pull request {pr} does not stay"))
                .why(format!(
                    "it was deleted {ROUNDS_MAX} times while it was being written"
                ))
                .fix("look who else writes there, then run the command again")
                .into(),
        )
    }

    /// Changes the comment when there is one; says whether there was.
    pub fn change_comment_of(
        &self,
        pr: u64,
        body: &str,
        is_marked: impl Fn(&str) -> bool,
    ) -> anyhow::Result<bool> {
        if self.own_comments(pr, &is_marked)?.is_empty() {
            return Ok(false);
        }
        self.upsert_comment(pr, body, is_marked)?;
        Ok(true)
    }

    fn own_comments(&self, pr: u64, is_marked: impl Fn(&str) -> bool) -> anyhow::Result<Vec<Own>> {
        let login = self.login()?;
        let path = self.path(&format!("/issues/{pr}/comments"));
        let rows = self.list(&path, NEEDS)?.map_err(|error| error.fail())?;
        let own = rows.iter().filter_map(|row| {
            let author = row["user"]["login"].as_str()?;
            let comment = Own {
                id: row["id"].as_u64()?,
                body: row["body"].as_str()?.to_owned(),
            };
            (author.eq_ignore_ascii_case(login) && is_marked(&comment.body)).then_some(comment)
        });
        Ok(own.collect())
    }

    /// `None` when the answer was lost: the list tells whether it was made.
    fn create_comment(&self, pr: u64, body: &str) -> anyhow::Result<Option<Own>> {
        let call = Call {
            method: "POST",
            path: self.path(&format!("/issues/{pr}/comments")),
            body: Some(json!({ "body": body })),
            repeatable: false,
            needs: NEEDS,
        };
        match self.call(&call)? {
            Ok(answer) => Ok(answer.value["id"].as_u64().map(|id| Own {
                id,
                body: body.to_owned(),
            })),
            Err(error) if error.maybe_done => Ok(None),
            Err(error) => Err(error.fail().into()),
        }
    }

    /// False when it was deleted meanwhile.
    fn change_comment(&self, id: u64, body: &str) -> anyhow::Result<bool> {
        self.at_comment("PATCH", id, Some(json!({ "body": body })))
    }

    fn delete_comment(&self, id: u64) -> anyhow::Result<bool> {
        self.at_comment("DELETE", id, None)
    }

    fn at_comment(
        &self,
        method: &'static str,
        id: u64,
        body: Option<Value>,
    ) -> anyhow::Result<bool> {
        let call = Call {
            method,
            path: self.path(&format!("/issues/comments/{id}")),
            body,
            repeatable: true,
            needs: NEEDS,
        };
        match self.call(&call)? {
            Ok(_) => Ok(true),
            Err(GithubError {
                status: 404 | 410, ..
            }) => Ok(false),
            Err(error) => Err(error.fail().into()),
        }
    }
}
