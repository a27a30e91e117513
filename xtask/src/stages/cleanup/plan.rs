//! What is deleted, and in which order: whoever is bound to something goes before it. Pure.

use std::collections::{BTreeMap, BTreeSet};
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
    let mut plan = Plan::new(STAGE);
    let mut emptied = BTreeMap::new();
    for worker in callers_first(&found.workers) {
        assert_eq!(
            names::parse(&worker.script),
            Some(worker.key),
            "only previews are deleted"
        );
        let placed: BTreeSet<String> = plan.steps.iter().map(|step| step.id.clone()).collect();
        let callers = bound_to(&found.workers, &worker.script);
        // In a circle one has to be the first.
        let needs = callers.filter(|id| placed.contains(id));
        let path = cloud.path(&format!(
            "/workers/services/{}?force=true",
            encode(&worker.script)
        ));
        let goal = format!("delete the worker {}", worker.script);
        let rest = delete(path, &WORKER_NOT_FOUND);
        let step = Step::new(
            "workers",
            worker_id(&worker.script),
            goal,
            Action::Rest(rest),
        );
        plan.push(step.worker(&worker.script).needs(needs.collect::<Vec<_>>()));
    }
    for store in &found.stores {
        assert!(stores::is_consistent(store), "only previews are deleted");
        let needs: Vec<String> = bound_to(&found.workers, &store.id).collect();
        let (word, name) = (store.kind.word(), &store.name);
        let mut last = needs;
        if store.kind == Kind::Bucket {
            let id = format!("empty bucket {name}");
            let action = Action::Task { name: id.clone() };
            let goal = format!("empty the bucket {name}");
            plan.push(
                Step::new("storage", &id, goal, action)
                    .needs(last)
                    .timeout(EMPTYING),
            );
            emptied.insert(id.clone(), store.id.clone());
            last = vec![id];
        }
        let rest = delete(stores::deletion_path(cloud, store), &stores::NOT_FOUND);
        let goal = format!("delete the {word} {name}");
        plan.push(Step::new("storage", store_id(store), goal, Action::Rest(rest)).needs(last));
    }
    Cleanup { plan, emptied }
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

/// The steps that delete those who are bound to something.
fn bound_to<'a>(workers: &'a [Worker], name: &'a str) -> impl Iterator<Item = String> + 'a {
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
