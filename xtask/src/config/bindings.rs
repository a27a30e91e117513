//! What a worker is given by name: databases, namespaces, buckets, other workers, variables. Shape only; whether the
//! ids and targets make sense is judged in [`crate::workspace`].

use std::collections::HashMap;

use serde_json::Value;

use super::layout::read_pattern;
use super::section::Section;
use super::source::Place;
use super::tree::{Kind, Node};

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
    /// `migrations_pattern`, relative to that folder.
    pub migrations_pattern: Option<String>,
    /// The table wrangler records applied migrations in.
    pub migrations_table: Option<String>,
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

/// Keys that hold arrays of tables, each with the name of a binding under `binding` or `name`.
const OTHER_LISTS: [&str; 20] = [
    "vectorize",
    "hyperdrive",
    "analytics_engine_datasets",
    "mtls_certificates",
    "dispatch_namespaces",
    "workflows",
    "pipelines",
    "secrets_store_secrets",
    "send_email",
    "ratelimits",
    "vpc_services",
    "vpc_networks",
    "worker_loaders",
    "unsafe_hello_world",
    "artifacts",
    "ai_search",
    "ai_search_namespaces",
    "agent_memory",
    "flagship",
    "k2",
];

/// Keys that hold one table with the name of a binding.
const OTHER_TABLES: [&str; 3] = ["images", "media", "stream"];

/// Keys that hold a table from binding names to files.
const OTHER_MAPS: [&str; 3] = ["wasm_modules", "text_blobs", "data_blobs"];

/// Reads every binding of an effective config, and reports names that are given twice.
pub(crate) fn read(config: &Section<'_>) -> Bindings {
    let mut names = Names::default();
    let queues = config.section("queues");
    Bindings {
        d1: read_d1(config, &mut names),
        kv: read_kv(config, &mut names),
        r2: read_r2(config, &mut names),
        services: read_services(config, &mut names),
        durable_objects: read_durable_objects(config, &mut names),
        ai: read_single(config, "ai", &mut names),
        browser: read_single(config, "browser", &mut names),
        version_metadata: read_single(config, "version_metadata", &mut names),
        queue_producers: queues
            .as_ref()
            .map(|queues| read_producers(queues, &mut names))
            .unwrap_or_default(),
        queue_consumers: queues.as_ref().map(read_consumers).unwrap_or_default(),
        vars: read_vars(config, &mut names),
        other: read_other(config, &mut names),
    }
}

/// The names given so far, and the key path each came from.
#[derive(Default)]
struct Names {
    given: HashMap<String, String>,
}

impl Names {
    /// Notes a name; one that is taken already is a mistake, because the later binding would hide the earlier.
    fn give(&mut self, section: &Section<'_>, key: &str, name: &str) {
        let path = section.path_of(key);
        match self.given.get(name) {
            Some(earlier) => {
                let message =
                    format!("`{path}` gives the name `{name}` again, which `{earlier}` has");
                section.notes.error(section.at(key), message);
            }
            None => {
                self.given.insert(name.to_owned(), path);
            }
        }
    }
}

/// The name of a binding, noted as given.
fn name_of(section: &Section<'_>, key: &str, names: &mut Names) -> Option<String> {
    let name = section.required_text(key)?;
    names.give(section, key, &name);
    Some(name)
}

fn read_d1(config: &Section<'_>, names: &mut Names) -> Vec<D1> {
    let d1 = |section: Section<'_>| {
        Some(D1 {
            binding: name_of(&section, "binding", names)?,
            database_name: section.text("database_name"),
            database_id: section.string("database_id"),
            migrations_dir: section.text("migrations_dir"),
            migrations_pattern: read_pattern(&section),
            migrations_table: section.text("migrations_table"),
            at: section.place(),
        })
    };
    let sections = config.sections("d1_databases");
    sections.into_iter().filter_map(d1).collect()
}

fn read_kv(config: &Section<'_>, names: &mut Names) -> Vec<Kv> {
    let kv = |section: Section<'_>| {
        Some(Kv {
            binding: name_of(&section, "binding", names)?,
            id: section.string("id"),
            at: section.place(),
        })
    };
    config
        .sections("kv_namespaces")
        .into_iter()
        .filter_map(kv)
        .collect()
}

fn read_r2(config: &Section<'_>, names: &mut Names) -> Vec<R2> {
    let r2 = |section: Section<'_>| {
        Some(R2 {
            binding: name_of(&section, "binding", names)?,
            bucket_name: section.string("bucket_name"),
            at: section.place(),
        })
    };
    config
        .sections("r2_buckets")
        .into_iter()
        .filter_map(r2)
        .collect()
}

fn read_services(config: &Section<'_>, names: &mut Names) -> Vec<Service> {
    let service = |section: Section<'_>| {
        Some(Service {
            binding: name_of(&section, "binding", names)?,
            service: section.required_text("service")?,
            entrypoint: section.text("entrypoint"),
            environment: section.text("environment"),
            at: section.place(),
        })
    };
    config
        .sections("services")
        .into_iter()
        .filter_map(service)
        .collect()
}

fn read_durable_objects(config: &Section<'_>, names: &mut Names) -> Vec<DurableObject> {
    let durable_object = |section: Section<'_>| {
        Some(DurableObject {
            name: name_of(&section, "name", names)?,
            class_name: section.required_text("class_name")?,
            script_name: section.text("script_name"),
            at: section.place(),
        })
    };
    let list = config
        .section("durable_objects")
        .map(|section| section.sections("bindings"));
    list.unwrap_or_default()
        .into_iter()
        .filter_map(durable_object)
        .collect()
}

fn read_single(config: &Section<'_>, key: &str, names: &mut Names) -> Option<String> {
    name_of(&config.section(key)?, "binding", names)
}

fn read_producers(queues: &Section<'_>, names: &mut Names) -> Vec<QueueProducer> {
    let producer = |section: Section<'_>| {
        Some(QueueProducer {
            binding: name_of(&section, "binding", names)?,
            queue: section.required_text("queue")?,
        })
    };
    queues
        .sections("producers")
        .into_iter()
        .filter_map(producer)
        .collect()
}

fn read_consumers(queues: &Section<'_>) -> Vec<QueueConsumer> {
    let consumer = |section: Section<'_>| {
        Some(QueueConsumer {
            queue: section.required_text("queue")?,
            dead_letter_queue: section.text("dead_letter_queue"),
        })
    };
    queues
        .sections("consumers")
        .into_iter()
        .filter_map(consumer)
        .collect()
}

fn read_vars(config: &Section<'_>, names: &mut Names) -> Vec<(String, Value)> {
    let Some(vars) = config.section("vars") else {
        return Vec::new();
    };
    let mut list = Vec::with_capacity(vars.table.entries.len());
    for entry in &vars.table.entries {
        names.give(&vars, &entry.key, &entry.key);
        list.push((entry.key.clone(), entry.value.to_json()));
    }
    list
}

fn read_other(config: &Section<'_>, names: &mut Names) -> Vec<(String, String)> {
    let mut other = Vec::new();
    let mut add = |kind: &str, section: &Section<'_>, names: &mut Names| {
        let key = if section.value("binding").is_some() {
            "binding"
        } else {
            "name"
        };
        if let Some(name) = section.text(key) {
            names.give(section, key, &name);
            other.push((kind.to_owned(), name));
        }
    };
    for kind in OTHER_LISTS {
        // Kinds that wrangler still shapes may hold one table or many: anything else is left to it.
        for section in tables_of(config, kind) {
            add(kind, &section, names);
        }
    }
    for kind in OTHER_TABLES {
        for section in tables_of(config, kind) {
            add(kind, &section, names);
        }
    }
    for kind in ["unsafe", "logfwdr"] {
        let list = config
            .section(kind)
            .map(|section| section.sections("bindings"));
        for section in list.unwrap_or_default() {
            add(kind, &section, names);
        }
    }
    if let Some(assets) = config.section("assets")
        && let Some(name) = assets.text("binding")
    {
        names.give(&assets, "binding", &name);
        other.push(("assets".to_owned(), name));
    }
    for kind in OTHER_MAPS {
        if let Some(map) = config.section(kind) {
            for entry in &map.table.entries {
                names.give(&map, &entry.key, &entry.key);
                other.push((kind.to_owned(), entry.key.clone()));
            }
        }
    }
    other
}

/// The tables under a key that may hold one or an array of them.
fn tables_of<'n>(config: &Section<'n>, key: &str) -> Vec<Section<'n>> {
    match config.value(key) {
        Some(Node {
            kind: Kind::Table(_),
            ..
        }) => config.section(key).into_iter().collect(),
        Some(Node {
            kind: Kind::Array(_),
            ..
        }) => config.sections(key),
        _ => Vec::new(),
    }
}
