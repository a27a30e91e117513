//! Runs of workflows.

use super::{Call, Github, GithubError};

/// A workflow has to grant this.
const NEEDS: &str = "actions: read";

/// How a run of a workflow stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowRun {
    /// How it ended (`success`, `cancelled`, …); none while it goes on.
    pub conclusion: Option<String>,
    /// Which attempt this is about: the newest. 1 unless it was run again.
    pub attempt: u64,
}

impl Github {
    /// The newest attempt of a run.
    pub fn workflow_run(&self, id: u64) -> anyhow::Result<WorkflowRun> {
        let call = Call::get(self.path(&format!("/actions/runs/{id}")), NEEDS);
        let value = self.expect(&call)?;
        let odd = || GithubError::odd(&call.path, "the answer is not that run", NEEDS).fail();
        let status = value["status"].as_str();
        if value["id"].as_u64() != Some(id) || status.is_none() {
            return Err(odd().into());
        }
        let over = status == Some("completed");
        let conclusion = value["conclusion"].as_str().unwrap_or("ended");
        Ok(WorkflowRun {
            conclusion: over.then(|| conclusion.to_owned()),
            attempt: value["run_attempt"].as_u64().unwrap_or(1),
        })
    }
}
