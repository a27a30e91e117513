//! Short names for workers: what a person types after `--only`. The folder's name when that tells them apart, else the name
//! on Cloudflare, else the whole path.

use std::path::Path;

use super::Candidate;
use crate::config::names;

/// Folder names that say nothing of the worker in them.
const EMPTY_WORDS: [&str; 9] = [
    "worker",
    "workers",
    "src",
    "app",
    "apps",
    "server",
    "backend",
    "cloudflare",
    "packages",
];

/// A short name for each worker, none of them in `taken`.
pub fn short_names(workers: &[&Candidate], taken: &[String]) -> Vec<String> {
    let mut used: Vec<String> = taken.to_vec();
    let mut chosen = Vec::with_capacity(workers.len());
    for worker in workers {
        let alone = |name: &str| {
            let same = workers
                .iter()
                .filter(|other| of_folder(&other.dir).as_deref() == Some(name));
            same.count() == 1
        };
        let folder = of_folder(&worker.dir).filter(|name| alone(name));
        let path: Vec<String> = worker
            .dir
            .components()
            .map(|part| clean(&part.as_os_str().to_string_lossy()))
            .collect();
        let candidates = [
            folder,
            Some(without_environment(worker)),
            Some(path.join("-")),
        ];
        let free = |name: &String| names::is_short_name(name) && !used.contains(name);
        let name = candidates
            .into_iter()
            .flatten()
            .find(free)
            .unwrap_or_else(|| {
                let base = without_environment(worker);
                let base = if base.is_empty() {
                    "worker".to_owned()
                } else {
                    base
                };
                let numbered = (2..).map(|number| format!("{base}-{number}"));
                std::iter::once(base.clone())
                    .chain(numbered)
                    .find(free)
                    .unwrap_or(base)
            });
        used.push(name.clone());
        chosen.push(name);
    }
    chosen
}

/// The folder's name, without a `-worker` at its end; none when it says nothing.
fn of_folder(dir: &Path) -> Option<String> {
    let name = clean(&dir.file_name()?.to_string_lossy());
    let name = ["-worker", "_worker"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(&name);
    (!name.is_empty() && !EMPTY_WORDS.contains(&name)).then(|| name.to_owned())
}

/// The script's name without the environment that ships at its end: `shop-production` is typed as `shop`.
fn without_environment(worker: &Candidate) -> String {
    let name = clean(&worker.config.name);
    let env = worker.chosen.env.as_deref().map(clean);
    let bare = env.and_then(|env| {
        name.strip_suffix(&env)?
            .strip_suffix('-')
            .map(str::to_owned)
    });
    bare.filter(|bare| !bare.is_empty()).unwrap_or(name)
}

fn clean(text: &str) -> String {
    let letters = text.chars().map(|c| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
        '_' | '.' => c,
        _ => '-',
    });
    let text: String = letters.collect();
    text.trim_matches(['-', '.', '_']).to_owned()
}
