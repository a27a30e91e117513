//! Deployments: how GitHub shows on a pull request where it can be tried.

use serde_json::{Value, json};

use super::{Call, Github, read};
use crate::tools::cloudflare::encode;
use crate::tools::http;

/// A workflow has to grant this.
const NEEDS: &str = "deployments: write";

/// GitHub takes no longer description.
const DESCRIPTION_CHARACTERS_MAX: usize = 140;

/// Says of a deployment that it is one of this pipeline's.
const TASK: &str = "deploy";

/// What is said about a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeploymentState {
    /// It is being made.
    InProgress,
    /// It answers at this address.
    Success {
        /// Where a person looks at it.
        url: Option<String>,
    },
    /// It could not be made.
    Failure,
    /// It is gone.
    Inactive,
}

impl DeploymentState {
    fn word(&self) -> &'static str {
        match self {
            DeploymentState::InProgress => "in_progress",
            DeploymentState::Success { .. } => "success",
            DeploymentState::Failure => "failure",
            DeploymentState::Inactive => "inactive",
        }
    }
}

impl Github {
    /// The deployment of a commit to an environment: the one there is, else a new one. A lost answer is no reason for a
    /// second.
    pub fn deployment(&self, environment: &str, sha: &str) -> anyhow::Result<u64> {
        if let Some(id) = self.newest_deployment(environment, sha)? {
            return Ok(id);
        }
        let call = Call {
            method: "POST",
            path: self.path("/deployments"),
            body: Some(json!({
                "ref": sha,
                "task": TASK,
                "environment": environment,
                "auto_merge": false,
                "required_contexts": [],
                "transient_environment": true,
                "production_environment": false,
            })),
            repeatable: false,
            needs: NEEDS,
        };
        match self.call(&call)? {
            Ok(answer) => answer.value["id"]
                .as_u64()
                .ok_or_else(|| anyhow::anyhow!("GitHub made a deployment without an id")),
            Err(error) => {
                let found = match error.maybe_done {
                    true => self.newest_deployment(environment, sha)?,
                    false => None,
                };
                Ok(found.ok_or_else(|| error.fail())?)
            }
        }
    }

    fn newest_deployment(&self, environment: &str, sha: &str) -> anyhow::Result<Option<u64>> {
        let path = format!(
            "/deployments?environment={}&sha={}&task={TASK}",
            encode(environment),
            encode(sha)
        );
        let rows = self
            .list(&self.path(&path), NEEDS)?
            .map_err(|error| error.fail())?;
        Ok(rows.iter().filter_map(|row| row["id"].as_u64()).max())
    }

    /// Says how far a deployment has come.
    pub fn set_deployment(
        &self,
        id: u64,
        state: &DeploymentState,
        description: &str,
        log_url: Option<&str>,
    ) -> anyhow::Result<()> {
        let description: String = description
            .chars()
            .take(DESCRIPTION_CHARACTERS_MAX)
            .collect();
        let mut body =
            json!({ "state": state.word(), "description": description, "auto_inactive": false });
        if let DeploymentState::Success { url: Some(url) } = state {
            body["environment_url"] = Value::from(url.as_str());
        }
        if let Some(url) = log_url {
            body["log_url"] = Value::from(url);
        }
        let call = Call {
            method: "POST",
            path: self.path(&format!("/deployments/{id}/statuses")),
            body: Some(body),
            // Saying it twice says nothing else.
            repeatable: true,
            needs: NEEDS,
        };
        self.expect(&call)?;
        Ok(())
    }

    /// Marks every deployment to an environment as gone, but for one that may stay; how many were still there.
    pub fn retire_deployments(
        &self,
        environment: &str,
        stays: Option<u64>,
        description: &str,
    ) -> anyhow::Result<usize> {
        let path = self.path(&format!("/deployments?environment={}", encode(environment)));
        let rows = self.list(&path, NEEDS)?.map_err(|error| error.fail())?;
        let ids = rows.iter().filter_map(|row| row["id"].as_u64());
        let ids: Vec<u64> = ids.filter(|id| Some(*id) != stays).collect();
        let mut retired = 0;
        for (id, state) in ids.iter().zip(self.states(&ids)?) {
            if state.as_deref() != Some("inactive") {
                self.set_deployment(*id, &DeploymentState::Inactive, description, None)?;
                retired += 1;
            }
        }
        Ok(retired)
    }

    /// The newest state of each deployment, over one connection.
    fn states(&self, ids: &[u64]) -> anyhow::Result<Vec<Option<String>>> {
        let calls: Vec<Call> = ids
            .iter()
            .map(|id| {
                let path = format!("/deployments/{id}/statuses?per_page=1&page=1");
                Call::get(self.path(&path), NEEDS)
            })
            .collect();
        let requests: Vec<_> = calls
            .iter()
            .map(|call| self.request(&self.base, call))
            .collect();
        let answers = http::send_all(&requests)?;
        calls
            .iter()
            .zip(answers)
            .map(|(call, answer)| {
                let value = match read(call, answer) {
                    Ok(answer) => answer.value,
                    Err(error) if call.may_retry(&error) => self.expect(call)?,
                    Err(error) => return Err(error.fail().into()),
                };
                Ok(value[0]["state"].as_str().map(str::to_owned))
            })
            .collect()
    }
}
