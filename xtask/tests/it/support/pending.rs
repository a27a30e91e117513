//! What is pending in the database, as `migrate status` tells it and as the real wrangler does.

#![expect(
    clippy::disallowed_methods,
    reason = "wrangler itself is asked what it thinks is pending"
)]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::{ACCOUNT, World};

/// Writes the folder of migrations into the config, so that wrangler finds it.
#[track_caller]
pub fn tell_wrangler(world: &World) {
    let name = "database_name = \"small-db\"\n";
    let known = format!("{name}migrations_dir = \"../../migrations\"\n");
    world.replace("workers/site/wrangler.toml", name, &known);
}

/// File → state, as `status` reports them.
#[track_caller]
pub fn states(world: &World, exit: i32) -> Vec<(String, String)> {
    let run = world
        .run(["migrate", "status", "--format", "json"])
        .exits(exit);
    let report = run.json();
    let rows = report["tables"][0]["rows"].as_array().cloned();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    rows.unwrap_or_default()
        .iter()
        .map(|row| (text(row, "file"), text(row, "state")))
        .collect()
}

/// What the real wrangler lists as not applied.
#[track_caller]
fn wrangler_pending(world: &World) -> BTreeSet<String> {
    let said = wrangler(world, &["d1", "migrations", "list", "small-db", "--remote"]);
    let words = said.split(|c: char| !(c.is_ascii_alphanumeric() || "_.-/".contains(c)));
    words
        .filter(|word| word.ends_with(".sql"))
        .map(str::to_owned)
        .collect()
}

/// Runs the real wrangler for the site; what it prints.
#[track_caller]
pub fn wrangler(world: &World, arguments: &[&str]) -> String {
    let site = world.root().join("workers/site");
    let output = Command::new(world.root().join("node_modules/.bin/node"))
        .arg(super::node_modules().join("wrangler/bin/wrangler.js"))
        .args(arguments)
        .current_dir(site)
        .env("CLOUDFLARE_API_BASE_URL", world.cloud().api())
        .env("CLOUDFLARE_API_TOKEN", "local-cloud-token")
        .env("CLOUDFLARE_ACCOUNT_ID", ACCOUNT)
        .env("CI", "true")
        .env("NO_COLOR", "1")
        .env("WRANGLER_SEND_METRICS", "false")
        .output()
        .expect("wrangler starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    said
}

/// `status` and wrangler tell the same story.
#[track_caller]
pub fn agree(world: &World, exit: i32) -> Vec<(String, String)> {
    let states = states(world, exit);
    let unapplied = ["pending", "duplicate number", "out of order", "no number"];
    let ours: BTreeSet<String> = states
        .iter()
        .filter(|(file, state)| {
            unapplied.contains(&state.as_str()) && file != "schema.sql" && file != "seed.sql"
        })
        .map(|(file, _)| file.clone())
        .collect();
    assert_eq!(
        wrangler_pending(world),
        ours,
        "left: wrangler, right: {states:?}"
    );
    states
}
