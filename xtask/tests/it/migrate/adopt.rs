//! `baseline` and `rebless`: what the ledger is told by a person.

use serde_json::{Value, json};

use crate::support::pending::agree;

#[test]
fn a_database_that_predates_the_ledger_is_adopted_not_guessed_at() {
    let world = crate::migrate::world();
    world.run(["migrate", "baseline"]).exits(2).says("is empty");
    world.query("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)");
    world.query("CREATE TABLE tags (name TEXT PRIMARY KEY)");
    world.query("INSERT INTO tags VALUES ('kept')");
    world.edit("migrations/0002_new.sql", "CREATE TABLE fresh (x);\n");
    world.commit("a migration the database has not had");
    world
        .run(["migrate", "up"])
        .exits(2)
        .says("the database has tables, but no ledger of migrations")
        .says("cargo xtask migrate baseline");
    world
        .run(["deploy"])
        .exits(2)
        .says("no ledger of migrations");
    world
        .run(["migrate", "status"])
        .exits(1)
        .says("migrate baseline");

    let before = world.query("SELECT name FROM sqlite_master ORDER BY name");
    world
        .run(["migrate", "baseline", "--to", "1", "--dry-run"])
        .exits(0);
    assert_eq!(
        world.query("SELECT name FROM sqlite_master ORDER BY name"),
        before
    );
    world.run(["migrate", "baseline", "--to", "1"]).exits(0);
    let found = agree(&world, 0);
    let words: Vec<&str> = found.iter().map(|(_, state)| state.as_str()).collect();
    assert_eq!(
        words,
        ["applied", "applied", "pending", "pending"],
        "{found:?}"
    );
    world.run(["migrate", "up"]).exits(0);
    agree(&world, 0);
    assert_eq!(
        world.query("SELECT name FROM tags"),
        [json!({"name": "kept"})]
    );
    assert_eq!(
        world
            .query("SELECT name FROM pragma_table_info('fresh')")
            .len(),
        1
    );
    let run = world.run(["migrate", "--baseline"]).exits(0);
    assert!(
        run.stderr.contains("the ledger knows every file already"),
        "{run}"
    );
}

#[test]
fn an_intended_edit_is_recorded_with_its_reason() {
    let world = crate::migrate::world();
    world.run(["migrate", "up"]).exits(0);
    let text = world.read("migrations/0001_tags.sql");
    world.edit(
        "migrations/0001_tags.sql",
        &format!("-- a better comment\n{text}"),
    );
    world.run(["migrate", "up"]).exits(2).says("was edited");
    assert_eq!(agree(&world, 1)[1].1, "edited");
    let file = "migrations/0001_tags.sql";
    world
        .run(["migrate", "rebless", file, "--reason", " "])
        .exits(2)
        .says("the reason is empty");
    world
        .run(["migrate", "rebless", "0009_x.sql", "--reason", "x"])
        .exits(2)
        .says("there is no migration");
    let dry = [
        "migrate",
        "rebless",
        file,
        "--reason",
        "it's a comment",
        "--dry-run",
    ];
    world.run(dry).exits(0);
    world.run(["migrate", "up"]).exits(2);
    world
        .run(["migrate", "rebless", file, "--reason", "it's a comment"])
        .exits(0);
    assert_eq!(agree(&world, 0)[1].1, "applied");
    world
        .run(["migrate", "up"])
        .exits(0)
        .says("nothing is pending");
    let edits = world.query("SELECT name, reason, by FROM xtask_edits");
    let expected = json!({"name": "0001_tags.sql", "reason": "it's a comment", "by": "tester"});
    assert_eq!(edits, [expected]);
    world
        .run(["migrate", "rebless", file, "--reason", "again"])
        .exits(0)
        .says("is as recorded");
    assert_eq!(world.query("SELECT id FROM xtask_edits").len(), 1);
    assert_eq!(
        world.query("SELECT * FROM xtask_lease"),
        Vec::<Value>::new()
    );
}
