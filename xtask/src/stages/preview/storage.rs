//! The databases, namespaces and buckets of a preview: which exist, and the steps that make and mark them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::error::Fail;
use crate::ledger::Database;
use crate::plan::{Action, Plan, Rest, Step};
use crate::preview::{Key, Kind, Resources, marks, names};
use crate::stages::preview::STAGE;
use crate::tools::cloudflare::{Call, Cloudflare, STORE_NOT_FOUND, encode};

/// Cloudflare's code for "there is such a bucket, and it is yours".
const BUCKET_EXISTS: i64 = 10004;

/// Namespaces asked for at a time.
const NAMESPACES_PER_PAGE: usize = 100;

/// What exists of a preview's storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// Databases by name and namespaces by title → id.
    pub ids: BTreeMap<String, String>,
    /// The buckets.
    pub buckets: BTreeSet<String>,
}

impl Storage {
    /// True when everything asked for is there.
    pub fn covers(&self, resources: &Resources) -> bool {
        let mut named = resources
            .databases
            .values()
            .chain(resources.namespaces.values());
        named.all(|name| self.ids.contains_key(name))
            && resources
                .buckets
                .values()
                .all(|name| self.buckets.contains(name))
    }
}

/// Looks for everything a preview is to have.
pub fn look(cloud: &Cloudflare, resources: &Resources) -> anyhow::Result<Storage> {
    let mut storage = Storage::default();
    let databases: Vec<&String> = resources.databases.values().collect();
    let buckets: Vec<&String> = resources.buckets.values().collect();
    let paths: Vec<String> = databases
        .iter()
        .map(|name| {
            cloud.path(&format!(
                "/d1/database?name={}&per_page=100&page=1",
                encode(name)
            ))
        })
        .chain(
            buckets
                .iter()
                .map(|name| cloud.path(&format!("/r2/buckets/{}", encode(name)))),
        )
        .collect();
    let mut answers = cloud.read_all(&paths)?.into_iter();
    for name in databases {
        let listed = answers
            .next()
            .expect("one answer for each path")
            .map_err(Fail::from)?;
        let listed = listed.as_array().into_iter().flatten();
        let mut same = listed.filter(|entry| entry["name"].as_str() == Some(name.as_str()));
        if let Some(id) = same.next().and_then(|entry| entry["uuid"].as_str()) {
            storage.ids.insert(name.clone(), id.to_owned());
        }
    }
    for name in buckets {
        match answers.next().expect("one answer for each path") {
            Ok(_) => {
                storage.buckets.insert(name.clone());
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(Fail::from(error).into()),
        }
    }
    if !resources.namespaces.is_empty() {
        let wanted: BTreeSet<&String> = resources.namespaces.values().collect();
        let all = namespaces(cloud)?.into_iter();
        storage
            .ids
            .extend(all.filter(|(title, _)| wanted.contains(title)));
    }
    Ok(storage)
}

/// Title and id of every namespace of the account.
fn namespaces(cloud: &Cloudflare) -> anyhow::Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for page in 1.. {
        let path = format!("/storage/kv/namespaces?per_page={NAMESPACES_PER_PAGE}&page={page}");
        let listed = cloud.expect(&Call::get(cloud.path(&path)))?;
        let listed = listed.as_array().cloned().unwrap_or_default();
        all.extend(listed.iter().filter_map(|entry| {
            Some((
                entry["title"].as_str()?.to_owned(),
                entry["id"].as_str()?.to_owned(),
            ))
        }));
        if listed.len() < NAMESPACES_PER_PAGE {
            break;
        }
    }
    Ok(all)
}

/// Makes what is missing, once the steps of another plan have said on the preview's Workers that it will be.
pub fn create(
    cloud: &Cloudflare,
    resources: &Resources,
    storage: &Storage,
    announced: &Plan,
) -> Plan {
    let mut plan = Plan::new(STAGE);
    // Whatever is made and not marked yet is found by what its Workers say: killed in between, it is no orphan.
    let needs = || announced.steps.iter().map(|step| step.id.clone());
    // Not repeatable: after a lost answer the cloud is asked what is there.
    let mut once = |id: String, path: &str, body: Value| {
        let rest = Rest {
            repeatable: false,
            ..Rest::set("POST", cloud.path(path), body)
        };
        plan.push(Step::new("data", &id, id.clone(), Action::Rest(rest)).needs(needs()));
    };
    for name in missing(&resources.databases, |name| storage.ids.contains_key(name)) {
        once(
            format!("make the database {name}"),
            "/d1/database",
            json!({ "name": name }),
        );
    }
    for title in missing(&resources.namespaces, |name| storage.ids.contains_key(name)) {
        let path = "/storage/kv/namespaces";
        once(
            format!("make the namespace {title}"),
            path,
            json!({ "title": title }),
        );
    }
    for name in missing(&resources.buckets, |name| storage.buckets.contains(name)) {
        let id = format!("make the bucket {name}");
        let rest = Rest {
            tolerate: vec![BUCKET_EXISTS],
            ..Rest::set("POST", cloud.path("/r2/buckets"), json!({ "name": name }))
        };
        plan.push(Step::new("data", &id, id.clone(), Action::Rest(rest)).needs(needs()));
    }
    plan
}

fn missing(map: &BTreeMap<String, String>, exists: impl Fn(&String) -> bool) -> BTreeSet<&String> {
    map.values().filter(|name| !exists(name)).collect()
}

/// Writes into each of them whose it is, and makes the pipeline's own tables in the databases.
pub fn mark(
    cloud: &Cloudflare,
    resources: &Resources,
    storage: &Storage,
    key: Key,
    repo: &str,
) -> Plan {
    let mut plan = Plan::new(STAGE);
    let databases = resources
        .databases
        .values()
        .map(|name| (Kind::Database, name));
    let namespaces = resources
        .namespaces
        .values()
        .map(|title| (Kind::Namespace, title));
    for (kind, name) in databases.chain(namespaces) {
        if let Some(id) = storage.ids.get(name) {
            plan.push(marks::step(cloud, (kind, name, id), key, repo));
        }
    }
    for name in resources
        .buckets
        .values()
        .filter(|name| storage.buckets.contains(*name))
    {
        plan.push(marks::step(cloud, (Kind::Bucket, name, name), key, repo));
    }
    plan
}

/// Refuses a database of the preview's name that is not the preview's. One that is empty was made by a run that was
/// killed before it could mark it.
pub fn check_ours(database: &Database, key: Key, repo: &str) -> anyhow::Result<()> {
    let tables = database.tables()?;
    let whose = if tables.contains(names::MARKER_TABLE) {
        database.read(&format!(
            "SELECT repo, preview FROM {}",
            names::MARKER_TABLE
        ))?
    } else {
        Vec::new()
    };
    let ours = whose
        .iter()
        .any(|row| row["repo"] == repo && row["preview"] == key.suffix().as_str());
    if ours || tables.is_empty() {
        return Ok(());
    }
    Err(Fail::setup(format!(
        "there is a database `{}` already, and it is not {} of this repo",
        database.name,
        key.shown()
    ))
    .why(format!(
        "its table `{}` does not say so",
        names::MARKER_TABLE
    ))
    .fix(format!(
        "npx wrangler d1 delete {}   (if it is not needed)",
        database.name
    ))
    .into())
}

/// Deletes databases and namespaces, so that they are made anew; the preview's name is on every one of them.
pub fn delete(
    cloud: &Cloudflare,
    names: &BTreeSet<String>,
    resources: &Resources,
    storage: &Storage,
) -> Plan {
    let mut plan = Plan::new(STAGE);
    let databases: BTreeSet<&String> = resources.databases.values().collect();
    for name in names {
        let Some(id) = storage.ids.get(name) else {
            continue;
        };
        assert!(
            names::parse(name).is_some(),
            "`{name}` is no name of a preview's"
        );
        let (what, path) = match databases.contains(name) {
            true => ("database", format!("/d1/database/{}", encode(id))),
            false => (
                "namespace",
                format!("/storage/kv/namespaces/{}", encode(id)),
            ),
        };
        let rest = Rest {
            body: None,
            tolerate: STORE_NOT_FOUND.to_vec(),
            ..Rest::set("DELETE", cloud.path(&path), Value::Null)
        };
        let id = format!("throw the {what} {name} away");
        plan.push(Step::new("data", &id, id.clone(), Action::Rest(rest)));
    }
    plan
}
