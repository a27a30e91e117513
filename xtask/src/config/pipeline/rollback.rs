//! `[rollback]` of `pipeline.toml`.

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

pub(super) fn read(section: &Section<'_>) -> Rollback {
    let default = Rollback::default();
    let rollback = Rollback {
        postmortem: section.boolean("postmortem").unwrap_or(default.postmortem),
    };
    section.reject_unknown();
    rollback
}
