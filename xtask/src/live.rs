//! What is live on Cloudflare, read back over REST: versions, deployments, secret names, triggers. Changes nothing.

mod content;
mod settings;
mod triggers;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

pub use self::content::{Content, read_contents};
pub use self::settings::Settings;
pub use self::triggers::Triggers;
use crate::error::Fail;
use crate::tools::cloudflare::{ApiError, Cloudflare, encode};

/// How the message of a version begins that only brings other secrets; the names follow, then the run.
pub const SECRETS_MARK: &str = "xtask secrets ";

/// How many workers are asked at the same time.
const PARALLEL_MAX: usize = 8;

/// One worker as the cloud has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Live {
    /// False when the worker was never uploaded.
    pub exists: bool,
    /// The uploaded versions the API lists, newest first.
    pub versions: Vec<Version>,
    /// The split of the current deployment: version id and percentage; empty when nothing is deployed.
    pub split: Vec<(String, u8)>,
    /// How the current deployment came about; `None` when nothing is deployed.
    pub deployed: Option<Made>,
    /// The names of the secrets it has.
    pub secrets: BTreeSet<String>,
    /// The tag of the last Durable Object migration that was applied.
    pub migration_tag: Option<String>,
    /// What calls it.
    pub triggers: Triggers,
}

/// One uploaded version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Its id.
    pub id: String,
    /// `workers/tag`: the release it was uploaded for.
    pub tag: Option<String>,
    /// `workers/message`.
    pub message: Option<String>,
    /// `workers/triggered_by`: `secret` for a version that only came about because a secret was changed.
    pub triggered_by: Option<String>,
    /// How it came about.
    pub made: Made,
}

/// How a version or a deployment came about, as the cloud tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Made {
    /// When, RFC 3339.
    pub at: Option<String>,
    /// By whom: an e-mail address.
    pub by: Option<String>,
    /// With what: `wrangler`, `api`, `dash` …
    pub with: Option<String>,
    /// `workers/message` of a deployment.
    pub message: Option<String>,
}

impl Version {
    /// True for a version that this pipeline made to bring other secrets, and nothing else.
    pub fn is_ours_for_secrets(&self) -> bool {
        self.message
            .as_deref()
            .is_some_and(|message| message.starts_with(SECRETS_MARK))
    }

    /// True for a version that only came about because a secret was changed, here or elsewhere.
    pub fn is_by_secret(&self) -> bool {
        self.triggered_by.as_deref() == Some("secret") || self.is_ours_for_secrets()
    }

    /// The secrets that were set with it, as far as its message names them.
    pub fn secrets_set(&self) -> impl Iterator<Item = &str> {
        let message = self.message.as_deref().unwrap_or_default();
        let names = message
            .strip_prefix(SECRETS_MARK)
            .and_then(|rest| rest.split(' ').next());
        names
            .unwrap_or_default()
            .split(',')
            .filter(|name| !name.is_empty())
    }
}

impl Live {
    /// The version that serves the public: the one with the largest share. On a tie the one that stands last, which is
    /// the older one in every split this pipeline makes.
    pub fn serving(&self) -> Option<&str> {
        let most = self.split.iter().map(|(_, share)| *share).max()?;
        self.split
            .iter()
            .rev()
            .find(|(_, share)| *share == most)
            .map(|(id, _)| id.as_str())
    }

    /// The versions of the split that are not [`Live::serving`], with their shares.
    pub fn others(&self) -> Vec<&(String, u8)> {
        let serving = self.serving();
        self.split
            .iter()
            .filter(|(id, _)| Some(id.as_str()) != serving)
            .collect()
    }

    /// The newest version, when it gets no traffic and is not even staged: secrets cannot be changed then (10215).
    pub fn undeployed(&self) -> Option<&Version> {
        let newest = self.versions.first()?;
        let deployed = self.split.iter().any(|(id, _)| *id == newest.id);
        (!deployed && !self.split.is_empty()).then_some(newest)
    }

    /// A version by its id.
    pub fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }
}

/// Reads several workers (script names), a few at a time. The answers are in the order of the names.
pub fn read_all(cloud: &Cloudflare, scripts: &[String]) -> anyhow::Result<Vec<Live>> {
    let mut all = Vec::with_capacity(scripts.len());
    for chunk in scripts.chunks(PARALLEL_MAX) {
        let read: Vec<anyhow::Result<Live>> = std::thread::scope(|scope| {
            let threads: Vec<_> = chunk
                .iter()
                .map(|script| scope.spawn(move || read_one(cloud, script)))
                .collect();
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        });
        for live in read {
            all.push(live?);
        }
    }
    Ok(all)
}

/// The current split of a deployment, for checking what really serves after a change.
pub fn read_split(cloud: &Cloudflare, script: &str) -> anyhow::Result<Vec<(String, u8)>> {
    let answer = cloud
        .read_all(&[cloud.script(script, "/deployments")])?
        .remove(0);
    match answer {
        Ok(result) => Ok(split(&result)),
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        Err(error) => Err(Fail::from(error).into()),
    }
}

fn read_one(cloud: &Cloudflare, script: &str) -> anyhow::Result<Live> {
    let service = format!("/workers/services/{}", encode(script));
    let environment = format!("{service}/environments/production");
    let domains = format!(
        "/workers/domains/records?page=0&per_page=100&service={}&environment=production",
        encode(script)
    );
    let mut answers = cloud
        .read_all(&[
            cloud.path(&service),
            cloud.script(script, "/deployments"),
            cloud.script(script, "/versions?deployable=true"),
            cloud.script(script, "/secrets"),
            cloud.script(script, "/schedules"),
            cloud.path(&format!("{environment}/subdomain")),
            cloud.path(&format!("{environment}/routes?show_zonename=true")),
            cloud.path(&domains),
            cloud.script(script, "/script-settings"),
        ])?
        .into_iter();
    let mut next = || answers.next().expect("one answer for each path");
    let service = match next() {
        Err(error) if error.is_not_found() => return Ok(Live::default()),
        answer => answer.map_err(Fail::from)?,
    };
    let mut read = || next().map_err(Fail::from);
    let deployments = read()?;
    let versions = versions(&read()?);
    let secrets = names(&read()?, "name");
    let schedules = read()?;
    let subdomain = read()?;
    let routes = read()?;
    let domains = names(&optional(next())?, "hostname");
    let settings = optional(next())?;
    let mut live = Live {
        exists: true,
        versions,
        split: split(&deployments),
        deployed: deployments["deployments"].get(0).map(|newest| Made {
            message: text(&newest["annotations"]["workers/message"]),
            ..made(newest)
        }),
        secrets,
        migration_tag: service["default_environment"]["script"]["migration_tag"]
            .as_str()
            .map(str::to_owned),
        triggers: Triggers {
            workers_dev: subdomain["enabled"].as_bool().unwrap_or(false),
            previews: subdomain["previews_enabled"].as_bool().unwrap_or(false),
            crons: names(&schedules["schedules"], "cron"),
            routes: list(&routes)
                .filter_map(|route| Some((text(&route["pattern"])?, text(&route["zone_name"]))))
                .collect(),
            domains,
            settings: match settings {
                Value::Null => Settings::default(),
                answer => Settings::read(&answer),
            },
        },
    };
    add_unlisted(cloud, script, &mut live)?;
    Ok(live)
}

/// A deployed version may be too old for the list: it is read on its own.
fn add_unlisted(cloud: &Cloudflare, script: &str, live: &mut Live) -> anyhow::Result<()> {
    let unlisted: Vec<String> = live
        .split
        .iter()
        .filter(|(id, _)| live.version(id).is_none())
        .map(|(id, _)| cloud.script(script, &format!("/versions/{}", encode(id))))
        .collect();
    for answer in cloud.read_all(&unlisted)? {
        live.versions.push(version(&answer.map_err(Fail::from)?));
    }
    Ok(())
}

/// An account without the feature answers "not found": that is an empty list.
fn optional(answer: Result<Value, ApiError>) -> Result<Value, Fail> {
    match answer {
        Err(error) if error.is_not_found() => Ok(Value::Null),
        answer => answer.map_err(Fail::from),
    }
}

fn split(result: &Value) -> Vec<(String, u8)> {
    list(&result["deployments"][0]["versions"])
        .filter_map(|entry| {
            let share = entry["percentage"].as_f64()?;
            Some((text(&entry["version_id"])?, share.round() as u8))
        })
        .collect()
}

fn versions(result: &Value) -> Vec<Version> {
    let mut items: Vec<&Value> = list(&result["items"]).collect();
    items.sort_by_key(|item| std::cmp::Reverse(item["number"].as_u64().unwrap_or(0)));
    items.into_iter().map(version).collect()
}

fn version(item: &Value) -> Version {
    Version {
        id: text(&item["id"]).unwrap_or_default(),
        tag: text(&item["annotations"]["workers/tag"]),
        message: text(&item["annotations"]["workers/message"]),
        triggered_by: text(&item["annotations"]["workers/triggered_by"]),
        made: made(&item["metadata"]),
    }
}

fn made(told: &Value) -> Made {
    Made {
        at: text(&told["created_on"]),
        by: text(&told["author_email"]),
        with: text(&told["source"]),
        message: None,
    }
}

fn names(values: &Value, field: &str) -> BTreeSet<String> {
    list(values)
        .filter_map(|value| text(&value[field]))
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(split: &[(&str, u8)]) -> Live {
        Live {
            split: split
                .iter()
                .map(|(id, share)| ((*id).to_owned(), *share))
                .collect(),
            ..Live::default()
        }
    }

    #[test]
    fn the_largest_share_serves() {
        assert_eq!(live(&[("new", 0), ("old", 100)]).serving(), Some("old"));
        assert_eq!(
            live(&[("new", 10), ("old", 90)]).others(),
            [&("new".to_owned(), 10)]
        );
        assert_eq!(live(&[("new", 50), ("old", 50)]).serving(), Some("old"));
        assert_eq!(live(&[]).serving(), None);
    }

    #[test]
    fn a_newest_version_without_any_share_is_not_deployed() {
        let version = |id: &str| Version {
            id: id.to_owned(),
            ..Version::default()
        };
        let mut live = live(&[("old", 100)]);
        live.versions = vec![version("new"), version("old")];
        assert_eq!(live.undeployed(), Some(&version("new")));
        live.split = vec![("new".to_owned(), 0), ("old".to_owned(), 100)];
        assert_eq!(live.undeployed(), None);
    }

    #[test]
    fn versions_are_newest_first() {
        let listed = serde_json::json!({"items": [
            {"id": "a", "number": 1}, {"id": "b", "number": 2, "annotations": {"workers/tag": "r2"}}]});
        let versions = versions(&listed);
        assert_eq!(
            (versions[0].id.as_str(), versions[0].tag.as_deref()),
            ("b", Some("r2"))
        );
    }
}
