//! One worker's part in a preview: what is live, what was built, and what has to be uploaded. Pure.

use crate::live::Live;
use crate::stages::deploy::part::{Effective, version_message};
use crate::stages::preview::rewire::Rewired;
use crate::workspace::Worker;

/// One worker's part.
#[derive(Clone, Debug)]
pub struct Piece<'a> {
    /// The worker as the preview has it.
    pub worker: &'a Worker,
    /// What is live of its preview.
    pub live: Live,
    /// True when its Durable Objects no longer fit, so that it is made anew.
    pub renew: bool,
    /// Names of the secrets that travel with an upload: those whose value this run knows.
    pub secrets: Vec<String>,
    /// The config that ships, before it is rewired; known after the build.
    pub effective: Option<Effective>,
    /// The config of the preview; known when its storage is.
    pub rewired: Rewired,
    /// The content digest.
    pub digest: String,
    /// The version of this preview; known after the upload.
    pub version: Option<String>,
    /// True when this run uploaded it.
    pub uploaded: bool,
    /// The compressed bundle in bytes.
    pub size: Option<u64>,
    /// That of production's, as far as its version tells.
    pub size_of_production: Option<u64>,
}

impl<'a> Piece<'a> {
    /// The part of a worker before anything was built.
    pub fn new(worker: &'a Worker, live: Live, secrets: Vec<String>) -> Piece<'a> {
        let tag = live.migration_tag.as_deref().filter(|tag| !tag.is_empty());
        let renew = live.exists && tag != worker.config.last_migration_tag();
        Piece {
            worker,
            live,
            renew,
            secrets,
            effective: None,
            rewired: Rewired::default(),
            digest: String::new(),
            version: None,
            uploaded: false,
            size: None,
            size_of_production: None,
        }
    }

    /// The worker's short name.
    pub fn name(&self) -> &str {
        &self.worker.name
    }

    /// The preview's name on Cloudflare.
    pub fn script(&self) -> &str {
        &self.worker.config.name
    }

    /// Declared secrets that neither this run nor the preview has.
    pub fn missing_secrets(&self) -> Vec<&str> {
        let names = self.worker.secrets.iter();
        names
            .filter(|name| !self.secrets.contains(name))
            .filter(|name| self.renew || !self.live.secrets.contains(*name))
            .map(String::as_str)
            .collect()
    }

    /// The message of its version: the commit and the content.
    pub fn message(&self, commit: &str) -> String {
        version_message(commit, self.size, &self.digest)
    }

    /// True when the version has all of the traffic.
    pub fn serves(&self, version: &str) -> bool {
        !self.renew && matches!(self.live.split.as_slice(), [(id, 100)] if id == version)
    }

    /// Takes up the version that has this very content and commit, if it serves or was the last to be uploaded.
    pub fn decide(&mut self, commit: &str) {
        let message = self.message(commit);
        let serving = self.live.serving().and_then(|id| self.live.version(id));
        let same = serving
            .into_iter()
            .chain(self.live.versions.first())
            .find(|version| version.message.as_ref() == Some(&message));
        self.version = same.map(|version| version.id.clone());
    }
}
