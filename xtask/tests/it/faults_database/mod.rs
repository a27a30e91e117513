//! The fault sweeps of `rollback` and `migrate`: every request they make fails, is lost, or is the last thing they do.
//! Afterwards all workers are on one release, ledger and schema agree, and a rerun converges. How it is steered is in
//! `support/sweep`; `scripts/sweep.sh rollback` and `scripts/sweep.sh migrate` sweep everything.

mod migrate;
mod rollback;
mod seen;
mod shop;

#[test]
fn no_known_fault_stops_a_rollback_half_way_for_good() {
    crate::support::sweep::known(&rollback::Rollback);
}

#[test]
#[ignore = "a seeded sample of the fault sweep: scripts/test-all runs it"]
fn no_fault_stops_a_rollback_half_way_for_good() {
    crate::support::sweep::sweep(&rollback::Rollback);
}

#[test]
fn no_known_fault_parts_ledger_and_schema_in_a_migrate() {
    crate::support::sweep::known(&migrate::Migrate);
}

#[test]
#[ignore = "a seeded sample of the fault sweep: scripts/test-all runs it"]
fn no_fault_parts_ledger_and_schema_in_a_migrate() {
    crate::support::sweep::sweep(&migrate::Migrate);
}
