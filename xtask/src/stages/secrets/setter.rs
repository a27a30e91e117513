//! Sends the values: the only place they go out, in the body of a request that curl reads from a pipe.

use serde_json::{Value, json};

use super::values::Values;
use crate::error::Fail;
use crate::live::{self, SECRETS_MARK};
use crate::plan::{Action, Step};
use crate::run::{Io, Runner};
use crate::stages::deploy::part::Part;
use crate::stages::deploy::release::short;
use crate::stages::effects::Effects;
use crate::tools::cloudflare::{ApiError, Call, encode};
use crate::workspace::Worker;

/// A message names so many secrets; the rest are counted.
const NAMED_MAX: usize = 3;

/// What a worker declares of the values given.
pub(super) fn names_of(worker: &Worker, values: &Values) -> Vec<String> {
    let declared = worker.secrets.iter();
    declared
        .filter(|name| values.get(name).is_some())
        .cloned()
        .collect()
}

/// Sends the values; knows the deployments and probes of `Effects`, too.
pub(super) struct Setter<'a> {
    pub(super) effects: Effects<'a>,
    pub(super) values: &'a Values,
    pub(super) parts: &'a [Part<'a>],
    pub(super) id: &'a str,
}

impl Runner for Setter<'_> {
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value> {
        let Action::Task { name } = &step.action else {
            return self.effects.exec(step, io);
        };
        let (verb, worker) = name.split_once(' ').unwrap_or((name, ""));
        let Some(part) = self.parts.iter().find(|part| part.name() == worker) else {
            anyhow::bail!("`{name}` is no step of this stage");
        };
        match verb {
            "version" => self.version(part, io),
            "set" => self.set(part),
            _ => anyhow::bail!("`{name}` is no step of this stage"),
        }
    }
}

impl Setter<'_> {
    /// A new version of the latest one, with other secrets. When the answer is lost, the list of versions has it or not.
    fn version(&self, part: &Part<'_>, io: &Io) -> anyhow::Result<Value> {
        let cloud = &self.effects.target.cloudflare;
        let names = names_of(part.worker, self.values);
        let texts = names.iter().map(|name| {
            let text = self.values.get(name).unwrap_or_default();
            (name.clone(), json!({"type": "secret_text", "text": text}))
        });
        let message = message(&names, self.id);
        let mut annotations = json!({"workers/message": message});
        // The worker still tells the release its code came with.
        let serving = part.live.serving().and_then(|id| part.live.version(id));
        if let Some(tag) = serving.and_then(|version| version.tag.as_ref()) {
            annotations["workers/tag"] = json!(tag);
        }
        let env: serde_json::Map<String, Value> = texts.collect();
        let path = cloud.path(&format!(
            "/workers/workers/{}/versions/latest",
            encode(part.script())
        ));
        let body = json!({"env": env, "annotations": annotations});
        let id = match cloud.call(&Call::once("PATCH", path, body))? {
            Ok(made) => made["id"].as_str().map(str::to_owned),
            Err(error) if error.maybe_done => Some(self.made(part, &message, error)?),
            Err(error) => return Err(Fail::from(error).into()),
        };
        let Some(id) = id else {
            anyhow::bail!("Cloudflare made a version without an id");
        };
        io.note(&format!("version {}", short(&id)));
        Ok(json!({ "version_id": id }))
    }

    fn made(&self, part: &Part<'_>, message: &str, error: ApiError) -> anyhow::Result<String> {
        let cloud = &self.effects.target.cloudflare;
        let live = live::read_all(cloud, &[part.script().to_owned()])?;
        let versions = live.iter().flat_map(|live| &live.versions);
        let found = versions
            .into_iter()
            .find(|version| version.message.as_deref() == Some(message));
        Ok(found.ok_or_else(|| Fail::from(error))?.id.clone())
    }

    /// All values of a worker in one request, live at once.
    fn set(&self, part: &Part<'_>) -> anyhow::Result<Value> {
        let cloud = &self.effects.target.cloudflare;
        let secrets: serde_json::Map<String, Value> = names_of(part.worker, self.values)
            .into_iter()
            .map(|name| {
                let text = self.values.get(&name).unwrap_or_default();
                let secret = json!({"name": name, "text": text, "type": "secret_text"});
                (name, secret)
            })
            .collect();
        let path = cloud.script(part.script(), "/secrets-bulk");
        cloud.expect(&Call::repeatable(
            "PATCH",
            path,
            json!({ "secrets": secrets }),
        ))?;
        Ok(Value::Null)
    }
}

/// `xtask secrets ADMIN_KEY,FB_SECRET s20261124…`: says whose version it is, and which values were set with it.
fn message(names: &[String], id: &str) -> String {
    let mut shown = names[..names.len().min(NAMED_MAX)].join(",");
    if names.len() > NAMED_MAX {
        shown.push_str(&format!(",+{}", names.len() - NAMED_MAX));
    }
    format!("{SECRETS_MARK}{shown} {id}")
}
