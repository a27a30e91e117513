//! Every example in README.md and docs/ is run, or known to be true in another way that is checked here: a block or command that
//! nobody has thought of fails.
#![cfg(unix)]

mod blocks;
mod masks;
mod rehearsed;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use blocks::{Block, Example, blocks, repo};
use rehearsed::{Rehearsed, Said};
use ways::{Text, Way};
use xtask::config::{PIPELINE, Pipeline, Problems};

fn examples() -> Vec<Example> {
    blocks().iter().flat_map(Block::examples).collect()
}

/// The text of a file of this repo.
fn own(path: &str) -> String {
    fs::read_to_string(repo().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn no_example_is_unverified() {
    let mut unknown = Vec::new();
    let mut count = 0;
    for block in blocks() {
        let examples = block.examples();
        count += 1;
        if examples.is_empty() && ways::of_text(&block).is_none() {
            unknown.push(format!(
                "{}:{}: a block of `{}`",
                block.file, block.line, block.language
            ));
        }
        for example in examples {
            match ways::of(&example) {
                None => unknown.push(format!("{}: {}", example.place, example.line)),
                Some(Way::Elsewhere(path, text)) => assert!(
                    own(path).contains(text),
                    "{}: {path} no longer says {text:?}: where is it run?",
                    example.place
                ),
                Some(Way::Shell) => names_exist(&example),
                Some(_) => {}
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "give each of these a way in tests/examples/ways.rs:\n{}",
        unknown.join("\n")
    );
    assert!(count > 50, "only {count} blocks were found");
}

/// What a line sets is what something reads.
#[track_caller]
fn names_exist(example: &Example) {
    let pipeline = own("pipeline.toml");
    let names = example
        .words
        .iter()
        .skip(1)
        .filter_map(|word| match word.split_once('=') {
            Some((name, _)) => Some(name),
            None => word
                .chars()
                .all(|c| c.is_ascii_uppercase() || c == '_')
                .then_some(word.as_str()),
        });
    for name in names {
        let known = pipeline.contains(&format!("\"{name}\"")) || name.starts_with("CLOUDFLARE_");
        assert!(known, "{}: nothing reads {name}", example.place);
    }
}

#[test]
fn an_example_nobody_thought_of_is_noticed() {
    let block = &blocks::blocks_of(
        "docs/x.md",
        "```sh\ncargo xtask frobnicate\nmake all\n```\n",
    )[0];
    let ways: Vec<Option<Way>> = block.examples().iter().map(ways::of).collect();
    assert_eq!(ways, [None, None]);
    let block = &blocks::blocks_of("docs/x.md", "```yaml\na: 1\n```\n")[0];
    assert_eq!(ways::of_text(block), None);
}

#[test]
fn every_toml_block_is_a_pipeline() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir_all(folder.path().join("workers/main")).expect("a folder can be made");
    let mut count = 0;
    for block in blocks()
        .iter()
        .filter(|block| ways::of_text(block) == Some(Text::Toml))
    {
        count += 1;
        let mut text = block.lines.join("\n");
        if let Some(schema) = text.strip_prefix("#:schema ") {
            let schema = schema
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("./");
            assert_eq!(
                own(schema).trim_end(),
                format!("{:#}", PIPELINE.schema("pipeline.toml"))
            );
        }
        if !text.contains('[') {
            text.push_str("\n[workers.main]\npath = \"workers/main\"\n");
        }
        fs::write(folder.path().join("pipeline.toml"), &text).expect("it can be written");
        let mut problems = Problems::new(folder.path());
        let pipeline = Pipeline::load(folder.path(), &mut problems);
        let said: Vec<String> = problems.sorted().into_iter().map(|it| it.message).collect();
        assert!(
            pipeline.is_some() && said.is_empty(),
            "{}:{}: {said:?}",
            block.file,
            block.line
        );
    }
    assert!(count > 1);
}

#[test]
fn what_is_shown_as_a_snapshot_is_one() {
    for block in blocks() {
        let (path, columned) = match ways::of_text(&block) {
            Some(Text::Snapshot(path)) => (path, false),
            Some(Text::Columned(path)) => (path, true),
            _ => continue,
        };
        let source: Vec<String> = own(path).lines().map(masks::mask).collect();
        for line in block.lines.iter().filter(|line| !line.is_empty()) {
            let line = match line.split_once(' ') {
                Some((_, rest)) if columned => rest,
                _ => line,
            };
            let wanted = masks::mask(line);
            assert!(
                source.iter().any(|line| line.contains(&wanted)),
                "{}:{}: {path} holds no {line:?}",
                block.file,
                block.line
            );
        }
    }
}

/// How a command may end: not every example is about something that goes well.
fn codes(example: &Example) -> &'static [i32] {
    let line = &example.line;
    match () {
        // There is no token, and no merge.
        () if line.contains("xtask doctor") => &[0, 2],
        () if line.contains("--parent") => &[2],
        // Somebody changed things by hand.
        () if line.contains("xtask status") => &[0, 1],
        () => &[0],
    }
}

#[test]
fn the_examples_do_what_the_documents_say() {
    let rehearsed = Rehearsed::new();
    let mut wrong = Vec::new();
    let mut said: BTreeMap<Vec<String>, String> = BTreeMap::new();
    said.insert(vec!["rehearse".to_owned()], rehearsed.said.clone());
    let (locals, others): (Vec<_>, Vec<_>) = examples().into_iter().partition(|example| {
        let words: Vec<&str> = example.words.iter().map(String::as_str).collect();
        words.starts_with(&["cargo", "xtask", "local"])
    });
    let mut done = BTreeSet::new();
    for example in others {
        if example.words[1..] == ["xtask", "rehearse"] || !done.insert(example.line.clone()) {
            continue;
        }
        if example.words.get(2).is_some_and(|verb| verb == "status")
            && done.insert("by hand".to_owned())
        {
            rehearsed.change_by_hand();
        }
        if let Some(said_now) = try_one(&rehearsed, &example) {
            judge(&example, &said_now, &mut wrong);
            if example.words[0] == "cargo" {
                said.insert(example.words[2..].to_vec(), said_now.text);
            }
        }
    }
    said_texts(&said, &mut wrong);
    sql(&rehearsed);
    for example in locals {
        let said = try_local(&rehearsed, &example);
        judge(&example, &said, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn judge(example: &Example, said: &Said, wrong: &mut Vec<String>) {
    let (place, line) = (&example.place, &example.line);
    if !said.code.is_some_and(|code| codes(example).contains(&code)) {
        wrong.push(format!(
            "{place}: `{line}` ended with {:?}:\n{}",
            said.code, said.text
        ));
    } else if let Err(difference) = masks::holds(&said.text, &example.answer) {
        wrong.push(format!(
            "{place}: `{line}` says something else: {difference}"
        ));
    }
}

/// Runs an example as its way says; nothing for what is run elsewhere.
fn try_one(rehearsed: &Rehearsed, example: &Example) -> Option<Said> {
    let arguments = example.words.get(2..).unwrap_or_default();
    // Where the shell would keep what is said is the shell's.
    let kept = arguments.iter().position(|word| word.starts_with('>'));
    let arguments = &arguments[..kept.unwrap_or(arguments.len())];
    match ways::of(example)? {
        Way::Run => Some(rehearsed.xtask(arguments, &[])),
        Way::Dry => Some(rehearsed.xtask(arguments, &["--dry-run"])),
        Way::Second if arguments.iter().any(|word| word == "--for") => {
            Some(rehearsed.xtask(arguments, &[]))
        }
        Way::Second => Some(rehearsed.xtask(arguments, &["--for", "1s"])),
        Way::Curl => Some(rehearsed.curl(&example.words[1..])),
        Way::Wrangler => {
            wrangler(rehearsed, example);
            None
        }
        Way::Shell if matches!(example.words[0].as_str(), "echo" | "mkdir") => {
            rehearsed.shell(example);
            None
        }
        Way::Shell | Way::Elsewhere(..) | Way::Detached => None,
    }
}

/// A local cloud runs before what looks at it or stops it; none is left running.
fn try_local(rehearsed: &Rehearsed, example: &Example) -> Said {
    let word = |word: &str| word.to_owned();
    let arguments = &example.words[2..];
    let last = arguments.iter().any(|word| word == "--root");
    if !last {
        rehearsed.xtask(&[word("local"), word("--stop")], &[]);
    }
    if arguments
        .iter()
        .any(|word| word == "--stop" || word == "--status")
    {
        rehearsed.xtask(&[word("local"), word("--detach")], &[]);
    }
    match ways::of(example) {
        Some(Way::Detached) => rehearsed.xtask(arguments, &["--detach"]),
        _ => rehearsed.xtask(arguments, &[]),
    }
}

/// The command is one of wrangler's, and so is each flag.
#[track_caller]
fn wrangler(rehearsed: &Rehearsed, example: &Example) {
    let words = &example.words[2..];
    let is_name = |word: &&String| {
        word.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !word.starts_with('-')
    };
    let depth = match words.first().map(String::as_str) {
        Some("deploy") => 1,
        Some("d1") if words.get(1).is_some_and(|word| word == "time-travel") => 3,
        Some("kv" | "r2") => 3,
        _ => 2,
    };
    let command: Vec<String> = words.iter().take(depth).filter(is_name).cloned().collect();
    assert_eq!(command.len(), depth, "{}", example.place);
    let help = rehearsed.wrangler_help(&command);
    assert_eq!(help.code, Some(0), "{}: {}", example.place, help.text);
    let title = format!("wrangler {}", command.join(" "));
    assert!(
        help.text.contains(&title),
        "{}: {}",
        example.place,
        help.text
    );
    for flag in words.iter().filter(|word| word.starts_with("--")) {
        let flag = flag.split('=').next().unwrap_or(flag);
        assert!(
            help.text.contains(flag),
            "{}: wrangler knows no {flag}",
            example.place
        );
    }
}

/// Each line of a block that shows a command's output was really said.
fn said_texts(said: &BTreeMap<Vec<String>, String>, wrong: &mut Vec<String>) {
    for block in blocks() {
        let Some(Text::Said(command)) = ways::of_text(&block) else {
            continue;
        };
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let real = said
            .get(&command)
            .unwrap_or_else(|| panic!("nobody ran {command:?}"));
        let strangers = masks::strangers(real, &block.lines.join("\n"));
        if !strangers.is_empty() {
            wrong.push(format!(
                "{}:{}: `cargo xtask {}` does not say:\n{}\nbut:\n{real}",
                block.file,
                block.line,
                command.join(" "),
                strangers.join("\n")
            ));
        }
    }
}

/// The recipes for a table made anew keep every row, on the database that D1 is here.
fn sql(rehearsed: &Rehearsed) {
    let database = rehearsed.new_database();
    let before = [
        "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT)",
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id) ON DELETE CASCADE)",
        "CREATE TABLE shops (id INTEGER PRIMARY KEY, name TEXT)",
        "CREATE TABLE visits (id INTEGER PRIMARY KEY, shop INTEGER REFERENCES shops (id))",
        "INSERT INTO users VALUES (1, 'a'), (2, NULL)",
        "INSERT INTO orders VALUES (1, 1), (2, 2), (3, 2)",
        "INSERT INTO shops VALUES (1, NULL)",
        "INSERT INTO visits VALUES (1, 1), (2, 1)",
    ];
    let run = |sql: &str| {
        let answer = rehearsed.sql(&database, sql);
        assert_eq!(answer["success"], true, "{sql}: {answer}");
        answer
    };
    run(&before.join(";\n"));
    let mut count = 0;
    for block in blocks()
        .iter()
        .filter(|block| ways::of_text(block) == Some(Text::Sql))
    {
        count += 1;
        let text = block.lines.join("\n");
        match text
            .strip_prefix("-- xtask: allow ")
            .and_then(|rest| rest.split_once(" because "))
        {
            Some((names, _)) => {
                for name in names.split(", ") {
                    let row = format!("| `{name}`");
                    assert!(
                        own(&block.file).contains(&row),
                        "{}: there is no {name}",
                        block.file
                    );
                }
            }
            None => drop(run(&text)),
        }
    }
    assert!(count > 2);
    let rows = "SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM orders) AS orders, \
                (SELECT count(*) FROM shops) AS shops, (SELECT count(*) FROM visits) AS visits";
    assert_eq!(
        run(rows)["result"][0]["results"][0],
        serde_json::json!({"users": 2, "orders": 3, "shops": 1, "visits": 2})
    );
}
