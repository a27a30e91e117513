//! The sweep of `preview`.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::preview::dump::Dump;
use crate::preview_faults::payload::{self, IGNORED, REPOSITORY, SECRETS, WORKERS, script};
use crate::preview_faults::{
    MARK, changed, comments, deployments, orphans, others, pull, things, uncomment,
};
use crate::support::sweep::{self, Point, Run, Sweep, left};

/// Where a preview starts from: there is none; there is one of the commit before; like that, and neither its database nor its
/// Durable Objects fit any more.
const SCENARIOS: [&str; 3] = ["new", "push", "anew"];
/// A database with a thousand migrations would make the last point slower than the first.
const PUSHES_MAX: u64 = 30;

#[test]
fn no_known_fault_of_a_preview_reaches_production() {
    sweep::known(&Preview);
}

#[test]
#[ignore = "a seeded sample of the fault sweep: scripts/test-all runs it"]
fn no_fault_of_a_preview_reaches_production() {
    sweep::sweep(&Preview);
}

struct Preview;

/// A repo, production and the preview of pull request 7.
struct World {
    inner: crate::support::World,
    push: u64,
    tag: u64,
    first: u64,
    /// True when the preview serves the newest push.
    live: bool,
}

impl Borrow<crate::support::World> for World {
    fn borrow(&self) -> &crate::support::World {
        &self.inner
    }
}

impl World {
    fn push(&mut self) {
        self.push += 1;
        for (path, text) in payload::files(self.push, self.tag, self.first) {
            self.inner.edit(&path, &text);
        }
        let sha = self.inner.commit(&format!("push {}", self.push));
        pull(
            &self.inner,
            REPOSITORY,
            json!({"sha": sha, "branch": "topic", "state": "open"}),
        );
    }

    /// Takes the preview away, and what GitHub was told of it.
    fn clear(&mut self) {
        let run = self.inner.run(["cleanup", "--pr", "7"]).exits(0);
        assert!(things(&self.inner).is_empty(), "{run}");
        uncomment(&self.inner, REPOSITORY);
        self.live = false;
        if self.push > PUSHES_MAX {
            let _ = std::fs::remove_dir_all(self.inner.root().join("migrations"));
            self.push = 0;
        }
    }
}

impl Sweep for Preview {
    type World = World;
    type Sight = Dump;

    fn scenarios(&self) -> Vec<&'static str> {
        SCENARIOS.to_vec()
    }

    fn world(&self) -> World {
        let mut inner = crate::support::World::of(&[(".gitignore", IGNORED)]).with_stand_in();
        for (name, value) in SECRETS {
            inner.set(name, value);
        }
        inner.set("GITHUB_REPOSITORY", REPOSITORY);
        let mut world = World {
            inner,
            push: 0,
            tag: 1,
            first: 1,
            live: false,
        };
        world.push();
        world.inner.deploy();
        world
    }

    fn prepare(&self, world: &mut World, scenario: &'static str) {
        if scenario == "new" || world.push > PUSHES_MAX {
            world.clear();
        }
        if scenario != "new" && !world.live {
            world.push();
            world.inner.run(["preview", "--pr", "7"]).exits(0);
        }
        if scenario == "anew" {
            world.tag += 1;
            world.first += 1;
        }
        world.push();
        // A point that ends well leaves a preview that serves; a world in which one did not is not used again.
        world.live = true;
    }

    fn arguments(&self, _: &'static str) -> Vec<String> {
        ["preview", "--pr", "7", "--jobs", "2"]
            .map(str::to_owned)
            .to_vec()
    }

    fn edges(&self) -> Vec<String> {
        ["/alive/alpha", "/alive/beta", "/beta"]
            .map(str::to_owned)
            .to_vec()
    }

    fn look(&self, world: &World) -> Dump {
        others(&world.inner)
    }

    fn after_fault(&self, world: &World, _: &Point, before: &Dump, run: &Run) -> Vec<String> {
        let mut wrong = changed(before, &world.inner);
        // 1: it does not answer. 3: the cloud refuses. 4: it had to be taken down, and was not completely.
        if !run.killed && !matches!(run.exit, Some(0 | 1 | 3 | 4)) {
            wrong.push(format!(
                "exit {:?}: no fault of the cloud is a set-up error",
                run.exit
            ));
        }
        // What is left over is looked for on the main branch, which does not know the storage the pull request brings.
        let there = payload::without_storage();
        let here: Vec<String> = there
            .iter()
            .map(|(path, _)| world.inner.read(path))
            .collect();
        for (path, text) in &there {
            world.inner.edit(path, text);
        }
        wrong.extend(orphans(&world.inner, REPOSITORY));
        for ((path, _), text) in there.iter().zip(here) {
            world.inner.edit(path, &text);
        }
        wrong.extend(left::left_behind(&world.inner, &SECRETS));
        wrong
    }

    fn after_rerun(&self, world: &World, _: &Point, before: &Dump, run: &Run) -> Vec<String> {
        let mut wrong = changed(before, &world.inner);
        if run.exit != Some(0) {
            wrong.push(format!("the rerun ended with {:?}", run.exit));
        }
        let found: BTreeSet<String> = things(&world.inner).into_iter().collect();
        let wanted = [
            "sweep-alpha",
            "sweep-beta",
            "sweep-db",
            "sweep-files",
            "sweep-kv-c7f02d1b",
        ];
        let wanted: BTreeSet<String> = wanted.iter().map(|name| format!("{name}-{MARK}")).collect();
        if found != wanted {
            wrong.push(format!("the preview consists of {found:?}"));
        }
        let commit = world.inner.git(&["rev-parse", "--short=7", "HEAD"]);
        for worker in WORKERS {
            let host = format!("{}-{MARK}.test.localhost", script(worker));
            let answer = world.inner.edge_get(&host, &format!("/alive/{worker}"));
            let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
            if (answer.status, &body["release"], &body["n"])
                != (200, &json!(format!("pr7-{commit}")), &json!(world.push))
            {
                wrong.push(format!(
                    "{worker} answers {}: {}",
                    answer.status, answer.body
                ));
            }
            if worker == "alpha" && body["town"] != "Talihina" {
                wrong.push(format!("alpha does not find what was seeded: {body}"));
            }
        }
        let told = comments(&world.inner, REPOSITORY);
        if told.len() != 1 || !told[0].contains("is ready") || !told[0].contains(&commit) {
            wrong.push(format!("the comments of the pull request: {told:#?}"));
        }
        let states = deployments(&world.inner, REPOSITORY);
        let active = states
            .iter()
            .filter(|state| *state != "inactive")
            .collect::<Vec<_>>();
        if active != ["success"] {
            wrong.push(format!("the deployments of the pull request: {states:?}"));
        }
        wrong.extend(left::left_behind(&world.inner, &SECRETS));
        wrong
    }

    fn regressions(&self) -> &'static [&'static str] {
        // The database was made and not marked yet: on the main branch nothing led to it.
        &["new POST /d1/database 1 kill-after"]
    }

    /// The points bound it, not the time: recording alone takes its time on a busy machine.
    fn sample(&self) -> (usize, Duration) {
        (4, Duration::from_secs(600))
    }
}
