//! A file is applied whole, once, and with all rows where they were, or not at all.

use serde_json::{Value, json};

use crate::support::World;

const NAMES: &str = "SELECT name FROM d1_migrations ORDER BY id";

/// The database after a run that must not have applied anything.
#[track_caller]
fn untouched(world: &World, command: &[&str], places: &[&str]) {
    let all = [
        "SELECT name, sql FROM sqlite_schema ORDER BY name",
        NAMES,
        "SELECT * FROM xtask_migrations ORDER BY name",
    ];
    let before = all.map(|sql| world.query(sql));
    let run = world.start(command).end().exits(1);
    for place in places {
        assert!(run.stderr.contains(place), "no {place:?} in {run}");
    }
    assert_eq!(all.map(|sql| world.query(sql)), before, "{run}");
}

#[test]
fn a_mistake_in_a_later_statement_is_found_before_any_file_is_applied() {
    let world = crate::migrate::world();
    world.run(["migrate", "up"]).exits(0);
    world.edit("migrations/0002_good.sql", "CREATE TABLE good (x);\n");
    // CRLF: the line is the one an editor shows.
    world.edit(
        "migrations/0003_bad.sql",
        "CREATE TABLE bad (x);\r\nINSERT INTO bad VALUES (1);\r\n\r\nINSERT INTO bad (x,) VALUES (2);\r\n",
    );
    let place = "migrations/0003_bad.sql:4:20: error: near \")\": syntax error";
    untouched(&world, &["migrate", "up"], &[place, "nothing was applied"]);
    // What ends in an open comment would take the ledger's rows with it; D1 itself takes BEGIN for a mistake.
    world.edit(
        "migrations/0003_bad.sql",
        "CREATE TABLE bad (x);\n/* to be continued",
    );
    untouched(
        &world,
        &["migrate", "up"],
        &["migrations/0003_bad.sql:2: error: the ledger's rows behind it are lost"],
    );
    world.edit(
        "migrations/0003_bad.sql",
        "BEGIN TRANSACTION;\nCREATE TABLE bad (x);\nCOMMIT;\n",
    );
    untouched(
        &world,
        &["migrate", "up"],
        &["migrations/0003_bad.sql:1:1: error: To execute a transaction"],
    );

    // Nothing pending: not a request more than it takes to see that, and nothing is written.
    world.remove("migrations/0003_bad.sql");
    world
        .run(["migrate", "up"])
        .exits(0)
        .says("1 file, nothing is lost");
    world.clear_journal();
    world
        .run(["migrate", "up"])
        .exits(0)
        .says("nothing is pending");
    let requests = world.requests();
    let queries = requests.iter().filter(|line| line.contains("/d1/")).count();
    assert_eq!(queries, 1, "{requests:?}");
}

#[test]
fn rows_that_go_unseen_make_the_request_fail() {
    let world = crate::migrate::world();
    world.run(["migrate", "up"]).exits(0);
    world.edit(
        "migrations/0002_visits.sql",
        "CREATE TABLE visits (id INTEGER PRIMARY KEY, at TEXT);\n",
    );
    world.run(["migrate", "up"]).exits(0);
    world.query("INSERT INTO visits VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    world.edit("migrations/0003_good.sql", "CREATE TABLE good (x);\n");
    // No reader of the file, and no copy without rows, sees what the trigger does.
    let rebuild = "CREATE TABLE visits_new (id INTEGER PRIMARY KEY, at TEXT NOT NULL DEFAULT '');\n\
         CREATE TRIGGER few BEFORE INSERT ON visits_new WHEN new.id > 1 BEGIN SELECT RAISE(IGNORE); END;\n\
         INSERT INTO visits_new SELECT * FROM visits;\n\
         DROP TABLE visits;\n\
         ALTER TABLE visits_new RENAME TO visits;\n";
    world.edit("migrations/0004_visits.sql", rebuild);
    let run = world.run(["migrate", "up"]).exits(1);
    for text in [
        "the file loses rows that the rehearsal did not see going",
        "visits had 3 rows and has 1",
        "nothing of it was applied",
        "applied to small-db before it, and still there: 0003_good.sql",
        "npx wrangler d1 time-travel restore small-db --bookmark=",
    ] {
        assert!(run.stderr.contains(text), "no {text:?} in {run}");
    }
    assert_eq!(
        world.query("SELECT count(*) AS n FROM visits"),
        [json!({"n": 3})]
    );
    let applied = world.query(NAMES);
    assert_eq!(applied.last(), Some(&json!({"name": "0003_good.sql"})));
    assert_eq!(
        world.query("SELECT name FROM sqlite_schema WHERE name = 'few'"),
        Vec::<Value>::new()
    );

    // Without the trigger the same file keeps every row, and the report has the numbers.
    world.edit(
        "migrations/0004_visits.sql",
        &rebuild.replace("new.id > 1", "new.id > 100"),
    );
    let run = world.run(["migrate", "up", "--format", "json"]).exits(0);
    let expected =
        json!([{"file": "0004_visits.sql", "table": "visits", "before": "3", "after": "3"}]);
    assert_eq!(run.json()["tables"][0]["rows"], expected, "{run}");
}

#[test]
fn two_at_once_apply_a_file_once() {
    let world = crate::migrate::world();
    world.run(["migrate", "up"]).exits(0);
    world.edit(
        "migrations/0002_once.sql",
        "CREATE TABLE once (x);\nINSERT INTO once VALUES (1);\n",
    );
    world.commit("a migration");
    let runs = [
        world.start(&["migrate", "up"]),
        world.start(&["migrate", "up"]),
    ];
    let runs = runs.map(crate::support::Running::end);
    let mut codes: Vec<Option<i32>> = runs.iter().map(|run| run.status).collect();
    codes.sort_unstable();
    // Whoever comes second finds the lease taken, or nothing left to do.
    assert!(
        codes == [Some(0), Some(3)] || codes == [Some(0), Some(0)],
        "{}{}",
        runs[0],
        runs[1]
    );
    assert_eq!(
        world.query("SELECT count(*) AS n FROM once"),
        [json!({"n": 1})]
    );
    assert_eq!(
        world.query("SELECT * FROM xtask_lease"),
        Vec::<Value>::new()
    );
    world
        .run(["migrate", "up"])
        .exits(0)
        .says("nothing is pending");

    // A second database: its ledger is made when it is first needed, and both are rehearsed before either is changed.
    world.edit(
        "pipeline.toml",
        &world.read("pipeline.toml").replace(
            "[health]",
            "[databases.log-db]\nmigrations = \"logs\"\n\n[health]",
        ),
    );
    let binding = "\n[[d1_databases]]\nbinding = \"LOG\"\ndatabase_name = \"log-db\"\ndatabase_id = \"6e2d4b63-8d95-4a1f-8c7e-3a9f2b01d8c4\"\n";
    let config = world.read("workers/api/wrangler.toml");
    world.edit("workers/api/wrangler.toml", &format!("{config}{binding}"));
    world.edit("logs/0001_lines.sql", "CREATE TABLE lines (text TEXT);\n");
    world.edit(
        "migrations/0003_more.sql",
        "ALTER TABLE once ADD COLUMN y;\n",
    );
    world
        .run(["migrate", "up"])
        .exits(0)
        .says("2 files applied");
    world.edit(
        "migrations/0004_more.sql",
        "ALTER TABLE once ADD COLUMN z;\n",
    );
    world.edit("logs/0002_wrong.sql", "ALTER TABLE nothing ADD COLUMN y;\n");
    untouched(
        &world,
        &["migrate", "up"],
        &["logs/0002_wrong.sql:1:13: error: near \"nothing\": syntax error"],
    );
}
