//! Injected faults of imports and exports: how a job in the background goes when something is to go wrong.

use std::time::Duration;

use super::context::Context;
use crate::d1_failures::D1Failure;
use crate::envelope::ApiError;
use crate::faults::{Action, Scope, When};
use crate::resource_id::ResourceId;

/// How a job goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Course {
    /// Carry out only so many statements; all of them when `None`.
    pub(super) first: Option<usize>,
    /// What the job then says, whatever it did.
    failure: Option<D1Failure>,
}

impl Course {
    /// The outcome, once the work is done.
    pub(super) fn end<T>(&self, outcome: Result<T, ApiError>) -> Result<T, ApiError> {
        let outcome = outcome?;
        match self.failure {
            None => Ok(outcome),
            Some(failure) => Err(ApiError::new(500, 7500, failure.text())),
        }
    }

    /// Nothing is to be done at all.
    pub(super) fn is_idle(&self) -> bool {
        self.first == Some(0)
    }

    fn of(action: &Action) -> Self {
        match action {
            Action::D1 {
                d1,
                when,
                statements,
            } => Self {
                first: match when {
                    When::Before => Some(statements.unwrap_or(0)),
                    When::After => None,
                },
                failure: Some(*d1),
            },
            _ => Self::default(),
        }
    }
}

/// Counts a job; how it goes. A slow one is waited for here.
pub(super) async fn course(context: &Context, uuid: &ResourceId, kind: &str) -> Course {
    let path = format!("/d1/database/{uuid}/{kind}");
    let Some(met) = context.app.faults().meet(Scope::Job, "POST", &path) else {
        return Course::default();
    };
    // A job answers no request: without this line the journal would not know.
    let note = format!("fault {} in the {kind} of D1 database {uuid}", met.id());
    context.app.journal().note(note);
    match met.action() {
        Action::Delay { delay_ms } => tokio::time::sleep(Duration::from_millis(*delay_ms)).await,
        Action::Hang { .. } => std::future::pending().await,
        _ => {}
    }
    Course::of(met.action())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_stops_before_within_or_after_its_work() {
        let course = |text: &str| Course::of(&serde_json::from_str(text).expect("an action"));
        let failure = Some(D1Failure::Timeout);
        let of = |first| Course { first, failure };
        assert_eq!(course(r#"{"d1":"timeout"}"#), of(Some(0)));
        assert_eq!(course(r#"{"d1":"timeout","statements":2}"#), of(Some(2)));
        assert_eq!(course(r#"{"d1":"timeout","when":"after"}"#), of(None));
        assert_eq!(course(r#"{"delay_ms":1}"#), Course::default());
    }
}
