//! What a worker is given by name: databases, namespaces, buckets, other workers, variables. Shape only; whether the
//! ids and targets make sense is judged in [`crate::workspace`].

use serde_json::Value;

use super::source::Place;

/// The bindings of one worker in the environment that ships.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bindings {
    /// `d1_databases`.
    pub d1: Vec<D1>,
    /// `kv_namespaces`.
    pub kv: Vec<Kv>,
    /// `r2_buckets`.
    pub r2: Vec<R2>,
    /// `services`.
    pub services: Vec<Service>,
    /// `durable_objects.bindings`.
    pub durable_objects: Vec<DurableObject>,
    /// The name of the `ai` binding.
    pub ai: Option<String>,
    /// The name of the `browser` binding.
    pub browser: Option<String>,
    /// The name of the `version_metadata` binding.
    pub version_metadata: Option<String>,
    /// `queues.producers`.
    pub queue_producers: Vec<QueueProducer>,
    /// `queues.consumers`: no binding, but part of what a worker is wired to.
    pub queue_consumers: Vec<QueueConsumer>,
    /// `vars`, in file order. The values may be secrets put there by mistake: never show them.
    pub vars: Vec<(String, Value)>,
    /// Every other binding: the config key it stands under, and its name.
    pub other: Vec<(String, String)>,
}

/// A D1 database.
#[derive(Clone, Debug, PartialEq)]
pub struct D1 {
    /// The name in the worker's code.
    pub binding: String,
    /// The database's name on Cloudflare.
    pub database_name: Option<String>,
    /// The database's id; none means that wrangler would create one.
    pub database_id: Option<String>,
    /// Where wrangler looks for migrations, relative to the config.
    pub migrations_dir: Option<String>,
    /// Where it is declared.
    pub at: Place,
}

/// A KV namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Kv {
    /// The name in the worker's code.
    pub binding: String,
    /// The namespace's id.
    pub id: Option<String>,
    /// Where it is declared.
    pub at: Place,
}

/// An R2 bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct R2 {
    /// The name in the worker's code.
    pub binding: String,
    /// The bucket's name.
    pub bucket_name: Option<String>,
    /// Where it is declared.
    pub at: Place,
}

/// Another worker that is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// The name in the worker's code.
    pub binding: String,
    /// The target's script name.
    pub service: String,
    /// The named entrypoint of the target.
    pub entrypoint: Option<String>,
    /// The target's legacy service environment.
    pub environment: Option<String>,
    /// Where it is declared.
    pub at: Place,
}

/// A Durable Object namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct DurableObject {
    /// The name in the worker's code.
    pub name: String,
    /// The class that implements it.
    pub class_name: String,
    /// The script that holds the class; none means this worker.
    pub script_name: Option<String>,
    /// Where it is declared.
    pub at: Place,
}

/// A queue the worker sends to.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueProducer {
    /// The name in the worker's code.
    pub binding: String,
    /// The queue's name.
    pub queue: String,
}

/// A queue the worker is woken by.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueConsumer {
    /// The queue's name.
    pub queue: String,
    /// Where messages go that cannot be handled.
    pub dead_letter_queue: Option<String>,
}
