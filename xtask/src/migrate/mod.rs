//! Brings a database forward, for `migrate` and `deploy` alike: what is pending, behind a restore point, file by file.

mod apply;
mod before;
pub(crate) mod rehearsal;

use std::collections::BTreeMap;
use std::path::Path;

pub use self::apply::{Migrator, plan};
pub use self::before::{Subject, TriedOut};
use self::rehearsal::{Guard, Rehearsal, counts_sql, thousands};
use crate::error::Fail;
use crate::ledger::{Database, restore};
use crate::report::Table;
use crate::run::Outcome;

/// What a run has done to its databases so far.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Every step that was run.
    pub outcome: Option<Outcome>,
    /// Database → the bookmark taken before its first statement.
    pub restore_points: BTreeMap<String, String>,
    /// File → its kind, for all that were applied.
    pub applied: BTreeMap<String, &'static str>,
    /// Database → files that were applied to it, in order.
    pub files: BTreeMap<String, Vec<String>>,
    /// Database → the migrations it has; known once all are applied.
    pub schema: BTreeMap<String, Vec<String>>,
    /// File → what it was allowed to lose, and how many rows the tables around that had before and after it.
    pub losses: BTreeMap<String, Vec<String>>,
    /// What a reader should know.
    pub warnings: Vec<String>,
    /// Database → what its rehearsal found.
    pub(crate) rehearsals: BTreeMap<String, Rehearsal>,
    /// What was counted: file, table, rows before and after.
    counted: Vec<[String; 4]>,
}

impl Done {
    /// Takes every database that a file was applied to back to its restore point, and says what was done.
    pub fn restore<'a>(
        &mut self,
        state: &Path,
        databases: impl Iterator<Item = &'a Database>,
    ) -> anyhow::Result<()> {
        for database in databases {
            let Some(bookmark) = self.restore_points.get(&database.name) else {
                continue;
            };
            let Some(files) = self.files.remove(&database.name) else {
                continue;
            };
            let restored = restore::restore(state, database, bookmark)?;
            self.warnings.extend(restored.warnings);
            self.applied.retain(|name, _| !files.contains(name));
            self.warnings.push(format!(
                "{} was taken back to before {}; what was written to it since then is undone, too ({})",
                database.name,
                files[0],
                restore::command(&database.name, &restored.undo)
            ));
        }
        Ok(())
    }

    /// What is sent around the files of a database.
    fn guards(&self, database: &str) -> BTreeMap<String, Guard> {
        let rehearsal = self.rehearsals.get(database);
        rehearsal
            .map(|found| found.guards.clone())
            .unwrap_or_default()
    }

    /// Takes down what the applied files were allowed to lose, and what was counted around them.
    fn note_losses(&mut self, database: &Database) -> anyhow::Result<()> {
        let (Some(found), Some(files)) = (
            self.rehearsals.get(&database.name),
            self.files.get(&database.name),
        ) else {
            return Ok(());
        };
        for file in files {
            if let Some(lines) = found.losses.get(file) {
                self.warnings.extend(lines.iter().cloned());
                self.losses.insert(file.clone(), lines.clone());
            }
        }
        let counted = files.iter().filter(|file| found.guards.contains_key(*file));
        let counted: Vec<&str> = counted.map(String::as_str).collect();
        if counted.is_empty() {
            return Ok(());
        }
        for row in database.read(&counts_sql(&counted))? {
            let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
            let number = |field: &str| thousands(row[field].as_u64().unwrap_or(0));
            let (file, table) = (text("file"), text("table"));
            let (before, after) = (number("rows_before"), number("rows_after"));
            let line = format!("{table}: {before} rows before, {after} after");
            self.losses.entry(file.clone()).or_default().push(line);
            self.counted.push([file, table, before, after]);
        }
        Ok(())
    }

    /// What was counted, for the report.
    pub fn table(&self) -> Option<Table> {
        let mut table = Table::new("rows", &["file", "table", "before", "after"]);
        for [file, name, before, after] in &self.counted {
            table.row([file, name, before, after]);
        }
        (!self.counted.is_empty()).then_some(table)
    }

    /// Adds what was applied before a failure, and the way back, to the failure's text.
    fn explain(&self, database: &str, fail: Fail) -> Fail {
        let Some(bookmark) = self.restore_points.get(database) else {
            return fail;
        };
        let files = self.files.get(database).map_or(&[][..], Vec::as_slice);
        if files.is_empty() {
            return fail.why(format!(
                "nothing was applied to {database}: each file is applied whole or not at all"
            ));
        }
        fail.why(format!(
            "applied to {database} before it, and still there: {}",
            files.join(", ")
        ))
        .fix("correct the file and run the command again: it goes on where it stopped")
        .fix(format!(
            "{}   (the database as it was before; what was written since is lost)",
            restore::command(database, bookmark)
        ))
    }
}
