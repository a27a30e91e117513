//! What must be the same before and after: what serves each worker, what calls it, and every row of every table.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::World;

pub const SCRIPTS: [&str; 3] = ["small-site", "small-agent", "small-api"];
pub const SITE: &str = "workers/site/index.js";
pub const SITE_CONFIG: &str = "workers/site/wrangler.toml";
pub const API: &str = "workers/api/index.js";

/// What the public has in front of it.
#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Live {
    pub splits: Vec<Vec<(String, u64)>>,
    pub crons: Value,
}

#[track_caller]
pub fn live(world: &World) -> Live {
    Live {
        splits: SCRIPTS.iter().map(|script| world.split(script)).collect(),
        crons: crons(world),
    }
}

#[track_caller]
pub fn crons(world: &World) -> Value {
    let path = "/workers/scripts/small-site/schedules";
    let answer = world.cloud().result("GET", path, None);
    let listed = answer["schedules"].as_array().cloned().unwrap_or_default();
    listed.iter().map(|cron| cron["cron"].clone()).collect()
}

/// Every row of every table that is not the pipeline's own record or lease, and every table's definition.
#[track_caller]
pub fn rows(world: &World) -> BTreeMap<String, Vec<Value>> {
    let sql = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' \
               AND name NOT LIKE '_cf%' AND name NOT IN ('xtask_lease', 'xtask_releases') ORDER BY name";
    let tables = world.query(sql);
    let mut rows = BTreeMap::new();
    for table in &tables {
        let name = table["name"].as_str().expect("a name");
        rows.insert(
            name.to_owned(),
            world.query(&format!("SELECT rowid, * FROM \"{name}\" ORDER BY rowid")),
        );
    }
    rows.insert("sqlite_master".to_owned(), tables);
    rows
}

/// The records, oldest first.
#[track_caller]
pub fn records(world: &World) -> Vec<Value> {
    let rows = world.query("SELECT record FROM xtask_releases ORDER BY number");
    rows.iter()
        .map(|row| serde_json::from_str(row["record"].as_str().expect("a text")).expect("JSON"))
        .collect()
}

/// `live`, `rolled-back`, …, oldest first.
#[track_caller]
pub fn statuses(world: &World) -> Vec<String> {
    let text = |record: &Value| record["status"].as_str().unwrap_or_default().to_owned();
    records(world).iter().map(text).collect()
}

/// The requests that change anything, the pipeline's own SQL apart.
#[track_caller]
pub fn writes(world: &World) -> Vec<String> {
    let all = world.requests().into_iter();
    all.filter(|line| !line.starts_with("GET ") && !line.ends_with("/query"))
        .collect()
}

/// Code that is healthy only for who names a version.
pub fn ill_in_public(code: &str) -> String {
    const HEALTH: &str = "if (pathname === \"/health\") {";
    let ill = "if (pathname === \"/health\" && !request.headers.has(\"cloudflare-workers-version-overrides\"))\n\
               return new Response(\"not in public\", { status: 503 });\n";
    assert!(code.contains(HEALTH), "the site no longer says {HEALTH:?}");
    code.replacen(HEALTH, &format!("{ill}{HEALTH}"), 1)
}
