//! Spreads the steps of one `ci` over several runners, and puts their reports together again. GitHub Actions is the
//! distributed engine; this only says who does what. Pure, apart from reading the reports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::digest;
use crate::error::Fail;
use crate::plan::{Plan, Step};
use crate::report::Report;
use crate::run::{Status, StepReport};
use crate::stages::ci::plan::STAGE;

/// More runners than this cost more to start than they save.
const SHARDS_MAX: usize = 4;

/// `I/N`, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let parsed = text
            .split_once('/')
            .and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match parsed {
            Some((index, count)) if index >= 1 && index <= count => Ok(Shard { index, count }),
            _ => Err("it must be I/N with 1 <= I <= N, such as 2/4".to_owned()),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// `strategy.matrix` for a repo of so many workers.
pub fn matrix(workers: usize) -> Value {
    let count = workers.clamp(1, SHARDS_MAX);
    let include: Vec<Value> = (1..=count)
        .map(|index| json!({"shard": format!("{index}/{count}")}))
        .collect();
    json!({ "include": include })
}

/// The steps of one shard, with what they need. Steps of one worker stay together: they share caches of the file system
/// and its install. The plan alone decides: shards that shared out by what they remember would leave steps to nobody.
pub fn take(plan: &Plan, shard: Shard) -> Plan {
    let needed: BTreeSet<&str> = plan
        .steps
        .iter()
        .flat_map(|step| step.needs.iter().map(String::as_str))
        .collect();
    let mut groups: BTreeMap<String, u64> = BTreeMap::new();
    let group = |step: &Step| step.worker.clone().unwrap_or_else(|| step.id.clone());
    for step in plan
        .steps
        .iter()
        .filter(|step| step.worker.is_some() || !needed.contains(step.id.as_str()))
    {
        *groups.entry(group(step)).or_default() += weight(step);
    }
    // The heaviest first, each to the shard with the least so far.
    let mut order: Vec<(&String, &u64)> = groups.iter().collect();
    order.sort_by_key(|(name, weight)| (std::cmp::Reverse(**weight), (*name).clone()));
    let mut loads = vec![0_u64; shard.count];
    let mut mine: BTreeSet<&String> = BTreeSet::new();
    for (name, weight) in order {
        let least = (0..shard.count)
            .min_by_key(|index| loads[*index])
            .unwrap_or(0);
        loads[least] += weight;
        if least + 1 == shard.index {
            mine.insert(name);
        }
    }
    let mut keep: BTreeSet<String> = BTreeSet::new();
    // Backwards: a step that is kept pulls in what it needs, which stands before it.
    for step in plan.steps.iter().rev() {
        if keep.contains(&step.id) || mine.contains(&group(step)) {
            keep.insert(step.id.clone());
            keep.extend(step.needs.iter().cloned());
        }
    }
    let steps = plan
        .steps
        .iter()
        .filter(|step| keep.contains(&step.id))
        .cloned()
        .collect();
    Plan {
        steps,
        ..plan.clone()
    }
}

/// How long a step takes, roughly, next to others.
fn weight(step: &Step) -> u64 {
    match step.group.as_str() {
        "test" => 5,
        "build" => 3,
        _ => 1,
    }
}

/// What a whole plan is called in the reports of its shards: how many steps, and which.
pub fn name(plan: &Plan) -> String {
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    let digest = digest::text(&ids.join("\n"));
    format!("{} steps, {}", ids.len(), &digest[..12.min(digest.len())])
}

/// One report out of those of all shards in a folder. A missing shard is a failure: its checks were not seen to pass.
pub fn gather(folder: &Path) -> anyhow::Result<Report> {
    let mut report = Report::empty(STAGE);
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut shards: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut plans: BTreeSet<String> = BTreeSet::new();
    let mut files = json_files(folder)?;
    files.sort();
    for file in &files {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("failed to read {}", file.display()))?;
        let part: Value = serde_json::from_str(&text).map_err(|error| {
            Fail::check(format!("{} is no report", file.display()))
                .why(error.to_string())
                .fix("look at the shard that wrote it")
        })?;
        if part["stage"] != STAGE {
            continue;
        }
        if let Some(Ok(shard)) = part["facts"]["shard"].as_str().map(str::parse::<Shard>) {
            shards.entry(shard.count).or_default().insert(shard.index);
        }
        plans.extend(part["facts"]["plan"].as_str().map(str::to_owned));
        for step in part["steps"]
            .as_array()
            .into_iter()
            .flatten()
            .map(read_step)
        {
            if seen.insert(step.id.clone()) || step.status == Status::Failed {
                report.steps.push(step);
            }
        }
        for warning in part["warnings"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            report.warn(warning);
        }
        if part["outcome"] == "failure" {
            report.fail(
                part["exit_code"]
                    .as_u64()
                    .and_then(|code| u8::try_from(code).ok())
                    .unwrap_or(1),
            );
        }
    }
    let unseen = unseen_shards(&shards).or_else(|| unseen_steps(&plans, seen.len()));
    if let Some(unseen) = unseen {
        report.warn(format!(
            "{unseen} in {}: not every check was seen to pass",
            folder.display()
        ));
        report.fail(1);
    }
    Ok(report)
}

/// The shards that left no report, in words.
fn unseen_shards(shards: &BTreeMap<usize, BTreeSet<usize>>) -> Option<String> {
    let missing: Vec<String> = shards
        .iter()
        .flat_map(|(count, seen)| {
            (1..=*count)
                .filter(|index| !seen.contains(index))
                .map(move |index| format!("{index}/{count}"))
        })
        .collect();
    match missing.as_slice() {
        [] if shards.is_empty() => Some("there is no report of any shard".to_owned()),
        [] => None,
        missing => Some(format!(
            "there is no report of shard {}",
            missing.join(", ")
        )),
    }
}

/// The steps that were in no shard, in words: shards of different commits do not add up to one plan.
fn unseen_steps(plans: &BTreeSet<String>, seen: usize) -> Option<String> {
    let mut plans = plans.iter();
    let plan = plans.next()?;
    if let Some(other) = plans.next() {
        return Some(format!(
            "the shards shared out different plans ({plan}; {other})"
        ));
    }
    let count = plan.split_once(' ')?.0.parse::<usize>().ok()?;
    (seen < count).then(|| format!("the shards ran {seen} of {count} steps"))
}

fn json_files(folder: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        let entries = std::fs::read_dir(&dir).map_err(|error| {
            Fail::setup(format!("{} cannot be read", dir.display()))
                .why(error.to_string())
                .fix("download the shards' reports into that folder first")
        })?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn read_step(step: &Value) -> StepReport {
    let text = |field: &str| step[field].as_str().map(str::to_owned);
    let started = text("started").and_then(|time| humantime::parse_rfc3339(&time).ok());
    StepReport {
        id: text("id").unwrap_or_default(),
        goal: text("goal").unwrap_or_default(),
        group: text("group").unwrap_or_default(),
        worker: text("worker"),
        status: serde_json::from_value(step["status"].clone()).unwrap_or(Status::Failed),
        started: started.unwrap_or(SystemTime::UNIX_EPOCH),
        duration: Duration::from_millis(step["duration_ms"].as_u64().unwrap_or(0)),
        attempts: step["attempts"].as_u64().unwrap_or(1) as u32,
        error: text("error"),
        exit: None,
        note: text("note"),
        output: step["output"].clone(),
        log: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Action;

    fn plan() -> Plan {
        let mut plan = Plan::new(STAGE);
        plan.push(Step::new("set-up", "install", "install", Action::Nothing));
        for worker in ["a", "b", "c"] {
            for verb in ["check", "test"] {
                let step = Step::new(verb, format!("{verb} {worker}"), verb, Action::Nothing);
                plan.push(step.worker(worker).needs(["install"]));
            }
        }
        plan.push(Step::new("audit", "audit", "audit", Action::Nothing));
        plan
    }

    #[test]
    fn every_step_is_in_exactly_one_shard_and_finds_what_it_needs() {
        for count in 1..=5 {
            let mut times: BTreeMap<String, usize> = BTreeMap::new();
            for index in 1..=count {
                let part = take(&plan(), Shard { index, count });
                let ids: BTreeSet<&str> = part.steps.iter().map(|step| step.id.as_str()).collect();
                assert!(
                    part.steps
                        .iter()
                        .all(|step| step.needs.iter().all(|need| ids.contains(need.as_str())))
                );
                for id in ids {
                    *times.entry(id.to_owned()).or_default() += 1;
                }
            }
            times.remove("install");
            assert!(
                times.values().all(|times| *times == 1),
                "{count}: {times:?}"
            );
            assert_eq!(times.len(), 7);
        }
    }

    #[test]
    fn a_shard_is_written_i_of_n() {
        assert_eq!("2/4".parse(), Ok(Shard { index: 2, count: 4 }));
        for wrong in ["0/4", "5/4", "x", "1", "1/0"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        assert_eq!(
            matrix(2),
            json!({"include": [{"shard": "1/2"}, {"shard": "2/2"}]})
        );
        assert_eq!(matrix(40)["include"].as_array().unwrap().len(), SHARDS_MAX);
    }

    #[test]
    fn a_missing_shard_is_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(gather(dir.path()).unwrap().exit, 1);
        let part = |shard: &str| {
            json!({"stage": "ci", "outcome": "success", "facts": {"shard": shard, "plan": "2 steps, x"}, "warnings": [],
            "steps": [{"id": format!("test {shard}"), "status": "passed", "duration_ms": 5}]})
        };
        std::fs::write(dir.path().join("1.json"), part("1/2").to_string()).unwrap();
        let report = gather(dir.path()).unwrap();
        assert_eq!(report.exit, 1);
        assert!(
            report.warnings[0].contains("no report of shard 2/2"),
            "{:?}",
            report.warnings
        );
        std::fs::write(dir.path().join("2.json"), part("2/2").to_string()).unwrap();
        let report = gather(dir.path()).unwrap();
        assert_eq!((report.exit, report.steps.len()), (0, 2));
        for (plan, said) in [
            ("3 steps, x", "shared out different plans"),
            ("2 steps, y", "shared out different plans"),
        ] {
            let other = part("2/2").to_string().replace("2 steps, x", plan);
            std::fs::write(dir.path().join("2.json"), other).unwrap();
            let report = gather(dir.path()).unwrap();
            assert_eq!(report.exit, 1);
            assert!(report.warnings[0].contains(said), "{:?}", report.warnings);
        }
        for (file, shard) in [("1.json", "1/2"), ("2.json", "2/2")] {
            let short = part(shard).to_string().replace("2 steps, x", "3 steps, x");
            std::fs::write(dir.path().join(file), short).unwrap();
        }
        let report = gather(dir.path()).unwrap();
        assert_eq!(report.exit, 1);
        assert!(
            report.warnings[0].contains("ran 2 of 3 steps"),
            "{:?}",
            report.warnings
        );
    }
}
