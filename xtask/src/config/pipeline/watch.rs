//! `[watch]` of `pipeline.toml`.

use std::time::Duration;

use crate::config::keys::{Key, Kind, Table, in_words};
use crate::config::section::Section;

/// `[watch]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// How long live events are watched after a release or a rollback; zero: not at all.
    pub window: Duration,
    /// The share of requests that may end in an error, in percent, of each worker.
    pub errors_percent_max: u64,
    /// With fewer requests than this a share says nothing: it is told, and fails nothing.
    pub requests_min: u64,
}

impl Default for Watch {
    fn default() -> Watch {
        Watch {
            window: Duration::ZERO,
            errors_percent_max: 5,
            requests_min: 10,
        }
    }
}

/// The keys of `[watch]`.
pub(super) fn keys() -> Table {
    let default = Watch::default();
    let doc = "What `--watch` of `deploy` and `rollback` makes of live events: see [deploy.md](deploy.md#watching).";
    Table::new("watch", doc).keys([
        Key::new(
            "window",
            Kind::Duration { positive: false },
            "How long to watch when the command does not say (`--watch`); zero: not at all",
        )
        .default(in_words(default.window)),
        Key::new(
            "errors_percent_max",
            Kind::Integer(0..=100),
            "The share of a Worker's requests that may end in an error, in percent",
        )
        .default(default.errors_percent_max),
        Key::new(
            "requests_min",
            Kind::Integer(1..=1_000_000),
            "With fewer requests than this a Worker's share is told and fails nothing",
        )
        .default(default.requests_min),
    ])
}

pub(super) fn read(section: &Section<'_>) -> Watch {
    let default = Watch::default();
    let number = |key: &str| section.integer(key).and_then(|it| it.try_into().ok());
    let watch = Watch {
        window: section.duration("window").unwrap_or(default.window),
        errors_percent_max: number("errors_percent_max").unwrap_or(default.errors_percent_max),
        requests_min: number("requests_min").unwrap_or(default.requests_min),
    };
    section.reject_unknown();
    watch
}
