//! What a person sees of the crons: the chart, and tables below it. Pure.

use std::collections::BTreeMap;

use crate::report::{Report, Table};
use crate::stages::crons::Crons;
use crate::stages::crons::chart::{self, Kind, Mark, Row};
use crate::stages::crons::facts::{LiveCrons, Schedule};
use crate::zone::{Moment, clock};

/// More times of a day than these are counted instead of listed.
const TIMES_MAX: usize = 4;
const MINUTES_PER_DAY: i64 = 24 * 60;

/// The whole screen.
pub(super) fn text(crons: &Crons, report: &Report, columns: usize) -> String {
    let mut blocks = vec![heading(crons)];
    if crons.schedules.is_empty() {
        blocks.push("no worker has a cron trigger".to_owned());
    } else {
        blocks.push(format!(
            "{}\n\n{}",
            chart::chart(&rows(crons), columns),
            legend(crons)
        ));
    }
    blocks.extend(clock_change(crons));
    let tables = report.tables.iter().filter(|table| !table.rows.is_empty());
    blocks.extend(tables.map(|table| table.text(columns)));
    if let LiveCrons::Unknown(None) = crons.live {
        blocks.push(
            "live: not compared, as no cloud can be asked (a token, or `--cloud local`)".to_owned(),
        );
    }
    blocks.extend(
        report
            .warnings
            .iter()
            .map(|text| format!("warning: {text}")),
    );
    blocks.join("\n\n")
}

/// The tables: the triggers, those that fire together, the runs to come.
pub(super) fn tables(crons: &Crons) -> Vec<Table> {
    vec![triggers(crons), together(crons), coming(crons)]
}

fn heading(crons: &Crons) -> String {
    let (first, last) = (crons.day.at(0), crons.day.at(1439));
    let zone = &crons.zone;
    let (first, last) = (zone.local(first), zone.local(last));
    let offset = match first.offset == last.offset {
        true => format!("{}, {}", first.name, first.offset_name()),
        false => format!("{}, then {}", first.name, last.name),
    };
    format!(
        "cron triggers on {} {}, UTC; below each time: {} ({offset})",
        crons.day.weekday_name(),
        crons.day,
        zone.name()
    )
}

fn rows(crons: &Crons) -> Vec<Row> {
    let runs = crons.on(crons.day);
    let changes = {
        let zone = &crons.zone;
        zone.local(crons.day.at(0)).offset != zone.local(crons.day.at(1439)).offset
    };
    let local = |time: Moment| {
        let local = crons.zone.local(time);
        // Only on the day of a change it is not said above which of the two it is.
        match changes {
            true => format!("{} {}", local.short(), local.name),
            false => local.short(),
        }
    };
    let mut rows: BTreeMap<usize, (Row, BTreeMap<u16, Kind>)> = BTreeMap::new();
    for it in &crons.schedules {
        let entry = rows.entry(it.order).or_default();
        entry.0.name.clone_from(&it.worker);
        let fires = it.next(crons.from).is_some();
        let minutes = it.cron.iter().flat_map(|cron| cron.minutes());
        for minute in minutes.filter(|_| fires) {
            entry.1.entry(minute).or_insert(Kind::OtherDay);
        }
    }
    for (time, it) in &runs {
        let meets = runs
            .iter()
            .any(|(other, with)| other == time && with.order != it.order);
        let kind = if meets { Kind::Together } else { Kind::Fires };
        if let Some((_, marks)) = rows.get_mut(&it.order) {
            marks.insert(time.minute(), kind);
        }
    }
    rows.into_values()
        .map(|(mut row, marks)| {
            row.marks = marks
                .into_iter()
                .map(|(minute, kind)| Mark {
                    minute,
                    kind,
                    local: local(crons.day.at(minute)),
                })
                .collect();
            row
        })
        .collect()
}

fn legend(crons: &Crons) -> String {
    let rows = rows(crons);
    let has = |kind: Kind| {
        rows.iter()
            .any(|row| row.marks.iter().any(|it| it.kind == kind))
    };
    let entries = [
        (Kind::Fires, "fires"),
        (Kind::Together, "fires together with another worker"),
        (Kind::OtherDay, "fires on other days only"),
    ];
    let shown = entries.into_iter().filter(|(kind, _)| has(*kind));
    let shown: Vec<String> = shown
        .map(|(kind, meaning)| format!("{} {meaning}", kind.sign()))
        .collect();
    shown.join("   ")
}

/// When clocks are changed next, and what that means for a cron.
fn clock_change(crons: &Crons) -> Option<String> {
    let at = crons.zone.next_change(crons.now, 366)?;
    let (before, after) = (crons.zone.local(at.plus(-1)), crons.zone.local(at));
    let mut text = format!(
        "clocks: from {} {} {} UTC on it is {} ({}) instead of {} ({})",
        at.day().weekday_name(),
        at.day(),
        clock(at.minute()),
        after.name,
        after.offset_name(),
        before.name,
        before.offset_name()
    );
    let first = crons
        .schedules
        .iter()
        .find_map(|it| it.cron.as_ref()?.minutes().next());
    if let Some(minute) = first {
        let local = |time: Moment| crons.zone.local(time).short();
        text.push_str(&format!(
            ": {} UTC is {} until then, {} from then on",
            clock(minute),
            local(at.day().plus(-2).at(minute)),
            local(at.day().plus(2).at(minute))
        ));
    }
    Some(text)
}

fn triggers(crons: &Crons) -> Table {
    let mut columns = vec!["worker", "cron", "utc", "local", "next", "in"];
    let known = matches!(crons.live, LiveCrons::Known(_));
    columns.extend(known.then_some("live"));
    let mut table = Table::new("triggers", &columns);
    for it in &crons.schedules {
        let next = it.next(crons.from);
        let live = match (it.in_repo, it.live) {
            (_, None) => "",
            (true, Some(true)) => "yes",
            (true, Some(false)) => "missing",
            (false, Some(_)) => "only live",
        };
        let (utc, local) = times(crons, it, next);
        let mut cells = vec![
            it.worker.clone(),
            it.text.clone(),
            utc,
            local,
            match (next, &it.cron) {
                (Some(next), _) => at(next),
                (None, Some(_)) => "never".to_owned(),
                (None, None) => "-".to_owned(),
            },
            next.map_or_else(|| "-".to_owned(), |next| span(next.since(crons.now))),
        ];
        cells.extend(known.then(|| live.to_owned()));
        table.row(cells);
    }
    table
}

/// The times of a day, in UTC and as clocks show them on the day of the next run.
fn times(crons: &Crons, it: &Schedule, next: Option<Moment>) -> (String, String) {
    let Some(cron) = &it.cron else {
        return ("not understood".to_owned(), "-".to_owned());
    };
    let minutes: Vec<u16> = cron.minutes().collect();
    if minutes.len() > TIMES_MAX {
        return (format!("{} a day", minutes.len()), "-".to_owned());
    }
    let day = next.map_or(crons.day, Moment::day);
    let locals: Vec<_> = minutes
        .iter()
        .map(|minute| crons.zone.local(day.at(*minute)))
        .collect();
    let mut parts = Vec::new();
    for (index, local) in locals.iter().enumerate() {
        // Once behind the last of those that share a name.
        let again = locals
            .get(index + 1)
            .is_some_and(|it| it.name == local.name);
        parts.push(match again {
            true => local.short(),
            false => format!("{} {}", local.short(), local.name),
        });
    }
    let utc: Vec<String> = minutes.into_iter().map(clock).collect();
    (utc.join(", "), parts.join(", "))
}

fn together(crons: &Crons) -> Table {
    let mut table = Table::new("together", &["workers", "utc", "how often", "next"]);
    for meeting in &crons.meetings {
        let mut workers: Vec<&str> = meeting
            .who
            .iter()
            .map(|(worker, _)| worker.as_str())
            .collect();
        workers.dedup();
        let times = match meeting.minutes.as_slice() {
            minutes if minutes.len() > TIMES_MAX => format!("{} a day", minutes.len()),
            minutes => minutes
                .iter()
                .copied()
                .map(clock)
                .collect::<Vec<_>>()
                .join(", "),
        };
        let often = match meeting.days {
            366 => "every day".to_owned(),
            days => format!("{days} days a year"),
        };
        table.row([workers.join(", "), times, often, at(meeting.next)]);
    }
    table
}

fn coming(crons: &Crons) -> Table {
    let zone = crons.zone.name();
    let mut table = Table::new("next runs", &["in", "utc", zone, "worker", "cron"]);
    for (time, it) in crons.coming() {
        let local = crons.zone.local(time);
        table.row([
            span(time.since(crons.now)),
            at(time),
            format!(
                "{} {} {}",
                local.day.weekday_name(),
                local.short(),
                local.name
            ),
            it.worker.clone(),
            it.text.clone(),
        ]);
    }
    table
}

/// `Wed 2026-11-25 02:00`.
fn at(time: Moment) -> String {
    let day = time.day();
    format!("{} {day} {}", day.weekday_name(), clock(time.minute()))
}

/// `5m`, `3h 05m`, `12d`.
fn span(minutes: i64) -> String {
    match minutes {
        0..60 => format!("{minutes}m"),
        60..MINUTES_PER_DAY => format!("{}h {:02}m", minutes / 60, minutes % 60),
        _ => format!("{}d", minutes / MINUTES_PER_DAY),
    }
}
