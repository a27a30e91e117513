//! The steps of `ci` and what each depends on. Pure: facts in, steps out. The groups are the report's headings and the
//! user's diagram; they are no barriers: a step waits for nothing but what it needs.

mod audits;
mod checks;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::audits::{audit, cargo_audit};
use self::checks::{build, migrations, parts, types};
use crate::cache::Inputs;
use crate::plan::{Action, Plan, Step};
use crate::stages::ci::facts::{Checks, Facts};
use crate::stages::ci::packages::Install;
use crate::stages::install;
use crate::tools::wrangler::Wrangler;
use crate::workspace::Workspace;

/// The verb.
pub const STAGE: &str = "ci";

/// The longest one check may take.
const CHECK_MAX: Duration = Duration::from_secs(10 * 60);

/// What a step's output has to be read for, besides its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Installs the packages of a lock file: never cached, its own look at the disk decides.
    Install(Install),
    /// Prints what tsc prints.
    TypeCheck,
    /// `wrangler types --check`.
    Types,
    /// Any other program: its exit code decides.
    Program,
    /// Bundles a worker into a folder, whose size is judged.
    Build {
        /// The worker's short name.
        worker: String,
    },
    /// vitest, which also writes a report.
    Vitest {
        /// The report.
        report: PathBuf,
    },
    /// An audit of one lock file.
    Audit(Install),
    /// `cargo audit`.
    CargoAudit,
    /// Migrations on an empty local database.
    Migrations,
    /// The configs, already read.
    Config,
}

/// A plan with what the runner has to know of each step.
#[derive(Default)]
pub struct CiPlan {
    /// The steps.
    pub plan: Plan,
    /// What each depends on, by id; a step without inputs is never cached.
    pub inputs: BTreeMap<String, Inputs>,
    /// How each is judged, by id.
    pub kinds: BTreeMap<String, Kind>,
}

impl CiPlan {
    fn push(&mut self, step: Step, kind: Kind, inputs: Option<Inputs>) {
        self.kinds.insert(step.id.clone(), kind);
        if let Some(inputs) = inputs {
            self.inputs.insert(step.id.clone(), inputs);
        }
        self.plan.push(step);
    }
}

/// Everything a plan is made of.
pub struct Material<'a> {
    /// The repo.
    pub workspace: Option<&'a Workspace>,
    /// Its facts.
    pub facts: &'a Facts<'a>,
    /// wrangler, unless it is not installed yet.
    pub wrangler: &'a Wrangler,
    /// `.xtask`.
    pub state: &'a Path,
    /// Today in UTC, `2026-11-23`: what an audit says holds for a day.
    pub today: String,
    /// The script that rehearses migrations.
    pub migrate_script: PathBuf,
    /// The folder from which it finds miniflare.
    pub modules: PathBuf,
}

/// The whole plan.
pub fn plan(material: &Material<'_>) -> CiPlan {
    let mut ci = CiPlan {
        plan: Plan::new(STAGE),
        ..CiPlan::default()
    };
    ci.push(
        Step::new(
            "set-up",
            "config",
            "check pipeline.toml and the wrangler configs",
            Action::Task {
                name: "config".to_owned(),
            },
        ),
        Kind::Config,
        None,
    );
    for install in &material.facts.installs {
        let kind = Kind::Install(install.clone());
        ci.push(install::step(root(material), install), kind, None);
    }
    for checks in &material.facts.workers {
        types(&mut ci, material, checks);
        let name = &checks.worker.name;
        parts(
            &mut ci,
            material,
            Some(checks),
            "type check",
            &format!("check {name}"),
            &checks.check,
        );
    }
    for checks in &material.facts.workers {
        let name = &checks.worker.name;
        parts(
            &mut ci,
            material,
            Some(checks),
            "lint",
            &format!("lint {name}"),
            &checks.lint,
        );
    }
    if let Some(lint) = &material.facts.lint {
        parts(&mut ci, material, None, "lint", "lint", lint);
    }
    for install in &material.facts.installs {
        audit(&mut ci, material, install);
    }
    if material.facts.cargo_audit {
        cargo_audit(&mut ci, material);
    }
    for checks in &material.facts.workers {
        build(&mut ci, material, checks);
    }
    for checks in &material.facts.workers {
        let name = &checks.worker.name;
        parts(
            &mut ci,
            material,
            Some(checks),
            "test",
            &format!("test {name}"),
            &checks.test,
        );
    }
    migrations(&mut ci, material);
    ci
}

fn installed(material: &Material<'_>, checks: &Checks<'_>) -> Vec<String> {
    checks
        .install
        .map(|index| install::id(&material.facts.installs[index]))
        .into_iter()
        .collect()
}

fn inputs(material: &Material<'_>, checks: Option<&Checks<'_>>) -> Inputs {
    Inputs {
        paths: checks.map_or_else(|| vec![PathBuf::new()], |checks| checks.paths.clone()),
        tools: material.facts.tools.clone(),
        ..Inputs::default()
    }
}

fn root<'a>(material: &Material<'a>) -> &'a Path {
    material.state.parent().unwrap_or(material.state)
}
