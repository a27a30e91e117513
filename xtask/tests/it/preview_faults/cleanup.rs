//! The sweep of `cleanup`. The preview it takes down is made through the API, as `preview` makes it.

use std::time::Duration;

use serde_json::{Value, json};
use xtask::preview::{Key, names};

use crate::cleanup::made::{self, REPO};
use crate::preview::dump::Dump;
use crate::preview_faults::{changed, comments, deployments, orphans, others, pull, things};
use crate::support::sweep::points::Kind;
use crate::support::sweep::{self, Point, Run, Sweep, left};
use crate::support::{DATABASE, World};

/// One preview by its number; all those of closed pull requests.
const SCENARIOS: [&str; 2] = ["pr", "stale"];

#[test]
fn no_known_fault_of_a_cleanup_reaches_anything_else() {
    sweep::known(&Cleanup);
}

#[test]
#[ignore = "a seeded sample of the fault sweep: scripts/test-all runs it"]
fn no_fault_of_a_cleanup_reaches_anything_else() {
    sweep::sweep(&Cleanup);
}

struct Cleanup;

fn d1(id: &str) -> Value {
    json!({"type": "d1", "name": "DB", "id": id})
}

/// As little of a preview as shows everything: one of each kind of storage, and workers that call the one before.
fn make(world: &World, key: Key, scripts: &[&str]) {
    let (suffix, marker) = (key.suffix(), made::marker(key));
    let database = made::database(
        world,
        &format!("small-db-{suffix}"),
        Some((&made::own(), &suffix)),
    );
    let pairs = [("xtask-preview", marker.as_str()), ("page", "cached")];
    made::namespace(world, &format!("small-kv-b6b44e27-{suffix}"), &pairs);
    // No config of this checkout leads to the bucket: the pull request brought it.
    let bucket = format!("brought-{suffix}");
    let objects = [("logo.png", "png")];
    made::bucket(world, &bucket, Some(&made::rule(key)), &objects);
    let files = json!({"type": "r2_bucket", "name": "FILES", "bucket_name": bucket});
    let mut bindings = vec![d1(&database), files];
    let mut tags = names::tags(key, &made::own());
    tags.extend(names::stores_tags([&bucket], &[]));
    for script in scripts {
        let name = format!("{script}-{suffix}");
        made::worker(world, &name, &bindings, &tags);
        bindings = vec![json!({"type": "service", "name": "NEXT", "service": name})];
    }
}

impl Sweep for Cleanup {
    type World = World;
    type Sight = Dump;

    fn scenarios(&self) -> Vec<&'static str> {
        SCENARIOS.to_vec()
    }

    fn world(&self) -> World {
        let mut world = World::of(&made::sources());
        world.set("GITHUB_REPOSITORY", REPO);
        made::adopted(&world);
        world.query("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('production');");
        made::object(&world, "small-images", "logo.png", "production's");
        made::worker(&world, "small-api", &[d1(DATABASE)], &[]);
        made::open_pull(&world, 8, "open");
        make(&world, Key::Pr(8), &["small-api"]);
        world
    }

    fn prepare(&self, world: &mut World, scenario: &'static str) {
        assert!(things(world).is_empty(), "the point before ended well");
        made::open_pull(world, 7, "open");
        make(world, Key::Pr(7), &["small-api", "small-agent"]);
        if comments(world, REPO).is_empty() {
            let comment = json!({"body": "<!-- xtask-preview -->\n### ready"});
            made::github(world, "POST", "/issues/7/comments", Some(comment));
        }
        let deployment = json!({"ref": "c".repeat(40), "environment": "preview/pr-7"});
        let made = made::github(world, "POST", "/deployments", Some(deployment));
        let state = json!({"state": "success"});
        let path = format!("/deployments/{}/statuses", made["id"]);
        made::github(world, "POST", &path, Some(state));
        if scenario == "stale" {
            pull(world, REPO, json!({"state": "closed"}));
        }
    }

    fn arguments(&self, scenario: &'static str) -> Vec<String> {
        let words: &[&str] = match scenario {
            "pr" => &["cleanup", "--pr", "7"],
            _ => &["cleanup", "--stale"],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn edges(&self) -> Vec<String> {
        Vec::new()
    }

    fn look(&self, world: &World) -> Dump {
        others(world)
    }

    fn after_fault(&self, world: &World, point: &Point, before: &Dump, run: &Run) -> Vec<String> {
        let mut wrong = changed(before, world);
        if !run.killed && !matches!(run.exit, Some(0 | 3)) {
            wrong.push(format!("exit {:?}", run.exit));
        }
        if run.exit == Some(0) && !things(world).is_empty() {
            wrong.push(format!("exit 0, but there is still {:?}", things(world)));
        }
        // Asked whether it is closed, GitHub did not say so: a doubt deletes nothing.
        let doubt =
            point.scenario == "stale" && point.method == "GET" && point.path.contains("/pulls");
        if doubt && run.exit != Some(0) && things(world).len() < 5 {
            wrong.push(format!(
                "in doubt it deleted: there is only {:?}",
                things(world)
            ));
        }
        let open = point.scenario == "pr";
        wrong.extend(orphans(world, REPO));
        if !open {
            pull(world, REPO, json!({"state": "closed"}));
        }
        wrong.extend(left::left_behind(world, &[]));
        wrong
    }

    fn after_rerun(&self, world: &World, point: &Point, before: &Dump, run: &Run) -> Vec<String> {
        let mut wrong = changed(before, world);
        if run.exit != Some(0) {
            wrong.push(format!("the rerun ended with {:?}", run.exit));
        }
        if !things(world).is_empty() {
            wrong.push(format!("there is still {:?}", things(world)));
        }
        // While GitHub took nothing, `--stale` could not tell, and said what does.
        if point.scenario == "stale"
            && point.kind == Kind::Status500Always
            && point.path.starts_with("/repos/")
        {
            world.run(["cleanup", "--pr", "7"]).exits(0);
        }
        let told = comments(world, REPO);
        // `--stale` looks for what is there: it does not tell again of what a killed run took away.
        let gone = |text: &str| {
            text.contains("was removed")
                || point.scenario == "stale" && text.contains("is being removed")
        };
        if told.len() != 1 || !gone(&told[0]) {
            wrong.push(format!("the comments of the pull request: {told:#?}"));
        }
        let states = deployments(world, REPO);
        if states.is_empty() || states.iter().any(|state| state != "inactive") {
            wrong.push(format!("the deployments of the pull request: {states:?}"));
        }
        wrong
    }

    fn regressions(&self) -> &'static [&'static str] {
        &[
            // Behind a 500 stood a code that means elsewhere that the thing is gone: it counted as deleted.
            "pr DELETE /r2/buckets/brought-pr-7-preview 1 500-from-then-on",
            // The same when a bucket was asked whose it is: it counted as one that went meanwhile, and was left.
            "pr GET /r2/buckets/brought-pr-7-preview/lifecycle 1 500-from-then-on",
            // The bucket was empty, its Workers were gone, and it was there.
            "pr DELETE /r2/buckets/brought-pr-7-preview 1 kill-before",
            // All was gone, and the comment still said that the preview is ready.
            "stale GET /repos/acme/site/deployments 2 kill-before",
        ]
    }

    /// The points bound it, not the time: recording alone takes its time on a busy machine.
    fn sample(&self) -> (usize, Duration) {
        (6, Duration::from_secs(600))
    }
}
