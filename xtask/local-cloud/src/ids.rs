//! Ids, hashes and times in the shapes the real API uses. The one place that asks for randomness or the clock.

use std::time::SystemTime;

use sha2::{Digest, Sha256};

/// A random UUID with hyphens, as version, deployment and database ids are.
pub fn uuid() -> String {
    uuid::Uuid::new_v4().hyphenated().to_string()
}

/// 32 random hex digits, as KV namespace ids and Worker tags are.
pub fn hex32() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The current time, RFC 3339 with microseconds.
pub fn now() -> String {
    humantime::format_rfc3339_micros(SystemTime::now()).to_string()
}

/// The current time, RFC 3339 with whole seconds, as GitHub tells it.
pub fn now_seconds() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// The lowercase hex SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A stable 32 hex digit id derived from `text`: the same name always gets the same id (zones, for example).
pub fn derived(text: &str) -> String {
    sha256(text.as_bytes())[..32].to_owned()
}

/// Lowercase hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            // Writing to a String cannot fail.
            let _ = write!(out, "{byte:02x}");
            out
        })
}
