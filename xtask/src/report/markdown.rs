//! GitHub's summary page: Markdown in which no text of ours or of others can be anything but text. Pure.

use std::time::SystemTime;

use super::Report;
use crate::run::{Status, StepReport};
use crate::ui::{clean_line, human_duration, sign_of};

/// A Gantt of more bars is unreadable.
const BARS_MAX: usize = 60;
/// GitHub refuses a summary above 1 MiB; the rows of the steps are cut long before.
const ROWS_MAX: usize = 500;

pub(super) fn summary(report: &Report) -> String {
    let sign = match report.outcome {
        super::Verdict::Success => "✅",
        super::Verdict::Warning => "⚠️",
        super::Verdict::Failure => "❌",
    };
    let mut blocks = vec![format!("## {sign} {}", escape(&report.last_line()))];
    blocks.extend(
        report
            .warnings
            .iter()
            .map(|text| format!("> ⚠️ {}", escape(text))),
    );
    for step in report.steps.iter().filter(|s| s.status == Status::Failed) {
        blocks.push(failure(step));
    }
    let others = super::findings::of_the_others(&report.steps, super::FINDINGS_MAX);
    blocks.extend(others.iter().map(|block| fenced("text", block)));
    for table in &report.tables {
        if !table.title.is_empty() {
            blocks.push(format!("### {}", escape(&table.title)));
        }
        blocks.push(rows(&table.columns, table.rows.iter().cloned()));
    }
    if !report.facts.is_empty() {
        let facts = report
            .facts
            .iter()
            .map(|(name, value)| vec![name.clone(), value.clone()]);
        blocks.push(rows(&["Fact".to_owned(), "Value".to_owned()], facts));
    }
    if !report.steps.is_empty() {
        blocks.push(steps(report));
        blocks.extend(gantt(report));
    }
    blocks.join("\n\n") + "\n\n"
}

fn failure(step: &StepReport) -> String {
    let text = step.error.as_deref().unwrap_or(&step.goal);
    let findings = super::findings::below_error(step, super::FINDINGS_MAX);
    if findings != text && !findings.is_empty() {
        return fenced("text", &findings);
    }
    // The error quotes the end of the log itself when nothing else tells why.
    let log = step.log.iter().rev().take(20).rev().map(String::as_str);
    let log = log.filter(|line| !text.contains(line.trim()));
    let lines: Vec<&str> = text.lines().chain(log).collect();
    fenced("text", &lines.join("\n"))
}

fn steps(report: &Report) -> String {
    let headings = ["", "Step", "Worker", "Time", "Result"].map(str::to_owned);
    let shown = report.steps.iter().take(ROWS_MAX).map(|step| {
        vec![
            sign_of(step.status).0.to_owned(),
            step.id.clone(),
            step.worker.clone().unwrap_or_default(),
            if step.attempts > 0 {
                human_duration(step.duration)
            } else {
                String::new()
            },
            match &step.note {
                Some(note) if step.status == Status::Passed => note.clone(),
                Some(note) => format!("{}: {note}", step.status.word()),
                None => step.status.word().to_owned(),
            },
        ]
    });
    let mut text = format!(
        "<details><summary>{}</summary>\n\n{}",
        escape(&report.counts()),
        rows(&headings, shown)
    );
    if report.steps.len() > ROWS_MAX {
        text.push_str(&format!("\n\nand {} more", report.steps.len() - ROWS_MAX));
    }
    text + "\n\n</details>"
}

/// A table of texts that stay texts.
pub(crate) fn rows(columns: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
        format!("| {} |", cells.join(" | "))
    };
    let mut lines = vec![
        line(columns),
        format!("|{}", " --- |".repeat(columns.len())),
    ];
    lines.extend(rows.map(|mut row| {
        row.resize(columns.len(), String::new());
        line(&row)
    }));
    lines.join("\n")
}

/// Text as text: nothing in it starts a link, an image, a tag, a cell, a mention or an emphasis.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let one_line = text.lines().map(clean_line).collect::<Vec<_>>().join(" ");
    for character in one_line.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '|' => escaped.push_str("&#124;"),
            // A mention notifies a person, a number links an issue: a zero-width joiner keeps both as text.
            '@' => escaped.push_str("@\u{200d}"),
            '#' => escaped.push_str("&#35;"),
            '\\' | '`' | '*' | '_' | '~' | '[' | ']' | '!' | '$' => {
                escaped.push('\\');
                escaped.push(character);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// A code block whose fence is longer than any in the text.
fn fenced(language: &str, text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}{language}\n{text}\n{fence}")
}

/// The steps on a time line, one section per group. Nothing when no step took any time.
fn gantt(report: &Report) -> Option<String> {
    let (start, _) = report.span()?;
    let ran: Vec<&StepReport> = report
        .steps
        .iter()
        .filter(|step| step.attempts > 0)
        .collect();
    if ran.is_empty() {
        return None;
    }
    let mut lines = vec![
        "gantt".to_owned(),
        format!("    title {}", label(&report.stage)),
        "    dateFormat x".to_owned(),
        "    axisFormat %M:%S".to_owned(),
    ];
    let mut group = None;
    for step in ran.into_iter().take(BARS_MAX) {
        if group != Some(&step.group) {
            lines.push(format!("    section {}", label(&step.group)));
            group = Some(&step.group);
        }
        let mark = match step.status {
            Status::Failed => "crit, ",
            Status::Warning | Status::Cancelled => "active, ",
            _ => "done, ",
        };
        let from = millis(start, step.started);
        let length = step.duration.as_millis().max(1);
        lines.push(format!("    {} :{mark}{from}, {length}ms", label(&step.id)));
    }
    Some(fenced("mermaid", &lines.join("\n")))
}

fn millis(start: SystemTime, at: SystemTime) -> u64 {
    at.duration_since(start).unwrap_or_default().as_millis() as u64
}

/// Words that start a statement of a Gantt diagram when a line begins with them.
const GANTT_WORDS: [&str; 14] = [
    "acc",
    "axis",
    "click",
    "date",
    "display",
    "excludes",
    "gantt",
    "includes",
    "inclusive",
    "section",
    "tick",
    "title",
    "today",
    "week",
];

/// Text inside a Gantt diagram, where some first words mean something, too.
fn label(text: &str) -> String {
    let words = plain(text);
    let lower = words.to_lowercase();
    match GANTT_WORDS.iter().any(|word| lower.starts_with(word)) {
        _ if words.is_empty() => "-".to_owned(),
        true => format!("- {words}"),
        false => words,
    }
}

/// Text inside a diagram: characters that mean something to Mermaid are taken away.
pub(super) fn plain(text: &str) -> String {
    let cleaned: String = clean_line(text)
        .chars()
        .map(|character| {
            let harmless = character.is_alphanumeric() || "-_./()=+ ".contains(character);
            if harmless { character } else { ' ' }
        })
        .collect();
    cleaned.split_whitespace().collect::<Vec<_>>().join(" ")
}
