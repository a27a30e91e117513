//! What every storage handler needs: the app, the memory shared between storage requests, and the way to the sidecar.
//!
//! Knows no route and no product.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde_json::Value;

use super::d1_jobs::{Jobs, Links};
use crate::app::App;
use crate::envelope::ApiError;
use crate::resource_id::ResourceId;
use crate::runtime::RuntimeError;

/// Cheap to clone; handlers take one as an argument.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) app: App,
    shared: Arc<Shared>,
}

/// Lives as long as the server; nothing in it needs to survive a restart.
#[derive(Default)]
pub(super) struct Shared {
    databases: Mutex<HashMap<ResourceId, Arc<Database>>>,
    links: Mutex<Links>,
}

/// What is going on in one database.
#[derive(Default)]
pub(super) struct Database {
    /// Requests on one database run one after the other, as on the real D1.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Imports and exports.
    pub(super) jobs: Mutex<Jobs>,
    /// Since the server started.
    pub(super) usage: Mutex<Usage>,
}

/// What `d1 info` reports.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    pub(super) queries_read: u64,
    pub(super) queries_written: u64,
    pub(super) rows_read: u64,
    pub(super) rows_written: u64,
}

impl Context {
    /// The shared memory of one database.
    pub(super) fn database(&self, uuid: &ResourceId) -> Arc<Database> {
        lock(&self.shared.databases)
            .entry(uuid.clone())
            .or_default()
            .clone()
    }

    /// Forgets a deleted database.
    pub(super) fn forget_database(&self, uuid: &ResourceId) {
        lock(&self.shared.databases).remove(uuid);
    }

    /// Upload and download links.
    pub(super) fn links(&self) -> &Mutex<Links> {
        &self.shared.links
    }

    /// A request to the sidecar, once it has open whatever there is to store in. The inner error is the sidecar's
    /// refusal: the caller knows what it means. The outer one is a fault of the local cloud.
    pub(super) async fn ask(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<Result<Value, String>, ApiError> {
        let _no_reload = self.app.settle_storage().await?;
        self.post(path, body).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Result<Value, String>, ApiError> {
        match self.app.runtime().await?.post(path, body).await {
            Ok(answer) => Ok(Ok(answer)),
            Err(RuntimeError::Refused(message)) => Ok(Err(message)),
            Err(unavailable) => Err(unavailable.into()),
        }
    }

    /// Like [`Context::ask`], for requests the sidecar has no reason to refuse.
    pub(super) async fn sidecar(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        self.ask(path, body).await?.map_err(ApiError::internal)
    }

    /// Like [`Context::sidecar`], for requests that make the sidecar close its storage: they wait for the requests
    /// under way, and new ones wait for them, so that nobody notices.
    pub(super) async fn sidecar_alone(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        let _nobody_else = self.app.settle_storage_alone().await?;
        self.post(path, body).await?.map_err(ApiError::internal)
    }
}

impl FromRequestParts<App> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let shared = parts.extensions.get::<Arc<Shared>>();
        assert!(
            shared.is_some(),
            "the storage router carries its shared memory"
        );
        Ok(Self {
            app: app.clone(),
            shared: shared.cloned().unwrap_or_default(),
        })
    }
}

/// Locks; a panic elsewhere leaves only plain data behind, which is as good as before.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
