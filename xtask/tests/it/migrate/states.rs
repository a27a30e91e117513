//! `status`, `up` and `new`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::World;
use crate::support::pending::{agree, states};

#[track_caller]
fn check(found: &[(String, String)], expected: &[(&str, &str)]) {
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(file, state)| (file.as_str(), state.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn status_tells_every_state_and_wrangler_agrees_at_every_point() {
    let world = crate::migrate::world();
    states(&world, 0);
    let tables = world.query("SELECT name FROM sqlite_master");
    check(
        &states(&world, 0),
        &[
            ("schema.sql", "pending"),
            ("0001_tags.sql", "pending"),
            ("seed.sql", "pending"),
        ],
    );
    let after = world.query("SELECT name FROM sqlite_master");
    assert_eq!(after, tables, "status makes no table");
    agree(&world, 0);

    world
        .run(["migrate", "up"])
        .exits(0)
        .says("3 files applied");
    let all = [
        ("schema.sql", "applied"),
        ("0001_tags.sql", "applied"),
        ("seed.sql", "applied"),
    ];
    check(&agree(&world, 0), &all);

    // The same text with other line ends, and with a byte order mark, is the same text.
    let text = world.read("migrations/0001_tags.sql");
    world.edit(
        "migrations/0001_tags.sql",
        &format!("\u{feff}{}", text.replace('\n', "\r\n")),
    );
    check(&agree(&world, 0), &all);
    world.run(["migrate"]).exits(0).says("nothing is pending");

    world.edit("migrations/0001_tags.sql", "CREATE TABLE tags (name);\n");
    world.edit("migrations/0003_c.sql", "CREATE TABLE c (x);\n");
    world.edit("migrations/0004_d.sql", "CREATE TABLE d (x);\n");
    let edited = agree(&world, 1);
    check(
        &edited[1..4],
        &[
            ("0001_tags.sql", "edited"),
            ("0003_c.sql", "pending"),
            ("0004_d.sql", "pending"),
        ],
    );
    world.run(["migrate", "up"]).exits(2).says("was edited");

    world.edit("migrations/0001_tags.sql", &text);
    let plan = world
        .run(["migrate", "up", "--to", "3", "--dry-run"])
        .exits(0);
    assert!(
        plan.stdout.contains("0003_c.sql") && !plan.stdout.contains("0004_d.sql"),
        "{plan}"
    );
    check(&agree(&world, 0)[2..3], &[("0003_c.sql", "pending")]);
    world.run(["migrate", "up", "--to", "3"]).exits(0);
    check(
        &agree(&world, 0)[2..4],
        &[("0003_c.sql", "applied"), ("0004_d.sql", "pending")],
    );

    everything_wrong_is_told(&world);
}

#[track_caller]
fn everything_wrong_is_told(world: &World) {
    world.edit("migrations/0002_late.sql", "CREATE TABLE late (x);\n");
    world.edit("migrations/0004_twin.sql", "CREATE TABLE twin (x);\n");
    world.edit("migrations/nothing.sql", "CREATE TABLE nothing (x);\n");
    world.remove("migrations/0003_c.sql");
    check(
        &agree(world, 1),
        &[
            ("schema.sql", "applied"),
            ("0001_tags.sql", "applied"),
            ("0002_late.sql", "out of order"),
            ("0003_c.sql", "missing"),
            ("0004_d.sql", "duplicate number"),
            ("0004_twin.sql", "duplicate number"),
            ("nothing.sql", "no number"),
            ("seed.sql", "applied"),
        ],
    );
}

#[test]
fn a_new_migration_gets_the_next_number_and_overwrites_nothing() {
    let world = World::without_cloud(&crate::support::repo::small_set());
    let run = world.run(["migrate", "new", "Opening", "hours!"]).exits(0);
    assert_eq!(run.stdout.trim(), "migrations/0002_opening_hours.sql");
    assert!(
        world
            .read("migrations/0002_opening_hours.sql")
            .starts_with("-- Opening hours!\n")
    );
    let before = world.files();
    world.run(["migrate", "new", "again", "--dry-run"]).exits(0);
    assert_eq!(world.files(), before);
    world
        .run(["migrate", "new", "…"])
        .exits(2)
        .says("makes no file name");
    let unknown = ["migrate", "new", "x", "--database", "other"];
    world
        .run(unknown)
        .exits(2)
        .says("there is no database `other`");
}

#[test]
fn a_file_that_fails_leaves_nothing_and_the_way_back_is_named() {
    let world = crate::migrate::world();
    world.run(["migrate", "up"]).exits(0);
    world.edit(
        "migrations/0002_a.sql",
        "CREATE TABLE a (x);\nINSERT INTO a VALUES (1);\n",
    );
    // The rehearsal cannot know it: the third statement fails on what only the live rows hold.
    world.edit(
        "migrations/0003_b.sql",
        "CREATE TABLE b (x);\nINSERT INTO b SELECT json(text) FROM notes;\nINSERT INTO b SELECT json(text) || 'x' FROM notes;\n",
    );
    let run = world.run(["migrate", "up"]).exits(1);
    assert!(
        run.stderr
            .contains("applied to small-db before it, and still there: 0002_a.sql"),
        "{run}"
    );
    assert!(
        run.stderr
            .contains("npx wrangler d1 time-travel restore small-db --bookmark="),
        "{run}"
    );
    let tables = "SELECT name FROM sqlite_master WHERE name IN ('a', 'b')";
    assert_eq!(world.query(tables), [json!({"name": "a"})]);
    assert_eq!(agree(&world, 0)[3].1, "pending");
    assert_eq!(
        world.query("SELECT * FROM xtask_lease"),
        Vec::<Value>::new()
    );

    world.query("INSERT INTO notes (id, text) VALUES (77, 'since then')");
    let run = world
        .run(["migrate", "up", "--restore-on-failure"])
        .exits(1);
    assert!(
        run.stderr.contains("nothing was applied to small-db"),
        "{run}"
    );
    assert_eq!(
        world.query("SELECT id FROM notes WHERE id = 77").len(),
        1,
        "nothing to take back"
    );

    world.edit("migrations/0003_b.sql", "CREATE TABLE b (x);\n");
    world.edit(
        "migrations/0004_c.sql",
        "INSERT INTO a SELECT json(text) FROM notes;\n",
    );
    let before = world.query("SELECT * FROM xtask_migrations ORDER BY name");
    let run = world
        .run(["migrate", "up", "--restore-on-failure"])
        .exits(1);
    assert!(
        run.stderr
            .contains("small-db was taken back to before 0003_b.sql"),
        "{run}"
    );
    assert_eq!(
        world.query("SELECT * FROM xtask_migrations ORDER BY name"),
        before
    );
    assert_eq!(world.query(tables), [json!({"name": "a"})]);
    assert_eq!(agree(&world, 0)[3].1, "pending");
    assert_eq!(
        world.query("SELECT * FROM xtask_lease"),
        Vec::<Value>::new()
    );
    records_outlive_a_restore_that_is_killed(&world);
}

/// A failed release is on record after its restore point: a restore takes that away, and xtask has to bring it back.
fn records_outlive_a_restore_that_is_killed(world: &World) {
    world.edit(
        "migrations/0003_b.sql",
        "INSERT INTO xtask_releases (id, number, created_at, sha, author, status, record) \
         VALUES ('r9', 9, 'then', 'sha', 'it''s me', 'rolled-back', '{}');\n",
    );
    let path = "/time_travel/restore$";
    world.fault(json!({"method": "POST", "path": path, "action": {"hang": "after"}}));
    let run = world.start(&["migrate", "up", "--restore-on-failure"]);
    let until = Instant::now() + Duration::from_secs(120);
    while world.faults_fired() == 0 {
        assert!(Instant::now() < until, "it never restores");
        std::thread::sleep(Duration::from_millis(50));
    }
    run.signal("KILL");
    run.end();
    world.clear_faults();
    // A CI runner is thrown away with all its files.
    let aside = world.root().join(".xtask/restore");
    std::fs::remove_dir_all(&aside).expect("something was put aside");
    let records = "SELECT id, author, status FROM xtask_releases";
    assert_eq!(world.query(records), Vec::<Value>::new());

    world.edit("migrations/0003_b.sql", "CREATE TABLE b (x);\n");
    world.edit("migrations/0004_c.sql", "CREATE TABLE c (x);\n");
    world.run(["migrate", "up"]).exits(0);
    let record = json!({"id": "r9", "author": "it's me", "status": "rolled-back"});
    assert_eq!(world.query(records), [record]);
    let listed = world.cloud().result("GET", "/d1/database", None);
    let names: Vec<&str> = listed
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["name"].as_str())
        .collect();
    assert_eq!(names, ["small-db"], "what was aside is gone");
}
