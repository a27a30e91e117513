//! The sidecar: a Node process that runs the uploaded Workers, and the client of its control port.
//! Knows its protocol; knows no HTTP route of the API and nothing of what a world means.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::{Method, Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::sync::{Mutex as AsyncMutex, broadcast};

use crate::envelope::ApiError;
use crate::sidecar::{Sidecar, http_client};
use crate::world::{Version, World};

/// How many undeployed versions run at a time because somebody asked for their preview URL.
const PREVIEWS_MAX: usize = 8;

/// Trace items kept for a slow reader.
const EVENTS_MAX: usize = 1024;

/// A line of the event stream longer than this is given up.
const EVENT_BYTES_MAX: usize = 8 << 20;

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
        /// Kinds of event the main module has a handler for.
        handlers: Vec<String>,
    },
    /// It throws: the message of the runtime.
    Failed(String),
}

/// Why the newest world does not run; the one before it still does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldFault {
    /// The Worker to blame, when one could be named.
    pub worker: Option<String>,
    /// The runtime's words.
    pub message: String,
    /// What runs instead: version by runtime name.
    running: BTreeMap<String, String>,
}

impl WorldFault {
    /// Whether a version does not run because of this.
    pub fn keeps_out(&self, runtime_name: &str, version: &str) -> bool {
        self.running.get(runtime_name).map(String::as_str) != Some(version)
    }
}

/// A running sidecar; clones share it.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

struct Shared {
    options: RuntimeOptions,
    /// Locked while starting or restarting, never while a request is in flight.
    sidecar: AsyncMutex<Option<Sidecar>>,
    control: Client<HttpConnector, Body>,
    served: Mutex<Served>,
    events: broadcast::Sender<Value>,
    /// Whether the task that reads `/events` runs.
    listening: AsyncMutex<bool>,
}

#[derive(Default)]
struct Served {
    /// What was last asked for, put again after a restart.
    world: Option<Value>,
    entry_port: Option<u16>,
    /// The pool of connections to the entry port; replaced with every reload, because the old ones are dead.
    entry: Option<Client<HttpConnector, Body>>,
    fault: Option<WorldFault>,
    /// `(script, version)` asked for by preview URL, newest last.
    previews: VecDeque<(String, String)>,
    stopped: bool,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// Starts the sidecar and waits for its control port.
    pub async fn start(options: RuntimeOptions) -> Result<Self, RuntimeError> {
        let sidecar = Sidecar::start(&options).await?;
        let shared = Shared {
            options,
            sidecar: AsyncMutex::new(Some(sidecar)),
            control: http_client(),
            served: Mutex::new(Served::default()),
            events: broadcast::channel(EVENTS_MAX).0,
            listening: AsyncMutex::new(false),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Replaces everything that runs; returns when the new world serves. A world the runtime cannot load leaves the one
    /// before in service: that is not an error here but a `world_fault`, so that one bad Worker does not stop the others.
    pub async fn put_world(&self, world: &World) -> Result<(), RuntimeError> {
        let body = self.without_unasked_previews(world)?;
        self.served().world = Some(body.clone());
        let answer = self.request(Method::PUT, "/world", &body).await?;
        self.note_world(&answer)
    }

    fn note_world(&self, answer: &Value) -> Result<(), RuntimeError> {
        self.note_entry(answer);
        if answer["ok"] == true {
            self.served().fault = None;
            return Ok(());
        }
        let message = message_of(answer);
        if answer["entry_port"].is_null() || answer["internal"] == true {
            return Err(RuntimeError::Unavailable(message));
        }
        let running = answer["running"].as_object().into_iter().flatten();
        self.served().fault = Some(WorldFault {
            worker: answer["worker"].as_str().map(str::to_owned),
            message,
            running: running
                .filter_map(|(name, version)| Some((name.clone(), version.as_str()?.to_owned())))
                .collect(),
        });
        Ok(())
    }

    /// Undeployed versions cost a reload and memory: only those somebody looks at are loaded.
    fn without_unasked_previews(&self, world: &World) -> Result<Value, RuntimeError> {
        let mut world = world.clone();
        let served = self.served();
        for worker in &mut world.workers {
            let asked = |version: &Version| {
                served
                    .previews
                    .iter()
                    .any(|(script, id)| *script == worker.script && *id == version.id)
            };
            worker
                .versions
                .retain(|version| version.percentage.is_some() || asked(version));
        }
        serde_json::to_value(&world).map_err(|error| RuntimeError::Unavailable(error.to_string()))
    }

    /// Notes that a preview URL is in use; true when the world must be applied again to serve it.
    pub fn want_preview(&self, script: &str, version: &str) -> bool {
        let mut served = self.served();
        let wanted = (script.to_owned(), version.to_owned());
        if served.previews.contains(&wanted) {
            return false;
        }
        if served.previews.len() == PREVIEWS_MAX {
            served.previews.pop_front();
        }
        served.previews.push_back(wanted);
        true
    }

    /// Why the newest world does not run, if it does not.
    pub fn world_fault(&self) -> Option<WorldFault> {
        self.served().fault.clone()
    }

    /// Loads a version in a throw-away instance.
    pub async fn trial(&self, script: &str, version: &Version) -> Result<Trial, RuntimeError> {
        let body = json!({ "script": script, "version": version });
        let answer = self.request(Method::POST, "/trial", &body).await?;
        if answer["ok"] != true {
            let message = message_of(&answer);
            return match answer["internal"] == true {
                true => Err(RuntimeError::Unavailable(message)),
                false => Ok(Trial::Failed(message)),
            };
        }
        let exports = answer["exports"].as_object().into_iter().flatten();
        Ok(Trial::Loaded {
            startup_time_ms: answer["startup_time_ms"].as_u64().unwrap_or(1),
            exports: exports
                .map(|(name, kind)| (name.clone(), kind.as_str().map(str::to_owned)))
                .collect(),
            handlers: answer["handlers"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|name| Some(name.as_str()?.to_owned()))
                .collect(),
        })
    }

    /// Runs SQL, all statements or none; the per-statement results.
    pub async fn d1_query(
        &self,
        database_id: &str,
        sql: &str,
        params: &[Value],
    ) -> Result<Value, RuntimeError> {
        let body = json!({ "database_id": database_id, "sql": sql, "params": params });
        Ok(self.post("/d1/query", &body).await?["results"].take())
    }

    /// Any control request; the answer when `ok`, `Refused` otherwise.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, RuntimeError> {
        let answer = self.request(Method::POST, path, body).await?;
        self.note_entry(&answer);
        if answer["ok"] == true {
            return Ok(answer);
        }
        let message = message_of(&answer);
        Err(match answer["internal"] == true {
            true => RuntimeError::Unavailable(message),
            false => RuntimeError::Refused(message),
        })
    }

    /// Trace items from now on: `{"script","version","item"}`.
    pub async fn events(&self) -> Result<broadcast::Receiver<Value>, RuntimeError> {
        let receiver = self.shared.events.subscribe();
        let mut listening = self.shared.listening.lock().await;
        if !*listening {
            let stream = self.send(Method::GET, "/events", Body::empty()).await?;
            *listening = true;
            tokio::spawn(read_events(self.clone(), stream));
        }
        Ok(receiver)
    }

    /// Where the Workers serve, once a world is applied.
    pub fn entry_port(&self) -> Option<u16> {
        self.served().entry_port
    }

    /// The connections to the entry port.
    pub fn entry(&self) -> Option<(u16, Client<HttpConnector, Body>)> {
        let served = self.served();
        Some((served.entry_port?, served.entry.clone()?))
    }

    /// Starts the sidecar again if it died, and gives it the world it had.
    pub async fn revive(&self) -> Result<(), RuntimeError> {
        let mut sidecar = self.shared.sidecar.lock().await;
        if self.served().stopped {
            return Err(RuntimeError::Unavailable("the sidecar was stopped".into()));
        }
        if sidecar.as_mut().is_some_and(Sidecar::is_alive) {
            return Ok(());
        }
        let world = {
            let mut served = self.served();
            served.entry_port = None;
            served.world.clone()
        };
        if let Some(dead) = sidecar.take() {
            dead.stop().await;
        }
        let started = Sidecar::start(&self.shared.options).await?;
        let (port, token) = started.control();
        *sidecar = Some(started);
        let Some(world) = world else { return Ok(()) };
        let answer = self
            .call(port, &token, Method::PUT, "/world", &world)
            .await?;
        self.note_world(&answer)
    }

    /// Ends the sidecar and waits for it.
    pub async fn stop(&self) {
        self.served().stopped = true;
        if let Some(sidecar) = self.shared.sidecar.lock().await.take() {
            sidecar.stop().await;
        }
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, RuntimeError> {
        self.revive().await?;
        let (port, token) = self.control().await?;
        self.call(port, &token, method, path, body).await
    }

    async fn control(&self) -> Result<(u16, String), RuntimeError> {
        let sidecar = self.shared.sidecar.lock().await;
        sidecar
            .as_ref()
            .map(Sidecar::control)
            .ok_or_else(|| RuntimeError::Unavailable("the sidecar was stopped".into()))
    }

    async fn call(
        &self,
        port: u16,
        token: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, RuntimeError> {
        let lost = |error: &dyn std::fmt::Display| {
            RuntimeError::Unavailable(format!("the sidecar did not answer {path}: {error}"))
        };
        let request = control_request(port, token, method, path, Body::from(body.to_string()))?;
        let response = self
            .shared
            .control
            .request(request)
            .await
            .map_err(|error| lost(&error))?;
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(|error| lost(&error))?
            .to_bytes();
        serde_json::from_slice(&bytes).map_err(|error| lost(&error))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Response<Incoming>, RuntimeError> {
        self.revive().await?;
        let (port, token) = self.control().await?;
        let request = control_request(port, &token, method, path, body)?;
        self.shared
            .control
            .request(request)
            .await
            .map_err(|error| RuntimeError::Unavailable(format!("{path}: {error}")))
    }

    fn note_entry(&self, answer: &Value) {
        let Some(port) = answer["entry_port"].as_u64() else {
            return;
        };
        let mut served = self.served();
        let reloaded = answer["reloaded"] != false;
        if reloaded || served.entry.is_none() {
            served.entry = Some(http_client());
        }
        served.entry_port = u16::try_from(port).ok();
    }

    fn served(&self) -> MutexGuard<'_, Served> {
        self.shared
            .served
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn message_of(answer: &Value) -> String {
    answer["message"]
        .as_str()
        .unwrap_or("the sidecar gave no reason")
        .to_owned()
}

fn control_request(
    port: u16,
    token: &str,
    method: Method,
    path: &str,
    body: Body,
) -> Result<Request<Body>, RuntimeError> {
    Request::builder()
        .method(method)
        .uri(format!("http://127.0.0.1:{port}{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(body)
        .map_err(|error| RuntimeError::Unavailable(error.to_string()))
}

/// Hands the sidecar's events to whoever subscribed, until nobody is left or the sidecar goes.
async fn read_events(runtime: Runtime, stream: Response<Incoming>) {
    let mut body = stream.into_body();
    let mut pending = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Some(chunk) = frame.data_ref() else {
            continue;
        };
        pending.extend_from_slice(chunk);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            if let Ok(event) = serde_json::from_slice::<Value>(&line) {
                // Nobody listening is the normal end of a tail.
                let _ = runtime.shared.events.send(event);
            }
        }
        if pending.len() > EVENT_BYTES_MAX {
            pending.clear();
        }
        let mut listening = runtime.shared.listening.lock().await;
        if runtime.shared.events.receiver_count() == 0 {
            *listening = false;
            return;
        }
    }
    *runtime.shared.listening.lock().await = false;
}
