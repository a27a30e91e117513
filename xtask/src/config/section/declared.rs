//! Reading of keys that are declared: what a value may be is asked of the declaration, so that it stands in one place.

use std::cell::RefCell;
use std::time::Duration;

use super::{Notes, Section};
use crate::config::date::Date;
use crate::config::keys::{self, Kind, Word};
use crate::config::source::Place;
use crate::config::tree;

impl<'n> Section<'n> {
    /// A file whose keys are declared.
    pub(crate) fn declared(
        notes: &'n Notes<'n>,
        table: &'n tree::Table,
        keys: &'static keys::Table,
    ) -> Section<'n> {
        Section {
            notes,
            table,
            path: String::new(),
            at: Place { line: 1, col: 1 },
            keys: Some(keys),
            asked: RefCell::new(Vec::new()),
        }
    }

    /// A key nobody declared is in no reference and no schema: our bug.
    pub(super) fn assert_declared(&self, key: &str) {
        if let Some(keys) = self.keys {
            assert!(
                keys.names().any(|name| name == key),
                "`{}` is read, and declared nowhere",
                self.path_of(key)
            );
        }
    }

    fn kind(&self, key: &str) -> &'static Kind {
        let declared = self.keys.and_then(|keys| keys.key(key));
        match declared {
            Some(key) => &key.kind,
            None => panic!("`{}` is read, and declared nowhere", self.path_of(key)),
        }
    }

    /// A whole number of the declared range.
    pub(crate) fn integer(&self, key: &str) -> Option<i64> {
        let Kind::Integer(range) = self.kind(key) else {
            panic!("`{}` is declared as no number", self.path_of(key));
        };
        let node = self.value(key)?;
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        match node.kind {
            tree::Kind::Integer(number) if range.contains(&number) => Some(number),
            tree::Kind::Integer(_) => self.invalid(key, &expected),
            _ => self.wrong(key, node, &expected),
        }
    }

    /// One of the declared words.
    pub(crate) fn word<T: Word>(&self, key: &str) -> Option<T> {
        assert_eq!(
            self.kind(key),
            &Kind::words::<T>(),
            "`{}` is declared with other words",
            self.path_of(key)
        );
        let text = self.string(key)?;
        let found = T::ALL.iter().copied().find(|word| word.word() == text);
        found.or_else(|| {
            let words = T::ALL.iter().map(|word| format!("\"{}\"", word.word()));
            let words: Vec<String> = words.collect();
            self.invalid(key, &format!("one of {}", words.join(", ")))
        })
    }

    /// A duration such as "90s" or "1h 30m"; nothing at all only where that is declared.
    pub(crate) fn duration(&self, key: &str) -> Option<Duration> {
        let Kind::Duration { positive } = self.kind(key) else {
            panic!("`{}` is declared as no duration", self.path_of(key));
        };
        let expected = "a duration such as \"30s\" or \"10m\"";
        let text = self.text_of_kind(key, expected)?;
        match humantime::parse_duration(text) {
            Ok(duration) if *positive && duration.is_zero() => {
                self.invalid(key, "longer than nothing")
            }
            Ok(duration) => Some(duration),
            Err(_) => self.invalid(key, expected),
        }
    }

    /// A size such as "3 MB" or "900 KiB", in bytes.
    pub(crate) fn size(&self, key: &str) -> Option<u64> {
        assert_eq!(self.kind(key), &Kind::Size, "`{}`", self.path_of(key));
        let expected = "a size such as \"900 KB\" or \"2.5 MiB\"";
        let text = self.text_of_kind(key, expected)?;
        bytes(text).or_else(|| self.invalid(key, expected))
    }

    /// A day that has to be there, with or without quotes.
    pub(crate) fn required_day(&self, key: &str) -> Option<Date> {
        assert_eq!(self.kind(key), &Kind::Day, "`{}`", self.path_of(key));
        let expected = "a day such as 2027-01-31";
        let Some(node) = self.value(key) else {
            let message = format!("`{}` is missing: {expected}", self.path_of(key));
            self.notes.error(self.place(), message);
            return None;
        };
        let (tree::Kind::Date(text) | tree::Kind::String(text)) = &node.kind else {
            return self.wrong(key, node, expected);
        };
        Date::parse(text).or_else(|| self.invalid(key, expected))
    }

    fn text_of_kind(&self, key: &str, expected: &str) -> Option<&'n str> {
        let node = self.value(key)?;
        match &node.kind {
            tree::Kind::String(text) => Some(text),
            _ => self.wrong(key, node, expected),
        }
    }

    /// Reports a value of the right type that is none of the possible ones.
    fn invalid<T>(&self, key: &str, expected: &str) -> Option<T> {
        let message = format!("`{}` must be {expected}", self.path_of(key));
        self.notes.error(self.at(key), message);
        None
    }
}

/// KB and MB are powers of 1000, KiB and MiB of 1024.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim().to_ascii_uppercase().as_str() {
        "B" => 1.0,
        "KB" => 1e3,
        "MB" => 1e6,
        "KIB" => 1024.0,
        "MIB" => 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = (number.parse::<f64>().ok()? * factor).round();
    // Exact up to here, and far above any bundle.
    (1.0..=1e12).contains(&bytes).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("3 MB", Some(3_000_000)),
            ("3MiB", Some(3_145_728)),
            ("2.5 mib", Some(2_621_440)),
            ("900 KB", Some(900_000)),
            ("1 KiB", Some(1024)),
            ("12 B", Some(12)),
            ("3", None),
            ("MB", None),
            ("-3 MB", None),
            ("1.2.3 MB", None),
            ("0 MB", None),
            ("3 GB", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
