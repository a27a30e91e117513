//! The text of a `pipeline.toml`: what was found as values, and everything else that may stand there as comments, in the words
//! of the list of keys that the reader goes by. Pure.

use crate::config::PIPELINE;
use crate::config::edit::{key, quote};
use crate::config::keys::{Key, Shape, Table};
use crate::survey::{Candidate, FoundDatabase, Secret, Secrets};

/// Comments are wrapped here.
const COLUMNS: usize = 118;

/// What stands above everything.
const HEAD: &str = "What ships where: the one file a user of the pipeline edits. Everything else (bindings, routes, crons, Durable Objects, \
compatibility dates) is read from each Worker's own wrangler config. `cargo xtask init` wrote this; run again, it adds the \
Workers and databases that are new, and changes nothing else. Unknown keys are errors.";

/// A whole new file, without workers and databases.
pub(super) fn head(
    name: &str,
    main_branch: &str,
    external: &[String],
    separate: &[String],
) -> String {
    let mut text = comment(HEAD, "# ");
    let lists = [
        ("external_services", external),
        ("separate_bindings", separate),
        ("ignored_workers", &[]),
    ];
    for (name, values) in lists {
        text.push('\n');
        text.push_str(&comment(&doc(&PIPELINE, name), "# "));
        text.push_str(&format!("{name} = {}\n", list(values)));
    }
    let project = PIPELINE.table("project");
    text.push_str("\n[project]\n");
    for (key, value) in [("name", name), ("main_branch", main_branch)] {
        text.push_str(&comment(
            &project.map(|table| doc(table, key)).unwrap_or_default(),
            "# ",
        ));
        text.push_str(&format!("{key} = {}\n", quote(value)));
    }
    text
}

/// What may stand in a file besides, all of it as comments.
pub(super) fn rest() -> String {
    let skipped = ["project", "workers", "databases"];
    let mut text = String::new();
    for (heading, table) in PIPELINE.all() {
        let top = heading
            .trim_matches(['[', ']'])
            .split('.')
            .next()
            .unwrap_or_default();
        if heading.is_empty() || skipped.contains(&top) {
            continue;
        }
        text.push('\n');
        text.push_str(&comment(table.doc, "# "));
        text.push_str(&format!("# {heading}\n"));
        text.push_str(&keys(table));
    }
    text
}

/// The comment above the first table of all workers or databases.
pub(super) fn above(kind: &str) -> String {
    let Some(table) = PIPELINE.table(kind) else {
        return String::new();
    };
    let named = matches!(table.shape, Shape::Named { .. });
    assert!(named, "[{kind}] has a table for each");
    format!("{}# Keys:\n{}", comment(table.doc, "# "), keys(table))
}

/// A worker's table.
pub(super) fn worker(name: &str, worker: &Candidate) -> String {
    let mut text = format!("[workers.{}]\n", key(name));
    let dir = worker.dir.display().to_string();
    let dir = if dir.is_empty() { "." } else { &dir };
    text.push_str(&format!("path = {}\n", quote(dir)));
    if worker.file_needed {
        text.push_str(&format!("config = {}\n", quote(&worker.file)));
    }
    let mut reasoned = |why: &str, line: String| {
        text.push_str(&comment(&sentence(why), "# "));
        text.push_str(&line);
    };
    if let Some(env) = &worker.chosen.env {
        reasoned(&worker.chosen.why, format!("env = {}\n", quote(env)));
    }
    if let Some(build) = &worker.build {
        reasoned(&build.why, format!("build = {}\n", quote(&build.command)));
    }
    secrets(&worker.secrets, &mut reasoned);
    match &worker.health.path {
        Some(path) if path == "/health" => {}
        Some(path) => reasoned(&worker.health.why, format!("health = {}\n", quote(path))),
        None => reasoned(&worker.health.why, "health = false\n".to_owned()),
    }
    text
}

/// The secrets, and a question about each name in doubt.
fn secrets(found: &Secrets, reasoned: &mut impl FnMut(&str, String)) {
    let names = |list: &[Secret]| -> Vec<String> {
        list.iter().map(|secret| secret.name.clone()).collect()
    };
    let files = |list: &[Secret]| {
        let mut files: Vec<&str> = list.iter().map(|secret| secret.seen_in.as_str()).collect();
        files.dedup();
        files.join(" and ")
    };
    if !found.unread.is_empty() {
        let why = format!(
            "left out, the source does not read it: {} (in {})",
            names(&found.unread).join(", "),
            files(&found.unread)
        );
        reasoned(&why, String::new());
    }
    if !found.undeclared.is_empty() {
        let why = format!(
            "the source also reads {}: add the secrets among them to `secrets`, the rest to `vars` in the wrangler config",
            found.undeclared.join(", ")
        );
        reasoned(&why, String::new());
    }
    if !found.needed.is_empty() {
        reasoned(
            &format!(
                "named in {}; drop what only development needs",
                files(&found.needed)
            ),
            format!("secrets = {}\n", list(&names(&found.needed))),
        );
    }
}

/// A database's table; none when it has no migrations.
pub(super) fn database(database: &FoundDatabase) -> Option<String> {
    let folder = database.migrations.as_ref()?;
    let mut text = format!("[databases.{}]\n", key(&database.name));
    let shown = |path: &std::path::Path| quote(&path.display().to_string());
    text.push_str(&format!("migrations = {}\n", shown(folder)));
    if let Some(schema) = &database.schema {
        match &schema.made_twice {
            None => text.push_str(&format!("schema = {}\n", shown(&schema.path))),
            Some(table) => {
                let why = format!(
                    "it makes the table `{table}`, as the migrations do, so it is no baseline for them"
                );
                text.push_str(&comment(&sentence(&why), "# "));
                text.push_str(&format!("# schema = {}\n", shown(&schema.path)));
            }
        }
    }
    if let Some(seed) = &database.seed {
        text.push_str(
            "# Only if production is to have these rows, too, and the file may run again.\n",
        );
        text.push_str(&format!("# seed = {}\n", shown(seed)));
    }
    Some(text)
}

fn keys(table: &Table) -> String {
    table.keys.iter().map(key_comment).collect()
}

fn key_comment(key: &Key) -> String {
    let value = key.shown().unwrap_or_else(|| "…".to_owned());
    let mut text = format!("#   {} = {value}\n", key.name);
    text.push_str(&comment(&sentence(key.doc), "#       "));
    text
}

fn doc(table: &Table, name: &str) -> String {
    table
        .key(name)
        .map(|key| sentence(key.doc))
        .unwrap_or_default()
}

fn list(values: &[String]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| quote(value)).collect();
    format!("[{}]", quoted.join(", "))
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars
        .next()
        .map(|c| c.to_uppercase().collect())
        .unwrap_or_default();
    let stop = if text.ends_with(['.', '?', '!']) {
        ""
    } else {
        "."
    };
    format!("{first}{}{stop}", chars.as_str())
}

/// A text in comment lines.
fn comment(text: &str, mark: &str) -> String {
    let mut lines = String::new();
    let mut line = mark.trim_end().to_owned();
    let begin = mark[line.len()..].to_owned();
    let mut gap = begin.clone();
    for word in text.split_whitespace() {
        if line.chars().count() + gap.len() + word.chars().count() > COLUMNS
            && line != mark.trim_end()
        {
            lines.push_str(&line);
            lines.push('\n');
            line = mark.trim_end().to_owned();
            gap.clone_from(&begin);
        }
        line.push_str(&gap);
        line.push_str(word);
        gap = " ".to_owned();
    }
    if line != mark.trim_end() {
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}
