//! What becomes of a live worker that is renamed: the deploys after it, and what they leave behind.

use expect_test::expect;

use crate::support::World;
use crate::support::hand::Hand;

const CONFIG: &str = "workers/site/wrangler.toml";
const ROUTES: &str = "routes = [{ pattern = \"small.example\", custom_domain = true }]";

/// Asks the agent behind the public worker to count.
#[track_caller]
fn count(world: &World) -> u64 {
    let told = world.edge_get("small.example", "/agent").ok();
    told["count"].as_u64().expect("a number")
}

#[track_caller]
fn served_by(world: &World) -> String {
    let told = world.edge_get("small.example", "/").ok();
    told["version"].as_str().expect("an id").to_owned()
}

#[test]
fn a_live_worker_that_is_renamed_is_made_anew_beside_the_old_one() {
    let world = World::deployed().with_stand_in();
    assert_eq!((count(&world), count(&world)), (1, 2));

    // One that another one calls, with data.
    let agent = world.serving("small-agent");
    world
        .run(["worker", "rename", "agent", "thinker"])
        .exits(0)
        .says("stays with `small-agent`: those of `small-thinker` begin empty (Counter)");
    world.commit("a thinker");
    let dry = world.run(["deploy", "--dry-run"]).exits(0);
    assert!(dry.stdout.contains("small-thinker"), "{dry}");
    world.deploy();
    assert_eq!(count(&world), 1, "its caller came along, its data did not");
    assert_eq!(world.serving("small-agent"), agent, "it goes on as it was");
    let drawn = world.run(["rollback", "--format", "mermaid"]).exits(0);
    let steps = drawn.stdout.starts_with("flowchart LR\n  subgraph g0[\"");
    assert!(steps, "{drawn}");
    world.run(["rollback"]).exits(0);
    assert_eq!(count(&world), 3, "the release before called the old one");

    one_with_an_address(&world);
}

fn one_with_an_address(world: &World) {
    let site = world.serving("small-site");
    world.run(["worker", "rename", "site", "front"]).exits(0);
    world.commit("a front");
    let run = world.run(["deploy"]).exits(2);
    expect![[r#"
        error: small.example belongs to small-site, not to small-front
          why: attaching it would silently take it away from there
               small-front is new: was small-site renamed?
          fix: remove the domain from that worker, or from this worker's wrangler config
               or move it without a gap: deploy with `routes = []` in workers/site/wrangler.toml, put the domain back there, then:
               CLOUDFLARE_ACCOUNT_ID=0123456789abcdef0123456789abcdef npx wrangler triggers deploy --config workers/site/wrangler.toml"#]].assert_eq(&world.redact(run.error()));
    let scripts = &world.cloud_state()["scripts"];
    assert!(scripts["small-front"].is_null(), "nothing was made: {run}");

    // The way that is told.
    world.replace(CONFIG, ROUTES, "routes = []");
    world.commit("no address yet");
    world.deploy();
    assert_eq!(served_by(world), site, "the old one serves");
    world.replace(CONFIG, "routes = []", ROUTES);
    world.commit("its address");
    Hand::new(world).in_repo(&["triggers", "deploy", "--config", CONFIG]);
    let front = world.serving("small-front");
    assert_eq!(served_by(world), front, "the new one serves");
    world.deploy();
    assert_eq!(
        world.serving("small-front"),
        front,
        "nothing was left to do"
    );
}
