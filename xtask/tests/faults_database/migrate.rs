//! The sweep of `migrate up`: a database with one migration, and two that are pending.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::seen::{Seen, ledger, rows};
use crate::shop::{SECRETS, Shop};
use crate::support::DATABASE;
use crate::sweep::{Point, Run, Sweep, left};

pub struct Migrate;

/// The migrations there are in the end.
const LAST: u64 = 3;
/// The first release is on record, whatever becomes of the database.
const RECORD: &str = "INSERT INTO xtask_releases (id, number, created_at, sha, author, status, record) \
                      VALUES ('r1', 1, '', '', '', 'live', '{}')";

impl Sweep for Migrate {
    type World = Shop;
    type Sight = Seen;

    fn scenarios(&self) -> Vec<&'static str> {
        vec!["up"]
    }

    fn world(&self) -> Shop {
        Shop::new()
    }

    /// No worker is needed, so a database is made anew each time.
    fn prepare(&self, shop: &mut Shop, _: &'static str) {
        shop.inner.cloud().local("POST", "/reset", None);
        let adopted = json!({"d1": [{"id": DATABASE, "name": "sweep-db"}]});
        shop.inner
            .cloud()
            .local("POST", "/resources", Some(adopted));
        let _ = fs::remove_dir_all(shop.inner.root().join("migrations"));
        shop.release(1);
        shop.inner.run(["migrate", "up"]).exits(0);
        shop.inner.query(RECORD);
        for n in 2..=LAST {
            shop.migration(n);
        }
    }

    fn arguments(&self, _: &'static str) -> Vec<String> {
        ["migrate", "up"].map(str::to_owned).to_vec()
    }

    fn edges(&self) -> Vec<String> {
        Vec::new()
    }

    fn look(&self, shop: &Shop) -> Seen {
        Seen {
            rows: rows(&shop.inner),
            ..Seen::default()
        }
    }

    fn after_fault(&self, shop: &Shop, _: &Point, _: &Seen, run: &Run) -> Vec<String> {
        let now = self.look(shop);
        let mut wrong = always(shop, &now);
        match run.exit {
            _ if run.killed => {}
            Some(0) if now.rows.len() as u64 == LAST => {}
            Some(3) => {}
            exit => wrong.push(format!("exit {exit:?}, and there is {:?}", now.rows)),
        }
        wrong
    }

    fn after_rerun(&self, shop: &Shop, _: &Point, _: &Seen, run: &Run) -> Vec<String> {
        let now = self.look(shop);
        let mut wrong = always(shop, &now);
        if run.exit != Some(0) || now.rows.len() as u64 != LAST {
            wrong.push(format!(
                "after the rerun ({:?}) there is {:?}",
                run.exit, now.rows
            ));
        }
        let leases = shop.inner.query("SELECT * FROM xtask_lease");
        // One whose return was refused stays until somebody needs it: a run with nothing to do does not.
        if !leases.is_empty() && !run.stderr.contains("nothing is pending") {
            wrong.push(format!("a lease is left: {leases:?}"));
        }
        wrong
    }

    fn regressions(&self) -> &'static [&'static str] {
        // The answer of the first file was lost, it was there all the same, and the file that waited for it still counted as
        // blocked: everything was applied, and exit 1.
        &["up POST /d1/database/*/query 9 drop-after"]
    }

    fn sample(&self) -> (usize, Duration) {
        (3, Duration::from_secs(30))
    }

    fn worlds(&self, sample: bool) -> usize {
        if sample { 1 } else { 2 }
    }
}

/// What holds after every run: ledger and schema agree, each file was applied once, in order, and the record is there.
fn always(shop: &Shop, now: &Seen) -> Vec<String> {
    let mut wrong = ledger(&shop.inner, &now.rows);
    for (at, (table, rows)) in now.rows.iter().enumerate() {
        let number = at as u64 + 1;
        let expected = json!([{"rowid": 1, "x": number}]);
        if *table != format!("t{number}") || json!(rows) != expected {
            wrong.push(format!("{table} holds {rows:?} instead of {expected}"));
        }
    }
    let record = shop.inner.query("SELECT id FROM xtask_releases");
    if record != [json!({"id": "r1"})] {
        wrong.push(format!("the record of the first release is now {record:?}"));
    }
    wrong.extend(left::left_behind(&shop.inner, &SECRETS));
    wrong
}
