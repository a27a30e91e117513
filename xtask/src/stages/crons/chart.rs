//! One day as a chart: a line for each worker, a mark for each run, its time in UTC and local below. Pure text.

use crate::zone::clock;

const MINUTES: usize = 24 * 60;
/// A row with more runs than this names no times: the table below the chart does.
const LABELS_MAX: usize = 12;

/// A worker's line.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// The worker.
    pub name: String,
    /// Its runs, in the order of time.
    pub marks: Vec<Mark>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The minute of the day.
    pub minute: u16,
    /// Which sign it gets.
    pub kind: Kind,
    /// What clocks show where the people are.
    pub local: String,
}

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Fires on other days, not on this one.
    OtherDay,
    /// Fires.
    Fires,
    /// Fires, and so does another worker.
    Together,
}

impl Kind {
    pub(super) fn sign(self) -> char {
        match self {
            Kind::OtherDay => '○',
            Kind::Fires => '●',
            Kind::Together => '◆',
        }
    }
}

/// The chart, no wider than `columns` if that can be.
pub(super) fn chart(rows: &[Row], columns: usize) -> String {
    let names = rows.iter().map(|row| row.name.chars().count());
    let margin = names.max().unwrap_or(0).max("UTC".len()) + 2;
    // Cells per day: at 72 two runs two hours apart have room for their times side by side.
    let cells = match columns.saturating_sub(margin) {
        ..56 => 24,
        56..80 => 48,
        _ => 72,
    };
    let mut lines = vec![axis(margin, cells)];
    for row in rows {
        let name = format!("{:margin$}", row.name);
        lines.push(format!("{name}{}", line(row, cells)));
        lines.extend(labels(row, cells).into_iter().map(|text| {
            let text = format!("{:margin$}{text}", "");
            text.trim_end().to_owned()
        }));
    }
    lines.join("\n")
}

fn cell(minute: u16, cells: usize) -> usize {
    usize::from(minute) * cells / MINUTES
}

fn axis(margin: usize, cells: usize) -> String {
    let mut text = format!("{:margin$}", "UTC");
    for hour in [0, 6, 12, 18] {
        let hour = format!("{hour:02}:00");
        text.push_str(&format!("{hour:width$}", width = cells / 4));
    }
    text.push_str("24:00");
    text
}

/// `│─────●───┼` with a line at every sixth hour.
fn line(row: &Row, cells: usize) -> String {
    let mut line: Vec<char> = (0..=cells)
        .map(|at| match at {
            0 => '│',
            at if at == cells => '│',
            at if at.is_multiple_of(cells / 4) => '┼',
            _ => '─',
        })
        .collect();
    let mut kinds: Vec<Option<Kind>> = vec![None; cells];
    for mark in &row.marks {
        let at = &mut kinds[cell(mark.minute, cells)];
        // Several runs may share a cell: the strongest sign is shown.
        *at = (*at).max(Some(mark.kind));
    }
    for (at, kind) in kinds.into_iter().enumerate() {
        if let Some(kind) = kind {
            line[at] = kind.sign();
        }
    }
    line.into_iter().collect()
}

/// Lines of times below the marks, in pairs: UTC, local. What does not fit beside its neighbour goes one pair lower.
fn labels(row: &Row, cells: usize) -> Vec<String> {
    if row.marks.len() > LABELS_MAX {
        return vec![format!("{} runs", row.marks.len())];
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    for mark in &row.marks {
        let at = cell(mark.minute, cells);
        let width = |text: &str| text.chars().count();
        let free = |(utc, local): &&mut (String, String)| {
            let used = width(utc).max(width(local));
            used == 0 || used < at
        };
        let mut pair = pairs.iter_mut().find(free);
        if pair.is_none() {
            pairs.push((String::new(), String::new()));
            pair = pairs.last_mut();
        }
        if let Some((utc, local)) = pair {
            *utc = format!("{utc:at$}{}", clock(mark.minute));
            *local = format!("{local:at$}{}", mark.local);
        }
    }
    pairs
        .into_iter()
        .flat_map(|(utc, local)| [utc, local])
        .collect()
}
