//! `deploy` and the database: one release at a time, and migrations that are applied once and in order.
#![cfg(unix)]

use crate::support::{Running, World};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

#[track_caller]
fn lease(world: &World, holder: &str, seconds: i64) {
    world.query(&format!(
        "INSERT OR REPLACE INTO xtask_lease (name, token, holder, run_url, acquired_at, expires_at) VALUES \
         ('deploy', 'another', '{holder}', NULL, '2026-11-23T12:00:00Z', unixepoch() + {seconds})"
    ));
}

#[test]
fn one_release_at_a_time() {
    let world = World::deployed().with_stand_in();
    world.change("workers/api/index.js");
    let serving = world.serving("small-api");

    // This very process is alive.
    lease(
        &world,
        &format!("tester@testhost pid {}", std::process::id()),
        300,
    );
    let state = world.cloud_state();
    let run = world
        .run(["deploy"])
        .exits(3)
        .says("another deploy is running")
        .says("--steal-lock");
    assert_eq!(world.cloud_state(), state, "{run}");
    assert_eq!(world.serving("small-api"), serving);
    assert_eq!(
        world.query("SELECT token FROM xtask_lease")[0]["token"],
        "another"
    );

    // On another machine nobody can tell, and whoever wrote no process id may be stolen from, too.
    for holder in ["bob@elsewhere pid 4194999", "somebody by hand"] {
        lease(&world, holder, 300);
        world.run(["deploy"]).exits(3).says(holder);
    }
    let only_api = ["deploy", "--only", "api", "--steal-lock"];
    world
        .run(only_api)
        .exits(0)
        .says("took the deploy lease over from somebody by hand (--steal-lock)");
    assert_ne!(world.serving("small-api"), serving);
    assert_eq!(
        world.query("SELECT * FROM xtask_lease"),
        Vec::<Value>::new()
    );

    // A dead process of this machine, and a lease that has run out.
    lease(&world, "tester@testhost pid 4194999", 300);
    world
        .run(["deploy", "--only", "api"])
        .exits(0)
        .says("took the deploy lease over from tester@testhost pid 4194999 (its process is gone)");
    lease(&world, "bob@elsewhere pid 7", -1);
    world.run(["deploy", "--only", "api"]).exits(0);
    assert_eq!(
        world.query("SELECT * FROM xtask_lease"),
        Vec::<Value>::new()
    );
}

/// Deploys, which must refuse before anything has changed, and say why.
#[track_caller]
fn refuses(world: &World, expected: Expect) {
    world.commit("a mistake");
    let tables = "SELECT name, sql FROM sqlite_master ORDER BY name";
    let ledger = "SELECT * FROM xtask_migrations ORDER BY name";
    let before = (
        world.cloud_state(),
        world.query(tables),
        world.query(ledger),
    );
    let run = world.run(["deploy"]).exits(2);
    expected.assert_eq(&world.redact(run.error()));
    let after = (
        world.cloud_state(),
        world.query(tables),
        world.query(ledger),
    );
    assert_eq!(after, before);
}

#[test]
fn migrations_are_applied_once_in_order_and_never_guessed() {
    let world = World::deployed().with_stand_in();
    let first = "migrations/0001_tags.sql";
    let text = world.read(first);

    world.edit(first, "CREATE TABLE tags (name TEXT);\n");
    refuses(
        &world,
        expect![[r#"
        error: the applied migration `0001_tags.sql` was edited
          why: its content differs from what the database's ledger says was applied
          fix: restore the file from git history, and put the change into a new migration"#]],
    );
    world.remove(first);
    refuses(
        &world,
        expect![[r#"
        error: the applied migration `0001_tags.sql` is missing
          why: the database has it, the repo does not: this checkout is too old, or the file was deleted
          fix: git pull   (or restore the file from git history)"#]],
    );
    world.edit(first, &text);
    world.edit("migrations/0000_late.sql", "CREATE TABLE late (x);\n");
    refuses(
        &world,
        expect![[r#"
        error: the new migration `0000_late.sql` is numbered before an applied one
          why: number 1 is already applied: databases would differ in their order
          fix: give it the next free number"#]],
    );
    world.remove("migrations/0000_late.sql");
    world.edit("migrations/0001_twin.sql", "CREATE TABLE twin (x);\n");
    refuses(
        &world,
        expect![[r#"
        error: two migrations have the number 1
          why: `0001_tags.sql` and `0001_twin.sql`: their order would be a guess
          fix: give the newer one the next free number"#]],
    );
    world.remove("migrations/0001_twin.sql");

    pending_ones_are_applied_once(&world, first, &text);
}

#[track_caller]
fn pending_ones_are_applied_once(world: &World, first: &str, text: &str) {
    // A migration that the database refuses leaves nothing behind, and no worker goes live.
    let serving = world.serving("small-api");
    world.change("workers/api/index.js");
    let second = "migrations/0002_colour.sql";
    world.edit(
        second,
        "ALTER TABLE tags ADD COLUMN colour TEXT;\nINSERT INTO nowhere VALUES (1);\n",
    );
    world.commit("half a migration");
    let run = world.run(["deploy", "--only", "api"]);
    assert_ne!(run.status, Some(0), "{run}");
    assert_eq!(columns(world), ["name"], "{run}");
    assert_eq!(world.serving("small-api"), serving, "{run}");

    // Line ends do not count as an edit; a pending migration and a changed seed are applied once.
    world.edit(first, &text.replace('\n', "\r\n"));
    world.edit(second, "ALTER TABLE tags ADD COLUMN colour TEXT;\n");
    world.edit(
        "seed.sql",
        "INSERT OR IGNORE INTO notes (id, text) VALUES (2, 'second note');\n",
    );
    world.commit("a migration");
    // Two at once: whoever comes second finds the lease taken, or nothing left to do.
    let start = || world.start(&["deploy", "--only", "api"]);
    let runs = [start(), start()].map(Running::end);
    let mut codes = [runs[0].status, runs[1].status];
    codes.sort_unstable();
    let [one, two] = &runs;
    let expected = [[Some(0), Some(0)], [Some(0), Some(3)]];
    assert!(expected.contains(&codes), "{one}{two}");
    assert_eq!(columns(world), ["name", "colour"], "{one}{two}");
    world.run(["deploy", "--only", "api"]).exits(0);
    let notes = world.query("SELECT text FROM notes ORDER BY id");
    assert_eq!(
        notes,
        [
            json!({"text": "first note"}),
            json!({"text": "second note"})
        ]
    );
    let applied = world.query("SELECT name FROM d1_migrations ORDER BY id");
    let names: Vec<&Value> = applied.iter().map(|row| &row["name"]).collect();
    assert_eq!(
        names,
        ["0001_tags.sql", "0002_colour.sql"],
        "wrangler's own ledger"
    );
    let ledger = world.query("SELECT name, kind FROM xtask_migrations ORDER BY name");
    assert_eq!(ledger.len(), 4, "{ledger:?}");
}

#[track_caller]
fn columns(world: &World) -> Vec<String> {
    let rows = world.query("SELECT name FROM pragma_table_info('tags')");
    let name = |row: &Value| row["name"].as_str().unwrap_or_default().to_owned();
    rows.iter().map(name).collect()
}
