//! Databases that go back with the workers: to which restore point, and what must outlive it.
//!
//! Time travel takes a whole database back, and in the first one that is also what the pipeline knows: `ledger::restore`
//! sees to it that this is not lost.

use std::time::SystemTime;

use anyhow::Context as _;

use crate::context::Ctx;
use crate::error::Fail;
use crate::ledger::{Database, aside, lease, literal};
use crate::stages::rollback::facts::Rollback;
use crate::stages::rollback::history::shown;
use crate::stages::rollback::list::age;

/// One database, and where it goes.
#[derive(Clone)]
pub struct Restore {
    /// The database.
    pub database: Database,
    /// The bookmark it goes back to.
    pub bookmark: String,
    /// When the first migration since was applied: what was written after that is lost.
    pub since: String,
}

/// The restore point of every database whose schema is newer than the target's.
pub fn find(rollback: &Rollback<'_>) -> anyhow::Result<Vec<Restore>> {
    let mut restores = Vec::new();
    for (name, gap) in &rollback.gaps {
        let Some(first) = gap.since.first() else {
            continue;
        };
        let databases = &rollback.workspace.pipeline.databases;
        let (config, id) = databases
            .iter()
            .filter(|database| database.name == *name)
            .find_map(|database| Some((database, database.id.as_ref()?)))
            .with_context(|| format!("the database {name} has no id"))?;
        let database = Database::of(&rollback.target.cloudflare, config, id);
        let sql = format!(
            "SELECT applied_at FROM xtask_migrations WHERE name = {}",
            literal(first)
        );
        let rows = database.read(&sql)?;
        let since = rows.first().and_then(|row| row["applied_at"].as_str());
        let bookmark = match (recorded(rollback, name, first), since) {
            (Some(bookmark), _) => bookmark,
            // A release that failed before it was recorded applied it; its time is in the ledger all the same.
            (None, Some(since)) => database.bookmark_at(since)?,
            (None, None) => {
                return Err(Fail::setup(format!(
                    "{name} has no restore point from before {first}"
                ))
                .why("no record and no ledger row says when it was applied")
                .fix(format!(
                    "npx wrangler d1 time-travel info {name}   (find the point in time yourself)"
                ))
                .into());
            }
        };
        restores.push(Restore {
            database,
            bookmark,
            since: since.unwrap_or("an unknown time").to_owned(),
        });
    }
    Ok(restores)
}

/// The restore point on record of the newest release that applied a migration.
fn recorded(rollback: &Rollback<'_>, database: &str, migration: &str) -> Option<String> {
    let applied = rollback.records.iter().rev().find(|record| {
        record.migrations.contains_key(migration)
            && (record.restore_points.contains_key(database) || record.bookmark.is_some())
    })?;
    let own = applied.restore_points.get(database).cloned();
    own.or_else(|| {
        // Records of earlier pipelines know one restore point: that of the first database.
        let first = rollback.database.name == database;
        applied.bookmark.clone().filter(|_| first)
    })
}

impl Rollback<'_> {
    /// Shows what a restore loses, and asks.
    pub fn confirm(&self) -> anyhow::Result<()> {
        if self.restores.is_empty() {
            return Ok(());
        }
        for line in self.window() {
            self.ctx.ui.warn(&line);
        }
        if self.options.yes {
            return Ok(());
        }
        let question = format!(
            "restore, and roll back to the release {}? [yes/no]",
            shown(&self.goal.target)
        );
        match self.ctx.ui.ask(&question).as_deref() {
            Some("yes" | "y") => Ok(()),
            Some(_) => Err(Fail::setup("the rollback was not confirmed")
                .why("nothing was changed")
                .fix("answer `yes`, or leave `--restore-db` out")
                .into()),
            None => Err(Fail::setup("a restore has to be confirmed")
                .why(self.window().join("\n"))
                .fix("add `--yes` where nobody can be asked")
                .into()),
        }
    }

    /// What is lost, database by database.
    pub(super) fn window(&self) -> Vec<String> {
        let line =
            |restore: &Restore| lost(&restore.database.name, &restore.since, SystemTime::now());
        self.restores.iter().map(line).collect()
    }
}

/// What a database loses that goes back, with how long that is.
pub(super) fn lost(database: &str, since: &str, now: SystemTime) -> String {
    let ago = match age(since, now).as_str() {
        "-" => String::new(),
        age => format!(", {age} ago"),
    };
    format!(
        "{database} goes back to its state of {since}{ago}: everything written to it since then is lost"
    )
}

/// Takes a database back and puts the pipeline's own rows into it again.
pub fn restore(ctx: &Ctx, ledger: &Ledger<'_>, restore: &Restore) -> anyhow::Result<()> {
    let restored =
        crate::ledger::restore::restore(&ctx.state(), &restore.database, &restore.bookmark)?;
    for warning in &restored.warnings {
        ctx.ui.warn(warning);
    }
    match restore.database.id == ledger.database.id {
        true => lease::reclaim(ledger.database, ledger.holder, ledger.lease_expiry),
        false => Ok(()),
    }
}

/// Writes what must outlive the restore of the first database into it again.
pub fn keep_ledger(ctx: &Ctx, ledger: &Ledger<'_>) -> anyhow::Result<()> {
    if let Some(warning) = aside::settle(&ctx.state(), ledger.database)? {
        ctx.ui.warn(&warning);
    }
    lease::reclaim(ledger.database, ledger.holder, ledger.lease_expiry)
}

/// What of the first database must outlive its restore, beside the records.
pub struct Ledger<'a> {
    /// The first database.
    pub database: &'a Database,
    /// Who has the lease.
    pub holder: &'a lease::Holder,
    /// How long it lasts.
    pub lease_expiry: std::time::Duration,
}
