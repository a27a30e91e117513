//! `migrate` against the local cloud: the ledger and the schema agree at every point, and wrangler agrees with both.
#![cfg(unix)]

mod adopt;
mod atomic;
mod layout;
mod rehearsed;
mod states;

use crate::support::World;

/// The small set; wrangler finds its migrations, too.
fn world() -> World {
    let world = World::new().with_stand_in();
    crate::support::pending::tell_wrangler(&world);
    world.commit("wrangler knows the migrations");
    world
}
