//! What should run, derived from what the account holds. Pure: the runtime carries it out.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::queues::{
    Consumer, ConsumerKind, ConsumerSettings, Queue as StoredQueue, QueueSettings,
};
use crate::resource_id::ResourceId;
use crate::state::{Assets, Module, Script, State};

/// How many of a Worker's newest undeployed versions are kept running for their preview URLs.
const PREVIEW_VERSIONS_MAX: usize = 4;

/// Everything the sidecar must serve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct World {
    /// Workers with at least one deployment, by name.
    pub workers: Vec<Worker>,
    /// Storage that must exist even if nothing binds it.
    pub resources: Resources,
    /// Queues.
    pub queues: Vec<Queue>,
}

/// One queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Queue {
    /// 32 hex digits.
    pub id: String,
    /// Name, as bindings say it.
    pub name: String,
    /// How it treats all messages.
    pub settings: QueueSettings,
    /// The Worker that gets the messages; one that pulls asks for them by itself.
    pub consumer: Option<QueueConsumer>,
}

/// A Worker that gets messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueConsumer {
    /// Worker.
    pub script: String,
    /// Id of the queue that gets what was retried too often.
    pub dead_letter: Option<String>,
    /// How messages are handed over.
    pub settings: ConsumerSettings,
}

/// One Worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worker {
    /// Name.
    pub script: String,
    /// The primary first (highest percentage, newest on a tie), then the other deployed ones, then previews.
    pub versions: Vec<Version>,
}

/// One version, ready to run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Version {
    /// UUID.
    pub id: String,
    /// Share of traffic; `null` = not in the live deployment, reachable by its preview URL only.
    pub percentage: Option<f64>,
    /// Entry module; `null` for an assets-only Worker.
    pub main_module: Option<String>,
    /// Modules.
    pub modules: Vec<Module>,
    /// As uploaded.
    pub compatibility_date: Option<String>,
    /// As uploaded.
    pub compatibility_flags: Vec<String>,
    /// As uploaded, `inherit` resolved, secrets included.
    pub bindings: Vec<Value>,
    /// Classes this script owns after its migrations.
    pub durable_objects: Vec<DurableObject>,
    /// Static assets.
    pub assets: Option<Assets>,
    /// `workers/tag`, for the version metadata binding.
    pub tag: Option<String>,
    /// RFC 3339.
    pub created_on: String,
}

/// A Durable Object class of a Worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DurableObject {
    /// Id of the namespace. The runtime keys the stored objects by it (Miniflare: `unsafeUniqueKey`), so a renamed
    /// class keeps its objects and a class that was deleted and made again starts empty.
    pub id: String,
    /// Class.
    pub class_name: String,
    /// SQLite-backed.
    pub sqlite: bool,
}

/// Storage by id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// Database UUIDs.
    pub d1: Vec<ResourceId>,
    /// Namespace ids.
    pub kv: Vec<ResourceId>,
    /// Bucket names.
    pub r2: Vec<ResourceId>,
}

impl Resources {
    /// Whether everything an account stores in is among these.
    pub fn hold_all_of(&self, state: &State) -> bool {
        state.d1.keys().all(|id| self.d1.contains(id))
            && state.kv.keys().all(|id| self.kv.contains(id))
            && state.r2.keys().all(|name| self.r2.contains(name))
    }
}

/// The world of a state.
pub fn world(state: &State) -> World {
    World {
        workers: state.scripts.values().filter_map(worker).collect(),
        resources: Resources {
            d1: state.d1.keys().cloned().collect(),
            kv: state.kv.keys().cloned().collect(),
            r2: state.r2.keys().cloned().collect(),
        },
        queues: state
            .queues
            .iter()
            .map(|(id, stored)| queue(state, id, stored))
            .collect(),
    }
}

fn queue(state: &State, id: &str, stored: &StoredQueue) -> Queue {
    let worker = stored
        .consumer
        .as_ref()
        .filter(|consumer| consumer.kind == ConsumerKind::Worker);
    let consumer = |consumer: &Consumer| {
        let dead_letter = consumer.dead_letter_queue.as_deref();
        Some(QueueConsumer {
            script: consumer.script.clone()?,
            dead_letter: dead_letter
                .and_then(|name| state.queue_named(name))
                .map(|(id, _)| id.clone()),
            settings: consumer.settings.clone(),
        })
    };
    Queue {
        id: id.to_owned(),
        name: stored.name.clone(),
        settings: stored.settings.clone(),
        consumer: worker.and_then(consumer),
    }
}

fn worker(script: &Script) -> Option<Worker> {
    let live = script.live()?;
    let shares: BTreeMap<&str, f64> = live
        .versions
        .iter()
        .map(|share| (share.version_id.as_str(), share.percentage))
        .collect();
    let mut deployed: Vec<_> = script
        .versions
        .iter()
        .filter(|version| shares.contains_key(version.id.as_str()))
        .collect();
    deployed.sort_by(|a, b| {
        let share = |id: &str| shares.get(id).copied().unwrap_or(0.0);
        share(&b.id)
            .total_cmp(&share(&a.id))
            .then(b.number.cmp(&a.number))
    });
    let previewed = script.subdomain.previews_enabled && script.durable_objects.is_empty();
    let previews = script
        .versions
        .iter()
        .rev()
        .filter(|version| previewed && !shares.contains_key(version.id.as_str()))
        .take(PREVIEW_VERSIONS_MAX);
    let versions = deployed
        .into_iter()
        .chain(previews)
        .map(|stored| version(script, stored, shares.get(stored.id.as_str()).copied()))
        .collect();
    Some(Worker {
        script: script.name.clone(),
        versions,
    })
}

/// One stored version as the runtime wants it.
pub fn version(
    script: &Script,
    stored: &crate::state::Version,
    percentage: Option<f64>,
) -> Version {
    Version {
        id: stored.id.clone(),
        percentage,
        main_module: stored.main_module.clone(),
        modules: stored.modules.clone(),
        compatibility_date: stored.compatibility_date.clone(),
        compatibility_flags: stored.compatibility_flags.clone(),
        bindings: stored.bindings.clone(),
        durable_objects: script
            .durable_objects
            .iter()
            .map(|(class_name, namespace)| DurableObject {
                id: namespace.id.clone(),
                class_name: class_name.clone(),
                sqlite: namespace.sqlite,
            })
            .collect(),
        assets: stored.assets.clone(),
        tag: stored.annotations.get("workers/tag").cloned(),
        created_on: stored.created_on.clone(),
    }
}
