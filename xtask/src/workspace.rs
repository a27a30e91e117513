//! The repo as the pipeline sees it: every worker of `pipeline.toml` with its wrangler config, checked against each
//! other. Reads files only; never asks the cloud, git or the environment.

mod checks;
mod graph;
mod layouts;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{Pipeline, Problems, WorkerEntry, WranglerConfig, suggest};
use crate::cron::Cron;
use crate::error::Fail;

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
    /// A command that builds it before wrangler bundles it.
    pub build: Option<String>,
    /// More paths that must answer 200 before and after a promotion.
    pub smoke: Vec<String>,
    /// More files and folders it is built from, absolute.
    pub inputs: Vec<PathBuf>,
    /// Its wrangler config for the environment that ships.
    pub config: WranglerConfig,
}

/// The names wrangler looks for, in its order.
const CONFIG_NAMES: [&str; 3] = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];

impl Workspace {
    /// Reads everything. An error lists all mistakes of all files as `path:line:col: error: …` (exit 2).
    pub fn load(root: &Path) -> anyhow::Result<Workspace> {
        if !root.join("pipeline.toml").is_file() {
            return Err(Fail::setup(format!(
                "there is no `pipeline.toml` in `{}`",
                root.display()
            ))
            .why("it says which workers ship; the pipeline does nothing without it")
            .fix("run the command inside the repo, or name the repo's folder with `--root`")
            .into());
        }
        let (workspace, problems) = Workspace::read(root);
        problems.into_result()?;
        // No workspace without a problem that says why.
        workspace.ok_or_else(|| {
            anyhow::anyhow!("the configuration could not be read, and no reason was given")
        })
    }

    /// Reads as much as can be read, together with every problem; there may be a workspace in spite of problems.
    pub fn read(root: &Path) -> (Option<Workspace>, Problems) {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let mut problems = Problems::new(&root);
        let pipeline = Pipeline::load(&root, &mut problems);
        Workspace::of(root, pipeline, problems)
    }

    /// As [`Workspace::read`], with a text that is going to be `pipeline.toml`.
    pub fn read_as(root: &Path, pipeline: &str) -> (Option<Workspace>, Problems) {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let mut problems = Problems::new(&root);
        let pipeline = Pipeline::parse(&root, pipeline, &mut problems);
        Workspace::of(root, pipeline, problems)
    }

    fn of(
        root: PathBuf,
        pipeline: Option<Pipeline>,
        mut problems: Problems,
    ) -> (Option<Workspace>, Problems) {
        let Some(mut pipeline) = pipeline else {
            return (None, problems);
        };
        let file = root.join("pipeline.toml");
        let entries = pipeline.workers.iter();
        let workers: Vec<Worker> = entries
            .filter_map(|(name, entry)| read_worker(name, entry, &file, &mut problems))
            .collect();
        // Targets can only be judged when every worker is known; otherwise one mistake would make many.
        let complete = problems.ok() && workers.len() == pipeline.workers.len();
        resolve_databases(&mut pipeline, &workers);
        checks::check(&file, &pipeline, &workers, complete, &mut problems);
        let workspace = Workspace {
            warnings: problems.warnings(),
            root,
            pipeline,
            workers,
        };
        (Some(workspace), problems)
    }

    /// The cron triggers of all configs: short name, expression as written, and what it means.
    pub fn crons(&self) -> Vec<(String, String, Cron)> {
        let of = |worker: &Worker| {
            let texts = worker.config.crons.clone().unwrap_or_default().into_iter();
            let name = worker.name.clone();
            // What cannot be read was refused when the config was.
            texts.filter_map(move |text| {
                Some((name.clone(), text.clone(), Cron::parse(&text).ok()?))
            })
        };
        self.workers.iter().flat_map(of).collect()
    }

    /// The workers in levels: each level only calls workers of earlier levels (service bindings, Durable Objects of
    /// another script, tail consumers). The members of a cycle share a level.
    pub fn callees_first(&self) -> Vec<Vec<&Worker>> {
        let levels = graph::Groups::of(&self.calls()).levels();
        let workers = |level: Vec<usize>| {
            level
                .into_iter()
                .map(|index| &self.workers[index])
                .collect()
        };
        levels.into_iter().map(workers).collect()
    }

    /// The groups of workers (short names) that call each other in a circle.
    pub fn cycles(&self) -> Vec<Vec<String>> {
        let cycles = graph::Groups::of(&self.calls()).cycles();
        let names = |cycle: Vec<usize>| {
            cycle
                .into_iter()
                .map(|index| self.workers[index].name.clone())
                .collect()
        };
        cycles.into_iter().map(names).collect()
    }

    /// The workers with these short or script names, in the order of `pipeline.toml`; no names select all.
    pub fn select(&self, only: &[String]) -> anyhow::Result<Vec<&Worker>> {
        let mut chosen = vec![only.is_empty(); self.workers.len()];
        for name in only {
            let short = self.workers.iter().position(|worker| worker.name == *name);
            let script = || {
                self.workers
                    .iter()
                    .position(|worker| worker.config.name == *name)
            };
            let Some(index) = short.or_else(script) else {
                return Err(self.unknown_worker(name).into());
            };
            chosen[index] = true;
        }
        let workers = self.workers.iter().zip(chosen);
        Ok(workers
            .filter_map(|(worker, chosen)| chosen.then_some(worker))
            .collect())
    }

    /// A worker and all that it calls, directly or through others.
    pub fn reached_from<'a>(&'a self, worker: &'a Worker) -> Vec<&'a Worker> {
        let calls = self.calls();
        let start = self
            .workers
            .iter()
            .position(|each| each.name == worker.name);
        let mut found: Vec<usize> = start.into_iter().collect();
        let mut next = 0;
        while let Some(index) = found.get(next).copied() {
            let new = calls[index].iter().filter(|callee| !found.contains(callee));
            let new: Vec<usize> = new.copied().collect();
            found.extend(new);
            next += 1;
        }
        found.iter().map(|index| &self.workers[*index]).collect()
    }

    /// For each worker, the indexes of the workers of this repo that it calls.
    pub(crate) fn calls(&self) -> Vec<Vec<usize>> {
        let scripts = self.workers.iter().enumerate();
        let index_of: HashMap<&str, usize> = scripts
            .map(|(index, worker)| (worker.config.name.as_str(), index))
            .collect();
        let calls = |(own, worker): (usize, &Worker)| {
            let targets = worker.targets().into_iter();
            let known = targets.filter_map(|script| index_of.get(script).copied());
            known.filter(|index| *index != own).collect()
        };
        self.workers.iter().enumerate().map(calls).collect()
    }

    fn unknown_worker(&self, name: &str) -> Fail {
        let short = self.workers.iter().map(|worker| worker.name.as_str());
        let scripts = self
            .workers
            .iter()
            .map(|worker| worker.config.name.as_str());
        let fail = Fail::setup(format!("there is no worker `{name}`"));
        let list: Vec<&str> = short.clone().collect();
        let fail = fail.why(format!("pipeline.toml names these: {}", list.join(", ")));
        match suggest::nearest(name, short.chain(scripts)) {
            Some(near) => fail.fix(format!("did you mean `{near}`?")),
            None => fail.fix("use one of these names, or add the worker to pipeline.toml"),
        }
    }
}

impl Worker {
    /// The script names this worker cannot go live without.
    pub(crate) fn targets(&self) -> Vec<&str> {
        let bindings = &self.config.bindings;
        let services = bindings
            .services
            .iter()
            .map(|service| service.service.as_str());
        let durable_objects = bindings.durable_objects.iter();
        let foreign = durable_objects.filter_map(|object| object.script_name.as_deref());
        services
            .chain(foreign)
            .chain(self.config.tail_services())
            .collect()
    }
}

fn read_worker(
    name: &str,
    entry: &WorkerEntry,
    file: &Path,
    problems: &mut Problems,
) -> Option<Worker> {
    let config_path = find_config(entry, file, problems)?;
    let config = WranglerConfig::load(&config_path, entry.env.as_deref(), problems)?;
    let mut secrets = entry.secrets.clone();
    let required = config.secrets_required.iter();
    let missing: Vec<String> = required
        .filter(|secret| !entry.secrets.contains(secret))
        .cloned()
        .collect();
    secrets.extend(missing);
    Some(Worker {
        name: name.to_owned(),
        dir: entry.path.clone(),
        config_path,
        env_name: entry.env.clone(),
        secrets,
        health: entry.health.clone(),
        url: entry.url.clone(),
        build: entry.build.clone(),
        smoke: entry.smoke.clone(),
        inputs: entry.inputs.clone(),
        config,
    })
}

/// The wrangler config of a worker's folder. Several under default names are a mistake: which one ships would be luck.
fn find_config(entry: &WorkerEntry, file: &Path, problems: &mut Problems) -> Option<PathBuf> {
    let shown = problems.relative(&entry.path);
    let shown = shown.display();
    if let Some(config) = &entry.config {
        let path = entry.path.join(config);
        let known = path
            .extension()
            .is_some_and(|ext| ext == "toml" || ext == "json" || ext == "jsonc");
        if !path.is_file() {
            let message = format!("`config`: there is no `{config}` in `{shown}`");
            problems.error(file, entry.config_at, message);
            return None;
        }
        if !known {
            problems.error(
                file,
                entry.config_at,
                "`config` must be a .toml, .json or .jsonc file",
            );
            return None;
        }
        return Some(path);
    }
    let names = CONFIG_NAMES
        .iter()
        .filter(|name| entry.path.join(name).is_file());
    let names: Vec<&str> = names.copied().collect();
    match names.as_slice() {
        [name] => return Some(entry.path.join(name)),
        [] => {
            let message = format!("there is no wrangler config in `{shown}`");
            let fix = match other_config(&entry.path) {
                Some(other) => format!("if `{other}` is meant, say `config = \"{other}\"`"),
                None => format!("add one of {}", CONFIG_NAMES.join(", ")),
            };
            problems.error_with_fix(file, entry.path_at, message, fix);
        }
        [first, ..] => {
            let message = format!(
                "there are several wrangler configs in `{shown}`: {}",
                names.join(", ")
            );
            let fix = format!("say which one ships, as in `config = \"{first}\"`");
            problems.error_with_fix(file, entry.path_at, message, fix);
        }
    }
    None
}

/// A config under a name of the user's own, such as `wrangler-exec.jsonc`.
fn other_config(dir: &Path) -> Option<String> {
    let files = fs::read_dir(dir).ok()?.flatten();
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    let is_config = |name: &String| {
        let extension = Path::new(name).extension().and_then(|ext| ext.to_str());
        name.starts_with("wrangler") && matches!(extension, Some("toml" | "json" | "jsonc"))
    };
    names.filter(is_config).min()
}

/// Finds each database's id and users among the D1 bindings.
fn resolve_databases(pipeline: &mut Pipeline, workers: &[Worker]) {
    let databases = pipeline.databases.iter().enumerate();
    let index_of: HashMap<String, usize> = databases
        .map(|(index, database)| (database.name.clone(), index))
        .collect();
    for worker in workers {
        for d1 in &worker.config.bindings.d1 {
            let name = d1.database_name.as_ref();
            let Some(index) = name.and_then(|name| index_of.get(name)) else {
                continue;
            };
            let database = &mut pipeline.databases[*index];
            database
                .bound_by
                .push((worker.name.clone(), d1.binding.clone()));
            if database.id.is_none() {
                database.id.clone_from(&d1.database_id);
            }
            let says = d1.migrations_pattern.is_some() || d1.migrations_table.is_some();
            if says && database.layout.from.is_none() {
                database.layout = d1.layout(&worker.config_path);
            }
        }
    }
}
