//! The plans of a rollback. Pure: facts in, steps out.

use std::collections::BTreeSet;

use crate::live::Triggers;
use crate::plan::{Action, Plan, Step};
use crate::stages::deploy::part::Part;
use crate::stages::deploy::plans::deployment;
use crate::stages::deploy::triggers;
use crate::tools::cloudflare::Cloudflare;

/// The verb all these plans belong to.
pub const STAGE: &str = "rollback";

/// Gives workers one version each, callers first: the reverse order of a promotion. `version` says which.
pub fn flips(
    cloud: &Cloudflare,
    levels: &[BTreeSet<String>],
    parts: &[&Part<'_>],
    words: (&str, &str),
    version: impl Fn(&Part<'_>) -> Option<String>,
) -> Plan {
    let (verb, message) = words;
    let mut plan = Plan::new(STAGE);
    let mut earlier: Vec<String> = Vec::new();
    for level in levels.iter().rev() {
        let mut ids = Vec::new();
        for part in parts.iter().filter(|part| level.contains(part.name())) {
            let Some(version) = version(part) else {
                continue;
            };
            let rest = deployment(cloud, part.script(), &[(&version, 100)], message);
            let id = format!("{verb} {}", part.name());
            let goal = format!("{verb} {}", part.name());
            let mut step = Step::new(verb, &id, goal, Action::Rest(rest))
                .worker(part.name())
                .needs(earlier.clone());
            if part.live.split == [(version, 100)] {
                step = step.done("serves it already");
            }
            plan.push(step);
            ids.push(id);
        }
        if !ids.is_empty() {
            earlier = ids;
        }
    }
    plan
}

/// Sets what calls the workers: from what is live to what `to` says. A domain that goes from one worker to another is
/// taken off first: that is a plan of its own.
pub fn triggers(
    cloud: &Cloudflare,
    group: &str,
    parts: &[Part<'_>],
    now: &[Triggers],
    to: impl Fn(&Part<'_>) -> Triggers,
) -> Vec<Plan> {
    let wanted: Vec<Triggers> = parts.iter().map(to).collect();
    let moves = |host: &String, at: usize| {
        now.iter()
            .enumerate()
            .any(|(other, triggers)| other != at && triggers.domains.contains(host))
    };
    let moving = wanted
        .iter()
        .enumerate()
        .any(|(at, triggers)| triggers.domains.iter().any(|host| moves(host, at)));
    let plan = |from: &[Triggers], to: &[Triggers]| {
        let pairs = parts.iter().zip(from).zip(to);
        let changes = pairs.map(|((part, from), to)| (part, from.clone(), to.clone()));
        let mut plan = triggers::triggers(cloud, group, changes);
        STAGE.clone_into(&mut plan.stage);
        plan
    };
    if !moving {
        return vec![plan(now, &wanted)];
    }
    let between: Vec<Triggers> = now
        .iter()
        .zip(&wanted)
        .map(|(from, to)| Triggers {
            domains: from.domains.intersection(&to.domains).cloned().collect(),
            ..from.clone()
        })
        .collect();
    vec![plan(now, &between), plan(&between, &wanted)]
}

/// Takes databases back, one step each; the runner of this stage knows how.
pub fn restores(databases: &[(String, String)]) -> Plan {
    let mut plan = Plan::new(STAGE);
    for (database, bookmark) in databases {
        let name = format!("restore {database}");
        let goal = format!("restore {database} to {bookmark}");
        plan.push(Step::new(
            "restore",
            &name,
            goal,
            Action::Task { name: name.clone() },
        ));
    }
    plan
}
