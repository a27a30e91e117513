//! The GitHub REST API: the only module that knows its paths, pages, errors and retry rules. The token travels in a header
//! curl reads from stdin; it stands in no argument and no message.

mod comments;
mod deployments;
mod error;
mod pulls;
mod runs;
mod secrets;

#[cfg(test)]
mod tests;

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

pub use self::deployments::DeploymentState;
pub use self::error::GithubError;
pub use self::runs::WorkflowRun;
pub use self::secrets::{Kept, SecretAge};
use crate::github::Repository;
use crate::pause;
use crate::tools::http::{self, NoAnswer, Request, Response};

/// GitHub itself.
pub const PRODUCTION_API: &str = "https://api.github.com";

const ATTEMPTS_MAX: u32 = 4;
/// A server that asks for more is not coming back within this run.
const RETRY_AFTER_SECS_MAX: u64 = 60;
const PER_PAGE: usize = 100;
/// No pull request has more comments, no repository more open pull requests: an answer that goes on is wrong.
const PAGES_MAX: usize = 300;

/// Access to one repository.
pub struct Github {
    base: String,
    token: String,
    repository: Repository,
    login: OnceLock<String>,
}

/// One call; paths start behind the API's address.
#[derive(Clone, Debug, PartialEq)]
struct Call {
    method: &'static str,
    path: String,
    body: Option<Value>,
    /// True when sending it twice does no harm.
    repeatable: bool,
    /// What a workflow has to grant for it, as it stands under `permissions:`.
    needs: &'static str,
}

/// A good answer.
#[derive(Debug)]
struct Answer {
    value: Value,
    /// True when there is a further page.
    more: bool,
}

impl Call {
    fn get(path: String, needs: &'static str) -> Call {
        Call {
            method: "GET",
            path,
            body: None,
            repeatable: true,
            needs,
        }
    }

    fn may_retry(&self, error: &GithubError) -> bool {
        error.is_passing() && (self.repeatable || !error.maybe_done)
    }
}

impl Github {
    /// Access to a repository through the API at `base`.
    pub fn new(base: &str, token: &str, repository: Repository) -> Github {
        Github {
            base: base.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
            repository,
            login: OnceLock::new(),
        }
    }

    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Who the token belongs to. A workflow's token may not ask that; then the GraphQL API tells it, or it is the bot of Actions.
    pub fn login(&self) -> anyhow::Result<&str> {
        if let Some(login) = self.login.get() {
            return Ok(login);
        }
        let found = match self.call(&Call::get("/user".to_owned(), "contents: read"))? {
            Ok(answer) => answer.value["login"].as_str().map(str::to_owned),
            Err(error) if error.is_refusal() => self.viewer()?,
            Err(error) => return Err(error.fail().into()),
        };
        let login = found.unwrap_or_else(|| "github-actions[bot]".to_owned());
        Ok(self.login.get_or_init(|| login))
    }

    fn viewer(&self) -> anyhow::Result<Option<String>> {
        // `https://host/api/v3` of an Enterprise server has its GraphQL at `/api/graphql`.
        let root = self.base.strip_suffix("/v3").unwrap_or(&self.base);
        let call = Call {
            method: "POST",
            path: "/graphql".to_owned(),
            body: Some(serde_json::json!({ "query": "query { viewer { login } }" })),
            repeatable: true,
            needs: "contents: read",
        };
        let answer = read(&call, http::send(&self.request(root, &call))?);
        let login = answer.ok().and_then(|answer| {
            let login = answer.value.pointer("/data/viewer/login")?.as_str()?;
            Some(login.to_owned())
        });
        Ok(login)
    }

    /// `/repos/{owner}/{name}{rest}`.
    fn path(&self, rest: &str) -> String {
        let Repository { owner, name } = &self.repository;
        format!("/repos/{owner}/{name}{rest}")
    }

    /// Makes one call; what may be sent twice is retried on 5xx, 429, a rate limit that ends soon and a lost answer.
    fn call(&self, call: &Call) -> anyhow::Result<Result<Answer, GithubError>> {
        let mut wait = Duration::from_millis(200);
        let mut attempt = 1;
        loop {
            let outcome = read(call, http::send(&self.request(&self.base, call))?);
            match outcome {
                Err(error) if attempt < ATTEMPTS_MAX && call.may_retry(&error) => {
                    pause::wait(error.retry_after().unwrap_or(wait));
                    wait *= 2;
                    attempt += 1;
                }
                outcome => return Ok(outcome),
            }
        }
    }

    fn expect(&self, call: &Call) -> anyhow::Result<Value> {
        let outcome = self.call(call)?;
        Ok(outcome.map_err(|error| error.fail())?.value)
    }

    /// All rows of a list. `path` has no `page` and no `per_page`.
    fn list(
        &self,
        path: &str,
        needs: &'static str,
    ) -> anyhow::Result<Result<Vec<Value>, GithubError>> {
        self.list_in(path, None, needs)
    }

    fn request(&self, base: &str, call: &Call) -> Request {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = vec![
            header("Authorization", &format!("Bearer {}", self.token)),
            header("Accept", "application/vnd.github+json"),
            header("X-GitHub-Api-Version", "2022-11-28"),
            header("User-Agent", http::USER_AGENT),
        ];
        if call.body.is_some() {
            headers.push(header("Content-Type", "application/json"));
        }
        Request {
            method: call.method.to_owned(),
            url: format!("{base}{}", call.path),
            headers,
            body: call.body.as_ref().map(Value::to_string),
            connect_to: None,
            timeout_secs: 30,
        }
    }
}

fn shown(call: &Call) -> String {
    format!("{} {}", call.method, call.path)
}

fn read(call: &Call, answer: Result<Response, NoAnswer>) -> Result<Answer, GithubError> {
    let response = match answer {
        Ok(response) => response,
        Err(lost) => return Err(GithubError::lost(&shown(call), lost, call.needs)),
    };
    let body = serde_json::from_str::<Value>(&response.body);
    match (response.status, body) {
        (200..300, Ok(value)) => Ok(Answer {
            value,
            more: response
                .header("link")
                .is_some_and(|link| link.contains("rel=\"next\"")),
        }),
        (200..300, Err(_)) if response.body.trim().is_empty() => Ok(Answer {
            value: Value::Null,
            more: false,
        }),
        (200..300, Err(_)) => Err(GithubError::odd(
            &shown(call),
            "the answer is not JSON",
            call.needs,
        )),
        (_, body) => Err(GithubError::of(
            &shown(call),
            &response,
            body.ok(),
            call.needs,
        )),
    }
}
