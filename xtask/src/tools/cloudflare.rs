//! The Cloudflare REST API: the only module that knows its envelope, error codes and retry rules. wrangler builds and
//! uploads; this reads and flips (a call costs about 10 ms, a wrangler start most of a second).

mod error;
mod lists;
mod token;

use std::time::Duration;

use anyhow::Context as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

pub use self::error::{ApiError, R2_IS_OFF, STORE_NOT_FOUND, WORKER_NOT_FOUND};
pub use self::token::{Standing, Verified, apart};
use crate::error::Fail;
use crate::pause;
use crate::tools::http::{self, NoAnswer, Request, Response};

/// The production API.
pub const PRODUCTION_API: &str = "https://api.cloudflare.com/client/v4";

const ATTEMPTS_MAX: u32 = 4;
const PATH_PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Access to one account.
#[derive(Clone)]
pub struct Cloudflare {
    base: String,
    account: String,
    token: String,
}

/// One call; paths start behind `/client/v4`.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// The path, e.g. from [`Cloudflare::script`].
    pub path: String,
    /// The JSON body.
    pub body: Option<Value>,
    /// True when sending it twice does no harm, so that it may be retried after a lost answer.
    pub repeatable: bool,
}

impl Call {
    /// A read.
    pub fn get(path: impl Into<String>) -> Call {
        Call {
            method: "GET",
            path: path.into(),
            body: None,
            repeatable: true,
        }
    }

    /// A write that may safely be sent twice.
    pub fn repeatable(method: &'static str, path: impl Into<String>, body: Value) -> Call {
        Call {
            method,
            path: path.into(),
            body: Some(body),
            repeatable: true,
        }
    }

    /// A write that must not be sent twice without looking first.
    pub fn once(method: &'static str, path: impl Into<String>, body: Value) -> Call {
        Call {
            method,
            path: path.into(),
            body: Some(body),
            repeatable: false,
        }
    }
}

impl Cloudflare {
    /// Access to an account through the API at `base` (`https://…/client/v4`).
    pub fn new(base: &str, account: &str, token: &str) -> Cloudflare {
        Cloudflare {
            base: base.trim_end_matches('/').to_owned(),
            account: account.to_owned(),
            token: token.to_owned(),
        }
    }

    /// The API's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The account's id.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// `/accounts/{account}{rest}`.
    pub fn path(&self, rest: &str) -> String {
        format!("/accounts/{}{rest}", self.account)
    }

    /// `/accounts/{account}/workers/scripts/{name}{rest}`.
    pub fn script(&self, name: &str, rest: &str) -> String {
        self.path(&format!("/workers/scripts/{}{rest}", encode(name)))
    }

    /// Makes one call; reads and repeatable writes are retried on 5xx, 429 and lost answers.
    pub fn call(&self, call: &Call) -> anyhow::Result<Result<Value, ApiError>> {
        let mut wait = Duration::from_millis(200);
        let mut attempt = 1;
        loop {
            let answer = http::send(&self.request(call))?;
            let retry_after = answer.as_ref().ok().and_then(retry_after);
            let outcome = read(call, answer);
            match outcome {
                Err(error) if attempt < ATTEMPTS_MAX && call.may_retry(&error) => {
                    pause::wait(retry_after.unwrap_or(wait));
                    wait *= 2;
                    attempt += 1;
                }
                outcome => return Ok(outcome),
            }
        }
    }

    /// Makes one call and turns a refusal into a [`Fail`].
    pub fn expect(&self, call: &Call) -> anyhow::Result<Value> {
        Ok(self.call(call)?.map_err(Fail::from)?)
    }

    /// Reads several paths over one connection; those that failed for a passing reason are asked again one by one.
    pub fn read_all(&self, paths: &[String]) -> anyhow::Result<Vec<Result<Value, ApiError>>> {
        let calls: Vec<Call> = paths.iter().map(Call::get).collect();
        self.call_all(&calls)
    }

    /// Uploads a form that is already encoded; never retried.
    pub fn upload(
        &self,
        method: &'static str,
        path: &str,
        content_type: &str,
        form: String,
    ) -> anyhow::Result<Result<Value, ApiError>> {
        let call = Call {
            method,
            path: path.to_owned(),
            body: None,
            repeatable: false,
        };
        let mut request = self.request(&call);
        request
            .headers
            .push(("Content-Type".to_owned(), content_type.to_owned()));
        request.body = Some(form);
        Ok(read(&call, http::send(&request)?))
    }

    fn request(&self, call: &Call) -> Request {
        let mut headers = vec![
            ("Authorization".to_owned(), format!("Bearer {}", self.token)),
            ("User-Agent".to_owned(), http::USER_AGENT.to_owned()),
        ];
        if call.body.is_some() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        Request {
            method: call.method.to_owned(),
            url: format!("{}{}", self.base, call.path),
            headers,
            body: call.body.as_ref().map(Value::to_string),
            connect_to: None,
            timeout_secs: 60,
        }
    }
}

impl Call {
    fn may_retry(&self, error: &ApiError) -> bool {
        let passing = error.status == 0 || error.status >= 500 || error.status == 429;
        passing && (self.repeatable || !error.maybe_done)
    }
}

/// Percent-encodes one part of a path.
pub fn encode(part: &str) -> String {
    utf8_percent_encode(part, PATH_PART).to_string()
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds: u64 = response.header("retry-after")?.parse().ok()?;
    // A server that asks for more than a minute is not coming back within this run.
    (seconds <= 60).then(|| Duration::from_secs(seconds))
}

fn read(call: &Call, answer: Result<Response, NoAnswer>) -> Result<Value, ApiError> {
    let shown = format!("{} {}", call.method, call.path);
    let response = answer.map_err(|lost| ApiError {
        call: shown.clone(),
        status: 0,
        code: 0,
        message: lost.message,
        maybe_done: lost.maybe_received,
    })?;
    let failed = |code: i64, message: String| ApiError {
        call: shown.clone(),
        status: response.status,
        code,
        message,
        // A refusal (4xx) did nothing; a server error may come after the work was done.
        maybe_done: response.status >= 500,
    };
    if matches!(response.status, 204 | 205) {
        return Ok(Value::Null);
    }
    let Ok(mut body) = serde_json::from_str::<Value>(&response.body) else {
        return Err(failed(0, "the answer is not JSON".to_owned()));
    };
    if body["success"].as_bool() == Some(true) {
        return Ok(body["result"].take());
    }
    let first = &body["errors"][0];
    let message = first["message"]
        .as_str()
        .unwrap_or("no reason given")
        .to_owned();
    Err(failed(first["code"].as_i64().unwrap_or(0), message))
}

/// Runs one SQL text (several statements are one atomic request) against a D1 database and returns the rows of its
/// last statement.
pub fn query(
    cloud: &Cloudflare,
    database: &str,
    sql: &str,
    params: &[Value],
    repeatable: bool,
) -> anyhow::Result<Result<Vec<Value>, ApiError>> {
    let path = cloud.path(&format!("/d1/database/{}/query", encode(database)));
    let mut body = serde_json::json!({ "sql": sql });
    if !params.is_empty() {
        body["params"] = Value::from(params);
    }
    let call = Call {
        method: "POST",
        path,
        body: Some(body),
        repeatable,
    };
    let outcome = cloud.call(&call).context("failed to query the database")?;
    Ok(outcome.map(|result| {
        let last = result
            .as_array()
            .and_then(|all| all.last())
            .cloned()
            .unwrap_or_default();
        last["results"].as_array().cloned().unwrap_or_default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn answer(status: u16, body: &str) -> Result<Response, NoAnswer> {
        Ok(Response {
            status,
            headers: Vec::new(),
            body: body.to_owned(),
        })
    }

    #[test]
    fn success_decides_not_the_status() {
        let call = Call::get("/x");
        let refused = read(
            &call,
            answer(
                200,
                r#"{"success":false,"errors":[{"code":10143,"message":"no target"}]}"#,
            ),
        );
        expect!["GET /x: no target (code 10143)"].assert_eq(&refused.unwrap_err().to_string());
        assert_eq!(
            read(&call, answer(500, r#"{"success":true,"result":1}"#)),
            Ok(Value::from(1))
        );
        let html = read(&call, answer(502, "<html>")).unwrap_err();
        expect!["GET /x: the answer is not JSON (HTTP 502)"].assert_eq(&html.to_string());
    }

    #[test]
    fn a_write_that_may_be_done_is_not_sent_twice() {
        let lost = ApiError {
            call: String::new(),
            status: 0,
            code: 0,
            message: String::new(),
            maybe_done: true,
        };
        assert!(!Call::once("POST", "/x", Value::Null).may_retry(&lost));
        assert!(Call::repeatable("PUT", "/x", Value::Null).may_retry(&lost));
        let never_sent = ApiError {
            maybe_done: false,
            ..lost
        };
        assert!(Call::once("POST", "/x", Value::Null).may_retry(&never_sent));
    }

    #[test]
    fn behind_a_server_error_a_code_says_nothing() {
        let call = Call::get("/x");
        let body = r#"{"success":false,"errors":[{"code":10013,"message":"unknown"}]}"#;
        assert!(
            read(&call, answer(404, body))
                .unwrap_err()
                .says(&STORE_NOT_FOUND)
        );
        let failed = read(&call, answer(500, body)).unwrap_err();
        assert!(!failed.says(&STORE_NOT_FOUND) && !failed.is_not_found());
    }
}
