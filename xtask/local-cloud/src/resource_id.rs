//! Ids of databases, namespaces and buckets. They come from configs and requests, and become parts of paths: this type is
//! the one place that decides which may. Code that makes a path of an id takes this type, and nothing else makes one.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};

/// What file systems allow for one name.
const BYTES_MAX: usize = 255;

/// An id that is one plain part of a path. Placeholders in configs (`REPLACE_WITH_ID`, `<id>`, `local-db`) are fine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(String);

/// Why an id is refused: the rest of the sentence "the id … ".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusable(&'static str);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl ResourceId {
    /// Checks an id.
    pub fn new(id: impl Into<String>) -> Result<Self, Unusable> {
        let id = id.into();
        let why = if id.is_empty() {
            "is empty"
        } else if id.len() > BYTES_MAX {
            "is longer than 255 bytes"
        } else if id == "." || id == ".." {
            "is a relative path"
        } else if id.contains(['/', '\\']) {
            "contains a path separator"
        } else if id.contains(char::is_control) {
            "contains a control character"
        } else {
            return Ok(Self(id));
        };
        Err(Unusable(why))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ResourceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<Path> for ResourceId {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ResourceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Reads a map by id. A state that an older version kept may hold an id that is refused now: it is left out, so that the
/// rest of the account can be loaded.
pub fn usable_keys<'de, D, V>(deserializer: D) -> Result<BTreeMap<ResourceId, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    let all = BTreeMap::<String, V>::deserialize(deserializer)?;
    let usable = all
        .into_iter()
        .filter_map(|(id, value)| Some((ResourceId::new(id).ok()?, value)));
    Ok(usable.collect())
}

/// `usable_keys` for a set.
pub fn usable<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeSet<ResourceId>, D::Error> {
    let all = BTreeSet::<String>::deserialize(deserializer)?;
    let usable = all.into_iter().filter_map(|id| ResourceId::new(id).ok());
    Ok(usable.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_plain_part_of_a_path() {
        for id in [
            "0c7e4a40-9b0c-4a53-8f0c-2f6fb2f9e1a1",
            "REPLACE_WITH_YOUR_ID",
            "local-db",
            "<your database id>",
            "${D1_ID}",
            "..hidden",
            "a..b",
            "datenbank-ü",
        ] {
            assert_eq!(ResourceId::new(id).as_ref().map(ResourceId::as_str), Ok(id));
        }
        let long = "x".repeat(256);
        for (id, why) in [
            ("", "is empty"),
            (".", "is a relative path"),
            ("..", "is a relative path"),
            ("../../../victim", "contains a path separator"),
            ("/etc", "contains a path separator"),
            ("a/b", "contains a path separator"),
            ("..\\victim", "contains a path separator"),
            ("a\0b", "contains a control character"),
            ("a\nb", "contains a control character"),
            (long.as_str(), "is longer than 255 bytes"),
        ] {
            assert_eq!(ResourceId::new(id), Err(Unusable(why)), "{id:?}");
        }
    }
}
