//! What a tool said that gave no answer: its error in a few lines, out of dumps, frames and boxes.

use crate::ui::clean_line;

/// So many lines of an error are quoted, of so many characters.
const LINES_MAX: usize = 4;
const CHARS_MAX: usize = 600;

/// The error a tool printed; else the last lines it wrote.
pub(super) fn said(stdout: &str, stderr: &str) -> String {
    let texts = [stderr, stdout].map(lines);
    let error = texts.iter().find_map(|lines| error_in(lines));
    let last = || {
        let lines = texts.iter().find(|lines| !lines.is_empty())?;
        Some(lines[lines.len().saturating_sub(3)..].join("\n"))
    };
    let text = error.or_else(last);
    let text = text.unwrap_or_else(|| "the audit printed nothing".to_owned());
    text.chars().take(CHARS_MAX).collect()
}

/// The lines that say something: plain, without the boxes that Rust programs draw; wrapped ones in one piece.
fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().map(clean_line) {
        let trimmed = line.trim();
        let plain = trimmed.trim_start_matches(['×', '├', '╰', '─', '▶', '│', ' ']);
        if plain.is_empty() {
            continue;
        }
        match lines.last_mut() {
            Some(before) if trimmed.starts_with('│') => {
                before.push_str(if before.ends_with('/') { "" } else { " " });
                before.push_str(plain);
            }
            _ => lines.push(plain.to_owned()),
        }
    }
    lines
}

fn error_in(lines: &[String]) -> Option<String> {
    let begin = lines.iter().position(|line| is_error(line))?;
    let told = lines[begin..].iter().take_while(|line| {
        let frame = line.starts_with("at ");
        let dump = line.ends_with('{') || line.starts_with("Node.js v");
        !frame && !dump
    });
    let told: Vec<&str> = told.take(LINES_MAX).map(String::as_str).collect();
    Some(told.join("\n"))
}

/// `error: …`, `RequestError: …`, `Ls [RequestError]: …`, `npm error …`.
fn is_error(line: &str) -> bool {
    let head = line.split(':').next().unwrap_or_default();
    let names_one = head.trim_end_matches(']').ends_with("rror");
    (names_one && line.contains(':') && head.len() < 60) || line.starts_with("npm error")
}
