//! The workspace as the preview has it: every worker under its preview's name, calling the previews of its siblings, with
//! nothing that calls it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::config::{DoMigration, PreviewSmoke, WranglerConfig};
use crate::error::Fail;
use crate::preview::{Key, names};
use crate::workspace::{Worker, Workspace};

/// Script → its preview's script, for every worker of the repo.
pub fn siblings(workspace: &Workspace, key: Key) -> BTreeMap<String, String> {
    let scripts = workspace.workers.iter().map(|worker| &worker.config.name);
    scripts
        .map(|script| (script.clone(), names::script(script, key)))
        .collect()
}

/// Refuses a preview whose names are names of production.
pub fn check_names(workspace: &Workspace, key: Key) -> Result<(), Fail> {
    let siblings = siblings(workspace, key);
    let taken = |name: &String| {
        siblings.contains_key(name) || workspace.pipeline.external_services.contains(name)
    };
    let Some((script, name)) = siblings.iter().find(|(_, name)| taken(name)) else {
        return Ok(());
    };
    Err(Fail::setup(format!(
        "the preview of `{script}` would be called `{name}`, which is another worker"
    ))
    .why("a preview never takes the name of something that is not a preview")
    .fix("give the preview a pull request's number (`--pr N`), or rename one of the two workers"))
}

/// The workspace with the selected workers and everything they call, as the preview has them.
pub fn twin(workspace: &Workspace, key: Key, only: &[String]) -> anyhow::Result<Workspace> {
    let siblings = siblings(workspace, key);
    let selected = with_callees(workspace, only)?;
    let mut twin = workspace.clone();
    twin.workers
        .retain(|worker| selected.contains(&worker.config.name));
    for worker in &mut twin.workers {
        worker.url = None;
        rename(&mut worker.config, &siblings);
    }
    Ok(twin)
}

/// The scripts of the selected workers and of all they lead to: a call must not end at a preview that is not there.
fn with_callees(workspace: &Workspace, only: &[String]) -> anyhow::Result<BTreeSet<String>> {
    let mut open: Vec<&Worker> = workspace.select(only)?;
    let mut found = BTreeSet::new();
    while let Some(worker) = open.pop() {
        if found.insert(worker.config.name.clone()) {
            let called = worker.targets();
            let all = workspace.workers.iter();
            open.extend(all.filter(|other| called.contains(&other.config.name.as_str())));
        }
    }
    Ok(found)
}

fn rename(config: &mut WranglerConfig, siblings: &BTreeMap<String, String>) {
    let own = config.name.clone();
    let renamed = |name: &str| siblings.get(name).cloned();
    config.migrations = one_step(config);
    config.routes.clear();
    config.crons = Some(Vec::new());
    config.workers_dev = Some(true);
    config.preview_urls = Some(false);
    config.logpush = None;
    for service in &mut config.bindings.services {
        if let Some(name) = renamed(&service.service) {
            service.service = name;
        }
    }
    for object in &mut config.bindings.durable_objects {
        match &object.script_name {
            Some(script) if *script == own => object.script_name = None,
            Some(script) => object.script_name = renamed(script).or(object.script_name.take()),
            None => {}
        }
    }
    config.tail_consumers = config.tail_consumers.take().and_then(|tails| {
        let tails: Vec<Value> = tails
            .as_array()?
            .iter()
            .filter_map(|tail| renamed(tail["service"].as_str()?))
            .map(|name| json!({ "service": name }))
            .collect();
        (!tails.is_empty()).then(|| Value::from(tails))
    });
    config.name = renamed(&own).unwrap_or(own);
}

/// The Durable Object classes as they are in the end, made in one step: a preview has no objects to carry over, and must
/// take none over from production by a `transferred_classes`.
fn one_step(config: &WranglerConfig) -> Vec<DoMigration> {
    let Some(tag) = config.last_migration_tag() else {
        return Vec::new();
    };
    let (sqlite, plain): (Vec<_>, Vec<_>) = config
        .live_durable_classes()
        .into_iter()
        .partition(|(_, sqlite)| *sqlite);
    let names =
        |classes: Vec<(String, bool)>| classes.into_iter().map(|(class, _)| class).collect();
    vec![DoMigration {
        tag: tag.to_owned(),
        new_sqlite_classes: names(sqlite),
        new_classes: names(plain),
        ..DoMigration::default()
    }]
}

/// The questions of `[[preview.smoke]]` to the workers of the preview.
pub fn questions<'w>(twin: &Workspace, all: &'w [PreviewSmoke]) -> Vec<&'w PreviewSmoke> {
    let known = |name: &str| twin.workers.iter().any(|worker| worker.name == name);
    all.iter().filter(|smoke| known(&smoke.worker)).collect()
}
