//! Text as a terminal shows it: plain lines, widths, durations. Pure.

use std::time::Duration;

/// One line as plain text: no ANSI sequences, no other control characters, and of a line redrawn with carriage returns
/// (progress bars) only its last picture.
pub fn clean_line(line: &str) -> String {
    let line = line.trim_end_matches(['\n', '\r']);
    let last = line.rsplit('\r').find(|part| !part.is_empty());
    let mut plain = String::with_capacity(line.len());
    let mut rest = last.unwrap_or_default().chars();
    while let Some(character) = rest.next() {
        match character {
            '\x1b' => skip_escape(&mut rest),
            '\u{9b}' => skip_control_sequence(&mut rest),
            '\t' => plain.push_str("    "),
            '\n' => plain.push(' '),
            // Direction overrides can make a line read as something it is not.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            control if control.is_control() => {}
            other => plain.push(other),
        }
    }
    plain
}

/// A text of several lines without what a terminal would obey: see [`clean_line`]. Where texts of others become part of an error,
/// a report or a table, they go through it.
pub fn clean_text(text: impl Into<String>) -> String {
    let text = text.into();
    let obeyed = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(obeyed) {
        return text;
    }
    let lines: Vec<String> = text.split('\n').map(clean_line).collect();
    lines.join("\n")
}

fn skip_escape(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        Some('[') => skip_control_sequence(rest),
        // Strings (titles, hyperlinks) end with BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(character) = rest.next() {
                if character == '\x07' {
                    return;
                }
                if character == '\x1b' {
                    rest.next();
                    return;
                }
            }
        }
        // Character sets take one more.
        Some('(' | ')' | '*' | '+' | '#' | '%') => {
            rest.next();
        }
        _ => {}
    }
}

fn skip_control_sequence(rest: &mut std::str::Chars<'_>) {
    for character in rest.by_ref() {
        if ('@'..='~').contains(&character) {
            return;
        }
    }
}

/// How many columns a text takes: 2 for wide characters (CJK, emoji), 0 for combining ones.
pub fn width(text: &str) -> usize {
    text.chars().map(width_of).sum()
}

fn width_of(character: char) -> usize {
    match u32::from(character) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f | 0xfeff => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// The text cut to so many columns, with `…` where something is missing.
pub fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut fitted = String::new();
    let mut left = columns.saturating_sub(1);
    for character in text.chars() {
        let Some(after) = left.checked_sub(width_of(character)) else {
            break;
        };
        left = after;
        fitted.push(character);
    }
    if columns > 0 {
        fitted.push('…');
    }
    fitted
}

/// A duration for people: `12ms`, `1.2s`, `2m 05s`, `1h 02m`.
pub fn human_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let secs = duration.as_secs();
    match secs {
        _ if millis < 1000 => format!("{millis}ms"),
        0..60 => format!("{}.{}s", secs, millis % 1000 / 100),
        60..3600 => format!("{}m {:02}s", secs / 60, secs % 60),
        _ => format!("{}h {:02}m", secs / 3600, secs % 3600 / 60),
    }
}
