//! Release records: what went live when, from which commit, in which versions. Kept in the database and, as JSON, in
//! `.xtask/releases/`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ledger::Database;
use crate::live::Triggers;

/// How a release ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It serves, or served until a later one did.
    Live,
    /// It failed and what served before was put back.
    RolledBack,
    /// It failed and could not be put back completely.
    Partial,
}

/// One release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The release id: the tag of the versions that were uploaded for it.
    pub id: String,
    /// Counts up by one from release to release.
    pub number: u64,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// The commit.
    pub sha: String,
    /// The commit's author.
    pub author: String,
    /// How it ended.
    pub status: Status,
    /// Script name → the version that serves as part of this release, for all workers.
    pub versions: BTreeMap<String, String>,
    /// Script name → the version that served before.
    pub previous: BTreeMap<String, String>,
    /// The restore point taken before the first migration.
    pub bookmark: Option<String>,
    /// Migration name → hash, as applied by this release.
    pub migrations: BTreeMap<String, String>,
    /// Migration → what it was allowed to lose, with the counts of the day.
    #[serde(default)]
    pub losses: BTreeMap<String, Vec<String>>,
    /// Script name → names of its secrets.
    pub secrets: BTreeMap<String, Vec<String>>,
    /// Script name → content digest.
    pub digests: BTreeMap<String, String>,
    /// The first line of the commit's message.
    #[serde(default)]
    pub subject: String,
    /// Who ran it: `name@host pid 123`.
    #[serde(default)]
    pub by: String,
    /// The CI run, when there was one.
    #[serde(default)]
    pub run_url: Option<String>,
    /// Script name → what calls it as part of this release.
    #[serde(default)]
    pub triggers: BTreeMap<String, Triggers>,
    /// Database → every migration it had when this release was made, in the order they were applied: the schema level.
    /// Empty in records of earlier pipelines.
    #[serde(default)]
    pub schema: BTreeMap<String, Vec<String>>,
    /// Database → its restore point, for each that this release migrated.
    #[serde(default)]
    pub restore_points: BTreeMap<String, String>,
    /// What failed, when the release did.
    #[serde(default)]
    pub failed: Vec<String>,
    /// Set when this release is a rollback.
    #[serde(default)]
    pub rollback: Option<Rollback>,
}

/// Where a rollback came from and went to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// The release whose versions serve again.
    pub to: String,
    /// The release that served before; empty when what served was no recorded release.
    pub from: String,
    /// The scripts it was about; empty: all.
    pub only: Vec<String>,
    /// Database → the bookmark that undoes its restore, for databases that were restored.
    pub undo: BTreeMap<String, String>,
}

/// The newest record with the status `live`.
pub fn last_live(database: &Database) -> anyhow::Result<Option<Record>> {
    let sql =
        "SELECT record FROM xtask_releases WHERE status = 'live' ORDER BY number DESC LIMIT 1";
    let rows = database.read(sql)?;
    // A record a later version of the pipeline wrote may not be readable; the deploy then goes by what is live.
    Ok(rows
        .first()
        .and_then(|row| serde_json::from_str(row["record"].as_str()?).ok()))
}

/// The newest records, oldest first: as many as there can be versions of a worker that Cloudflare still deploys.
pub fn all(database: &Database) -> anyhow::Result<Vec<Record>> {
    Ok(read(&database.read(ALL_SQL)?))
}

/// Selects the newest records.
pub const ALL_SQL: &str = "SELECT record FROM xtask_releases ORDER BY number DESC LIMIT 200";

/// The records in rows of [`ALL_SQL`], oldest first. One that a later version of the pipeline wrote may not be readable.
pub fn read(rows: &[serde_json::Value]) -> Vec<Record> {
    let read = |row: &serde_json::Value| serde_json::from_str(row["record"].as_str()?).ok();
    rows.iter().rev().filter_map(read).collect()
}

/// The number the next release gets.
pub fn next_number(database: &Database) -> anyhow::Result<u64> {
    let rows = database.read("SELECT COALESCE(MAX(number), 0) + 1 AS next FROM xtask_releases")?;
    Ok(rows
        .first()
        .and_then(|row| row["next"].as_u64())
        .unwrap_or(1))
}

/// Writes a record to the database; one with the same id is replaced.
pub fn save(database: &Database, record: &Record) -> anyhow::Result<()> {
    let sql = "INSERT INTO xtask_releases (id, number, created_at, sha, author, status, record) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET number = excluded.number, \
               created_at = excluded.created_at, status = excluded.status, record = excluded.record";
    let status = json!(record.status);
    let text = serde_json::to_string(record)?;
    let params = [
        json!(record.id),
        json!(record.number),
        json!(record.created_at),
        json!(record.sha),
        json!(record.author),
        status,
        json!(text),
    ];
    database.write(sql, &params).map(drop)
}

/// Writes a record as JSON below `.xtask/releases/`.
pub fn save_file(root: &Path, record: &Record) -> anyhow::Result<()> {
    let folder = root.join(".xtask/releases");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("failed to make {}", folder.display()))?;
    let path = folder.join(format!("{}.json", record.id));
    let text = serde_json::to_string_pretty(record)?;
    std::fs::write(&path, text + "\n")
        .with_context(|| format!("failed to write {}", path.display()))
}
