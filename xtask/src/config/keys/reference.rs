//! The reference of a configuration file, in Markdown: a heading, a sentence and a table of keys for each of its tables.

use super::{Fallback, Key, Kind, Table};

const COLUMNS: usize = 120;

/// The whole reference.
pub(super) fn of(file: &Table) -> String {
    let sections = file.all().into_iter().map(|(heading, table)| {
        let title = match heading.is_empty() {
            true => "Top level".to_owned(),
            false => format!("`{heading}`"),
        };
        let mut section = format!("## {title}\n\n{}\n", wrapped(table.doc));
        if !table.keys.is_empty() {
            section.push_str("\n| Key | Type | Default | Meaning |\n| --- | --- | --- | --- |\n");
            section.extend(table.keys.iter().map(row));
        }
        section
    });
    sections.collect::<Vec<_>>().join("\n")
}

/// Lines of a length that is read easily, and shown by a diff.
fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

fn row(key: &Key) -> String {
    let cells = [
        format!("`{}`", key.name),
        type_of(&key.kind),
        default_of(&key.fallback),
        key.doc.to_owned(),
    ];
    let cells = cells.map(|cell| cell.replace('|', "\\|"));
    format!("| {} |\n", cells.join(" | "))
}

/// The type in a few words.
fn type_of(kind: &Kind) -> String {
    match kind {
        Kind::Text { what, .. } => (*what).to_owned(),
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Integer(range) => format!("{} to {}", range.start(), range.end()),
        Kind::Words(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            let (last, others) = words
                .split_last()
                .expect("a type of no words has no values");
            match others {
                [] => last.clone(),
                _ => format!("{} or {last}", others.join(", ")),
            }
        }
        Kind::Duration { .. } => "duration".to_owned(),
        Kind::Size => "size".to_owned(),
        Kind::Day => "day".to_owned(),
        Kind::List { what, .. } => format!("list of {what}"),
        Kind::PathOrFalse => "path or `false`".to_owned(),
        Kind::FieldOrFalse => "text or `false`".to_owned(),
        Kind::Variables => "table".to_owned(),
    }
}

fn default_of(fallback: &Fallback) -> String {
    match fallback {
        Fallback::Required => "required".to_owned(),
        Fallback::Nothing => "-".to_owned(),
        Fallback::Value(value) => format!("`{value}`"),
        Fallback::Words(words) => (*words).to_owned(),
    }
}
