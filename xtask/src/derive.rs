//! The wrangler config a version is really uploaded with, derived from the worker's own: never hand-kept. Pure.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

/// Keys that are about calling a worker, about building it, or about where its config came from. They never change
/// what a version is, so they are in no derived config and in no digest.
const NOT_CONTENT: &[&str] = &[
    "$schema",
    "account_id",
    "build",
    "configPath",
    "definedEnvironments",
    "dev",
    "env",
    "keep_vars",
    "legacy_env",
    "preview_urls",
    "route",
    "routes",
    "send_metrics",
    "targetEnvironment",
    "topLevelName",
    "triggers",
    "userConfigPath",
    "workers_dev",
];

/// Where paths are, relative to the config file; `*` is any key of a table. wrangler resolves these against the folder of the
/// config, so that an absolute path stays as it is.
const RESOLVED: &[&str] = &["/main", "/base_dir", "/assets/directory", "/site/bucket"];

/// Paths that wrangler joins with the folder of the config: an absolute one would end up below that folder.
const JOINED: &[&str] = &[
    "/site/entry-point",
    "/wasm_modules/*",
    "/text_blobs/*",
    "/data_blobs/*",
];

/// What a version consists of, apart from its code: the effective config without triggers, build and addresses.
pub fn content(effective: &Value, name: &str) -> Value {
    let mut config = effective.clone();
    if let Some(table) = config.as_object_mut() {
        table.retain(|key, _| !NOT_CONTENT.contains(&key.as_str()));
        table.insert("name".to_owned(), Value::from(name));
    }
    config
}

/// The config to upload with: [`content`] with paths that hold in the folder `to`, for one account, with the triggers
/// switched off (they are set apart, after the promotion). `workers_dev` stays as it is live. Both folders are absolute.
pub fn upload_config(
    effective: &Value,
    name: &str,
    (config_dir, to): (&Path, &Path),
    account: &str,
    workers_dev: bool,
) -> Value {
    let mut config = content(effective, name);
    if let Some(table) = config.as_object_mut() {
        // See `tsconfig`.
        table.remove("tsconfig");
        // Part of no version; wrangler would still refuse a queue that does not exist.
        table.remove("addresses");
    }
    if let Some(queues) = config["queues"].as_object_mut() {
        queues.remove("consumers");
    }
    for pointer in RESOLVED {
        for_each_path(&mut config, pointer, |path| join(config_dir, path));
    }
    for pointer in JOINED {
        for_each_path(&mut config, pointer, |path| {
            relative(to, &join(config_dir, path))
        });
    }
    for_each_path(&mut config, "/alias/*", |path| {
        match path.starts_with('.') {
            true => join(config_dir, path),
            false => PathBuf::from(path),
        }
    });
    if let Some(table) = config.as_object_mut() {
        // wrangler rejects `null` for some keys.
        table.retain(|_, value| !is_empty(value));
        table.insert("account_id".to_owned(), Value::from(account));
        table.insert("workers_dev".to_owned(), Value::from(workers_dev));
    }
    config
}

/// The config's `tsconfig`, absolute. It is no part of the derived config: wrangler makes it relative to the folder it runs in,
/// and then resolves it against the folder of the config. As a flag it is used as it is.
pub fn tsconfig(effective: &Value, config_dir: &Path) -> Option<PathBuf> {
    Some(join(config_dir, effective["tsconfig"].as_str()?))
}

/// Replaces the texts at a pointer, whose last part may be `*`.
fn for_each_path(config: &mut Value, pointer: &str, change: impl Fn(&str) -> PathBuf) {
    let set = |value: &mut Value| {
        if let Some(path) = value.as_str() {
            *value = Value::from(change(path).display().to_string());
        }
    };
    match pointer.strip_suffix("/*") {
        Some(table) => {
            let table = config.pointer_mut(table).and_then(Value::as_object_mut);
            table
                .into_iter()
                .flat_map(|it| it.values_mut())
                .for_each(set);
        }
        None => config.pointer_mut(pointer).into_iter().for_each(set),
    }
}

/// The way from one absolute folder to an absolute path.
fn relative(from: &Path, path: &Path) -> PathBuf {
    let shared = from
        .components()
        .zip(path.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(path.components().skip(shared)).collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(table) => !table.is_empty() && table.values().all(Value::is_null),
        _ => false,
    }
}

/// Joins and tidies a path without asking the disk; an absolute one stays as it is.
pub fn join(base: &Path, path: &str) -> PathBuf {
    let mut joined = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                joined.pop();
            }
            other => joined.push(other),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_upload_has_absolute_paths_and_no_triggers() {
        let effective = json!({
            "name": "site", "main": "src/index.ts", "routes": ["example.com/*"], "triggers": {"crons": ["* * * * *"]},
            "build": {"command": "vite build"}, "assets": {"directory": "../dist", "binding": "ASSETS"},
            "vars": {"MODE": "x"}, "alias": {"a": "./b", "c": "d"}, "tsconfig": "../analytics/tsconfig.json",
            "wasm_modules": {"LIB": "lib.wasm"}
        });
        let derived = upload_config(
            &effective,
            "site",
            (
                Path::new("/repo/workers/site"),
                Path::new("/repo/.xtask/derived/site"),
            ),
            "acc",
            false,
        );
        assert_eq!(
            derived,
            json!({
                "name": "site", "main": "/repo/workers/site/src/index.ts", "account_id": "acc", "workers_dev": false,
                "assets": {"directory": "/repo/workers/dist", "binding": "ASSETS"}, "vars": {"MODE": "x"},
                "alias": {"a": "/repo/workers/site/b", "c": "d"},
                "wasm_modules": {"LIB": "../../../workers/site/lib.wasm"}
            })
        );
    }

    #[test]
    fn content_does_not_depend_on_triggers_or_place() {
        let one = json!({"main": "a.ts", "routes": ["x/*"], "configPath": "/home/a/wrangler.toml"});
        let two = json!({"main": "a.ts", "configPath": "/home/b/wrangler.toml"});
        assert_eq!(content(&one, "n"), content(&two, "n"));
        assert_ne!(content(&one, "n"), content(&json!({"main": "b.ts"}), "n"));
    }
}
