//! The mark in a database, a namespace or a bucket that says whose it is. What is stored in it does not touch the mark, and
//! emptying a bucket does not take it away: it is there until the thing itself goes. Pure: the request that sets it.

use serde_json::{Value, json};

use crate::config::layout::DEFAULT_TABLE;
use crate::ledger::{self, Database, literal};
use crate::plan::{Action, Rest, Step};
use crate::preview::names::{self, Key};
use crate::tools::cloudflare::{Cloudflare, encode};

/// A kind of storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// D1.
    Database,
    /// KV.
    Namespace,
    /// R2.
    Bucket,
}

impl Kind {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Database => "database",
            Kind::Namespace => "namespace",
            Kind::Bucket => "bucket",
        }
    }
}

/// The id of the step that marks something.
pub fn step_id(kind: Kind, name: &str) -> String {
    format!("mark the {} {name}", kind.word())
}

/// Writes into something whose it is. `id` is what the API knows it by: a bucket's name, else an id.
pub fn step(
    cloud: &Cloudflare,
    (kind, name, id): (Kind, &str, &str),
    key: Key,
    repo: &str,
) -> Step {
    let rest = match kind {
        Kind::Database => {
            let path = Database::new(cloud, name, id).query_path();
            Rest::set("POST", path, json!({ "sql": marking_sql(key, repo) }))
        }
        Kind::Namespace => {
            let key_path = format!("{}/values/{}", namespace_path(id), names::MARKER_KEY);
            let marker: Value = serde_json::from_str(&names::marker(key, repo)).unwrap_or_default();
            Rest::set("PUT", cloud.path(&key_path), marker)
        }
        Kind::Bucket => {
            let rules = json!({ "rules": [rule(key, repo)] });
            Rest::set("PUT", cloud.path(&lifecycle_path(id)), rules)
        }
    };
    let goal = format!("write into the {} {name} whose it is", kind.word());
    Step::new("data", step_id(kind, name), goal, Action::Rest(rest))
}

/// Where a namespace is.
pub fn namespace_path(id: &str) -> String {
    format!("/storage/kv/namespaces/{}", encode(id))
}

/// Where a bucket's rules for old objects are.
pub fn lifecycle_path(bucket: &str) -> String {
    format!("/r2/buckets/{}/lifecycle", encode(bucket))
}

/// The one rule of a preview's bucket. What it does is what the rule of every new bucket does; its id is the mark.
fn rule(key: Key, repo: &str) -> Value {
    json!({
        "id": names::rule(key, repo),
        "enabled": true,
        "conditions": {"prefix": ""},
        "abortMultipartUploadsTransition": {"condition": {"type": "Age", "maxAge": 604_800}},
    })
}

fn marking_sql(key: Key, repo: &str) -> String {
    let table = names::MARKER_TABLE;
    let (repo, preview) = (literal(repo), literal(&key.suffix()));
    format!(
        "{}\nCREATE TABLE IF NOT EXISTS {table} (repo TEXT NOT NULL, preview TEXT NOT NULL, PRIMARY KEY (repo, preview));\n\
         INSERT OR IGNORE INTO {table} (repo, preview) VALUES ({repo}, {preview});",
        ledger::tables_sql(DEFAULT_TABLE)
    )
}
