//! The plans of a release, phase by phase. Pure: facts in, steps out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::config::Health;
use crate::live::Triggers;
use crate::plan::{Action, Expected, Plan, Probe, Rest, Step};
use crate::stages::answer;
use crate::stages::deploy::part::{Change, Part};
use crate::stages::deploy::placeholder;
use crate::tools::cloudflare::Cloudflare;
use crate::workspace::Workspace;

/// The verb all these plans belong to.
pub const STAGE: &str = "deploy";

/// Creates the workers that do not exist yet.
pub fn create(cloud: &Cloudflare, workspace: &Workspace, parts: &[Part<'_>]) -> Plan {
    let mut plan = Plan::new(STAGE);
    for part in parts.iter().filter(|part| !part.live.exists) {
        let id = format!("create {}", part.name());
        let rest = placeholder::upload(cloud, workspace, part.worker);
        let goal = format!("create {} with a placeholder", part.script());
        plan.push(Step::new("upload", &id, goal, Action::Rest(rest)).worker(part.name()));
        if part.wanted.workers_dev {
            let body = json!({"enabled": true});
            let rest = Rest::set("POST", cloud.script(part.script(), "/subdomain"), body);
            let goal = format!("open the workers.dev address of {}", part.script());
            let step = Step::new(
                "upload",
                format!("address {}", part.name()),
                goal,
                Action::Rest(rest),
            );
            plan.push(step.worker(part.name()).needs([id]));
        }
    }
    plan
}

/// Puts every new version beside the serving one at 0 %, where version overrides can reach it. A worker that is new
/// gets all of its traffic at once: nothing routes to it yet, and at 0 % its Durable Objects would still run the
/// placeholder's code.
pub fn stage(cloud: &Cloudflare, parts: &[Part<'_>], release: &str) -> Plan {
    let mut plan = Plan::new(STAGE);
    for part in parts.iter().filter(|part| part.staged()) {
        let (Some(new), Some(base)) = (&part.version, &part.base) else {
            continue;
        };
        let (split, goal) = if part.is_new() {
            (
                vec![(new, 100)],
                format!("replace the placeholder of {}", part.name()),
            )
        } else {
            (
                vec![(new, 0), (base, 100)],
                format!("stage the new version of {} at 0 %", part.name()),
            )
        };
        let rest = deployment(cloud, part.script(), &split, &format!("{release} staged"));
        let mut step = Step::new(
            "stage",
            format!("stage {}", part.name()),
            goal,
            Action::Rest(rest),
        )
        .worker(part.name());
        if part
            .live
            .split
            .iter()
            .map(|(id, share)| (id, *share))
            .eq(split)
        {
            step = step.done("staged already");
        }
        plan.push(step);
    }
    plan
}

/// Asks the set for its health, all overrides at once, before the public sees any of it. Workers that did not change are
/// asked for their smoke paths, too: those may call a new version.
pub fn smoke(
    parts: &[Part<'_>],
    health: &Health,
    release: &str,
    url: impl Fn(&Part<'_>, &Triggers) -> Option<String>,
) -> Plan {
    let overrides: BTreeMap<String, String> = parts
        .iter()
        .filter(|part| part.staged())
        .filter_map(|part| Some((part.script().to_owned(), part.version.clone()?)))
        .collect();
    let mut plan = Plan::new(STAGE);
    if overrides.is_empty() {
        return plan;
    }
    for part in parts {
        match url(part, &part.live.triggers) {
            Some(url) => {
                for step in probes("smoke", part, &url, &overrides, health, release) {
                    plan.push(step);
                }
            }
            None if part.staged() && part.is_checked() => plan.notes.push(format!(
                "{} has no address before its first release: it is checked right after the promotion instead",
                part.name()
            )),
            None => {}
        }
    }
    plan
}

/// Gives the new versions `share` percent of the traffic, level by level: a worker is never newer than what it calls.
pub fn promote(
    cloud: &Cloudflare,
    levels: &[BTreeSet<String>],
    parts: &[Part<'_>],
    release: &str,
    share: u8,
) -> Plan {
    let mut plan = Plan::new(STAGE);
    let verb = if share == 100 { "promote" } else { "canary" };
    let mut earlier: Vec<String> = Vec::new();
    for level in levels {
        let mut ids = Vec::new();
        for part in parts
            .iter()
            .filter(|part| part.staged() && level.contains(part.name()))
        {
            let Some(new) = &part.version else { continue };
            let split: Vec<(&String, u8)> = match &part.base {
                Some(base) if share < 100 => vec![(new, share), (base, 100 - share)],
                _ => vec![(new, 100)],
            };
            let rest = deployment(cloud, part.script(), &split, release);
            let goal = format!(
                "give {share} % of the traffic of {} to the new version",
                part.name()
            );
            let id = format!("{verb} {}", part.name());
            let mut step = Step::new("promote", &id, goal, Action::Rest(rest))
                .worker(part.name())
                .needs(earlier.clone());
            if part.is_new() {
                step = step.done("serves since it was staged: it is new");
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

/// Asks every worker of the release for its health, as the public sees it.
pub fn verify(
    parts: &[Part<'_>],
    health: &Health,
    release: &str,
    url: impl Fn(&Part<'_>, &Triggers) -> Option<String>,
) -> Plan {
    let mut plan = Plan::new(STAGE);
    for part in parts.iter().filter(|part| part.is_checked()) {
        match url(part, &part.wanted) {
            Some(url) => {
                for step in probes("verify", part, &url, &BTreeMap::new(), health, release) {
                    plan.push(step);
                }
            }
            None => plan.notes.push(format!(
                "{} has no public address: its health is not checked",
                part.name()
            )),
        }
    }
    plan
}

/// The questions to one worker: its health, which must tell the right version and release, and its smoke paths.
fn probes(
    group: &str,
    part: &Part<'_>,
    url: &str,
    overrides: &BTreeMap<String, String>,
    health: &Health,
    release: &str,
) -> Vec<Step> {
    let probe = |path: &str, fields: BTreeMap<String, Expected>, status: u16| {
        Action::Probe(Probe {
            url: format!("{url}{path}"),
            overrides: overrides.clone(),
            status,
            fields,
            within_secs: health.within.as_secs(),
        })
    };
    let name = part.name();
    let mut steps = Vec::new();
    if let Some(path) = &part.worker.health {
        let told = part.release_told(release);
        let fields = answer::expected(health, part.script(), part.version.clone(), told);
        let goal = format!("get a healthy answer from {name}");
        let action = probe(path, fields, health.status);
        steps.push(Step::new(group, format!("{group} {name}"), goal, action));
    }
    for path in &part.worker.smoke {
        let goal = format!("get an answer from {name} to {path}");
        let action = probe(path, BTreeMap::new(), 200);
        steps.push(Step::new(
            group,
            format!("{group} {name} {path}"),
            goal,
            action,
        ));
    }
    steps
        .into_iter()
        .map(|step| step.worker(name).timeout(health.timeout))
        .collect()
}

/// Puts workers back, callers first: each gets its base version alone again. One plan per level, to be run one after the
/// other: the order must hold, and yet a worker that cannot be put back must not keep the next ones from it.
pub fn put_back(
    cloud: &Cloudflare,
    levels: &[BTreeSet<String>],
    parts: &[&Part<'_>],
    release: &str,
) -> Vec<Plan> {
    let mut plans = Vec::new();
    for level in levels.iter().rev() {
        let mut plan = Plan::new(STAGE);
        for part in parts.iter().filter(|part| level.contains(part.name())) {
            let Some(base) = &part.base else { continue };
            let message = format!("{release} put back");
            let mut rest = deployment(cloud, part.script(), &[(base, 100)], &message);
            // The question about changed secrets is answered: what served before must serve again.
            rest.path.push_str("?force=true");
            let id = format!("put back {}", part.name());
            let goal = format!("put {} back to the version that served before", part.name());
            plan.push(Step::new("put back", id, goal, Action::Rest(rest)).worker(part.name()));
        }
        plans.push(plan);
    }
    plans
}

/// A deployment of versions with their shares of the traffic.
pub fn deployment(
    cloud: &Cloudflare,
    script: &str,
    split: &[(&String, u8)],
    message: &str,
) -> Rest {
    let versions: Vec<Value> = split
        .iter()
        .map(|(id, share)| json!({"version_id": id, "percentage": share}))
        .collect();
    let body = json!({"strategy": "percentage", "versions": versions, "annotations": {"workers/message": message}});
    Rest::set("POST", cloud.script(script, "/deployments"), body)
}

/// What a person should know before a release starts.
pub fn notes(parts: &[Part<'_>]) -> Vec<String> {
    let mut notes = Vec::new();
    for part in parts {
        if part.change == Change::Immediate || part.migration_pending() {
            notes.push(format!(
                "{} has a pending Durable Object migration: it cannot be staged, goes live last, and cannot be put back",
                part.name()
            ));
        }
        for (id, share) in part.live.others() {
            notes.push(format!(
                "{} still has version {id} at {share} % from an interrupted deploy; it is replaced",
                part.name()
            ));
        }
    }
    notes
}
