//! The kinds of binding that are not replaced one by one, and everything else a config says. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Work, list, name_of};
use crate::stages::preview::kinds::{KINDS, KNOWN, Rule};

impl Work<'_> {
    pub(super) fn other_kinds(&mut self) {
        for (key, rule, word) in KINDS {
            let Some(mut value) = self.table.remove(*key) else {
                continue;
            };
            if *key == "queues" {
                for queue in list(&value["consumers"]).filter_map(|entry| entry["queue"].as_str()) {
                    self.not_covered(&format!("{{}} is not woken by the queue `{queue}`"));
                }
                if let Some(queues) = value.as_object_mut() {
                    queues.remove("consumers");
                }
            }
            self.sift(&mut value, *rule, word);
            if !is_empty(&value) {
                self.table.insert((*key).to_owned(), value);
            }
        }
    }

    /// Keeps of a kind's value what its rule keeps: a table, a list of them, or tables below `bindings` or `producers`.
    fn sift(&mut self, value: &mut Value, rule: Rule, word: &str) {
        match value {
            Value::Array(entries) => entries.retain(|entry| self.keeps(entry, rule, word)),
            Value::Object(inner) if name_of(inner).is_empty() => {
                for key in ["bindings", "producers"] {
                    if let Some(value) = inner.get_mut(key) {
                        self.sift(value, rule, word);
                    }
                }
                inner.retain(|_, value| !is_empty(value));
            }
            Value::Object(_) if !self.keeps(value, rule, word) => *value = Value::Null,
            _ => {}
        }
    }

    fn keeps(&mut self, entry: &Value, rule: Rule, word: &str) -> bool {
        let binding = entry.as_object().map(name_of).unwrap_or_default();
        let named = self.wiring.policy.keep.contains(&binding);
        match rule {
            Rule::Own => {}
            Rule::Service => {
                let line = format!("{}: `{binding}` is the account's own {word}", self.worker);
                self.done.external.push(line);
            }
            Rule::Reaches if named => {
                let line = format!(
                    "{}: `{binding}` is production's own {word}, kept by `preview.keep`",
                    self.worker
                );
                self.done.external.push(line);
                self.done.kept.insert(binding.clone());
            }
            Rule::Reaches => {
                self.not_covered(&format!(
                    "the binding `{binding}` of {{}} ({word}) is left out"
                ));
                return false;
            }
        }
        self.expect(&binding, None, &[]);
        true
    }

    /// Bindings to files of the version itself.
    pub(super) fn files(&mut self) {
        let assets = self
            .table
            .get("assets")
            .and_then(|assets| assets["binding"].as_str());
        let mut found: Vec<String> = assets.map(str::to_owned).into_iter().collect();
        for key in ["wasm_modules", "text_blobs", "data_blobs"] {
            let map = self.table.get(key).and_then(Value::as_object);
            found.extend(map.into_iter().flat_map(|map| map.keys().cloned()));
        }
        for binding in found {
            self.expect(&binding, None, &[]);
        }
    }

    pub(super) fn vars(&mut self) {
        let mut vars = match self.table.remove("vars") {
            Some(Value::Object(vars)) => vars,
            _ => Map::new(),
        };
        for (name, value) in &self.wiring.policy.vars {
            match fill(value, self.wiring.words) {
                Ok(value) => {
                    vars.insert(name.clone(), value);
                }
                Err(word) => self.mistake(format!(
                    "`preview.vars.{name}`: there is no worker `{word}`"
                )),
            }
        }
        for name in vars.keys() {
            self.expect(name, None, &[]);
        }
        if !vars.is_empty() {
            self.table.insert("vars".to_owned(), Value::Object(vars));
        }
    }

    /// What calls a Worker in production, and what leaves it there.
    pub(super) fn triggers(&mut self) {
        let triggers = self.table.remove("triggers").unwrap_or_default();
        let crons = list(&triggers["crons"]).filter_map(Value::as_str);
        let crons: Vec<String> = crons.map(|cron| format!("`{cron}`")).collect();
        if !crons.is_empty() {
            self.not_covered(&format!(
                "the crons of {{}} do not run ({})",
                crons.join(", ")
            ));
        }
        let routes = self.table.remove("routes").unwrap_or_default();
        let route = self.table.remove("route").unwrap_or_default();
        let patterns: Vec<&str> = list(&routes)
            .chain([&route])
            .filter_map(|route| route.as_str().or_else(|| route["pattern"].as_str()))
            .collect();
        if !patterns.is_empty() {
            self.not_covered(&format!("{{}} does not answer at {}", patterns.join(", ")));
        }
        for (key, what) in [
            ("containers", "the containers of {} are left out"),
            ("cloudchamber", "the containers of {} are left out"),
            ("logpush", "the logs of {} are not pushed anywhere"),
            ("previews", ""),
        ] {
            let value = self.table.remove(key).unwrap_or_default();
            if !what.is_empty() && !is_empty(&value) && value != Value::Bool(false) {
                self.not_covered(what);
            }
        }
    }

    /// A key nobody gave a rule may bind the preview to anything.
    pub(super) fn unknown(&mut self) {
        let known = |key: &String| {
            KNOWN.contains(&key.as_str()) || KINDS.iter().any(|(kind, ..)| kind == key)
        };
        let strangers: Vec<String> = self
            .table
            .iter()
            .filter(|(key, value)| !known(key) && binds(value))
            .map(|(key, _)| key.clone())
            .collect();
        for key in strangers {
            self.mistake(format!("there is no rule for the bindings of `{key}`"));
        }
    }

    pub(super) fn names_once(&mut self) {
        let mut seen = BTreeSet::new();
        let twice: Vec<String> = self
            .done
            .expected
            .iter()
            .filter(|expected| !seen.insert(expected.binding.clone()))
            .map(|expected| expected.binding.clone())
            .collect();
        for name in twice {
            self.mistake(format!(
                "the name `{name}` is given twice, by `preview.vars` or by two bindings"
            ));
        }
    }
}

/// A value of `[preview.vars]` with `{pr}`, `{url:main}` and the like filled in; an error names the unknown worker.
fn fill(value: &Value, words: &BTreeMap<String, String>) -> Result<Value, String> {
    let Value::String(text) = value else {
        return Ok(value.clone());
    };
    let mut filled = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        match after.split_once('}') {
            Some((word, behind)) if words.contains_key(word) => {
                filled.push_str(&words[word]);
                rest = behind;
            }
            Some((word, _)) if word.starts_with("url:") => return Err(word[4..].to_owned()),
            _ => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    Ok(Value::String(filled))
}

/// True when something below gives a name to a binding.
fn binds(value: &Value) -> bool {
    match value {
        Value::Object(table) => table.contains_key("binding") || table.values().any(binds),
        Value::Array(entries) => entries.iter().any(binds),
        _ => false,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(entries) => entries.is_empty(),
        Value::Object(table) => table.is_empty(),
        _ => false,
    }
}
