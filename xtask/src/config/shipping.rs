//! What becomes of every key of a wrangler config when a release ships it, in one table; and which settings of a config a
//! release would leave out.

use serde_json::Value;

use super::section::Section;
use super::source::Place;
use super::suggest;

/// How a key's value reaches Cloudflare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// With the version: wrangler uploads it.
    Version,
    /// Set by the pipeline after the promotion, and put back on failure.
    Trigger,
    /// A setting of the script, uploaded with a version and effective for all of them.
    Setting,
    /// Decides what is built, or where it is uploaded to.
    Build,
    /// For `wrangler dev`, previews of wrangler's own, or wrangler itself.
    Development,
    /// Not shipped: a deploy refuses it.
    Refused,
}

use Shipped::{Build, Development, Refused, Setting, Trigger, Version};

/// Every top-level key of wrangler 4.155.0, in alphabetical order.
pub const KEYS: &[(&str, Shipped)] = &[
    ("$schema", Development),
    ("access", Development),
    ("account_id", Build),
    ("addresses", Refused),
    ("agent_memory", Version),
    ("ai", Version),
    ("ai_search", Version),
    ("ai_search_namespaces", Version),
    ("alias", Build),
    ("analytics", Version),
    ("analytics_engine_datasets", Version),
    ("artifacts", Version),
    ("assets", Version),
    ("base_dir", Build),
    ("browser", Version),
    ("build", Build),
    ("cache", Version),
    ("cloudchamber", Refused),
    ("compatibility_date", Version),
    ("compatibility_flags", Version),
    ("compliance_region", Build),
    ("connect", Development),
    ("containers", Refused),
    ("d1_databases", Version),
    ("data_blobs", Version),
    ("define", Build),
    ("dependencies_instrumentation", Development),
    ("dev", Development),
    ("dispatch_namespaces", Version),
    ("durable_objects", Version),
    ("env", Build),
    ("exports", Refused),
    ("find_additional_modules", Build),
    ("first_party_worker", Build),
    ("flagship", Version),
    ("hyperdrive", Version),
    ("images", Version),
    ("jsx_factory", Build),
    ("jsx_fragment", Build),
    ("k2", Version),
    ("keep_names", Build),
    ("keep_vars", Build),
    ("kv_namespaces", Version),
    ("limits", Version),
    ("logfwdr", Version),
    ("logpush", Setting),
    ("main", Build),
    ("media", Version),
    ("migrations", Version),
    ("minify", Build),
    ("mtls_certificates", Version),
    ("name", Build),
    ("no_bundle", Build),
    ("observability", Setting),
    ("pages_build_output_dir", Refused),
    ("pipelines", Version),
    ("placement", Version),
    ("preserve_file_names", Build),
    ("preview_urls", Trigger),
    ("previews", Development),
    ("python_modules", Build),
    ("queues", Version),
    ("r2_buckets", Version),
    ("ratelimits", Version),
    ("route", Trigger),
    ("routes", Trigger),
    ("rules", Build),
    ("secrets", Version),
    ("secrets_store_secrets", Version),
    ("send_email", Version),
    ("send_metrics", Development),
    ("services", Version),
    ("site", Refused),
    ("stream", Version),
    ("streaming_tail_consumers", Setting),
    ("tail_consumers", Setting),
    ("text_blobs", Version),
    ("triggers", Trigger),
    ("tsconfig", Build),
    ("unsafe", Version),
    ("unsafe_hello_world", Version),
    ("upload_source_maps", Build),
    ("vars", Version),
    ("vectorize", Version),
    ("version_metadata", Version),
    ("vpc_networks", Version),
    ("vpc_services", Version),
    ("wasm_modules", Version),
    ("worker_loaders", Version),
    ("workers_dev", Trigger),
    ("workflows", Version),
];

/// Keys that builds write into a config they generate, and keys of older wranglers: known, without effect on what ships.
const GENERATED: &[&str] = &[
    "configPath",
    "definedEnvironments",
    "legacy_env",
    "miniflare",
    "node_compat",
    "targetEnvironment",
    "topLevelName",
    "type",
    "usage_model",
    "userConfigPath",
    "zone_id",
];

/// Settings that a release would leave out: what `allow_missing` takes, and why they are not shipped.
pub const REFUSED: &[(&str, &str)] = &[
    (
        "addresses",
        "the pipeline routes no e-mail addresses to a Worker",
    ),
    ("cloudchamber", "the pipeline rolls out no containers"),
    ("containers", "the pipeline rolls out no containers"),
    (
        "d1_databases.database_name",
        "without it the pipeline cannot tell which database of pipeline.toml it is, and applies no migrations",
    ),
    (
        "exports",
        "Cloudflare takes classes declared by `exports` only from `wrangler deploy`",
    ),
    (
        "pages_build_output_dir",
        "it makes a Pages project, which is no Worker",
    ),
    (
        "queues.consumers",
        "the pipeline attaches no consumers to queues",
    ),
    (
        "site",
        "Cloudflare takes no versions of a Workers Site; use `assets`",
    ),
    ("triggers.events", "the pipeline sets no event triggers"),
    ("workflows", "the pipeline registers no Workflows"),
];

/// A setting of a config that a release would leave out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unshipped {
    /// Its key, one of [`REFUSED`].
    pub key: &'static str,
    /// Why it is not shipped.
    pub why: &'static str,
    /// Where it is.
    pub at: Place,
}

/// What a release of this effective config would leave out. `name` is the script's.
pub(super) fn unshipped(config: &Section<'_>, name: &str) -> Vec<Unshipped> {
    let found = REFUSED.iter().filter_map(|(key, why)| {
        let at = place(config, key, name)?;
        Some(Unshipped { key, why, at })
    });
    let mut found: Vec<Unshipped> = found.collect();
    found.sort_by_key(|one| (one.at.line, one.at.col));
    found
}

/// Where a setting is that has a value.
fn place(config: &Section<'_>, key: &str, name: &str) -> Option<Place> {
    match key {
        "d1_databases.database_name" => {
            let mut all = config.sections("d1_databases").into_iter();
            let unnamed = all.find(|d1| d1.value("database_name").is_none())?;
            return Some(unnamed.place());
        }
        // A Workflow of another script is only bound to.
        "workflows" => {
            let is_own = |flow: &Section<'_>| {
                let script = flow.string("script_name");
                script.is_none_or(|script| script == name)
            };
            return Some(config.sections(key).iter().find(|it| is_own(it))?.place());
        }
        _ => {}
    }
    let is_filled = |section: &Section<'_>, key: &str| match section.json(key) {
        None | Some(Value::Null) => false,
        Some(Value::Array(all)) => !all.is_empty(),
        Some(Value::Object(all)) => !all.is_empty(),
        Some(_) => true,
    };
    match key.split_once('.') {
        Some((table, key)) => {
            let section = config.section(table)?;
            is_filled(&section, key).then(|| section.at(key))
        }
        None => is_filled(config, key).then(|| config.at(key)),
    }
}

/// Top-level keys that no wrangler knows, with the nearest one that it does.
pub(super) fn unknown(config: &Section<'_>) -> Vec<(String, Place, Option<&'static str>)> {
    let names = || KEYS.iter().map(|(key, _)| *key);
    let keys = config.table.entries.iter().map(|entry| entry.key.as_str());
    let strange = keys.filter(|key| {
        !names()
            .chain(GENERATED.iter().copied())
            .any(|it| it == *key)
    });
    strange
        .map(|key| {
            (
                key.to_owned(),
                config.at(key),
                suggest::nearest(key, names()),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A key that a new wrangler brings has to be thought about before it ships.
    #[test]
    fn every_key_of_the_installed_wrangler_is_accounted_for() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../node_modules/wrangler/config-schema.json"
        );
        let Ok(text) = std::fs::read_to_string(path) else {
            // The lib's tests run without packages, too; the integration tests install them.
            return;
        };
        let schema: Value = serde_json::from_str(&text).unwrap();
        let wanted = schema["definitions"]["RawConfig"]["properties"].as_object();
        let wanted: BTreeSet<&str> = wanted.unwrap().keys().map(String::as_str).collect();
        let known: BTreeSet<&str> = KEYS.iter().map(|(key, _)| *key).collect();
        assert_eq!(known, wanted);
        assert!(KEYS.is_sorted_by_key(|(key, _)| *key));
        let refused = KEYS
            .iter()
            .filter(|(_, shipped)| *shipped == Shipped::Refused);
        for (key, _) in refused {
            assert!(
                REFUSED.iter().any(|(it, _)| it == key),
                "{key} has no reason"
            );
        }
    }
}
