//! The JSON Schema of a configuration file, for editors: completion, hover texts, and mistakes while typing. It takes
//! whatever the reader takes; what only the reader can know (does the folder exist?) is left to it.

use serde_json::{Map, Value, json};

use super::{Fallback, Key, Kind, Shape, Table};

/// The schema, in the draft that TOML editors know.
pub(super) fn of(title: &str, file: &Table) -> Value {
    let mut schema = Map::new();
    schema.insert(
        "$schema".to_owned(),
        Value::from("http://json-schema.org/draft-07/schema#"),
    );
    schema.insert("title".to_owned(), Value::from(title));
    schema.extend(one(file));
    Value::Object(schema)
}

/// A table that stands once: only its own keys, with the required ones.
fn one(table: &Table) -> Map<String, Value> {
    let keys = table.keys.iter();
    let properties = keys.map(|key| (key.name.to_owned(), of_key(key)));
    let tables = table.tables.iter();
    let properties = properties.chain(tables.map(|table| (table.name.to_owned(), of_table(table))));
    let properties: Map<String, Value> = properties.collect();
    let keys = table.keys.iter();
    let required = keys.filter(|key| key.fallback == Fallback::Required);
    let required = required.map(|key| key.name).chain(
        table
            .tables
            .iter()
            .filter(|table| matches!(table.shape, Shape::Named { required: true, .. }))
            .map(|table| table.name),
    );
    let required: Vec<&str> = required.collect();
    let mut schema = object(json!({
        "description": table.doc,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    }));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

fn of_table(table: &Table) -> Value {
    match table.shape {
        Shape::One => Value::Object(one(table)),
        Shape::Many => json!({
            "description": table.doc,
            "type": "array",
            "items": one(table),
        }),
        Shape::Named { required, pattern } => json!({
            "description": table.doc,
            "type": "object",
            "propertyNames": { "pattern": pattern },
            "minProperties": u8::from(required),
            "additionalProperties": one(table),
        }),
    }
}

fn of_key(key: &Key) -> Value {
    let mut schema = object(of_kind(&key.kind));
    schema.insert("description".to_owned(), Value::from(key.doc));
    if let Fallback::Value(value) = &key.fallback {
        schema.insert("default".to_owned(), value.clone());
    }
    Value::Object(schema)
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Text { pattern: "", .. } => json!({ "type": "string", "pattern": "\\S" }),
        Kind::Text { pattern, .. } => json!({ "type": "string", "pattern": pattern }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Integer(range) => json!({
            "type": "integer",
            "minimum": range.start(),
            "maximum": range.end(),
        }),
        Kind::Words(words) => json!({ "enum": words }),
        // Units are not told apart here: a looser rule than the reader's is no lie, a stricter one would be.
        Kind::Duration { positive: false } => {
            json!({ "type": "string", "pattern": "^\\s*(0|(\\d+\\s*[A-Za-zµ]+\\s*)+)$" })
        }
        Kind::Duration { positive: true } => {
            json!({ "type": "string", "pattern": "^\\s*(\\d+\\s*[A-Za-zµ]+\\s*)*0*[1-9]\\d*\\s*[A-Za-zµ]+\\s*(\\d+\\s*[A-Za-zµ]+\\s*)*$" })
        }
        Kind::Size => {
            json!({ "type": "string", "pattern": "^\\s*[\\d.]*[1-9][\\d.]*\\s*([KkMm][Ii]?)?[Bb]\\s*$" })
        }
        Kind::Day => json!({ "type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}$" }),
        Kind::List { pattern: "", .. } => {
            json!({ "type": "array", "items": { "type": "string" } })
        }
        Kind::List { pattern, .. } => {
            json!({ "type": "array", "items": { "type": "string", "pattern": pattern } })
        }
        Kind::PathOrFalse => json!({
            "anyOf": [{ "type": "string", "pattern": "^/" }, { "const": false }],
        }),
        Kind::FieldOrFalse => json!({
            "anyOf": [{ "type": "string", "minLength": 1 }, { "const": false }],
        }),
        Kind::Variables => json!({
            "type": "object",
            "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
        }),
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => unreachable!("a schema is an object, not {other}"),
    }
}
