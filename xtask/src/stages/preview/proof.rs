//! The proof that a preview cannot reach production: what is really live of it is read back and compared with what was
//! meant and with everything that is production's. Judging is pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::Fail;
use crate::live::{self, Live};
use crate::preview::Key;
use crate::stages::cleanup;
use crate::stages::preview::making::Making;
use crate::stages::preview::rewire::Expected;
use crate::tools::cloudflare::encode;

/// Fields of a live binding that name no thing of the account's.
const NOT_TARGETS: [&str; 4] = ["name", "type", "class_name", "entrypoint"];

/// Kinds of binding that hold a value and lead nowhere.
const VALUES: [&str; 4] = ["plain_text", "json", "secret_text", "secret_key"];

/// What production consists of: each name or id, and what it is.
pub type Production = BTreeMap<String, String>;

impl Making<'_> {
    /// Reads back what is live of the preview. Anything that is production's takes the preview down (exit 3).
    pub fn prove(&mut self) -> anyhow::Result<()> {
        let production = self.production()?;
        let cloud = &self.target.cloudflare;
        let scripts: Vec<String> = self
            .pieces
            .iter()
            .map(|piece| piece.script().to_owned())
            .collect();
        let lives = live::read_all(cloud, &scripts)?;
        let mut paths = Vec::new();
        for (live, script) in lives.iter().zip(&scripts) {
            let versions = live.split.iter().map(|(id, _)| id);
            paths.push(
                versions
                    .map(|id| cloud.script(script, &format!("/versions/{}", encode(id))))
                    .collect::<Vec<_>>(),
            );
        }
        let mut wrong = Vec::new();
        for ((piece, live), paths) in self.pieces.iter().zip(&lives).zip(&paths) {
            wrong.extend(judge_live(piece.script(), piece.version.as_deref(), live));
            for answer in cloud.read_all(paths)? {
                let detail = answer.map_err(Fail::from)?;
                let bindings = detail["resources"]["bindings"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let found = judge(&piece.rewired.expected, &bindings, &production);
                wrong.extend(
                    found
                        .into_iter()
                        .map(|text| format!("{}: {text}", piece.script())),
                );
            }
        }
        if wrong.is_empty() {
            let count = self.pieces.len();
            self.notes.insert(format!(
                "the live bindings of {count} workers were read back: none is production's"
            ));
            return Ok(());
        }
        let fail = self.condemn(
            "the preview could reach what is not its own",
            &wrong.join("\n"),
        );
        let fix =
            "correct the binding in the worker's config, or leave its name out of `preview.keep`";
        Err(fail.fix(fix).into())
    }

    /// What the configs, as written and as built, and the live Workers of production say is production's.
    fn production(&self) -> anyhow::Result<Production> {
        let mut all = Production::new();
        let written = self.source.workers.iter().map(|worker| &worker.config.raw);
        let built = self
            .pieces
            .iter()
            .filter_map(|piece| Some(&piece.effective.as_ref()?.config));
        for config in written.chain(built) {
            note_config(config, self.shared(), &mut all);
        }
        for worker in &self.source.workers {
            all.insert(
                worker.config.name.clone(),
                format!("production's worker {}", worker.name),
            );
        }
        let cloud = &self.target.cloudflare;
        let workers = self.source.workers.iter();
        let paths: Vec<String> = workers
            .map(|worker| cloud.script(&worker.config.name, "/settings"))
            .collect();
        for answer in cloud.read_all(&paths)? {
            match answer {
                Ok(settings) => note_live(&settings["bindings"], self.shared(), &mut all),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(Fail::from(error).into()),
            }
        }
        // A worker outside this repo is kept on purpose, also where production is bound to it.
        for script in &self.source.pipeline.external_services {
            all.remove(script);
        }
        Ok(all)
    }

    /// Takes the preview down for what it could reach; the reason to stop.
    pub(super) fn condemn(&mut self, what: &str, why: &str) -> Fail {
        match self.take_down(what) {
            Ok(()) => Fail::remote(format!("{what}: it was taken down")).why(why),
            Err(fail) => fail.why(why),
        }
    }

    /// Takes the preview down with all that was made for it. `what` is why; an error says that some of it is left.
    pub(super) fn take_down(&mut self, what: &str) -> Result<(), Fail> {
        let key = self.subject.key;
        let again = match key {
            Key::Pr(number) => format!("cargo xtask cleanup --pr {number}"),
            Key::None => "cargo xtask cleanup".to_owned(),
        };
        let left = Fail::partial(format!("{what}, and not all of it could be taken down"))
            .fix(format!("{again}   (until nothing of it is left)"));
        match cleanup::take_down(self.ctx, self.target, self.source, key) {
            Ok(outcome) => {
                let gone = outcome.ok();
                self.keep(outcome);
                if gone { Ok(()) } else { Err(left) }
            }
            Err(error) => Err(left.why(format!("{error:#}"))),
        }
    }
}

fn note_config(config: &Value, shared: bool, all: &mut Production) {
    for (key, field, what) in [
        ("d1_databases", "database_id", "production's database"),
        ("kv_namespaces", "id", "production's KV namespace"),
        ("r2_buckets", "bucket_name", "production's bucket"),
    ] {
        let entries = config[key]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|_| !shared);
        for id in entries.filter_map(|entry| entry[field].as_str()) {
            all.insert(id.to_owned(), what.to_owned());
        }
    }
}

fn note_live(bindings: &Value, shared: bool, all: &mut Production) {
    for binding in bindings.as_array().into_iter().flatten() {
        let (fields, what): (&[&str], &str) = match binding["type"].as_str() {
            Some("d1") if !shared => (&["id", "database_id"], "production's database"),
            Some("kv_namespace") if !shared => (&["namespace_id"], "production's KV namespace"),
            Some("r2_bucket") if !shared => (&["bucket_name"], "production's bucket"),
            Some("durable_object_namespace") => (&["namespace_id"], "production's Durable Objects"),
            _ => continue,
        };
        for id in fields.iter().filter_map(|field| binding[*field].as_str()) {
            all.insert(id.to_owned(), what.to_owned());
        }
    }
}

/// What is wrong with how a preview's Worker is called and what of it serves.
fn judge_live(script: &str, version: Option<&str>, live: &Live) -> Vec<String> {
    let mut wrong = Vec::new();
    let serving: Vec<&str> = live.split.iter().map(|(id, _)| id.as_str()).collect();
    if serving.iter().any(|id| Some(*id) != version) || serving.is_empty() {
        wrong.push(format!(
            "{script}: another version serves than the one that was uploaded"
        ));
    }
    let called: BTreeSet<&String> = live
        .triggers
        .crons
        .iter()
        .chain(live.triggers.routes.keys())
        .chain(&live.triggers.domains)
        .collect();
    for trigger in called {
        wrong.push(format!(
            "{script}: it is called by `{trigger}`, as only production may be"
        ));
    }
    wrong
}

/// What is wrong with the live bindings: one that is production's, one nobody asked for, one that is not as asked for.
fn judge(expected: &[Expected], live: &[Value], production: &Production) -> Vec<String> {
    let mut wrong = Vec::new();
    for binding in live {
        let name = binding["name"].as_str().unwrap_or_default();
        let kind = binding["type"].as_str().unwrap_or_default();
        if !VALUES.contains(&kind) {
            let mut found = BTreeSet::new();
            reaches(binding, production, &mut found);
            wrong.extend(
                found
                    .into_iter()
                    .map(|what| format!("`{name}` ({kind}) is bound to {what}")),
            );
        }
        if matches!(kind, "secret_text" | "secret_key") {
            continue;
        }
        match expected.iter().find(|expected| expected.binding == name) {
            None => wrong.push(format!("`{name}` ({kind}) is live, but in no config")),
            Some(expected) => wrong.extend(differs(expected, binding, kind)),
        }
    }
    for expected in expected {
        let there = live
            .iter()
            .any(|binding| binding["name"] == expected.binding.as_str());
        if !there {
            wrong.push(format!(
                "`{}` is in the config, but not live",
                expected.binding
            ));
        }
    }
    wrong
}

fn differs(expected: &Expected, binding: &Value, kind: &str) -> Option<String> {
    let name = &expected.binding;
    if let Some(wanted) = expected.kind.filter(|wanted| *wanted != kind) {
        return Some(format!("`{name}` is a `{kind}` and not a `{wanted}`"));
    }
    expected.fields.iter().find_map(|(field, wanted)| {
        let found = match *field {
            // The API has two names for it.
            "id" => binding["id"].as_str().or(binding["database_id"].as_str()),
            // Not every answer names the script of foreign objects; whose they are their namespace told above.
            "script_name" if binding["script_name"].is_null() => return None,
            field => binding[field].as_str(),
        };
        (found != Some(wanted.as_str()))
            .then(|| format!("`{name}` is not bound to its own `{field}`"))
    })
}

/// Everything of production's that stands anywhere in a binding.
fn reaches<'p>(value: &Value, production: &'p Production, found: &mut BTreeSet<&'p str>) {
    match value {
        Value::String(text) => found.extend(production.get(text).map(String::as_str)),
        Value::Array(list) => list
            .iter()
            .for_each(|value| reaches(value, production, found)),
        Value::Object(table) => {
            let targets = table
                .iter()
                .filter(|(key, _)| !NOT_TARGETS.contains(&key.as_str()));
            targets.for_each(|(_, value)| reaches(value, production, found));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn expected(
        binding: &str,
        kind: Option<&'static str>,
        fields: &[(&'static str, &str)],
    ) -> Expected {
        Expected {
            binding: binding.to_owned(),
            kind,
            fields: fields
                .iter()
                .map(|(field, value)| (*field, (*value).to_owned()))
                .collect(),
        }
    }

    fn production() -> Production {
        let mut all = Production::new();
        note_config(
            &json!({"d1_databases": [{"database_id": "prod-db"}], "r2_buckets": [{"bucket_name": "images"}]}),
            false,
            &mut all,
        );
        note_live(
            &json!([{"name": "C", "type": "durable_object_namespace", "namespace_id": "prod-do"}]),
            false,
            &mut all,
        );
        all.insert("site".to_owned(), "production's worker site".to_owned());
        all
    }

    #[test]
    fn what_is_as_meant_is_fine() {
        let meant = [
            expected("DB", Some("d1"), &[("id", "own-db")]),
            expected("API", Some("service"), &[("service", "api-pr-7-preview")]),
            expected("SITE", None, &[]),
        ];
        let live = [
            json!({"name": "DB", "type": "d1", "database_id": "own-db"}),
            json!({"name": "API", "type": "service", "service": "api-pr-7-preview"}),
            json!({"name": "SITE", "type": "plain_text", "text": "images"}),
            json!({"name": "KEY", "type": "secret_text"}),
        ];
        assert_eq!(judge(&meant, &live, &production()), Vec::<String>::new());
    }

    #[test]
    fn whatever_is_productions_is_found_wherever_it_stands() {
        let meant = [
            expected("X", None, &[]),
            expected("DB", Some("d1"), &[("id", "own-db")]),
            expected("O", None, &[]),
        ];
        let live = [
            json!({"name": "X", "type": "something_new", "options": {"stores": [{"bucket": "images"}]}}),
            json!({"name": "DB", "type": "d1", "id": "prod-db"}),
            json!({"name": "O", "type": "durable_object_namespace", "class_name": "site", "namespace_id": "prod-do"}),
            json!({"name": "S", "type": "service", "service": "site"}),
        ];
        assert_eq!(
            judge(&meant, &live, &production()),
            [
                "`X` (something_new) is bound to production's bucket",
                "`DB` (d1) is bound to production's database",
                "`DB` is not bound to its own `id`",
                "`O` (durable_object_namespace) is bound to production's Durable Objects",
                "`S` (service) is bound to production's worker site",
                "`S` (service) is live, but in no config",
            ]
        );
    }

    #[test]
    fn a_binding_that_is_missing_or_another_kind_is_wrong() {
        let meant = [
            expected("DB", Some("d1"), &[]),
            expected("KV", Some("kv_namespace"), &[]),
        ];
        let live = [json!({"name": "DB", "type": "kv_namespace"})];
        assert_eq!(
            judge(&meant, &live, &Production::new()),
            [
                "`DB` is a `kv_namespace` and not a `d1`",
                "`KV` is in the config, but not live"
            ]
        );
    }

    #[test]
    fn nothing_but_its_address_may_call_a_preview() {
        let mut live = Live {
            split: vec![("v1".to_owned(), 100)],
            ..Live::default()
        };
        assert!(judge_live("s", Some("v1"), &live).is_empty());
        live.triggers.crons.insert("* * * * *".to_owned());
        live.triggers.domains.insert("shop.example".to_owned());
        assert_eq!(judge_live("s", Some("v1"), &live).len(), 2);
        assert_eq!(judge_live("s", Some("v2"), &Live::default()).len(), 1);
    }
}
