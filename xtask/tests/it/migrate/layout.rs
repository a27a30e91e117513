//! A folder per migration, as drizzle and Prisma write them, and a table of applied migrations with a name of its own:
//! found, recorded and listed as wrangler does.

use serde_json::json;

use crate::support::World;
use crate::support::pending::{agree, states, wrangler};

const PATTERN: &str = r#"database_name = "small-db"
migrations_dir = "../../drizzle"
migrations_pattern = "../../drizzle/*/migration.sql"
migrations_table = "schema_log"
"#;

fn drizzle() -> World {
    let world = World::new();
    world.remove("migrations/0001_tags.sql");
    world.edit(
        "drizzle/0001_tags/migration.sql",
        "CREATE TABLE tags (name TEXT PRIMARY KEY);\n",
    );
    world.edit("drizzle/meta/_journal.json", "{}\n");
    world.replace("pipeline.toml", "\"migrations\"", "\"drizzle\"");
    world
}

#[test]
fn a_folder_per_migration_and_a_table_of_its_own_are_as_wrangler_has_them() {
    let world = drizzle();
    let name = "database_name = \"small-db\"\n";
    world.replace("workers/site/wrangler.toml", name, PATTERN);
    world.commit("migrations as drizzle writes them");
    let first = ("0001_tags/migration.sql".to_owned(), "pending".to_owned());
    assert!(agree(&world, 0).contains(&first), "{:?}", states(&world, 0));
    world
        .run(["migrate", "up"])
        .exits(0)
        .says("3 files applied");
    let applied = |name: &str| (name.to_owned(), "applied".to_owned());
    assert!(agree(&world, 0).contains(&applied("0001_tags/migration.sql")));
    let log = world.query("SELECT name FROM schema_log ORDER BY id");
    assert_eq!(log, [json!({"name": "0001_tags/migration.sql"})]);
    let tables = world.query("SELECT name FROM sqlite_master WHERE name = 'd1_migrations'");
    assert!(
        tables.is_empty(),
        "there is one table of applied migrations"
    );

    // wrangler applies the next one: it is applied for both.
    world.edit(
        "drizzle/0002_places/migration.sql",
        "CREATE TABLE places (name TEXT);\n",
    );
    world.commit("a second migration");
    wrangler(
        &world,
        &["d1", "migrations", "apply", "small-db", "--remote"],
    );
    let adopted = ("0002_places/migration.sql", "applied, content not recorded");
    let adopted = (adopted.0.to_owned(), adopted.1.to_owned());
    assert!(
        agree(&world, 0).contains(&adopted),
        "{:?}",
        states(&world, 0)
    );
    world.run(["migrate"]).exits(0).says("nothing is pending");
    // `migrate new` would write what no pattern finds.
    world
        .run(["migrate", "new", "opening hours"])
        .exits(2)
        .says("would never be applied");
    assert!(!world.root().join("drizzle/0003_opening_hours.sql").exists());

    world.run(["preview", "--pr", "7"]).exits(0);
    let state = world.cloud().local("GET", "/state", None);
    let all = state["d1"].as_object().expect("databases");
    let (id, _) = all
        .iter()
        .find(|(_, database)| database["name"] == "small-db-pr-7-preview")
        .expect("the preview has a database");
    let log = world.query_in(id, "SELECT name FROM schema_log ORDER BY id");
    assert_eq!(log.len(), 2, "{log:?}");
}

/// Without the pattern nothing would ever be applied, and nobody would notice.
#[test]
fn sql_that_no_pattern_matches_is_refused_before_anything() {
    let world = drizzle();
    world.commit("migrations in folders, and a config that says nothing of it");
    for run in [
        world.run(["migrate", "up"]),
        world.run(["deploy"]),
        world.run(["doctor"]),
    ] {
        let run = run.exits(2);
        for text in [
            "no migration of `small-db` matches `*.sql`",
            "<migrations_dir>/*/migration.sql",
        ] {
            assert!(
                run.stderr.contains(text) || run.stdout.contains(text),
                "{}",
                run.stderr
            );
        }
    }
    let tables = world.query("SELECT name FROM sqlite_master WHERE name LIKE 'xtask%'");
    assert!(tables.is_empty());
}

#[test]
fn a_pattern_that_wrangler_refuses_is_refused_with_its_place() {
    let world = drizzle();
    let name = "database_name = \"small-db\"\n";
    let alone = format!("{name}migrations_pattern = \"drizzle/*/migration.sql\"\n");
    world.replace("workers/site/wrangler.toml", name, &alone);
    world.commit("a pattern without its folder");
    world
        .run(["migrate", "status"])
        .exits(2)
        .says("`migrations_pattern` needs `migrations_dir`")
        .says("workers/site/wrangler.toml:");
}
