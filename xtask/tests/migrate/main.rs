//! `migrate` against the local cloud: the ledger and the schema agree at every point, and wrangler agrees with both.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod adopt;
mod atomic;
mod rehearsed;
mod states;

use support::World;

/// The small set, with the folder of migrations in the config so that wrangler finds it, too.
fn world() -> World {
    let world = World::new();
    world.replace(
        "workers/site/wrangler.toml",
        "database_name = \"small-db\"\n",
        "database_name = \"small-db\"\nmigrations_dir = \"../../migrations\"\n",
    );
    world.commit("wrangler knows the migrations");
    world
}
