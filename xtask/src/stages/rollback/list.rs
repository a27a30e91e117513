//! `rollback --list`: the releases on record, newest first. Reads only.

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
    let live = rows.iter().find(|(_, standing)| standing == "live");
    let releases: Vec<Value> = rows
        .iter()
        .map(|(record, standing)| {
            let mut value = json!(record);
            value["standing"] = json!(standing);
            value
        })
        .collect();
    json!({
        "stage": "rollback",
        "outcome": "success",
        "exit_code": 0,
        "release": live.map(|(record, _)| &record.id),
        "steps": [],
        "releases": releases,
    })
}

/// The releases as rows: what a person needs to choose one.
pub(super) fn table(rows: &[(&Record, String)], workspace: &Workspace, now: SystemTime) -> Table {
    let columns = [
        "#", "release", "age", "sha", "author", "versions", "schema", "status",
    ];
    let mut table = Table::new("", &columns);
    for (record, standing) in rows {
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
        table.row([
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
        ]);
    }
    table
}

/// `3h`, `2 days`: one unit is enough to find a release by.
pub(super) fn age(created_at: &str, now: SystemTime) -> String {
    let Ok(then) = humantime::parse_rfc3339(created_at) else {
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
