//! What is live of a worker and differs from what the repo says, and whose doing that is: a change by hand, or one in the
//! repo that has not been deployed yet. A version never changes once it is uploaded, so the version on record says what was
//! released; the record itself says it of triggers and names of secrets. Pure.

mod bindings;
#[cfg(test)]
mod tests;
mod triggers;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::ledger::releases::Record;
use crate::live::{Content, Live, Made, Triggers, Version};
use crate::workspace::Worker;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The worker's short name.
    pub worker: String,
    /// What differs.
    pub kind: Kind,
    /// Its name: of a binding, a secret; a pattern, a host, an expression.
    pub name: String,
    /// What the repo (of a deployment: the record) asks for; `None` for nothing.
    pub repo: Option<String>,
    /// What is live; `None` for nothing. Never a value of a variable.
    pub live: Option<String>,
    /// How it came about.
    pub origin: Origin,
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The worker is there or not.
    Worker,
    /// Which versions serve.
    Deployment,
    /// A version that was uploaded and serves nobody.
    Version,
    /// A binding.
    Binding,
    /// A variable.
    Var,
    /// A secret's name.
    Secret,
    /// Compatibility date or flags.
    Compatibility,
    /// A route.
    Route,
    /// A custom domain.
    Domain,
    /// A cron trigger.
    Cron,
    /// An address on workers.dev.
    Address,
}

/// How a difference came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Since the release: by hand, or by a run that was killed.
    ByHand,
    /// The repo has changed since the release; the next deploy sets it.
    NotDeployed,
}

/// A worker, and everything it is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The worker as the repo has it.
    pub worker: &'a Worker,
    /// What is live.
    pub live: &'a Live,
    /// What the version that serves consists of.
    pub serving: Option<&'a Content>,
    /// The release that should serve.
    pub record: Option<&'a Record>,
    /// What that release's version consists of.
    pub recorded: Option<&'a Content>,
    /// The commit of the repo, when nothing in it is uncommitted.
    pub commit: Option<&'a str>,
}

impl Kind {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Worker => "worker",
            Kind::Deployment => "deployment",
            Kind::Version => "version",
            Kind::Binding => "binding",
            Kind::Var => "var",
            Kind::Secret => "secret",
            Kind::Compatibility => "compatibility",
            Kind::Route => "route",
            Kind::Domain => "domain",
            Kind::Cron => "cron",
            Kind::Address => "address",
        }
    }
}

impl Subject<'_> {
    /// Every difference, the weightiest kinds first.
    pub fn differences(&self) -> Vec<Difference> {
        if !self.live.exists {
            return self.missing().into_iter().collect();
        }
        let mut found = self.deployments();
        found.extend(self.uploaded_by_hand());
        found.extend(self.bindings());
        found.extend(self.secrets());
        found.extend(self.triggers());
        found.sort_by_key(|it| it.kind);
        found
    }

    fn made(&self, kind: Kind, name: impl Into<String>, origin: Origin) -> Difference {
        Difference {
            worker: self.worker.name.clone(),
            kind,
            name: name.into(),
            repo: None,
            live: None,
            origin,
        }
    }

    fn script(&self) -> &str {
        &self.worker.config.name
    }

    /// The version the record says should serve.
    fn recorded_version(&self) -> Option<&str> {
        let version = self.record?.versions.get(self.script())?;
        Some(version)
    }

    /// What the record says calls the worker.
    fn recorded_triggers(&self) -> Option<&Triggers> {
        self.record?.triggers.get(self.script())
    }

    /// A worker that is not there: it was deleted, or never deployed.
    fn missing(&self) -> Option<Difference> {
        let origin = match self.recorded_version() {
            Some(_) => Origin::ByHand,
            None => Origin::NotDeployed,
        };
        let mut difference = self.made(Kind::Worker, self.script(), origin);
        difference.repo = Some("is part of it".to_owned());
        Some(difference)
    }

    /// Which versions serve, other than the one on record at 100 %.
    fn deployments(&self) -> Vec<Difference> {
        let mut found = Vec::new();
        let Some(serving) = self.live.serving() else {
            let mut nothing = self.made(Kind::Deployment, self.script(), Origin::ByHand);
            nothing.repo = self.recorded_version().map(short);
            return vec![nothing];
        };
        let version = self.live.version(serving);
        let released = match self.recorded_version() {
            Some(recorded) => recorded == serving,
            // Nothing is on record: what the pipeline uploaded is taken to be what it released.
            None => version.is_some_and(is_ours),
        };
        if !released {
            let mut difference = self.made(Kind::Deployment, self.script(), Origin::ByHand);
            difference.repo = self.recorded_version().map(short);
            difference.live = Some(self.told(serving, version));
            found.push(difference);
        }
        for (id, share) in self.live.others() {
            if *share == 0 {
                continue;
            }
            let mut difference = self.made(Kind::Deployment, self.script(), Origin::ByHand);
            let told = self.told(id, self.live.version(id));
            difference.live = Some(format!("{share} % go to {told}"));
            found.push(difference);
        }
        found
    }

    /// The newest version, when somebody uploaded it past the pipeline and did not deploy it.
    fn uploaded_by_hand(&self) -> Option<Difference> {
        let version = self.live.undeployed().filter(|version| !is_ours(version))?;
        let recorded = self
            .record
            .iter()
            .flat_map(|record| record.versions.values());
        if recorded.into_iter().any(|id| *id == version.id) {
            return None;
        }
        let mut difference = self.made(Kind::Version, self.script(), Origin::ByHand);
        let told = self.told(&version.id, Some(version));
        difference.live = Some(format!("{told}, uploaded and not deployed"));
        Some(difference)
    }

    /// `975e456a of r20261123-…` or `975e456a, a secret was changed, by …`.
    fn told(&self, id: &str, version: Option<&Version>) -> String {
        let mut text = short(id);
        let Some(version) = version else {
            return text;
        };
        let deployed = self
            .live
            .deployed
            .as_ref()
            .filter(|_| self.live.serving() == Some(id));
        if version.triggered_by.as_deref() == Some("secret") {
            text.push_str(", a secret was changed");
        } else if let Some(tag) = version.tag.as_deref().filter(|_| is_ours(version)) {
            text.push_str(&format!(" of {tag}"));
        }
        let made = deployed.unwrap_or(&version.made);
        text.push_str(&by_whom(made));
        text
    }

    fn secrets(&self) -> Vec<Difference> {
        let live = match self.serving {
            Some(content) => bindings::secrets(content),
            None => self.live.secrets.clone(),
        };
        let declared: BTreeSet<&String> = self.worker.secrets.iter().collect();
        let at_release = self
            .record
            .and_then(|record| record.secrets.get(self.script()));
        let was_declared = |name: &String| at_release.is_some_and(|names| names.contains(name));
        let mut found = Vec::new();
        for name in declared.iter().filter(|name| !live.contains(**name)) {
            // Set at the release, which refuses to go on without; gone since.
            let origin = match was_declared(name) {
                true => Origin::ByHand,
                false => Origin::NotDeployed,
            };
            let mut difference = self.made(Kind::Secret, (*name).clone(), origin);
            difference.repo = Some("declared".to_owned());
            found.push(difference);
        }
        for name in live.iter().filter(|name| !declared.contains(name)) {
            let origin = match was_declared(name) {
                true => Origin::NotDeployed,
                false => Origin::ByHand,
            };
            let mut difference = self.made(Kind::Secret, name.clone(), origin);
            difference.live = Some("set".to_owned());
            found.push(difference);
        }
        found
    }

    /// Whose doing a difference is, by what the release had: by hand when that is not what is live.
    fn origin<T: PartialEq>(&self, released: Option<&T>, live: &T) -> Origin {
        match released {
            Some(released) if released == live => Origin::NotDeployed,
            Some(_) => Origin::ByHand,
            None => self.origin_without_record(),
        }
    }

    /// Nothing is known of what was released. A version of the pipeline's, made from another commit than this one, makes it
    /// likely that the repo has changed.
    fn origin_without_record(&self) -> Origin {
        let serving = self.live.serving().and_then(|id| self.live.version(id));
        let Some(version) = serving.filter(|version| is_ours(version)) else {
            return Origin::ByHand;
        };
        let message = version.message.as_deref().unwrap_or_default();
        let commit = message.split(' ').nth(1).unwrap_or_default();
        let same = self
            .commit
            .is_some_and(|head| commit.len() >= 7 && head.starts_with(commit));
        match same {
            true => Origin::ByHand,
            false => Origin::NotDeployed,
        }
    }
}

/// True for a version the pipeline uploaded.
pub fn is_ours(version: &Version) -> bool {
    let message = version.message.as_deref().unwrap_or_default();
    message.starts_with("xtask ") && version.triggered_by.as_deref() != Some("secret")
}

/// `, by ana@example.com with wrangler at 2026-…: "message"`.
fn by_whom(made: &Made) -> String {
    let mut text = String::new();
    // To the second: nobody needs the rest.
    let at = made
        .at
        .as_deref()
        .and_then(|at| at.get(..19))
        .map(|at| format!("{at}Z"));
    let parts = [(", by ", &made.by), (" with ", &made.with), (" at ", &at)];
    for (word, part) in parts {
        if let Some(part) = part {
            text.push_str(word);
            text.push_str(part);
        }
    }
    if let Some(message) = made.message.as_deref().filter(|text| !text.is_empty()) {
        text.push_str(&format!(" ({message})"));
    }
    text
}

fn short(id: &str) -> String {
    id.get(..8).unwrap_or(id).to_owned()
}
