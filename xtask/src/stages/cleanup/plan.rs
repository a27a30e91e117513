//! What is deleted, and in which order: whoever is bound to something goes before it. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::plan::{Action, Plan, Rest, Step};
use crate::preview::{Kind, marks, names};
use crate::stages::cleanup::STAGE;
use crate::stages::cleanup::found::{Found, Store, Worker};
use crate::stages::cleanup::stores;
use crate::tools::cloudflare::{Cloudflare, STORE_NOT_FOUND, WORKER_NOT_FOUND, encode};

/// Emptying a bucket is a request for each object.
const EMPTYING: Duration = Duration::from_secs(3600);

/// The steps, and which bucket each step that empties one is about.
pub struct Cleanup {
    /// Deletes everything found.
    pub plan: Plan,
    /// Step id → bucket.
    pub emptied: BTreeMap<String, String>,
}

/// Plans the end of everything found. What only Workers announce is marked before they go: were the run killed then, nobody
/// would find it again.
pub fn plan(found: &Found, cloud: &Cloudflare, repo: &str) -> Cleanup {
    let mut cleanup = Cleanup {
        plan: Plan::new(STAGE),
        emptied: BTreeMap::new(),
    };
    let order = callers_first(&found.workers);
    let announced: Vec<&Store> = found
        .stores
        .iter()
        .filter(|store| store.unmarked && order.iter().any(|worker| worker.announces(store)))
        .collect();
    for store in &announced {
        assert!(stores::is_consistent(store), "only previews are marked");
        cleanup.plan.push(store.mark(cloud, repo));
    }
    for (index, worker) in order.iter().enumerate() {
        let told = announced.iter().filter(|store| worker.announces(store));
        let marks = told.map(|store| marks::step_id(store.kind, &store.name));
        let needs = marks.chain(bound_to(&order[..index], &worker.script));
        cleanup.delete_worker(cloud, worker, needs.collect());
    }
    for store in &found.stores {
        let marks = announced.iter().filter(|other| **other == store);
        let marks = marks.map(|store| marks::step_id(store.kind, &store.name));
        let needs = marks.chain(bound_to(&order, &store.id));
        cleanup.delete_store(cloud, store, needs.collect());
    }
    cleanup
}

impl Cleanup {
    fn delete_worker(&mut self, cloud: &Cloudflare, worker: &Worker, needs: Vec<String>) {
        assert_eq!(
            names::parse(&worker.script),
            Some(worker.key),
            "only previews are deleted"
        );
        let script = encode(&worker.script);
        let path = cloud.path(&format!("/workers/services/{script}?force=true"));
        let goal = format!("delete the worker {}", worker.script);
        let action = Action::Rest(delete(path, &WORKER_NOT_FOUND));
        let step = Step::new("workers", worker_id(&worker.script), goal, action);
        self.plan.push(step.worker(&worker.script).needs(needs));
    }

    fn delete_store(&mut self, cloud: &Cloudflare, store: &Store, needs: Vec<String>) {
        assert!(stores::is_consistent(store), "only previews are deleted");
        let (word, name) = (store.kind.word(), &store.name);
        let mut last = needs;
        if store.kind == Kind::Bucket {
            let id = format!("empty bucket {name}");
            let action = Action::Task { name: id.clone() };
            let goal = format!("empty the bucket {name}");
            let step = Step::new("storage", &id, goal, action).needs(last);
            self.plan.push(step.timeout(EMPTYING));
            self.emptied.insert(id.clone(), store.id.clone());
            last = vec![id];
        }
        let rest = delete(stores::deletion_path(cloud, store), &STORE_NOT_FOUND);
        let goal = format!("delete the {word} {name}");
        let step = Step::new("storage", store_id(store), goal, Action::Rest(rest));
        self.plan.push(step.needs(last));
    }
}

/// The id of the step that deletes a Worker.
pub fn worker_id(script: &str) -> String {
    format!("delete worker {script}")
}

/// The id of the step that deletes a database, namespace or bucket.
pub fn store_id(store: &Store) -> String {
    format!("delete {} {}", store.kind.word(), store.name)
}

fn delete(path: String, not_found: &[i64]) -> Rest {
    Rest {
        body: None,
        tolerate: not_found.to_vec(),
        ..Rest::set("DELETE", path, Value::Null)
    }
}

/// The steps that delete those who are bound to something; in a circle one of them has to be the first.
fn bound_to<'a>(workers: &'a [&'a Worker], name: &'a str) -> impl Iterator<Item = String> + 'a {
    let bound = workers
        .iter()
        .filter(move |worker| worker.script != name && worker.bound.contains(name));
    bound.map(|worker| worker_id(&worker.script))
}

/// Callers before callees; of a circle the first by name comes first.
fn callers_first(workers: &[Worker]) -> Vec<&Worker> {
    let mut left: Vec<&Worker> = workers.iter().collect();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let is_called = |worker: &Worker| {
            let mut others = left.iter().filter(|other| other.script != worker.script);
            others.any(|other| other.bound.contains(&worker.script))
        };
        let next = left
            .iter()
            .position(|worker| !is_called(worker))
            .unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}
