//! Links, commands and names in the documents.

use std::collections::BTreeSet;

use clap::Parser as _;
use clap::error::ErrorKind;
use xtask::cli::Cli;

use super::*;

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
            let words = words(line);
            // The bare name, as in "every stage is a `cargo xtask` verb".
            (words.len() > 2 && words[1] == "xtask").then_some(words)
        })
        .collect()
}

/// A line's words as a shell would tell them apart; what stands between double quotes is one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

#[test]
fn every_command_shown_is_one_the_program_takes() {
    let mut count = 0;
    for (path, text) in documents() {
        for words in commands(&text) {
            count += 1;
            // The first word stands for the program's name.
            let parsed = Cli::try_parse_from(&words[1..]);
            // A verb may be named without what it needs, as in a table of all verbs.
            let named = words.len() == 3;
            let fine = match &parsed {
                Ok(_) => true,
                Err(error) if named && error.kind() == ErrorKind::MissingRequiredArgument => true,
                Err(error) => matches!(
                    error.kind(),
                    ErrorKind::DisplayHelp
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                        | ErrorKind::DisplayVersion
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
