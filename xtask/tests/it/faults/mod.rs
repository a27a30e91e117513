//! The fault sweep of `deploy`: every request it makes fails, is lost, or is the last thing it does. Afterwards every
//! worker serves the old release or every worker the new one, or exit 4 names what differs; and a rerun converges.
//! How it is steered is in `support/sweep`.

mod check;
pub mod payload;
mod world;

use std::time::Duration;

use crate::faults::check::Sight;
use crate::faults::payload::WORKERS;
use crate::faults::world::{Update, World};
use crate::support::sweep::{Point, Run, Sweep};

/// Where a deploy starts from: every worker is live and every worker changed; an empty account; like an update, and one
/// worker has a pending Durable Object migration.
const SCENARIOS: [&str; 3] = ["update", "first", "durable"];
/// A database with a thousand migrations would make the last point slower than the first.
const RELEASES_MAX: u64 = 40;

#[test]
fn no_known_fault_leaves_a_release_half_done() {
    crate::support::sweep::known(&Deploy);
}

#[test]
#[ignore = "a seeded sample of the fault sweep: scripts/test-all runs it"]
fn no_fault_leaves_a_release_half_done() {
    crate::support::sweep::sweep(&Deploy);
}

struct Deploy;

impl Sweep for Deploy {
    type World = World;
    type Sight = Sight;

    fn scenarios(&self) -> Vec<&'static str> {
        SCENARIOS.to_vec()
    }

    fn world(&self) -> World {
        World::new()
    }

    fn prepare(&self, world: &mut World, scenario: &'static str) {
        if scenario == "first" {
            world.fresh();
        } else {
            if !world.live || world.release >= RELEASES_MAX {
                world.fresh();
                world.deploy();
            }
            world.advance(match scenario {
                "durable" => Update::Durable,
                _ => Update::Plain,
            });
        }
        // A point that ends well leaves a release that serves; a world in which one did not is not used again.
        world.live = true;
    }

    fn arguments(&self, _: &'static str) -> Vec<String> {
        ["deploy", "--jobs", "2"].map(str::to_owned).to_vec()
    }

    fn edges(&self) -> Vec<String> {
        WORKERS.map(|worker| format!("/alive/{worker}")).to_vec()
    }

    fn look(&self, world: &World) -> Sight {
        check::look(world)
    }

    fn after_fault(&self, world: &World, point: &Point, before: &Sight, run: &Run) -> Vec<String> {
        check::after_fault(world, point, before, run)
    }

    fn after_rerun(&self, world: &World, point: &Point, before: &Sight, run: &Run) -> Vec<String> {
        check::after_rerun(world, point, before, run)
    }

    fn regressions(&self) -> &'static [&'static str] {
        &[
            // A Worker that was created although the answer was lost: what waited for it was left to the next round, not failed.
            "first PUT /workers/scripts/sweep-beta 1 drop-after",
            // A version left at 0 % is no difference, and a trigger that was never changed needs no setting back: not exit 4.
            "update POST /workers/scripts/sweep-beta/deployments 2 500-from-then-on",
            "update PUT /workers/scripts/sweep-alpha/schedules 1 500-from-then-on",
            // All promoted, nothing recorded: the record must bear the id of the versions' tag.
            "update POST /workers/scripts/sweep-alpha/deployments 2 kill-after",
        ]
    }

    fn sample(&self) -> (usize, Duration) {
        (12, Duration::from_secs(80))
    }
}
