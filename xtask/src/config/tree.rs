//! One value tree for TOML, JSON and JSONC, with the byte range of every key and value, so that all formats share one
//! set of checks. Knows syntax only; what a key means is decided by its reader.

use std::collections::HashMap;
use std::ops::Range;

use jsonc_parser::ast;
use jsonc_parser::tokens::Token;
use jsonc_parser::{CollectOptions, ParseOptions, Scanner};
use serde_json::Value;
use toml_edit::{Item, TableLike};

use super::source::{Problems, Source};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    /// A TOML date or time, as written.
    Date(String),
    String(String),
    Array(Vec<Node>),
    Table(Table),
}

/// Keys and values in file order; a key occurs once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

/// One key and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

/// Reads a file by its extension: `.toml`, or else JSON with comments, as wrangler does. A syntax error becomes a problem.
pub(crate) fn parse(source: &Source, problems: &mut Problems) -> Option<Table> {
    let is_toml = source.path.extension().is_some_and(|ext| ext == "toml");
    let node = if is_toml {
        parse_toml(source, problems)?
    } else {
        parse_jsonc(source, problems)?
    };
    match node.kind {
        Kind::Table(table) => Some(table),
        other => {
            let place = source.place_of(&node.span);
            let found = other.describe();
            problems.error(
                &source.path,
                place,
                format!("the file must hold an object, found {found}"),
            );
            None
        }
    }
}

impl Table {
    /// The entry of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The table as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let pairs = self
            .entries
            .iter()
            .map(|entry| (entry.key.clone(), entry.value.to_json()));
        Value::Object(pairs.collect())
    }
}

impl Node {
    /// The value as JSON; a date becomes a string, a number JSON cannot hold becomes null.
    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Integer(value) => Value::from(*value),
            Kind::Float(value) => Value::from(*value),
            Kind::Date(text) | Kind::String(text) => Value::String(text.clone()),
            Kind::Array(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Kind::Table(table) => table.to_json(),
        }
    }
}

impl Kind {
    /// The kind in words, without the value.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool(_) => "true or false",
            Kind::Integer(_) | Kind::Float(_) => "a number",
            Kind::Date(_) => "a date without quotes",
            Kind::String(_) => "a string",
            Kind::Array(_) => "an array",
            Kind::Table(_) => "a table",
        }
    }
}

// --- TOML ---

fn parse_toml(source: &Source, problems: &mut Problems) -> Option<Node> {
    match toml_edit::Document::parse(source.text.as_str()) {
        Ok(document) => Some(Node {
            span: 0..0,
            kind: Kind::Table(toml_table(document.as_table())),
        }),
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            let message = format!("invalid TOML: {}", error.message().trim());
            problems.error(&source.path, source.place(start), message);
            None
        }
    }
}

fn toml_table(table: &dyn TableLike) -> Table {
    let entry = |(name, item): (&str, &Item)| {
        let key_span = table
            .key(name)
            .and_then(toml_edit::Key::span)
            .unwrap_or(0..0);
        let value = toml_item(item, &key_span)?;
        Some(Entry {
            key: name.to_owned(),
            key_span,
            value,
        })
    };
    Table {
        entries: table.iter().filter_map(entry).collect(),
    }
}

/// Tables made by dotted keys or only by their sub-tables have no range of their own; their key's stands in.
fn toml_item(item: &Item, key_span: &Range<usize>) -> Option<Node> {
    let span = item.span().unwrap_or_else(|| key_span.clone());
    let kind = match item {
        Item::None => return None,
        Item::Value(value) => return Some(toml_value(value, key_span)),
        Item::Table(table) => Kind::Table(toml_table(table)),
        Item::ArrayOfTables(tables) => {
            let node = |table: &toml_edit::Table| Node {
                span: table.span().unwrap_or_else(|| key_span.clone()),
                kind: Kind::Table(toml_table(table)),
            };
            Kind::Array(tables.iter().map(node).collect())
        }
    };
    Some(Node { span, kind })
}

fn toml_value(value: &toml_edit::Value, key_span: &Range<usize>) -> Node {
    let span = value.span().unwrap_or_else(|| key_span.clone());
    let kind = match value {
        toml_edit::Value::String(text) => Kind::String(text.value().clone()),
        toml_edit::Value::Integer(number) => Kind::Integer(*number.value()),
        toml_edit::Value::Float(number) => Kind::Float(*number.value()),
        toml_edit::Value::Boolean(flag) => Kind::Bool(*flag.value()),
        toml_edit::Value::Datetime(date) => Kind::Date(date.value().to_string()),
        toml_edit::Value::Array(items) => {
            Kind::Array(items.iter().map(|item| toml_value(item, &span)).collect())
        }
        toml_edit::Value::InlineTable(table) => Kind::Table(toml_table(table)),
    };
    Node { span, kind }
}

// --- JSON and JSONC ---

/// Deeper than any real config, and far from what would exhaust the parser's stack.
const DEPTH_MAX: usize = 128;

fn parse_jsonc(source: &Source, problems: &mut Problems) -> Option<Node> {
    let invalid = |problems: &mut Problems, offset: usize, message: &str| {
        let place = source.place(offset);
        problems.error(&source.path, place, format!("invalid JSON: {message}"));
        None
    };
    if let Some((offset, message)) = too_lenient(&source.text) {
        return invalid(problems, offset, message);
    }
    let options = ParseOptions {
        allow_comments: true,
        allow_loose_object_property_names: false,
        allow_trailing_commas: true,
    };
    let parsed = jsonc_parser::parse_to_ast(&source.text, &CollectOptions::default(), &options);
    match parsed.map(|parsed| parsed.value) {
        Ok(Some(value)) => Some(json_node(&value, source, problems)),
        Ok(None) => {
            problems.error(&source.path, source.place(0), "the file is empty");
            None
        }
        Err(error) => {
            // The first sentence only: the rest of some messages quotes the file.
            let text = error.kind().to_string();
            let text = lower_first(text.split(". ").next().unwrap_or(&text));
            invalid(problems, error.range().start, &text)
        }
    }
}

/// What the parser lets pass and wrangler does not (a missing comma, a string in single quotes), and what would exhaust
/// its stack. Text that is no JSON at all is left to the parser.
fn too_lenient(text: &str) -> Option<(usize, &'static str)> {
    let mut scanner = Scanner::new(text);
    let mut after_value = false;
    let mut depth = 0_usize;
    while let Ok(Some(token)) = scanner.scan() {
        let start = scanner.token_start();
        let (begins_value, ends_value) = match token {
            Token::CommentLine(_) | Token::CommentBlock(_) => continue,
            Token::Comma | Token::Colon => (false, false),
            Token::OpenBrace | Token::OpenBracket => {
                depth += 1;
                (true, false)
            }
            Token::CloseBrace | Token::CloseBracket => {
                depth = depth.saturating_sub(1);
                (false, true)
            }
            _ => (true, true),
        };
        if depth > DEPTH_MAX {
            return Some((start, "this is nested too deeply"));
        }
        if begins_value && after_value && depth > 0 {
            return Some((start, "expected a comma before this"));
        }
        if text.as_bytes().get(start) == Some(&b'\'') {
            return Some((start, "strings need double quotes"));
        }
        after_value = ends_value;
    }
    None
}

fn json_node(value: &ast::Value<'_>, source: &Source, problems: &mut Problems) -> Node {
    let (range, kind) = match value {
        ast::Value::StringLit(text) => (&text.range, Kind::String(text.value.to_string())),
        ast::Value::NumberLit(number) => (&number.range, json_number(number.value)),
        ast::Value::BooleanLit(flag) => (&flag.range, Kind::Bool(flag.value)),
        ast::Value::NullKeyword(null) => (&null.range, Kind::Null),
        ast::Value::Array(array) => {
            let items = array
                .elements
                .iter()
                .map(|item| json_node(item, source, problems));
            (&array.range, Kind::Array(items.collect()))
        }
        ast::Value::Object(object) => (
            &object.range,
            Kind::Table(json_table(object, source, problems)),
        ),
    };
    Node {
        span: range.start..range.end,
        kind,
    }
}

/// A key that occurs twice: the last one counts, as in wrangler, and a warning says so.
fn json_table(object: &ast::Object<'_>, source: &Source, problems: &mut Problems) -> Table {
    let mut entries: Vec<Entry> = Vec::new();
    let mut index_of: HashMap<String, usize> = HashMap::new();
    for property in &object.properties {
        let range = match &property.name {
            ast::ObjectPropName::String(name) => name.range,
            ast::ObjectPropName::Word(name) => name.range,
        };
        let entry = Entry {
            key: property.name.as_str().to_owned(),
            key_span: range.start..range.end,
            value: json_node(&property.value, source, problems),
        };
        match index_of.get(&entry.key) {
            Some(index) => {
                let message = format!(
                    "`{}` occurs twice in this object; the last one counts",
                    entry.key
                );
                problems.warning(&source.path, source.place(range.start), message);
                entries[*index] = entry;
            }
            None => {
                index_of.insert(entry.key.clone(), entries.len());
                entries.push(entry);
            }
        }
    }
    Table { entries }
}

fn json_number(text: &str) -> Kind {
    match text.parse::<i64>() {
        Ok(number) => Kind::Integer(number),
        Err(_) => Kind::Float(text.parse().unwrap_or(f64::NAN)),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
