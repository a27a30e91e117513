//! One worker's part in a release: what is live, what is wanted, and what has to happen in between. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Fail;
use crate::live::{Live, Triggers};
use crate::workspace::Worker;

/// The message of the version that stands in until a new worker's first release.
pub const PLACEHOLDER_MESSAGE: &str = "xtask placeholder";

/// How a worker's new content gets to the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// What serves has the same content.
    Unchanged,
    /// An earlier, interrupted run uploaded this version already.
    Reuse(String),
    /// A version has to be uploaded.
    Upload,
    /// A pending Durable Object migration: the upload itself goes live, so it comes last.
    Immediate,
}

/// One worker's part.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// The worker.
    pub worker: &'a Worker,
    /// What is live.
    pub live: Live,
    /// The version a failed release goes back to: what served before this release touched the worker.
    pub base: Option<String>,
    /// What is to happen.
    pub change: Change,
    /// The content digest; empty until it is built.
    pub digest: String,
    /// The version this release serves; known after the upload.
    pub version: Option<String>,
    /// The triggers the config asks for.
    pub wanted: Triggers,
    /// What called it before an interrupted run of this commit, when there was one.
    pub before: Option<Triggers>,
    /// Names of the secrets that travel with an upload: those whose value this run knows.
    pub secrets: Vec<String>,
    /// Where the config that ships stands: the worker's own, or the one its build generated.
    pub effective: Option<Effective>,
}

/// A worker's config after its build.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// The config as JSON, environment applied.
    pub config: serde_json::Value,
    /// The folder its paths are relative to.
    pub dir: std::path::PathBuf,
}

impl<'a> Part<'a> {
    /// The part of a worker before anything was built. `previous` is the last complete release's version per script:
    /// a worker that an interrupted run of this very commit already promoted goes back to that one.
    pub fn new(
        worker: &'a Worker,
        live: Live,
        commit: &str,
        previous: &BTreeMap<String, String>,
    ) -> Part<'a> {
        let serving = live.serving().map(str::to_owned);
        let version = serving.as_deref().and_then(|id| live.version(id));
        // One that only brought other secrets bears the tag of its release, and came after it was recorded.
        let ours = version
            .filter(|version| !version.is_ours_for_secrets())
            .and_then(|version| version.tag.as_deref())
            .is_some_and(|tag| tag.ends_with(&format!("-{commit}")));
        let before = previous.get(&worker.config.name).cloned().filter(|_| ours);
        Part {
            wanted: Triggers::wanted(&worker.config, &live.triggers),
            base: before.or(serving),
            before: None,
            worker,
            live,
            change: Change::Upload,
            digest: String::new(),
            version: None,
            secrets: Vec::new(),
            effective: None,
        }
    }

    /// The worker's short name.
    pub fn name(&self) -> &str {
        &self.worker.name
    }

    /// Its name on Cloudflare.
    pub fn script(&self) -> &str {
        &self.worker.config.name
    }

    /// True when this release brings it a version that does not serve yet.
    pub fn changes(&self) -> bool {
        self.change != Change::Unchanged
    }

    /// True when an interrupted run of this commit promoted it and never recorded that.
    pub fn interrupted(&self) -> bool {
        self.base.is_some() && self.base.as_deref() != self.live.serving()
    }

    /// What calls it when the release is put back.
    pub fn triggers_before(&self) -> &Triggers {
        self.before.as_ref().unwrap_or(&self.live.triggers)
    }

    /// The release id its version tells: this release's for what it uploads, the version's own for what is there.
    pub fn release_told(&self, release: &str) -> Option<String> {
        match self.change {
            Change::Upload | Change::Immediate => Some(release.to_owned()),
            Change::Unchanged | Change::Reuse(_) => {
                self.live.version(self.version.as_deref()?)?.tag.clone()
            }
        }
    }

    /// True when the version can be put beside the old one at 0 %.
    pub fn staged(&self) -> bool {
        matches!(self.change, Change::Upload | Change::Reuse(_))
    }

    /// True when there is something to ask it.
    pub fn is_checked(&self) -> bool {
        self.worker.health.is_some() || !self.worker.smoke.is_empty()
    }

    /// True when it has never been uploaded, or only as a placeholder.
    pub fn is_new(&self) -> bool {
        let message = |id: &str| {
            self.live
                .version(id)
                .and_then(|version| version.message.clone())
        };
        !self.live.exists
            || self.live.serving().and_then(message).as_deref() == Some(PLACEHOLDER_MESSAGE)
    }

    /// True when its config has Durable Object migrations the cloud has not applied.
    pub fn migration_pending(&self) -> bool {
        self.live.exists
            && self.worker.config.last_migration_tag() != self.live.migration_tag.as_deref()
            && self.worker.config.last_migration_tag().is_some()
    }

    /// Decides, once the digest is known.
    pub fn decide(&mut self, force: bool) {
        let wanted = digest_mark(&self.digest);
        let same = |message: &Option<String>| {
            message
                .as_deref()
                .is_some_and(|text| text.ends_with(&wanted))
        };
        let serving = self.live.serving().and_then(|id| self.live.version(id));
        let serving = serving
            .filter(|version| same(&version.message))
            .map(|version| version.id.clone());
        let uploaded = self
            .uploaded()
            .filter(|version| same(&version.message))
            .map(|version| version.id.clone());
        self.change = if self.migration_pending() {
            Change::Immediate
        } else if force {
            Change::Upload
        } else if let Some(id) = serving {
            self.version = Some(id);
            Change::Unchanged
        } else if let Some(id) = uploaded {
            self.version = Some(id.clone());
            Change::Reuse(id)
        } else {
            Change::Upload
        };
    }

    /// The newest version, when it does not serve: what an interrupted run may have left.
    fn uploaded(&self) -> Option<&crate::live::Version> {
        self.live
            .versions
            .first()
            .filter(|version| Some(version.id.as_str()) != self.live.serving())
    }

    /// Refuses what cannot be released safely.
    pub fn check(&self) -> Result<(), Fail> {
        self.check_secrets()?;
        self.check_migration_tag()?;
        self.check_split()
    }

    fn check_secrets(&self) -> Result<(), Fail> {
        let missing: Vec<&str> = self
            .worker
            .secrets
            .iter()
            .filter(|name| !self.secrets.contains(name) && !self.live.secrets.contains(*name))
            .map(String::as_str)
            .collect();
        let Some(first) = missing.first() else {
            return Ok(());
        };
        Err(Fail::setup(format!("{} needs secrets that are set nowhere: {}", self.name(), missing.join(", ")))
            .why("neither the environment of this run nor the live worker has them")
            .fix(format!("export {first}=…   (in CI: add it to the repository's secrets and to the workflow's env)")))
    }

    fn check_migration_tag(&self) -> Result<(), Fail> {
        let known: Vec<&str> = self
            .worker
            .config
            .migrations
            .iter()
            .map(|step| step.tag.as_str())
            .collect();
        let Some(live) = self
            .live
            .migration_tag
            .as_deref()
            .filter(|tag| !tag.is_empty() && !known.contains(tag))
        else {
            return Ok(());
        };
        // wrangler would only warn and send every migration again.
        Err(Fail::setup(format!(
            "{} is live with a Durable Object migration this checkout does not have",
            self.name()
        ))
        .why(format!(
            "the live tag is `{live}`; the config knows {}",
            list(&known)
        ))
        .fix("git pull   (this checkout is older than what is live)"))
    }

    fn check_split(&self) -> Result<(), Fail> {
        let foreign = self.live.others().into_iter().find(|(id, share)| {
            let ours = self
                .live
                .version(id)
                .and_then(|version| version.message.as_deref());
            *share > 0 && !ours.is_some_and(|message| message.starts_with("xtask "))
        });
        let Some((id, share)) = foreign else {
            return Ok(());
        };
        Err(Fail::setup(format!(
            "{} is in a gradual deployment somebody else started",
            self.name()
        ))
        .why(format!("version {id} serves {share} % of its traffic"))
        .fix(format!(
            "npx wrangler versions deploy --name {}   (finish it, or put it back)",
            self.script()
        )))
    }

    /// The URL that answers for the worker once `triggers` are live: what `pipeline.toml` says, else the first domain
    /// or plain route, else workers.dev.
    pub fn url(&self, triggers: &Triggers, workers_dev_url: &str) -> Option<String> {
        if let Some(url) = &self.worker.url {
            return Some(url.trim_end_matches('/').to_owned());
        }
        let domain = self
            .worker
            .config
            .routes
            .iter()
            .filter(|route| route.custom_domain && triggers.domains.contains(&route.pattern))
            .map(|route| route.pattern.clone())
            .next();
        let host = domain
            .or_else(|| triggers.domains.iter().next().cloned())
            .or_else(|| {
                triggers
                    .routes
                    .keys()
                    .find_map(|pattern| plain_host(pattern))
            });
        match host {
            Some(host) => Some(format!("https://{host}")),
            None if triggers.workers_dev => Some(workers_dev_url.to_owned()),
            None => None,
        }
    }
}

/// A version's message: the commit it was made from, its compressed size, and at its end its content.
pub fn version_message(commit: &str, gzip: Option<u64>, digest: &str) -> String {
    let size = gzip
        .map(|bytes| format!("gzip={bytes} "))
        .unwrap_or_default();
    format!("xtask {commit} {size}{}", digest_mark(digest))
}

/// The compressed size a version's message tells.
pub fn size_told(message: &str) -> Option<u64> {
    message
        .split(' ')
        .find_map(|word| word.strip_prefix("gzip=")?.parse().ok())
}

/// The end of a version's message, by which its content is recognised.
pub fn digest_mark(digest: &str) -> String {
    format!("digest={digest}")
}

/// `example.com/*` → `example.com`; a route with a wildcard host or a deeper path answers no health question.
fn plain_host(pattern: &str) -> Option<String> {
    let host = pattern
        .trim_start_matches("https://")
        .trim_start_matches("http://")
        .strip_suffix("/*")?;
    (!host.contains(['*', '/'])).then(|| host.to_owned())
}

fn list(words: &[&str]) -> String {
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}
