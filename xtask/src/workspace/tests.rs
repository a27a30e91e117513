//! Whole repos in temporary folders: what is read out of them, and what is said about their mistakes.

mod cross;
mod files;
mod pipeline;
mod select;
mod shapes;

use std::fs;
use std::path::Path;

use expect_test::Expect;
use tempfile::TempDir;

pub(super) use super::*;
use crate::error::{Exit, exit_of, render};

/// A repo with these files; `pipeline.toml` comes first.
fn repo(pipeline: &str, files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [("pipeline.toml", pipeline)].iter().chain(files) {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn load(pipeline: &str, files: &[(&str, &str)]) -> Workspace {
    let dir = repo(pipeline, files);
    Workspace::load(dir.path()).unwrap_or_else(|error| panic!("{}", render(&error)))
}

/// All problems of a repo, as text.
#[track_caller]
fn check(pipeline: &str, files: &[(&str, &str)], expected: Expect) {
    let dir = repo(pipeline, files);
    let (_, problems) = Workspace::read(dir.path());
    expected.assert_eq(&problems.to_string());
}

const ONE: &str = "[workers.a]\npath = \"a\"\n";
const TWO: &str = "[workers.a]\npath = \"a\"\n[workers.b]\npath = \"b\"\n";

/// A minimal wrangler.toml with more below it.
fn toml(name: &str, more: &str) -> String {
    format!("name = \"{name}\"\nmain = \"index.ts\"\ncompatibility_date = \"2025-01-01\"\n{more}")
}
