//! What a world's local cloud is asked: who serves, what was requested, what the database holds, which faults are armed.

use serde_json::{Value, json};

use super::{ACCOUNT, Answer, DATABASE, World};

impl World {
    /// GET of a host name through the edge.
    #[track_caller]
    pub fn edge_get(&self, host: &str, path: &str) -> Answer {
        self.cloud().edge("GET", host, path, &[], "")
    }

    /// The journal entries of API requests, oldest first.
    #[track_caller]
    pub fn journal(&self) -> Vec<Value> {
        let journal = self.cloud().local("GET", "/journal", None);
        let entries = journal["entries"].as_array().cloned().unwrap_or_default();
        entries
            .into_iter()
            .filter(|entry| entry["method"] != "" && !entry["method"].is_null())
            .collect()
    }

    /// Forgets the journal.
    #[track_caller]
    pub fn clear_journal(&self) {
        self.cloud().local("DELETE", "/journal", None);
    }

    /// `POST /accounts/…/versions` and the like: method and path (behind the account) of each journalled request.
    #[track_caller]
    pub fn requests(&self) -> Vec<String> {
        self.journal().iter().map(request_line).collect()
    }

    /// The requests that upload a version.
    #[track_caller]
    pub fn uploads(&self) -> Vec<String> {
        let all = self.requests().into_iter();
        all.filter(|line| line.starts_with("POST /workers/scripts/") && line.ends_with("/versions"))
            .collect()
    }

    /// The whole control-plane state, without secret values.
    #[track_caller]
    pub fn cloud_state(&self) -> Value {
        self.cloud().local("GET", "/state", None)
    }

    /// Arms a fault; its id.
    #[track_caller]
    pub fn fault(&self, fault: Value) -> u64 {
        let answer = self.cloud().local("POST", "/faults", Some(fault));
        answer["id"].as_u64().expect("an id")
    }

    /// Disarms all faults.
    #[track_caller]
    pub fn clear_faults(&self) {
        self.cloud().local("DELETE", "/faults", None);
    }

    /// How often armed faults have fired.
    #[track_caller]
    pub fn faults_fired(&self) -> u64 {
        let listed = self.cloud().local("GET", "/faults", None);
        let faults = listed["faults"].as_array().cloned().unwrap_or_default();
        faults
            .iter()
            .filter_map(|fault| fault["fired"].as_u64())
            .sum()
    }

    /// What serves a worker: version id and percentage, as the current deployment says.
    #[track_caller]
    pub fn split(&self, script: &str) -> Vec<(String, u64)> {
        let path = format!("/workers/scripts/{script}/deployments");
        let result = self.cloud().result("GET", &path, None);
        let versions = result["deployments"][0]["versions"].clone();
        let entry = |entry: &Value| {
            Some((
                entry["version_id"].as_str()?.to_owned(),
                entry["percentage"].as_f64()? as u64,
            ))
        };
        let listed = versions.as_array().into_iter().flatten();
        listed.filter_map(entry).collect()
    }

    /// The one version that serves a worker.
    #[track_caller]
    pub fn serving(&self, script: &str) -> String {
        match self.split(script).as_slice() {
            [(version, 100)] => version.clone(),
            split => panic!("{script} is not served by one version: {split:?}"),
        }
    }

    /// Rows of a query to the test repo's database.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<Value> {
        self.query_in(DATABASE, sql)
    }

    /// Rows of a query to a database.
    #[track_caller]
    pub fn query_in(&self, database: &str, sql: &str) -> Vec<Value> {
        let path = format!("/d1/database/{database}/query");
        let result = self
            .cloud()
            .result("POST", &path, Some(json!({ "sql": sql })));
        rows_of(&result)
    }

    /// Rows of a query to the test repo's database; none when it is refused.
    pub fn try_query(&self, sql: &str) -> Option<Vec<Value>> {
        let path = format!("/client/v4/accounts/{ACCOUNT}/d1/database/{DATABASE}/query");
        let body = Some(json!({ "sql": sql }));
        let envelope = self.cloud().control("POST", &path, body).json();
        (envelope["success"] == true).then(|| rows_of(&envelope["result"]))
    }
}

/// The rows of the last statement.
fn rows_of(result: &Value) -> Vec<Value> {
    let last = result.as_array().and_then(|all| all.last()).cloned();
    let rows = last.unwrap_or_default()["results"].clone();
    rows.as_array().cloned().unwrap_or_default()
}

/// Method and path of a journal entry, the account left out.
pub fn request_line(entry: &Value) -> String {
    let path = entry["path"].as_str().unwrap_or_default();
    let path = path.strip_prefix("/client/v4").unwrap_or(path);
    let path = path
        .strip_prefix("/accounts/")
        .and_then(|rest| rest.split_once('/'))
        .map_or(path.to_owned(), |(_, rest)| format!("/{rest}"));
    format!("{} {path}", entry["method"].as_str().unwrap_or_default())
}
