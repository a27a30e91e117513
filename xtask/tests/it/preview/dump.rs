//! Everything an account holds, so that two moments can be compared: the control plane's state, and every row, key and
//! object.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::World;

/// Name of the thing → its content. Databases, namespaces and buckets are named by name, title and name.
pub type Dump = BTreeMap<String, String>;

/// Dumps everything whose name does not hold `but`.
#[track_caller]
pub fn dump(world: &World, but: &str) -> Dump {
    let state = world.cloud_state();
    let mut dump = Dump::new();
    // Not even read: what is left out may be going away at this very moment.
    let wanted = |name: &str| but.is_empty() || !name.contains(but);
    for (script, value) in table(&state["scripts"]).filter(|(name, _)| wanted(name)) {
        dump.insert(format!("script {script}"), value.to_string());
    }
    for (id, database) in table(&state["d1"]) {
        let name = database["name"].as_str().unwrap_or_default();
        if !wanted(name) {
            continue;
        }
        for (table, rows) in rows(world, id) {
            dump.insert(format!("database {name} {id} {table}"), rows);
        }
    }
    for (id, namespace) in table(&state["kv"]) {
        let title = namespace["title"].as_str().unwrap_or_default();
        if !wanted(title) {
            continue;
        }
        dump.insert(format!("namespace {title} {id}"), keys(world, id));
    }
    for (bucket, _) in table(&state["r2"]).filter(|(name, _)| wanted(name)) {
        let path = format!("/r2/buckets/{bucket}/objects");
        let objects = world.cloud().result("GET", &path, None);
        dump.insert(format!("bucket {bucket}"), objects.to_string());
    }
    dump.insert("domains".to_owned(), state["domains"].to_string());
    dump
}

/// What differs between two dumps, one line each.
pub fn difference(before: &Dump, after: &Dump) -> Vec<String> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let differing = names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name));
    differing
        .map(|name| format!("{name}:\n  {:?}\n  {:?}", before.get(name), after.get(name)))
        .collect()
}

fn rows(world: &World, database: &str) -> Vec<(String, String)> {
    let tables = world.query_in(
        database,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY name",
    );
    let names = tables.iter().filter_map(|row| row["name"].as_str());
    names
        .map(|name| {
            let rows = world.query_in(database, &format!("SELECT * FROM \"{name}\" ORDER BY 1"));
            (name.to_owned(), Value::from(rows).to_string())
        })
        .collect()
}

fn keys(world: &World, namespace: &str) -> String {
    let base = format!("/storage/kv/namespaces/{namespace}");
    let listed = world.cloud().result("GET", &format!("{base}/keys"), None);
    let names = listed.as_array().into_iter().flatten();
    let account = crate::support::ACCOUNT;
    let pairs = names.filter_map(|key| {
        let name = key["name"].as_str()?;
        let path = format!(
            "/client/v4/accounts/{account}{base}/values/{}",
            encoded(name)
        );
        let value = world.cloud().control("GET", &path, None);
        Some(format!("{name}={}", value.body))
    });
    pairs.collect::<Vec<_>>().join("\n")
}

/// A key as one part of a path.
fn encoded(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    key.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

fn table(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
