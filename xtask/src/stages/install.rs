//! `cargo xtask install`: the packages of every lock file, exactly as locked. `ci` and `rehearse` plan the same steps. Knows
//! nothing of what the packages are for.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::context::Ctx;
use crate::error::Fail;
use crate::plan::{Action, Command, Plan, Step};
use crate::report::Report;
use crate::run::{Io, Runner};
use crate::stages::ci::packages::{self, Install};
use crate::tools::process;
use crate::workspace::Workspace;

const STAGE: &str = "install";

/// The longest one installation may take.
const INSTALL_MAX: Duration = Duration::from_secs(15 * 60);

/// Installs what is not installed yet.
pub fn install(ctx: &Ctx) -> anyhow::Result<Report> {
    let installs = of_repo(&ctx.root);
    let plan = plan(&ctx.root, &installs);
    if ctx.dry_run {
        ctx.show(&plan);
        return Ok(Report::empty(STAGE));
    }
    if installs.is_empty() {
        let mut report = Report::empty(STAGE);
        report.warn("no lock file: there is nothing to install");
        return Ok(report);
    }
    let runner = Installer {
        ctx,
        installs: &installs,
    };
    let outcome = ctx.run_all(&plan, &runner);
    Ok(Report::new(STAGE, &outcome))
}

/// The lock files that rule the root and the workers.
pub fn of_repo(root: &Path) -> Vec<Install> {
    let (workspace, _) = Workspace::read(root);
    let workers = workspace.iter().flat_map(|workspace| &workspace.workers);
    let folders = std::iter::once(root).chain(workers.map(|worker| worker.dir.as_path()));
    let mut installs: Vec<Install> = Vec::new();
    for install in folders.filter_map(|folder| packages::install_of(root, folder)) {
        if !installs.iter().any(|known| known.dir == install.dir) {
            installs.push(install);
        }
    }
    installs
}

/// The steps.
pub fn plan(root: &Path, installs: &[Install]) -> Plan {
    let mut plan = Plan::new(STAGE);
    for install in installs {
        plan.push(step(root, install));
    }
    plan
}

/// The id of a lock file's step.
pub fn id(install: &Install) -> String {
    if install.dir.as_os_str().is_empty() {
        STAGE.to_owned()
    } else {
        format!("{STAGE} {}", install.dir.display())
    }
}

/// Installs the packages of one lock file; done already when what is installed is as new.
pub fn step(root: &Path, install: &Install) -> Step {
    let argv = install.manager.install();
    let program = install.manager.program();
    let mut command = Command::new(program, argv, &root.join(&install.dir));
    command.keep_env = registry_variables(root, &install.dir);
    let lockfile = install.dir.join(&install.lockfile);
    let lockfile = lockfile.display();
    let goal = format!("install the packages of {lockfile}");
    let step = Step::new("set-up", id(install), goal, Action::Command(command))
        .timeout(INSTALL_MAX)
        .retry(2, 2000);
    if install.current {
        return step.done(format!("{lockfile} is installed"));
    }
    step
}

/// The variables that the managers' own configs read, such as the token of a private registry.
fn registry_variables(root: &Path, dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for folder in [root.to_owned(), root.join(dir)] {
        for file in [".npmrc", ".yarnrc.yml", ".yarnrc", "bunfig.toml"] {
            let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
            for (at, _) in text.match_indices('$') {
                let rest = text[at + 1..].trim_start_matches('{');
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                names.push(rest[..end.unwrap_or(rest.len())].to_owned());
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    names
}

/// Refuses to install over a link: npm empties `node_modules` first, and would empty what the link leads to.
pub fn refuse_link(folder: &Path) -> Result<(), Fail> {
    let modules = folder.join("node_modules");
    let Ok(target) = std::fs::read_link(&modules) else {
        return Ok(());
    };
    let shown = modules.display();
    Err(Fail::setup(format!("{shown} is a link"))
        .why(format!(
            "it leads to {}, which the installation would empty",
            target.display()
        ))
        .why("what is installed there is older than the lock file here")
        .fix(format!(
            "rm {shown}   (removes the link only), then run it again"
        ))
        .fix("or install the packages where the link leads to"))
}

/// Runs the steps of [`plan`].
pub struct Installer<'a> {
    /// The run's flags and surroundings.
    pub ctx: &'a Ctx,
    /// What is installed.
    pub installs: &'a [Install],
}

impl Runner for Installer<'_> {
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value> {
        let Action::Command(command) = &step.action else {
            anyhow::bail!("{} is no command", step.id);
        };
        refuse_link(&command.cwd)?;
        let finished = process::run(command, &self.ctx.env, io, step.timeout)?;
        if !finished.success() {
            return Err(
                Fail::setup(format!("{} {}", command.program, finished.ending()))
                    .why(finished.tail(15))
                    .into(),
            );
        }
        let installed = self.installs.iter().find(|install| id(install) == step.id);
        if let Some(install) = installed
            && let Err(error) = packages::stamp(&command.cwd, &install.lockfile)
        {
            io.note(&format!("it will be installed again next time: {error}"));
        }
        Ok(Value::Null)
    }
}
