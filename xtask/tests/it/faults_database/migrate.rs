//! The sweep of `migrate`: `up` with two files pending, on an empty database, and with a way back; `--baseline` of a database
//! that predates the ledger; `rebless` after an edit.

use std::time::Duration;

use serde_json::{Value, json};

use crate::faults_database::seen::{files, ledger, listed, rows};
use crate::faults_database::shop::{SECRETS, Shop};
use crate::support::sweep::{Point, Run, Sweep, left};

pub struct Migrate;

/// The migrations there are in the end.
const LAST: u64 = 3;
/// The first release is on record, whatever becomes of the database.
const RECORD: &str = "INSERT INTO xtask_releases (id, number, created_at, sha, author, status, record) \
                      VALUES ('r1', 1, '', '', '', 'live', '{}')";
/// Passes on a copy without rows, and fails on the live database.
const ILL: &str = "CREATE TABLE t3 (x);\nINSERT INTO t3 SELECT json('{' || x) FROM t1;\n";
const FIRST: &str = "migrations/0001_t1.sql";
/// What runs say that found nothing to do, and took no lease.
const NOTHING_TO_DO: [&str; 3] = [
    "nothing is pending",
    "the ledger knows every file already",
    "is as recorded",
];

impl Sweep for Migrate {
    type World = Shop;
    /// The hash on record of the first file.
    type Sight = Option<Value>;

    fn scenarios(&self) -> Vec<&'static str> {
        vec!["up", "empty", "way-back", "baseline", "rebless"]
    }

    fn world(&self) -> Shop {
        Shop::new()
    }

    /// No worker is needed, so a database is made anew each time.
    fn prepare(&self, shop: &mut Shop, scenario: &'static str) {
        shop.empty();
        shop.release(1);
        if has_record(scenario) {
            shop.inner.run(["migrate", "up"]).exits(0);
            shop.inner.query(RECORD);
        }
        match scenario {
            "rebless" => {
                let text = shop.inner.read(FIRST);
                shop.inner.edit(FIRST, &format!("-- a comment\n{text}"));
            }
            "way-back" => {
                shop.migration(2);
                shop.inner.edit("migrations/0003_t3.sql", ILL);
            }
            "baseline" => (1..=LAST).for_each(|n| {
                shop.inner.query(&shop.migration(n));
            }),
            _ => (2..=LAST).for_each(|n| {
                shop.migration(n);
            }),
        }
    }

    fn arguments(&self, scenario: &'static str) -> Vec<String> {
        let words = match scenario {
            "way-back" => vec!["migrate", "up", "--restore-on-failure"],
            "baseline" => vec!["migrate", "--baseline"],
            "rebless" => vec!["migrate", "rebless", FIRST, "--reason", "a comment"],
            _ => vec!["migrate", "up"],
        };
        words.into_iter().map(str::to_owned).collect()
    }

    fn exit(&self, scenario: &'static str) -> i32 {
        i32::from(scenario == "way-back")
    }

    fn edges(&self) -> Vec<String> {
        Vec::new()
    }

    fn look(&self, shop: &Shop) -> Option<Value> {
        hash(shop)
    }

    fn after_fault(
        &self,
        shop: &Shop,
        point: &Point,
        before: &Option<Value>,
        run: &Run,
    ) -> Vec<String> {
        let mut wrong = always(shop, point, before);
        match run.exit {
            _ if run.killed => {}
            Some(code) if code == self.exit(point.scenario) && is_complete(shop, point, before) => {
            }
            Some(3) => {}
            // The way back was closed, and it is told.
            Some(4) if run.stderr.contains("time-travel restore") => {}
            exit => wrong.push(format!(
                "exit {exit:?}, and there is {:?}",
                rows(&shop.inner)
            )),
        }
        wrong
    }

    fn after_rerun(
        &self,
        shop: &Shop,
        point: &Point,
        before: &Option<Value>,
        run: &Run,
    ) -> Vec<String> {
        let mut wrong = always(shop, point, before);
        if run.exit != Some(self.exit(point.scenario)) || !is_complete(shop, point, before) {
            wrong.push(format!(
                "after the rerun ({:?}) there is {:?}",
                run.exit,
                rows(&shop.inner)
            ));
        }
        let leases = shop.inner.query("SELECT * FROM xtask_lease");
        // One whose return was refused stays until somebody needs it: a run with nothing to do does not.
        let idle = NOTHING_TO_DO.iter().any(|text| run.stderr.contains(text));
        if !leases.is_empty() && !idle {
            wrong.push(format!("a lease is left: {leases:?}"));
        }
        wrong
    }

    fn regressions(&self) -> &'static [&'static str] {
        &[
            // The answer of the first file was lost, it was there all the same, and the file that waited for it still counted as
            // blocked: everything was applied, and exit 1.
            "up POST /d1/database/*/query 9 drop-after",
            // The file is in the schema, and nobody is left to say so: its row of the ledger came in the same request.
            "up POST /d1/database/*/query 9 kill-after",
        ]
    }

    fn sample(&self) -> (usize, Duration) {
        (3, Duration::from_secs(30))
    }

    fn worlds(&self, sample: bool) -> usize {
        if sample { 1 } else { 2 }
    }
}

/// Scenarios that start after a first release.
fn has_record(scenario: &str) -> bool {
    !matches!(scenario, "empty" | "baseline")
}

fn hash(shop: &Shop) -> Option<Value> {
    let sql = "SELECT hash FROM xtask_migrations WHERE name = '0001_t1.sql'";
    let rows = shop.inner.try_query(sql).unwrap_or_default();
    rows.first().map(|row| row["hash"].clone())
}

/// What the verb is for.
fn is_complete(shop: &Shop, point: &Point, before: &Option<Value>) -> bool {
    let rows = rows(&shop.inner);
    match point.scenario {
        // A run that was killed has no way back: the second file stays, and the third fails alone.
        "way-back" => rows.len() < LAST as usize,
        "baseline" => listed(&shop.inner, "xtask_migrations") == files(&rows),
        "rebless" => hash(shop) != *before,
        _ => rows.len() as u64 == LAST,
    }
}

/// What holds after every run: ledger and schema agree, each file was applied once, in order, and the record is there.
fn always(shop: &Shop, point: &Point, before: &Option<Value>) -> Vec<String> {
    let now = rows(&shop.inner);
    let mut wrong = match point.scenario {
        "baseline" => adopted(shop, &files(&now)),
        _ => ledger(&shop.inner, &now),
    };
    for (at, (table, rows)) in now.iter().enumerate() {
        let number = at as u64 + 1;
        let expected = json!([{"rowid": 1, "x": number}]);
        if *table != format!("t{number}") || json!(rows) != expected {
            wrong.push(format!("{table} holds {rows:?} instead of {expected}"));
        }
    }
    if point.scenario == "rebless" {
        let edits = shop.inner.try_query("SELECT name FROM xtask_edits");
        let edits = edits.map_or(0, |rows| rows.len());
        if edits != usize::from(hash(shop) != *before) {
            wrong.push(format!("{edits} edits are on record"));
        }
    }
    let record = shop.inner.try_query("SELECT id FROM xtask_releases");
    let record = record.unwrap_or_default();
    let expected = has_record(point.scenario).then(|| json!({"id": "r1"}));
    if record != Vec::from_iter(expected) {
        wrong.push(format!("the record of the first release is now {record:?}"));
    }
    wrong.extend(left::left_behind(&shop.inner, &SECRETS));
    wrong
}

/// Both ledgers know all the files, or neither knows one.
fn adopted(shop: &Shop, files: &[String]) -> Vec<String> {
    let [theirs, ours] =
        ["d1_migrations", "xtask_migrations"].map(|table| listed(&shop.inner, table));
    if theirs == ours && (ours.is_empty() || ours == files) {
        return Vec::new();
    }
    vec![format!(
        "d1_migrations says {theirs:?}, xtask_migrations {ours:?}"
    )]
}
