//! Tells GitHub of a clean-up, before it and after it. Not to be able to is a warning in CI, where the comment is what people
//! look at.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::context::{CloudKind, Ctx};
use crate::github::{Access, PullRequest};
use crate::preview::Key;
use crate::report::Report;
use crate::run::Outcome;
use crate::stages::cleanup::fates;
use crate::stages::cleanup::found::Found;
use crate::stages::cleanup::stale::Stale;
use crate::stages::cleanup::tell::{self, Fate, When};
use crate::tools::github::Github;
use crate::workspace::Workspace;

/// What a clean-up knows of GitHub.
pub struct Teller<'a> {
    pub ctx: &'a Ctx,
    pub workspace: &'a Workspace,
    pub access: &'a Access,
    pub stale: &'a Stale,
    pub started: SystemTime,
}

impl Teller<'_> {
    /// Says what is about to go, when there is anything.
    pub fn first(&self, found: &Found) -> Option<Outcome> {
        let Access::Open(github) = self.access else {
            return None;
        };
        let mut standing = fates(found, None, self.stale);
        standing.retain(|fate| !fate.left.is_empty());
        self.say(github, &standing, When::Before)
    }

    /// Says what became of each.
    pub fn last(&self, fates: &[Fate], report: &mut Report) {
        let github = match self.access {
            Access::Open(github) => github,
            Access::None(why) => {
                let text = format!("GitHub was not told: {why}");
                match self.ctx.env.github_actions {
                    true => report.warn(text),
                    false => report.fact("note", text),
                }
                return;
            }
        };
        if let Some(outcome) = self.say(github, fates, When::After) {
            let before = report.exit;
            report.add(&outcome);
            if before != 0 {
                report.fail(before);
            }
        }
    }

    fn say(&self, github: &Github, fates: &[Fate], when: When) -> Option<Outcome> {
        let known = self.known(github, fates);
        let about = (self.ctx, self.workspace);
        let (plan, runner) = tell::plan(about, github, &known, self.started, when);
        (!plan.steps.is_empty()).then(|| self.ctx.run_all(&plan, &runner))
    }

    /// Those whose pull request there is. The local GitHub knows the pull requests somebody made there, and a rehearsal
    /// need not have one.
    fn known(&self, github: &Github, fates: &[Fate]) -> Vec<Fate> {
        let mut pulls: BTreeMap<u64, PullRequest> = BTreeMap::new();
        let mut known = Vec::new();
        for fate in fates {
            let Key::Pr(number) = fate.key else { continue };
            if self.ctx.cloud == CloudKind::Local && fate.pull.is_none() {
                match github.pull(number) {
                    Ok(Some(pull)) => drop(pulls.insert(number, pull)),
                    Ok(None) => continue,
                    Err(_) => {}
                }
            }
            known.push(Fate {
                key: fate.key,
                left: fate.left.clone(),
                standing: fate.standing.clone(),
                pull: fate.pull.clone().or(pulls.remove(&number)),
            });
        }
        known
    }
}
