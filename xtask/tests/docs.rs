//! Keeps the documents honest: links lead somewhere, commands parse, and `docs/configuration.md` names exactly the keys
//! the reader of `pipeline.toml` knows. Knows Markdown only as far as that takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use clap::error::ErrorKind;
use xtask::cli::Cli;
use xtask::config::{Audit, Budgets, Deploy, Health, Local, Pipeline, Preview, Problems, Rollback};

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

/// The anchors GitHub gives a document's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    prose(text)
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut count = 0;
    for (path, text) in documents() {
        for rest in prose(&text).split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            if target.contains("://") {
                continue;
            }
            count += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let full = if file.is_empty() {
                path.clone()
            } else {
                path.parent().unwrap_or(repo()).join(file)
            };
            assert!(
                full.exists(),
                "{}: the link `{target}` leads nowhere",
                path.display()
            );
            assert!(
                anchor.is_empty() || anchors(&read(&full)).contains(anchor),
                "{}: `{target}` names no heading of its target",
                path.display()
            );
        }
    }
    assert!(
        count > 10,
        "only {count} links were found: is the search broken?"
    );
}

/// The arguments of every `cargo xtask …` a document shows, in code blocks and in `code`.
fn commands(text: &str) -> Vec<Vec<String>> {
    let starts = text.match_indices("cargo xtask");
    starts
        .filter_map(|(at, _)| {
            let rest = &text[at..];
            let line = rest.lines().next().unwrap_or_default();
            let end = line
                .find(['`', '|', '>', ';', '('])
                .into_iter()
                .chain(line.find(" #"))
                .chain(line.find("&&"))
                .chain(line.find("   "))
                .min();
            let line = &line[..end.unwrap_or(line.len())];
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            // The bare name, as in "every stage is a `cargo xtask` verb".
            (words.len() > 2 && words[1] == "xtask").then_some(words)
        })
        .collect()
}

#[test]
fn every_command_shown_is_one_the_program_takes() {
    let mut count = 0;
    for (path, text) in documents() {
        for words in commands(&text) {
            count += 1;
            // The first word stands for the program's name.
            let parsed = Cli::try_parse_from(&words[1..]);
            let fine = match &parsed {
                Ok(_) => true,
                Err(error) => matches!(
                    error.kind(),
                    ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
                ),
            };
            assert!(
                fine,
                "{}: `{}` is not a valid command: {}",
                path.display(),
                words.join(" "),
                parsed
                    .err()
                    .map(|error| error.to_string())
                    .unwrap_or_default()
            );
        }
    }
    assert!(
        count > 10,
        "only {count} commands were found: is the search broken?"
    );
}

#[test]
fn a_wrong_command_would_be_noticed() {
    let found = commands(
        "run `cargo xtask deploy --forse` or\n```\ncargo xtask deploy --only main # one\n```\n",
    );
    assert_eq!(found.len(), 2);
    assert!(Cli::try_parse_from(&found[0][1..]).is_err());
    assert!(Cli::try_parse_from(&found[1][1..]).is_ok());
}

/// Table → key → default, as `docs/configuration.md` has them: a heading ``## `[health]` ``, then rows
/// ``| `key` | type | default | meaning |``. A table that may stand several times keeps its inner brackets: `[allow]`.
fn documented() -> BTreeMap<String, BTreeMap<String, String>> {
    let text = read(&repo().join("docs/configuration.md"));
    let mut tables: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut table = None;
    for line in prose(&text).lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            table = match heading {
                "Top level" => Some(String::new()),
                _ => heading
                    .strip_prefix("`[")
                    .and_then(|rest| rest.strip_suffix("]`"))
                    .map(str::to_owned),
            };
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        let key = cells[0]
            .strip_prefix("| `")
            .and_then(|rest| rest.strip_suffix('`'));
        if let (Some(table), Some(key), [_, _, default, ..]) = (&table, key, cells.as_slice()) {
            let keys = tables.entry(table.clone()).or_default();
            keys.insert(key.to_owned(), default.trim_matches('`').to_owned());
        }
    }
    tables
}

/// What the reader says about a `pipeline.toml`.
fn read_pipeline(text: &str) -> (Option<Pipeline>, Vec<String>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("w")).expect("a folder can be made");
    fs::write(folder.path().join("pipeline.toml"), text).expect("a file can be written");
    let mut problems = Problems::new(folder.path());
    let pipeline = Pipeline::load(folder.path(), &mut problems);
    let said = problems.sorted().into_iter().map(|problem| {
        let fix = problem.fix.unwrap_or_default();
        format!("{}; {fix}", problem.message)
    });
    (pipeline, said.collect())
}

/// The keys the reader takes in a table: it lists them when it meets one it does not know.
fn valid_keys(table: &str) -> BTreeSet<String> {
    let header = match table {
        "" => String::new(),
        _ => format!("[{}]\n", table.replace("NAME", "x")),
    };
    let (_, said) = read_pipeline(&format!("{header}zzqqxx = 1\n"));
    let list = said
        .iter()
        .find(|message| message.contains("zzqqxx`"))
        .and_then(|message| message.split("valid keys here: ").nth(1));
    let list = list.unwrap_or_else(|| panic!("[{table}] takes any key: {said:?}"));
    list.split(", ").map(str::to_owned).collect()
}

/// Both ways round: no key that the reader does not know, none that it knows and the document does not.
#[test]
fn the_documented_keys_are_the_keys_of_the_reader() {
    let tables = documented();
    assert!(tables.len() > 5, "only {} tables were found", tables.len());
    for (table, keys) in &tables {
        let parent = table.trim_matches(['[', ']']);
        let mut expected: BTreeSet<String> = keys.keys().cloned().collect();
        // Tables inside this one have headings of their own: `audit.except` inside `audit`, all of them at the top.
        let all = tables.keys().map(|table| table.trim_matches(['[', ']']));
        expected.extend(all.filter_map(|other| {
            let inner = match parent {
                "" => other,
                _ => other.strip_prefix(parent)?.strip_prefix('.')?,
            };
            let first = inner.split('.').next()?;
            (!first.is_empty()).then(|| first.to_owned())
        }));
        assert_eq!(
            expected,
            valid_keys(table),
            "left: docs/configuration.md, right: what the reader takes in [{table}]"
        );
    }
}

#[test]
fn documented_defaults_are_the_defaults() {
    let tables = documented();
    let mut text = String::from("[workers.w]\npath = \"w\"\n");
    for table in [
        "health", "deploy", "preview", "rollback", "local", "budgets", "audit",
    ] {
        text.push_str(&format!("[{table}]\n"));
        for (key, default) in &tables[table] {
            text.push_str(&format!("{key} = {default}\n"));
        }
    }
    let (pipeline, said) = read_pipeline(&text);
    assert_eq!(said, Vec::<String>::new(), "in\n{text}");
    let pipeline = pipeline.expect("the text is TOML");
    assert_eq!(pipeline.health, Health::default());
    assert_eq!(pipeline.deploy, Deploy::default());
    assert_eq!(pipeline.preview, Preview::default());
    assert_eq!(pipeline.rollback, Rollback::default());
    assert_eq!(pipeline.local, Local::default());
    assert_eq!(pipeline.budgets, Budgets::default());
    assert_eq!(pipeline.audit, Audit::default());
}

#[test]
fn the_example_pipeline_names_every_documented_key() {
    let example = read(&repo().join("pipeline.toml"));
    for (table, keys) in documented() {
        for key in keys.keys() {
            let named = example.lines().any(|line| {
                line.trim_start_matches(['#', ' '])
                    .starts_with(&format!("{key} = "))
            });
            assert!(named, "pipeline.toml shows no `{key}` of [{table}]");
        }
    }
}

#[test]
fn the_readme_names_its_two_commands() {
    let readme = read(&repo().join("README.md"));
    for command in ["cargo xtask rehearse", "cargo test --workspace"] {
        assert!(
            readme.lines().any(|line| line.trim() == command),
            "README.md has no line `{command}`"
        );
    }
}

#[test]
fn the_architecture_stays_short() {
    let lines = read(&repo().join("xtask/ARCHITECTURE.md")).lines().count();
    assert!(
        lines <= 150,
        "ARCHITECTURE.md has {lines} lines, of 150: say less"
    );
}

#[test]
fn the_architecture_names_only_modules_that_exist() {
    let text = read(&repo().join("xtask/ARCHITECTURE.md"));
    let mut count = 0;
    for line in text.lines() {
        // The code map: | `src/plan.rs` | … |
        let path = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next())
            .filter(|path| path.starts_with("src/") || path.starts_with("local-cloud/"));
        if let Some(path) = path {
            count += 1;
            assert!(
                repo().join("xtask").join(path).exists(),
                "ARCHITECTURE.md names {path}, which does not exist"
            );
        }
    }
    assert!(count > 10, "only {count} modules are on the map");
}
