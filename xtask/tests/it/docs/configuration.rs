//! `docs/configuration.md` and `docs/pipeline.schema.json` are made from the keys that the reader of `pipeline.toml` takes.

use std::process::Command;

use expect_test::expect_file;
use xtask::config::keys::{Fallback, Key};
use xtask::config::{PIPELINE, Pipeline, Problems};

use super::*;

const BEGIN: &str = "<!-- Made from xtask/src/config/pipeline/keys.rs; `UPDATE_EXPECT=1 cargo test --test it docs::` makes it anew. -->";
const END: &str = "<!-- The end of what is made. -->";

#[test]
fn the_reference_is_made_from_the_keys() {
    let text = read(&repo().join("docs/configuration.md"));
    let (before, rest) = text
        .split_once(BEGIN)
        .expect("the reference has a beginning");
    let (_, after) = rest.split_once(END).expect("the reference has an end");
    let made = PIPELINE.reference();
    expect_file!["../../../../docs/configuration.md"]
        .assert_eq(&format!("{before}{BEGIN}\n\n{made}\n{END}{after}"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the binary is what is tested")]
fn the_schema_is_what_the_command_line_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("schema")
        .output()
        .expect("the binary runs");
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).expect("it is UTF-8");
    expect_file!["../../../../docs/pipeline.schema.json"].assert_eq(&printed);
}

/// A folder with what the paths of the examples lead to.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for path in ["workers/main", "migrations"] {
        fs::create_dir_all(folder.path().join(path)).expect("a folder can be made");
    }
    for path in ["schema.sql", "seed.sql"] {
        fs::write(folder.path().join(path), "").expect("a file can be written");
    }
    folder
}

/// What the reader makes of a `pipeline.toml` in a folder, and what it says about it.
pub fn read_in(folder: &Path, text: &str) -> (Option<Pipeline>, Vec<String>) {
    fs::write(folder.join("pipeline.toml"), text).expect("a file can be written");
    let mut problems = Problems::new(folder);
    let pipeline = Pipeline::load(folder, &mut problems);
    let said = problems.sorted().into_iter().map(|problem| {
        let fix = problem.fix.unwrap_or_default();
        format!("{}: {}; {fix}", problem.line, problem.message)
    });
    (pipeline, said.collect())
}

/// A `pipeline.toml` in which every table stands, with the keys that `value` has a value for.
pub fn spelled_out(mut value: impl FnMut(&str, &Key) -> Option<String>) -> String {
    let mut text = String::new();
    for (heading, table) in PIPELINE.all() {
        text.push_str(&heading.replace("NAME", "main"));
        text.push('\n');
        for key in &table.keys {
            if let Some(value) = value(&heading, key) {
                text.push_str(&format!("{} = {value}\n", key.name));
            }
        }
    }
    text
}

fn required(_: &str, key: &Key) -> Option<String> {
    let required = key.fallback == Fallback::Required;
    required.then(|| key.shown()).flatten()
}

fn default(heading: &str, key: &Key) -> Option<String> {
    match &key.fallback {
        Fallback::Value(value) => Some(value.to_string()),
        _ => required(heading, key),
    }
}

#[test]
fn every_example_and_every_default_is_taken() {
    let folder = folder();
    for text in [
        spelled_out(|_, key| key.shown()),
        spelled_out(default),
        spelled_out(required),
    ] {
        let (_, said) = read_in(folder.path(), &text);
        assert_eq!(said, Vec::<String>::new(), "in\n{text}");
    }
}

#[test]
fn documented_defaults_are_the_defaults() {
    let folder = folder();
    let (all, none) = (spelled_out(default), spelled_out(required));
    assert!(none.lines().count() + 20 < all.lines().count());
    // Where a value stands in the file is part of what is read.
    let read = |text: &str| {
        let (pipeline, _) = read_in(folder.path(), text);
        let text = format!("{:#?}", pipeline.expect("it is TOML"));
        let value = text.lines().filter(|line| {
            let line = line.trim();
            !line.starts_with("line: ") && !line.starts_with("col: ")
        });
        value.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(read(&all), read(&none));
}

#[test]
fn the_example_pipeline_names_every_key() {
    let example = read(&repo().join("pipeline.toml"));
    for (heading, table) in PIPELINE.all() {
        for key in &table.keys {
            let named = example.lines().any(|line| {
                line.trim_start_matches(['#', ' '])
                    .starts_with(&format!("{} = ", key.name))
            });
            assert!(named, "pipeline.toml shows no `{}` of {heading}", key.name);
        }
    }
}
