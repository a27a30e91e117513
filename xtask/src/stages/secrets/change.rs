//! Gives live workers other secrets, all or none of them. A version of each worker is made with the new values while nobody is
//! sent to it; the set is asked for its health; only then it serves. What fails after that puts every worker back: a version
//! carries its secrets, so the version before carries the old ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::SystemTime;

use super::setter::{Setter, names_of};
use super::tell::check_part;
use super::values::{self, Values};
use crate::context::Ctx;
use crate::error::{Exit, Fail};
use crate::github::runs;
use crate::ledger::{Database, lease};
use crate::live::{self, Triggers};
use crate::report::Report;
use crate::run::Outcome;
use crate::stages::deploy::part::{Change as Wanted, Part};
use crate::stages::deploy::plans;
use crate::stages::deploy::release::holder;
use crate::stages::effects::Effects;
use crate::target::Target;
use crate::workspace::{Worker, Workspace};

/// How often putting back is tried before a person is asked to look.
const PUT_BACK_ROUNDS: usize = 3;

/// How the new values get to the public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// As versions that are tried, then promoted together.
    Together,
    /// As versions nobody is sent to.
    Staged,
    /// At once, one request for each worker.
    Bulk,
}

/// On what terms values are changed.
pub struct Terms {
    /// How they get to the public.
    pub how: How,
    /// Take the deploy lease, whoever has it.
    pub steal_lock: bool,
    /// Every declared secret was meant: those without a value are named.
    pub all: bool,
    /// Keep them in this new file: a value that is live and known to nobody is lost.
    pub keep: Option<PathBuf>,
}

/// A change under way.
pub struct Change<'a> {
    pub(super) ctx: &'a Ctx,
    workspace: &'a Workspace,
    target: &'a Target,
    pub(super) values: &'a Values,
    pub(super) terms: &'a Terms,
    /// Tells this run's versions from those of any other.
    id: String,
    pub(super) parts: Vec<Part<'a>>,
    /// Short names, callees before callers.
    levels: Vec<BTreeSet<String>>,
    /// Workers that were never deployed: the first deploy brings theirs.
    pub(super) absent: Vec<String>,
    /// Declared secrets that were meant, too, and came with no value.
    pub(super) left_alone: BTreeSet<String>,
    pub(super) outcome: Option<Outcome>,
}

impl<'a> Change<'a> {
    /// Reads what is live. Changes nothing.
    pub fn gather(
        ctx: &'a Ctx,
        workspace: &'a Workspace,
        target: &'a Target,
        values: &'a Values,
        terms: &'a Terms,
    ) -> anyhow::Result<Change<'a>> {
        let stamp = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let digits: String = stamp.chars().filter(char::is_ascii_digit).collect();
        let levels = workspace.callees_first();
        let mut change = Change {
            ctx,
            workspace,
            target,
            values,
            terms,
            id: format!("s{}-{}", digits, std::process::id()),
            parts: Vec::new(),
            levels: levels
                .iter()
                .map(|level| level.iter().map(|worker| worker.name.clone()).collect())
                .collect(),
            absent: Vec::new(),
            left_alone: BTreeSet::new(),
            outcome: None,
        };
        change.refresh()?;
        Ok(change)
    }

    /// Reads again what is live; called once more when the lease is held.
    pub fn refresh(&mut self) -> anyhow::Result<()> {
        let chosen = self.workspace.select(&self.ctx.only)?;
        if self.terms.all {
            let declared = chosen.iter().flat_map(|worker| &worker.secrets);
            self.left_alone = declared
                .filter(|name| self.values.get(name).is_none())
                .cloned()
                .collect();
        }
        let workers: Vec<&Worker> = chosen
            .into_iter()
            .filter(|worker| !names_of(worker, self.values).is_empty())
            .collect();
        let scripts: Vec<String> = workers.iter().map(|it| it.config.name.clone()).collect();
        let lives = match self.target.reachable {
            true => live::read_all(&self.target.cloudflare, &scripts)?,
            false => vec![live::Live::default(); workers.len()],
        };
        let none = BTreeMap::new();
        let parts = workers.into_iter().zip(lives);
        let parts = parts.map(|(worker, live)| Part::new(worker, live, "", &none));
        let (absent, present): (Vec<_>, Vec<_>) = parts.partition(Part::is_new);
        self.absent = absent.iter().map(|part| part.name().to_owned()).collect();
        self.parts = present;
        Ok(())
    }

    /// Refuses what would put something else live, too.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.parts.is_empty() && self.target.reachable {
            let names: Vec<&str> = self.values.names().collect();
            return Err(Fail::setup("no live worker takes any of these secrets")
                .why(format!("given: {}", names.join(", ")))
                .why(match self.absent.is_empty() {
                    true => "no chosen worker declares one".to_owned(),
                    false => format!("never deployed: {}", self.absent.join(", ")),
                })
                .fix(
                    "cargo xtask deploy   (ships the secrets that are set, with the first release)",
                )
                .into());
        }
        for part in &self.parts {
            check_part(part)?;
        }
        Ok(())
    }

    /// Does it, under the lease. An `Err` means that nothing was changed; a failure after that is in the report.
    pub fn run(mut self) -> anyhow::Result<Report> {
        let lease = self.lease()?;
        self.refresh()?;
        self.check()?;
        if let Some(path) = &self.terms.keep {
            values::keep(path, self.values)?;
        }
        let result = match self.terms.how {
            How::Bulk => self.bulk(),
            How::Staged => self.make_versions(),
            How::Together => self.make_versions().and_then(|()| self.go_live()),
        };
        let report = self.report(result, lease.as_ref())?;
        drop(lease);
        Ok(report)
    }

    /// A deploy at the same time would take one's secrets and the other's code.
    fn lease(&self) -> anyhow::Result<Option<lease::Lease>> {
        let databases = self.workspace.pipeline.databases.iter();
        let Some((database, id)) = databases
            .into_iter()
            .find_map(|it| Some((it, it.id.as_ref()?)))
        else {
            return Ok(None);
        };
        let database = Database::of(&self.target.cloudflare, database, id);
        if !database.tables()?.contains("xtask_lease") {
            database.create_tables()?;
        }
        let terms = lease::Terms {
            expiry: self.workspace.pipeline.deploy.lease_expiry,
            steal: self.terms.steal_lock,
            interrupt: &self.ctx.interrupt,
            run: &|url| runs::state(self.ctx, self.target, url),
        };
        lease::acquire(&database, &holder(self.ctx, &self.id), &terms).map(Some)
    }

    fn bulk(&mut self) -> anyhow::Result<()> {
        let outcome = self.ctx.run_all(&self.sets(), &self.runner());
        self.finish(outcome, |failed| {
            Fail::remote("not every worker has the new values")
                .why(failed)
                .fix("run the command again: it is safe to repeat")
        })
    }

    fn make_versions(&mut self) -> anyhow::Result<()> {
        let outcome = self.ctx.run(&self.versions(), &self.runner());
        for part in &mut self.parts {
            let made = outcome.output(&format!("version {}", part.name()));
            let made = made.and_then(|output| output["version_id"].as_str());
            part.version = made.map(str::to_owned);
            part.change = Wanted::Reuse(part.version.clone().unwrap_or_default());
        }
        let made: Vec<&str> = self
            .parts
            .iter()
            .filter(|part| part.version.is_some())
            .map(Part::name)
            .collect();
        let left = match made.is_empty() {
            true => "no version was made".to_owned(),
            false => format!(
                "versions that nobody is sent to were made of {}: do not leave it at that",
                made.join(", ")
            ),
        };
        self.finish(outcome, |failed| {
            Fail::remote("no worker got the new values: what serves is as it was")
                .why(failed)
                .why(left)
                .fix("run the command again: it goes on from there")
        })
    }

    /// Tries the set, promotes it, asks again. What fails puts every worker back.
    fn go_live(&mut self) -> anyhow::Result<()> {
        let (cloud, id) = (&self.target.cloudflare, &self.id);
        let health = &self.workspace.pipeline.health;
        // What calls a worker is not changed here: it is asked where it is reached now, whatever its config says.
        let url = |part: &Part<'_>, _: &Triggers| {
            part.url(
                &part.live.triggers,
                &self.target.workers_dev_url(part.script()),
            )
        };
        let plans = [
            plans::stage(cloud, &self.parts, id),
            plans::smoke(&self.parts, health, id, url),
            plans::promote(cloud, &self.levels, &self.parts, id, 100),
            plans::verify(&self.parts, health, id, url),
        ];
        for plan in plans {
            let outcome = self.ctx.run(&plan, &self.runner());
            if outcome.ok() {
                self.keep(outcome);
                continue;
            }
            let failed = failed(&outcome);
            self.keep(outcome);
            return Err(self.put_back(&failed).into());
        }
        Ok(())
    }

    fn put_back(&mut self, failed: &str) -> Fail {
        // A Ctrl-C got us here, perhaps; the way back must not be stopped by it.
        self.ctx.interrupt.reset();
        let mut left = self.differing();
        for _ in 0..PUT_BACK_ROUNDS {
            if left.is_empty() {
                break;
            }
            let parts: Vec<&Part<'_>> = self
                .parts
                .iter()
                .filter(|part| left.contains(part.name()))
                .collect();
            for plan in plans::put_back(&self.target.cloudflare, &self.levels, &parts, &self.id) {
                let outcome = self.ctx.run_all(&plan, &self.runner());
                self.keep(outcome.repaired());
            }
            left = self.differing();
        }
        if left.is_empty() {
            return Fail::remote(
                "the new values were put back: every worker serves what it served before",
            )
            .why(failed.to_owned())
            .why("their latest versions still hold the new values, and get no traffic")
            .fix("see the failed step above, then run the command again");
        }
        let names: Vec<&str> = left.iter().map(String::as_str).collect();
        let fail = Fail::partial(format!(
            "not every worker could be put back: {}",
            names.join(", ")
        ));
        let stuck = self.parts.iter().filter(|part| left.contains(part.name()));
        stuck.fold(fail.why(failed.to_owned()), |fail, part| {
            let base = part.base.as_deref().unwrap_or_default();
            fail.fix(format!(
                "npx wrangler versions deploy {base}@100% --name {} --yes",
                part.script()
            ))
        })
    }

    /// Workers whose live deployment is not what it was. One that cannot be read counts as differing.
    fn differing(&self) -> BTreeSet<String> {
        let cloud = &self.target.cloudflare;
        let differs = |part: &&Part<'_>| {
            let base = part.base.clone().map(|base| vec![(base, 100)]);
            live::read_split(cloud, part.script()).ok() != base
        };
        self.parts
            .iter()
            .filter(differs)
            .map(|part| part.name().to_owned())
            .collect()
    }

    fn finish(
        &mut self,
        outcome: Outcome,
        fail: impl FnOnce(String) -> Fail,
    ) -> anyhow::Result<()> {
        let result = match outcome.ok() {
            true => Ok(()),
            false => {
                let fail = fail(failed(&outcome));
                let exit = outcome.exit().unwrap_or(Exit::Remote);
                Err(Fail { exit, ..fail }.into())
            }
        };
        self.keep(outcome);
        result
    }

    fn keep(&mut self, outcome: Outcome) {
        outcome.add_to(&mut self.outcome);
    }

    fn runner(&self) -> Setter<'_> {
        Setter {
            effects: Effects {
                target: self.target,
            },
            values: self.values,
            parts: &self.parts,
            id: &self.id,
        }
    }
}

fn failed(outcome: &Outcome) -> String {
    let goals: Vec<String> = outcome.failures().map(|step| step.goal.clone()).collect();
    match outcome.interrupted {
        true => "the run was interrupted".to_owned(),
        false => format!("failed to {}", goals.join(", ")),
    }
}
