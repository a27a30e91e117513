//! What live events say of a worker: how often it was called, and how often that ended in an error. Pure.

use serde::Serialize;
use serde_json::Value;

use crate::config;
use crate::tools::http;

/// Outcomes that are nobody's error: the caller went away before the answer was complete.
const NO_ERROR: [&str; 3] = ["ok", "canceled", "responseStreamDisconnected"];
/// From this status on an answer is the worker's failure, not the caller's.
const SERVER_ERROR: u64 = 500;

/// The events of one worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Everything that started the watched version: requests, calls of other workers, crons.
    pub requests: u64,
    /// Those that ended in an exception, at a limit, or with a status of 500 and more.
    pub errors: u64,
    /// Those of them in which an exception was thrown that nobody caught.
    pub exceptions: u64,
    /// Events of other versions, which are still on their way out. They count for nothing.
    pub elsewhere: u64,
    /// True when Cloudflare let only a part of the events through.
    pub sampled: bool,
}

impl Count {
    /// Takes an event in. An error is given back in words.
    pub fn add(&mut self, item: &Value, version: Option<&str>) -> Option<String> {
        let event = &item["event"];
        if event["type"] == "overload" {
            self.sampled = true;
            return None;
        }
        let by = item["scriptVersion"]["id"].as_str();
        if by.is_some() && version.is_some() && by != version {
            self.elsewhere += 1;
            return None;
        }
        // What the pipeline itself asks is no request of the public's.
        let asked_by = &event["request"]["headers"]["user-agent"];
        if asked_by.as_str() == Some(http::USER_AGENT) {
            return None;
        }
        self.requests += 1;
        let outcome = item["outcome"].as_str().unwrap_or("unknown");
        let status = event["response"]["status"].as_u64();
        let failed = !NO_ERROR.contains(&outcome);
        if !failed && status.is_none_or(|status| status < SERVER_ERROR) {
            return None;
        }
        self.errors += 1;
        let thrown = &item["exceptions"][0];
        if outcome == "exception" {
            self.exceptions += 1;
        }
        let mut said = match (status, failed) {
            (Some(status), false) => status.to_string(),
            _ => outcome.to_owned(),
        };
        said.push_str(&format!(" at {}", name(event)));
        if let Some(message) = thrown["message"].as_str() {
            let kind = thrown["name"].as_str().unwrap_or("Error");
            said.push_str(&format!(": {kind}: {message}"));
        }
        Some(said)
    }

    /// `2.5 %`; a dash where nothing was heard.
    pub fn share(&self) -> String {
        if self.requests == 0 {
            return "-".to_owned();
        }
        let tenths = (self.errors * 1000 + self.requests / 2) / self.requests;
        format!("{}.{} %", tenths / 10, tenths % 10)
    }

    /// True when more of its requests failed than may.
    fn is_over(&self, limits: &config::Watch) -> bool {
        self.errors * 100 > self.requests * limits.errors_percent_max
    }

    /// What is to be said of a worker: why the release is not healthy, or what a reader should know.
    pub fn judge(&self, worker: &str, limits: &config::Watch) -> Judgement {
        if !self.is_over(limits) {
            return Judgement::Fine;
        }
        let Count {
            requests, errors, ..
        } = self;
        let plural = if *requests == 1 { "" } else { "s" };
        let said = format!(
            "{worker}: {errors} of {requests} request{plural} ended in an error ({}), {} % may",
            self.share(),
            limits.errors_percent_max
        );
        if *requests < limits.requests_min {
            return Judgement::TooFew(format!("{said}; too few to judge by"));
        }
        Judgement::TooMany(said)
    }
}

/// What the events of a worker mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing is wrong, as far as was heard.
    Fine,
    /// Errors, in too few requests to say that something is wrong.
    TooFew(String),
    /// Too many errors.
    TooMany(String),
}

/// What started the worker. A query may hold anything, so it is left out.
fn name(event: &Value) -> String {
    let request = &event["request"];
    if let Some(url) = request["url"].as_str() {
        let method = request["method"].as_str().unwrap_or("GET");
        let end = url.find(['?', '#']).unwrap_or(url.len());
        return format!("{method} {}", &url[..end]);
    }
    if let Some(cron) = event["cron"].as_str() {
        return format!("cron {cron}");
    }
    if let Some(method) = event["rpcMethod"].as_str() {
        return format!("rpc {method}");
    }
    "an event".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(outcome: &str, status: u64) -> Value {
        json!({"outcome": outcome, "scriptVersion": {"id": "v2"}, "exceptions": [],
               "event": {"request": {"url": "https://a.test/buy?card=1", "method": "POST"},
                         "response": {"status": status}}})
    }

    #[test]
    fn what_the_worker_did_wrong_is_an_error_and_nothing_else() {
        let mut count = Count::default();
        let mut add = |item: &Value| count.add(item, Some("v2"));
        assert_eq!(add(&request("ok", 200)), None);
        let mut own = request("exception", 500);
        own["event"]["request"]["headers"] = json!({"user-agent": http::USER_AGENT});
        assert_eq!(add(&own), None, "the pipeline's own question");
        assert_eq!(add(&request("ok", 404)), None);
        assert_eq!(add(&request("canceled", 200)), None);
        let said = add(&request("ok", 503));
        assert_eq!(said.as_deref(), Some("503 at POST https://a.test/buy"));
        let limit = add(&request("exceededCpu", 200));
        assert!(limit.is_some_and(|said| said.starts_with("exceededCpu at")));
        let thrown = json!({"outcome": "exception", "event": {"cron": "0 6 * * *"},
                            "exceptions": [{"name": "TypeError", "message": "x is null"}]});
        let said = add(&thrown);
        let words = "exception at cron 0 6 * * *: TypeError: x is null";
        assert_eq!(said.as_deref(), Some(words));
        let mut old = request("exception", 500);
        old["scriptVersion"]["id"] = json!("v1");
        assert_eq!(add(&old), None, "an old version on its way out");
        let dense = json!({"event": {"type": "overload", "message": "sampled"}});
        assert_eq!(add(&dense), None);
        let expected = Count {
            requests: 6,
            errors: 3,
            exceptions: 1,
            elsewhere: 1,
            sampled: true,
        };
        assert_eq!(count, expected);
    }

    #[test]
    fn a_share_is_judged_by_enough_requests_only() {
        let limits = config::Watch::default();
        let count = |requests, errors| Count {
            requests,
            errors,
            ..Count::default()
        };
        assert_eq!(count(0, 0).share(), "-");
        assert_eq!(count(3, 2).share(), "66.7 %");
        assert_eq!(count(0, 0).judge("api", &limits), Judgement::Fine);
        assert_eq!(count(100, 5).judge("api", &limits), Judgement::Fine);
        let said = "api: 6 of 100 requests ended in an error (6.0 %), 5 % may";
        let over = count(100, 6).judge("api", &limits);
        assert_eq!(over, Judgement::TooMany(said.to_owned()));
        let said = "api: 1 of 1 request ended in an error (100.0 %), 5 % may; too few to judge by";
        let few = count(1, 1).judge("api", &limits);
        assert_eq!(few, Judgement::TooFew(said.to_owned()));
    }
}
