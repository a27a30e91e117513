//! What is refused, skipped, or said: forks, drafts, quotas, names, secrets, bindings without a rule, and a preview that
//! would not be isolated.

use std::fs;

use serde_json::{Value, json};

use crate::preview::dump::{difference, dump};
use crate::support::{DATABASE, World, repo};

/// An event file of GitHub's, as Actions leaves it.
pub fn event(world: &mut World, change: impl Fn(&mut Value)) {
    let mut pull = json!({
        "number": 7, "state": "open", "title": "Faster", "draft": false, "user": {"login": "ann"},
        "head": {"sha": "a".repeat(40), "ref": "faster", "repo": {"full_name": "shop/site"}},
        "base": {"ref": "main", "repo": {"full_name": "shop/site"}},
    });
    change(&mut pull);
    let path = world.aside("event.json");
    fs::write(&path, json!({ "pull_request": pull }).to_string()).expect("a file can be written");
    world.set("GITHUB_EVENT_PATH", path.to_str().expect("a plain path"));
    world.set("GITHUB_REPOSITORY", "shop/site");
}

fn writes(world: &World) -> Vec<String> {
    let requests = world.requests().into_iter();
    requests
        .filter(|line| !line.starts_with("GET ") && !line.contains("/query"))
        .collect()
}

#[test]
fn a_dry_run_writes_nothing() {
    let world = World::deployed().with_stand_in();
    let (before, files) = (dump(&world, ""), world.files());
    world.clear_journal();
    let run = world.run(["preview", "--pr", "7", "--dry-run"]).exits(0);
    assert!(
        run.stdout
            .contains("make the database small-db-pr-7-preview"),
        "{run}"
    );
    assert!(run.stdout.contains("small-site-pr-7-preview"), "{run}");
    let journal = world.requests();
    assert!(!journal.is_empty(), "it asked nothing");
    assert_eq!(writes(&world), [""; 0]);
    assert_eq!(difference(&before, &dump(&world, "")), [""; 0]);
    assert_eq!(files, world.files(), "files of the repo changed");
}

#[test]
fn what_gets_no_preview_is_told_so_and_costs_nothing() {
    let mut world = World::new().with_stand_in();
    world.clear_journal();
    event(&mut world, |pull| {
        pull["head"]["repo"]["full_name"] = json!("eve/site")
    });
    world
        .run(["preview"])
        .exits(0)
        .says("comes from a fork: its runs get no secrets");
    event(&mut world, |pull| pull["state"] = json!("closed"));
    world
        .run(["preview"])
        .exits(0)
        .says("pull request 7 is closed");
    let text = world.read("pipeline.toml");
    world.edit(
        "pipeline.toml",
        &format!("{text}\n[preview]\ndrafts = false\n"),
    );
    event(&mut world, |pull| pull["draft"] = json!(true));
    world
        .run(["preview"])
        .exits(0)
        .says("pull request 7 is a draft");
    assert_eq!(writes(&world), [""; 0]);
}

#[test]
fn quota_names_and_secrets_are_checked_first() {
    let mut world = World::new().with_stand_in();
    let text = world.read("pipeline.toml");
    world.edit("pipeline.toml", &format!("{text}\n[preview]\nmax = 1\n"));
    world.commit("one preview at a time");
    world.unset("SITE_KEY");
    world
        .run(["preview", "--pr", "7"])
        .exits(0)
        .says("the preview of site has no SITE_KEY: set nowhere");
    let before = dump(&world, "");
    world.clear_journal();
    world
        .run(["preview", "--pr", "8"])
        .exits(2)
        .says("there are 1 previews already, and `preview.max` is 1")
        .says("pr-7-preview");
    // Its own preview may always be updated.
    world.edit(
        "pipeline.toml",
        &format!("{text}\n[preview]\nmax = 1\nsecrets = \"require\"\n"),
    );
    world.commit("secrets are required");
    world
        .run(["preview", "--pr", "7"])
        .exits(2)
        .says("`preview.secrets` is \"require\"");
    // A worker of that name that is no preview is never taken over.
    let bare = json!({ "tags": [] });
    world.cloud().result(
        "PATCH",
        "/workers/scripts/small-api-pr-7-preview/script-settings",
        Some(bare),
    );
    world.set("SITE_KEY", "the-site-key");
    world.clear_journal();
    world
        .run(["preview", "--pr", "7"])
        .exits(2)
        .says("there is a worker `small-api-pr-7-preview` already, and it is not the preview of PR 7 of this repo");
    assert_eq!(writes(&world), [""; 0]);
    let changed = difference(&before, &dump(&world, ""));
    assert!(
        changed
            .iter()
            .all(|line| line.starts_with("script small-api-pr-7-preview")),
        "{changed:#?}"
    );
}

#[test]
fn a_binding_without_a_rule_is_refused_and_one_that_reaches_out_is_left_out() {
    let world = World::of(&repo::one_worker(repo::API_CODE));
    let plain = world.read("worker/wrangler.toml");
    let text = world.read("pipeline.toml");
    world.edit(
        "worker/wrangler.toml",
        &format!("{plain}[[novelties]]\nbinding = \"NEW\"\nid = \"x\"\n"),
    );
    world.commit("a binding nobody knows");
    world
        .run(["preview", "--pr", "7"])
        .exits(2)
        .says("one: there is no rule for the bindings of `novelties`");
    world.edit("worker/wrangler.toml", &plain);
    world.edit(
        "pipeline.toml",
        &format!("{text}\n[preview]\nkeep = [\"JOBS\"]\n"),
    );
    world.commit("a name that keeps nothing");
    world
        .run(["preview", "--pr", "7"])
        .exits(2)
        .says("`preview.keep`: no binding `JOBS` is of a kind that can be kept");
    world.edit("pipeline.toml", &text);
    let queue = "[[queues.producers]]\nbinding = \"JOBS\"\nqueue = \"jobs\"\n[[queues.consumers]]\nqueue = \"jobs\"\n";
    world.edit("worker/wrangler.toml", &format!("{plain}{queue}"));
    world.commit("a queue");
    world
        .run(["preview", "--pr", "7"])
        .exits(0)
        .says("the binding `JOBS` of one (queue) is left out")
        .says("one is not woken by the queue `jobs`");
    assert!(
        !world.cloud_state()["scripts"]["one-pr-7-preview"]
            .to_string()
            .contains("JOBS")
    );
}

/// `keep` and an `unsafe` binding together bring production's database into the config: only what is live tells.
#[test]
fn a_preview_that_reaches_production_is_taken_down() {
    let world = World::deployed();
    let config = "workers/api/wrangler.toml";
    let plain = world.read(config);
    world.edit(
        config,
        &format!(
            "{plain}\n[[unsafe.bindings]]\nname = \"SNEAKY\"\ntype = \"d1\"\nid = \"{DATABASE}\"\n"
        ),
    );
    let text = world.read("pipeline.toml");
    world.edit(
        "pipeline.toml",
        &format!("{text}\n[preview]\nkeep = [\"SNEAKY\"]\n"),
    );
    world.commit("a way around the rules");
    let before = dump(&world, "preview");
    world
        .run(["preview", "--pr", "7"])
        .exits(3)
        .says("the preview could reach what is not its own: it was taken down")
        .says("`SNEAKY` (d1) is bound to production's database");
    let state = world.cloud_state();
    let left: Vec<&String> = state["scripts"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.keys())
        .collect();
    assert!(
        left.iter().all(|name| !name.contains("preview")),
        "{left:?}"
    );
    // Its storage is gone, too: what there is now is what there was.
    assert_eq!(difference(&before, &dump(&world, "")), [""; 0]);
}

/// The api of the preview is right there, and the site asks production's all the same, at an address it wrote down.
#[test]
fn a_call_that_leaves_the_preview_takes_it_down() {
    let world = World::deployed().with_stand_in();
    let production = world.split("small-api")[0].0.clone();
    let text = world.read("pipeline.toml");
    let question = "[[preview.smoke]]\nworker = \"site\"\npath = \"/api\"\nreaches = [\"api\"]\n";
    world.edit("pipeline.toml", &format!("{text}\n{question}"));
    world.replace("pipeline.toml", "within = \"20s\"", "within = \"4s\"");
    let answer =
        format!("Response.json({{ ok: true, version: \"{production}\", worker: \"api\" }})");
    world.replace(
        "workers/site/index.js",
        "env.API.fetch(\"http://api/version\")",
        &answer,
    );
    world.commit("an address of production");
    let before = dump(&world, "preview");
    world
        .run(["preview", "--pr", "7"])
        .exits(3)
        .says("a call left the preview: it was taken down")
        .says(&format!(
            "its answer names the version `{production}`, which is not of this preview"
        ));
    assert_eq!(difference(&before, &dump(&world, "")), [""; 0]);
}

#[test]
fn shared_data_is_said_loudly_and_never_migrated() {
    let world = World::deployed().with_stand_in();
    let text = world.read("pipeline.toml");
    world.edit(
        "pipeline.toml",
        &format!("{text}\n[preview]\ndata = \"shared\"\n"),
    );
    world.edit("migrations/0002_more.sql", "CREATE TABLE more (x);\n");
    world.commit("shared data, and a migration");
    let before = dump(&world, "preview");
    let run = world.run(["preview", "--pr", "7"]).exits(0);
    let run = run
        .says("PRODUCTION'S DATA")
        .says("production's database lacks 0002_more.sql");
    assert_eq!(
        difference(&before, &dump(&world, "preview")),
        [""; 0],
        "{run}"
    );
    let state = world.cloud_state();
    assert!(
        state["scripts"]["small-site-pr-7-preview"]
            .to_string()
            .contains(DATABASE)
    );
    assert_eq!(
        state["d1"].as_object().map_or(0, |all| all.len()),
        1,
        "no database was made"
    );
}
