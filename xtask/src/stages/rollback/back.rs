//! The way back of a rollback that failed half-way: every worker serves again what it served before.

use std::sync::Arc;

use crate::error::Fail;
use crate::live::{self, Triggers};
use crate::stages::deploy::part::Part;
use crate::stages::deploy::release::short;
use crate::stages::deploy::serving::shares;
use crate::stages::rollback::carry::ROUNDS_MAX;
use crate::stages::rollback::facts::Rollback;
use crate::stages::rollback::history::shown;
use crate::stages::rollback::plans;

impl Rollback<'_> {
    /// Gives every worker back what it served before this rollback, and its triggers.
    pub(super) fn put_back(&mut self, error: &anyhow::Error) -> Fail {
        // A Ctrl-C got us here, perhaps; the way back must not be stopped by it.
        self.ctx.interrupt.reset();
        let message = format!("{} put back", self.id);
        let mut left = self.differing(|part| part.base.clone());
        for _ in 0..ROUNDS_MAX {
            if left.is_empty() {
                break;
            }
            let parts: Vec<&Part<'_>> = left.iter().map(|index| &self.parts[*index]).collect();
            let mut plan = plans::flips(
                &self.target.cloudflare,
                &self.levels,
                &parts,
                ("put back", &message),
                |part| part.base.clone(),
            );
            for step in &mut plan.steps {
                // One that cannot be put back must not keep the others from it; and what served was live a moment ago.
                step.needs = Arc::default();
                step.done = None;
            }
            let outcome = self.ctx.run_all(&plan, &self.carrier());
            self.keep(outcome.repaired());
            left = self.differing(|part| part.base.clone());
        }
        let before = |part: &Part<'_>| part.triggers_before().clone();
        let mut troubles: Vec<String> = left.iter().map(|index| self.trouble(*index)).collect();
        if let Err(error) = self.triggers_as_before(before) {
            troubles.push(format!("triggers: {error}"));
        }
        let target = shown(&self.goal.target);
        if troubles.is_empty() {
            return Fail::remote(format!(
                "the rollback to {target} was given up: every worker serves what it served before"
            ))
            .why(error.to_string())
            .fix("see the failed step above, then run the command again");
        }
        let mut fail = Fail::partial(format!("the rollback to {target} was left part-way"))
            .why(error.to_string())
            .why(troubles.join("\n"));
        for index in left {
            let part = &self.parts[index];
            let version = part.version.as_deref().unwrap_or_default();
            fail = fail.fix(format!(
                "npx wrangler versions deploy {version}@100% --name {} --yes",
                part.script()
            ));
        }
        fail.fix("or run the same rollback again: it carries on from here")
    }

    fn triggers_as_before(&mut self, before: impl Fn(&Part<'_>) -> Triggers) -> anyhow::Result<()> {
        let now = self.triggers_now()?;
        let same = self
            .parts
            .iter()
            .zip(&now)
            .all(|(part, now)| now.are_as(&before(part)));
        if same {
            return Ok(());
        }
        let wanted: Vec<Triggers> = self.parts.iter().map(&before).collect();
        // What is live now is where the way back begins.
        for (part, now) in self.parts.iter_mut().zip(now) {
            part.live.triggers = now;
        }
        let scripts: Vec<String> = self.scripts();
        self.set_triggers(
            |part| {
                let at = scripts.iter().position(|script| script == part.script());
                at.map_or_else(Triggers::default, |at| wanted[at].clone())
            },
            "put back",
        )
    }

    fn trouble(&self, index: usize) -> String {
        let part = &self.parts[index];
        let wanted = part.base.as_deref().map_or("nothing", short);
        match live::read_split(&self.target.cloudflare, part.script()) {
            Ok(split) => {
                let shares = shares(&split);
                format!("{}: serves {shares} instead of {wanted}", part.name())
            }
            Err(error) => format!(
                "{}: should serve {wanted}; what it serves cannot be read ({error})",
                part.name()
            ),
        }
    }
}
