//! The path that tells whether a worker is well, by what its source answers to. A wrong guess would stop every deploy, so
//! what is not plainly there is not assumed.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Files;
use crate::config::WranglerConfig;

/// What to ask a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The path; none when it cannot be asked anything.
    pub path: Option<String>,
    /// Why, as a sentence without a final full stop.
    pub why: String,
}

/// Paths by which workers say that they are well, the likeliest first.
const PATHS: [&str; 9] = [
    "/health",
    "/healthz",
    "/_health",
    "/api/health",
    "/api/healthz",
    "/health-check",
    "/healthcheck",
    "/livez",
    "/ping",
];

/// Endings of source files.
const SOURCES: [&str; 8] = ["ts", "tsx", "mts", "js", "jsx", "mjs", "rs", "py"];

/// A source file larger than this was generated.
const SOURCE_BYTES_MAX: u64 = 512 * 1024;

/// Finds the path of the worker in `dir` (relative); `others` are the folders of the other workers.
pub(super) fn find(
    root: &Path,
    files: &Files,
    dir: &Path,
    config: &WranglerConfig,
    others: &[PathBuf],
) -> Health {
    let none = |why: &str| Health {
        path: None,
        why: why.to_owned(),
    };
    if config.workers_dev == Some(false) && config.routes.is_empty() {
        return none("it has no address: neither a route nor workers.dev");
    }
    let mut best: Option<(usize, &Path)> = None;
    let sources = files
        .below(dir)
        .filter(|path| is_source(path))
        .filter(|path| {
            !others
                .iter()
                .any(|other| other != dir && other.starts_with(dir) && path.starts_with(other))
        });
    for path in sources {
        let Some(text) = read(root, path) else {
            continue;
        };
        let answered = PATHS.iter().position(|health| {
            ['"', '\'', '`']
                .iter()
                .any(|quote| text.contains(&format!("{quote}{health}{quote}")))
        });
        if let Some(rank) = answered
            && best.is_none_or(|(other, _)| rank < other)
        {
            best = Some((rank, path));
        }
    }
    if let Some((rank, path)) = best {
        let within = path.strip_prefix(dir).unwrap_or(path);
        return Health {
            path: Some(PATHS[rank].to_owned()),
            why: format!("{} has it", within.display()),
        };
    }
    front_page(root, dir, config).unwrap_or_else(|| {
        none("its source names no health path; give it one that answers 200, to have every release checked")
    })
}

/// Static assets answer at the root, when there is a page to answer with and no code in front of it.
fn front_page(root: &Path, dir: &Path, config: &WranglerConfig) -> Option<Health> {
    let assets = config.assets.as_ref()?;
    let folder = root.join(dir).join(assets.directory.as_ref()?);
    let code_first = config.main.is_some()
        && config.raw["assets"]
            .get("run_worker_first")
            .is_some_and(|first| *first != false);
    // Not built yet: a site without a front page is rare.
    let has_page =
        folder.join("index.html").is_file() || (!folder.exists() && config.main.is_none());
    (has_page && !code_first).then(|| Health {
        path: Some("/".to_owned()),
        why: "its assets have a front page".to_owned(),
    })
}

fn is_source(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_test = name.contains(".test.")
        || name.contains(".spec.")
        || path.components().any(|part| {
            ["test", "tests", "__tests__", "e2e"]
                .iter()
                .any(|word| part.as_os_str() == *word)
        });
    ending.is_some_and(|ending| SOURCES.contains(&ending)) && !is_test && !name.ends_with(".d.ts")
}

fn read(root: &Path, path: &Path) -> Option<String> {
    let path = root.join(path);
    if path.metadata().ok()?.len() > SOURCE_BYTES_MAX {
        return None;
    }
    std::fs::read_to_string(path).ok()
}
