//! The comment on a pull request: a [`PreviewSummary`] as Markdown. Pure. The comment is built of whole blocks and rows,
//! and what does not fit is counted, so that it is never cut inside a tag, a row or a list.

use crate::github::summary::{Data, Outcome, PreviewSummary, Status, WorkerSummary};
use crate::github::text;
use crate::preview::Key;
use crate::ui::human_duration;

/// What the comment begins with, and nobody sees: by it and by its author it is found again.
pub const MARKER: &str = "<!-- xtask-preview -->";

/// GitHub takes 65,536 characters. Bytes are counted here, as no character has less than one.
const LENGTH_MAX: usize = 65_000;

/// Room kept for the sentence that says how much was left out.
const MORE: usize = 100;

/// How much of a failure's output is shown: its end says most.
const LOG_LINES_MAX: usize = 60;
const LOG_LENGTH_MAX: usize = 20_000;

/// True when a comment's text is one of ours; its author has to be asked, too.
pub fn is_marked(body: &str) -> bool {
    body.trim_start().starts_with(MARKER)
}

/// The whole comment.
pub fn markdown(summary: &PreviewSummary) -> String {
    let (start, end) = (opening(summary), closing(summary));
    let mut room = LENGTH_MAX - start.len() - end.len();
    let mut text = start;
    for section in sections(summary) {
        let shown = section.fitted(room);
        room -= shown.len();
        text.push_str(&shown);
    }
    text.push_str(&end);
    text
}

/// A part of the comment that has as many entries as there are.
struct Section {
    /// What stands before the entries.
    before: String,
    /// One line each, with its line end.
    entries: Vec<String>,
    /// What stands behind them.
    after: String,
    /// What an entry is, for counting those left out.
    noun: &'static str,
}

impl Section {
    fn fitted(&self, room: usize) -> String {
        if self.entries.is_empty() {
            return String::new();
        }
        let frame = self.before.len() + self.after.len() + MORE;
        let Some(mut room) = room.checked_sub(frame) else {
            return String::new();
        };
        let mut shown = self.before.clone();
        let mut count = 0;
        for entry in &self.entries {
            let Some(rest) = room.checked_sub(entry.len()) else {
                break;
            };
            room = rest;
            shown.push_str(entry);
            count += 1;
        }
        shown.push_str(&self.after);
        let left_out = self.entries.len() - count;
        if left_out > 0 {
            shown.push_str(&format!("… and {left_out} more {}\n\n", self.noun));
        }
        shown
    }
}

fn opening(summary: &PreviewSummary) -> String {
    let (sign, word) = match summary.outcome {
        Outcome::Building => ("⏳", "is being made"),
        Outcome::Ready => ("✅", "is ready"),
        Outcome::Failed(_) => ("❌", "failed"),
        Outcome::Skipped(_) => ("⏭️", "was not made"),
        Outcome::Removing => ("🧹", "is being removed"),
        Outcome::Removed => ("🧹", "was removed"),
        Outcome::PartlyRemoved(_) => ("⚠️", "was not removed completely"),
    };
    let name = match summary.key {
        Key::Pr(number) => format!("Preview of pull request {number}"),
        Key::None => "Preview".to_owned(),
    };
    let mut text = format!("{MARKER}\n### {sign} {name} {word}\n\n");
    if let Outcome::Skipped(why) = &summary.outcome {
        text.push_str(&format!("{}\n\n", text::prose(why)));
    }
    if summary.data == Data::Shared && stands(summary) {
        text.push_str(
            "> [!CAUTION]\n> **This preview works on production's data.** Whatever is written through it is written to \
             production's databases, namespaces and buckets.\n\n",
        );
    }
    text.push_str(&facts(summary));
    text
}

/// True when there is a preview, or may be one.
fn stands(summary: &PreviewSummary) -> bool {
    !matches!(
        summary.outcome,
        Outcome::Removing | Outcome::Removed | Outcome::Skipped(_)
    )
}

fn facts(summary: &PreviewSummary) -> String {
    let mut facts = Vec::new();
    if let Some(title) = summary.title.as_deref().map(text::code) {
        facts.push(format!("**Title** {title}"));
    }
    if !summary.commit.is_empty() {
        let short: String = summary.commit.chars().take(12).collect();
        let branch = summary.branch.as_deref().map(text::code);
        let branch = branch.map(|branch| format!(" on {branch}"));
        facts.push(format!(
            "**Commit** {}{}",
            text::code(&short),
            branch.unwrap_or_default()
        ));
    }
    if stands(summary) {
        let data = match summary.data {
            Data::Isolated => "its own, apart from production's",
            Data::Shared => "⚠️ **production's**",
        };
        facts.push(format!("**Data** {data}"));
    }
    if let Some(duration) = summary.duration {
        facts.push(format!("**Took** {}", human_duration(duration)));
    }
    if let Some(url) = &summary.run_url {
        facts.push(format!("**Run** {}", text::link(url)));
    }
    let facts: Vec<String> = facts.iter().map(|fact| format!("- {fact}\n")).collect();
    match facts.is_empty() {
        true => String::new(),
        false => facts.concat() + "\n",
    }
}

fn sections(summary: &PreviewSummary) -> Vec<Section> {
    let mut sections = Vec::new();
    match &summary.outcome {
        Outcome::Failed(why) => sections.push(log(why)),
        Outcome::PartlyRemoved(left) => sections.push(list(
            "**Still there.** Running the clean-up again is safe.",
            left,
            "things",
        )),
        _ => {}
    }
    sections.push(workers(summary));
    if stands(summary) {
        let migrations: Vec<String> = summary
            .migrations_on_deploy
            .iter()
            .map(|name| format!("`{}`", name.replace('`', "'")))
            .collect();
        sections.push(list(
            "**A deploy of this would run these migrations on production's database**, in this order:",
            &migrations,
            "migrations",
        ));
        sections.push(list(
            "**Not covered by the preview**",
            &summary.not_covered,
            "points",
        ));
        sections.push(list(
            "**Bindings that lead out of the preview**",
            &summary.external_bindings,
            "bindings",
        ));
        sections.push(list("**Testing notes**", &summary.notes, "notes"));
    }
    sections
}

/// The end of what went wrong. The last lines count: the first are left out.
fn log(why: &str) -> Section {
    let mut room = LOG_LENGTH_MAX;
    let lines = text::lines(why).into_iter().rev().take(LOG_LINES_MAX);
    let mut last: Vec<String> = lines
        .map_while(|line| {
            room = room.checked_sub(line.len())?;
            Some(format!("{line}\n"))
        })
        .collect();
    last.reverse();
    Section {
        before: "<pre>\n".to_owned(),
        entries: last,
        after: "</pre>\n\n".to_owned(),
        noun: "lines",
    }
}

fn list(title: &str, items: &[String], noun: &'static str) -> Section {
    Section {
        before: format!("{title}\n\n"),
        entries: items
            .iter()
            .map(|item| format!("- {}\n", text::prose(item)))
            .collect(),
        after: "\n".to_owned(),
        noun,
    }
}

/// The cells of one Worker.
type Cells = fn(&WorkerSummary) -> Vec<String>;

fn workers(summary: &PreviewSummary) -> Section {
    let gone = !stands(summary) || matches!(summary.outcome, Outcome::PartlyRemoved(_));
    let (columns, rows): (&[&str], Cells) = if gone {
        (&["Worker", "Name", "Status"], |worker| {
            vec![
                text::code(&worker.name),
                text::code(&worker.script),
                status(worker.status),
            ]
        })
    } else {
        (&["Worker", "Status", "URL", "Bundle (gzip)"], |worker| {
            let url = worker.url.as_deref().map(text::link);
            vec![
                text::code(&worker.name),
                status(worker.status),
                url.unwrap_or_else(|| "–".to_owned()),
                bundle(worker),
            ]
        })
    };
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    Section {
        before: format!(
            "{}|{}\n",
            row(columns.iter().map(|&column| column.to_owned()).collect()),
            " --- |".repeat(columns.len())
        ),
        entries: summary
            .workers
            .iter()
            .map(|worker| row(rows(worker)))
            .collect(),
        after: "\n".to_owned(),
        noun: "Workers",
    }
}

fn status(status: Status) -> String {
    let text = match status {
        Status::Waiting => "⏳ waiting",
        Status::Ready => "✅ ready",
        Status::Unchanged => "✅ unchanged",
        Status::Failed => "❌ failed",
        Status::NotTried => "⏭️ not tried",
        Status::Removed => "🧹 removed",
    };
    text.to_owned()
}

fn bundle(worker: &WorkerSummary) -> String {
    let Some(size) = worker.size else {
        return "–".to_owned();
    };
    let change = worker.size_change.map(|change| match change {
        0 => " (as in production)".to_owned(),
        change => {
            let sign = if change > 0 { '+' } else { '−' };
            format!(" ({sign}{})", bytes(change.unsigned_abs()))
        }
    });
    format!("{}{}", bytes(size), change.unwrap_or_default())
}

/// A size for people; kB and MB are powers of 1000, as in pipeline.toml.
fn bytes(bytes: u64) -> String {
    let tenths = |unit: u64| (bytes + unit / 20) / (unit / 10);
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..999_950 => format!("{}.{} kB", tenths(1000) / 10, tenths(1000) % 10),
        _ => format!("{}.{} MB", tenths(1_000_000) / 10, tenths(1_000_000) % 10),
    }
}

fn closing(summary: &PreviewSummary) -> String {
    match summary.removal.is_empty() {
        true => String::new(),
        false => format!("{}\n", text::prose(&summary.removal)),
    }
}

#[cfg(test)]
mod tests;
