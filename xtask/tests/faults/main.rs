//! The fault sweep of `deploy`: every request it makes fails, is lost, or is the last thing it does. Afterwards every
//! worker serves the old release or every worker the new one, or exit 4 names what differs; and a rerun converges.
//!
//! `cargo test` tries a seeded sample (`XTASK_SWEEP_SEED`) of six kinds of faults; `scripts/sweep.sh` (`XTASK_SWEEP=full`) gives
//! every request three, and `XTASK_SWEEP=every-kind` all six. `XTASK_SWEEP_FROM=200` goes on where an earlier run was stopped:
//! the same seed means the same order. One point again: `XTASK_SWEEP_POINT='update POST /workers/scripts/sweep-beta/deployments 2 drop-after'`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test starts programs and reads its own settings"
)]

mod check;
mod left;
mod payload;
mod points;
mod world;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::points::{Point, SCENARIOS, Scenario};
use crate::world::{Run, World};

const SEED: u64 = 20_261_123;
/// The sample: so many points, so that a seed means the same points on every machine, and no new one after so long. CI
/// gives the whole test three minutes.
const SAMPLE_POINTS: usize = 12;
const SAMPLE_TIME: Duration = Duration::from_secs(120);
/// Points that once went wrong: every sample begins with them.
const REGRESSIONS: [&str; 3] = [
    // A version left at 0 % is no difference, and a trigger that was never changed needs no setting back: not exit 4.
    "update POST /workers/scripts/sweep-beta/deployments 2 500-from-then-on",
    "update PUT /workers/scripts/sweep-alpha/schedules 1 500-from-then-on",
    // All promoted, nothing recorded: the record must bear the id of the versions' tag.
    "update POST /workers/scripts/sweep-alpha/deployments 2 kill-after",
];
/// Worlds side by side.
const WORLDS: usize = 2;

/// What one point came to.
struct Tried {
    point: String,
    /// The exit of the first run; `None` when it was killed.
    exit: Option<i32>,
    /// True when the request never came: the fault fired nowhere.
    missed: bool,
    wrong: Vec<String>,
    took: Duration,
}

#[test]
fn no_fault_leaves_a_release_half_done() {
    let started = Instant::now();
    let setting = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let number = |name: &str| {
        let text = setting(name)?;
        Some(
            text.parse()
                .unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")),
        )
    };
    let sweep = setting("XTASK_SWEEP");
    let wanted = setting("XTASK_SWEEP_POINT");
    let seed = number("XTASK_SWEEP_SEED").unwrap_or(SEED);
    let from = number("XTASK_SWEEP_FROM").unwrap_or(0);
    let mut points = all_points(wanted.as_deref());
    match sweep.as_deref() {
        None | Some("every-kind") => {}
        Some("full") => points.retain(Point::is_hard),
        Some(other) => panic!("XTASK_SWEEP is `full` or `every-kind`, not `{other}`"),
    }
    let of = points.len();
    if let Some(wanted) = &wanted {
        points.retain(|point| point.to_string().contains(wanted.as_str()));
        assert!(!points.is_empty(), "no point is named `{wanted}`");
    } else {
        points::shuffle(&mut points, seed);
        if sweep.is_none() {
            points = sample(points);
        }
    }
    let skipped = usize::try_from(from)
        .unwrap_or(usize::MAX)
        .min(points.len());
    points.drain(..skipped);
    let sample = sweep.is_none() && wanted.is_none();
    let tried = try_all(points, skipped, sample.then_some(started + SAMPLE_TIME));
    let missed = tried.iter().filter(|one| one.missed).count();
    let failed: Vec<&Tried> = tried.iter().filter(|one| !one.wrong.is_empty()).collect();
    eprintln!(
        "fault sweep: seed {seed}, tried {} of {of} points from number {from} on ({missed} met no request), {} failed, {} s",
        tried.len(),
        failed.len(),
        started.elapsed().as_secs()
    );
    for exit in [Some(0), Some(1), Some(3), Some(4), None] {
        let count = tried.iter().filter(|one| one.exit == exit).count();
        eprintln!(
            "  {count} ended with {}",
            exit.map_or("a kill".to_owned(), |code| format!("exit {code}"))
        );
    }
    for one in &failed {
        eprintln!(
            "\nXTASK_SWEEP_POINT='{}'\n  {}",
            one.point,
            one.wrong.join("\n  ")
        );
    }
    assert!(
        failed.is_empty(),
        "{} points failed: see above",
        failed.len()
    );
}

/// The points that went wrong once, then writes and reads in turn: most requests read, and reads break little.
fn sample(points: Vec<Point>) -> Vec<Point> {
    let (known, rest): (Vec<Point>, Vec<Point>) = points
        .into_iter()
        .partition(|point| REGRESSIONS.contains(&point.to_string().as_str()));
    assert_eq!(
        known.len(),
        REGRESSIONS.len(),
        "a deploy makes other requests now: {known:?}"
    );
    let (reads, writes): (Vec<Point>, Vec<Point>) = rest.into_iter().partition(Point::reads);
    let turns = writes
        .into_iter()
        .zip(reads)
        .flat_map(|(write, read)| [write, read]);
    known.into_iter().chain(turns).take(SAMPLE_POINTS).collect()
}

/// The points of all scenarios, or of the one that `wanted` begins with. Each is recorded in a world of its own, side by side.
fn all_points(wanted: Option<&str>) -> Vec<Point> {
    let scenarios: Vec<Scenario> = SCENARIOS
        .into_iter()
        .filter(|scenario| wanted.is_none_or(|point| point.starts_with(scenario.name())))
        .collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = scenarios
            .iter()
            .map(|scenario| scope.spawn(|| points::record(&mut World::new(), *scenario, false)))
            .collect();
        let lists = threads
            .into_iter()
            .map(|thread| thread.join().expect("a recording"));
        lists.flatten().collect()
    })
}

fn try_all(points: Vec<Point>, skipped: usize, until: Option<Instant>) -> Vec<Tried> {
    let (all, queue) = (points.len(), Mutex::new(VecDeque::from(points)));
    let tried = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORLDS.min(all) {
            scope.spawn(|| {
                let mut world = None;
                while until.is_none_or(|until| Instant::now() < until) {
                    let next = queue.lock().expect("the queue").pop_front();
                    let Some(point) = next else { break };
                    let one = try_one(&mut world, &point);
                    let mut tried = tried.lock().expect("the list");
                    tried.push(one);
                    let last = tried.last().expect("it was just added");
                    say(last, skipped + tried.len(), skipped + all);
                }
            });
        }
    });
    tried.into_inner().expect("the list")
}

fn say(one: &Tried, number: usize, all: usize) {
    let exit = one
        .exit
        .map_or("killed".to_owned(), |code| format!("exit {code}"));
    let verdict = match (one.wrong.is_empty(), one.missed) {
        (true, false) => "ok",
        (true, true) => "ok, no request met",
        (false, _) => "FAILED",
    };
    eprintln!(
        "{number}/{all} {} {exit} {:.1} s {verdict}",
        one.point,
        one.took.as_secs_f64()
    );
    for line in &one.wrong {
        eprintln!("    {line}");
    }
}

/// Tries one point. A world in which something went wrong is not used again.
fn try_one(slot: &mut Option<(World, bool)>, point: &Point) -> Tried {
    let started = Instant::now();
    let (mut world, live) = slot.take().unwrap_or_else(|| (World::new(), false));
    let mut tried = Tried {
        point: point.to_string(),
        exit: None,
        missed: false,
        wrong: Vec::new(),
        took: Duration::ZERO,
    };
    let result = catch_unwind(AssertUnwindSafe(|| {
        suffer(&mut world, live, point, &mut tried)
    }));
    if result.is_err() {
        tried
            .wrong
            .push("the test itself panicked: see above".to_owned());
    }
    if tried.wrong.is_empty() {
        *slot = Some((world, true));
    }
    tried.took = started.elapsed();
    tried
}

fn suffer(world: &mut World, live: bool, point: &Point, tried: &mut Tried) {
    point.scenario.prepare(world, live);
    let before = check::look(world);
    point.arm(world);
    let fault = |world: &World, field: &str| {
        world.get("/_local/faults")["faults"][0][field]
            .as_u64()
            .unwrap_or(0)
            > 0
    };
    let run = world.deploy(|world| point.kills() && fault(world, "hanging"));
    tried.exit = run.exit;
    tried.missed = !fault(world, "fired");
    world.forget_faults();
    tried
        .wrong
        .extend(check::after_fault(world, point, &before, &run));
    // A release that is complete already needs no second run to become so, and half of the points end like that.
    if run.exit == Some(0) && check::after_rerun(world, point, &before, &run).is_empty() {
        return keep_said(tried, &[("the run that met the fault", &run)]);
    }
    let again = world.deploy(|_| false);
    tried
        .wrong
        .extend(check::after_rerun(world, point, &before, &again));
    keep_said(
        tried,
        &[("the run that met the fault", &run), ("the rerun", &again)],
    );
}

/// What the runs said, when something is wrong.
fn keep_said(tried: &mut Tried, runs: &[(&str, &Run)]) {
    if tried.wrong.is_empty() {
        return;
    }
    for (title, run) in runs {
        let said = format!("--- {title} said:\n{}", run.stderr);
        tried.wrong.push(said);
    }
}
