//! Which SQL files a database still needs, by its ledger: wrangler's own table says which were applied, ours with
//! which content. Planning is pure; files are read in `gather`.

mod files;
pub mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde_json::Value;

pub use self::files::{compare, gather, list};
use crate::error::Fail;
use crate::ledger::{Database, TABLES_SQL, identifier, is_own_table, literal, names};

const HASHES_SQL: &str = "SELECT name, hash, release, applied_at FROM xtask_migrations";

/// One SQL file of the repo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlFile {
    /// The file's path below the folder of the migrations, as wrangler records it; the name of a baseline or a seed.
    pub name: String,
    /// Where it is, from the repo's root, for messages.
    pub path: String,
    /// Its text, with LF line ends.
    pub sql: String,
    /// The hash of the text.
    pub hash: String,
}

/// The SQL files of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// `schema.sql`.
    pub baseline: Option<SqlFile>,
    /// `NNNN_name.sql` or `NNNN_name/migration.sql`, in order.
    pub migrations: Vec<SqlFile>,
    /// `seed.sql`.
    pub seed: Option<SqlFile>,
    /// Migrations that another database has applied, production's for its preview: their order is settled, whatever they
    /// are called.
    pub history: BTreeSet<String>,
    /// The table wrangler records applied migrations in.
    pub table: String,
}

/// What a database says it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The names in wrangler's own table, in the order they were applied.
    pub applied: Vec<String>,
    /// Our own rows: name → hash.
    pub hashes: BTreeMap<String, String>,
    /// Our own rows: name → the release that applied it, and when.
    pub releases: BTreeMap<String, (String, String)>,
    /// True when the database has tables besides the ledgers.
    pub has_tables: bool,
    /// True when the pipeline's own tables exist.
    pub has_ledger: bool,
}

/// One request that brings the database forward: a file and its ledger rows, atomically.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apply {
    /// `baseline`, `migration` or `seed`.
    pub kind: &'static str,
    /// The file.
    pub name: String,
    /// The file's text, ended.
    pub sql: String,
    /// What records it.
    pub ledger: String,
}

impl Apply {
    /// The whole request, with what is to be asked in front of the file and behind it.
    pub fn request(&self, before: &str, after: &str) -> String {
        format!("{before}{}{after}\n{}", self.sql, self.ledger)
    }
}

impl Files {
    /// The file that an [`Apply`] is made from.
    pub fn of(&self, apply: &Apply) -> Option<&SqlFile> {
        match apply.kind {
            "baseline" => self.baseline.as_ref(),
            "seed" => self.seed.as_ref(),
            _ => self.migrations.iter().find(|file| file.name == apply.name),
        }
    }
}

/// Reads the ledger of a database; one that has none yet has an empty one.
pub fn read_ledger(database: &Database) -> anyhow::Result<Ledger> {
    // One request in the usual case; a database without the tables refuses it and is asked step by step.
    let applied_sql = database.applied_sql();
    let all = format!("{TABLES_SQL};\n{applied_sql};\n{HASHES_SQL}");
    if let Some(sets) = database.read_each(&all)?
        && let [tables, applied, hashes] = sets.as_slice()
    {
        return Ok(ledger(database, &names(tables), applied, hashes));
    }
    let tables = database.tables()?;
    let rows = |table: &str, sql: &str| match tables.contains(table) {
        true => database.read(sql),
        false => Ok(Vec::new()),
    };
    let applied = rows(&database.table, &applied_sql)?;
    let hashes = rows("xtask_migrations", HASHES_SQL)?;
    Ok(ledger(database, &tables, &applied, &hashes))
}

fn ledger(
    database: &Database,
    tables: &BTreeSet<String>,
    applied: &[Value],
    hashes: &[Value],
) -> Ledger {
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    Ledger {
        applied: applied.iter().map(|row| text(row, "name")).collect(),
        hashes: hashes
            .iter()
            .map(|row| (text(row, "name"), text(row, "hash")))
            .collect(),
        releases: hashes
            .iter()
            .map(|row| {
                let by = (text(row, "release"), text(row, "applied_at"));
                (text(row, "name"), by)
            })
            .collect(),
        has_tables: tables
            .iter()
            .any(|name| !is_own_table(name, &database.table)),
        has_ledger: ["xtask_lease", "xtask_releases", "xtask_migrations"]
            .iter()
            .chain([&database.table.as_str()])
            .all(|name| tables.contains(*name)),
    }
}

impl Ledger {
    /// True for a database in use that no ledger knows: which files it has had nobody can tell.
    pub fn predates(&self) -> bool {
        self.has_tables && self.applied.is_empty() && self.hashes.is_empty()
    }
}

/// What is still to be applied, in order. Refuses everything that would make ledger and schema disagree.
pub fn pending(
    files: &Files,
    ledger: &Ledger,
    release: &str,
    now: SystemTime,
) -> Result<Vec<Apply>, Fail> {
    refuse(files, ledger)?;
    if ledger.predates() && !(files.migrations.is_empty() && files.baseline.is_none()) {
        return Err(Fail::setup("the database has tables, but no ledger of migrations")
            .why("which of the files it has had already nobody can tell: applying them again may fail half-way")
            .fix("cargo xtask migrate baseline   (records the files as applied, without running them)")
            .fix("cargo xtask migrate baseline --to 0   (when it has had none of them)"));
    }
    let stamp = humantime::format_rfc3339_seconds(now).to_string();
    let mut todo = Vec::new();
    let fresh = !ledger.has_tables && ledger.applied.is_empty();
    if let Some(baseline) = files.baseline.as_ref().filter(|_| fresh) {
        todo.push(apply("baseline", baseline, files, release, &stamp));
    }
    let applied: BTreeSet<&str> = ledger.applied.iter().map(String::as_str).collect();
    for file in files
        .migrations
        .iter()
        .filter(|file| !applied.contains(file.name.as_str()))
    {
        todo.push(apply("migration", file, files, release, &stamp));
    }
    if let Some(seed) = files
        .seed
        .as_ref()
        .filter(|seed| ledger.hashes.get(&seed.name) != Some(&seed.hash))
    {
        todo.push(apply("seed", seed, files, release, &stamp));
    }
    Ok(todo)
}

fn apply(kind: &'static str, file: &SqlFile, files: &Files, release: &str, stamp: &str) -> Apply {
    let mut sql = file.sql.trim_end().to_owned();
    if !sql.ends_with(';') {
        // On a line of its own: the file may end in a comment.
        sql.push_str("\n;");
    }
    let mut ledger = String::new();
    if kind == "migration" {
        ledger.push_str(&format!(
            "INSERT INTO {} (name) VALUES ({});\n",
            identifier(&files.table),
            literal(&file.name)
        ));
    }
    ledger.push_str(&format!(
        "INSERT INTO xtask_migrations (name, kind, hash, release, applied_at) VALUES ({}, {}, {}, {}, {}) \
         ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, release = excluded.release, applied_at = excluded.applied_at;",
        literal(&file.name), literal(kind), literal(&file.hash), literal(release), literal(stamp)
    ));
    Apply {
        kind,
        name: file.name.clone(),
        sql,
        ledger,
    }
}

fn refuse(all: &Files, ledger: &Ledger) -> Result<(), Fail> {
    let other = [&all.baseline, &all.seed];
    let is_other = |name: &str| {
        other
            .iter()
            .any(|file| file.as_ref().is_some_and(|file| file.name == name))
    };
    let files = &all.migrations;
    refuse_doubtful_names(all, ledger)?;
    for name in &ledger.applied {
        let Some(file) = files.iter().find(|file| file.name == *name) else {
            if is_other(name) {
                continue;
            }
            return Err(Fail::setup(format!("the applied migration `{name}` is missing"))
                .why("the database has it, the repo does not: this checkout is too old, or the file was deleted")
                .fix("git pull   (or restore the file from git history)"));
        };
        if ledger
            .hashes
            .get(name)
            .is_some_and(|hash| *hash != file.hash)
        {
            return Err(Fail::setup(format!("the applied migration `{name}` was edited"))
                .why("its content differs from what the database's ledger says was applied")
                .fix("restore the file from git history, and put the change into a new migration"));
        }
    }
    let newest_applied = ledger.applied.iter().filter_map(|name| number(name)).max();
    let late = files.iter().find(|file| {
        !ledger.applied.contains(&file.name)
            && number(&file.name).is_some_and(|number| Some(number) < newest_applied)
    });
    if let Some(file) = late {
        return Err(Fail::setup(format!(
            "the new migration `{}` is numbered before an applied one",
            file.name
        ))
        .why(format!(
            "number {} is already applied: databases would differ in their order",
            newest_applied.unwrap_or(0)
        ))
        .fix("give it the next free number"));
    }
    Ok(())
}

/// Refuses a new file whose name leaves its place in doubt. Files that are settled keep the place they have.
fn refuse_doubtful_names(files: &Files, ledger: &Ledger) -> Result<(), Fail> {
    let is_settled = |name: &str| {
        files.history.contains(name) || ledger.applied.iter().any(|applied| applied == name)
    };
    let mut by_number: BTreeMap<u64, &str> = BTreeMap::new();
    for file in &files.migrations {
        let Some(number) = number(&file.name) else {
            if is_settled(&file.name) {
                continue;
            }
            return Err(
                Fail::setup(format!("the migration `{}` has no number", file.name))
                    .why("migrations are applied in the order of the number their name starts with")
                    .fix("rename it to NNNN_name.sql, or move it out of the migrations folder"),
            );
        };
        if let Some(other) = by_number.insert(number, &file.name)
            && !(is_settled(other) && is_settled(&file.name))
        {
            return Err(
                Fail::setup(format!("two migrations have the number {number}"))
                    .why(format!(
                        "`{other}` and `{}`: their order would be a guess",
                        file.name
                    ))
                    .fix("give the newer one the next free number"),
            );
        }
    }
    Ok(())
}

/// Pairs of settled files with one number: their order is wrangler's, by name.
pub fn shared_numbers(files: &Files) -> Vec<String> {
    let pairs = files.migrations.windows(2);
    let shared = pairs.filter(|pair| {
        let first = number(&pair[0].name);
        first.is_some() && first == number(&pair[1].name)
    });
    shared
        .map(|pair| {
            format!(
                "`{}` and `{}` have one number: they are applied in the order of their names",
                pair[0].path, pair[1].name
            )
        })
        .collect()
}

/// The number a file's name starts with.
pub fn number(name: &str) -> Option<u64> {
    let digits = name.len() - name.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    name[..digits].parse().ok()
}
