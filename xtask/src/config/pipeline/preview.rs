//! `[preview]`: what the preview of a pull request is given, and how it is tried.

use serde_json::Value;

use super::keys::{list, text};
use crate::config::keys::{Key, Kind, Shape, Table, Word};
use crate::config::names;
use crate::config::section::Section;
use crate::config::source::Place;
use crate::config::suggest;

/// `[preview]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// Whose data a preview works on.
    pub data: PreviewData,
    /// When its data is thrown away and made anew.
    pub data_reset: DataReset,
    /// How many previews may stand side by side; 0 for any number.
    pub max: u64,
    /// Whether draft pull requests get one.
    pub drafts: bool,
    /// What it means when a declared secret is set nowhere.
    pub secrets: MissingSecrets,
    /// Bindings that reach production's own things and are kept all the same, by binding name.
    pub keep: Vec<String>,
    /// Variables that every Worker of a preview gets, over its own.
    pub vars: Vec<(String, Value)>,
    /// Questions a preview must answer.
    pub smoke: Vec<PreviewSmoke>,
}

/// Whose databases, namespaces and buckets a preview works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreviewData {
    /// Its own, made for it.
    Isolated,
    /// Production's.
    Shared,
}

/// When the data of a preview is thrown away and made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataReset {
    /// On every run.
    Always,
    /// Not at all: what no longer fits is an error.
    Never,
    /// When the schema or a migration it was made with has changed since.
    OnSchemaChange,
}

/// What it means when a declared secret is set nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingSecrets {
    /// A visible warning.
    Warn,
    /// A mistake in the set-up.
    Require,
}

/// One `[[preview.smoke]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewSmoke {
    /// The Worker asked, by short name.
    pub worker: String,
    /// The path asked.
    pub path: String,
    /// A text that must be in the answer, such as one of the seeded rows.
    pub finds: Option<String>,
    /// Workers (short names) whose version must be named in the answer: the call went through to them.
    pub reaches: Vec<String>,
}

impl Word for PreviewData {
    const ALL: &'static [PreviewData] = &[PreviewData::Isolated, PreviewData::Shared];

    fn word(self) -> &'static str {
        match self {
            PreviewData::Isolated => "isolated",
            PreviewData::Shared => "shared",
        }
    }
}

impl Word for DataReset {
    const ALL: &'static [DataReset] = &[
        DataReset::Always,
        DataReset::Never,
        DataReset::OnSchemaChange,
    ];

    fn word(self) -> &'static str {
        match self {
            DataReset::Always => "always",
            DataReset::Never => "never",
            DataReset::OnSchemaChange => "on-schema-change",
        }
    }
}

impl Word for MissingSecrets {
    const ALL: &'static [MissingSecrets] = &[MissingSecrets::Warn, MissingSecrets::Require];

    fn word(self) -> &'static str {
        match self {
            MissingSecrets::Warn => "warn",
            MissingSecrets::Require => "require",
        }
    }
}

impl Default for Preview {
    fn default() -> Preview {
        Preview {
            data: PreviewData::Isolated,
            data_reset: DataReset::OnSchemaChange,
            max: 10,
            drafts: true,
            secrets: MissingSecrets::Warn,
            keep: Vec::new(),
            vars: Vec::new(),
            smoke: Vec::new(),
        }
    }
}

/// The keys of `[preview]`.
pub(super) fn keys() -> Table {
    let default = Preview::default();
    Table::new(
        "preview",
        "What the preview of a pull request is given, and how it is tried: see [preview.md](preview.md).",
    )
    .keys([
        Key::new(
            "data",
            Kind::words::<PreviewData>(),
            "Own databases, namespaces and buckets, or production's, which everything done in the preview changes",
        )
        .default(default.data.word()),
        Key::new(
            "data_reset",
            Kind::words::<DataReset>(),
            "When a preview's own data is thrown away and made anew. `on-schema-change`: when a migration or the schema it \
             was made with has changed since",
        )
        .default(default.data_reset.word()),
        Key::new(
            "max",
            Kind::Integer(0..=1000),
            "How many previews may stand side by side; 0: any number",
        )
        .default(default.max),
        Key::new("drafts", Kind::Flag, "Whether draft pull requests get one")
            .default(default.drafts),
        Key::new(
            "secrets",
            Kind::words::<MissingSecrets>(),
            "What it means when a declared secret is set nowhere",
        )
        .default(default.secrets.word()),
        Key::new(
            "keep",
            list("binding names", ""),
            "Bindings that reach production's own things, such as queues, and are kept all the same",
        )
        .empty(),
        Key::new(
            "vars",
            Kind::Variables,
            "Variables every Worker of a preview gets, over its own; `{url:NAME}`, `{pr}`, `{sha}` and `{branch}` in a text \
             are filled in",
        )
        .empty(),
    ])
    .tables([smoke_keys()])
}

fn smoke_keys() -> Table {
    Table::new(
        "smoke",
        "One table per question a preview must answer with 200 before it counts as made.",
    )
    .shape(Shape::Many)
    .keys([
        Key::new("worker", text("short name", ""), "The Worker that is asked")
            .required()
            .example("\"main\""),
        Key::new("path", Kind::PATH, "What it is asked for")
            .required()
            .example("\"/api/search?q=coffee\""),
        Key::new(
            "finds",
            Kind::TEXT,
            "A text that must be in the answer, such as a row of the seed",
        )
        .example("\"Talimena Coffee Roasters\""),
        Key::new(
            "reaches",
            list("short names", ""),
            "Workers whose version must be named in the answer: the call went through to their previews",
        )
        .empty(),
    ])
}

/// Reads `[preview]`; `workers` are the short names there are.
pub(super) fn read_preview(section: &Section<'_>, workers: &[&str]) -> Preview {
    let default = Preview::default();
    let max = section.integer("max");
    let smoke = section.sections("smoke");
    let preview = Preview {
        data: section.word("data").unwrap_or(default.data),
        data_reset: section.word("data_reset").unwrap_or(default.data_reset),
        max: max
            .and_then(|max| max.try_into().ok())
            .unwrap_or(default.max),
        drafts: section.boolean("drafts").unwrap_or(default.drafts),
        secrets: section.word("secrets").unwrap_or(default.secrets),
        keep: section.strings("keep").unwrap_or_default(),
        vars: read_vars(section),
        smoke: smoke
            .iter()
            .filter_map(|smoke| read_smoke(smoke, workers))
            .collect(),
    };
    section.reject_unknown();
    preview
}

fn read_vars(section: &Section<'_>) -> Vec<(String, Value)> {
    let Some(vars) = section.section("vars") else {
        return Vec::new();
    };
    let mut read = Vec::with_capacity(vars.table.entries.len());
    for entry in &vars.table.entries {
        if names::is_variable_name(&entry.key) {
            read.push((entry.key.clone(), entry.value.to_json()));
        } else {
            let message = format!("`{}` is no name of a variable", vars.path_of(&entry.key));
            vars.notes.error(vars.at(&entry.key), message);
        }
    }
    read
}

fn read_smoke(section: &Section<'_>, workers: &[&str]) -> Option<PreviewSmoke> {
    let known = |key: &str, name: &str, place: Place| {
        if workers.contains(&name) {
            return;
        }
        let message = format!("`{}`: there is no worker `{name}`", section.path_of(key));
        let fix = match suggest::nearest(name, workers.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("pipeline.toml names these: {}", workers.join(", ")),
        };
        section.notes.error_with_fix(place, message, fix);
    };
    let worker = section.required_text("worker");
    if let Some(worker) = &worker {
        known("worker", worker, section.at("worker"));
    }
    let path = section.required_text("path");
    if path.as_ref().is_some_and(|path| !path.starts_with('/')) {
        let message = format!(
            "`{}` must be a path that starts with `/`",
            section.path_of("path")
        );
        section.notes.error(section.at("path"), message);
    }
    let reaches = section.strings_at("reaches").unwrap_or_default();
    for (name, place) in &reaches {
        known("reaches", name, *place);
    }
    let finds = section.text("finds");
    section.reject_unknown();
    Some(PreviewSmoke {
        worker: worker?,
        path: path?,
        finds,
        reaches: reaches.into_iter().map(|(name, _)| name).collect(),
    })
}
