//! Keeps the documents honest: links lead somewhere, commands parse, and what is made from the program is what the program
//! says today. Knows Markdown only as far as that takes.

mod configuration;
mod diagrams;
mod schema;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

fn repo() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate stands in a repo")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every document a person is meant to read.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = vec![
        repo().join("README.md"),
        repo().join("CHANGELOG.md"),
        repo().join("xtask/ARCHITECTURE.md"),
    ];
    let folder = fs::read_dir(repo().join("docs")).expect("docs/ exists");
    paths.extend(
        folder
            .map(|entry| entry.expect("docs/ can be listed").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "md")),
    );
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = read(&path);
            (path, text)
        })
        .collect()
}

/// The text without fenced blocks.
fn prose(text: &str) -> String {
    let mut fenced = false;
    text.lines()
        .filter(|line| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        })
        .map(|line| format!("{line}\n"))
        .collect()
}
