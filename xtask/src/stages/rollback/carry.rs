//! Carries a rollback out: flips, triggers, databases, health.

use crate::error::{Exit, Fail};
use crate::ledger::lease::Holder;
use crate::ledger::releases::{Record, Status};
use crate::live::{self, Triggers};
use crate::plan::Plan;
use crate::run::Outcome;
use crate::stages::deploy::part::Part;
use crate::stages::deploy::plans as deploy;
use crate::stages::effects::Effects;
use crate::stages::rollback::carrier::Carrier;
use crate::stages::rollback::facts::{self, Rollback};
use crate::stages::rollback::history::shown;
use crate::stages::rollback::plans::{self, STAGE};
use crate::stages::rollback::record::POSTMORTEM;
use crate::stages::rollback::restore::{self, Ledger, Restore};

/// How often a change whose requests got lost is planned anew from what is live.
pub(super) const ROUNDS_MAX: usize = 3;

/// A restore whose end is not known, or that is not over.
#[derive(Debug)]
struct HalfRestored(Fail);

impl std::fmt::Display for HalfRestored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for HalfRestored {}

impl HalfRestored {
    fn new(restores: &[Restore], why: &anyhow::Error) -> HalfRestored {
        let mut fail = Fail::partial(
            "every worker serves the earlier release, but the restore of its database did not end well",
        )
        .why(format!("{why:#}"));
        for restore in restores {
            let command =
                crate::ledger::restore::command(&restore.database.name, &restore.bookmark);
            fail = fail.why(format!(
                "{} belongs to {}",
                restore.database.name, restore.bookmark
            ));
            fail = fail.fix(command);
        }
        HalfRestored(fail.fix("or run the same rollback again: it carries on from here"))
    }
}

impl Rollback<'_> {
    /// The rollback itself. Its record is written first, as one that has not ended: a run that is killed is carried on.
    pub fn carry_out(&mut self, who: &Holder) -> anyhow::Result<()> {
        let begun = self.goal.resumed.as_ref();
        let ended = begun.is_none_or(|record| record.status == Status::Live);
        if self.nothing_to_do() && ended {
            self.said("result", "nothing to do: all of it serves already");
            let watch = self.listen()?;
            self.verify()?;
            return self.watch(watch, None);
        }
        let watch = self.listen()?;
        let mut record = self.begin(who)?;
        if let Err(error) = self.change(who, &mut record) {
            let fail = match error.downcast::<HalfRestored>() {
                // The old versions belong to what is there of the old database.
                Ok(half) => half.0,
                Err(error) => self.put_back(&error),
            };
            record.status = match fail.exit {
                Exit::Partial => Status::Partial,
                _ => Status::RolledBack,
            };
            record.failed = self.failed_steps();
            if let Err(error) = self.save(&record) {
                self.warnings
                    .push(format!("the rollback could not be recorded: {error:#}"));
            }
            return Err(fail.into());
        }
        let verified = self.verify();
        record.status = Status::Live;
        record.failed = self.failed_steps();
        self.save(&record).map_err(|error| {
            Fail::partial(format!(
                "the release {} serves again, but that could not be recorded",
                shown(&self.goal.target)
            ))
            .why(format!("{error:#}"))
            .fix("run the same command again: it changes nothing and writes the record")
        })?;
        let verified = verified.and_then(|()| self.watch(watch, Some(&mut record)));
        self.begin_postmortem(&record);
        verified
    }

    fn begin_postmortem(&mut self, record: &Record) {
        match self.postmortem(record) {
            Ok(Some(path)) => {
                let shown = path.strip_prefix(&self.ctx.root).unwrap_or(&path);
                self.said(POSTMORTEM, shown.display().to_string());
            }
            Ok(None) => {}
            Err(error) => self
                .warnings
                .push(format!("no post-mortem was begun: {error:#}")),
        }
    }

    /// Versions, then triggers, then databases: what the old code writes before its database is back is taken back too.
    fn change(&mut self, who: &Holder, record: &mut Record) -> anyhow::Result<()> {
        self.flip()?;
        self.set_triggers(|part| part.wanted.clone(), "triggers")?;
        if self.restores.is_empty() {
            return Ok(());
        }
        for restore in &self.restores {
            let undo = restore.database.bookmark()?;
            if let Some(rollback) = &mut record.rollback {
                rollback
                    .undo
                    .entry(restore.database.name.clone())
                    .or_insert(undo);
            }
        }
        self.save(record)?;
        let ledger = Ledger {
            database: self.database,
            holder: who,
            lease_expiry: self.workspace.pipeline.deploy.lease_expiry,
        };
        let names: Vec<(String, String)> = self
            .restores
            .iter()
            .map(|restore| (restore.database.name.clone(), restore.bookmark.clone()))
            .collect();
        let carrier = Carrier {
            effects: self.effects(),
            restores: Some((self, &ledger)),
        };
        let outcome = self.ctx.run(&plans::restores(&names), &carrier);
        if outcome.ok() {
            self.keep(outcome);
            return Ok(());
        }
        self.after_failed_restore(&ledger, outcome)
    }

    /// A restore that failed may have happened all the same: the migrations that are there tell.
    fn after_failed_restore(
        &mut self,
        ledger: &Ledger<'_>,
        outcome: Outcome,
    ) -> anyhow::Result<()> {
        self.ctx.interrupt.reset();
        let gaps = &self.gaps;
        let back = self.restores.iter().map(|restore| {
            let since = gaps.get(&restore.database.name).map(|gap| &gap.since);
            let there = facts::applied(&restore.database)?;
            anyhow::Ok(since.is_none_or(|since| since.iter().all(|name| !there.contains(name))))
        });
        let back: anyhow::Result<Vec<bool>> = back.collect();
        match back {
            Ok(back) if back.iter().all(|back| !back) => {
                let failed = self.finish(outcome);
                let why = failed.err().map(|error| error.to_string());
                Err(Fail::remote(why.unwrap_or_default()).into())
            }
            Ok(back) if back.iter().all(|back| *back) => {
                restore::keep_ledger(self.ctx, ledger)
                    .map_err(|error| HalfRestored::new(&self.restores, &error))?;
                self.keep(outcome.repaired());
                Ok(())
            }
            Ok(_) => {
                let why = anyhow::anyhow!("some databases were restored, and some were not");
                self.keep(outcome);
                Err(HalfRestored::new(&self.restores, &why).into())
            }
            Err(error) => {
                self.keep(outcome);
                Err(HalfRestored::new(&self.restores, &error).into())
            }
        }
    }

    /// Gives every worker the target's version, in as few rounds as it takes.
    fn flip(&mut self) -> anyhow::Result<()> {
        let message = format!("{} rollback to {}", self.id, self.goal.target.id);
        for round in 1.. {
            let parts: Vec<&Part<'_>> = self.parts.iter().collect();
            let plan = plans::flips(
                &self.target.cloudflare,
                &self.levels,
                &parts,
                ("roll back", &message),
                |part| part.version.clone(),
            );
            let outcome = self.ctx.run(&plan, &self.carrier());
            self.name_secrets(&outcome);
            let lost = !outcome.interrupted
                && outcome
                    .failures()
                    .all(|step| step.exit == Some(Exit::Remote));
            if outcome.ok() || round == ROUNDS_MAX || !lost {
                return self.finish(outcome);
            }
            self.keep(outcome.repaired());
            self.reread()?;
        }
        unreachable!("the last round returns");
    }

    /// Sets the triggers to what `to` says.
    pub(super) fn set_triggers(
        &mut self,
        to: impl Fn(&Part<'_>) -> Triggers,
        group: &str,
    ) -> anyhow::Result<()> {
        for round in 1.. {
            let now: Vec<Triggers> = match round {
                1 => self
                    .parts
                    .iter()
                    .map(|part| part.live.triggers.clone())
                    .collect(),
                _ => self.triggers_now()?,
            };
            let cloud = &self.target.cloudflare;
            let mut all: Option<Outcome> = None;
            for plan in plans::triggers(cloud, group, &self.parts, &now, &to) {
                let outcome = self.ctx.run(&plan, &self.carrier());
                let ok = outcome.ok();
                outcome.add_to(&mut all);
                if !ok {
                    break;
                }
            }
            let Some(outcome) = all else { break };
            if outcome.ok() || round == ROUNDS_MAX || outcome.interrupted {
                return self.finish(outcome);
            }
            self.keep(outcome.repaired());
        }
        Ok(())
    }

    /// Asks every worker of the release for its health, as the public sees it.
    pub(super) fn verify(&mut self) -> anyhow::Result<()> {
        let plan = self.verify_plan();
        let outcome = self.ctx.run(&plan, &self.carrier());
        if outcome.ok() {
            self.keep(outcome);
            return Ok(());
        }
        let exit = outcome.exit().unwrap_or(Exit::Check);
        let failed: Vec<String> = outcome.failures().map(|step| step.goal.clone()).collect();
        self.keep(outcome);
        let target = &self.goal.target;
        Err(Fail::new(
            exit,
            format!(
                "the release {} serves again, but is not healthy",
                shown(target)
            ),
        )
        .why(format!("failed to {}", failed.join(", ")))
        .fix("go further back: cargo xtask rollback   (or name a release with `--to`)")
        .fix("cargo xtask rollback --list")
        .into())
    }

    pub(super) fn verify_plan(&self) -> Plan {
        let health = &self.workspace.pipeline.health;
        let mut plan = deploy::verify(&self.parts, health, &self.id, |part, triggers| {
            self.url(part, triggers)
        });
        STAGE.clone_into(&mut plan.stage);
        plan
    }

    /// The parts (by index) that do not serve one version alone. One that cannot be read counts as such.
    pub(super) fn differing(&self, version: impl Fn(&Part<'_>) -> Option<String>) -> Vec<usize> {
        let cloud = &self.target.cloudflare;
        let differs = |part: &Part<'_>| {
            let Some(wanted) = version(part) else {
                return false;
            };
            live::read_split(cloud, part.script()).ok() != Some(vec![(wanted, 100)])
        };
        (0..self.parts.len())
            .filter(|index| differs(&self.parts[*index]))
            .collect()
    }

    pub(super) fn scripts(&self) -> Vec<String> {
        let scripts = self.parts.iter().map(|part| part.script().to_owned());
        scripts.collect()
    }

    pub(super) fn triggers_now(&self) -> anyhow::Result<Vec<Triggers>> {
        let lives = live::read_all(&self.target.cloudflare, &self.scripts())?;
        Ok(lives.into_iter().map(|live| live.triggers).collect())
    }

    fn reread(&mut self) -> anyhow::Result<()> {
        for part in &mut self.parts {
            part.live.split = live::read_split(&self.target.cloudflare, part.script())?;
        }
        Ok(())
    }

    /// Secrets that have changed since the target are named: its versions run with the values of then.
    fn name_secrets(&mut self, outcome: &Outcome) {
        for step in &outcome.steps {
            if let Some(names) = step.output["secrets"].as_str() {
                let worker = step.worker.as_deref().unwrap_or_default();
                self.warnings.push(format!(
                    "secrets of {worker} have changed since #{}: {names}; it runs with the values of then",
                    self.goal.target.number
                ));
            }
        }
    }

    fn finish(&mut self, outcome: Outcome) -> anyhow::Result<()> {
        if outcome.ok() {
            self.keep(outcome);
            return Ok(());
        }
        let exit = outcome.exit().unwrap_or(Exit::Remote);
        let failed: Vec<String> = outcome.failures().map(|step| step.goal.clone()).collect();
        let why = if outcome.interrupted {
            "the run was interrupted".to_owned()
        } else {
            format!("failed to {}", failed.join(", "))
        };
        self.keep(outcome);
        Err(Fail::new(exit, why).into())
    }

    pub(super) fn keep(&mut self, outcome: Outcome) {
        outcome.add_to(&mut self.outcome);
    }

    fn effects(&self) -> Effects<'_> {
        Effects {
            target: self.target,
        }
    }

    pub(super) fn carrier(&self) -> Carrier<'_> {
        Carrier {
            effects: self.effects(),
            restores: None,
        }
    }
}
