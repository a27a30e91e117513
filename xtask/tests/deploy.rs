//! `deploy`, whole runs: the real binary, wrangler and workerd against a local cloud.
#![cfg(unix)]

mod support;

use support::World;

#[test]
fn a_first_deploy_serves_the_small_set() {
    let world = World::new();
    world.deploy();
    let notes = world.edge_get("small.example", "/notes").ok();
    assert_eq!(notes["notes"][0], "first note");
    assert_eq!(world.edge_get("small.example", "/agent").ok()["count"], 1);
    world
        .deploy()
        .says("nothing changed: no version was uploaded");
}
