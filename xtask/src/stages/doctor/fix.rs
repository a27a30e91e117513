//! `--fix`: the repairs that can do no harm.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::check::{Check, Repair};
use crate::context::Ctx;
use crate::plan::{Action, Plan, Step};
use crate::run::{Io, Outcome, Runner};
use crate::stages::ci::packages::Install;
use crate::stages::install::{self, Installer};
use crate::tools::git::Git;

/// What is repaired: one step each.
pub fn plan(checks: &[Check], root: &Path, installs: &[Install]) -> Plan {
    let mut plan = Plan::new("doctor");
    for check in checks.iter().filter(|check| check.is_problem()) {
        let (goal, name) = match &check.repair {
            None => continue,
            Some(Repair::Install) => {
                let behind = installs.iter().filter(|install| !install.current);
                plan.steps
                    .extend(behind.map(|install| install::step(root, install)));
                continue;
            }
            Some(Repair::Ignore(lines)) => {
                (format!("add {} to .gitignore", lines.join(", ")), "ignore")
            }
            Some(Repair::Fetch(branch)) => (format!("fetch {branch} from origin"), "fetch"),
        };
        let name = name.to_owned();
        plan.push(Step::new(
            "fix",
            format!("fix {}", check.id),
            goal,
            Action::Task { name },
        ));
    }
    plan
}

/// Makes the repairs; one that fails keeps no other from being made.
pub fn run(ctx: &Ctx, plan: &Plan, checks: &[Check], installs: &[Install]) -> Outcome {
    let installer = Installer { ctx, installs };
    ctx.run_all(
        plan,
        &Fixer {
            ctx,
            checks,
            installer,
        },
    )
}

struct Fixer<'a> {
    ctx: &'a Ctx,
    checks: &'a [Check],
    installer: Installer<'a>,
}

impl Runner for Fixer<'_> {
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value> {
        if matches!(step.action, Action::Command(_)) {
            return self.installer.exec(step, io);
        }
        let id = step.id.strip_prefix("fix ").unwrap_or(&step.id);
        let check = self.checks.iter().find(|check| check.id == id);
        match check.and_then(|check| check.repair.as_ref()) {
            Some(Repair::Ignore(lines)) => ignore(&self.ctx.root, lines)?,
            Some(Repair::Fetch(branch)) => Git::at(&self.ctx.root).fetch_branch(branch)?,
            _ => anyhow::bail!("nobody knows how to {}", step.goal),
        }
        Ok(Value::Null)
    }
}

/// Adds lines at the end, and begins a new line where the file does not end with one.
fn ignore(root: &Path, lines: &[String]) -> anyhow::Result<()> {
    let path = root.join(".gitignore");
    let mut text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(error).with_context(|| format!("failed to read {}", path.display()));
        }
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
}
