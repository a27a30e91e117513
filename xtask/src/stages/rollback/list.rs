//! `rollback --list`: the releases on record, newest first. Reads only.

use std::collections::BTreeSet;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::context::Ctx;
use crate::ledger::Database;
use crate::ledger::releases::Record;
use crate::report::Table;
use crate::stages::deploy::release::short;
use crate::stages::rollback::facts;
use crate::stages::rollback::history::History;
use crate::ui::Format;
use crate::workspace::Workspace;

/// Prints them: a table for people, one document for programs.
pub fn list(ctx: &Ctx, workspace: &Workspace, database: &Database) -> anyhow::Result<()> {
    let (records, _) = facts::records(database)?;
    let standings = History::new(&records).standings();
    let rows: Vec<(&Record, String)> = records.iter().zip(standings).rev().collect();
    match ctx.ui.format() {
        Format::Json => ctx.ui.data(&document(&rows).to_string()),
        Format::Text => {
            let table = table(&rows, workspace, SystemTime::now());
            ctx.ui.data(&table.text(ctx.ui.columns()));
        }
    }
    Ok(())
}

fn document(rows: &[(&Record, String)]) -> Value {
    let live = live(rows);
    let releases: Vec<Value> = rows
        .iter()
        .map(|(record, standing)| {
            let mut value = json!(record);
            value["standing"] = json!(standing);
            value["secrets_since"] = json!(secrets_since(record, live));
            value
        })
        .collect();
    json!({
        "stage": "rollback",
        "outcome": "success",
        "exit_code": 0,
        "release": live.map(|record| &record.id),
        "steps": [],
        "releases": releases,
    })
}

/// The releases as rows: what a person needs to choose one.
pub(super) fn table(rows: &[(&Record, String)], workspace: &Workspace, now: SystemTime) -> Table {
    let mut columns = vec![
        "#", "release", "age", "sha", "author", "versions", "schema", "status",
    ];
    let live = live(rows);
    let changed: Vec<String> = rows
        .iter()
        .map(|(record, _)| secrets_since(record, live).join(", "))
        .collect();
    let any_changed = changed.iter().any(|names| !names.is_empty());
    if any_changed {
        columns.push("secrets since");
    }
    let mut table = Table::new("", &columns);
    for ((record, standing), changed) in rows.iter().zip(changed) {
        let versions: Vec<String> = workspace
            .workers
            .iter()
            .filter_map(|worker| {
                let version = record.versions.get(&worker.config.name)?;
                Some(format!("{} {}", worker.name, short(version)))
            })
            .collect();
        let schema: Vec<String> = record
            .schema
            .values()
            .map(|names| match names.last() {
                Some(last) => last.trim_end_matches(".sql").to_owned(),
                None => "baseline".to_owned(),
            })
            .collect();
        let mut cells = vec![
            record.number.to_string(),
            record.id.clone(),
            age(&record.created_at, now),
            record.sha.get(..7).unwrap_or(&record.sha).to_owned(),
            record.author.clone(),
            versions.join(", "),
            if schema.is_empty() {
                "-".to_owned()
            } else {
                schema.join(", ")
            },
            standing.clone(),
        ];
        if any_changed {
            cells.push(if changed.is_empty() {
                "-".to_owned()
            } else {
                changed
            });
        }
        table.row(cells);
    }
    table
}

fn live<'a>(rows: &[(&'a Record, String)]) -> Option<&'a Record> {
    let live = rows.iter().find(|(_, standing)| standing == "live");
    live.map(|(record, _)| *record)
}

/// The secrets that what is live has and this release has not (`+`), and the other way round. Nobody can read a value:
/// that one has changed is found out when the version is put live again.
fn secrets_since(record: &Record, live: Option<&Record>) -> Vec<String> {
    let Some(live) = live else {
        return Vec::new();
    };
    let names = |record: &Record| -> BTreeSet<(String, String)> {
        let secrets = record.secrets.iter();
        secrets
            .flat_map(|(script, names)| names.iter().map(|name| (name.clone(), script.clone())))
            .collect()
    };
    let (then, now) = (names(record), names(live));
    let shown =
        |sign: char| move |(name, script): &(String, String)| format!("{sign}{name} ({script})");
    let added = now.difference(&then).map(shown('+'));
    added.chain(then.difference(&now).map(shown('-'))).collect()
}

/// `3h`, `2d`: one unit is enough to find a release by.
pub(in crate::stages) fn age(at: &str, now: SystemTime) -> String {
    let Ok(then) = humantime::parse_rfc3339_weak(at) else {
        return "-".to_owned();
    };
    let seconds = now.duration_since(then).unwrap_or_default().as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn secrets_that_came_and_went_since_are_named() {
        let with = |names: &[&str]| -> Record {
            serde_json::from_value(json!({
                "id": "r1", "number": 1, "created_at": "", "sha": "", "author": "", "status": "live",
                "versions": {}, "previous": {}, "bookmark": null, "migrations": {}, "digests": {},
                "secrets": {"site": names},
            }))
            .expect("a record")
        };
        let (old, live) = (with(&["OLD", "KEPT"]), with(&["KEPT", "NEW"]));
        let since = |record: &Record| secrets_since(record, Some(&live)).join(", ");
        expect!["+NEW (site), -OLD (site)"].assert_eq(&since(&old));
        expect![""].assert_eq(&since(&live));
        assert_eq!(secrets_since(&old, None), [""; 0]);
    }
}
