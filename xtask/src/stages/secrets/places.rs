//! Where the declared secrets are: this environment, GitHub, the live workers. Names and ages only; reads only.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::Ctx;
use crate::github::Access;
use crate::live::{Live, Version};
use crate::stages::tidy;
use crate::tools::github::Kept;
use crate::workspace::Workspace;

/// The environment a deploy on GitHub runs in, unless the workflow says otherwise.
const ENVIRONMENT: &str = "production";

/// Where the secrets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Declared secrets that are set in this environment.
    pub env: BTreeSet<String>,
    /// What GitHub hands to a deploy.
    pub github: GithubSecrets,
    /// What each worker (short name) has.
    pub live: BTreeMap<String, LiveSecrets>,
}

/// What GitHub hands to a deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GithubSecrets {
    /// Its secrets: the most specific place each is kept in, and when its value was last set.
    Known(BTreeMap<String, (Kept, Option<String>)>),
    /// They cannot be listed; why.
    Unknown(String),
}

/// What a live worker has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveSecrets {
    /// The worker was never uploaded.
    NoWorker,
    /// Its secrets, and when this pipeline last set them one by one.
    Has(BTreeMap<String, Option<String>>),
    /// It could not be asked; why.
    Unknown(String),
}

impl LiveSecrets {
    /// What a worker that was read has.
    pub fn of(live: &Live) -> LiveSecrets {
        if !live.exists {
            return LiveSecrets::NoWorker;
        }
        // One that was put back, or never promoted, is newer than what serves and says nothing of it.
        let serving = live.serving();
        let newer = |version: &&Version| Some(version.id.as_str()) != serving;
        let set = |name: &String| {
            let versions = live.versions.iter().skip_while(newer);
            let mut those = versions.filter(|version| version.secrets_set().any(|set| set == name));
            those.next().and_then(|version| version.made.at.clone())
        };
        LiveSecrets::Has(
            live.secrets
                .iter()
                .map(|name| (name.clone(), set(name)))
                .collect(),
        )
    }

    /// Whether it has one; none when that is not known.
    pub fn has(&self, name: &str) -> Option<bool> {
        match self {
            LiveSecrets::NoWorker => Some(false),
            LiveSecrets::Has(names) => Some(names.contains_key(name)),
            LiveSecrets::Unknown(_) => None,
        }
    }
}

/// Declared secrets with the short names of the workers that declare them, in the order of `pipeline.toml`.
pub fn declared(workspace: &Workspace) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for worker in &workspace.workers {
        for secret in &worker.secrets {
            match all.iter_mut().find(|(name, _)| name == secret) {
                Some((_, workers)) => workers.push(worker.name.clone()),
                None => all.push((secret.clone(), vec![worker.name.clone()])),
            }
        }
    }
    all
}

/// The declared secrets that are set in the environment.
pub fn in_env(ctx: &Ctx, workspace: &Workspace) -> BTreeSet<String> {
    let names = workspace.workers.iter().flat_map(|worker| &worker.secrets);
    names
        .filter(|name| ctx.env.var(name).is_some())
        .cloned()
        .collect()
}

/// What GitHub hands to a deploy: the environment's secrets hide the repository's, those the organization's.
pub fn on_github(ctx: &Ctx, access: &Access) -> anyhow::Result<GithubSecrets> {
    let github = match access {
        Access::Open(github) => github,
        Access::None(why) => return Ok(GithubSecrets::Unknown(why.clone())),
    };
    let environment = tidy::deploy_environment(&ctx.root).unwrap_or_else(|| ENVIRONMENT.to_owned());
    let mut known = BTreeMap::new();
    for kept in [
        Kept::Organization,
        Kept::Repository,
        Kept::Environment(environment),
    ] {
        match github.secrets(&kept)? {
            Ok(secrets) => {
                known.extend(
                    secrets
                        .into_iter()
                        .map(|secret| (secret.name, (kept.clone(), secret.updated_at))),
                );
            }
            // A repository of a person has no organization.
            Err(error) if kept == Kept::Organization && error.is_not_found() => {}
            Err(error) => {
                return Ok(GithubSecrets::Unknown(format!(
                    "{}: {}",
                    error.call, error.message
                )));
            }
        }
    }
    Ok(GithubSecrets::Known(known))
}
