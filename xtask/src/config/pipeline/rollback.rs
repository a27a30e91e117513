//! `[rollback]` of `pipeline.toml`.

use crate::config::keys::{Key, Kind, Table};
use crate::config::section::Section;

/// `[rollback]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// Begin a post-mortem after a rollback of production.
    pub postmortem: bool,
}

impl Default for Rollback {
    fn default() -> Rollback {
        Rollback { postmortem: true }
    }
}

/// The keys of `[rollback]`.
pub(super) fn keys() -> Table {
    let default = Rollback::default();
    Table::new("rollback", "What comes after a rollback: see [rollback.md](rollback.md).").keys([
        Key::new(
            "postmortem",
            Kind::Flag,
            "Begin a post-mortem in `docs/postmortems/` after a rollback of production; one on the local cloud does so with \
             `--postmortem` only",
        )
        .default(default.postmortem),
    ])
}

pub(super) fn read(section: &Section<'_>) -> Rollback {
    let default = Rollback::default();
    let rollback = Rollback {
        postmortem: section.boolean("postmortem").unwrap_or(default.postmortem),
    };
    section.reject_unknown();
    rollback
}
