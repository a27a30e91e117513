//! Brings a database forward, for `migrate` and `deploy` alike: what is pending, behind a restore point, file by file.

mod apply;

use std::collections::BTreeMap;

pub use self::apply::{Migrator, plan};
use crate::error::Fail;
use crate::ledger::{Database, restore};
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
    /// File → what it was allowed to lose, with the counts before it.
    pub losses: BTreeMap<String, Vec<String>>,
    /// What a reader should know.
    pub warnings: Vec<String>,
}

impl Done {
    /// Takes every database that a file was applied to back to its restore point, and says what was done.
    pub fn restore<'a>(
        &mut self,
        databases: impl Iterator<Item = &'a Database>,
    ) -> anyhow::Result<()> {
        for database in databases {
            let Some(bookmark) = self.restore_points.get(&database.name) else {
                continue;
            };
            let Some(files) = self.files.remove(&database.name) else {
                continue;
            };
            let undo = restore::restore(database, bookmark)?;
            self.applied.retain(|name, _| !files.contains(name));
            self.warnings.push(format!(
                "{} was taken back to before {}; what was written to it since then is undone, too ({})",
                database.name,
                files[0],
                restore::command(&database.name, &undo)
            ));
        }
        Ok(())
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
