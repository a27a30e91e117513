//! Whole runs of `cargo xtask ci` that are killed, run short of disk, meet damaged results or each other: what is
//! wrong is never reported as passed, and what passed is not lost. The repo has one worker whose checks pass and one
//! whose test says what a file of its own says.

#![expect(
    clippy::disallowed_methods,
    reason = "the test is the world outside: it kills runs and takes their disk away"
)]

mod disk;
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use world::{Checked, repo, verdict};

/// A run is killed so many times, each time at another moment.
const KILLS: u32 = 7;

/// A sequence that is the same in every run of the tests.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below.max(1)
    }
}

#[test]
fn a_killed_run_leaves_no_wrong_result_and_loses_none() {
    let world = repo();
    world.check(&["ci"]).all_well();
    verdict(&world, "wrong");
    let begun = Instant::now();
    world.check(&["ci", "--keep-going"]).tells_the_truth();
    let whole = begun.elapsed();
    let mut seeded = Seeded(7);
    let mut midway = 0;
    for round in 0..KILLS {
        // The report of this run must not be taken for that of the next.
        verdict(&world, "fine");
        world.check(&["ci"]).all_well();
        verdict(&world, &format!("wrong {round}"));
        let slice = u64::try_from(whole.as_micros()).expect("it is short") / u64::from(KILLS);
        let wait = Duration::from_micros(slice * u64::from(round) + seeded.next(slice));
        midway += u32::from(world.kill_after(&["ci", "--keep-going"], wait));
        if let Some(report) = world.last_report() {
            assert_eq!(report["outcome"], "failure", "killed after {wait:?}");
        }
        let after = world.check(&["ci", "--keep-going"]);
        after.tells_the_truth();
        for id in ["check sound", "lint sound", "test sound", "build sound"] {
            assert_eq!(after.status(id), "cached", "killed after {wait:?}\n{after}");
        }
        // Nor does the rerun lose what it found: only the failed step runs again.
        let again = world.check(&["ci", "--keep-going"]);
        again.tells_the_truth();
        assert_eq!(again.ran(), ["config", "test doubtful"], "{again}");
    }
    assert!(midway >= KILLS / 2, "only {midway} runs were still at work");
    verdict(&world, "fine");
    world.check(&["ci"]).all_well();
}

#[test]
fn a_damaged_result_is_made_again() {
    let world = repo();
    world.check(&["ci"]).all_well();
    let files = world.results();
    assert!(files.len() >= 7, "{files:?}");
    let whole: Vec<Vec<u8>> = files
        .iter()
        .map(|file| fs::read(file).expect("a result"))
        .collect();
    let mut seeded = Seeded(11);
    for round in 0..2 {
        for (index, file) in files.iter().enumerate() {
            let mut bytes = whole[index].clone();
            let at = usize::try_from(seeded.next(bytes.len() as u64)).expect("it is short");
            match (index + round) % 5 {
                0 => bytes[at] ^= 1 << seeded.next(8),
                1 => bytes.truncate(at),
                2 => bytes.clear(),
                3 => bytes.clone_from(&whole[(index + 1) % whole.len()]),
                _ => bytes.extend_from_slice(b"\n{}"),
            }
            fs::write(file, bytes).expect("a result can be damaged");
        }
        // Each step that was cached runs, and passes on its own merit.
        let run = world.check(&["ci"]);
        run.all_well();
        assert_eq!(run.with_status("cached"), [""; 0], "round {round}: {run}");
        let again = world.check(&["ci"]);
        assert_eq!(again.ran(), ["config"], "round {round}: {again}");
    }
}

#[test]
fn two_runs_at_once_both_tell_the_truth_and_keep_everything() {
    let world = repo();
    for round in 0..2 {
        verdict(&world, &format!("wrong {round}"));
        let arguments = ["ci", "--keep-going", "--format", "json"];
        let runs = [world.start(&arguments), world.start(&arguments)];
        let runs = runs.map(|run| Checked::of(run.end()));
        for run in &runs {
            run.tells_the_truth();
        }
        let report = world.last_report().expect("a whole report");
        assert_eq!(report["outcome"], "failure");
        let again = world.check(&["ci", "--keep-going"]);
        assert_eq!(again.ran(), ["config", "test doubtful"], "{again}");
    }
}

#[test]
fn a_file_that_changes_while_a_step_runs_is_not_taken_for_passed() {
    let world = repo();
    verdict(&world, "wrong");
    // The step waits until the file is fine, and passes: on contents that the run did not begin with.
    world.edit("workers/doubtful/.wrangler/wait", "");
    let run = world.start(&["ci", "--keep-going", "--format", "json"]);
    let until = Instant::now() + Duration::from_secs(120);
    while !world
        .root()
        .join("workers/doubtful/.wrangler/waiting")
        .exists()
    {
        assert!(Instant::now() < until, "the step does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    verdict(&world, "fine");
    let run = Checked::of(run.end());
    assert_eq!(run.status("test doubtful"), "passed", "{run}");
    assert!(
        run.stderr().contains("`test doubtful` is not cached"),
        "{run}"
    );
    verdict(&world, "wrong");
    world.remove("workers/doubtful/.wrangler/wait");
    world.check(&["ci", "--keep-going"]).tells_the_truth();
}

/// What a run with too little disk must hold to, whatever it could not write.
fn short_of_disk(run: &Checked) {
    assert_ne!(run.code(), Some(0), "{run}");
    for id in ["lint sound", "test sound"] {
        assert!(
            ["passed", "cached"].contains(&run.status(id).as_str()),
            "{id}: {run}"
        );
    }
    assert_eq!(run.status("test doubtful"), "failed", "{run}");
}

#[test]
fn a_full_disk_costs_results_and_never_the_truth() {
    let world = repo();
    verdict(&world, "wrong");
    for round in 0..2 {
        let run = world.check_without_files();
        short_of_disk(&run);
        assert!(
            run.stderr().contains("was not kept"),
            "round {round}: {run}"
        );
    }
    assert!(world.results().is_empty(), "nothing can have been kept");
    if let Some(disk) = disk::SmallDisk::mount(&world.root().join(".xtask"), "64k") {
        disk.fill(4096);
        for _ in 0..2 {
            short_of_disk(&world.check(&["ci", "--keep-going"]));
        }
        let kept: BTreeSet<String> = world.results_by_step();
        assert!(!kept.contains("test doubtful"), "{kept:?}");
    } else {
        eprintln!("without root the disk is full by a limit only");
    }
    // With room again, everything is as it should be.
    world.check(&["ci", "--keep-going"]).tells_the_truth();
    verdict(&world, "fine");
    world.check(&["ci"]).all_well();
    assert_eq!(world.check(&["ci"]).ran(), ["config"]);
}

/// The ids of a report's steps with their statuses.
fn statuses(report: &Value) -> Vec<(String, String)> {
    let steps = report["steps"].as_array().expect("a report has steps");
    let text = |step: &Value, field: &str| step[field].as_str().unwrap_or_default().to_owned();
    steps
        .iter()
        .map(|step| (text(step, "id"), text(step, "status")))
        .collect()
}
