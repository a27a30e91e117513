//! The repo as the pipeline sees it: every worker of `pipeline.toml` with its wrangler config, checked against each
//! other. Reads files only; never asks the cloud, git or the environment.

use std::path::{Path, PathBuf};

use crate::config::{Pipeline, WranglerConfig};

/// All workers of the repo and what `pipeline.toml` says about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Workspace {
    /// The repo's root, absolute.
    pub root: PathBuf,
    /// `pipeline.toml`.
    pub pipeline: Pipeline,
    /// The workers in the order of `pipeline.toml`.
    pub workers: Vec<Worker>,
    /// What a person should know but that stops nothing, as `path:line:col: warning: …`.
    pub warnings: Vec<String>,
}

/// One worker that ships.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// The short name used in commands and reports.
    pub name: String,
    /// Its folder, absolute.
    pub dir: PathBuf,
    /// Its wrangler config, absolute.
    pub config_path: PathBuf,
    /// The named wrangler environment that ships.
    pub env_name: Option<String>,
    /// The secrets it needs: those of `pipeline.toml`, then those only its wrangler config requires.
    pub secrets: Vec<String>,
    /// The path that is asked after a deploy.
    pub health: Option<String>,
    /// Where it is reached, when `pipeline.toml` says so.
    pub url: Option<String>,
    /// More files and folders it is built from, absolute.
    pub inputs: Vec<PathBuf>,
    /// Its wrangler config for the environment that ships.
    pub config: WranglerConfig,
}

impl Workspace {
    /// Reads everything. An error lists all mistakes of all files as `path:line:col: error: …` (exit 2).
    pub fn load(root: &Path) -> anyhow::Result<Workspace> {
        anyhow::bail!("reading {} is not built yet", root.display())
    }

    /// The workers in levels: each level only calls workers of earlier levels (service bindings, Durable Objects of
    /// another script, tail consumers). The members of a cycle share a level.
    pub fn callees_first(&self) -> Vec<Vec<&Worker>> {
        Vec::new()
    }

    /// The groups of workers (short names) that call each other in a circle.
    pub fn cycles(&self) -> Vec<Vec<String>> {
        Vec::new()
    }

    /// The workers with these short or script names, in the order of `pipeline.toml`; no names select all.
    pub fn select(&self, only: &[String]) -> anyhow::Result<Vec<&Worker>> {
        let _ = only;
        Ok(self.workers.iter().collect())
    }
}
