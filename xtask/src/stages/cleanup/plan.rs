//! What is deleted, and in which order: whoever is bound to something goes before it. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::plan::{Action, Plan, Rest, Step};
use crate::preview::names;
use crate::stages::cleanup::STAGE;
use crate::stages::cleanup::found::{Found, Kind, Store, Worker};
use crate::stages::cleanup::stores;
use crate::tools::cloudflare::{Cloudflare, WORKER_NOT_FOUND, encode};

/// Emptying a bucket is a request for each object.
const EMPTYING: Duration = Duration::from_secs(3600);

/// The steps, and which bucket each step that empties one is about.
pub struct Cleanup {
    /// Deletes everything found.
    pub plan: Plan,
    /// Step id → bucket.
    pub emptied: BTreeMap<String, String>,
}

/// Plans the end of everything found.
pub fn plan(found: &Found, cloud: &Cloudflare) -> Cleanup {
    let mut cleanup = Cleanup {
        plan: Plan::new(STAGE),
        emptied: BTreeMap::new(),
    };
    let order = callers_first(&found.workers);
    let keepers: Vec<Option<usize>> = found
        .stores
        .iter()
        .map(|store| keeper(&order, store))
        .collect();
    for (index, worker) in order.iter().enumerate() {
        let kept = found.stores.iter().zip(&keepers);
        let kept = kept.filter(|(_, keeper)| **keeper == Some(index));
        let mut needs: Vec<String> = bound_to(&order[..index], &worker.script).collect();
        for (store, _) in kept {
            let bound = bound_to(&order[..index], &store.id).collect();
            needs.push(cleanup.delete_store(cloud, store, bound));
        }
        cleanup.delete_worker(cloud, worker, needs);
    }
    for (store, _) in found
        .stores
        .iter()
        .zip(keepers)
        .filter(|(_, keeper)| keeper.is_none())
    {
        let bound = bound_to(&order, &store.id).collect();
        cleanup.delete_store(cloud, store, bound);
    }
    cleanup
}

/// The Worker that goes after a store, because for a while nothing else says whose the store is: it has no marker yet, or
/// has to be emptied before it can be deleted. Were the run killed then, nobody would find it again.
fn keeper(order: &[&Worker], store: &Store) -> Option<usize> {
    let needs_one = store.unmarked || store.kind == Kind::Bucket;
    let keeper = || order.iter().rposition(|worker| worker.announces(store));
    needs_one.then(keeper).flatten()
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

    /// The id of the step that is the last.
    fn delete_store(&mut self, cloud: &Cloudflare, store: &Store, needs: Vec<String>) -> String {
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
        let rest = delete(stores::deletion_path(cloud, store), &stores::NOT_FOUND);
        let goal = format!("delete the {word} {name}");
        let step = Step::new("storage", store_id(store), goal, Action::Rest(rest));
        self.plan.push(step.needs(last));
        store_id(store)
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
