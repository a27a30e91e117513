//! Changes of `pipeline.toml` and of wrangler configs as a person would make them: the parsers say where what stands, and only
//! those bytes change, so comments, order, spaces and line ends of everything else stay as they are.

mod scripts;
#[cfg(test)]
mod tests;
mod workers;

pub use self::scripts::Renamed;

use std::ops::Range;
use std::path::Path;

use super::source::{Problems, Source};
use super::tree::{self, Entry, Kind, Node, Table};
use crate::error::Fail;

/// A file that is being changed.
pub struct Editor {
    text: String,
    table: Table,
    /// `\r\n` in a file that has them.
    line_end: &'static str,
    /// The mark some editors of Windows put in front of everything.
    mark: &'static str,
    edits: Vec<(Range<usize>, String)>,
}

impl Editor {
    /// Reads the text of `pipeline.toml`; one that is no TOML is a mistake of set-up, as nothing can be changed in it safely.
    pub fn new(root: &Path, text: &str) -> Result<Editor, Fail> {
        Editor::open(root, &root.join("pipeline.toml"), text)
    }

    /// Reads the text of a wrangler config, TOML or JSON with comments.
    pub fn open(root: &Path, path: &Path, text: &str) -> Result<Editor, Fail> {
        let source = Source::new(path, text);
        let mut problems = Problems::new(root);
        let table = tree::parse(&source, &mut problems);
        problems.into_result()?;
        Ok(Editor {
            mark: if text.starts_with('\u{feff}') {
                "\u{feff}"
            } else {
                ""
            },
            line_end: if source.text.contains("\r\n") {
                "\r\n"
            } else {
                "\n"
            },
            text: source.text,
            table: table.unwrap_or_default(),
            edits: Vec::new(),
        })
    }

    /// The names of the tables of a kind: those of all workers, or of all databases.
    pub fn names(&self, kind: &str) -> Vec<String> {
        let entries = self.named(kind).into_iter();
        entries.map(|entry| entry.key).collect()
    }

    /// Adds a table such as `[workers.api]` behind the last of its kind, else at the end. `toml` is its text, comments
    /// included.
    pub fn add_table(&mut self, kind: &str, toml: &str) {
        let last = self.named(kind).last().map(|entry| self.end_of(entry));
        let at = last.unwrap_or(self.text.len());
        let mut text = toml.trim_end().to_owned();
        if last.is_some() || !self.text.trim().is_empty() {
            text.insert(0, '\n');
        }
        if !self.text[..at].is_empty() && !self.text[..at].ends_with('\n') {
            text.insert(0, '\n');
        }
        text.push('\n');
        self.edit(at..at, &text);
    }

    /// Adds names to a list at the top of the file, which is made when it is not there. `comment` stands above it then.
    pub fn add_to_list(&mut self, key: &str, names: &[String], comment: &str) {
        let quoted: Vec<String> = names.iter().map(|name| quote(name)).collect();
        let Some(entry) = self.table.get(key) else {
            let text = format!("{comment}{key} = [{}]\n", quoted.join(", "));
            let at = self.end_of_top_keys();
            return self.edit(at..at, &text);
        };
        let Kind::Array(items) = &entry.value.kind else {
            return; // the reader has said that it must be one
        };
        let (at, text) = match items.last() {
            Some(last) => (last.span.end, format!(", {}", quoted.join(", "))),
            None => (entry.value.span.start + 1, quoted.join(", ")),
        };
        self.edit(at..at, &text);
    }

    /// The texts in a list at the top of the file, as they stand there.
    pub fn texts(&self, key: &str) -> Vec<String> {
        let list = self.table.get(key).map(|entry| entry.value.to_json());
        let texts = list.as_ref().and_then(serde_json::Value::as_array);
        let texts = texts.into_iter().flatten();
        texts
            .filter_map(|text| text.as_str().map(str::to_owned))
            .collect()
    }

    /// Takes a name off a list at the top of the file.
    pub fn remove_from_list(&mut self, key: &str, name: &str) {
        if let Some(entry) = self.table.get(key) {
            let value = entry.value.clone();
            self.remove_item(&value, name);
        }
    }

    /// The changed text.
    pub fn finish(mut self) -> String {
        self.edits
            .sort_by_key(|(range, _)| (range.start, range.end));
        let mut text = self.mark.to_owned();
        let mut at = 0;
        for (range, new) in &self.edits {
            assert!(range.start >= at, "two changes of a file meet");
            text.push_str(&self.text[at..range.start]);
            text.push_str(&new.replace('\n', self.line_end));
            at = range.end;
        }
        text.push_str(&self.text[at..]);
        text
    }

    fn edit(&mut self, range: Range<usize>, text: &str) {
        self.edits.push((range, text.to_owned()));
    }

    /// The tables of a kind, such as `workers`, by name.
    fn named(&self, kind: &str) -> Vec<Entry> {
        match self.table.get(kind).map(|entry| &entry.value.kind) {
            Some(Kind::Table(table)) => table.entries.clone(),
            _ => Vec::new(),
        }
    }

    /// Takes a text out of an array, with one of the commas around it.
    fn remove_item(&mut self, array: &Node, name: &str) {
        let Kind::Array(items) = &array.kind else {
            return;
        };
        let Some(at) = items
            .iter()
            .position(|item| item.kind == Kind::String(name.to_owned()))
        else {
            return;
        };
        let range = match (
            at.checked_sub(1).and_then(|before| items.get(before)),
            items.get(at + 1),
        ) {
            (_, Some(next)) => items[at].span.start..next.span.start,
            (Some(before), None) => before.span.end..items[at].span.end,
            (None, None) => items[at].span.clone(),
        };
        self.edit(range, "");
    }

    /// Where a new table of the same kind goes: behind the last line of this one, with the comments right below it.
    fn end_of(&self, entry: &Entry) -> usize {
        let last = match &entry.value.kind {
            Kind::Table(table) => last_byte(table),
            _ => None,
        };
        self.end_of_lines(
            last.unwrap_or(0)
                .max(entry.value.span.end)
                .max(entry.key_span.end),
        )
    }

    /// The end of the line that holds a byte, and of the comments right below it.
    fn end_of_lines(&self, byte: usize) -> usize {
        let mut end = self.line_end_after(byte);
        while self.text[end..]
            .trim_start_matches([' ', '\t'])
            .starts_with('#')
        {
            end = self.line_end_after(end);
        }
        end
    }

    /// Behind the last key at the top of the file, else in front of the first table and the comment above it.
    fn end_of_top_keys(&self) -> usize {
        let is_key = |entry: &&Entry| {
            let line = self.line_start(entry.key_span.start);
            !self.text[line..].trim_start().starts_with('[')
        };
        let keys = self.table.entries.iter().filter(is_key);
        if let Some(last) = keys.map(|entry| entry.value.span.end).max() {
            return self.line_end_after(last);
        }
        let first = self
            .table
            .entries
            .iter()
            .map(|entry| match &entry.value.kind {
                Kind::Table(table) => first_byte(table)
                    .unwrap_or(entry.key_span.start)
                    .min(entry.key_span.start),
                _ => entry.key_span.start,
            });
        match first.min() {
            Some(first) => self.comment_above(self.line_start(first)),
            None => self.text.len(),
        }
    }

    /// The start of the comment lines right above a line.
    fn comment_above(&self, line: usize) -> usize {
        let mut start = line;
        while start > 0 {
            let above = self.line_start(start - 1);
            if !self.text[above..start].trim_start().starts_with('#') {
                break;
            }
            start = above;
        }
        start
    }

    fn line_start(&self, byte: usize) -> usize {
        self.text[..byte].rfind('\n').map_or(0, |at| at + 1)
    }

    /// Behind the line break that follows.
    fn line_end_after(&self, byte: usize) -> usize {
        self.text[byte..]
            .find('\n')
            .map_or(self.text.len(), |at| byte + at + 1)
    }
}

/// The end of the last value in a table.
fn last_byte(table: &Table) -> Option<usize> {
    let ends = table.entries.iter().map(|entry| match &entry.value.kind {
        Kind::Table(inner) => last_byte(inner).unwrap_or(0).max(entry.value.span.end),
        _ => entry.value.span.end,
    });
    ends.max()
}

fn first_byte(table: &Table) -> Option<usize> {
    let starts = table.entries.iter().map(|entry| match &entry.value.kind {
        Kind::Table(inner) => first_byte(inner)
            .unwrap_or(usize::MAX)
            .min(entry.key_span.start),
        _ => entry.key_span.start,
    });
    starts.min()
}

/// A text of TOML.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A key of TOML: quoted when it has to be.
pub fn key(text: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !text.is_empty() && text.chars().all(bare) {
        text.to_owned()
    } else {
        quote(text)
    }
}
