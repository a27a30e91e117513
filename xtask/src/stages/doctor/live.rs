//! What is live, as far as it may stop a stage: secrets, the lease, versions without traffic, previews nobody took down.
//! `gather` reads, the rest is pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::check::{Check, Group};
use crate::context::Ctx;
use crate::error::Fail;
use crate::github::{Access, access};
use crate::ledger::Database;
use crate::ledger::lease::{self, Held};
use crate::live::{self, Live};
use crate::preview::Key;
use crate::stages::cleanup::found::{self, Scope, Wanted};
use crate::stages::secrets::places::{self, GithubSecrets, LiveSecrets, Places};
use crate::target::Target;
use crate::workspace::Workspace;

/// What was read; what could not be says why.
pub struct Seen {
    /// Each worker with what is live of it, in the order of `pipeline.toml`.
    pub lives: Result<Vec<Live>, String>,
    /// The lease, when a database keeps one.
    pub lease: Result<Option<Held>, String>,
    /// Previews of closed pull requests, and how many there are in all.
    pub previews: Result<Previews, String>,
    /// Where the secrets are.
    pub places: Places,
}

/// The previews there are.
#[derive(Debug, PartialEq, Eq)]
pub struct Previews {
    /// All of them.
    pub keys: BTreeSet<Key>,
    /// Those of closed pull requests; none when GitHub was not asked, and why.
    pub closed: Result<Vec<u64>, String>,
}

/// Reads it. What the token may not read is told by the check of its permissions.
pub fn gather(ctx: &Ctx, workspace: &Workspace, target: &Target) -> anyhow::Result<Seen> {
    let cloud = &target.cloudflare;
    let access = access::open(ctx, target)?;
    let scripts: Vec<String> = workspace
        .workers
        .iter()
        .map(|worker| worker.config.name.clone())
        .collect();
    let (lives, lease, previews, github) = std::thread::scope(|threads| {
        let lives = threads.spawn(|| live::read_all(cloud, &scripts));
        let lease = threads.spawn(|| lease_of(ctx, workspace, target));
        let previews = threads.spawn(|| previews(workspace, target, &access));
        let github = threads.spawn(|| places::on_github(ctx, &access));
        (
            joined(lives),
            joined(lease),
            joined(previews),
            joined(github),
        )
    });
    let lives = told(lives)?;
    let of = |index: usize| match &lives {
        Ok(lives) => LiveSecrets::of(&lives[index]),
        Err(why) => LiveSecrets::Unknown(why.clone()),
    };
    let workers = workspace.workers.iter().enumerate();
    let places = Places {
        env: places::in_env(ctx, workspace),
        github: github?,
        live: workers
            .map(|(index, worker)| (worker.name.clone(), of(index)))
            .collect(),
    };
    Ok(Seen {
        places,
        lease: told(lease)?,
        previews: told(previews)?,
        lives,
    })
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A refusal is a result here: it is told. Anything else is our bug.
fn told<T>(result: anyhow::Result<T>) -> anyhow::Result<Result<T, String>> {
    match result {
        Ok(found) => Ok(Ok(found)),
        Err(error) => match error.chain().find_map(|cause| cause.downcast_ref::<Fail>()) {
            Some(fail) => Ok(Err(fail.why.first().unwrap_or(&fail.what).clone())),
            None => Err(error),
        },
    }
}

fn lease_of(ctx: &Ctx, workspace: &Workspace, target: &Target) -> anyhow::Result<Option<Held>> {
    let databases = &workspace.pipeline.databases;
    let first = databases
        .iter()
        .find_map(|database| Some((database, database.id.as_ref()?)));
    let Some((database, id)) = first else {
        return Ok(None);
    };
    let sets = Database::of(&target.cloudflare, database, id).read_each(lease::HELD_SQL)?;
    let rows: Vec<Value> = sets
        .and_then(|sets| sets.into_iter().next())
        .unwrap_or_default();
    Ok(lease::held(&rows, &ctx.env))
}

fn previews(workspace: &Workspace, target: &Target, access: &Access) -> anyhow::Result<Previews> {
    let scope = Scope::new(workspace, target.cloudflare.account(), Wanted::EveryPr);
    let keys = found::gather(&scope, target)?.keys();
    if keys.is_empty() {
        return Ok(Previews {
            keys,
            closed: Ok(Vec::new()),
        });
    }
    let github = match access {
        Access::Open(github) => github,
        Access::None(why) => {
            return Ok(Previews {
                keys,
                closed: Err(why.clone()),
            });
        }
    };
    let closed = told(github.open_pulls())?.map(|open| {
        let numbers = keys.iter().filter_map(|key| match key {
            Key::Pr(number) => Some(*number),
            Key::None => None,
        });
        numbers.filter(|number| !open.contains(number)).collect()
    });
    Ok(Previews { keys, closed })
}

/// What is to be said about it.
pub fn judge(workspace: &Workspace, seen: &Seen) -> Vec<Check> {
    vec![
        secrets(workspace, &seen.places),
        on_github(workspace, &seen.places),
        held(seen.lease.as_ref()),
        versions(workspace, &seen.lives),
        leftovers(&seen.previews),
    ]
}

/// Whether the next deploy from here has every secret.
pub fn secrets(workspace: &Workspace, places: &Places) -> Check {
    const ID: &str = "secrets";
    let declared = places::declared(workspace);
    if declared.is_empty() {
        return Check::skipped(Group::Cloud, ID, "no worker declares one");
    }
    let mut missing: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut unknown: Vec<&str> = Vec::new();
    for (name, workers) in declared
        .iter()
        .filter(|(name, _)| !places.env.contains(name))
    {
        let has = |worker: &&String| places.live.get(*worker).and_then(|live| live.has(name));
        let lacking: Vec<&str> = workers
            .iter()
            .filter(|worker| has(worker) == Some(false))
            .map(String::as_str)
            .collect();
        if !lacking.is_empty() {
            missing.push((name, lacking));
        } else if workers.iter().any(|worker| has(&worker).is_none()) {
            unknown.push(name);
        }
    }
    if !missing.is_empty() {
        let shown: Vec<String> = missing
            .iter()
            .map(|(name, workers)| format!("{name} of {}", workers.join(", ")))
            .collect();
        let check = Check::fail(Group::Cloud, ID, format!("set nowhere: {}", shown.join("; ")))
            .why("neither this environment nor the live worker has them, and deploy refuses to ship a worker without");
        return missing.iter().fold(check, |check, (name, _)| {
            check.fix(format!("read -rs {name} && export {name}"))
        });
    }
    if !unknown.is_empty() {
        let text = format!(
            "{} not set here; the live workers were not asked for {}",
            unknown.len(),
            unknown.join(", ")
        );
        return Check::skipped(Group::Cloud, ID, text);
    }
    let here = declared
        .iter()
        .filter(|(name, _)| places.env.contains(name))
        .count();
    Check::pass(
        Group::Cloud,
        ID,
        format!(
            "{} declared: {here} set here, the others live",
            declared.len()
        ),
    )
}

/// Whether GitHub hands a deploy what it needs.
fn on_github(workspace: &Workspace, places: &Places) -> Check {
    const ID: &str = "secrets on GitHub";
    let known = match &places.github {
        GithubSecrets::Known(known) => known,
        GithubSecrets::Unknown(why) => {
            return Check::skipped(Group::Cloud, ID, format!("they cannot be listed: {why}"));
        }
    };
    let mut missing: Vec<String> = Vec::new();
    if !known.contains_key("CLOUDFLARE_API_TOKEN") {
        missing.push("CLOUDFLARE_API_TOKEN".to_owned());
    }
    for (name, workers) in places::declared(workspace) {
        let kept = workers
            .iter()
            .all(|worker| places.live.get(worker).and_then(|live| live.has(&name)) == Some(true));
        if !known.contains_key(&name) && !kept {
            missing.push(name);
        }
    }
    match missing.is_empty() {
        true => Check::pass(Group::Cloud, ID, "all that a deploy needs"),
        false => {
            let check = Check::warn(
                Group::Cloud,
                ID,
                format!("GitHub has no {}", missing.join(", ")),
            )
            .why("a deploy there is refused: neither GitHub nor the live worker has them");
            missing.iter().fold(check, |check, name| {
                check.fix(format!("gh secret set {name} --env production"))
            })
        }
    }
}

fn held(lease: Result<&Option<Held>, &String>) -> Check {
    const ID: &str = "lease";
    match lease {
        Err(why) => Check::skipped(Group::Cloud, ID, why.clone()),
        Ok(None) => Check::pass(Group::Cloud, ID, "free"),
        Ok(Some(held)) => {
            let who = format!("{} since {}", held.holder, held.acquired_at);
            let run = held.run_url.clone();
            match &held.stale {
                Some(why) => {
                    let check = Check::warn(Group::Cloud, ID, format!("left behind by {who}: {why}"))
                        .why("a deploy was killed half-way; the next one takes the lease over, and goes on from there");
                    run.into_iter()
                        .fold(check, Check::why)
                        .fix("cargo xtask deploy")
                }
                None => Check::pass(
                    Group::Cloud,
                    ID,
                    format!("held by {who}: a deploy is running"),
                ),
            }
        }
    }
}

fn versions(workspace: &Workspace, lives: &Result<Vec<Live>, String>) -> Check {
    const ID: &str = "versions";
    let lives = match lives {
        Ok(lives) => lives,
        Err(why) => return Check::skipped(Group::Cloud, ID, why.clone()),
    };
    let named = || workspace.workers.iter().zip(lives);
    let split: Vec<&str> = named()
        .filter(|(_, live)| live.split.iter().filter(|(_, share)| *share > 0).count() > 1)
        .map(|(worker, _)| worker.name.as_str())
        .collect();
    if !split.is_empty() {
        return Check::warn(Group::Cloud, ID, format!("in a gradual deployment: {}", split.join(", ")))
            .why("two versions serve at once: deploy refuses one that it did not start, and secrets cannot be changed (10214)")
            .fix("cargo xtask status");
    }
    let undeployed: Vec<String> = named()
        .filter_map(|(worker, live)| {
            Some(format!(
                "{} ({})",
                worker.name,
                live.undeployed()?.id.get(..8)?
            ))
        })
        .collect();
    if !undeployed.is_empty() {
        return Check::warn(Group::Cloud, ID, format!("the latest version is not deployed: {}", undeployed.join(", ")))
            .why("Cloudflare refuses to change a secret then (10215), and whoever promotes \"the latest\" ships it")
            .fix("cargo xtask deploy");
    }
    let there = lives.iter().filter(|live| live.exists).count();
    let text = match lives.len() - there {
        0 => format!("{there} live, the latest of each"),
        missing => format!("{there} live, {missing} never deployed"),
    };
    Check::pass(Group::Cloud, ID, text)
}

fn leftovers(previews: &Result<Previews, String>) -> Check {
    const ID: &str = "previews";
    let previews = match previews {
        Ok(previews) => previews,
        Err(why) => return Check::skipped(Group::Cloud, ID, why.clone()),
    };
    let all = previews.keys.len();
    match &previews.closed {
        Ok(closed) if closed.is_empty() => {
            Check::pass(Group::Cloud, ID, format!("{all}, none left over"))
        }
        Ok(closed) => {
            let numbers: Vec<String> = closed.iter().map(u64::to_string).collect();
            Check::warn(Group::Cloud, ID, format!("left over from pull request {}", numbers.join(", ")))
                .why("these pull requests are not open any more; their workers, databases and buckets are still there")
                .fix("cargo xtask cleanup --stale")
        }
        Err(why) => Check::skipped(
            Group::Cloud,
            ID,
            format!("{all}; which are left over is not known: {why}"),
        ),
    }
}
