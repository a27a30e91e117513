//! Removes and renames workers, with every mention of them in the file.

use std::ops::Range;

use super::{Editor, key, last_byte, quote};
use crate::config::tree::{Entry, Kind, Node, Table};
use crate::error::Fail;

impl Editor {
    /// Removes a worker's table, and it from `[[preview.smoke]]`. What stands above the first table of all workers is
    /// about them all, and stays.
    pub fn remove_worker(&mut self, name: &str) -> Result<(), Fail> {
        let entries = self.named("workers");
        let first = entries.first().is_some_and(|entry| entry.key == name);
        let Some(entry) = entries.iter().find(|entry| entry.key == name).cloned() else {
            return Ok(());
        };
        let range = self.whole(&entry, first)?;
        self.edit(range, "");
        for (index, smoke) in self.smokes().into_iter().enumerate() {
            let Kind::Table(table) = &smoke.kind else {
                continue;
            };
            if is_text(table.get("worker"), name) {
                let range = self.whole_table(table, &smoke.span, index == 0)?;
                self.edit(range, "");
            } else if let Some(reaches) = table.get("reaches") {
                self.remove_item(&reaches.value, name);
            }
        }
        Ok(())
    }

    /// Gives a worker another short name, everywhere in the file: its table, `[[preview.smoke]]`, `{url:NAME}` in
    /// `preview.vars`, and steps in `[[allow]]`.
    pub fn rename_worker(&mut self, from: &str, to: &str) {
        if let Some(entry) = self
            .named("workers")
            .into_iter()
            .find(|entry| entry.key == from)
        {
            self.edit(entry.key_span.clone(), &key(to));
        }
        let mut texts = Vec::new();
        for smoke in self.smokes() {
            let Kind::Table(table) = smoke.kind else {
                continue;
            };
            texts.extend(table.get("worker").map(|entry| entry.value.clone()));
            if let Some(Kind::Array(items)) = table.get("reaches").map(|entry| &entry.value.kind) {
                texts.extend(items.iter().cloned());
            }
        }
        for node in texts
            .iter()
            .filter(|node| node.kind == Kind::String(from.to_owned()))
        {
            self.edit(node.span.clone(), &quote(to));
        }
        if let Some(vars) = self.tables_at(&["preview", "vars"]) {
            self.rename_in_texts(&vars, &|text| {
                text.replace(&format!("{{url:{from}}}"), &format!("{{url:{to}}}"))
            });
        }
        if let Some(Kind::Array(allows)) = self
            .table
            .get("allow")
            .map(|entry| entry.value.kind.clone())
        {
            for allow in allows {
                let Kind::Table(table) = allow.kind else {
                    continue;
                };
                let step = table.entries.into_iter().find(|entry| entry.key == "step");
                let step = Table {
                    entries: step.into_iter().collect(),
                };
                self.rename_in_texts(&step, &|step| renamed_step(step, from, to));
            }
        }
    }

    fn tables_at(&self, path: &[&str]) -> Option<Table> {
        let mut table = &self.table;
        for key in path {
            match &table.get(key)?.value.kind {
                Kind::Table(inner) => table = inner,
                _ => return None,
            }
        }
        Some(table.clone())
    }

    fn smokes(&self) -> Vec<Node> {
        let preview = self.tables_at(&["preview"]).unwrap_or_default();
        match preview.get("smoke").map(|entry| &entry.value.kind) {
            Some(Kind::Array(smokes)) => smokes.clone(),
            _ => Vec::new(),
        }
    }

    fn rename_in_texts(&mut self, table: &Table, renamed: &dyn Fn(&str) -> String) {
        for entry in &table.entries {
            let Kind::String(text) = &entry.value.kind else {
                continue;
            };
            let new = renamed(text);
            if new != *text {
                self.edit(entry.value.span.clone(), &quote(&new));
            }
        }
    }

    /// The bytes of a named table: from its header (or the comment above it) to the line before the next one.
    fn whole(&self, entry: &Entry, keep_comment: bool) -> Result<Range<usize>, Fail> {
        let line = self.line_start(entry.key_span.start);
        let is_header = self.text[line..].trim_start().starts_with('[');
        let Kind::Table(table) = &entry.value.kind else {
            return Ok(line..self.line_end_after(entry.value.span.end));
        };
        if is_header {
            return self.whole_table(table, &entry.key_span, keep_comment);
        }
        // `main = { path = "…" }` is one value. What dotted keys say may stand anywhere.
        let inline = self.text[entry.value.span.clone()].starts_with('{');
        if !inline {
            return Err(
                Fail::setup(format!("`{}` is written in dotted keys", entry.key))
                    .why("its lines may stand anywhere in pipeline.toml")
                    .fix("remove them by hand"),
            );
        }
        Ok(line..self.line_end_after(entry.value.span.end))
    }

    /// The bytes of a table with a header of its own; `header` lies in it.
    fn whole_table(
        &self,
        table: &Table,
        header: &Range<usize>,
        keep_comment: bool,
    ) -> Result<Range<usize>, Fail> {
        let mut start = self.line_start(header.start);
        let end = self.end_of_lines(last_byte(table).unwrap_or(header.end).max(header.end));
        if !keep_comment {
            start = self.comment_above(start);
        }
        // The blank line behind it goes with it.
        let rest = &self.text[end..];
        let blank = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
        let at_end = blank == rest.len();
        if at_end {
            let kept = self.text[..start].trim_end_matches(['\r', '\n']).len();
            let kept = self.line_end_after(kept);
            return Ok(kept.min(start)..self.text.len());
        }
        Ok(start..end + blank)
    }
}

fn is_text(entry: Option<&Entry>, text: &str) -> bool {
    entry.is_some_and(|entry| entry.value.kind == Kind::String(text.to_owned()))
}

/// `test main` and `test main 2` are steps of `main`; `test main*` may be of others, too, and is left alone.
fn renamed_step(step: &str, from: &str, to: &str) -> String {
    let words: Vec<&str> = step.split(' ').collect();
    let renamed: Vec<&str> = words
        .iter()
        .map(|word| if *word == from { to } else { word })
        .collect();
    // The first word says what is done: a worker may be called `test`.
    match words.first() {
        Some(first) => std::iter::once(first)
            .chain(renamed.iter().skip(1))
            .copied()
            .collect::<Vec<_>>()
            .join(" "),
        None => String::new(),
    }
}
