//! What is in a repo that nobody has told the pipeline about: workers, databases, package managers, secrets in use, and what
//! was left out and why. Reads files, and git for which of them are ignored; changes nothing, and never keeps a secret's
//! value.

mod builds;
mod configs;
mod databases;
mod environments;
mod files;
mod health;
mod naming;
mod secrets;
pub mod source;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use self::builds::{Build, Toolchains};
pub use self::configs::DEFAULTS;
pub use self::databases::{FoundDatabase, Schema};
pub use self::environments::Chosen;
pub use self::files::Files;
pub use self::health::Health;
pub use self::naming::short_names;
pub use self::secrets::{Secret, Secrets};
use crate::config::WranglerConfig;

/// What is in the repo.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The workers, by folder.
    pub workers: Vec<Candidate>,
    /// Configs that were left out, by path.
    pub left_out: Vec<LeftOut>,
    /// The databases the workers are bound to.
    pub databases: Vec<FoundDatabase>,
}

/// A worker that could ship.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The folder of its config, relative to the root; empty for the root itself.
    pub dir: PathBuf,
    /// The config file's name.
    pub file: String,
    /// True when wrangler does not find the file by itself, or finds another one first.
    pub file_needed: bool,
    /// The named environment that ships, and why.
    pub chosen: Chosen,
    /// Its config in that environment.
    pub config: WranglerConfig,
    /// What has to be run before wrangler bundles it.
    pub build: Option<Build>,
    /// The path to ask for its health.
    pub health: Health,
    /// The secrets it seems to need, and the names in doubt.
    pub secrets: Secrets,
}

/// A config that is no worker to ship.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// The config, relative to the root.
    pub path: PathBuf,
    /// Why, as the rest of a sentence: `the file is empty`.
    pub why: String,
}

impl Candidate {
    /// Its config, relative to the root.
    pub fn path(&self) -> PathBuf {
        self.dir.join(&self.file)
    }
}

/// What the surroundings have to say.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// What is installed to build workers that are not written in JavaScript.
    pub toolchains: Toolchains,
}

/// Looks at everything. Configs below one of `ignored` (relative paths) are not even listed.
pub fn take(root: &Path, files: &Files, around: &Surroundings, ignored: &[PathBuf]) -> Survey {
    let (mut workers, mut left_out) = (Vec::new(), Vec::new());
    let configs = files.configs();
    for path in configs {
        if ignored.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        match configs::judge(root, files, around, &path, false) {
            Ok(candidate) => workers.push(candidate),
            Err(why) => left_out.push(LeftOut { path, why }),
        }
    }
    let workers = configs::one_of_each(workers, &mut left_out);
    left_out.sort();
    Survey {
        databases: databases::find(root, files, &workers),
        workers,
        left_out,
    }
}

/// The worker of one config that somebody named: what its place and its name say counts for nothing then.
pub fn one(
    root: &Path,
    files: &Files,
    around: &Surroundings,
    config: &Path,
) -> Result<Survey, String> {
    let mut worker = configs::judge(root, files, around, config, true)?;
    let others = files.configs();
    let beside = others.iter().filter(|other| {
        let name = other.file_name().unwrap_or_default().to_string_lossy();
        other.parent() == config.parent() && configs::DEFAULTS.contains(&name.as_ref())
    });
    worker.file_needed |= beside.count() > 1;
    let workers = vec![worker];
    Ok(Survey {
        databases: databases::find(root, files, &workers),
        workers,
        left_out: Vec::new(),
    })
}
