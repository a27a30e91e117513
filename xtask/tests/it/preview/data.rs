//! A preview over several pushes: updated in place, with its data kept, refused or made anew as `data_reset` says.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;

const SITE: &str = "small-site-pr-7-preview.test.localhost";

fn database(world: &World) -> String {
    let state = world.cloud_state();
    let databases = state["d1"].as_object().into_iter().flatten();
    let found = databases
        .into_iter()
        .find(|(_, database)| database["name"] == "small-db-pr-7-preview");
    found
        .map(|(id, _)| id.clone())
        .expect("the preview has a database")
}

fn notes(world: &World) -> Value {
    world.edge_get(SITE, "/notes").ok()["notes"].clone()
}

/// The small set with a preview of pull request 7.
fn previewed() -> World {
    World::warm("preview of the small set", || {
        let world = World::new().with_stand_in();
        world.run(["preview", "--pr", "7"]).exits(0);
        world
    })
}

#[test]
fn a_preview_is_updated_in_place_and_its_data_kept_while_it_fits() {
    let world = previewed();
    let first = database(&world);
    assert_eq!(notes(&world), json!(["first note"]));
    world.query_in(
        &first,
        "INSERT INTO notes (text) VALUES ('a tester was here')",
    );

    // A new migration is applied; what testers wrote stays.
    world.edit("migrations/0002_more.sql", "CREATE TABLE more (x);\n");
    world.change("workers/api/index.js");
    world.run(["preview", "--pr", "7"]).exits(0);
    assert_eq!(database(&world), first);
    assert_eq!(notes(&world), json!(["first note", "a tester was here"]));
    let applied = world.query_in(&first, "SELECT name FROM d1_migrations ORDER BY id");
    assert_eq!(
        json!(applied),
        json!([{"name": "0001_tags.sql"}, {"name": "0002_more.sql"}])
    );

    // One that was applied and then edited: the data is made anew, or refused.
    world.edit("migrations/0002_more.sql", "CREATE TABLE more (x, y);\n");
    let text = world.read("pipeline.toml");
    world.edit(
        "pipeline.toml",
        &format!("{text}\n[preview]\ndata_reset = \"never\"\n"),
    );
    world.commit("an edited migration, and data that is to stay");
    world
        .run(["preview", "--pr", "7"])
        .exits(2)
        .says("the applied migration `0002_more.sql` was edited")
        .says("or add `--reset-data`");
    assert_eq!(database(&world), first);
    world.edit("pipeline.toml", &text);
    world.commit("data that may go");
    world.run(["preview", "--pr", "7"]).exits(0).says(
        "small-db-pr-7-preview is made anew: the applied migration `0002_more.sql` was edited",
    );
    let second = database(&world);
    assert_ne!(second, first);
    assert_eq!(notes(&world), json!(["first note"]));

    world.query_in(&second, "INSERT INTO notes (text) VALUES ('gone soon')");
    world.run(["preview", "--pr", "7", "--reset-data"]).exits(0);
    assert_eq!(notes(&world), json!(["first note"]));
    assert_ne!(database(&world), second);
}

/// A second run wrote its commit into the tags while the first was uploading.
#[test]
fn the_older_of_two_pushes_stops_and_says_so() {
    let world = previewed();
    let serving = world.serving("small-site-pr-7-preview");
    world.change("workers/site/index.js");
    world.fault(json!({
        "method": "POST", "path": "/workers/scripts/small-site-pr-7-preview/versions", "action": {"delay_ms": 4000},
    }));
    let older = world.start(&["preview", "--pr", "7"]);
    let claimed = format!(
        "xtask-commit-{}",
        world.git(&["rev-parse", "--short=7", "HEAD"])
    );
    let settings = "/workers/scripts/small-site-pr-7-preview/script-settings";
    for _ in 0..600 {
        let tags = world.cloud().result("GET", settings, None)["tags"].clone();
        if tags.to_string().contains(&claimed) {
            let newer =
                json!({"tags": ["xtask-preview", "xtask-preview-pr-7", "xtask-commit-fffffff"]});
            world.cloud().result("PATCH", settings, Some(newer));
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    older
        .end()
        .exits(0)
        .says("the commit fffffff is previewed instead of");
    assert_eq!(
        world.serving("small-site-pr-7-preview"),
        serving,
        "the older run served"
    );
}
