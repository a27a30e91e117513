//! Lists in pages, and answers that are no envelope: a KV value, an R2 object.

use std::time::Duration;

use serde_json::Value;

use super::{ATTEMPTS_MAX, ApiError, Call, Cloudflare, read, retry_after};
use crate::pause;
use crate::tools::http::{self, Response};

/// Rows asked for at a time, where the API allows as many.
const PER_PAGE: usize = 100;
/// No account has more pages of anything: a list that goes on has no end.
const PAGES_MAX: usize = 1000;

impl Cloudflare {
    /// All rows of a list with numbered pages (databases, namespaces). `path` has no query.
    pub fn rows(&self, path: &str) -> anyhow::Result<Result<Vec<Value>, ApiError>> {
        let mut rows = Vec::new();
        for page in 1..=PAGES_MAX {
            let call = Call::get(format!("{path}?per_page={PER_PAGE}&page={page}"));
            let mut found = match self.call(&call)? {
                Ok(Value::Array(found)) => found,
                Ok(_) => return Ok(Err(odd(&call, "the answer is no list"))),
                Err(error) => return Ok(Err(error)),
            };
            let last = found.len() < PER_PAGE;
            rows.append(&mut found);
            if last {
                return Ok(Ok(rows));
            }
        }
        Ok(Err(odd(&Call::get(path), "the list has no end")))
    }

    /// All rows of a list whose pages are told by a cursor (buckets). `key` is the field of the result that holds the rows.
    pub fn rows_by_cursor(
        &self,
        path: &str,
        key: &str,
    ) -> anyhow::Result<Result<Vec<Value>, ApiError>> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let mut call = Call::get(format!("{path}?per_page=1000"));
            if !cursor.is_empty() {
                call.path
                    .push_str(&format!("&cursor={}", super::encode(&cursor)));
            }
            let response = match self.answer(&call)? {
                Ok(response) => response,
                Err(error) => return Ok(Err(error)),
            };
            let body: Value = serde_json::from_str(&response.body).unwrap_or_default();
            let found = match read(&call, Ok(response)) {
                Ok(mut result) => result[key].take(),
                Err(error) => return Ok(Err(error)),
            };
            let Value::Array(mut found) = found else {
                return Ok(Err(odd(&call, "the answer is no list")));
            };
            rows.append(&mut found);
            let next = body["result_info"]["cursor"].as_str().unwrap_or_default();
            if next.is_empty() || next == cursor {
                return Ok(Ok(rows));
            }
            next.clone_into(&mut cursor);
        }
        Ok(Err(odd(&Call::get(path), "the list has no end")))
    }

    /// The bare text behind a path; `None` when there is nothing.
    pub fn text(&self, path: &str) -> anyhow::Result<Result<Option<String>, ApiError>> {
        Ok(match self.answer(&Call::get(path))? {
            Ok(response) => Ok(Some(response.body)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// Sends calls that may be repeated one after the other over one connection; those that failed for a passing reason are
    /// made again one by one.
    pub fn call_all(&self, calls: &[Call]) -> anyhow::Result<Vec<Result<Value, ApiError>>> {
        assert!(
            calls.iter().all(|call| call.repeatable),
            "only what may be sent twice"
        );
        let requests: Vec<_> = calls.iter().map(|call| self.request(call)).collect();
        let answers = http::send_all(&requests)?;
        calls
            .iter()
            .zip(answers)
            .map(|(call, answer)| match read(call, answer) {
                Err(error) if call.may_retry(&error) => self.call(call),
                outcome => Ok(outcome),
            })
            .collect()
    }

    /// A good answer to a read, whatever it holds.
    fn answer(&self, call: &Call) -> anyhow::Result<Result<Response, ApiError>> {
        let mut wait = Duration::from_millis(200);
        let mut attempt = 1;
        loop {
            let answer = http::send(&self.request(call))?;
            let answer = match answer {
                Ok(response) if (200..300).contains(&response.status) => return Ok(Ok(response)),
                other => other,
            };
            let asked = answer.as_ref().ok().and_then(retry_after);
            let error = match read(call, answer) {
                Err(error) => error,
                Ok(_) => odd(call, "a good answer with a bad status"),
            };
            if attempt == ATTEMPTS_MAX || !call.may_retry(&error) {
                return Ok(Err(error));
            }
            pause::wait(asked.unwrap_or(wait));
            wait *= 2;
            attempt += 1;
        }
    }
}

fn odd(call: &Call, message: &str) -> ApiError {
    ApiError {
        call: format!("{} {}", call.method, call.path),
        status: 502,
        code: 0,
        message: message.to_owned(),
        maybe_done: false,
    }
}
