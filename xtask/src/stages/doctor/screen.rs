//! One screen: the problems first, each with its why and its fix, then every check in a line. Pure.

use super::check::{Check, Group, Standing};
use crate::ui::{clean_line, fit, width};

/// The problems, failures before warnings, ready to print; empty when there is none.
pub fn problems(checks: &[Check]) -> String {
    let of = |standing: Standing| {
        let chosen = checks
            .iter()
            .filter(move |check| check.standing == standing);
        chosen.map(problem)
    };
    of(Standing::Fail)
        .chain(of(Standing::Warn))
        .collect::<Vec<_>>()
        .join("\n")
}

/// All of it.
pub fn screen(checks: &[Check], columns: usize) -> String {
    let mut blocks = Vec::new();
    blocks.extend(Some(problems(checks)).filter(|text| !text.is_empty()));
    blocks.push(list(checks, columns));
    blocks.push(last_line(checks));
    blocks.join("\n\n")
}

/// `doctor: failure, 24 checks (20 fine, 1 failed, 2 to know about, 1 not looked at)`
fn last_line(checks: &[Check]) -> String {
    let count = |standing: Standing| {
        checks
            .iter()
            .filter(|check| check.standing == standing)
            .count()
    };
    let counts = [
        (Standing::Pass, "passed"),
        (Standing::Warn, "warning"),
        (Standing::Fail, "failed"),
        (Standing::Skipped, "skipped"),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(standing, word)| (count(standing), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let verdict = match (count(Standing::Fail), count(Standing::Warn)) {
        (0, 0) => "success",
        (0, _) => "warning",
        _ => "failure",
    };
    format!(
        "doctor: {verdict}, {} checks ({})",
        checks.len(),
        counts.join(", ")
    )
}

fn problem(check: &Check) -> String {
    let mut text = format!("{} {}: {}", sign(check.standing), check.id, check.found);
    for (label, lines) in [("why", &check.why), ("fix", &check.fix)] {
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 {
                format!("{label}:")
            } else {
                "    ".to_owned()
            };
            text.push_str(&format!("\n  {label} {line}"));
        }
    }
    text
}

fn list(checks: &[Check], columns: usize) -> String {
    let longest = checks
        .iter()
        .map(|check| width(check.id))
        .max()
        .unwrap_or(0);
    let mut lines = Vec::new();
    for group in [Group::Machine, Group::Packages, Group::Repo, Group::Cloud] {
        let mut heading = group.word();
        let mut rest: Vec<&Check> = checks.iter().filter(|check| check.group == group).collect();
        while let Some(first) = rest.first().copied() {
            // What was not looked at for one reason is one line.
            let same = rest.iter().take_while(|check| {
                check.standing == Standing::Skipped
                    && first.standing == Standing::Skipped
                    && check.found == first.found
            });
            let count = same.count().max(1);
            let names: Vec<&str> = rest.drain(..count).map(|check| check.id).collect();
            let names = names.join(", ");
            let pad = " ".repeat(longest.saturating_sub(width(&names)));
            let line = format!(
                "{heading:<9} {} {names}{pad}  {}",
                sign(first.standing),
                clean_line(&first.found)
            );
            lines.push(fit(&line, columns));
            heading = "";
        }
    }
    lines.join("\n")
}

/// The sign alone carries the meaning.
fn sign(standing: Standing) -> &'static str {
    match standing {
        Standing::Pass => "✓",
        Standing::Warn => "!",
        Standing::Fail => "✗",
        Standing::Skipped => "-",
    }
}
