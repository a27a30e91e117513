//! Where else in the repo a name stands: in code, in documents, in other tools' files. Tells places, never a line's text: it
//! may hold a secret.

use std::path::Path;

use crate::stages::changes::Change;
use crate::survey::Files;

/// Bigger files are no text that somebody wrote.
const BYTES_MAX: u64 = 1024 * 1024;

/// What tools write after package.json.
const LOCK_FILES: [&str; 7] = [
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "bun.lock",
    "bun.lockb",
    "Cargo.lock",
];

/// `path:line` of every whole word `name`, with the files as they are going to be.
pub(super) fn find(root: &Path, files: &Files, changes: &[Change], name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for path in &files.paths {
        let text = changes
            .iter()
            .find(|change| change.path == *path)
            .map(|change| change.new.clone())
            .or_else(|| read(root, path));
        let lines = text.iter().flat_map(|text| text.lines().enumerate());
        let holding = lines.filter(|(_, line)| holds(line, name));
        found.extend(holding.map(|(index, _)| format!("{}:{}", path.display(), index + 1)));
    }
    found
}

fn read(root: &Path, path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let full = root.join(path);
    let small = std::fs::metadata(&full).is_ok_and(|data| data.len() <= BYTES_MAX);
    if !small || LOCK_FILES.contains(&name.as_ref()) {
        return None;
    }
    // What is no text says no name.
    std::fs::read_to_string(full).ok()
}

/// True where the name stands alone: `small-site` is not in `small-site-2`.
fn holds(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut places = text.match_indices(name).map(|(at, _)| at);
    places.any(|at| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}
