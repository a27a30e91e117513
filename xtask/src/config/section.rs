//! Typed reading of a table: every question says what it expects, and an answer of the wrong type becomes a problem with
//! its position. Never shows a value, only key paths and kinds. Of a file whose keys are declared, only those can be asked
//! for, and only those are valid; of any other, the ones that were asked for are.

mod declared;

use std::cell::RefCell;

use serde_json::Value;

use super::keys;
use super::source::{Place, Problems, Source};
use super::suggest;
use super::tree::{Entry, Kind, Node, Table};

/// The problems found while one file is read.
pub(crate) struct Notes<'s> {
    pub(crate) source: &'s Source,
    found: RefCell<Vec<Note>>,
}

struct Note {
    place: Place,
    message: String,
    fix: Option<String>,
}

/// A table of a file, and the path of keys that leads to it.
pub(crate) struct Section<'n> {
    pub(crate) notes: &'n Notes<'n>,
    pub(crate) table: &'n Table,
    /// `d1_databases[0]`; empty for the file itself.
    path: String,
    /// Where the table begins.
    at: Place,
    /// The keys it may have, when the file declares them.
    keys: Option<&'static keys::Table>,
    /// The keys that were asked for.
    asked: RefCell<Vec<String>>,
}

impl<'s> Notes<'s> {
    pub(crate) fn new(source: &'s Source) -> Notes<'s> {
        Notes {
            source,
            found: RefCell::new(Vec::new()),
        }
    }

    pub(crate) fn error(&self, place: Place, message: impl Into<String>) {
        self.push(place, message.into(), None);
    }

    pub(crate) fn error_with_fix(
        &self,
        place: Place,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(place, message.into(), Some(fix.into()));
    }

    fn push(&self, place: Place, message: String, fix: Option<String>) {
        self.found.borrow_mut().push(Note {
            place,
            message,
            fix,
        });
    }

    /// Hands everything found to the list of all files.
    pub(crate) fn hand_over(self, problems: &mut Problems) {
        let path = &self.source.path;
        for note in self.found.into_inner() {
            match note.fix {
                Some(fix) => problems.error_with_fix(path, note.place, note.message, fix),
                None => problems.error(path, note.place, note.message),
            }
        }
    }
}

impl<'n> Section<'n> {
    /// The file itself.
    pub(crate) fn root(notes: &'n Notes<'n>, table: &'n Table) -> Section<'n> {
        Section {
            notes,
            table,
            path: String::new(),
            at: Place { line: 1, col: 1 },
            keys: None,
            asked: RefCell::new(Vec::new()),
        }
    }

    /// A table inside this one: its key, the path that is shown for it, and what it holds.
    fn inner(&self, key: &str, path: String, node: &'n Node, table: &'n Table) -> Section<'n> {
        Section {
            notes: self.notes,
            table,
            path,
            at: self.notes.source.place_of(&node.span),
            keys: self.keys.and_then(|keys| keys.table(key)),
            asked: RefCell::new(Vec::new()),
        }
    }

    /// Where this table begins.
    pub(crate) fn place(&self) -> Place {
        self.at
    }

    /// Where a key's value stands, or the table when it has no such key.
    pub(crate) fn at(&self, key: &str) -> Place {
        match self.table.get(key) {
            Some(entry) => self.notes.source.place_of(&entry.value.span),
            None => self.at,
        }
    }

    /// The path of a key, for messages: `d1_databases[0].binding`.
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// The value of a key, whatever it is.
    pub(crate) fn value(&self, key: &str) -> Option<&'n Node> {
        self.assert_declared(key);
        if !self.asked.borrow().iter().any(|asked| asked == key) {
            self.asked.borrow_mut().push(key.to_owned());
        }
        self.table.get(key).map(|entry| &entry.value)
    }

    /// The value of a key as JSON.
    pub(crate) fn json(&self, key: &str) -> Option<Value> {
        self.value(key).map(Node::to_json)
    }

    pub(crate) fn string(&self, key: &str) -> Option<String> {
        let node = self.value(key)?;
        match &node.kind {
            Kind::String(text) => Some(text.clone()),
            _ => self.wrong(key, node, "a string"),
        }
    }

    /// A string that must not be empty.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        let text = self.string(key)?;
        if text.trim().is_empty() {
            let message = format!("`{}` must not be empty", self.path_of(key));
            self.notes.error(self.at(key), message);
            return None;
        }
        Some(text)
    }

    /// A string that must be there and not be empty.
    pub(crate) fn required_text(&self, key: &str) -> Option<String> {
        if self.value(key).is_none() {
            let message = format!("`{}` is missing", self.path_of(key));
            self.notes.error(self.at, message);
            return None;
        }
        self.text(key)
    }

    pub(crate) fn boolean(&self, key: &str) -> Option<bool> {
        let node = self.value(key)?;
        match node.kind {
            Kind::Bool(flag) => Some(flag),
            _ => self.wrong(key, node, "true or false"),
        }
    }

    /// An array of strings, each with its place.
    pub(crate) fn strings_at(&self, key: &str) -> Option<Vec<(String, Place)>> {
        let node = self.value(key)?;
        let Kind::Array(items) = &node.kind else {
            return self.wrong(key, node, "an array of strings");
        };
        let mut strings = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match &item.kind {
                Kind::String(text) => {
                    strings.push((text.clone(), self.notes.source.place_of(&item.span)));
                }
                _ => self
                    .wrong::<()>(&format!("{key}[{index}]"), item, "a string")
                    .unwrap_or(()),
            }
        }
        Some(strings)
    }

    /// An array of strings.
    pub(crate) fn strings(&self, key: &str) -> Option<Vec<String>> {
        let strings = self.strings_at(key)?;
        Some(strings.into_iter().map(|(text, _)| text).collect())
    }

    /// A table.
    pub(crate) fn section(&self, key: &str) -> Option<Section<'n>> {
        let node = self.value(key)?;
        match &node.kind {
            Kind::Table(table) => Some(self.inner(key, self.path_of(key), node, table)),
            _ => self.wrong(key, node, "a table"),
        }
    }

    /// A table inside an array that may hold other things too; `key` is its path, as in `routes[0]`.
    pub(crate) fn element<'t>(&self, key: &str, node: &'t Node, table: &'t Table) -> Section<'t>
    where
        'n: 't,
    {
        Section {
            notes: self.notes,
            table,
            path: self.path_of(key),
            at: self.notes.source.place_of(&node.span),
            keys: None,
            asked: RefCell::new(Vec::new()),
        }
    }

    /// An array of tables; none when the key is not there.
    pub(crate) fn sections(&self, key: &str) -> Vec<Section<'n>> {
        let Some(node) = self.value(key) else {
            return Vec::new();
        };
        let Kind::Array(items) = &node.kind else {
            return self
                .wrong(key, node, "an array of tables")
                .unwrap_or_default();
        };
        let section = |(index, item): (usize, &'n Node)| {
            let place = format!("{key}[{index}]");
            match &item.kind {
                Kind::Table(table) => Some(self.inner(key, self.path_of(&place), item, table)),
                _ => self.wrong(&place, item, "a table"),
            }
        };
        items.iter().enumerate().filter_map(section).collect()
    }

    /// The tables inside a table, by name: `[workers.*]`.
    pub(crate) fn named_sections(&self, key: &str) -> Vec<(String, Section<'n>)> {
        let Some(parent) = self.section(key) else {
            return Vec::new();
        };
        // Not by asking for each name: that would search the table once per entry.
        let named = |entry: &'n Entry| match &entry.value.kind {
            Kind::Table(table) => {
                let path = parent.path_of(&entry.key);
                let section = self.inner(key, path, &entry.value, table);
                Some((entry.key.clone(), section))
            }
            _ => parent.wrong(&entry.key, &entry.value, "a table"),
        };
        parent.table.entries.iter().filter_map(named).collect()
    }

    /// Rejects every key that is not valid here, with the nearest valid name.
    pub(crate) fn reject_unknown(&self) {
        let asked = self.asked.borrow();
        let valid: Vec<&str> = match self.keys {
            Some(keys) => keys.names().collect(),
            None => asked.iter().map(String::as_str).collect(),
        };
        for name in &valid {
            let read = asked.iter().any(|asked| asked == name);
            assert!(
                read,
                "`{}` is declared, and nobody reads it",
                self.path_of(name)
            );
        }
        for entry in &self.table.entries {
            if valid.contains(&entry.key.as_str()) {
                continue;
            }
            let place = self.notes.source.place_of(&entry.key_span);
            let message = format!("unknown key `{}`", self.path_of(&entry.key));
            let fix = match suggest::nearest(&entry.key, valid.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("valid keys here: {}", valid.join(", ")),
            };
            self.notes.error_with_fix(place, message, fix);
        }
    }

    /// Reports a wrong type and answers that there is nothing usable.
    pub(crate) fn wrong<T>(&self, key: &str, node: &Node, expected: &str) -> Option<T> {
        let place = self.notes.source.place_of(&node.span);
        let found = node.kind.describe();
        let message = format!("`{}` must be {expected}, found {found}", self.path_of(key));
        self.notes.error(place, message);
        None
    }
}
