//! `[health]` of `pipeline.toml`.

use std::time::Duration;

use crate::config::keys::{Key, Kind, Table, in_words};
use crate::config::section::Section;
use crate::config::tree;

/// `[health]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// The status of a healthy answer.
    pub status: u16,
    /// The JSON field that holds the version id.
    pub version_field: IdField,
    /// The JSON field that holds the release id.
    pub release_field: IdField,
    /// How long a worker may take to become healthy.
    pub within: Duration,
    /// How long one request may take.
    pub timeout: Duration,
}

/// A field of a health answer that holds an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdField {
    /// Its name.
    pub name: String,
    /// Which of its values are compared.
    pub compare: Compare,
}

/// Which values of a field are compared with the id that was promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// Only ids. The default: `version` and `release` are common words, and an app may have a version of its own.
    Ids,
    /// Every text: pipeline.toml names the field.
    Texts,
    /// None: pipeline.toml says `false`.
    Nothing,
}

impl IdField {
    fn unset(name: &str) -> IdField {
        IdField {
            name: name.to_owned(),
            compare: Compare::Ids,
        }
    }
}

impl Default for Health {
    fn default() -> Health {
        Health {
            status: 200,
            version_field: IdField::unset("version"),
            release_field: IdField::unset("release"),
            within: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
        }
    }
}

/// The keys of `[health]`.
pub(super) fn keys() -> Table {
    let default = Health::default();
    Table::new(
        "health",
        "What a healthy answer to a Worker's `health` path is. An answer that is not JSON, or lacks the fields, is judged \
         by its status alone.",
    )
    .keys([
        Key::new("status", Kind::Integer(100..=599), "The status it must have")
            .default(default.status),
        Key::new(
            "version_field",
            Kind::FieldOrFalse,
            "The field of a JSON answer that must hold the id of the promoted version. When this key is set, any other text \
             in the field is a failure; `false` compares nothing",
        )
        .default_in_words("`\"version\"`, and only ids of the Worker's versions are compared")
        .example("\"version_id\""),
        Key::new(
            "release_field",
            Kind::FieldOrFalse,
            "The field of a JSON answer that must hold the release id: this release's, or of an unchanged Worker the one it \
             was uploaded with. When this key is set, any other text in the field is a failure; `false` compares nothing",
        )
        .default_in_words("`\"release\"`, and only release ids are compared")
        .example("\"release_id\""),
        Key::new("within", Kind::DURATION, "How long a Worker may take to answer healthy")
            .default(in_words(default.within)),
        Key::new("timeout", Kind::DURATION, "How long one request may take")
            .default(in_words(default.timeout)),
    ])
}

pub(super) fn read(section: &Section<'_>) -> Health {
    let default = Health::default();
    let status = section.integer("status");
    let health = Health {
        status: status
            .and_then(|status| status.try_into().ok())
            .unwrap_or(default.status),
        version_field: id_field(section, "version_field", default.version_field),
        release_field: id_field(section, "release_field", default.release_field),
        within: section.duration("within").unwrap_or(default.within),
        timeout: section.duration("timeout").unwrap_or(default.timeout),
    };
    section.reject_unknown();
    health
}

/// The name of a field, or `false` for one that is not compared.
fn id_field(section: &Section<'_>, key: &str, default: IdField) -> IdField {
    let Some(node) = section.value(key) else {
        return default;
    };
    match &node.kind {
        tree::Kind::Bool(false) => IdField {
            compare: Compare::Nothing,
            ..default
        },
        tree::Kind::String(name) if !name.is_empty() => IdField {
            name: name.clone(),
            compare: Compare::Texts,
        },
        _ => section
            .wrong(key, node, "the name of a field, or false")
            .unwrap_or(default),
    }
}
