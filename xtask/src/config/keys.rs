//! What a configuration file may hold, as values: every table and key with its type, default and meaning. The reader, the
//! suggestions for unknown keys, the reference and the JSON Schema are all made from them. Knows no particular file.

mod reference;
mod schema;

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

/// A table of the file, or the file itself.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its key in the table around it; empty for the file itself.
    pub name: &'static str,
    /// How often it may stand.
    pub shape: Shape,
    /// What it is for, in Markdown.
    pub doc: &'static str,
    /// Its keys, in reading order.
    pub keys: Vec<Key>,
    /// The tables inside it, in reading order.
    pub tables: Vec<Table>,
}

/// How often a table may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `[name]`, once.
    One,
    /// `[name.NAME]`, once for each thing that is named. `required`: at least one.
    Named {
        /// At least one has to be there.
        required: bool,
        /// A regular expression for NAME.
        pattern: &'static str,
    },
    /// `[[name]]`, any number of times.
    Many,
}

/// One key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// What holds when it is not there.
    pub fallback: Fallback,
    /// What it means, in Markdown: sentences without a final full stop.
    pub doc: &'static str,
    /// A value to show when there is no default, as TOML.
    pub example: Option<&'static str>,
}

/// What a value may be.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A string.
    Text {
        /// What it is called in the reference.
        what: &'static str,
        /// A regular expression it matches; an empty one says nothing.
        pattern: &'static str,
    },
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Integer(RangeInclusive<i64>),
    /// One of some words.
    Words(Vec<&'static str>),
    /// A duration such as `"30s"`.
    Duration {
        /// Nothing at all is a mistake.
        positive: bool,
    },
    /// A size such as `"900 KB"`.
    Size,
    /// A day such as 2027-01-31.
    Day,
    /// A list of strings.
    List {
        /// What its entries are called in the reference.
        what: &'static str,
        /// A regular expression each matches; an empty one says nothing.
        pattern: &'static str,
    },
    /// A path that is asked, or `false`.
    PathOrFalse,
    /// The name of a field, or `false`.
    FieldOrFalse,
    /// A table of names and values of any kind.
    Variables,
}

/// What holds when a key is not there.
#[derive(Clone, Debug, PartialEq)]
pub enum Fallback {
    /// It has to be there.
    Required,
    /// Nothing.
    Nothing,
    /// This value.
    Value(Value),
    /// What the words say, in Markdown.
    Words(&'static str),
}

/// A type of a few words, each of which stands in the file as it is.
pub trait Word: Copy + 'static {
    /// All of them, in reading order.
    const ALL: &'static [Self];
    /// The word.
    fn word(self) -> &'static str;
}

impl Table {
    /// A table that stands once.
    pub fn new(name: &'static str, doc: &'static str) -> Table {
        Table {
            name,
            shape: Shape::One,
            doc,
            keys: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// Says how often it may stand.
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> Table {
        self.shape = shape;
        self
    }

    /// Adds keys.
    #[must_use]
    pub fn keys<const N: usize>(mut self, keys: [Key; N]) -> Table {
        self.keys.extend(keys);
        self
    }

    /// Adds tables inside it.
    #[must_use]
    pub fn tables<const N: usize>(mut self, tables: [Table; N]) -> Table {
        self.tables.extend(tables);
        self
    }

    /// The key of a name.
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The table inside this one of a name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The names that may stand in this table, in reading order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let keys = self.keys.iter().map(|key| key.name);
        keys.chain(self.tables.iter().map(|table| table.name))
    }

    /// Every table with its heading: `[deploy]`, `[workers.NAME]`, `[[preview.smoke]]`; the file itself has none.
    pub fn all(&self) -> Vec<(String, &Table)> {
        let mut all = Vec::new();
        self.collect("", &mut all);
        all
    }

    /// The reference, in Markdown: a heading of the second level, a sentence and the keys of every table.
    pub fn reference(&self) -> String {
        reference::of(self)
    }

    /// The JSON Schema.
    pub fn schema(&self, title: &str) -> Value {
        schema::of(title, self)
    }

    fn collect<'a>(&'a self, above: &str, all: &mut Vec<(String, &'a Table)>) {
        let dot = if above.is_empty() { "" } else { "." };
        let mut path = format!("{above}{dot}{}", self.name);
        if let Shape::Named { .. } = self.shape {
            path.push_str(".NAME");
        }
        let heading = match self.shape {
            _ if path.is_empty() => String::new(),
            Shape::Many => format!("[[{path}]]"),
            Shape::One | Shape::Named { .. } => format!("[{path}]"),
        };
        all.push((heading, self));
        for table in &self.tables {
            table.collect(&path, all);
        }
    }
}

impl Key {
    /// A key without a default.
    pub fn new(name: &'static str, kind: Kind, doc: &'static str) -> Key {
        Key {
            name,
            kind,
            fallback: Fallback::Nothing,
            doc,
            example: None,
        }
    }

    /// It has to be there.
    #[must_use]
    pub fn required(mut self) -> Key {
        self.fallback = Fallback::Required;
        self
    }

    /// Sets its default.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Key {
        self.fallback = Fallback::Value(value.into());
        self
    }

    /// Sets its default to no entries.
    #[must_use]
    pub fn empty(self) -> Key {
        let nothing = match self.kind {
            Kind::Variables => Value::Object(serde_json::Map::new()),
            _ => Value::Array(Vec::new()),
        };
        self.default(nothing)
    }

    /// Sets a default that is told in words.
    #[must_use]
    pub fn default_in_words(mut self, words: &'static str) -> Key {
        self.fallback = Fallback::Words(words);
        self
    }

    /// Shows a value, as TOML.
    #[must_use]
    pub fn example(mut self, toml: &'static str) -> Key {
        self.example = Some(toml);
        self
    }

    /// A value to show, as TOML: the example, else the default. JSON's strings, numbers and lists are TOML's, too.
    pub fn shown(&self) -> Option<String> {
        match (&self.fallback, self.example) {
            (_, Some(example)) => Some(example.to_owned()),
            (Fallback::Value(value), None) => Some(value.to_string()),
            _ => None,
        }
    }
}

impl Kind {
    /// A text of any form.
    pub const TEXT: Kind = Kind::Text {
        what: "text",
        pattern: "",
    };
    /// A path of a request.
    pub const PATH: Kind = Kind::Text {
        what: "path",
        pattern: "^/",
    };
    /// A duration that is not zero.
    pub const DURATION: Kind = Kind::Duration { positive: true };

    /// One of a type's words.
    pub fn words<T: Word>() -> Kind {
        Kind::Words(T::ALL.iter().map(|word| word.word()).collect())
    }
}

/// A duration as a value of the file.
pub fn in_words(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
