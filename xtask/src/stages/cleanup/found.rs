//! What there is of previews, told by names *and* by tags or markers. A name alone says nothing: what only looks like a
//! preview is left alone.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::Fail;
use crate::plan::{Action, Step};
use crate::preview::{Key, Kind, Resources, marks, names};
use crate::stages::cleanup::stores;
use crate::target::Target;
use crate::tools::cloudflare::{Cloudflare, STORE_NOT_FOUND};
use crate::workspace::Workspace;

/// Which previews are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This one.
    One(Key),
    /// Those of all pull requests.
    EveryPr,
    /// All previews, also the one without a pull request.
    Every,
}

impl Wanted {
    fn covers(self, key: Key) -> bool {
        match self {
            Wanted::One(one) => one == key,
            Wanted::EveryPr => matches!(key, Key::Pr(_)),
            Wanted::Every => true,
        }
    }
}

/// Everything that belongs to the previews looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// In the order of their names.
    pub workers: Vec<Worker>,
    /// Databases, namespaces and buckets, in the order of their names.
    pub stores: Vec<Store>,
    /// What has the name of a preview of this repo and is none, for a person.
    pub foreign: Vec<String>,
    /// Storage that does not carry the marker its name asks for, as long as the Workers are not known.
    pub(super) undecided: Vec<(Store, Whose)>,
}

/// Whose something without the right marker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// It carries another marker.
    Others,
    /// It carries none.
    Unmarked,
}

/// A preview's Worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its name.
    pub script: String,
    /// Its preview.
    pub key: Key,
    /// The Workers, databases, namespaces and buckets it is bound to, by name or id.
    pub bound: BTreeSet<String>,
    /// Its tags.
    pub tags: Vec<String>,
}

impl Worker {
    /// Whether its tags say that storage is of its preview.
    pub fn announces(&self, store: &Store) -> bool {
        self.key == store.key && names::announces(&self.tags, &store.name)
    }
}

/// A database, namespace or bucket of a preview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// What it is.
    pub kind: Kind,
    /// Its name or title.
    pub name: String,
    /// What the API knows it by; a bucket's name.
    pub id: String,
    /// Its preview.
    pub key: Key,
    /// It carries no marker yet: its name and its Workers say whose it is, or the repo's configs.
    pub unmarked: bool,
}

impl Store {
    /// Writes into it whose it is; one that went meanwhile needs no mark.
    pub fn mark(&self, cloud: &Cloudflare, repo: &str) -> Step {
        let mut step = marks::step(cloud, (self.kind, &self.name, &self.id), self.key, repo);
        if let Action::Rest(rest) = &mut step.action {
            rest.tolerate = STORE_NOT_FOUND.to_vec();
        }
        step
    }
}

/// What is looked for, and how it is told.
pub struct Scope<'a> {
    /// Which previews.
    pub wanted: Wanted,
    /// Tells this repo's previews from others'.
    pub repo: String,
    workspace: &'a Workspace,
    /// Names and ids of production: nothing called so is ever a preview's.
    production: BTreeSet<&'a str>,
}

impl<'a> Scope<'a> {
    /// The previews of a repo on an account.
    pub fn new(workspace: &'a Workspace, account: &str, wanted: Wanted) -> Scope<'a> {
        let mut production = BTreeSet::new();
        for worker in &workspace.workers {
            let bindings = &worker.config.bindings;
            production.insert(worker.config.name.as_str());
            for database in &bindings.d1 {
                production.extend(database.database_name.as_deref());
                production.extend(database.database_id.as_deref());
            }
            production.extend(bindings.kv.iter().filter_map(|kv| kv.id.as_deref()));
            production.extend(
                bindings
                    .r2
                    .iter()
                    .filter_map(|r2| r2.bucket_name.as_deref()),
            );
        }
        Scope {
            wanted,
            repo: names::repo_hash(account, &workspace.pipeline.project.name),
            workspace,
            production,
        }
    }

    /// The preview a name may belong to, when it is one of those looked for.
    pub fn key_of(&self, name: &str) -> Option<Key> {
        let key = names::parse(name).filter(|key| self.wanted.covers(*key))?;
        (!self.production.contains(name)).then_some(key)
    }

    /// True for an id of production.
    pub fn is_production(&self, id: &str) -> bool {
        self.production.contains(id)
    }

    /// True when the repo's configs lead to exactly this name.
    pub fn is_derived_script(&self, name: &str, key: Key) -> bool {
        let mut workers = self.workspace.workers.iter();
        workers.any(|worker| names::script(&worker.config.name, key) == name)
    }

    /// The storage the repo's configs lead to.
    pub fn derived(&self, key: Key) -> Resources {
        let configs = self
            .workspace
            .workers
            .iter()
            .map(|worker| &worker.config.raw);
        Resources::of(configs, &self.workspace.pipeline.project.name, key)
    }
}

/// Looks for everything at once. Changes nothing.
pub fn gather(scope: &Scope<'_>, target: &Target) -> anyhow::Result<Found> {
    if !target.reachable {
        return Ok(Found::default());
    }
    let cloud = &target.cloudflare;
    let lookers: [fn(&Scope<'_>, &Cloudflare) -> anyhow::Result<Found>; 4] = [
        workers,
        stores::databases,
        stores::namespaces,
        stores::buckets,
    ];
    let parts: Vec<anyhow::Result<Found>> = std::thread::scope(|threads| {
        let running: Vec<_> = lookers
            .iter()
            .map(|look| threads.spawn(|| look(scope, cloud)))
            .collect();
        let joined = running.into_iter().map(|thread| thread.join());
        joined
            .map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut found = Found::default();
    for part in parts {
        let part = part?;
        found.workers.extend(part.workers);
        found.stores.extend(part.stores);
        found.foreign.extend(part.foreign);
        found.undecided.extend(part.undecided);
    }
    stores::decide(&mut found, scope, cloud)?;
    found.workers.sort_by(|a, b| a.script.cmp(&b.script));
    found
        .stores
        .sort_by(|a, b| (&a.name, a.kind).cmp(&(&b.name, b.kind)));
    Ok(found)
}

impl Found {
    /// The previews there is something of.
    pub fn keys(&self) -> BTreeSet<Key> {
        let workers = self.workers.iter().map(|worker| worker.key);
        workers
            .chain(self.stores.iter().map(|store| store.key))
            .collect()
    }

    /// Only what belongs to these previews.
    #[must_use]
    pub fn only(mut self, keys: &BTreeSet<Key>) -> Found {
        self.workers.retain(|worker| keys.contains(&worker.key));
        self.stores.retain(|store| keys.contains(&store.key));
        self
    }
}

fn workers(scope: &Scope<'_>, cloud: &Cloudflare) -> anyhow::Result<Found> {
    let listed = cloud.expect(&crate::tools::cloudflare::Call::get(
        cloud.path("/workers/scripts"),
    ))?;
    let Value::Array(rows) = listed else {
        return Err(Fail::remote("Cloudflare's list of workers cannot be read").into());
    };
    let candidates: Vec<(&str, Key)> = rows
        .iter()
        .filter_map(|row| {
            let name = row["id"].as_str()?;
            Some((name, scope.key_of(name)?))
        })
        .collect();
    let paths: Vec<String> = candidates
        .iter()
        .map(|(name, _)| cloud.script(name, "/settings"))
        .collect();
    let mut found = Found::default();
    for ((script, key), answer) in candidates.iter().zip(cloud.read_all(&paths)?) {
        let settings = match answer {
            Ok(settings) => settings,
            // It went meanwhile.
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(Fail::from(error).into()),
        };
        let tags: Vec<&str> = texts(&settings["tags"]).collect();
        if names::is_ours(&tags, *key, &scope.repo) {
            found.workers.push(Worker {
                script: (*script).to_owned(),
                key: *key,
                bound: bound(&settings),
                tags: tags.into_iter().map(str::to_owned).collect(),
            });
        } else if scope.is_derived_script(script, *key) {
            found.foreign.push(format!(
                "the worker `{script}` lacks the tags of {} of this repo",
                key.shown()
            ));
        }
    }
    Ok(found)
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// Everything a Worker is bound to, by the name or id the binding gives.
fn bound(settings: &Value) -> BTreeSet<String> {
    let fields = [
        "service",
        "script_name",
        "id",
        "database_id",
        "namespace_id",
        "bucket_name",
    ];
    let lists = [&settings["bindings"], &settings["tail_consumers"]];
    let entries = lists.into_iter().filter_map(Value::as_array).flatten();
    entries
        .flat_map(|entry| fields.iter().filter_map(|field| entry[*field].as_str()))
        .map(str::to_owned)
        .collect()
}
