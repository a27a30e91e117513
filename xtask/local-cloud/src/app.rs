//! The shared state of the server: what the account holds, how it is kept, and whether the runtime has caught up with it.
//! Knows no HTTP route.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::sync::{Notify, OnceCell, OwnedRwLockReadGuard, OwnedRwLockWriteGuard};

use crate::disk::{StateDir, write_atomic};
use crate::dropped::Dropped;
use crate::envelope::ApiError;
use crate::fail::Fail;
use crate::faults::Faults;
use crate::journal::Journal;
use crate::runtime::{Runtime, RuntimeOptions};
use crate::state::State;
use crate::world::{Resources, world};

/// Settings that never change while serving.
#[derive(Debug, Clone)]
pub struct Config {
    /// The port served, known once bound.
    pub port: u16,
    /// workers.dev subdomain of the account.
    pub subdomain: String,
    /// Adopt unknown D1, KV and R2 ids an upload refers to.
    pub adopt: bool,
    /// Largest upload accepted, in bytes.
    pub script_bytes_max: usize,
    /// How to start the sidecar.
    pub runtime: RuntimeOptions,
}

/// Cheap to clone; every handler takes one.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    dir: StateDir,
    state: RwLock<Arc<State>>,
    /// One mutation at a time: clone, change, persist, swap.
    writer: Mutex<()>,
    /// Counts mutations.
    generation: AtomicU64,
    /// What the runtime serves. Requests hold the read lock, applying a world the write lock.
    applied: Arc<tokio::sync::RwLock<Applied>>,
    changed: Notify,
    runtime: OnceCell<Runtime>,
    shutdown: Notify,
    journal: Journal,
    faults: Faults,
}

/// Holding one means: what was asked for is served, and no reload happens until it is dropped.
pub type Settled = OwnedRwLockReadGuard<Applied>;

/// What the runtime serves.
#[derive(Debug, Default)]
pub struct Applied {
    generation: u64,
    resources: Resources,
}

impl Applied {
    /// Whether everything there is to store in is open, and holds nothing of a namesake that was deleted.
    fn stores_for(&self, state: &State) -> bool {
        self.resources.hold_all_of(state) && !state.dropped.is_back(state)
    }
}

impl App {
    /// Loads the state kept in `dir`.
    pub fn load(config: Config, dir: StateDir) -> Result<Self, Fail> {
        let state = load_state(&dir)?;
        let journal = Journal::open(dir.path("journal.ndjson")).map_err(|error| {
            let what = "could not open the journal of the local cloud";
            Fail::new(
                what,
                error,
                "delete journal.ndjson in the state directory, or make it readable",
            )
        })?;
        let inner = Inner {
            config,
            dir,
            state: RwLock::new(Arc::new(state)),
            writer: Mutex::new(()),
            // One ahead of `applied`: what was loaded must be served, too.
            generation: AtomicU64::new(1),
            applied: Arc::default(),
            changed: Notify::new(),
            runtime: OnceCell::new(),
            shutdown: Notify::new(),
            journal,
            faults: Faults::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Settings.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Files.
    pub fn dir(&self) -> &StateDir {
        &self.inner.dir
    }

    /// The state at this moment; later mutations do not show in it.
    pub fn snapshot(&self) -> Arc<State> {
        self.inner
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Every API request so far.
    pub fn journal(&self) -> &Journal {
        &self.inner.journal
    }

    /// Injected faults.
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// Looks something up.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.snapshot())
    }

    /// Changes the state, all or nothing: an error leaves it as it was. On success it is on disk before this returns,
    /// and the world is dirty.
    pub fn mutate<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        self.mutate_or(change)
    }

    /// `mutate`, for changes that are refused with another kind of error.
    pub fn mutate_or<T, E: From<ApiError>>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, E>,
    ) -> Result<T, E> {
        let _one_at_a_time = self
            .inner
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot();
        let mut state = State::clone(&before);
        let result = change(&mut state)?;
        let mut dropped = std::mem::take(&mut state.dropped);
        dropped.note(&before, &state);
        state.dropped = dropped;
        let text = serde_json::to_vec(&state).map_err(ApiError::internal)?;
        write_atomic(&self.inner.dir.path("state.json"), &text).map_err(ApiError::internal)?;
        // A new schedule, a tag or a half-done asset upload does not change what runs: no reload for those.
        let runs_differently = world(&before) != world(&state);
        *self
            .inner
            .state
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        if runs_differently {
            self.mark_dirty();
        }
        Ok(result)
    }

    /// Keeps `bytes` as a blob.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<String, ApiError> {
        self.inner.dir.put_blob(bytes).map_err(ApiError::internal)
    }

    /// The sidecar; the first caller starts it, the others wait.
    pub async fn runtime(&self) -> Result<&Runtime, ApiError> {
        let options = self.inner.config.runtime.clone();
        Ok(self
            .inner
            .runtime
            .get_or_try_init(|| Runtime::start(options))
            .await?)
    }

    /// The sidecar if it was started.
    pub fn runtime_if_started(&self) -> Option<&Runtime> {
        self.inner.runtime.get()
    }

    /// Makes the runtime serve the current state and keeps it from reloading while the guard is held.
    /// Every edge request takes one; do not hold it for the life of a WebSocket.
    pub async fn settle(&self) -> Result<Settled, ApiError> {
        loop {
            let guard = self.inner.applied.clone().read_owned().await;
            if guard.generation >= self.inner.generation.load(Ordering::SeqCst) {
                return Ok(guard);
            }
            drop(guard);
            self.apply().await?;
        }
    }

    /// Like `settle`, for a request that is about stored things only: Workers that have changed need not run for it.
    /// A train of requests that delete things costs one reload at its end, and not one for each.
    pub async fn settle_storage(&self) -> Result<Settled, ApiError> {
        let guard = self.inner.applied.clone().read_owned().await;
        if self.read(|state| guard.stores_for(state)) {
            return Ok(guard);
        }
        drop(guard);
        self.settle().await
    }

    /// Like `settle_storage`, and alone: no edge or storage request runs while the guard is held.
    /// For work that stops the runtime for a moment, such as putting another file in the place of a database.
    pub async fn settle_storage_alone(&self) -> Result<OwnedRwLockWriteGuard<Applied>, ApiError> {
        loop {
            drop(self.settle_storage().await?);
            let guard = self.inner.applied.clone().write_owned().await;
            if self.read(|state| guard.stores_for(state)) {
                return Ok(guard);
            }
        }
    }

    async fn apply(&self) -> Result<(), ApiError> {
        let mut applied = self.inner.applied.write().await;
        let generation = self.inner.generation.load(Ordering::SeqCst);
        if applied.generation >= generation {
            return Ok(());
        }
        // The generation was read before the snapshot: a mutation in between is applied now and once more later.
        let state = self.snapshot();
        let world = world(&state);
        self.runtime().await?.put_world(&world).await?;
        self.remove_dropped(&state.dropped).await?;
        *applied = Applied {
            generation,
            resources: world.resources,
        };
        Ok(())
    }

    /// Removes the files of storage that was deleted. Nobody can have written to a namesake made since: the caller lets
    /// no request through.
    async fn remove_dropped(&self, dropped: &Dropped) -> Result<(), ApiError> {
        if dropped.is_empty() {
            return Ok(());
        }
        let body = serde_json::to_value(dropped).map_err(ApiError::internal)?;
        self.runtime().await?.post("/drop", &body).await?;
        self.mutate(|state| {
            state.dropped.remove(dropped);
            Ok(())
        })
    }

    /// Waits for the next mutation; for the task that applies worlds in quiet moments.
    pub async fn changed(&self) {
        self.inner.changed.notified().await;
    }

    /// Forces the next `settle` to apply the world again (the sidecar was restarted, storage files were replaced).
    pub fn mark_dirty(&self) {
        self.inner.generation.fetch_add(1, Ordering::SeqCst);
        self.inner.changed.notify_one();
    }

    /// An empty account, as on the first start. The journal and the faults stay.
    pub async fn reset(&self) -> Result<(), ApiError> {
        self.mutate(|state| {
            *state = State::default();
            Ok(())
        })?;
        let _no_reload = match self.runtime_if_started() {
            Some(_) => Some(self.settle().await?),
            None => None,
        };
        for name in ["storage", "time-travel", "d1-exports", "d1-uploads"] {
            match std::fs::remove_dir_all(self.inner.dir.path(name)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(ApiError::internal(error)),
            }
        }
        std::fs::create_dir_all(self.inner.dir.storage()).map_err(ApiError::internal)
    }

    /// Asks the server to stop.
    pub fn shut_down(&self) {
        self.inner.shutdown.notify_waiters();
        self.inner.shutdown.notify_one();
    }

    /// Waits until somebody asked the server to stop.
    pub async fn shutdown_requested(&self) {
        self.inner.shutdown.notified().await;
    }
}

fn load_state(dir: &StateDir) -> Result<State, Fail> {
    let path = dir.path("state.json");
    let unreadable = |why: String| {
        Fail::new(
            format!(
                "could not load the state of the local cloud from {}",
                path.display()
            ),
            why,
            "restore that file, or delete the state directory to start with an empty account",
        )
    };
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::default()),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// Handlers take `app: App` directly.
impl FromRequestParts<App> for App {
    type Rejection = Infallible;

    async fn from_request_parts(_parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        Ok(app.clone())
    }
}
