//! Turns a worker's config into its preview's: every binding is replaced, rewired, kept or left out by a rule, and what
//! must be live afterwards is written down. Pure.

mod rest;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::config::{Preview, PreviewData};
use crate::digest;
use crate::preview::{Key, Resources, names, resources};

/// What the configs of a preview are rewired with.
#[derive(Clone, Debug)]
pub struct Wiring<'a> {
    /// Which preview.
    pub key: Key,
    /// `[preview]`.
    pub policy: &'a Preview,
    /// Script → its preview's script, of every worker of this repo.
    pub siblings: &'a BTreeMap<String, String>,
    /// What stands in for production's storage.
    pub resources: &'a Resources,
    /// The ids of databases (by name) and namespaces (by title) that exist.
    pub ids: &'a BTreeMap<String, String>,
    /// What `{…}` in a text of `[preview.vars]` stands for.
    pub words: &'a BTreeMap<String, String>,
}

/// A config for a preview, and what is to be known of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rewired {
    /// The config.
    pub config: Value,
    /// What the version must be bound to, and to nothing else.
    pub expected: Vec<Expected>,
    /// Bindings that lead out of the preview.
    pub external: Vec<String>,
    /// What the preview does not have, or does not do.
    pub not_covered: Vec<String>,
    /// The names of `preview.keep` that were of use.
    pub kept: BTreeSet<String>,
}

/// One binding as it must be live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its name in the code.
    pub binding: String,
    /// The API's word for its kind; none when only the name counts.
    pub kind: Option<&'static str>,
    /// Fields of the API, and the value each must have.
    pub fields: Vec<(&'static str, String)>,
}

/// The preview's form of a worker's effective config, or everything that has no rule.
pub fn rewire(
    worker: &str,
    effective: &Value,
    wiring: &Wiring<'_>,
) -> Result<Rewired, Vec<String>> {
    let mut work = Work {
        worker,
        wiring,
        own: effective["name"].as_str().unwrap_or_default().to_owned(),
        table: effective.as_object().cloned().unwrap_or_default(),
        done: Rewired::default(),
        mistakes: Vec::new(),
    };
    work.databases();
    work.namespaces();
    work.buckets();
    work.services();
    work.durable_objects();
    work.tails();
    work.counters();
    work.other_kinds();
    work.files();
    work.vars();
    work.triggers();
    work.unknown();
    work.names_once();
    if !work.mistakes.is_empty() {
        return Err(work.mistakes);
    }
    work.done.config = Value::Object(work.table);
    Ok(work.done)
}

struct Work<'w> {
    worker: &'w str,
    wiring: &'w Wiring<'w>,
    /// The worker's script name in production.
    own: String,
    table: Map<String, Value>,
    done: Rewired,
    mistakes: Vec<String>,
}

impl Work<'_> {
    fn databases(&mut self) {
        let rewired = self.each("d1_databases", |work, entry| {
            let binding = name_of(entry);
            let Some(key) =
                resources::database_key(&Value::Object(entry.clone())).map(str::to_owned)
            else {
                work.mistake(format!("the D1 binding `{binding}` names no database"));
                return;
            };
            if work.shared() {
                return work.expect(&binding, Some("d1"), &[("id", key)]);
            }
            if let Some(name) = work.stand_in(&work.wiring.resources.databases, &key, &binding) {
                let id = work.id_of(&name);
                *entry = table(&[
                    ("binding", &binding),
                    ("database_name", &name),
                    ("database_id", &id),
                ]);
                work.expect(&binding, Some("d1"), &[("id", id)]);
            }
        });
        self.put("d1_databases", rewired);
    }

    fn namespaces(&mut self) {
        let rewired = self.each("kv_namespaces", |work, entry| {
            let binding = name_of(entry);
            let Some(key) = text(entry, "id") else {
                work.mistake(format!("the KV binding `{binding}` names no namespace"));
                return;
            };
            if work.shared() {
                return work.expect(&binding, Some("kv_namespace"), &[("namespace_id", key)]);
            }
            if let Some(title) = work.stand_in(&work.wiring.resources.namespaces, &key, &binding) {
                let id = work.id_of(&title);
                *entry = table(&[("binding", &binding), ("id", &id)]);
                work.expect(&binding, Some("kv_namespace"), &[("namespace_id", id)]);
            }
        });
        self.put("kv_namespaces", rewired);
    }

    fn buckets(&mut self) {
        let rewired = self.each("r2_buckets", |work, entry| {
            let binding = name_of(entry);
            let Some(key) = text(entry, "bucket_name") else {
                work.mistake(format!("the R2 binding `{binding}` names no bucket"));
                return;
            };
            if work.shared() {
                return work.expect(&binding, Some("r2_bucket"), &[("bucket_name", key)]);
            }
            if let Some(place) = text(entry, "jurisdiction") {
                let worker = work.worker;
                work.done.not_covered.push(format!(
                    "the jurisdiction ({place}) of the bucket `{binding}` of {worker}: the preview's bucket has none"
                ));
            }
            if let Some(name) = work.stand_in(&work.wiring.resources.buckets, &key, &binding) {
                *entry = table(&[("binding", &binding), ("bucket_name", &name)]);
                work.expect(&binding, Some("r2_bucket"), &[("bucket_name", name)]);
            }
        });
        self.put("r2_buckets", rewired);
    }

    fn services(&mut self) {
        let rewired = self.each("services", |work, entry| {
            let binding = name_of(entry);
            let Some(target) = text(entry, "service") else {
                work.mistake(format!("the service binding `{binding}` names no service"));
                return;
            };
            let target = match work.wiring.siblings.get(&target) {
                Some(sibling) => {
                    entry.remove("environment");
                    entry.insert("service".to_owned(), Value::from(sibling.as_str()));
                    sibling.clone()
                }
                None => {
                    let line = format!(
                        "{}: `{binding}` calls {target}, which this repo does not ship",
                        work.worker
                    );
                    work.done.external.push(line);
                    target
                }
            };
            work.expect(&binding, Some("service"), &[("service", target)]);
        });
        self.put("services", rewired);
    }

    fn durable_objects(&mut self) {
        let mut section = self.table.remove("durable_objects").unwrap_or_default();
        let Some(entries) = section["bindings"].as_array_mut() else {
            return;
        };
        for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
            let binding = name_of(entry);
            let class = text(entry, "class_name").unwrap_or_default();
            let target = text(entry, "script_name").filter(|target| *target != self.own);
            entry.remove("environment");
            let mut fields = vec![("class_name", class)];
            match target
                .as_ref()
                .map(|target| self.wiring.siblings.get(target))
            {
                None => {
                    entry.remove("script_name");
                }
                Some(Some(sibling)) => {
                    entry.insert("script_name".to_owned(), Value::from(sibling.as_str()));
                    fields.push(("script_name", sibling.clone()));
                }
                Some(None) => {
                    let target = target.unwrap_or_default();
                    self.done.external.push(format!(
                        "{}: `{binding}` reaches the Durable Objects of {target}, which this repo does not ship",
                        self.worker
                    ));
                    fields.push(("script_name", target));
                }
            }
            self.expect(&binding, Some("durable_object_namespace"), &fields);
        }
        if section["bindings"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
        {
            self.table.insert("durable_objects".to_owned(), section);
        }
        // Applied when the preview's worker is made; in a config they would be applied against production's history.
        self.table.remove("migrations");
    }

    /// Logs of a preview stay in it: tail workers of this repo are rewired, others left out.
    fn tails(&mut self) {
        for key in ["tail_consumers", "streaming_tail_consumers"] {
            let mut kept = Vec::new();
            for mut entry in self.take(key) {
                let target = text(&entry, "service").unwrap_or_default();
                match self.wiring.siblings.get(&target) {
                    Some(sibling) => {
                        entry.remove("environment");
                        entry.insert("service".to_owned(), Value::from(sibling.as_str()));
                        kept.push(entry);
                    }
                    None => self.not_covered(&format!("the logs of {{}} are not sent to {target}")),
                }
            }
            self.put(key, kept);
        }
    }

    /// Datasets and rate limits need no making: under another name they are others.
    fn counters(&mut self) {
        let key = self.wiring.key;
        let datasets = self.each("analytics_engine_datasets", |work, entry| {
            let binding = name_of(entry);
            let base = text(entry, "dataset").unwrap_or_else(|| binding.clone());
            let name = names::resource(&base, key).replace('-', "_");
            entry.insert("dataset".to_owned(), Value::from(name.as_str()));
            work.expect(&binding, Some("analytics_engine"), &[("dataset", name)]);
        });
        self.put("analytics_engine_datasets", datasets);
        let limits = self.each("ratelimits", |work, entry| {
            let binding = name_of(entry);
            let base = match entry.get("namespace_id") {
                Some(Value::String(id)) => id.clone(),
                Some(other) => other.to_string(),
                None => String::new(),
            };
            let hash = digest::text(&names::resource(&base, key));
            let number = u32::from_str_radix(&hash[..8], 16)
                .unwrap_or(1)
                .max(1)
                .to_string();
            entry.insert("namespace_id".to_owned(), Value::from(number.as_str()));
            work.expect(&binding, Some("ratelimit"), &[("namespace_id", number)]);
        });
        self.put("ratelimits", limits);
    }

    fn each(
        &mut self,
        key: &str,
        change: impl Fn(&mut Self, &mut Map<String, Value>),
    ) -> Vec<Map<String, Value>> {
        let mut entries = self.take(key);
        for entry in &mut entries {
            change(self, entry);
        }
        entries
    }

    fn take(&mut self, key: &str) -> Vec<Map<String, Value>> {
        match self.table.remove(key) {
            Some(Value::Array(entries)) => entries
                .into_iter()
                .filter_map(|entry| match entry {
                    Value::Object(table) => Some(table),
                    _ => None,
                })
                .collect(),
            Some(Value::Object(table)) => vec![table],
            _ => Vec::new(),
        }
    }

    fn put(&mut self, key: &str, entries: Vec<Map<String, Value>>) {
        if !entries.is_empty() {
            let entries = entries.into_iter().map(Value::Object).collect();
            self.table.insert(key.to_owned(), Value::Array(entries));
        }
    }

    fn expect(
        &mut self,
        binding: &str,
        kind: Option<&'static str>,
        fields: &[(&'static str, String)],
    ) {
        self.done.expected.push(Expected {
            binding: binding.to_owned(),
            kind,
            fields: fields.to_vec(),
        });
    }

    /// The name of what stands in for a thing of production's.
    fn stand_in(
        &mut self,
        map: &BTreeMap<String, String>,
        key: &str,
        binding: &str,
    ) -> Option<String> {
        let found = map.get(key).cloned();
        if found.is_none() {
            self.mistake(format!(
                "nothing stands in for what `{binding}` is bound to"
            ));
        }
        found
    }

    fn id_of(&self, name: &str) -> String {
        let unknown = || format!("(id of {name})");
        self.wiring.ids.get(name).cloned().unwrap_or_else(unknown)
    }

    fn shared(&self) -> bool {
        self.wiring.policy.data == PreviewData::Shared
    }

    fn mistake(&mut self, text: String) {
        self.mistakes.push(format!("{}: {text}", self.worker));
    }

    /// `{}` in the text stands for the worker.
    fn not_covered(&mut self, text: &str) {
        self.done
            .not_covered
            .push(text.replacen("{}", self.worker, 1));
    }
}

fn table(pairs: &[(&str, &str)]) -> Map<String, Value> {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), Value::from(*value));
    pairs.iter().map(pair).collect()
}

fn name_of(entry: &Map<String, Value>) -> String {
    text(entry, "binding")
        .or_else(|| text(entry, "name"))
        .unwrap_or_default()
}

fn text(entry: &Map<String, Value>, key: &str) -> Option<String> {
    let text = entry.get(key)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
