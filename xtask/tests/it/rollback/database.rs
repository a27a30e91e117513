//! The database is part of the release: a target that today's schema does not fit is refused, and `--restore-db` brings
//! its rows back.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::rollback::wall::{
    Live, SITE, SITE_CONFIG, ill_in_public, live, records, rows, statuses, writes,
};
use crate::support::World;
use crate::support::pending::{agree, tell_wrangler};

const MIGRATION: &str = "-- xtask: allow update-all because the test looks for the old text\n\
                         ALTER TABLE notes ADD COLUMN stars INTEGER NOT NULL DEFAULT 0;\n\
                         UPDATE notes SET text = upper(text);\n";

#[test]
fn the_first_release_comes_back_row_for_row() {
    let world = World::deployed().with_stand_in();
    world.replace("pipeline.toml", "within = \"20s\"", "within = \"6s\"");
    tell_wrangler(&world);
    world.commit("less patience");
    world.query("INSERT INTO notes (id, text) VALUES (2, 'it''s the second note'), (3, 'третья')");
    world.query("INSERT INTO tags (name) VALUES ('blue')");
    let (first, first_rows) = (live(&world), rows(&world));

    world.edit("migrations/0002_stars.sql", MIGRATION);
    world.replace(SITE_CONFIG, "0 6 * * *", "0 7 * * *");
    world.change(SITE);
    world.deploy();
    world.query(
        "INSERT INTO notes (id, text, stars) VALUES (4, 'written by the second release', 5)",
    );
    let (second, second_rows) = (live(&world), rows(&world));
    assert_ne!(first, second);

    let good = world.read(SITE);
    world.edit(SITE, &ill_in_public(&good));
    let third = "migrations/0003_later.sql";
    world.edit(third, "CREATE TABLE later (x);\n");
    world.commit("ill in public");
    let run = world
        .run(["deploy", "--restore-on-failure"])
        .exits(3)
        .says("was put back")
        .says("small-db was taken back to before 0003_later.sql");
    agree_on_pending(&world, &["0003_later.sql"]);
    world.remove(third);
    assert_eq!(live(&world), second, "the automatic way back lands on 2");
    assert_eq!(rows(&world), second_rows, "{run}");
    let failed = &records(&world)[2]["failed"];
    assert!(failed.to_string().contains("not in public"), "{failed}");

    refusals(&world);
    assert_eq!(live(&world), second);
    assert_eq!(rows(&world), second_rows);
    assert_eq!(statuses(&world), ["live", "live", "rolled-back"]);

    let run = world
        .run(["rollback", "--to", "1", "--restore-db", "--yes"])
        .exits(0)
        .says("everything written to it since then is lost");
    assert_eq!(live(&world), first, "{run}");
    assert_eq!(rows(&world), first_rows, "{run}");
    agree_on_pending(&world, &["0002_stars.sql"]);
    assert_eq!(
        statuses(&world),
        ["live", "live", "rolled-back", "live"],
        "what was recorded since outlives the restore: {run}"
    );
    let notes = world.edge_get("small.example", "/notes").ok();
    assert_eq!(
        notes["notes"],
        json!(["first note", "it's the second note", "третья"]),
        "{run}"
    );
    let leases = world.query("SELECT * FROM xtask_lease");
    assert_eq!(leases, [json!(null); 0], "{run}");
    let undo = &records(&world)[3]["rollback"]["undo"]["small-db"];
    assert!(undo.as_str().is_some_and(|undo| undo.len() > 20), "{undo}");

    the_same_again_does_nothing(&world);
    world.edit(SITE, &good);
    the_second_release_can_be_shipped_again(&world, &first, &first_rows);
}

/// Nor is there anything further back.
fn the_same_again_does_nothing(world: &World) {
    world.clear_journal();
    world
        .run(["rollback", "--to", "1", "--restore-db", "--yes"])
        .exits(0)
        .says("nothing to do");
    assert_eq!(writes(world), [""; 0]);
    world
        .run(["rollback"])
        .exits(2)
        .says("there is no earlier release to go back to");
}

/// Its migration is applied anew, and taken back anew.
fn the_second_release_can_be_shipped_again(
    world: &World,
    first: &Live,
    first_rows: &BTreeMap<String, Vec<Value>>,
) {
    world.commit("repaired");
    world.deploy();
    agree_on_pending(world, &[]);
    let repaired = live(world);
    let stars = world.query("SELECT text, stars FROM notes WHERE id = 2");
    assert_eq!(stars, [json!({"text": "IT'S THE SECOND NOTE", "stars": 0})]);
    // Its own restore point counts now, not the one of the first time.
    world.query("INSERT INTO tags (name) VALUES ('green')");
    world.run(["rollback", "--restore-db", "--yes"]).exits(0);
    assert_eq!(live(world), *first);
    assert_eq!(rows(world), *first_rows);
    agree_on_pending(world, &["0002_stars.sql"]);

    // A release whose migrations are gone again is refused; whoever knows better says so.
    world
        .run(["rollback", "--to", "5"])
        .exits(2)
        .says("small-db no longer has 0002_stars.sql, which the release had");
    world
        .run(["rollback", "--to", "5", "--force"])
        .exits(0)
        .says("`--force` let its code run on it");
    assert_eq!(live(world), repaired);
    assert_eq!(rows(world), *first_rows);
    agree_on_pending(world, &["0002_stars.sql"]);
}

/// What `migrate status` and wrangler both call pending.
#[track_caller]
fn agree_on_pending(world: &World, expected: &[&str]) {
    let states = agree(world, 0);
    let pending = states.iter().filter(|(_, state)| state == "pending");
    let files: Vec<&str> = pending.map(|(file, _)| file.as_str()).collect();
    assert_eq!(files, expected, "{states:?}");
}

/// All of it must leave everything as it is.
fn refusals(world: &World) {
    let before = world.files();
    world.clear_journal();
    let run = world.run(["rollback", "--to", "1"]).exits(2);
    expect_test::expect![[r#"
        error: the release #1 ([release]) may not run on today's schema
          why: small-db has had 0002_stars.sql since
          fix: add `--restore-db`   (takes the database back, too: what was written since then is lost)
               or add `--force` when the old code is known to work with the new schema"#]]
    .assert_eq(&world.redact(run.error()));
    let run = world
        .run(["rollback", "--to", "1", "--restore-db"])
        .exits(2)
        .says("a restore has to be confirmed")
        .says("everything written to it since then is lost");
    assert_eq!(writes(world), [""; 0], "{run}");
    world
        .run(["rollback", "--to", "1", "--restore-db", "--only", "site"])
        .exits(2)
        .says("`--restore-db` takes no `--only`");
    world
        .run(["rollback", "--to", "3"])
        .exits(2)
        .says("never went live");
    let run = world
        .run(["rollback", "--to", "1", "--restore-db", "--dry-run"])
        .exits(0);
    for line in [
        "roll back site",
        "crons site",
        "restore small-db",
        "verify site",
        "everything written to it since then is lost",
    ] {
        assert!(run.stdout.contains(line), "{line}: {run}");
    }
    assert_eq!(writes(world), [""; 0], "{run}");
    assert_eq!(world.query("SELECT * FROM xtask_lease"), [json!(null); 0]);
    let changed: Vec<_> = world
        .files()
        .into_iter()
        .filter(|(path, bytes)| before.get(path) != Some(bytes))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(changed, [""; 0]);
}
