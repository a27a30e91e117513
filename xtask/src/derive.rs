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

/// Keys whose value is a path, relative to the config file.
const PATHS: &[&str] = &["main", "base_dir", "tsconfig"];

/// Keys whose value is a table of paths.
const PATH_TABLES: &[&str] = &["wasm_modules", "text_blobs", "data_blobs"];

/// What a version consists of, apart from its code: the effective config without triggers, build and addresses.
pub fn content(effective: &Value, name: &str) -> Value {
    let mut config = effective.clone();
    if let Some(table) = config.as_object_mut() {
        table.retain(|key, _| !NOT_CONTENT.contains(&key.as_str()));
        table.insert("name".to_owned(), Value::from(name));
    }
    config
}

/// The config to upload with: [`content`] with absolute paths, so that it may stand anywhere, for one account, with
/// the triggers switched off (they are set apart, after the promotion). `workers_dev` stays as it is live.
pub fn upload_config(
    effective: &Value,
    name: &str,
    config_dir: &Path,
    account: &str,
    workers_dev: bool,
) -> Value {
    let mut config = content(effective, name);
    for key in PATHS {
        make_absolute(&mut config[*key], config_dir);
    }
    for key in PATH_TABLES {
        for value in config[*key]
            .as_object_mut()
            .into_iter()
            .flat_map(|table| table.values_mut())
        {
            make_absolute(value, config_dir);
        }
    }
    make_absolute(&mut config["assets"]["directory"], config_dir);
    make_absolute(&mut config["site"]["bucket"], config_dir);
    for value in config["alias"]
        .as_object_mut()
        .into_iter()
        .flat_map(|table| table.values_mut())
    {
        if value.as_str().is_some_and(|path| path.starts_with('.')) {
            make_absolute(value, config_dir);
        }
    }
    if let Some(table) = config.as_object_mut() {
        // Indexing above leaves `null` where a key is absent; wrangler rejects some of those.
        table.retain(|_, value| !is_empty(value));
        table.insert("account_id".to_owned(), Value::from(account));
        table.insert("workers_dev".to_owned(), Value::from(workers_dev));
    }
    config
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(table) => !table.is_empty() && table.values().all(Value::is_null),
        _ => false,
    }
}

fn make_absolute(value: &mut Value, base: &Path) {
    if let Some(path) = value.as_str() {
        *value = Value::from(join(base, path).display().to_string());
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
            "vars": {"MODE": "x"}, "alias": {"a": "./b", "c": "d"}
        });
        let derived = upload_config(
            &effective,
            "site",
            Path::new("/repo/workers/site"),
            "acc",
            false,
        );
        assert_eq!(
            derived,
            json!({
                "name": "site", "main": "/repo/workers/site/src/index.ts", "account_id": "acc", "workers_dev": false,
                "assets": {"directory": "/repo/workers/dist", "binding": "ASSETS"}, "vars": {"MODE": "x"},
                "alias": {"a": "/repo/workers/site/b", "c": "d"}
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
