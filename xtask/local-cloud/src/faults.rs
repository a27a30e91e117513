//! Injected faults: statuses, delays, dropped connections and answers that never come, at the n-th matching request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::App;
use crate::d1_failures::D1Failure;
use crate::envelope::ApiError;
use crate::serve::DropConnection;

/// A fault as asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Regular expression on the path, without `/client/v4` or `/github`; all paths when absent.
    #[serde(default)]
    pub path: Option<String>,
    /// Fires at the n-th matching request from now.
    #[serde(default = "one")]
    pub nth: u64,
    /// … and at this many in a row.
    #[serde(default = "one")]
    pub count: u64,
    /// `api` or `edge`.
    #[serde(default)]
    pub scope: Scope,
    /// What happens.
    pub action: Action,
}

fn one() -> u64 {
    1
}

/// Where a fault applies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// `/client/v4` and `/github`
    #[default]
    Api,
    /// Requests for Workers.
    Edge,
    /// Imports and exports of D1, which go on in the background: one match per job, path `/d1/database/{id}/import`.
    Job,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Action {
    /// Answers without doing the work.
    Status {
        /// HTTP status.
        status: u16,
        /// Body; an error envelope when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Value>,
        /// For 429: the `Retry-After` header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<String>,
    },
    /// Closes the connection.
    Drop {
        /// Before or after the work is done.
        drop: When,
    },
    /// Waits, then does the work.
    Delay {
        /// Milliseconds.
        delay_ms: u64,
    },
    /// What D1 answers in trouble.
    D1 {
        /// Which trouble.
        d1: D1Failure,
        /// Before or after the work is done.
        #[serde(default)]
        when: When,
        /// Only in a job: so many statements of the imported file are carried out and stay.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        statements: Option<usize>,
    },
    /// Never answers: the moment to kill a client in. `GET /_local/faults` tells how many requests hang.
    Hang {
        /// Before or after the work is done.
        hang: When,
    },
}

/// Relative to the work of the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// The request is never carried out.
    #[default]
    Before,
    /// It is carried out, and the caller never learns.
    After,
}

/// The faults of a server.
#[derive(Debug, Default)]
pub struct Faults {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    last_id: u64,
    armed: Vec<Armed>,
}

#[derive(Debug)]
struct Armed {
    id: u64,
    fault: Fault,
    path: Option<Regex>,
    seen: u64,
    fired: u64,
    hanging: Arc<AtomicU64>,
}

/// A fault that a request met.
#[derive(Debug)]
pub struct Met {
    id: u64,
    action: Action,
    hanging: Arc<AtomicU64>,
}

impl Met {
    /// What happens, to work that answers no request itself.
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// Its fault.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The same, with a body for a status that brings none.
    pub fn or_body(mut self, make: impl FnOnce(u16) -> Value) -> Self {
        if let Action::Status { status, body, .. } = &mut self.action {
            body.get_or_insert_with(|| make(*status));
        }
        self
    }
}

impl Faults {
    /// Arms a fault; its id.
    pub fn add(&self, fault: Fault) -> Result<u64, ApiError> {
        check(&fault)?;
        let path = fault.path.as_deref().map(Regex::new).transpose();
        let path = path.map_err(|error| {
            ApiError::bad_request(
                10001,
                format!("`path` is not a regular expression: {error}"),
            )
        })?;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.last_id += 1;
        let id = entries.last_id;
        entries.armed.push(Armed {
            id,
            fault,
            path,
            seen: 0,
            fired: 0,
            hanging: Arc::default(),
        });
        Ok(id)
    }

    /// All faults, with how often each matched and fired, and how many requests it holds.
    pub fn list(&self) -> Value {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = |armed: &Armed| {
            json!({
                "id": armed.id,
                "seen": armed.seen,
                "fired": armed.fired,
                "hanging": armed.hanging.load(Ordering::SeqCst),
                "fault": armed.fault,
            })
        };
        json!({ "faults": entries.armed.iter().map(shown).collect::<Vec<_>>() })
    }

    /// Disarms everything.
    pub fn clear(&self) {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .armed
            .clear();
    }

    /// Counts a request; the fault it meets, if any. The first armed one wins, all of them count.
    pub fn meet(&self, scope: Scope, method: &str, path: &str) -> Option<Met> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut met = None;
        for armed in &mut entries.armed {
            let method_fits = armed
                .fault
                .method
                .as_deref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
            let path_fits = armed
                .path
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(path));
            if armed.fault.scope != scope || !method_fits || !path_fits {
                continue;
            }
            armed.seen += 1;
            let first = armed.fault.nth.max(1);
            if met.is_none() && armed.seen >= first && armed.seen - first < armed.fault.count {
                armed.fired += 1;
                met = Some(Met {
                    id: armed.id,
                    action: armed.fault.action.clone(),
                    hanging: Arc::clone(&armed.hanging),
                });
            }
        }
        met
    }
}

/// What cannot happen is refused, so that no test waits for it.
fn check(fault: &Fault) -> Result<(), ApiError> {
    let why = match (fault.scope, &fault.action) {
        (Scope::Job, Action::Status { .. } | Action::Drop { .. }) => {
            "a job answers no request: its actions are `d1`, `delay_ms` and `hang`"
        }
        (
            Scope::Api | Scope::Edge,
            Action::D1 {
                statements: Some(_),
                ..
            },
        ) => {
            "`statements` needs the scope `job`: a request carries out all of its statements or none"
        }
        _ => return Ok(()),
    };
    Err(ApiError::bad_request(10001, why))
}

/// Which fault a response suffered, for the journal.
#[derive(Debug, Clone, Copy)]
pub struct FaultMet(pub u64);

/// Middleware of the API.
pub async fn inject(app: App, request: Request, next: Next) -> Response {
    let met = app
        .faults()
        .meet(Scope::Api, request.method().as_str(), request.uri().path());
    suffer(met, || next.run(request)).await
}

/// Carries out a fault around some work.
pub async fn suffer<F: Future<Output = Response>>(
    met: Option<Met>,
    work: impl FnOnce() -> F,
) -> Response {
    let Some(met) = met else {
        return work().await;
    };
    let mut response = match met.action {
        Action::Status {
            status,
            body,
            retry_after,
        } => refusal(status, body, retry_after),
        Action::Drop { drop: When::Before } => dropped(),
        Action::Drop { drop: When::After } => {
            // Carried out to the end, and then nobody is told.
            work().await;
            dropped()
        }
        Action::Delay { delay_ms } => {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            work().await
        }
        Action::D1 { d1, when, .. } => {
            if when == When::After {
                drop(work().await);
            }
            d1.response()
        }
        Action::Hang { hang } => {
            if hang == When::After {
                drop(work().await);
            }
            met.hanging.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        }
    };
    response.extensions_mut().insert(FaultMet(met.id));
    response
}

fn refusal(status: u16, body: Option<Value>, retry_after: Option<String>) -> Response {
    let code = if status == 429 { 971 } else { 10013 };
    let mut response = match body {
        Some(Value::String(text)) => (StatusCode::OK, text).into_response(),
        Some(body) => axum::Json(body).into_response(),
        None => ApiError::new(status, code, "injected fault").into_response(),
    };
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(value) = retry_after.and_then(|value| HeaderValue::from_str(&value).ok()) {
        response.headers_mut().insert("retry-after", value);
    }
    response
}

fn dropped() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(DropConnection);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        serde_json::from_str(text).expect("a fault")
    }

    #[test]
    fn fires_at_the_nth_match_and_count_times() {
        let faults = Faults::default();
        let spec =
            r#"{"method":"POST","path":"/versions$","nth":2,"count":2,"action":{"status":500}}"#;
        faults.add(fault(spec)).expect("arms");
        let met = |method, path| faults.meet(Scope::Api, method, path).is_some();
        assert!(!met("POST", "/a/versions"));
        assert!(!met("GET", "/a/versions"));
        assert!(!met("POST", "/a/versions/1"));
        assert!(met("POST", "/a/versions"));
        assert!(met("POST", "/b/versions"));
        assert!(!met("POST", "/a/versions"));
    }

    #[test]
    fn actions_read_as_documented() {
        let action = |text: &str| fault(&format!(r#"{{"action":{text}}}"#)).action;
        assert_eq!(
            action(r#"{"drop":"after"}"#),
            Action::Drop { drop: When::After }
        );
        let (d1, when) = (D1Failure::GatewayTimeout, When::After);
        let statements = None;
        assert_eq!(
            action(r#"{"d1":"gateway_timeout","when":"after"}"#),
            Action::D1 {
                d1,
                when,
                statements
            }
        );
        let partial = fault(r#"{"action":{"d1":"timeout","statements":2}}"#);
        assert!(Faults::default().add(partial).is_err());
        let hang = When::Before;
        assert_eq!(action(r#"{"hang":"before"}"#), Action::Hang { hang });
        assert_eq!(action(r#"{"delay_ms":5}"#), Action::Delay { delay_ms: 5 });
        assert!(serde_json::from_str::<Fault>(r#"{"action":{"explode":true}}"#).is_err());
    }
}
