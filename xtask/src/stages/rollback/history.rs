//! Which release is the one to go back to, from the records alone. Pure.
//!
//! Releases that serve or would serve again form a stack: a deploy is put on top, a rollback takes off what stands above
//! its target. The release below the top is the previous one; so a rollback after a rollback goes further back and never
//! to the release that was left, and a failed release is never a target.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Fail;
use crate::ledger::releases::{Record, Status};

/// The release records, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct History<'r> {
    records: &'r [Record],
}

/// Where a rollback goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// The release whose versions shall serve.
    pub target: Record,
    /// The release that serves by the records.
    pub from: Option<Record>,
    /// The record of a rollback to the same target that did not end.
    pub resumed: Option<Record>,
}

/// What a rollback is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wish<'w> {
    /// `--to`.
    pub to: Option<&'w str>,
    /// The scripts it is about.
    pub scripts: BTreeSet<String>,
    /// The scripts of `--only`; empty: all.
    pub only: Vec<String>,
    /// Script → the version that serves.
    pub serving: BTreeMap<String, String>,
    /// The token of the lease as it was found, which tells whose run was killed.
    pub lease_token: Option<String>,
    /// This CI run: a job that is run again means the same rollback.
    pub run_url: Option<String>,
}

impl<'r> History<'r> {
    /// The history that these records tell; they must be in the order of their numbers.
    pub fn new(records: &'r [Record]) -> History<'r> {
        History { records }
    }

    /// The releases that serve or would serve again, the serving one last.
    pub fn stack(&self) -> Vec<&'r Record> {
        let mut stack: Vec<&Record> = Vec::new();
        let live = self.records.iter();
        for record in live.filter(|record| record.status == Status::Live) {
            match &record.rollback {
                None => stack.push(record),
                Some(rollback) if rollback.only.is_empty() => {
                    let target = self.resolve(record);
                    match stack.iter().position(|other| other.id == target.id) {
                        Some(at) => stack.truncate(at + 1),
                        None => stack.push(target),
                    }
                }
                // A part of the workers went back: a state of its own, in place of the one that was left.
                Some(_) => {
                    stack.pop();
                    stack.push(record);
                }
            }
        }
        stack
    }

    /// The release whose versions a record stands for: of a complete rollback the one it went to.
    fn resolve(&self, record: &'r Record) -> &'r Record {
        let mut at = record;
        for _ in 0..self.records.len() {
            let to = match &at.rollback {
                Some(rollback) if rollback.only.is_empty() => &rollback.to,
                _ => return at,
            };
            match self.records.iter().find(|other| other.id == *to) {
                Some(next) => at = next,
                None => return at,
            }
        }
        at
    }

    /// The newest record, when it is a rollback that has not come to its end: its run was killed, or left part-way.
    pub fn unfinished(&self, wish: &Wish<'_>) -> Option<&'r Record> {
        let newest = self.records.last()?;
        let rollback = newest.rollback.as_ref()?;
        let token = wish.lease_token.as_deref().unwrap_or_default();
        let ended = newest.status == Status::Live
            // The lease of a run that ended is gone, and a CI job that is run again is the same rollback.
            && !token.starts_with(&format!("{}-", newest.id))
            && (wish.run_url.is_none() || newest.run_url != wish.run_url);
        let same_part = rollback.only == wish.only;
        (newest.status != Status::RolledBack && !ended && same_part).then_some(newest)
    }

    /// A release by its number, its id, the beginning of its id, or its commit.
    pub fn find(&self, name: &str) -> Result<&'r Record, Fail> {
        let number = name.trim_start_matches('#').parse::<u64>().ok();
        let all = || self.records.iter();
        let exact = all().find(|record| record.id == name);
        if let Some(record) = exact.or_else(|| all().find(|r| Some(r.number) == number)) {
            return Ok(record);
        }
        let found: Vec<&Record> = all()
            .filter(|record| {
                let commit = name.len() >= 4 && record.sha.starts_with(name);
                record.id.starts_with(name) || (commit && record.rollback.is_none())
            })
            .collect();
        match found.as_slice() {
            [] => Err(Fail::setup(format!("there is no release `{name}`"))
                .why("a release is named by its number, its id or its commit")
                .fix("cargo xtask rollback --list")),
            [one] => Ok(one),
            many => {
                let ids: Vec<&str> = many.iter().map(|record| record.id.as_str()).collect();
                Err(
                    Fail::setup(format!("`{name}` may mean {} releases", many.len()))
                        .why(ids.join(", "))
                        .fix("give the whole id or the number of one of them"),
                )
            }
        }
    }

    /// Where the wish leads.
    pub fn choose(&self, wish: &Wish<'_>) -> Result<Goal, Fail> {
        let stack = self.stack();
        let from = stack.last().map(|record| (*record).clone());
        let unfinished = self.unfinished(wish);
        let target = match (wish.to, unfinished) {
            (Some(name), _) => self.resolve(self.find(name)?),
            (None, Some(record)) => self.resolve(record),
            (None, None) => self.previous(&stack, wish)?,
        };
        if target.status != Status::Live {
            let ended = match target.status {
                Status::Partial => "it was left part-way",
                _ => "it failed, and what served before was put back",
            };
            return Err(
                Fail::setup(format!("the release {} never went live", shown(target)))
                    .why(ended)
                    .fix("cargo xtask rollback --list"),
            );
        }
        let resumed = unfinished.filter(|record| {
            let to = record.rollback.as_ref().map(|rollback| &rollback.to);
            to == Some(&target.id)
        });
        let from = match resumed {
            Some(record) => self.before(record).or(from),
            None => from,
        };
        Ok(Goal {
            target: target.clone(),
            from,
            resumed: resumed.cloned(),
        })
    }

    /// The release that an unfinished rollback left.
    fn before(&self, record: &Record) -> Option<Record> {
        let from = &record.rollback.as_ref()?.from;
        self.records.iter().find(|other| other.id == *from).cloned()
    }

    /// The newest release of the stack that is not what serves: normally the one below the top; the top itself, when
    /// something that was never recorded serves.
    fn previous(&self, stack: &[&'r Record], wish: &Wish<'_>) -> Result<&'r Record, Fail> {
        let differs = |record: &Record| {
            wish.scripts.iter().any(|script| {
                let then = record.versions.get(script);
                then.is_some() && then != wish.serving.get(script)
            })
        };
        let found = stack.iter().rev().find(|record| differs(record));
        found.copied().ok_or_else(|| {
            let count = stack.len();
            let plural = if count == 1 { "" } else { "s" };
            Fail::setup("there is no earlier release to go back to")
                .why(format!(
                    "{count} release{plural} on record, and no other versions than those that serve"
                ))
                .fix("cargo xtask rollback --list")
                .fix("or take a commit back: cargo xtask rollback --revert <commit>")
        })
    }

    /// What became of each release, in the order of the records: a word or two for a reader.
    pub fn standings(&self) -> Vec<String> {
        let stack = self.stack();
        let top = stack.last().map(|record| record.id.as_str());
        let number = |id: &str| {
            let record = self.records.iter().find(|record| record.id == id);
            record.map_or_else(|| id.to_owned(), |record| format!("#{}", record.number))
        };
        let standing = |record: &Record| match (&record.status, &record.rollback) {
            (Status::RolledBack, _) => "put back".to_owned(),
            (Status::Partial, None) => "left part-way".to_owned(),
            (Status::Partial, Some(rollback)) => {
                format!("rollback to {}, not ended", number(&rollback.to))
            }
            (Status::Live, Some(rollback)) if rollback.only.is_empty() => {
                format!("rollback to {}", number(&rollback.to))
            }
            (Status::Live, _) if Some(record.id.as_str()) == top => "live".to_owned(),
            (Status::Live, _) if stack.iter().any(|other| other.id == record.id) => {
                "earlier".to_owned()
            }
            (Status::Live, _) => "rolled back".to_owned(),
        };
        self.records.iter().map(standing).collect()
    }
}

/// `#3 (r20261123-131158-338e40e)`.
pub fn shown(record: &Record) -> String {
    format!("#{} ({})", record.number, record.id)
}
