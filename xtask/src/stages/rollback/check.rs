//! What must be known before anything changes: does the target's code run on today's schema, and can its versions still
//! be deployed? Pure.

use std::collections::BTreeMap;

use crate::error::Fail;
use crate::ledger::releases::Record;
use crate::stages::deploy::part::Part;
use crate::stages::rollback::history::shown;

/// How a database differs from what a release was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// Migrations that were applied after the release.
    pub since: Vec<String>,
    /// Migrations the release had that the database has no longer.
    pub missing: Vec<String>,
}

/// Database → how it differs from what the target was made for; those that do not differ are left out. `applied` holds
/// the migrations each database has today, in the order they were applied.
pub fn gaps(
    records: &[Record],
    target: &Record,
    applied: &BTreeMap<String, Vec<String>>,
) -> BTreeMap<String, Gap> {
    let gap = |database: &String, applied: &Vec<String>| match target.schema.get(database) {
        Some(then) => Gap {
            since: without(applied, then),
            missing: without(then, applied),
        },
        // A record of an earlier pipeline: what later records say they applied came since.
        None => {
            let later = records
                .iter()
                .filter(|record| record.number > target.number);
            let names: Vec<String> = later
                .flat_map(|record| record.migrations.keys().cloned())
                .collect();
            let since = applied.iter().filter(|name| names.contains(name));
            Gap {
                since: since.cloned().collect(),
                missing: Vec::new(),
            }
        }
    };
    let all = applied
        .iter()
        .map(|(database, applied)| (database.clone(), gap(database, applied)));
    all.filter(|(_, gap)| *gap != Gap::default()).collect()
}

fn without(names: &[String], others: &[String]) -> Vec<String> {
    let kept = names.iter().filter(|name| !others.contains(name));
    kept.cloned().collect()
}

/// Refuses a target that the schema of today does not fit.
pub fn schema(target: &Record, gaps: &BTreeMap<String, Gap>, restore: bool) -> Result<(), Fail> {
    let what = format!(
        "the release {} may not run on today's schema",
        shown(target)
    );
    let mut why = Vec::new();
    let mut lost = false;
    for (database, gap) in gaps {
        if !gap.since.is_empty() && !restore {
            let names = gap.since.join(", ");
            why.push(format!("{database} has had {names} since"));
        }
        if !gap.missing.is_empty() {
            let names = gap.missing.join(", ");
            why.push(format!(
                "{database} no longer has {names}, which the release had"
            ));
            lost = true;
        }
    }
    if why.is_empty() {
        return Ok(());
    }
    let mut fail = Fail::setup(what).why(why.join("\n"));
    if lost {
        let commit = target.sha.get(..7).unwrap_or(&target.sha);
        fail = fail.fix(format!(
            "git checkout {commit} && cargo xtask deploy   (applies what is missing)"
        ));
    } else {
        fail = fail.fix(
            "add `--restore-db`   (takes the database back, too: what was written since then is lost)",
        );
    }
    Err(fail.fix("or add `--force` when the old code is known to work with the new schema"))
}

/// Refuses a target with versions that cannot be deployed any more.
pub fn versions(target: &Record, parts: &[Part<'_>]) -> Result<(), Fail> {
    let gone = parts.iter().filter(|part| {
        let version = part.version.as_deref();
        version.is_some_and(|id| Some(id) != part.live.serving() && part.live.version(id).is_none())
    });
    let gone: Vec<String> = gone
        .map(|part| {
            let version = part.version.as_deref().unwrap_or_default();
            match part.live.exists {
                true => format!(
                    "{}: {version} is not among the {} versions that can be deployed",
                    part.name(),
                    part.live.versions.len()
                ),
                false => format!("{}: there is no such worker any more", part.name()),
            }
        })
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    let commit = target.sha.get(..7).unwrap_or(&target.sha);
    Err(Fail::setup(format!(
        "versions of the release {} cannot be deployed any more",
        shown(target)
    ))
    .why(gone.join("\n"))
    .why("Cloudflare keeps the last 100 versions of a worker deployable; nothing was changed")
    .fix(format!(
        "git checkout {commit} && cargo xtask deploy --allow-dirty   (uploads them anew)"
    ))
    .fix("or choose a later release: cargo xtask rollback --list"))
}

/// Worker → Durable Object migration tags of the serving and of the target version, when they differ.
pub type Tags = BTreeMap<String, (String, String)>;

/// Refuses to cross a Durable Object migration: Cloudflare deploys no version from before one.
pub fn durable(target: &Record, tags: &Tags) -> Result<(), Fail> {
    if tags.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = tags
        .iter()
        .map(|(worker, (now, then))| format!("{worker}: now `{now}`, then `{then}`"))
        .collect();
    Err(Fail::setup(format!(
        "the release {} is from before a Durable Object migration",
        shown(target)
    ))
    .why(lines.join("\n"))
    .why("Cloudflare deploys no version from before one; nothing was changed")
    .fix("put the old code under the new migration tag and deploy it: cargo xtask rollback --revert <commit>"))
}
