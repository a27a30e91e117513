//! What a version consists of, compared: the bindings and variables a config leads to, compatibility, secrets by name.
//! Values of variables are compared and never told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Difference, Kind, Subject};
use crate::config::WranglerConfig;
use crate::live::Content;

/// Types of live bindings that hold a variable.
const VARS: [&str; 2] = ["plain_text", "json"];
/// Types of live bindings that hold a secret.
const SECRETS: [&str; 2] = ["secret_text", "secret_key"];

/// How wrangler uploads the lists of other bindings: the config's key, the type, and the field (in the config, on
/// Cloudflare) that says what it is bound to.
const OTHERS: &[(&str, &str, &str, &str)] = &[
    (
        "analytics_engine_datasets",
        "analytics_engine",
        "dataset",
        "dataset",
    ),
    (
        "dispatch_namespaces",
        "dispatch_namespace",
        "namespace",
        "namespace",
    ),
    ("hyperdrive", "hyperdrive", "id", "id"),
    ("images", "images", "", ""),
    (
        "mtls_certificates",
        "mtls_certificate",
        "certificate_id",
        "certificate_id",
    ),
    ("pipelines", "pipelines", "pipeline", "pipeline"),
    ("ratelimits", "ratelimit", "namespace_id", "namespace_id"),
    (
        "secrets_store_secrets",
        "secrets_store_secret",
        "secret_name",
        "secret_name",
    ),
    ("send_email", "send_email", "", ""),
    ("vectorize", "vectorize", "index_name", "index_name"),
    ("workflows", "workflow", "name", "workflow_name"),
    ("assets", "assets", "", ""),
];

/// A binding as the config leads to it.
#[derive(Clone, Debug, PartialEq)]
struct Expected {
    /// Its type on Cloudflare; empty where that is not known.
    kind: &'static str,
    /// The fields that say what it is bound to. A value of `null` stands for "or nothing".
    fields: Vec<(&'static str, Value)>,
    /// In words.
    shown: String,
}

impl Subject<'_> {
    /// Bindings, variables and compatibility.
    pub(super) fn bindings(&self) -> Vec<Difference> {
        let Some(serving) = self.serving else {
            return Vec::new();
        };
        let expected = expected(&self.worker.config);
        let live = by_name(serving);
        let released = self.recorded.map(by_name);
        let names: BTreeSet<&str> = expected
            .keys()
            .map(String::as_str)
            .chain(live.keys().copied())
            .collect();
        let mut found = Vec::new();
        for name in names {
            let (wanted, is) = (expected.get(name), live.get(name).copied());
            if matches!((wanted, is), (Some(wanted), Some(is)) if wanted.fits(is, self.script())) {
                continue;
            }
            let was = released
                .as_ref()
                .map(|released| released.get(name).copied());
            let is_var = wanted.is_some_and(Expected::is_var)
                || is.is_some_and(|is| VARS.contains(&kind_of(is)));
            let kind = if is_var { Kind::Var } else { Kind::Binding };
            let mut difference = self.made(kind, name, self.origin(was.as_ref(), &is));
            difference.repo = wanted.map(|wanted| wanted.shown.clone());
            difference.live = is.map(|is| match wanted {
                Some(wanted) if wanted.is_var() && VARS.contains(&kind_of(is)) => {
                    "another value".to_owned()
                }
                _ => shown(is),
            });
            found.push(difference);
        }
        found.extend(self.compatibility(serving));
        found
    }

    fn compatibility(&self, serving: &Content) -> Vec<Difference> {
        let config = &self.worker.config;
        let mut found = Vec::new();
        let date = |content: &Content| content.compatibility_date.clone();
        if config.compatibility_date.is_some() && config.compatibility_date != date(serving) {
            let origin = self.origin(self.recorded.map(date).as_ref(), &date(serving));
            let mut difference = self.made(Kind::Compatibility, "compatibility_date", origin);
            difference.repo.clone_from(&config.compatibility_date);
            difference.live = date(serving);
            found.push(difference);
        }
        let wanted: BTreeSet<String> = config.compatibility_flags.iter().cloned().collect();
        if wanted != serving.compatibility_flags {
            let flags = |content: &Content| content.compatibility_flags.clone();
            let origin = self.origin(
                self.recorded.map(flags).as_ref(),
                &serving.compatibility_flags,
            );
            let mut difference = self.made(Kind::Compatibility, "compatibility_flags", origin);
            let list = |flags: &BTreeSet<String>| {
                let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
                (!flags.is_empty()).then(|| flags.join(", "))
            };
            difference.repo = list(&wanted);
            difference.live = list(&serving.compatibility_flags);
            found.push(difference);
        }
        found
    }
}

impl Expected {
    fn new(
        kind: &'static str,
        fields: Vec<(&'static str, Value)>,
        shown: impl Into<String>,
    ) -> Expected {
        Expected {
            kind,
            fields,
            shown: shown.into(),
        }
    }

    fn is_var(&self) -> bool {
        VARS.contains(&self.kind)
    }

    /// True when a live binding is this one.
    fn fits(&self, live: &Value, script: &str) -> bool {
        if !self.kind.is_empty() && self.kind != kind_of(live) {
            return false;
        }
        self.fields
            .iter()
            .all(|(field, wanted)| match (*field, wanted) {
                // Not said in the config: wrangler makes the thing and knows it by what the live binding says.
                ("id" | "namespace_id" | "bucket_name", Value::Null) => true,
                ("id", wanted) if self.kind == "d1" => {
                    [&live["id"], &live["database_id"]].contains(&wanted)
                }
                // A class of the worker's own may be told with the worker's name.
                ("script_name", Value::Null) => {
                    live["script_name"].is_null() || live["script_name"] == script
                }
                ("entrypoint", Value::Null) => {
                    matches!(live["entrypoint"].as_str(), None | Some("" | "default"))
                }
                (field, wanted) => live[field] == *wanted,
            })
    }
}

fn kind_of(binding: &Value) -> &str {
    binding["type"].as_str().unwrap_or_default()
}

/// The names of a version's secrets.
pub(super) fn secrets(content: &Content) -> BTreeSet<String> {
    let secrets = content
        .bindings
        .iter()
        .filter(|it| SECRETS.contains(&kind_of(it)));
    let names = secrets.filter_map(|binding| binding["name"].as_str());
    names.map(str::to_owned).collect()
}

/// A version's bindings by name, without secrets and without what wrangler adds for itself (`__STATIC_CONTENT`).
fn by_name(content: &Content) -> BTreeMap<&str, &Value> {
    let bindings = content.bindings.iter();
    bindings
        .filter(|binding| !SECRETS.contains(&kind_of(binding)))
        .filter_map(|binding| Some((binding["name"].as_str()?, binding)))
        .filter(|(name, _)| !name.starts_with("__"))
        .collect()
}

/// A live binding in words: what it leads to, and never a value.
fn shown(binding: &Value) -> String {
    let text = |field: &str| binding[field].as_str();
    match kind_of(binding) {
        "plain_text" | "json" => "a variable".to_owned(),
        "d1" => format!("D1 {}", text("id").or(text("database_id")).unwrap_or("?")),
        "kv_namespace" => format!("KV {}", text("namespace_id").unwrap_or("?")),
        "r2_bucket" => format!("R2 {}", text("bucket_name").unwrap_or("?")),
        "service" => format!("worker {}", text("service").unwrap_or("?")),
        "durable_object_namespace" => format!("class {}", text("class_name").unwrap_or("?")),
        "queue" => format!("queue {}", text("queue_name").unwrap_or("?")),
        kind => {
            let to = OTHERS.iter().find(|(_, other, ..)| *other == kind);
            let to = to.and_then(|(.., field)| text(field));
            to.map_or_else(|| kind.to_owned(), |to| format!("{kind} {to}"))
        }
    }
}

/// Everything a config binds a worker to, by name.
fn expected(config: &WranglerConfig) -> BTreeMap<String, Expected> {
    let bindings = &config.bindings;
    let mut all = things(config);
    let singles = [
        ("ai", &bindings.ai),
        ("browser", &bindings.browser),
        ("version_metadata", &bindings.version_metadata),
    ];
    for (kind, name) in singles {
        let single = |name: &String| (name.clone(), Expected::new(kind, Vec::new(), kind));
        all.extend(name.as_ref().map(single));
    }
    for (name, value) in &bindings.vars {
        let expected = match value {
            Value::String(text) => {
                Expected::new("plain_text", vec![("text", json!(text))], "its value")
            }
            other => Expected::new("json", vec![("json", other.clone())], "its value"),
        };
        all.insert(name.clone(), expected);
    }
    for (key, name) in &bindings.other {
        all.insert(name.clone(), other(config, key, name));
    }
    all
}

/// The bindings that lead to a thing: databases, namespaces, buckets, workers, classes, queues.
fn things(config: &WranglerConfig) -> BTreeMap<String, Expected> {
    let bindings = &config.bindings;
    let mut all = BTreeMap::new();
    let mut add = |name: &str,
                   kind: &'static str,
                   fields: Vec<(&'static str, Value)>,
                   word: &str,
                   to: Option<&str>| {
        let shown = format!("{word} {}", to.unwrap_or("?"));
        all.insert(name.to_owned(), Expected::new(kind, fields, shown));
    };
    for it in &bindings.d1 {
        let to = it.database_id.as_deref().or(it.database_name.as_deref());
        add(
            &it.binding,
            "d1",
            vec![("id", json!(it.database_id))],
            "D1",
            to,
        );
    }
    for it in &bindings.kv {
        let fields = vec![("namespace_id", json!(it.id))];
        add(&it.binding, "kv_namespace", fields, "KV", it.id.as_deref());
    }
    for it in &bindings.r2 {
        let fields = vec![("bucket_name", json!(it.bucket_name))];
        add(
            &it.binding,
            "r2_bucket",
            fields,
            "R2",
            it.bucket_name.as_deref(),
        );
    }
    for it in &bindings.services {
        let fields = vec![
            ("service", json!(it.service)),
            ("entrypoint", json!(it.entrypoint)),
        ];
        add(&it.binding, "service", fields, "worker", Some(&it.service));
    }
    for it in &bindings.durable_objects {
        let fields = vec![
            ("class_name", json!(it.class_name)),
            ("script_name", json!(it.script_name)),
        ];
        add(
            &it.name,
            "durable_object_namespace",
            fields,
            "class",
            Some(&it.class_name),
        );
    }
    for it in &bindings.queue_producers {
        add(
            &it.binding,
            "queue",
            vec![("queue_name", json!(it.queue))],
            "queue",
            Some(&it.queue),
        );
    }
    all
}

/// A binding of a kind the pipeline has no type of its own for.
fn other(config: &WranglerConfig, key: &str, name: &str) -> Expected {
    let Some((_, kind, from, to)) = OTHERS.iter().find(|(known, ..)| *known == key) else {
        return Expected::new("", Vec::new(), key);
    };
    let list = &config.raw[key];
    let mut entries = list.as_array().into_iter().flatten();
    let is_it = |entry: &&Value| entry["binding"].as_str().or(entry["name"].as_str()) == Some(name);
    let target = entries.find(is_it).map(|entry| entry[*from].clone());
    match target.filter(|target| !target.is_null()) {
        Some(target) => {
            let shown = format!("{kind} {}", target.as_str().unwrap_or_default());
            Expected::new(kind, vec![(to, target)], shown)
        }
        None => Expected::new(kind, Vec::new(), *kind),
    }
}
