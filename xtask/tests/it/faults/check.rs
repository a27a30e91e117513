//! What must hold after a deploy that met a fault, and after the one that follows it.

use std::borrow::Borrow as _;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::faults::payload::{SECRETS, WORKERS, script};
use crate::faults::world::World;
use crate::support::sweep::points::Kind;
use crate::support::sweep::{Point, Run, left};

const PLACEHOLDER: &str = "xtask placeholder";

/// One worker, as the API and the public see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The versions that get traffic.
    serving: BTreeSet<String>,
    /// The message of the first of them.
    message: String,
    /// Its tag: the release it was uploaded for.
    tag: String,
    /// Status of its health, and the release it says it is.
    health: (u16, u64),
    /// All of its versions.
    versions: usize,
    crons: BTreeSet<String>,
}

pub type Sight = BTreeMap<&'static str, Seen>;

/// Looks at every worker.
pub fn look(world: &World) -> Sight {
    WORKERS
        .iter()
        .map(|worker| (*worker, look_at(world, worker)))
        .collect()
}

fn look_at(world: &World, worker: &str) -> Seen {
    let path = |rest: &str| format!("/workers/scripts/{}{rest}", script(worker));
    let read = |rest: &str| world.read(&path(rest));
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let serving: BTreeSet<String> = list(&read("/deployments")["deployments"][0]["versions"])
        .iter()
        .filter(|entry| entry["percentage"].as_f64() > Some(0.0))
        .map(|entry| text(&entry["version_id"]))
        .collect();
    let first = serving.first().cloned().unwrap_or_default();
    let versions = list(&read("/versions")["items"]);
    let version = versions
        .iter()
        .find(|version| version["id"] == first.as_str());
    let message = version.map(|version| text(&version["annotations"]["workers/message"]));
    let tag = version.map(|version| text(&version["annotations"]["workers/tag"]));
    let (status, body) = world.alive(worker);
    Seen {
        tag: tag.unwrap_or_default(),
        message: message.unwrap_or_default(),
        health: (status, body["n"].as_u64().unwrap_or(0)),
        versions: versions
            .iter()
            .filter_map(|version| version["number"].as_u64())
            .max()
            .unwrap_or(0) as usize,
        crons: list(&read("/schedules")["schedules"])
            .iter()
            .map(|entry| text(&entry["cron"]))
            .collect(),
        serving,
    }
}

/// What is wrong after the deploy that met the fault; nothing, when all is well.
pub fn after_fault(world: &World, point: &Point, before: &Sight, run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    let now = look(world);
    let old: BTreeSet<&str> = WORKERS
        .iter()
        .copied()
        .filter(|w| is_old(point, &before[w], &now[w]))
        .collect();
    let new: BTreeSet<&str> = WORKERS
        .iter()
        .copied()
        .filter(|w| is_new(world, point, &now[w]))
        .collect();
    for worker in WORKERS {
        if !old.contains(worker) && !new.contains(worker) {
            wrong.push(format!(
                "{worker} is neither old nor new: {:?}, before {:?}",
                now[worker], before[worker]
            ));
        }
    }
    let (all_old, all_new) = (old.len() == WORKERS.len(), new.len() == WORKERS.len());
    match run.exit {
        _ if run.killed => {}
        Some(0) if !all_new => {
            wrong.push(format!("exit 0, but only {new:?} serve the new release"))
        }
        Some(0) => {}
        Some(4) => wrong.extend(names_what_differs(
            world,
            &run.stderr,
            before,
            &now,
            &old,
            all_new,
        )),
        Some(1 | 3) if all_old => {}
        // Whatever was refused, nothing was changed.
        Some(2) => wrong.push("exit 2: no fault of the cloud is a set-up error".to_owned()),
        exit => wrong.push(format!(
            "exit {exit:?}, and {new:?} serve the new release, {old:?} the old one"
        )),
    }
    if !run.killed && run.exit != Some(4) {
        let wanted = if all_new {
            BTreeSet::from([world.cron()])
        } else {
            before["alpha"].crons.clone()
        };
        if now["alpha"].crons != wanted && !(point.scenario == "first" && all_old) {
            wrong.push(format!(
                "crons of alpha are {:?} instead of {wanted:?}",
                now["alpha"].crons
            ));
        }
    }
    wrong.extend(ledger(world, false));
    wrong.extend(left::left_behind(world.borrow(), &SECRETS));
    wrong
}

/// What is wrong after the same command was run again without a fault.
pub fn after_rerun(world: &World, point: &Point, before: &Sight, run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    if run.exit != Some(0) {
        wrong.push(format!("the rerun ended with {:?}", run.exit));
    }
    let now = look(world);
    for worker in WORKERS {
        let seen = &now[worker];
        if !is_new(world, point, seen) || seen.health != (200, world.release) {
            wrong.push(format!(
                "after the rerun {worker} does not serve release {}: {seen:?}",
                world.release
            ));
        }
        // A first release is a placeholder and a version; every other is one version, in both runs together.
        let wanted = before[worker].versions + if point.scenario == "first" { 2 } else { 1 };
        // wrangler itself sends an upload again when the answer was lost; Cloudflare then has it twice.
        let wanted_max = wanted + usize::from(loses_the_answer_to_an_upload(point));
        if seen.versions < wanted || seen.versions > wanted_max {
            wrong.push(format!(
                "{worker} has {} versions instead of {wanted}",
                seen.versions
            ));
        }
    }
    if now["alpha"].crons != BTreeSet::from([world.cron()]) {
        wrong.push(format!(
            "after the rerun the crons of alpha are {:?}",
            now["alpha"].crons
        ));
    }
    let leases = world.rows("SELECT * FROM xtask_lease");
    if !leases.is_empty() {
        wrong.push(format!("a lease is left: {leases:?}"));
    }
    let live = world.rows(
        "SELECT record FROM xtask_releases WHERE status = 'live' ORDER BY number DESC LIMIT 1",
    );
    let record: Value = live
        .first()
        .and_then(|row| serde_json::from_str(row["record"].as_str()?).ok())
        .unwrap_or_default();
    for worker in WORKERS {
        let recorded = record["versions"][script(worker)]
            .as_str()
            .unwrap_or_default();
        if record["id"] != now[worker].tag.as_str() {
            wrong.push(format!(
                "the record of {} does not bear the tag of {worker}, {}",
                record["id"], now[worker].tag
            ));
        }
        if !now[worker].serving.contains(recorded) {
            wrong.push(format!(
                "the record says {worker} serves `{recorded}`, it serves {:?}",
                now[worker].serving
            ));
        }
    }
    wrong.extend(ledger(world, true));
    wrong.extend(left::left_behind(world.borrow(), &SECRETS));
    wrong
}

/// True when a version is uploaded and wrangler never hears of it.
fn loses_the_answer_to_an_upload(point: &Point) -> bool {
    let upload = point.method == "POST" && point.path.ends_with("/versions");
    upload && point.kind == Kind::DropAfter
}

fn is_old(point: &Point, before: &Seen, now: &Seen) -> bool {
    if point.scenario == "first" {
        return now.serving.is_empty() || now.message == PLACEHOLDER;
    }
    now.serving == before.serving && now.health == before.health
}

fn is_new(world: &World, point: &Point, now: &Seen) -> bool {
    let one =
        now.serving.len() == 1 && now.message.starts_with("xtask ") && now.message != PLACEHOLDER;
    // A new worker may have no address yet.
    let unreachable = point.scenario == "first" && now.health.0 == 404;
    one && (now.health == (200, world.release) || unreachable)
}

/// Exit 4 is right when something differs from before, and then it names exactly that.
fn names_what_differs(
    world: &World,
    stderr: &str,
    before: &Sight,
    now: &Sight,
    old: &BTreeSet<&str>,
    all_new: bool,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut named, mut unsure) = (BTreeSet::new(), BTreeSet::new());
    let mut crons_named = false;
    for line in stderr.lines() {
        let line = line.trim().trim_start_matches("why:").trim();
        for worker in WORKERS {
            let rest = line
                .strip_prefix(&format!("{worker}: "))
                .unwrap_or_default();
            if rest.starts_with("serves ") {
                named.insert(worker);
            } else if rest.starts_with("should serve ") {
                // What cannot be read is named, too: it may differ.
                unsure.insert(worker);
            }
        }
        crons_named |= line == "crons alpha: not set back";
    }
    if all_new && stderr.contains("serves, but its record could not be written") {
        return wrong;
    }
    let differ: BTreeSet<&str> = WORKERS
        .iter()
        .copied()
        .filter(|worker| !old.contains(worker))
        .collect();
    let sure: BTreeSet<&str> = differ.difference(&unsure).copied().collect();
    if named != sure {
        wrong.push(format!("exit 4 names {named:?}; {differ:?} differ"));
    }
    let crons_differ = now["alpha"].crons != before["alpha"].crons;
    if crons_named != crons_differ {
        wrong.push(format!(
            "exit 4 says of the crons: {crons_named}; they differ: {crons_differ} ({})",
            world.cron()
        ));
    }
    wrong
}

/// Each migration is in the schema and in both ledgers exactly once, or nowhere.
fn ledger(world: &World, complete: bool) -> Vec<String> {
    let names = |sql: &str| -> Vec<String> {
        let rows = world.rows(sql);
        rows.iter()
            .filter_map(|row| Some(row["name"].as_str()?.to_owned()))
            .collect()
    };
    let tables = names(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 't[0-9]*' ORDER BY length(name), name",
    );
    let numbers: Vec<&str> = tables
        .iter()
        .map(|name| name.trim_start_matches('t'))
        .collect();
    let files: Vec<String> = numbers
        .iter()
        .map(|n| format!("{n:0>4}_t{n}.sql"))
        .collect();
    let mut wrong = Vec::new();
    for table in ["d1_migrations", "xtask_migrations"] {
        let rows = names(&format!("SELECT name FROM {table} ORDER BY name"));
        if rows != files {
            wrong.push(format!(
                "the tables are {tables:?}, but {table} says {rows:?}"
            ));
        }
    }
    for table in &tables {
        if world.rows(&format!("SELECT x FROM {table}")).len() != 1 {
            wrong.push(format!("{table} was filled more or less than once"));
        }
    }
    if complete && tables.len() as u64 != world.release {
        wrong.push(format!(
            "{} of {} migrations were applied",
            tables.len(),
            world.release
        ));
    }
    wrong
}
