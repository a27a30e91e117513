//! Fault sweeps: every request a verb makes fails for good, is lost, or is the last thing the verb does; afterwards
//! everything is as the verb's own check wants it, and a rerun converges. A test crate includes this module beside `support`
//! and says in a [`Sweep`] what is swept.
//!
//! `cargo test` tries the points that are known by name ([`known`]); `scripts/test-all` also a seeded sample
//! (`XTASK_SWEEP_SEED`) of six kinds of faults; `scripts/sweep.sh` (`XTASK_SWEEP=full`) gives every request three, and
//! `XTASK_SWEEP=every-kind` all six. `XTASK_SWEEP_FROM=200` goes on where an earlier run was stopped:
//! the same seed means the same order. One point again: `XTASK_SWEEP_POINT='update POST /workers/scripts/sweep-beta/deployments 2 drop-after'`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a sweep reads its own settings and says how far it is"
)]

mod known;
pub mod left;
pub mod points;
pub mod run;

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub use known::known;
pub use points::Point;
pub use run::Run;

use crate::support::World;

/// The order of the points, unless another is asked for.
const SEED: u64 = 20_261_123;

/// So many points are tried in one world: what its cloud keeps for ever (the releases, deployments and statuses of each
/// run) would make the last points slower than the first.
const POINTS_MAX: usize = 50;

/// What is swept.
pub trait Sweep: Sync {
    /// A repo and its cloud. One in which something went wrong is not used again.
    type World: Borrow<World> + Send;
    /// What there was before the fault.
    type Sight;

    /// Where the verb starts from; the first word of a point.
    fn scenarios(&self) -> Vec<&'static str>;
    /// A world; nothing of it is prepared.
    fn world(&self) -> Self::World;
    /// Brings a world to where the scenario starts, whatever was tried in it before.
    fn prepare(&self, world: &mut Self::World, scenario: &'static str);
    /// The arguments of the verb.
    fn arguments(&self, scenario: &'static str) -> Vec<String>;
    /// How a healthy run of a scenario ends.
    fn exit(&self, _scenario: &'static str) -> i32 {
        0
    }
    /// The paths at which the verb asks workers.
    fn edges(&self) -> Vec<String>;
    /// Looks at everything that may change.
    fn look(&self, world: &Self::World) -> Self::Sight;
    /// What is wrong after the run that met the fault; nothing, when all is well.
    fn after_fault(
        &self,
        world: &Self::World,
        point: &Point,
        before: &Self::Sight,
        run: &Run,
    ) -> Vec<String>;
    /// What is wrong after the same command was run again without a fault.
    fn after_rerun(
        &self,
        world: &Self::World,
        point: &Point,
        before: &Self::Sight,
        run: &Run,
    ) -> Vec<String>;
    /// Points that once went wrong or that guard data, each with the reason in a comment: every run of the tests tries them.
    fn regressions(&self) -> &'static [&'static str];
    /// So many points are a sample, so that a seed means the same points on every machine; and no new one after so long,
    /// counted from where the first is tried.
    fn sample(&self) -> (usize, Duration);
    /// Worlds side by side; of a sample other tests run beside it.
    fn worlds(&self, _sample: bool) -> usize {
        2
    }
}

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

/// What the environment asks for.
struct Settings {
    sweep: Option<String>,
    point: Option<String>,
    seed: u64,
    from: usize,
}

impl Settings {
    /// Nothing is chosen by the environment.
    fn for_all() -> Settings {
        Settings {
            sweep: None,
            point: None,
            seed: SEED,
            from: 0,
        }
    }

    fn read() -> Settings {
        let setting = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let number = |name: &str| {
            let text = setting(name)?;
            let number = text.parse::<u64>();
            Some(number.unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")))
        };
        let from = number("XTASK_SWEEP_FROM").unwrap_or(0);
        Settings {
            sweep: setting("XTASK_SWEEP"),
            point: setting("XTASK_SWEEP_POINT"),
            seed: number("XTASK_SWEEP_SEED").unwrap_or(SEED),
            from: usize::try_from(from).unwrap_or(usize::MAX),
        }
    }

    /// Whether only a sample is tried, as `cargo test` does.
    fn is_sample(&self) -> bool {
        self.sweep.is_none() && self.point.is_none()
    }
}

/// Carries a sweep out. Panics when a point fails.
pub fn sweep<S: Sweep>(subject: &S) {
    let started = Instant::now();
    let settings = Settings::read();
    let mut worlds: Vec<Option<S::World>> = Vec::new();
    worlds.resize_with(subject.worlds(settings.is_sample()), || None);
    let mut points = record_all(subject, &mut worlds, settings.point.as_deref());
    match settings.sweep.as_deref() {
        None | Some("every-kind") => {}
        Some("full") => points.retain(Point::is_hard),
        Some(other) => panic!("XTASK_SWEEP is `full` or `every-kind`, not `{other}`"),
    }
    let of = points.len();
    let points = choose(subject, &settings, points);
    let until = (settings.is_sample()).then(|| Instant::now() + subject.sample().1);
    let tried = try_all(subject, worlds, points, &settings, until);
    tell(&settings, &tried, of, started);
}

/// The points to try, in their order.
fn choose<S: Sweep>(subject: &S, settings: &Settings, mut points: Vec<Point>) -> Vec<Point> {
    if let Some(wanted) = &settings.point {
        points.retain(|point| point.to_string().contains(wanted.as_str()));
        assert!(!points.is_empty(), "no point is named `{wanted}`");
    } else {
        points::shuffle(&mut points, settings.seed);
        if settings.is_sample() {
            points = sample(subject, points);
        }
    }
    points.drain(..settings.from.min(points.len()));
    points
}

/// Writes and reads in turn: most requests read, and reads break little. What is known by name is tried elsewhere.
fn sample<S: Sweep>(subject: &S, mut points: Vec<Point>) -> Vec<Point> {
    let known = subject.regressions();
    points.retain(|point| !known.contains(&point.to_string().as_str()));
    let (reads, writes): (Vec<Point>, Vec<Point>) = points.into_iter().partition(Point::reads);
    let turns = writes
        .into_iter()
        .zip(reads)
        .flat_map(|(write, read)| [write, read]);
    let (count, _) = subject.sample();
    turns.take(count).collect()
}

/// The points of all scenarios, or of the one that `wanted` begins with.
fn record_all<S: Sweep>(
    subject: &S,
    worlds: &mut [Option<S::World>],
    wanted: Option<&str>,
) -> Vec<Point> {
    let mut scenarios = subject.scenarios();
    scenarios
        .retain(|scenario| wanted.is_none_or(|point| point.split(' ').next() == Some(scenario)));
    let queue = Mutex::new(VecDeque::from(scenarios.clone()));
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for slot in worlds {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("the queue").pop_front();
                    let Some(scenario) = next else { break };
                    let world = slot.get_or_insert_with(|| subject.world());
                    subject.prepare(world, scenario);
                    let world: &S::World = world;
                    let edges = subject.edges();
                    let points = points::record(world.borrow(), scenario, &edges, || {
                        let run = start(subject, world, scenario, || false);
                        let wanted = Some(subject.exit(scenario));
                        assert_eq!(run.exit, wanted, "`{scenario}` is not healthy: {run:?}");
                    });
                    found.lock().expect("the list").push((scenario, points));
                }
            });
        }
    });
    let mut found = found.into_inner().expect("the list");
    // However the threads shared them: the same seed means the same order.
    found.sort_by_key(|(scenario, _)| scenarios.iter().position(|other| other == scenario));
    found.into_iter().flat_map(|(_, points)| points).collect()
}

fn start<S: Sweep>(
    subject: &S,
    world: &S::World,
    scenario: &'static str,
    kill_when: impl Fn() -> bool,
) -> Run {
    run::run(world.borrow(), &subject.arguments(scenario), kill_when)
}

fn try_all<S: Sweep>(
    subject: &S,
    worlds: Vec<Option<S::World>>,
    points: Vec<Point>,
    settings: &Settings,
    until: Option<Instant>,
) -> Vec<Tried> {
    let all = settings.from + points.len();
    let queue = Mutex::new(VecDeque::from(points));
    let tried = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for mut slot in worlds {
            let (queue, tried) = (&queue, &tried);
            scope.spawn(move || {
                for nth in 1.. {
                    if until.is_some_and(|until| Instant::now() >= until) {
                        break;
                    }
                    let next = queue.lock().expect("the queue").pop_front();
                    let Some(point) = next else { break };
                    if nth % POINTS_MAX == 0 {
                        slot = None;
                    }
                    let one = try_one(subject, &mut slot, &point);
                    let mut tried = tried.lock().expect("the list");
                    tried.push(one);
                    let last = tried.last().expect("it was just added");
                    say(last, settings.from + tried.len(), all);
                }
            });
        }
    });
    tried.into_inner().expect("the list")
}

/// Tries one point. A world in which something went wrong is not used again.
fn try_one<S: Sweep>(subject: &S, slot: &mut Option<S::World>, point: &Point) -> Tried {
    let started = Instant::now();
    let mut world = slot.take().unwrap_or_else(|| subject.world());
    let mut tried = Tried {
        point: point.to_string(),
        exit: None,
        missed: false,
        wrong: Vec::new(),
        took: Duration::ZERO,
    };
    let result = catch_unwind(AssertUnwindSafe(|| {
        suffer(subject, &mut world, point, &mut tried)
    }));
    if result.is_err() {
        let why = "the test itself panicked: see above".to_owned();
        tried.wrong.push(why);
    }
    if tried.wrong.is_empty() {
        *slot = Some(world);
    }
    tried.took = started.elapsed();
    tried
}

fn suffer<S: Sweep>(subject: &S, world: &mut S::World, point: &Point, tried: &mut Tried) {
    subject.prepare(world, point.scenario);
    let world: &S::World = world;
    let cloud: &World = world.borrow();
    let before = subject.look(world);
    point.arm(cloud);
    let fault = |field: &str| {
        let listed = cloud.cloud().local("GET", "/faults", None);
        listed["faults"][0][field].as_u64().unwrap_or(0) > 0
    };
    let run = start(subject, world, point.scenario, || {
        point.kills() && fault("hanging")
    });
    tried.exit = run.exit;
    tried.missed = !fault("fired");
    cloud.clear_faults();
    let wrong = subject.after_fault(world, point, &before, &run);
    tried.wrong.extend(wrong);
    if run.stderr.contains("panicked at") {
        tried.wrong.push("it panicked".to_owned());
    }
    // What is complete already needs no second run to become so, and half of the points end like that.
    let complete = run.exit == Some(subject.exit(point.scenario))
        && subject.after_rerun(world, point, &before, &run).is_empty();
    if complete {
        return keep_said(tried, &[("the run that met the fault", &run)]);
    }
    let again = start(subject, world, point.scenario, || false);
    let wrong = subject.after_rerun(world, point, &before, &again);
    tried.wrong.extend(wrong);
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
        let said = format!("--- {title} ended with {:?}:\n{}", run.exit, run.stderr);
        tried.wrong.push(said);
    }
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

fn tell(settings: &Settings, tried: &[Tried], of: usize, started: Instant) {
    let missed = tried.iter().filter(|one| one.missed).count();
    let failed: Vec<&Tried> = tried.iter().filter(|one| !one.wrong.is_empty()).collect();
    eprintln!(
        "fault sweep: seed {}, tried {} of {of} points from number {} on ({missed} met no request), {} failed, {} s",
        settings.seed,
        tried.len(),
        settings.from,
        failed.len(),
        started.elapsed().as_secs()
    );
    for exit in [Some(0), Some(1), Some(2), Some(3), Some(4), None] {
        let count = tried.iter().filter(|one| one.exit == exit).count();
        let ending = exit.map_or("a kill".to_owned(), |code| format!("exit {code}"));
        eprintln!("  {count} ended with {ending}");
    }
    for one in &failed {
        let wrong = one.wrong.join("\n  ");
        eprintln!("\nXTASK_SWEEP_POINT='{}'\n  {wrong}", one.point);
    }
    assert!(!tried.is_empty(), "no point was tried");
    assert!(
        failed.is_empty(),
        "{} points failed: see above",
        failed.len()
    );
}
