//! Points of the sweep: which request of a deploy suffers what. A point is told by a text that finds it again.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::payload::{ACCOUNT, WORKERS};
use crate::world::{Update, World};

/// Where a deploy starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Every worker is live and every worker changed.
    Update,
    /// An empty account.
    First,
    /// Like an update, and one worker has a pending Durable Object migration.
    Durable,
}

pub const SCENARIOS: [Scenario; 3] = [Scenario::Update, Scenario::First, Scenario::Durable];

/// What happens to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Status500,
    Status500Always,
    DropBefore,
    DropAfter,
    KillBefore,
    KillAfter,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Status500, "500-once"),
    (Kind::Status500Always, "500-from-then-on"),
    (Kind::DropBefore, "drop-before"),
    (Kind::DropAfter, "drop-after"),
    (Kind::KillBefore, "kill-before"),
    (Kind::KillAfter, "kill-after"),
];

/// One point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    pub scenario: Scenario,
    /// `EDGE` for a request to a worker, else the method of an API request.
    method: String,
    /// Without the account; `*` stands for an id.
    path: String,
    /// The n-th request of this method and path.
    nth: u64,
    pub kind: Kind,
}

impl Point {
    /// True when a version is uploaded and wrangler never hears of it.
    pub fn loses_the_answer_to_an_upload(&self) -> bool {
        self.method == "POST" && self.path.ends_with("/versions") && self.kind == Kind::DropAfter
    }
}

impl Scenario {
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Update => "update",
            Scenario::First => "first",
            Scenario::Durable => "durable",
        }
    }

    /// Brings a world to where the deploy of this scenario starts.
    pub fn prepare(self, world: &mut World, live: bool) {
        /// A database with a thousand migrations would make the last point slower than the first.
        const RELEASES_MAX: u64 = 40;
        if self == Scenario::First {
            return world.fresh();
        }
        if !live || world.release >= RELEASES_MAX {
            world.fresh();
            let run = world.deploy(|_| false);
            assert_eq!(
                run.exit,
                Some(0),
                "a healthy first deploy failed:\n{}",
                run.stderr
            );
        }
        world.advance(match self {
            Scenario::Durable => Update::Durable,
            _ => Update::Plain,
        });
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        let kind = kind.map_or("", |(_, name)| name);
        let (scenario, nth) = (self.scenario.name(), self.nth);
        write!(f, "{scenario} {} {} {nth} {kind}", self.method, self.path)
    }
}

impl Point {
    /// Arms the fault of this point.
    pub fn arm(&self, world: &World) {
        let action = match self.kind {
            Kind::Status500 | Kind::Status500Always => json!({"status": 500}),
            Kind::DropBefore => json!({"drop": "before"}),
            Kind::DropAfter => json!({"drop": "after"}),
            Kind::KillBefore => json!({"hang": "before"}),
            Kind::KillAfter => json!({"hang": "after"}),
        };
        let count = match self.kind {
            Kind::Status500Always => 1_000_000,
            _ => 1,
        };
        let mut fault = json!({"nth": self.nth, "count": count, "action": action});
        let path = self.path.replace('.', "\\.").replace('*', ID);
        if self.method == "EDGE" {
            fault["scope"] = json!("edge");
            fault["path"] = json!(format!("^{path}$"));
        } else {
            fault["method"] = json!(self.method);
            fault["path"] = json!(format!("^(/accounts/{ACCOUNT})?{path}$"));
        }
        world.post("/_local/faults", &fault);
    }

    /// True for one of the three faults that every request suffers in the full sweep: it is refused for good, its connection
    /// breaks, and xtask dies at it; the latter two after the work is done, if there is any, because that is the harder case.
    /// The other kinds are milder forms of these.
    pub fn is_hard(&self) -> bool {
        match self.kind {
            Kind::Status500Always => true,
            Kind::Status500 => false,
            Kind::DropBefore | Kind::KillBefore => self.reads(),
            Kind::DropAfter | Kind::KillAfter => true,
        }
    }

    /// True when the request changes nothing.
    pub fn reads(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "EDGE")
    }

    pub fn kills(&self) -> bool {
        matches!(self.kind, Kind::KillBefore | Kind::KillAfter)
    }
}

const ID: &str = "[0-9a-f]{8}-[0-9a-f-]{27}";

/// Every point of a scenario: a healthy deploy is watched, and each of its requests suffers everything.
pub fn record(world: &mut World, scenario: Scenario, live: bool) -> Vec<Point> {
    scenario.prepare(world, live);
    world.forget_faults();
    for worker in WORKERS {
        // Never fires; it counts.
        let count = json!({"scope": "edge", "path": format!("^/alive/{worker}$"), "nth": 1_000_000, "action": {"status": 500}});
        world.post("/_local/faults", &count);
    }
    let entries = |world: &World| world.get("/_local/journal")["entries"].clone();
    let last = entries(world)
        .as_array()
        .and_then(|all| all.last()?["seq"].as_u64());
    let run = world.deploy(|_| false);
    assert_eq!(
        run.exit,
        Some(0),
        "a healthy deploy failed:\n{}",
        run.stderr
    );
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    let journal = world.get(&format!("/_local/journal?since={}", last.unwrap_or(0)));
    for entry in journal["entries"].as_array().into_iter().flatten() {
        let Some((method, path)) = request(entry) else {
            continue;
        };
        *counts.entry((method, path)).or_default() += 1;
    }
    let faults = world.get("/_local/faults");
    for (worker, fault) in WORKERS
        .iter()
        .zip(faults["faults"].as_array().into_iter().flatten())
    {
        let seen = fault["seen"].as_u64().unwrap_or(0);
        counts.insert(("EDGE".to_owned(), format!("/alive/{worker}")), seen);
    }
    world.forget_faults();
    let mut points = Vec::new();
    for ((method, path), count) in counts {
        for nth in 1..=count {
            for (kind, _) in KINDS {
                let (method, path) = (method.clone(), path.clone());
                let point = Point {
                    scenario,
                    method,
                    path,
                    nth,
                    kind,
                };
                // For a request that changes nothing, before its work is after it.
                let same = matches!(kind, Kind::DropAfter | Kind::KillAfter) && point.reads();
                if !same {
                    points.push(point);
                }
            }
        }
    }
    points
}

/// Method and path of a journal entry, ids replaced; `None` for a note.
fn request(entry: &Value) -> Option<(String, String)> {
    let method = entry["method"]
        .as_str()
        .filter(|method| !method.is_empty())?;
    let path = entry["path"].as_str()?;
    let path = path.strip_prefix("/client/v4").unwrap_or(path);
    let path = path
        .strip_prefix(&format!("/accounts/{ACCOUNT}"))
        .unwrap_or(path);
    let parts = path.split('/').map(|part| {
        let hex = |c: char| c.is_ascii_hexdigit() || c == '-';
        if part.len() == 36 && part.chars().all(hex) {
            "*"
        } else {
            part
        }
    });
    Some((method.to_owned(), parts.collect::<Vec<_>>().join("/")))
}

/// The same seed gives the same order: a small generator, because nothing depends on its quality.
pub fn shuffle(points: &mut [Point], seed: u64) {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    for last in (1..points.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let pick = state % (last as u64 + 1);
        points.swap(last, usize::try_from(pick).expect("it is an index"));
    }
}
