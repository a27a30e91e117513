//! Points of a sweep: which request of a verb suffers what. A point is told by a text that finds it again.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::support::{ACCOUNT, World};

/// What happens to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is refused once.
    Status500,
    /// It and every such request after it are refused.
    Status500Always,
    /// Its connection breaks, nothing was done.
    DropBefore,
    /// It is carried out, and the answer is lost.
    DropAfter,
    /// xtask dies while it waits; nothing was done.
    KillBefore,
    /// xtask dies when it was carried out.
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

/// What a `*` in a path stands for: a UUID, the hexadecimal id of a resource, the number of a comment.
const ID: &str = "[0-9a-f-]+";

/// One point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Where the verb starts from.
    pub scenario: &'static str,
    /// `EDGE` for a request to a worker, else the method of an API request.
    pub method: String,
    /// Without the account; `*` stands for an id.
    pub path: String,
    /// The n-th request of this method and path.
    pub nth: u64,
    /// What it suffers.
    pub kind: Kind,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        let kind = kind.map_or("", |(_, name)| name);
        let Point {
            scenario,
            method,
            path,
            nth,
            ..
        } = self;
        write!(f, "{scenario} {method} {path} {nth} {kind}")
    }
}

impl Point {
    /// The point that a text tells, if it tells one of these scenarios.
    pub fn read(text: &str, scenarios: &[&'static str]) -> Option<Point> {
        let words: Vec<&str> = text.split(' ').collect();
        let [scenario, method, path, nth, kind] = words.as_slice() else {
            return None;
        };
        let point = Point {
            scenario: scenarios.iter().find(|known| *known == scenario)?,
            method: (*method).to_owned(),
            path: (*path).to_owned(),
            nth: nth.parse().ok()?,
            kind: KINDS.iter().find(|(_, name)| name == kind)?.0,
        };
        Some(point)
    }

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
        world.fault(fault);
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

    /// True when xtask dies at it.
    pub fn kills(&self) -> bool {
        matches!(self.kind, Kind::KillBefore | Kind::KillAfter)
    }
}

/// Every point of a scenario: a healthy run is watched, and each of its requests suffers everything. `edges` are the paths
/// at which workers are asked.
pub fn record(
    world: &World,
    scenario: &'static str,
    edges: &[String],
    run: impl FnOnce(),
) -> Vec<Point> {
    world.clear_faults();
    for path in edges {
        // Never fires; it counts.
        world.fault(
            json!({"scope": "edge", "path": format!("^{path}$"), "nth": 1_000_000,
                           "action": {"status": 500}}),
        );
    }
    world.clear_journal();
    run();
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for entry in world.journal() {
        *counts.entry(request(&entry)).or_default() += 1;
    }
    let faults = world.cloud().local("GET", "/faults", None);
    let seen = faults["faults"].as_array().into_iter().flatten();
    for (path, fault) in edges.iter().zip(seen) {
        let seen = fault["seen"].as_u64().unwrap_or(0);
        counts.insert(("EDGE".to_owned(), path.clone()), seen);
    }
    world.clear_faults();
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

/// Method and path of a journal entry, ids replaced.
fn request(entry: &Value) -> (String, String) {
    let line = crate::support::request_line(entry);
    let (method, path) = line.split_once(' ').unwrap_or((&line, ""));
    let path = path.strip_prefix("/github").unwrap_or(path);
    let parts = path.split('/').map(|part| {
        let hex = |c: char| c.is_ascii_hexdigit() || c == '-';
        let number = !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        if number || (part.len() >= 32 && part.chars().all(hex)) {
            "*"
        } else {
            part
        }
    });
    (method.to_owned(), parts.collect::<Vec<_>>().join("/"))
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
