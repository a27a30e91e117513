//! The previews there are, told by the tags of the account's Workers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::Fail;
use crate::preview::{Key, names};
use crate::tools::cloudflare::{Call, Cloudflare};

/// What the tag begins with that says which commit a preview's Worker is being made from.
const COMMIT_TAG: &str = "xtask-commit-";

/// Every Worker of the account and its tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    tags: BTreeMap<String, Vec<String>>,
    /// When each was made: one made anew is another, with other Durable Objects.
    created: BTreeMap<String, String>,
}

/// Reads the list of Workers.
pub fn read(cloud: &Cloudflare) -> anyhow::Result<Found> {
    let listed = cloud.expect(&Call::get(cloud.path("/workers/scripts")))?;
    let mut found = Found::default();
    for script in listed.as_array().into_iter().flatten() {
        let Some(name) = script["id"].as_str() else {
            continue;
        };
        let tags = script["tags"].as_array().into_iter().flatten();
        let tags = tags.filter_map(|tag| tag.as_str().map(str::to_owned));
        found.tags.insert(name.to_owned(), tags.collect());
        let created = script["created_on"].as_str().unwrap_or_default();
        found.created.insert(name.to_owned(), created.to_owned());
    }
    Ok(found)
}

impl Found {
    /// The previews of this repo.
    pub fn previews(&self, repo: &str) -> BTreeSet<Key> {
        self.tags
            .iter()
            .filter_map(|(script, tags)| {
                let key = names::parse(script)?;
                names::is_ours(tags, key, repo).then_some(key)
            })
            .collect()
    }

    /// Refuses to take over a Worker that is not of this preview.
    pub fn check_ours(&self, script: &str, key: Key, repo: &str) -> Result<(), Fail> {
        let Some(tags) = self.tags.get(script) else {
            return Ok(());
        };
        if names::is_ours(tags, key, repo) {
            return Ok(());
        }
        Err(Fail::setup(format!("there is a worker `{script}` already, and it is not {} of this repo", key.shown()))
            .why("it lacks the tags a preview of this repo carries, so it belongs to somebody else")
            .fix("delete it, if it is not needed; or change `name` under [project] in pipeline.toml back, if that was changed"))
    }

    /// When each Worker that a config names was made.
    pub fn created(&self, config: &Value) -> BTreeMap<&str, &str> {
        let text = config.to_string();
        self.created
            .iter()
            .filter(|(script, _)| text.contains(&format!("\"{script}\"")))
            .map(|(script, created)| (script.as_str(), created.as_str()))
            .collect()
    }

    /// The tags of a Worker; none for one that is not there.
    pub fn tags(&self, script: &str) -> &[String] {
        self.tags.get(script).map_or(&[], Vec::as_slice)
    }

    /// The commit a Worker's preview is being made from.
    pub fn commit(&self, script: &str) -> Option<&str> {
        let tags = self.tags.get(script)?;
        tags.iter().find_map(|tag| tag.strip_prefix(COMMIT_TAG))
    }
}

/// The tags of a preview's Worker while it is made from this commit.
pub fn tags(key: Key, repo: &str, commit: &str) -> Vec<String> {
    let mut tags = names::tags(key, repo);
    tags.push(format!("{COMMIT_TAG}{commit}"));
    tags
}
