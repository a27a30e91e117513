//! Tells the configs of workers from everything else that is called `wrangler…`, one file at a time: whatever is wrong with
//! one says nothing about the others. Never quotes a file: it may hold secrets.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{
    Candidate, Files, LeftOut, Surroundings, builds, environments, health, secrets, source,
};
use crate::config::source::{Problems, Source};
use crate::config::tree::{self, Kind, Table};
use crate::config::{WranglerConfig, names};
use crate::stages::ci::packages;

/// The names wrangler looks for, in its order.
pub const DEFAULTS: [&str; 3] = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];

/// Folders whose workers are not this repo's own to ship.
const NOT_OURS: [&str; 18] = [
    "test",
    "tests",
    "__tests__",
    "testdata",
    "fixture",
    "fixtures",
    "__fixtures__",
    "mock",
    "mocks",
    "__mocks__",
    "e2e",
    "template",
    "templates",
    "example",
    "examples",
    "sample",
    "samples",
    "playground",
];

/// Words in a file's name that say it is not for production.
const NOT_PRODUCTION: [&str; 17] = [
    "dev",
    "development",
    "local",
    "test",
    "tests",
    "testing",
    "vitest",
    "e2e",
    "ci",
    "example",
    "sample",
    "template",
    "mock",
    "preview",
    "staging",
    "stage",
    "types",
];

/// A worker, or why it is none as the rest of a sentence. `named`: a person asked for this very file.
pub(super) fn judge(
    root: &Path,
    files: &Files,
    around: &Surroundings,
    path: &Path,
    named: bool,
) -> Result<Candidate, String> {
    if !named {
        by_place(path)?;
    }
    let table = read(root, path)?;
    by_content(&table)?;
    let (dir, file) = split(path);
    let package = packages::package(&root.join(&dir))
        .and_then(Result::ok)
        .unwrap_or_default();
    let text = |key: &str| match table.get(key).map(|entry| &entry.value.kind) {
        Some(Kind::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let environments: Vec<String> = match table.get("env").map(|entry| &entry.value.kind) {
        Some(Kind::Table(env)) => env.entries.iter().map(|entry| entry.key.clone()).collect(),
        _ => Vec::new(),
    };
    let scripts = package.scripts.values().map(String::as_str);
    let chosen = environments::choose(&environments, text("name").is_some(), scripts)?;
    let mut problems = Problems::new(root);
    let loaded = WranglerConfig::load(&root.join(path), chosen.env.as_deref(), &mut problems);
    let Some(config) = loaded else {
        let first = problems
            .sorted()
            .into_iter()
            .find(|problem| !problem.warning);
        return Err(first.map_or("it cannot be read".to_owned(), |first| first.message));
    };
    if let Some(why) = names::script_name_mistake(&config.name) {
        return Err(format!("its name {why}"));
    }
    if config.main.is_none() && config.assets.is_none() {
        return Err("it has neither a `main` nor assets: there is nothing to upload".to_owned());
    }
    if !named {
        by_name(&file)?;
        by_script(&config.name)?;
    }
    let build = builds::find(root, files, &around.toolchains, &dir, &config)?;
    let others: Vec<PathBuf> = files.configs().iter().map(|path| split(path).0).collect();
    let source = source::gather(root, files, &dir, &config, &others);
    let read = source.followed.then(|| source::names_read(&source));
    let place = root.join(&dir);
    Ok(Candidate {
        file_needed: !DEFAULTS.contains(&file.as_str()),
        health: health::find(root, &dir, &config, &source),
        secrets: secrets::find(&place, &file, &config, chosen.env.as_deref(), read.as_ref()),
        build,
        chosen,
        config,
        dir,
        file,
    })
}

/// Of several configs for one script, or of wrangler's own names in one folder, the one that ships.
pub(super) fn one_of_each(all: Vec<Candidate>, left_out: &mut Vec<LeftOut>) -> Vec<Candidate> {
    let mut kept: Vec<Candidate> = Vec::new();
    let mut out = |worker: &Candidate, why: String| {
        left_out.push(LeftOut {
            path: worker.path(),
            why,
        });
    };
    let rank = |worker: &Candidate| {
        let default = DEFAULTS.iter().position(|name| *name == worker.file);
        // `wrangler.production.toml` says more plainly than `wrangler.toml` that it ships.
        let production = words(&worker.file).any(|word| word == "production" || word == "prod");
        (!production, default.unwrap_or(DEFAULTS.len()))
    };
    let mut by_folder: HashMap<PathBuf, Vec<Candidate>> = HashMap::new();
    let mut order: Vec<PathBuf> = Vec::new();
    for worker in all {
        if !by_folder.contains_key(&worker.dir) {
            order.push(worker.dir.clone());
        }
        by_folder
            .entry(worker.dir.clone())
            .or_default()
            .push(worker);
    }
    for folder in order {
        let mut workers = by_folder.remove(&folder).unwrap_or_default();
        workers.sort_by_key(rank);
        let defaults = workers.iter().filter(|worker| !worker.file_needed).count();
        for mut worker in workers {
            let same = kept
                .iter()
                .find(|other| other.config.name == worker.config.name);
            if let Some(same) = same {
                out(
                    &worker,
                    format!("{} has the same name on Cloudflare", same.path().display()),
                );
                continue;
            }
            // Which of several names wrangler finds first is not for luck to say.
            worker.file_needed |= defaults > 1;
            kept.push(worker);
        }
    }
    kept
}

fn by_place(path: &Path) -> Result<(), String> {
    let folders = path.parent().into_iter().flat_map(Path::components);
    for folder in folders {
        let folder = folder.as_os_str().to_string_lossy();
        let is_mock = folder
            .split(['-', '_', '.'])
            .any(|word| ["mock", "mocks", "e2e"].contains(&word));
        if is_mock || NOT_OURS.contains(&folder.as_ref()) {
            return Err(format!("it lies below a folder called `{folder}`"));
        }
    }
    Ok(())
}

fn read(root: &Path, path: &Path) -> Result<Table, String> {
    let mut problems = Problems::new(root);
    let full = root.join(path);
    let source = Source::read(&full, &mut problems);
    let text = source.as_ref().map(|source| source.text.as_str());
    if text.is_some_and(|text| text.trim().is_empty()) {
        return Err("the file is empty".to_owned());
    }
    let table = source
        .as_ref()
        .and_then(|source| tree::parse(source, &mut problems));
    table.ok_or_else(|| {
        if text.is_some_and(|text| text.contains("{{") && text.contains("}}")) {
            return "it is a template: `{{ }}` in it is still to be filled in".to_owned();
        }
        let first = problems.sorted().into_iter().next();
        first.map_or("it cannot be read".to_owned(), |problem| {
            match problem.line {
                0 => problem.message,
                line => format!("{} (line {line})", problem.message),
            }
        })
    })
}

fn by_content(table: &Table) -> Result<(), String> {
    let has = |key: &str| table.get(key).is_some();
    if has("configPath") || has("userConfigPath") || has("definedEnvironments") {
        return Err("a build generated it".to_owned());
    }
    if has("pages_build_output_dir") {
        return Err("it is a Pages project, which is deployed by other commands".to_owned());
    }
    if !["name", "main", "assets", "env", "site"]
        .iter()
        .any(|key| has(key))
    {
        return Err("it names neither a worker nor a module: another tool's file".to_owned());
    }
    Ok(())
}

fn by_name(file: &str) -> Result<(), String> {
    match words(file).find(|word| NOT_PRODUCTION.contains(word)) {
        Some(word) => Err(format!("its name says that it is for `{word}`")),
        None => Ok(()),
    }
}

/// A script that is called `shop-dev` is run by `wrangler dev`, or shipped by hand.
fn by_script(name: &str) -> Result<(), String> {
    let last = name.rsplit(['-', '_']).next().unwrap_or_default();
    let not_production = [
        "dev",
        "development",
        "local",
        "test",
        "testing",
        "mock",
        "e2e",
    ];
    match not_production.contains(&last) {
        true => Err(format!("its `name` says that it is for `{last}`")),
        false => Ok(()),
    }
}

/// The words of a file's name: `wrangler.vitest-ci.toml` has `vitest` and `ci`.
fn words(file: &str) -> impl Iterator<Item = &str> {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let rest = stem.strip_prefix("wrangler").unwrap_or(stem);
    rest.split(['.', '-', '_']).filter(|word| !word.is_empty())
}

fn split(path: &Path) -> (PathBuf, String) {
    let file = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    (path.parent().unwrap_or(Path::new("")).to_owned(), file)
}
