//! An expected failure of the process, told as what, why and fix. API errors are `envelope::ApiError`, not this.

use std::fmt;

/// What went wrong, why, and what to type next; lowercase, no final period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail {
    /// What could not be done.
    pub what: String,
    /// The reason, as close to the source as known.
    pub why: String,
    /// What the reader can do about it.
    pub fix: String,
}

impl Fail {
    /// A failure of three parts.
    pub fn new(what: impl Into<String>, why: impl fmt::Display, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: why.to_string(),
            fix: fix.into(),
        }
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "error: {}\n  why: {}\n  fix: {}",
            self.what, self.why, self.fix
        )
    }
}

impl std::error::Error for Fail {}
