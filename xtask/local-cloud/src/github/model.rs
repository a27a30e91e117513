//! What the local GitHub remembers, as plain data, and how it is found. No I/O, no HTTP, no clock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::github::answer::GithubError;
use crate::github::secrets::Secrets;

/// Ids start above 32 bits, as the real ones are today: a client that keeps them in 32 bits must be seen to fail.
const FIRST_ID: u64 = 5_000_000_001;

/// All repositories.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Github {
    /// By `owner/name`, as written when made; looked up without regard to case, as GitHub does.
    pub repos: BTreeMap<String, Repo>,
    /// Where ids come from.
    pub ids: Ids,
}

/// Gives out ids: those of comments, pull requests and deployments never meet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    used: u64,
}

impl Ids {
    /// One that nothing has.
    pub fn fresh(&mut self) -> u64 {
        self.used += 1;
        FIRST_ID + self.used - 1
    }
}

impl Github {
    /// A repository with its full name, or GitHub's 404.
    pub fn repo(&self, owner: &str, name: &str) -> Result<(&str, &Repo), GithubError> {
        let wanted = format!("{owner}/{name}");
        self.repos
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&wanted))
            .map(|(known, repo)| (known.as_str(), repo))
            .ok_or_else(GithubError::not_found)
    }

    /// A repository to change, with the ids for what is made in it, or GitHub's 404.
    pub fn repo_mut(
        &mut self,
        owner: &str,
        name: &str,
    ) -> Result<(&mut Repo, &mut Ids), GithubError> {
        let wanted = format!("{owner}/{name}");
        let found = self
            .repos
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(&wanted));
        let (_, repo) = found.ok_or_else(GithubError::not_found)?;
        Ok((repo, &mut self.ids))
    }
}

/// One repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Repo {
    /// Id.
    pub id: u64,
    /// `main` unless said otherwise.
    pub default_branch: String,
    /// RFC 3339, whole seconds; so are all times here.
    pub created_at: String,
    /// Pull requests by number.
    pub pulls: BTreeMap<u64, Pull>,
    /// Deployments by id: ascending in time.
    pub deployments: BTreeMap<u64, Deployment>,
    /// Runs of workflows by id.
    pub runs: BTreeMap<u64, Run>,
    /// What its workflows may be handed.
    pub secrets: Secrets,
}

impl Repo {
    /// An empty repository.
    pub fn new(id: u64, now: String) -> Self {
        Self {
            id,
            default_branch: "main".to_owned(),
            created_at: now,
            ..Self::default()
        }
    }

    /// A pull request, or GitHub's 404.
    pub fn pull(&self, number: u64) -> Result<&Pull, GithubError> {
        self.pulls.get(&number).ok_or_else(GithubError::not_found)
    }

    /// A comment with its pull request, or GitHub's 404.
    pub fn comment(&self, id: u64) -> Result<(&Pull, &Comment), GithubError> {
        let of = |pull: &Pull| pull.comments.iter().position(|comment| comment.id == id);
        self.pulls
            .values()
            .find_map(|pull| of(pull).map(|at| (pull, &pull.comments[at])))
            .ok_or_else(GithubError::not_found)
    }

    /// A deployment, or GitHub's 404.
    pub fn deployment(&self, id: u64) -> Result<&Deployment, GithubError> {
        self.deployments.get(&id).ok_or_else(GithubError::not_found)
    }
}

/// One pull request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pull {
    /// Id; not the number.
    pub id: u64,
    /// Number.
    pub number: u64,
    /// Title.
    pub title: String,
    /// Description.
    pub body: String,
    /// Who opened it.
    pub author: User,
    /// `open` or `closed`.
    pub state: String,
    /// Not ready for review.
    pub draft: bool,
    /// Set when it was merged; then it is closed, too.
    pub merged_at: Option<String>,
    /// Set when it is closed.
    pub closed_at: Option<String>,
    /// Head branch.
    pub branch: String,
    /// Head commit.
    pub sha: String,
    /// Base branch.
    pub base: String,
    /// `owner/name` of the repository the head lies in, when that is a fork.
    pub fork: Option<String>,
    /// Made.
    pub created_at: String,
    /// Changed.
    pub updated_at: String,
    /// Oldest first.
    pub comments: Vec<Comment>,
}

/// One comment on a pull request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Comment {
    /// Id.
    pub id: u64,
    /// Who wrote it.
    pub author: User,
    /// Markdown.
    pub body: String,
    /// Made.
    pub created_at: String,
    /// Edited last.
    pub updated_at: String,
}

/// Who did something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// Login; a bot's ends in `[bot]`.
    pub login: String,
    /// `User` or `Bot`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl User {
    /// The author of everything a workflow does with its `GITHUB_TOKEN`.
    pub fn actions() -> Self {
        Self::named("github-actions[bot]")
    }

    /// A user; the login tells whether it is a bot.
    pub fn named(login: &str) -> Self {
        let bot = login.ends_with("[bot]");
        Self {
            login: login.to_owned(),
            kind: if bot { "Bot" } else { "User" }.to_owned(),
        }
    }

    /// Whether this is an app rather than a person.
    pub fn is_bot(&self) -> bool {
        self.kind == "Bot"
    }
}

/// One deployment of a commit to an environment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// Id.
    pub id: u64,
    /// Branch or commit, as asked for.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Commit.
    pub sha: String,
    /// `deploy` unless said otherwise.
    pub task: String,
    /// `production` unless said otherwise.
    pub environment: String,
    /// Text for people.
    pub description: Option<String>,
    /// As sent.
    pub payload: Value,
    /// An environment that will go away: never set inactive automatically.
    pub transient: bool,
    /// An environment that users see: never set inactive automatically.
    pub production: bool,
    /// Who made it.
    pub creator: User,
    /// Made.
    pub created_at: String,
    /// Changed.
    pub updated_at: String,
    /// Oldest first.
    pub statuses: Vec<Status>,
}

impl Deployment {
    /// The state it is in; `None` before its first status.
    pub fn state(&self) -> Option<&str> {
        self.statuses.last().map(|status| status.state.as_str())
    }
}

/// What was said about a deployment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Id.
    pub id: u64,
    /// `success`, `inactive` …
    pub state: String,
    /// Text for people.
    pub description: String,
    /// Where the log is.
    pub log_url: String,
    /// Where the environment is.
    pub environment_url: String,
    /// Environment.
    pub environment: String,
    /// Who said it.
    pub creator: User,
    /// When.
    pub created_at: String,
}

/// One run of a workflow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// Id.
    pub id: u64,
    /// Workflow.
    pub name: String,
    /// `push`, `pull_request` …
    pub event: String,
    /// `queued`, `in_progress`, `completed` …
    pub status: String,
    /// `success`, `failure`, `cancelled` …; only when completed.
    pub conclusion: Option<String>,
    /// Branch.
    pub branch: String,
    /// Commit.
    pub sha: String,
    /// From 1.
    pub attempt: u64,
    /// Made.
    pub created_at: String,
    /// Changed.
    pub updated_at: String,
}
