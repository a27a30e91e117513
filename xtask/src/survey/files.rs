//! The files of a repo that are its own: those git knows of or would add; where there is no git, everything but what tools
//! are known to generate.

use std::path::{Path, PathBuf};

use crate::tools::git::Git;

/// Folders that hold what was installed or generated, whatever git says of them.
const NEVER: [&str; 5] = ["node_modules", ".git", ".wrangler", ".xtask", ".venv"];

/// Folders that usually hold what was generated, where no git can tell.
const GENERATED: [&str; 14] = [
    "target",
    "dist",
    "build",
    "out",
    "coverage",
    "vendor",
    "__pycache__",
    "venv",
    ".next",
    ".open-next",
    ".output",
    ".svelte-kit",
    ".turbo",
    ".vercel",
];

/// The files, and how they were found.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Relative to the root, sorted.
    pub paths: Vec<PathBuf>,
    /// Why git could not tell which files are ignored; none when it could.
    pub without_git: Option<String>,
}

impl Files {
    /// Lists the files of the repo at `root`.
    pub fn list(root: &Path) -> Files {
        let listed = Git::open(root).and_then(|git| git.files());
        let (mut paths, without_git) = match listed {
            Ok(paths) => (paths, None),
            Err(error) => {
                let mut paths = Vec::new();
                walk(root, Path::new(""), &mut paths);
                (paths, Some(error.root_cause().to_string()))
            }
        };
        paths.retain(|path| {
            let mut parts = path.components().map(|part| part.as_os_str());
            // A deleted file is listed until its deletion is committed.
            !parts.any(|part| NEVER.iter().any(|never| part == *never)) && root.join(path).is_file()
        });
        paths.sort();
        paths.dedup();
        Files { paths, without_git }
    }

    /// The files that may be configs of wrangler's, outermost first.
    pub fn configs(&self) -> Vec<PathBuf> {
        let mut configs: Vec<PathBuf> = self
            .paths
            .iter()
            .filter(|path| is_config(path) && !path.starts_with("xtask"))
            .cloned()
            .collect();
        configs.sort_by_key(|path| (path.components().count(), path.clone()));
        configs
    }

    /// The files below a folder.
    pub fn below<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = &'a Path> {
        let all = self.paths.iter().map(PathBuf::as_path);
        all.filter(move |path| path.starts_with(folder))
    }

    /// True when the repo has the file.
    pub fn has(&self, path: &Path) -> bool {
        self.paths
            .binary_search_by(|known| known.as_path().cmp(path))
            .is_ok()
    }
}

/// `wrangler.toml`, `wrangler-exec.jsonc`, `wrangler.prod.json`.
fn is_config(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ending = path.extension().and_then(|ending| ending.to_str());
    name.starts_with("wrangler") && matches!(ending, Some("toml" | "json" | "jsonc"))
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) {
    // A folder that cannot be read holds nothing of ours.
    for entry in std::fs::read_dir(root.join(folder))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let path = folder.join(&name);
        // Links are not followed: they may lead in circles.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                let skipped = NEVER.iter().chain(&GENERATED).any(|other| name == *other);
                if !skipped {
                    walk(root, &path, found);
                }
            }
            Ok(kind) if kind.is_file() => found.push(path),
            _ => {}
        }
    }
}
