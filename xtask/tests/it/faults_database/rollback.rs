//! The sweep of `rollback`: from the third release to the second, and to the first together with its database.

use std::time::Duration;

use serde_json::Value;

use crate::faults_database::seen::{Seen, ledger, look};
use crate::faults_database::shop::{SCRIPTS, SECRETS, Shop};
use crate::support::sweep::{Point, Run, Sweep, left};

pub struct Rollback;

/// The release a scenario goes to.
fn target(scenario: &str) -> usize {
    match scenario {
        "restore" => 1,
        _ => 2,
    }
}

/// What is there when all went well.
fn goal(shop: &Shop, scenario: &str, before: &Seen) -> Seen {
    let start = shop.start.as_ref().expect("it was prepared");
    let release = start.releases[target(scenario) - 1].clone();
    let rows = match scenario {
        "restore" => release.rows,
        _ => before.rows.clone(),
    };
    Seen { rows, ..release }
}

fn records(shop: &Shop) -> Vec<Value> {
    let sql = "SELECT record FROM xtask_releases ORDER BY number";
    let rows = shop.inner.try_query(sql).unwrap_or_default();
    let record = |row: &Value| serde_json::from_str(row["record"].as_str()?).ok();
    rows.iter().filter_map(record).collect()
}

/// Whether records are kept beside the database.
fn is_aside(shop: &Shop) -> bool {
    let file = shop.inner.root().join(".xtask/restore");
    let listed = shop.inner.cloud().result("GET", "/d1/database", None);
    let mut databases = listed.as_array().into_iter().flatten();
    std::fs::read_dir(file).is_ok_and(|mut files| files.next().is_some())
        || databases.any(|entry| {
            entry["name"]
                .as_str()
                .is_some_and(|name| name.starts_with("xtask-aside-"))
        })
}

/// What holds after every run.
fn always(shop: &Shop, now: &Seen, before: &Seen, goal: &Seen, may_be_aside: bool) -> Vec<String> {
    let mut wrong = ledger(&shop.inner, &now.rows);
    if now.rows != before.rows && now.rows != goal.rows {
        wrong.push(format!("the rows are neither old nor new: {:?}", now.rows));
    }
    for script in SCRIPTS {
        let serves = &now.serving[script];
        if *serves != before.serving[script] && *serves != goal.serving[script] {
            wrong.push(format!("{script} is neither old nor new: {serves:?}"));
        }
    }
    let known = records(shop);
    let there = |number: u64| known.iter().any(|record| record["number"] == number);
    let kept = (1..=3).all(there) || (may_be_aside && is_aside(shop));
    if !kept {
        wrong.push(format!("records are lost: {} are left", known.len()));
    }
    wrong.extend(left::left_behind(&shop.inner, &SECRETS));
    wrong
}

impl Sweep for Rollback {
    type World = Shop;
    type Sight = Seen;

    fn scenarios(&self) -> Vec<&'static str> {
        vec!["flip", "restore"]
    }

    fn world(&self) -> Shop {
        Shop::new()
    }

    fn prepare(&self, shop: &mut Shop, _: &'static str) {
        shop.rewind();
    }

    fn arguments(&self, scenario: &'static str) -> Vec<String> {
        let to = target(scenario).to_string();
        let mut words = vec!["rollback", "--to", &to];
        if scenario == "restore" {
            words.extend(["--restore-db", "--yes"]);
        }
        words.into_iter().map(str::to_owned).collect()
    }

    fn edges(&self) -> Vec<String> {
        ["/alive/alpha", "/alive/beta"].map(str::to_owned).to_vec()
    }

    fn look(&self, shop: &Shop) -> Seen {
        look(&shop.inner)
    }

    fn after_fault(&self, shop: &Shop, point: &Point, before: &Seen, run: &Run) -> Vec<String> {
        let now = look(&shop.inner);
        let goal = goal(shop, point.scenario, before);
        if run.killed {
            // As a CI runner is thrown away: what it put aside has to be found in the cloud.
            let _ = std::fs::remove_dir_all(shop.inner.root().join(".xtask/restore"));
        }
        let mut wrong = always(shop, &now, before, &goal, run.killed || run.exit == Some(4));
        match run.exit {
            _ if run.killed => {}
            Some(0 | 1) if now == goal => {}
            Some(3) if now == *before => {}
            Some(4) if run.stderr.contains("run the same") => {}
            exit => wrong.push(format!("exit {exit:?}, and there is {now:?}")),
        }
        wrong
    }

    fn after_rerun(&self, shop: &Shop, point: &Point, before: &Seen, run: &Run) -> Vec<String> {
        let now = look(&shop.inner);
        let goal = goal(shop, point.scenario, before);
        let mut wrong = always(shop, &now, before, &goal, false);
        if run.exit != Some(0) {
            wrong.push(format!("the rerun ended with {:?}", run.exit));
        }
        if now != goal {
            wrong.push(format!(
                "after the rerun there is {now:?} instead of {goal:?}"
            ));
        }
        let leases = shop.inner.query("SELECT * FROM xtask_lease");
        if !leases.is_empty() {
            wrong.push(format!("a lease is left: {leases:?}"));
        }
        let databases = shop.inner.cloud().result("GET", "/d1/database", None);
        if databases.as_array().is_none_or(|all| all.len() != 1) {
            wrong.push(format!("what was put aside is left: {databases}"));
        }
        let records = records(shop);
        let to = &records[target(point.scenario) - 1]["id"];
        let last = records.last().expect("there are three at least");
        if last["status"] != "live" || last["rollback"]["to"] != *to {
            wrong.push(format!("the last record is no rollback to {to}: {last}"));
        }
        wrong
    }

    fn regressions(&self) -> &'static [&'static str] {
        &[
            // The database went back and the records in it, too: they come back from beside it, also on another machine.
            "restore POST /d1/database/*/time_travel/restore 1 kill-after",
            // The same, and the restore is refused for good: everything serves as before.
            "restore POST /d1/database/*/time_travel/restore 1 500-from-then-on",
            // One worker is back, and the other is not.
            "flip POST /workers/scripts/sweep-alpha/deployments 1 kill-after",
        ]
    }

    fn sample(&self) -> (usize, Duration) {
        (3, Duration::from_secs(30))
    }

    /// Every world begins with three deploys: one is quicker for a sample.
    fn worlds(&self, sample: bool) -> usize {
        if sample { 1 } else { 2 }
    }
}
