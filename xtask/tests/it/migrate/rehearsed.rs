//! Pending files are tried on a copy first: what would fail or lose rows is stopped before anything is applied.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::support::{Run, World};

/// Users with orders that go with them, visits that forget them, and notes of the small set.
const LIVE: &str = "\
CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, zip TEXT, legacy TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE);
CREATE TABLE lines (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE);
CREATE TABLE visits (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users ON DELETE SET NULL);
CREATE INDEX users_email ON users (email);
CREATE TABLE shops (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE staff (id INTEGER PRIMARY KEY, shop INTEGER NOT NULL REFERENCES shops (id));
";
const ROWS: &str = "\
INSERT INTO users (id, email, zip) WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1204)
  SELECT x, 'u' || x, '0' || x FROM n;
INSERT INTO orders SELECT id, id FROM users WHERE id <= 700;
INSERT INTO lines SELECT id, id FROM orders WHERE id <= 500;
INSERT INTO visits SELECT id, CASE WHEN id > 3 THEN id END FROM users WHERE id <= 10;
INSERT INTO shops VALUES (1, 'one');
INSERT INTO staff VALUES (1, 1), (2, 1);
";
/// The classic: a table made anew because of one column.
const REBUILD: &str = "\
PRAGMA foreign_keys = off;
CREATE TABLE users_new (id INTEGER PRIMARY KEY, email TEXT, zip TEXT, legacy TEXT, name TEXT);
INSERT INTO users_new (id, email, zip, legacy) SELECT id, email, zip, legacy FROM users;
DROP TABLE users;
ALTER TABLE users_new RENAME TO users;
CREATE INDEX users_email ON users (email);
";

/// A live database with rows in it.
fn world() -> World {
    let world = crate::migrate::world();
    world.edit("migrations/0002_live.sql", LIVE);
    world.commit("the schema that is live");
    world.run(["migrate", "up"]).exits(0);
    world.query(ROWS);
    world
}

fn state(world: &World) -> [Vec<Value>; 4] {
    [
        "SELECT name, sql FROM sqlite_schema ORDER BY name",
        "SELECT name FROM d1_migrations ORDER BY id",
        "SELECT * FROM xtask_migrations ORDER BY name",
        "SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM orders) AS orders, \
         (SELECT count(*) FROM lines) AS lines, (SELECT count(user_id) FROM visits) AS visits",
    ]
    .map(|sql| world.query(sql))
}

/// From `error:` to the report's last line.
fn error(run: &Run) -> &str {
    let text = run.error();
    text.split("\n\nmigrate: failure").next().unwrap_or(text)
}

/// Deploys or migrates in all ways; each must refuse with the same words, and leave everything as it is.
#[track_caller]
fn refused_everywhere(world: &World, expected: Expect) {
    let before = (state(world), world.cloud_state());
    let up = world.run(["migrate", "up"]).exits(1);
    expected.assert_eq(&world.redact(error(&up)));
    let place = "migrations/0004_users.sql:4: error cascade-loss: DROP TABLE users: 1,200 rows";
    let tell = |run: &Run| assert!(run.stderr.contains(place), "{run}");
    tell(&up);
    tell(&world.run(["deploy"]).exits(1));
    for dry in [
        ["migrate", "up", "--dry-run", "--format", "json"],
        ["deploy", "--dry-run", "--format", "json", "-q"],
    ] {
        let run = world.run(dry).exits(1);
        tell(&run);
        // One document, and the loss is in it.
        let notes = run.json()["notes"].to_string();
        assert!(
            notes.contains("1,200 rows in 2 tables by ON DELETE CASCADE (orders 700, lines 500)"),
            "{run}"
        );
    }
    assert_eq!((state(world), world.cloud_state()), before);
}

#[test]
fn a_rebuild_that_takes_child_rows_along_is_stopped_before_anything_is_applied() {
    let world = world();
    world.edit("migrations/0003_a.sql", "CREATE TABLE a (x);\n");
    world.edit("migrations/0004_users.sql", REBUILD);
    world.commit("users get a name");
    refused_everywhere(
        &world,
        expect![[r#"
            error: failed to rehearse the pending files of small-db on a copy

            result  0 files applied

            error: failed to rehearse the pending files of small-db on a copy: 1 error, and nothing was applied
              fix: do without the loss: docs/migrate.md#destructive-changes says how
                   or say in the file why it may: `-- xtask: allow RULE because REASON`
              migrations/0004_users.sql:4: error cascade-loss: DROP TABLE users: 1,200 rows in 2 tables by ON DELETE CASCADE (orders 700, lines 500), and 7 rows of visits lose their user_id by ON DELETE SET NULL; its own 1,204 rows are kept in users
                  `PRAGMA foreign_keys` does nothing inside a transaction, and D1 runs every file in one"#]],
    );

    // With the reason it goes through, and the record has the numbers.
    let reason = "-- xtask: allow cascade-loss because orders were never sent\n";
    world.edit("migrations/0004_users.sql", &format!("{reason}{REBUILD}"));
    world.commit("orders may go");
    world.run(["deploy"]).exits(0);
    let counts = "SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM orders) AS orders, (SELECT count(*) FROM visits) AS visits";
    assert_eq!(
        world.query(counts),
        [json!({"users": 1204, "orders": 0, "visits": 10})]
    );
    let rows = world.query("SELECT record FROM xtask_releases");
    let record: Value =
        serde_json::from_str(rows[0]["record"].as_str().unwrap_or_default()).expect("a record");
    expect![[r#"
        {
          "0004_users.sql": [
            "migrations/0004_users.sql:5: DROP TABLE users: 1,200 rows in 2 tables by ON DELETE CASCADE (orders 700, lines 500), and 7 rows of visits lose their user_id by ON DELETE SET NULL; its own 1,204 rows are kept in users; cascade-loss allowed because orders were never sent",
            "lines: 500 rows before, 0 after",
            "orders: 700 rows before, 0 after",
            "users: 1,204 rows before, 1,204 after",
            "visits: 10 rows before, 10 after"
          ]
        }"#]].assert_eq(&format!("{:#}", record["losses"]));
}

/// One file after the other, all in one rehearsal.
#[test]
fn what_a_file_does_to_rows_is_told_by_what_the_copy_shows() {
    let world = world();
    for (name, text) in SCENES {
        world.edit(&format!("migrations/{name}.sql"), text);
    }
    let run = world.run(["migrate", "up", "--dry-run"]).exits(1);
    let notes = run
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("note: "));
    let notes: Vec<&str> = notes.collect();
    expect![[r#"
        migrations/0020_drop_column.sql:1: ALTER TABLE users DROP COLUMN legacy: 0 values of users.legacy; drop-column is not allowed
        migrations/0021_all.sql:1: UPDATE users: zip overwritten in all of 1,204 rows of users; update-all is not allowed
        migrations/0021_all.sql:2: DELETE FROM views: 10 rows here; delete-all is not allowed
        migrations/0022_narrow.sql:1: CREATE TABLE notes_new: notes is made anew, and text becomes INTEGER (was TEXT); 1 row before; narrowing is not allowed
        migrations/0022_narrow.sql:1: CREATE TABLE notes_new: notes.by is NOT NULL without a default, so that rows written without it are refused; not-null is not allowed
        migrations/0022_narrow.sql:1: CREATE TABLE notes_new: notes is made anew, and WHERE may leave rows out; 1 row before; narrowing is not allowed
        migrations/0023_replace.sql:1: REPLACE INTO orders: up to 500 rows in 1 table by ON DELETE CASCADE (lines 500); cascade-loss is not allowed
        migrations/0024_drop.sql:2: DROP TABLE tags: 0 rows here; drop-table allowed because tags were never used
        warning: migrations/0023_replace.sql:1: REPLACE INTO orders depends on rows that only the live database has: it was not tried
        warning: migrations/0025_nothing.sql:1: nothing in the file needs `allow drop-column`
        warning: migrations/0027_rows.sql:1: INSERT INTO orders depends on rows that only the live database has: it was not tried
        warning: not backward compatible: the table shops goes from small-db, and code that is live may be made with it (docs/migrate.md#expand-and-contract)
        warning: not backward compatible: the table tags goes from small-db, and code that is live may be made with it (docs/migrate.md#expand-and-contract)
        warning: not backward compatible: the column users.legacy goes from small-db, and code that is live may be made with it (docs/migrate.md#expand-and-contract)
        warning: not backward compatible: the table visits goes from small-db, and code that is live may be made with it (docs/migrate.md#expand-and-contract)"#]].assert_eq(&notes.join("\n"));
    expect![[r#"
        error: the pending files of `small-db` are refused
          why: migrations/0016_renamed_over.sql:4: error: DROP TABLE shops fails: rows of staff would refer to nothing when the file ends (a table renamed to shops does not count, rows inserted into one made under that name do); 2 rows now
               migrations/0017_referred_to.sql:1: error: DROP TABLE shops fails: rows of staff refer to it, with no ON DELETE action; 2 rows now
               migrations/0020_drop_column.sql:1: error drop-column: ALTER TABLE users DROP COLUMN legacy: 0 values of users.legacy
               migrations/0021_all.sql:1: error update-all: UPDATE users: zip overwritten in all of 1,204 rows of users
               migrations/0021_all.sql:2: error delete-all: DELETE FROM views: 10 rows here
               migrations/0022_narrow.sql:1: error narrowing: CREATE TABLE notes_new: notes is made anew, and text becomes INTEGER (was TEXT); 1 row before
               migrations/0022_narrow.sql:1: error not-null: CREATE TABLE notes_new: notes.by is NOT NULL without a default, so that rows written without it are refused
               migrations/0022_narrow.sql:1: error narrowing: CREATE TABLE notes_new: notes is made anew, and WHERE may leave rows out; 1 row before
               migrations/0023_replace.sql:1: error cascade-loss: REPLACE INTO orders: up to 500 rows in 1 table by ON DELETE CASCADE (lines 500)
               migrations/0026_comment.sql:1: error: no reason is given: `-- xtask: allow drop-table because …`
               migrations/0028_not_null.sql:1: error: ALTER TABLE users ADD COLUMN age INTEGER fails: it has rows, and a NOT NULL column without a default cannot be added to them; 1,204 rows now
               migrations/0029_wrong.sql:3:13: error: no such table: nobody
          fix: do without the loss: docs/migrate.md#destructive-changes says how
               or say in the file why it may: `-- xtask: allow RULE because REASON`
    "#]].assert_eq(&world.redact(&run.stderr));
}

const SCENES: &[(&str, &str)] = &[
    // Nothing is lost.
    (
        "0010_rename",
        "ALTER TABLE visits RENAME TO views;\nALTER TABLE views RENAME COLUMN user_id TO viewer;\n",
    ),
    (
        "0011_add",
        "ALTER TABLE lines ADD COLUMN amount INTEGER NOT NULL DEFAULT 1;\nUPDATE lines SET amount = 2;\n",
    ),
    (
        "0012_leaf",
        "CREATE TABLE lines_new (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE, amount INTEGER NOT NULL DEFAULT 1);\n\
         INSERT INTO lines_new SELECT id, order_id, amount FROM lines;\nDROP TABLE lines;\nALTER TABLE lines_new RENAME TO lines;\n",
    ),
    (
        "0013_children_put_aside",
        "CREATE TABLE kept AS SELECT * FROM lines;\nCREATE TABLE orders_new (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE);\n\
         INSERT INTO orders_new SELECT * FROM orders;\nDROP TABLE orders;\nALTER TABLE orders_new RENAME TO orders;\n\
         INSERT INTO lines SELECT * FROM kept;\nDROP TABLE kept;\n",
    ),
    (
        "0014_type",
        "ALTER TABLE users ADD COLUMN note TEXT;\nUPDATE users SET note = legacy;\n",
    ),
    (
        "0015_made_anew_under_its_name",
        "PRAGMA defer_foreign_keys = on;\nCREATE TABLE kept AS SELECT * FROM shops;\nDROP TABLE shops;\n\
         CREATE TABLE shops (id INTEGER PRIMARY KEY, name TEXT);\nINSERT INTO shops SELECT * FROM kept;\nDROP TABLE kept;\n",
    ),
    // Something is, or fails.
    (
        "0016_renamed_over",
        "PRAGMA defer_foreign_keys = on;\nCREATE TABLE shops_new (id INTEGER PRIMARY KEY, name TEXT);\n\
         INSERT INTO shops_new SELECT * FROM shops;\nDROP TABLE shops;\nALTER TABLE shops_new RENAME TO shops;\n",
    ),
    ("0017_referred_to", "DROP TABLE shops;\n"),
    (
        "0020_drop_column",
        "ALTER TABLE users DROP COLUMN legacy;\n",
    ),
    (
        "0021_all",
        "UPDATE users SET zip = '';\nDELETE FROM views;\n",
    ),
    (
        "0022_narrow",
        "CREATE TABLE notes_new (id INTEGER PRIMARY KEY, text INTEGER NOT NULL, by TEXT NOT NULL);\n\
         INSERT INTO notes_new SELECT id, text, 'x' FROM notes WHERE id < 10;\nDROP TABLE notes;\nALTER TABLE notes_new RENAME TO notes;\n",
    ),
    (
        "0023_replace",
        "REPLACE INTO orders (id, user_id) VALUES (1, 1);\n",
    ),
    (
        "0024_drop",
        "-- xtask: allow drop-table because tags were never used\nDROP TABLE IF EXISTS tags;\n",
    ),
    (
        "0025_nothing",
        "-- xtask: allow drop-column because it was meant once\nSELECT 1;\n",
    ),
    ("0026_comment", "-- xtask: allow drop-table\nSELECT 1;\n"),
    (
        "0027_rows",
        "INSERT INTO orders (id, user_id) VALUES (9000, 17);\n",
    ),
    (
        "0028_not_null",
        "ALTER TABLE users ADD COLUMN age INTEGER NOT NULL;\n",
    ),
    (
        "0029_wrong",
        "CREATE TABLE z (x);\nINSERT INTO z VALUES (1);\nINSERT INTO nobody VALUES (1);\n",
    ),
];
