//! The sidecar: a Node process that runs the uploaded Workers, and the client of its control port.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use tokio::sync::broadcast;

use crate::envelope::ApiError;
use crate::world::{Version, World};

/// What the sidecar needs to start.
#[derive(Debug, Clone)]
pub struct RuntimeOptions {
    /// The Node binary.
    pub node: PathBuf,
    /// Folder whose `node_modules` holds miniflare.
    pub repo_root: PathBuf,
    /// Miniflare's storage.
    pub storage: PathBuf,
    /// Content-addressed modules and assets.
    pub blobs: PathBuf,
}

/// Why the sidecar did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeError {
    /// It answered `{"ok":false,"message"}`: the request is at fault (bad SQL, a bundle that throws).
    Refused(String),
    /// It could not be reached or started: the local cloud is at fault.
    Unavailable(String),
}

impl std::fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(message) | Self::Unavailable(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for RuntimeError {}

impl From<RuntimeError> for ApiError {
    fn from(error: RuntimeError) -> Self {
        ApiError::internal(error)
    }
}

/// The outcome of loading a version in a throw-away instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// It loads.
    Loaded {
        /// How long that took.
        startup_time_ms: u64,
        /// Exported names and, where knowable, their kind.
        exports: BTreeMap<String, Option<String>>,
    },
    /// It throws: the message of the runtime.
    Failed(String),
}

/// A running sidecar; clones share it.
#[derive(Debug, Clone)]
pub struct Runtime {
    events: broadcast::Sender<Value>,
}

impl Runtime {
    /// Starts the sidecar and waits for its control port.
    pub async fn start(_options: RuntimeOptions) -> Result<Self, RuntimeError> {
        Ok(Self {
            events: broadcast::channel(256).0,
        })
    }

    /// Replaces everything that runs; returns when the new world serves.
    pub async fn put_world(&self, _world: &World) -> Result<(), RuntimeError> {
        Ok(())
    }

    /// Loads a version in a throw-away instance.
    pub async fn trial(&self, _script: &str, _version: &Version) -> Result<Trial, RuntimeError> {
        Ok(Trial::Loaded {
            startup_time_ms: 0,
            exports: BTreeMap::new(),
        })
    }

    /// Runs SQL, all statements or none; the per-statement results.
    pub async fn d1_query(
        &self,
        database_id: &str,
        sql: &str,
        params: &[Value],
    ) -> Result<Value, RuntimeError> {
        let body = serde_json::json!({ "database_id": database_id, "sql": sql, "params": params });
        self.post("/d1/query", &body).await
    }

    /// Any control request; the answer when `ok`, `Refused` otherwise.
    pub async fn post(&self, path: &str, _body: &Value) -> Result<Value, RuntimeError> {
        Err(RuntimeError::Unavailable(format!(
            "the sidecar is not built yet: {path}"
        )))
    }

    /// Trace items from now on: `{"script","version","item"}`.
    pub fn events(&self) -> broadcast::Receiver<Value> {
        self.events.subscribe()
    }

    /// Where Miniflare serves, once a world is applied.
    pub fn entry_port(&self) -> Option<u16> {
        None
    }

    /// Ends the sidecar and waits for it.
    pub async fn stop(&self) {}
}
