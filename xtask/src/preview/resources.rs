//! Which databases, namespaces and buckets the preview of a repo has, told by the configs alone: `preview` makes them,
//! `cleanup` deletes them. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::preview::names::{self, Key};

/// The storage of one preview. Every map goes from production's own to the name of what stands in for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// D1: production's id → the preview's database name.
    pub databases: BTreeMap<String, String>,
    /// KV: production's id → the preview's title.
    pub namespaces: BTreeMap<String, String>,
    /// R2: production's bucket → the preview's.
    pub buckets: BTreeMap<String, String>,
}

impl Resources {
    /// What the configs (as JSON, environment applied) ask for. `project` is the name in `pipeline.toml`.
    pub fn of<'c>(
        configs: impl IntoIterator<Item = &'c Value>,
        project: &str,
        key: Key,
    ) -> Resources {
        let mut all = Resources::default();
        let configs: Vec<&Value> = configs.into_iter().collect();
        let ids: Vec<&str> = configs
            .iter()
            .flat_map(|config| list(config, "kv_namespaces"))
            .filter_map(|entry| text(entry, "id"))
            .collect();
        for config in &configs {
            for entry in list(config, "d1_databases") {
                if let Some(id) = database_key(entry) {
                    let base = text(entry, "database_name").unwrap_or(id);
                    let name = names::resource(base, key);
                    all.databases.insert(id.to_owned(), name);
                }
            }
            for id in list(config, "kv_namespaces").filter_map(|entry| text(entry, "id")) {
                let title = names::namespace(project, id, key, ids.iter().copied());
                all.namespaces.insert(id.to_owned(), title);
            }
            for bucket in list(config, "r2_buckets").filter_map(|entry| text(entry, "bucket_name"))
            {
                let name = names::resource(bucket, key);
                all.buckets.insert(bucket.to_owned(), name);
            }
        }
        all
    }

    /// The preview's names of all of them.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        let named = self.databases.values().chain(self.namespaces.values());
        named.chain(self.buckets.values())
    }

    /// Adds what other configs ask for.
    pub fn extend(&mut self, other: Resources) {
        self.databases.extend(other.databases);
        self.namespaces.extend(other.namespaces);
        self.buckets.extend(other.buckets);
    }
}

/// What tells a database: its id, else its name.
pub fn database_key(entry: &Value) -> Option<&str> {
    text(entry, "database_id").or_else(|| text(entry, "database_name"))
}

fn list<'c>(config: &'c Value, key: &str) -> impl Iterator<Item = &'c Value> + use<'c> {
    config[key].as_array().into_iter().flatten()
}

fn text<'c>(entry: &'c Value, key: &str) -> Option<&'c str> {
    entry[key].as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_that_begin_alike_have_names_of_their_own() {
        let kv = |id: &str| json!({"kv_namespaces": [{"binding": "KV", "id": id}]});
        let (one, two, three) = (kv("aabbccdd0011"), kv("aabbccdd0022"), kv("bbbbccdd0011"));
        let found = Resources::of([&one, &two, &three], "shop", Key::Pr(7));
        let titles: Vec<&str> = found.namespaces.values().map(String::as_str).collect();
        assert_eq!(
            titles,
            [
                "shop-kv-aabbccdd0011-pr-7-preview",
                "shop-kv-aabbccdd0022-pr-7-preview",
                "shop-kv-bbbbccdd-pr-7-preview"
            ]
        );
    }

    #[test]
    fn each_thing_of_production_has_one_stand_in() {
        let one = json!({
            "d1_databases": [{"binding": "DB", "database_name": "shop-db", "database_id": "id-1"}],
            "kv_namespaces": [{"binding": "CACHE", "id": "aabbccdd0011"}],
            "r2_buckets": [{"binding": "IMAGES", "bucket_name": "images"}],
        });
        let two = json!({
            "d1_databases": [{"binding": "DATA", "database_name": "shop-db", "database_id": "id-1"}],
            "kv_namespaces": [],
        });
        let found = Resources::of([&one, &two], "shop", Key::Pr(7));
        assert_eq!(
            found,
            Resources {
                databases: [("id-1".to_owned(), "shop-db-pr-7-preview".to_owned())].into(),
                namespaces: [(
                    "aabbccdd0011".to_owned(),
                    "shop-kv-aabbccdd-pr-7-preview".to_owned()
                )]
                .into(),
                buckets: [("images".to_owned(), "images-pr-7-preview".to_owned())].into(),
            }
        );
    }
}
