//! Where in a SQL file an error of SQLite or D1 most likely is. D1 names tokens and offsets, never lines.

use std::path::Path;

use super::Finding;

/// The finding for an error in a SQL file. `statement` is the one that failed, as it stands in the file, when known.
pub fn finding(file: &Path, text: &str, statement: Option<&str>, error: &str) -> Finding {
    let message = clean(error);
    let finding = Finding::error(message).in_file(file);
    let begin = statement.and_then(|statement| text.find(statement.trim()));
    let region = begin.map_or(text, |begin| &text[begin..]);
    let begin = begin.unwrap_or(0);
    let inside = offset_in(region, message);
    let inside = inside.or_else(|| statement.map(|_| 0));
    match inside {
        Some(inside) => {
            let (line, col) = place(text, begin + inside);
            finding.at(line, col)
        }
        None => finding,
    }
}

/// The message without D1's wrapping: `D1_ERROR: no such table: x: SQLITE_ERROR` says `no such table: x`.
fn clean(error: &str) -> &str {
    let error = error.trim();
    let error = error.strip_prefix("D1_ERROR: ").unwrap_or(error);
    match error.rfind(": SQLITE_") {
        Some(end) if !error[end + 2..].contains(' ') => &error[..end],
        _ => error,
    }
}

/// The byte at which the thing that the message names stands: the offset it gives if that fits, else the first place
/// outside comments where the named word stands.
fn offset_in(region: &str, message: &str) -> Option<usize> {
    let word = named_word(message);
    let given = message.rsplit_once(" at offset ").and_then(|(_, tail)| {
        let digits = tail.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse::<usize>().ok()
    });
    if let Some(given) = given.filter(|given| region.is_char_boundary(*given)) {
        let there = region.get(given..).unwrap_or_default();
        if word.is_none_or(|word| there.starts_with(word)) && !there.is_empty() {
            return Some(given);
        }
    }
    let word = word?;
    let blanked = without_comments(region);
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut places = blanked.match_indices(word).map(|(start, _)| start);
    places.find(|&start| {
        let before = blanked[..start].chars().next_back();
        let after = blanked[start + word.len()..].chars().next();
        let is_word = word.starts_with(is_part);
        !is_word || (!before.is_some_and(is_part) && !after.is_some_and(is_part))
    })
}

/// The name in `near "x": syntax error`, `no such table: x`, `duplicate column name: x`, `table x already exists`.
fn named_word(message: &str) -> Option<&str> {
    if let Some((_, rest)) = message.split_once("near \"") {
        return rest.split('"').next().filter(|word| !word.is_empty());
    }
    for mark in [
        "no such table: ",
        "no such column: ",
        "no such function: ",
        "no such index: ",
        "duplicate column name: ",
    ] {
        if let Some((_, rest)) = message.split_once(mark) {
            let word = rest.split_whitespace().next()?.trim_end_matches(':');
            return word.rsplit('.').next().filter(|word| !word.is_empty());
        }
    }
    let words: Vec<&str> = message.split_whitespace().collect();
    let exists = words
        .windows(3)
        .find(|three| three[1..] == ["already", "exists"]);
    if let Some(three) = exists {
        return Some(three[0]);
    }
    // `table users has no column named nam`
    let (_, rest) = message.split_once("no column named ")?;
    rest.split_whitespace().next()
}

/// The text with comments blanked out, byte for byte.
fn without_comments(text: &str) -> String {
    let mut blanked = text.as_bytes().to_vec();
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        let end = match &bytes[index..] {
            [b'-', b'-', ..] => text[index..].find('\n').map(|length| index + length),
            [b'/', b'*', ..] => text[index..].find("*/").map(|length| index + length + 2),
            [b'\'', ..] => {
                // Strings keep their text: an error may be about one.
                let close = text[index + 1..].find('\'');
                index = close.map_or(bytes.len(), |length| index + length + 2);
                continue;
            }
            _ => {
                index += 1;
                continue;
            }
        };
        let end = end.unwrap_or(bytes.len());
        blanked[index..end].fill(b' ');
        index = end;
    }
    // Comments are replaced whole, so no character was cut.
    String::from_utf8_lossy(&blanked).into_owned()
}

fn place(text: &str, offset: usize) -> (u32, u32) {
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let col = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    (number(line), number(col))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "-- users come first\nCREATE TABLE users (id INTEGER);\n\n/* é */ INSERT INTO nobody VALUES (1);\nCREAT INDEX i ON users (id);\n";

    #[track_caller]
    fn check(statement: Option<&str>, error: &str, expected: &str) {
        let finding = finding(Path::new("m/0001_a.sql"), SQL, statement, error);
        assert_eq!(finding.to_string(), expected);
    }

    #[test]
    fn errors_are_found_by_the_name_they_give() {
        check(
            None,
            "D1_ERROR: no such table: nobody: SQLITE_ERROR",
            "m/0001_a.sql:4:21: error: no such table: nobody",
        );
        check(
            None,
            "near \"CREAT\": syntax error at offset 0: SQLITE_ERROR",
            "m/0001_a.sql:5:1: error: near \"CREAT\": syntax error at offset 0",
        );
        check(
            None,
            "table users already exists at offset 13: SQLITE_ERROR",
            "m/0001_a.sql:2:14: error: table users already exists at offset 13",
        );
        check(
            None,
            "no such column: u.missing",
            "m/0001_a.sql: error: no such column: u.missing",
        );
        check(None, "out of memory", "m/0001_a.sql: error: out of memory");
    }

    #[test]
    fn a_known_statement_narrows_the_search() {
        let statement = "CREAT INDEX i ON users (id);";
        check(
            Some(statement),
            "no such table: users",
            "m/0001_a.sql:5:18: error: no such table: users",
        );
        check(
            Some(statement),
            "near \"CREAT\": syntax error at offset 0",
            "m/0001_a.sql:5:1: error: near \"CREAT\": syntax error at offset 0",
        );
        check(
            Some(statement),
            "disk is full",
            "m/0001_a.sql:5:1: error: disk is full",
        );
        check(
            Some("SELECT gone"),
            "offset is no number at offset x",
            "m/0001_a.sql:1:1: error: offset is no number at offset x",
        );
    }
}
