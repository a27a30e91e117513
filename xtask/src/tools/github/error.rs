//! What GitHub said instead of an answer, and what a person can do about it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::RETRY_AFTER_SECS_MAX;
use crate::error::Fail;
use crate::tools::http::{NoAnswer, Response};

/// A call that did not come to a good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GithubError {
    /// `GET /repos/…`: what was asked.
    pub call: String,
    /// The HTTP status; 0 when no answer came.
    pub status: u16,
    /// GitHub's text, or curl's when no answer came.
    pub message: String,
    /// True when the request may have been carried out although no good answer came back.
    pub maybe_done: bool,
    /// What a workflow has to grant for the call, e.g. `deployments: write`.
    pub needs: &'static str,
    limit: Option<Limit>,
}

/// A rate limit, and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit {
    secs: Option<u64>,
}

impl GithubError {
    pub(super) fn lost(call: &str, lost: NoAnswer, needs: &'static str) -> GithubError {
        GithubError {
            call: call.to_owned(),
            status: 0,
            message: lost.message,
            maybe_done: lost.maybe_received,
            needs,
            limit: None,
        }
    }

    /// An answer that claims to be good, and is not what was asked for.
    pub(super) fn odd(call: &str, message: &str, needs: &'static str) -> GithubError {
        GithubError {
            call: call.to_owned(),
            status: 502,
            message: message.to_owned(),
            maybe_done: true,
            needs,
            limit: None,
        }
    }

    pub(super) fn of(
        call: &str,
        response: &Response,
        body: Option<Value>,
        needs: &'static str,
    ) -> GithubError {
        let body = body.unwrap_or_default();
        let mut message = body["message"]
            .as_str()
            .unwrap_or("no reason given")
            .to_owned();
        let details = body["errors"].as_array().into_iter().flatten();
        for detail in details.filter_map(|detail| detail["message"].as_str().or(detail.as_str())) {
            message.push_str(&format!("; {detail}"));
        }
        GithubError {
            call: call.to_owned(),
            status: response.status,
            maybe_done: response.status >= 500,
            limit: limit(response, &message),
            message,
            needs,
        }
    }

    /// True when the same call may succeed in a moment.
    pub(super) fn is_passing(&self) -> bool {
        match self.limit {
            Some(limit) => limit.secs.is_none_or(|secs| secs <= RETRY_AFTER_SECS_MAX),
            None => self.status == 0 || self.status >= 500 || self.status == 429,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        let secs = self.limit?.secs?;
        Some(Duration::from_secs(secs.min(RETRY_AFTER_SECS_MAX)))
    }

    /// True when what was asked for does not exist, or may not be seen.
    pub fn is_not_found(&self) -> bool {
        matches!(self.status, 404 | 410)
    }

    /// True when the token may not do this.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.status, 403 | 404) && self.limit.is_none()
    }

    /// The error for a person.
    pub fn fail(&self) -> Fail {
        let why = format!("{}: {}", self.call, self.message);
        let permissions = format!("give the job `permissions: {}` in the workflow", self.needs);
        if let Some(limit) = self.limit {
            let until = limit
                .secs
                .map(|secs| format!("in {} min", secs.div_ceil(60)));
            return Fail::remote("GitHub limits how often this token may ask")
                .why(why)
                .fix(format!(
                    "run the command again {}",
                    until.unwrap_or_else(|| "in a few minutes".to_owned())
                ));
        }
        match self.status {
            0 => Fail::remote("GitHub did not answer")
                .why(why)
                .fix("check the connection, then run the command again: it is safe to repeat"),
            401 => Fail::setup("GitHub does not accept the token")
                .why(why)
                .fix("set GITHUB_TOKEN to a token that has not expired; in a workflow: `GITHUB_TOKEN: ${{ github.token }}`"),
            403 if self.message.contains("locked") => Fail::remote("the conversation of the pull request is locked")
                .why(why)
                .fix("unlock it on GitHub, then run the command again"),
            403 => Fail::setup("GitHub does not let the token do this")
                .why(why)
                .fix(permissions)
                .fix("or set GITHUB_TOKEN to a token with that right"),
            404 | 410 => Fail::setup("GitHub does not know what was asked for, or hides it from this token")
                .why(why)
                .fix("check GITHUB_REPOSITORY (`owner/name`) and the number of the pull request")
                .fix(permissions),
            status => Fail::remote("GitHub refused a request")
                .why(format!("{why} (HTTP {status})"))
                .fix(match status >= 500 || status == 429 {
                    true => "run the command again: it is safe to repeat",
                    false => "correct what the answer names, then run the command again: running it unchanged fails again",
                }),
        }
    }
}

/// GitHub answers 403 as well as 429 to who asks too often.
fn limit(response: &Response, message: &str) -> Option<Limit> {
    let number = |name: &str| response.header(name)?.trim().parse::<u64>().ok();
    let retry_after = number("retry-after");
    let used_up = number("x-ratelimit-remaining") == Some(0);
    let said = message.to_lowercase().contains("rate limit");
    let limited = match response.status {
        429 => true,
        403 => used_up || said || retry_after.is_some(),
        _ => false,
    };
    let reset = number("x-ratelimit-reset").filter(|_| used_up).map(|at| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        at.saturating_sub(now.as_secs())
    });
    limited.then(|| Limit {
        secs: retry_after.or(reset),
    })
}
