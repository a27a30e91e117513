//! GitHub's workflow commands, and how text that is not ours is kept from being one. Pure but for one random word.

use std::hash::{BuildHasher as _, Hasher as _};

/// `::name key=value::text`, escaped as the runner unescapes it.
pub(super) fn command(name: &str, properties: &[(&str, &str)], text: &str) -> String {
    let mut line = format!("::{name}");
    for (index, (key, value)) in properties.iter().enumerate() {
        line.push(if index == 0 { ' ' } else { ',' });
        line.push_str(&format!("{key}={}", escape_property(value)));
    }
    line.push_str("::");
    line.push_str(&escape_data(text));
    line
}

/// Escapes the text of a workflow command.
pub(super) fn escape_data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A line that the runner does not take for a command: `::x` at the start, `##[x]` anywhere.
pub(super) fn disarm(line: &str) -> String {
    let line = line.replace('\r', " ").replace("##[", "## [");
    let text = line.trim_start();
    if let Some(rest) = text.strip_prefix("::") {
        let indent = &line[..line.len() - text.len()];
        return format!("{indent}: :{rest}");
    }
    line
}

/// Lines of a program as the runner must print them: commands are switched off around them, with a word that the
/// program cannot know.
pub(super) fn inert(lines: impl Iterator<Item = String>) -> Vec<String> {
    let word = stop_word();
    let mut inert = vec![format!("::stop-commands::{word}")];
    // A bare carriage return ends a line for the runner too, hence the cleaning on top.
    inert.extend(lines.map(|line| line.replace('\r', " ")));
    inert.push(format!("::{word}::"));
    inert
}

/// 128 bits that a program whose output is shown cannot guess: the standard library seeds these from the system.
fn stop_word() -> String {
    let half = || {
        std::collections::hash_map::RandomState::new()
            .build_hasher()
            .finish()
    };
    format!("stop-{:016x}{:016x}", half(), half())
}

/// The annotations of an error's text: one per line of the form `path:line:col: error: …`, else one for the whole.
pub(super) fn annotations(text: &str) -> Vec<String> {
    let placed: Vec<String> = text.lines().filter_map(placed_annotation).collect();
    if placed.is_empty() {
        let (title, _) = text.split_once('\n').unwrap_or((text, ""));
        let title = title.strip_prefix("error: ").unwrap_or(title);
        return vec![command("error", &[("title", title)], text)];
    }
    placed
}

fn placed_annotation(line: &str) -> Option<String> {
    let line = line.trim_start();
    let line = line.strip_prefix("why: ").unwrap_or(line).trim_start();
    for (mark, name) in [(": error: ", "error"), (": warning: ", "warning")] {
        let Some((place, message)) = line.split_once(mark) else {
            continue;
        };
        let mut parts = place.rsplitn(3, ':');
        let (column, row, path) = (parts.next()?, parts.next()?, parts.next()?);
        if row.parse::<u32>().is_ok() && column.parse::<u32>().is_ok() {
            let properties = [("file", path), ("line", row), ("col", column)];
            return Some(command(name, &properties, message));
        }
    }
    None
}
