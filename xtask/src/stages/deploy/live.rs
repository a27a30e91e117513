//! The part of a release that the public can see: promote, triggers, verify, and the way back.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::error::Fail;
use crate::live::{self, Triggers};
use crate::plan::{Action, Plan, Step};
use crate::run::Status;
use crate::stages::deploy::part::{Change, Part};
use crate::stages::deploy::plans::{self, STAGE};
use crate::stages::deploy::release::{Release, short};
use crate::stages::deploy::serving::shares;
use crate::stages::deploy::triggers;
use crate::tools::wrangler::Wrangler;

/// How often putting back is tried before a person is asked to look.
const PUT_BACK_ROUNDS: usize = 3;

impl Release<'_> {
    /// Puts the new versions beside the old ones at 0 %, asks them for their health, and begins to listen. Traffic is not
    /// touched, and on a failure what was staged is taken down again.
    pub fn stage_and_smoke(&mut self) -> anyhow::Result<()> {
        let cloud = &self.target.cloudflare;
        let stage = plans::stage(cloud, &self.parts, &self.id);
        let health = &self.workspace.pipeline.health;
        let smoke = plans::smoke(&self.parts, health, &self.id, |part, triggers| {
            self.url(part, triggers)
        });
        let result = self
            .run(&stage)
            .and_then(|()| self.run(&smoke))
            .and_then(|()| self.listen());
        if result.is_err() {
            // A Ctrl-C may have got us here; what was staged is taken down all the same.
            self.ctx.interrupt.reset();
            let left = self.put_back_rounds();
            if !left.is_empty() {
                self.warn_staged(&left);
            }
        }
        result
    }

    fn warn_staged(&mut self, left: &[usize]) {
        let names: Vec<&str> = left.iter().map(|index| self.parts[*index].name()).collect();
        self.warnings.push(format!(
            "a version without traffic stays staged on {}",
            names.join(", ")
        ));
    }

    /// Makes the release public. When any of it fails, everything is put back and the error says so (exit 3), or names
    /// what could not be put back (exit 4).
    pub fn go_live(&mut self) -> anyhow::Result<()> {
        let mut triggers_touched = self.parts.iter().any(|part| part.before.is_some());
        let result = self.go_live_forward(&mut triggers_touched);
        let Err(error) = result else {
            return Ok(());
        };
        let nothing_changed = self.parts.iter().all(|part| self.untouched(part));
        if nothing_changed && !triggers_touched {
            return Err(error);
        }
        Err(self.put_back(&error, triggers_touched).into())
    }

    fn go_live_forward(&mut self, triggers_touched: &mut bool) -> anyhow::Result<()> {
        let canary = self
            .options
            .canary
            .unwrap_or(self.workspace.pipeline.deploy.canary);
        if canary > 0 && self.parts.iter().any(Part::staged) {
            self.run(&plans::promote(
                &self.target.cloudflare,
                &self.levels,
                &self.parts,
                &self.id,
                canary,
            ))?;
            let bake = self
                .options
                .bake
                .unwrap_or(self.workspace.pipeline.deploy.bake);
            self.bake(bake)?;
        }
        self.run(&plans::promote(
            &self.target.cloudflare,
            &self.levels,
            &self.parts,
            &self.id,
            100,
        ))?;
        self.promote_immediate()?;
        let wanted = self
            .parts
            .iter()
            .map(|part| (part, part.live.triggers.clone(), part.wanted.clone()));
        let triggers = triggers::triggers(&self.target.cloudflare, "triggers", wanted);
        *triggers_touched |= !triggers.steps.is_empty();
        self.run(&triggers)?;
        let health = &self.workspace.pipeline.health;
        let verify = plans::verify(&self.parts, health, &self.id, |part, triggers| {
            self.url(part, triggers)
        });
        self.run(&verify)?;
        self.watch_live()
    }

    /// Watches the canary: its health is asked for at the beginning, in between and at the end.
    fn bake(&mut self, bake: Duration) -> anyhow::Result<()> {
        const LOOKS: u64 = 4;
        let health = &self.workspace.pipeline.health;
        let smoke = plans::smoke(&self.parts, health, &self.id, |part, triggers| {
            self.url(part, triggers)
        });
        let mut plan = Plan::new(STAGE);
        let mut earlier: Vec<String> = Vec::new();
        for look in 1..=LOOKS {
            let wait = format!("bake {look}/{LOOKS}");
            let seconds = (bake.as_secs() * look / LOOKS) - (bake.as_secs() * (look - 1) / LOOKS);
            let step = Step::new(
                "promote",
                &wait,
                "watch the canary",
                Action::Wait { seconds },
            );
            plan.push(
                step.timeout(bake + Duration::from_secs(60))
                    .needs(earlier.clone()),
            );
            earlier = vec![wait.clone()];
            for probe in &smoke.steps {
                let mut probe = probe.clone().needs([wait.clone()]);
                probe.id = format!("{} {look}/{LOOKS}", probe.id);
                probe.group = "promote".to_owned();
                earlier.push(probe.id.clone());
                plan.push(probe);
            }
        }
        self.run(&plan)
    }

    /// Uploads what cannot be staged: it goes live with the upload, after everything else.
    fn promote_immediate(&mut self) -> anyhow::Result<()> {
        let mut plan = Plan::new(STAGE);
        let timeout = self.workspace.pipeline.deploy.upload_timeout;
        for part in self
            .parts
            .iter()
            .filter(|part| part.change == Change::Immediate)
        {
            let command = self.wrangler_upload(part, Wrangler::deploy)?;
            let goal = format!("deploy {} with its Durable Object migration", part.name());
            let step = Step::new(
                "promote",
                format!("deploy {}", part.name()),
                goal,
                Action::Command(command),
            );
            plan.push(step.worker(part.name()).timeout(timeout));
        }
        let outcome = self.attempt(&plan);
        for part in &mut self.parts {
            if let Some(output) = outcome.output(&format!("deploy {}", part.name())) {
                part.version = output["version_id"].as_str().map(str::to_owned);
            }
        }
        if outcome.ok() {
            self.keep(outcome);
            return Ok(());
        }
        Err(self.stop(outcome).into())
    }

    /// Puts every worker back to what served before, and its triggers.
    fn put_back(&mut self, error: &anyhow::Error, triggers_touched: bool) -> Fail {
        // A Ctrl-C got us here, perhaps; the way back must not be stopped by it.
        self.ctx.interrupt.reset();
        let left = self.put_back_rounds();
        let mut troubles = Vec::new();
        let mut differing = Vec::new();
        for index in left {
            match self.difference(&self.parts[index]) {
                Some(difference) => {
                    troubles.push(difference);
                    differing.push(index);
                }
                None => self.warn_staged(&[index]),
            }
        }
        if triggers_touched {
            troubles.extend(self.put_back_triggers());
        }
        if troubles.is_empty() {
            return Fail::remote(format!(
                "the release {} was put back: every worker serves what it served before",
                self.id
            ))
            .why(error.to_string())
            .fix("see the failed step above, then run the command again");
        }
        let mut fail = Fail::partial(format!(
            "the release {} failed and could not be put back completely",
            self.id
        ))
        .why(error.to_string());
        for trouble in troubles {
            fail = fail.why(trouble);
        }
        for index in differing {
            let part = &self.parts[index];
            if part.change == Change::Immediate {
                let name = part.name();
                fail = fail.why(format!(
                    "a Durable Object migration came with that version of {name}: no earlier version can be deployed"
                ));
                fail = fail.fix(format!("correct {name} and deploy: it can only go forward"));
            } else if let Some(base) = &part.base {
                fail = fail.fix(format!(
                    "npx wrangler versions deploy {base}@100% --name {} --yes",
                    part.script()
                ));
            }
        }
        fail.fix("or run the same deploy again: it carries on from here")
    }

    /// Restores what differs, by what is really live; returns the parts (by index) that still differ at the end.
    fn put_back_rounds(&mut self) -> Vec<usize> {
        let mut left = self.differing(0..self.parts.len());
        for _ in 0..PUT_BACK_ROUNDS {
            if left.is_empty() {
                break;
            }
            let parts: Vec<&Part<'_>> = left.iter().map(|index| &self.parts[*index]).collect();
            let levels = plans::put_back(&self.target.cloudflare, &self.levels, &parts, &self.id);
            for level in &levels {
                let outcome = self.attempt_all(level);
                // What the cloud confirmed needs no second look, which could fail where the change did not.
                let confirmed: BTreeSet<&str> = outcome
                    .steps
                    .iter()
                    .filter(|step| step.status == Status::Passed)
                    .filter_map(|step| step.worker.as_deref())
                    .collect();
                left.retain(|index| !confirmed.contains(self.parts[*index].name()));
                self.keep(outcome.repaired());
            }
            left = self.differing(left);
        }
        left
    }

    /// Sets the triggers back, by what is really live; says which still differ at the end.
    fn put_back_triggers(&mut self) -> Vec<String> {
        let scripts: Vec<String> = self
            .parts
            .iter()
            .map(|part| part.script().to_owned())
            .collect();
        let mut round = 0;
        loop {
            // What cannot be read is taken for changed: setting it back does no harm.
            let now: Vec<Triggers> = match live::read_all(&self.target.cloudflare, &scripts) {
                Ok(lives) => lives.into_iter().map(|live| live.triggers).collect(),
                Err(_) => self.parts.iter().map(|part| part.wanted.clone()).collect(),
            };
            let pairs = self.parts.iter().zip(now);
            let back = pairs.map(|(part, now)| (part, now, part.triggers_before().clone()));
            let plan = triggers::triggers(&self.target.cloudflare, "put back", back);
            if plan.steps.is_empty() {
                return Vec::new();
            }
            if round == PUT_BACK_ROUNDS {
                let left = plan.steps.iter();
                return left
                    .map(|step| format!("{}: not set back", step.id))
                    .collect();
            }
            round += 1;
            let outcome = self.attempt_all(&plan);
            let all_set = outcome.ok();
            self.keep(outcome.repaired());
            if all_set {
                return Vec::new();
            }
        }
    }

    /// Those of some parts whose live deployment is not their base alone. One that cannot be read counts as differing.
    fn differing(&self, parts: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let cloud = &self.target.cloudflare;
        let differs = |index: &usize| {
            let part = &self.parts[*index];
            let Some(base) = part.base.as_ref().filter(|_| !self.untouched(part)) else {
                return false;
            };
            live::read_split(cloud, part.script()).ok() != Some(vec![(base.clone(), 100)])
        };
        parts.into_iter().filter(differs).collect()
    }

    /// True when this release (an interrupted run of it included) never meant to change what the worker serves.
    fn untouched(&self, part: &Part<'_>) -> bool {
        !part.changes() && part.base.as_deref() == part.live.serving()
    }

    /// How what a worker serves differs from what it should serve. A version without traffic is no difference.
    fn difference(&self, part: &Part<'_>) -> Option<String> {
        let wanted = part.base.as_deref().map_or("nothing", short);
        let split = match live::read_split(&self.target.cloudflare, part.script()) {
            Ok(split) => split,
            Err(error) => {
                return Some(format!(
                    "{}: should serve {wanted}; what it serves cannot be read ({error})",
                    part.name()
                ));
            }
        };
        let mut serves = split;
        serves.retain(|(_, share)| *share > 0);
        if let [(only, _)] = serves.as_slice()
            && Some(only) == part.base.as_ref()
        {
            return None;
        }
        let shares = shares(&serves);
        let name = part.name();
        Some(format!("{name}: serves {shares} instead of {wanted}"))
    }

    /// Runs every step of a plan, whatever becomes of the others.
    fn attempt_all(&mut self, plan: &Plan) -> crate::run::Outcome {
        self.ctx.run_all(
            plan,
            &crate::stages::effects::Effects {
                target: self.target,
            },
        )
    }
}
