//! Rollback after rollback, a part of the workers, changed secrets, a list: no database schema stands in the way.

use expect_test::expect;
use serde_json::{Value, json};

use crate::rollback::wall::{
    API, Live, SCRIPTS, SITE, SITE_CONFIG, crons, live, records, statuses, writes,
};
use crate::support::World;

/// Three releases: each changes the api, the second and third the site's cron, the third is the one with new secrets.
fn three_releases() -> (World, Vec<Live>) {
    let mut world = World::warm("three releases", make_three_releases);
    world.set("API_KEY", "another-api-key");
    let lives = std::fs::read_to_string(world.aside("lives.json")).expect("it was kept");
    let lives = serde_json::from_str(&lives).expect("it was written so");
    (world, lives)
}

fn make_three_releases() -> World {
    let mut world = World::deployed().with_stand_in();
    let mut lives = vec![live(&world)];
    world.replace(SITE_CONFIG, "0 6 * * *", "0 7 * * *");
    world.change(SITE);
    world.change(API);
    world.deploy();
    lives.push(live(&world));
    world.set("API_KEY", "another-api-key");
    world.replace(SITE_CONFIG, "0 7 * * *", "0 8 * * *");
    world.change(API);
    world.deploy();
    lives.push(live(&world));
    let lives = serde_json::to_string(&lives).expect("plain data");
    std::fs::write(world.aside("lives.json"), lives).expect("a file can be written");
    world
}

/// Two releases: the second changes the api.
fn two_releases() -> World {
    World::warm("two releases", || {
        let world = World::deployed().with_stand_in();
        world.change(API);
        world.deploy();
        world
    })
}

#[test]
fn rollback_after_rollback_never_returns_to_what_was_left() {
    let (world, lives) = three_releases();
    world.clear_journal();
    let run = world
        .run(["rollback"])
        .exits(0)
        .says("secrets of api have changed since #2: API_KEY");
    assert_eq!(live(&world), lives[1], "{run}");
    assert_eq!(crons(&world), json!(["0 7 * * *"]), "{run}");
    let posts: Vec<String> = writes(&world);
    assert!(
        posts.iter().all(|line| !line.contains("/versions")),
        "nothing is uploaded: {posts:?}"
    );
    assert_eq!(run.report("rollback")["outcome"], "warning");

    let run = world.run(["rollback"]).exits(0);
    assert_eq!(live(&world), lives[0], "{run}");
    world
        .run(["rollback"])
        .exits(2)
        .says("there is no earlier release");
    assert_eq!(live(&world), lives[0]);
    assert_eq!(statuses(&world), ["live"; 5]);
    list(&world);

    // A release that was left can be named all the same.
    let run = world.run(["rollback", "--to", "3"]).exits(0);
    assert_eq!(live(&world), lives[2], "{run}");

    // What is deployed next stands on that.
    world.change(SITE);
    world.deploy();
    let run = world.run(["rollback"]).exits(0);
    assert_eq!(live(&world), lives[2], "{run}");
}

/// What the list says after two rollbacks.
fn list(world: &World) {
    let run = world.run(["rollback", "--list"]).exits(0);
    for word in [
        "age",
        "author",
        "0001_tags",
        "Tester",
        "rolled back",
        "rollback to #1",
    ] {
        assert!(run.stdout.contains(word), "{word}: {run}");
    }
    let run = world
        .run(["rollback", "--list", "--format", "json"])
        .exits(0);
    let document = run.json();
    let standings: Vec<&Value> = document["releases"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|release| &release["standing"])
        .collect();
    assert_eq!(
        standings,
        [
            "rollback to #1",
            "rollback to #2",
            "rolled back",
            "rolled back",
            "live"
        ],
        "{run}"
    );
    let first = &document["releases"][4];
    assert_eq!(first["schema"]["small-db"], json!(["0001_tags.sql"]));
    assert_eq!(first["id"], document["release"]);
}

#[test]
fn one_worker_goes_back_alone() {
    let (world, lives) = three_releases();
    let run = world.run(["rollback", "--only", "api"]).exits(0);
    assert_eq!(world.split("small-api"), lives[1].splits[2], "{run}");
    assert_eq!(world.split("small-site"), lives[2].splits[0], "{run}");
    assert_eq!(crons(&world), json!(["0 8 * * *"]), "{run}");
    let record = records(&world).pop().expect("a record");
    assert_eq!(record["rollback"]["only"], json!(["small-api"]));
    for script in SCRIPTS {
        assert_eq!(record["versions"][script], world.serving(script).as_str());
    }
    // Once more goes further back; all workers go to what was before the release that was left.
    world.run(["rollback", "--only", "api"]).exits(0);
    assert_eq!(world.split("small-api"), lives[0].splits[2]);
    let run = world
        .run(["rollback", "--postmortem", "API is slow"])
        .exits(0)
        .says("docs/postmortems/");
    assert_eq!(live(&world), lives[1]);
    let folder = world.root().join("docs/postmortems");
    let mut files = std::fs::read_dir(folder).expect("it was made");
    let path = files
        .next()
        .expect("a file")
        .expect("it can be read")
        .path();
    assert!(path.to_string_lossy().ends_with("-api-is-slow.md"), "{run}");
    let text = std::fs::read_to_string(path).expect("it can be read");
    for part in [
        "change workers/api/index.js",
        "roll back site: passed",
        "verify site: passed",
        "## Root cause",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn what_cannot_be_rolled_back_is_told_before_anything_changes() {
    let world = World::new().with_stand_in();
    let run = world
        .run(["rollback"])
        .exits(2)
        .says("no release is on record");
    assert_eq!(writes(&world), [""; 0], "{run}");
    drop(world);
    let world = two_releases();
    let before = live(&world);

    // A version the account no longer has.
    let record = records(&world).remove(0);
    let mut gone = record.clone();
    gone["versions"]["small-api"] = json!("00000000-0000-4000-8000-000000000000");
    let text = gone.to_string().replace('\'', "''");
    world.query(&format!(
        "UPDATE xtask_releases SET record = '{text}' WHERE number = 1"
    ));
    world.clear_journal();
    world
        .run(["rollback"])
        .exits(2)
        .says("cannot be deployed any more")
        .says("api: 00000000-0000-4000-8000-000000000000 is not among the");
    assert_eq!(live(&world), before);
    let text = record.to_string().replace('\'', "''");
    world.query(&format!(
        "UPDATE xtask_releases SET record = '{text}' WHERE number = 1"
    ));

    // Somebody deploys.
    world.query(
        "INSERT INTO xtask_lease (name, token, holder, acquired_at, expires_at) \
         VALUES ('deploy', 't', 'bob@elsewhere pid 1', 'now', unixepoch() + 500)",
    );
    world.run(["rollback"]).exits(3).says("bob@elsewhere");
    assert_eq!(live(&world), before);
    assert_eq!(
        writes(&world),
        [""; 0],
        "nothing but the pipeline's own rows was touched"
    );
    world
        .run(["rollback", "--steal-lock"])
        .exits(0)
        .says("--steal-lock");
    assert_ne!(live(&world), before);

    // No database, no records.
    let world = World::of(&crate::support::repo::one_worker(
        "export default { fetch: () => Response.json({ ok: true }) };",
    ))
    .with_stand_in();
    world
        .run(["rollback"])
        .exits(2)
        .says("there are no release records to go by");
}

#[test]
fn a_worker_that_cannot_be_flipped_takes_the_others_back() {
    let (world, lives) = three_releases();
    // The api is the last to go: everything else has gone back by then.
    world.fault(
        json!({"method": "POST", "path": "small-api/deployments$", "count": 1000,
                       "action": {"status": 500}}),
    );
    let run = world
        .run(["rollback"])
        .exits(3)
        .says("every worker serves what it served before");
    assert_eq!(live(&world), lives[2], "{run}");
    assert_eq!(statuses(&world), ["live", "live", "live", "rolled-back"]);
    // And when the way back is closed, too, it says what differs and how to go on. (The first request is told of the
    // changed secrets, the second one goes through.)
    world.clear_faults();
    world.fault(
        json!({"method": "POST", "path": "small-api/deployments$", "count": 1000,
                       "action": {"status": 500}}),
    );
    world.fault(
        json!({"method": "POST", "path": "small-site/deployments$", "nth": 3, "count": 1000,
                       "action": {"status": 500}}),
    );
    let run = world
        .run(["rollback"])
        .exits(4)
        .says("site: serves")
        .says("it carries on from here");
    assert_ne!(live(&world), lives[2], "{run}");
    expect![[r#"
        workers
        worker  version   change       url
        site    [version]  rolled back  http://small.example.localhost:[port]
        agent   [version]  unchanged    http://small-agent.test.localhost:[port]
        api     [version]  as before    http://small-api.test.localhost:[port]"#]]
    .assert_eq(&world.redact(run.workers()));
    world.clear_faults();
    let run = world.run(["rollback"]).exits(0);
    assert_eq!(live(&world), lives[1], "{run}");
    assert_eq!(
        statuses(&world),
        ["live", "live", "live", "rolled-back", "live"]
    );
}

#[test]
fn a_target_that_is_ill_stays_and_is_told() {
    let world = two_releases();
    world.replace("pipeline.toml", "within = \"20s\"", "within = \"5s\"");
    world.commit("less patience");
    let before = live(&world);
    world.fault(
        json!({"scope": "edge", "path": "^/health$", "count": 100_000,
                       "action": {"status": 503}}),
    );
    let run = world.run(["rollback"]).exits(1).says("is not healthy");
    assert_ne!(live(&world), before, "{run}");
    world.clear_faults();
    let record = records(&world).pop().expect("a record");
    assert_eq!(record["status"], "live", "{run}");
    assert_ne!(record["failed"], json!([]), "{run}");
}
