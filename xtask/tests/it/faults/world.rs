//! A repo of two tiny workers, and a local cloud of its own to ship it to. Knows nothing of faults.

use std::borrow::Borrow;
use std::fs;

use serde_json::Value;

use crate::faults::payload::{self, SECRETS, script};

/// What differs from one kind of update to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Code, a secret's worker, a cron, an asset, an SQL migration.
    Plain,
    /// All that, and a new Durable Object class.
    Durable,
}

pub struct World {
    inner: crate::support::World,
    /// The release that HEAD is; 0 when nothing was written yet.
    pub release: u64,
    /// True when a release serves.
    pub live: bool,
    /// Releases that brought a Durable Object class.
    durable: Vec<u64>,
}

impl Borrow<crate::support::World> for World {
    fn borrow(&self) -> &crate::support::World {
        &self.inner
    }
}

impl World {
    pub fn new() -> World {
        let mut inner =
            crate::support::World::of(&[(".gitignore", payload::IGNORED)]).with_stand_in();
        for (name, value) in SECRETS {
            inner.set(name, value);
        }
        let mut world = World {
            inner,
            release: 0,
            live: false,
            durable: Vec::new(),
        };
        world.fresh();
        world
    }

    /// An empty account, and release 1 at HEAD.
    pub fn fresh(&mut self) {
        self.inner.cloud().local("POST", "/reset", None);
        self.inner.clear_faults();
        for folder in [".xtask/releases", "migrations"] {
            let _ = fs::remove_dir_all(self.inner.root().join(folder));
        }
        self.release = 0;
        self.live = false;
        self.durable.clear();
        self.advance(Update::Plain);
    }

    /// The next release at HEAD: every worker changes.
    pub fn advance(&mut self, update: Update) {
        self.release += 1;
        if update == Update::Durable || self.release == 1 {
            self.durable.push(self.release);
        }
        for (path, text) in payload::files(self.release, &self.durable) {
            self.inner.edit(&path, &text);
        }
        self.inner.commit(&format!("release {}", self.release));
    }

    /// The cron of this release.
    pub fn cron(&self) -> String {
        payload::cron(self.release)
    }

    /// Deploys without a fault.
    pub fn deploy(&self) {
        self.inner.deploy();
    }

    /// The result of a GET below the account; null when it is refused.
    pub fn read(&self, path: &str) -> Value {
        let path = format!("/client/v4/accounts/{}{path}", crate::support::ACCOUNT);
        let mut envelope = self.inner.cloud().control("GET", &path, None).json();
        envelope["result"].take()
    }

    /// The rows of one SELECT; none when a table is not there.
    pub fn rows(&self, sql: &str) -> Vec<Value> {
        self.inner.try_query(sql).unwrap_or_default()
    }

    /// What the public sees of a worker.
    pub fn alive(&self, worker: &str) -> (u16, Value) {
        let host = match worker {
            "alpha" => payload::DOMAIN.to_owned(),
            _ => format!("{}.test.localhost", script(worker)),
        };
        let answer = self.inner.edge_get(&host, &format!("/alive/{worker}"));
        let body = serde_json::from_str(&answer.body).unwrap_or_default();
        (answer.status, body)
    }
}
