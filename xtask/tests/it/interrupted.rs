//! Ctrl-C as a terminal sends it, to the whole process group, while a verb reads the cloud: exit 130, and nothing was changed.
#![cfg(unix)]

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{World, repo};

/// A signal ends a run this quickly, whatever it waits for.
const SOON: Duration = Duration::from_secs(5);

fn interrupt(world: &World, arguments: &[&str]) {
    let running = world.start(arguments);
    let until = Instant::now() + Duration::from_secs(60);
    while world.faults_fired() == 0 {
        assert!(Instant::now() < until, "{arguments:?} never asks");
        std::thread::sleep(Duration::from_millis(20));
    }
    // In the middle of the request, or of the pause after it.
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    running.signal_group("INT");
    let run = running.end().exits(130);
    assert!(
        begun.elapsed() < SOON,
        "{arguments:?} took {:?}",
        begun.elapsed()
    );
    assert!(
        run.stderr.contains("interrupted: nothing was changed"),
        "{run}"
    );
    assert!(!run.stderr.contains("bug"), "{run}");
    world.clear_faults();
}

#[test]
fn ctrl_c_while_the_cloud_is_read_is_no_bug() {
    let world = World::of(&repo::one_worker(repo::API_CODE));
    let slow = json!({"method": "GET", "path": "workers/scripts", "count": 100, "action": {"delay_ms": 20000}});
    for verb in ["deploy", "status"] {
        world.fault(slow.clone());
        interrupt(&world, &[verb]);
    }
    assert_eq!(world.uploads(), [""; 0]);
}

/// A service that is ill is asked again after a pause; the pause ends, too.
#[test]
fn ctrl_c_ends_a_pause_between_two_tries() {
    let mut world = World::of(&repo::one_worker(repo::API_CODE));
    world.set("XTASK_PAUSES", "1");
    world.fault(json!({"method": "GET", "path": "workers/scripts", "count": 100, "action": {"status": 503}}));
    interrupt(&world, &["deploy"]);
}
