//! The steps of `ci` and what each depends on. Pure: facts in, steps out. The groups are the report's headings and the
//! user's diagram; they are no barriers: a step waits for nothing but what it needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache::Inputs;
use crate::plan::{Action, Command, Plan, Step};
use crate::stages::ci::facts::{Checks, Facts};
use crate::stages::ci::packages::{Install, Parts};
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
        ci.push(install_step(material, install), kind, None);
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

fn install_id(install: &Install) -> String {
    if install.dir.as_os_str().is_empty() {
        "install".to_owned()
    } else {
        format!("install {}", install.dir.display())
    }
}

fn install_step(material: &Material<'_>, install: &Install) -> Step {
    let id = install_id(install);
    let argv = install.manager.install();
    let program = install.manager.program();
    let command = Command::new(program, argv, &root(material).join(&install.dir));
    let goal = format!(
        "install the packages of {}",
        install.dir.join(&install.lockfile).display()
    );
    let step = Step::new("set-up", id, goal, Action::Command(command))
        .timeout(CHECK_MAX)
        .retry(2, 2000);
    if install.current {
        return step.done(format!(
            "{} is installed",
            install.dir.join(&install.lockfile).display()
        ));
    }
    step
}

/// `wrangler types --check`, where a types file is committed.
fn types(ci: &mut CiPlan, material: &Material<'_>, checks: &Checks<'_>) {
    let Some(file) = &checks.types_file else {
        return;
    };
    let name = &checks.worker.name;
    let command = material.wrangler.types_check(checks.worker, file);
    let step = Step::new(
        "type check",
        format!("types {name}"),
        format!("find the types of {name} up to date"),
        Action::Command(command),
    );
    ci.push(
        step.worker(name)
            .needs(installed(material, checks))
            .timeout(CHECK_MAX),
        Kind::Types,
        Some(inputs(material, Some(checks))),
    );
}

/// One step per command of a script: each is run and judged by itself.
fn parts(
    ci: &mut CiPlan,
    material: &Material<'_>,
    checks: Option<&Checks<'_>>,
    group: &str,
    id: &str,
    parts: &Parts,
) {
    let cwd = checks.map_or(root(material), |checks| checks.worker.dir.as_path());
    for (index, line) in parts.commands.iter().enumerate() {
        let id = if parts.commands.len() == 1 {
            id.to_owned()
        } else {
            format!("{id} {}", index + 1)
        };
        let mut line = line.clone();
        let kind = if runs(&line, "vitest") {
            let report = material
                .state
                .join("reports/vitest")
                .join(format!("{}.json", id.replace(' ', "-")));
            line.push_str(&format!(
                " --reporter=default --reporter=json --outputFile.json='{}'",
                report.display()
            ));
            Kind::Vitest { report }
        } else if runs(&line, "tsc") || group == "type check" {
            Kind::TypeCheck
        } else {
            Kind::Program
        };
        let shell = &material.facts.shell;
        let arguments: Vec<&str> = shell[1..]
            .iter()
            .map(String::as_str)
            .chain([line.as_str()])
            .collect();
        let mut command = Command::new(&shell[0], &arguments, cwd);
        command.display.clone_from(&parts.commands[index]);
        let mut step = Step::new(
            group,
            &id,
            format!("run `{}`", parts.commands[index]),
            Action::Command(command),
        )
        .timeout(CHECK_MAX);
        if let Some(checks) = checks {
            step = step
                .worker(&checks.worker.name)
                .needs(installed(material, checks));
        } else {
            step = step.needs(material.facts.installs.iter().map(install_id));
        }
        ci.push(step, kind, Some(inputs(material, checks)));
    }
    for left_out in &parts.left_out {
        ci.plan.notes.push(format!(
            "{id}: `{left_out}` is not run: it would hide a failure"
        ));
    }
}

fn audit(ci: &mut CiPlan, material: &Material<'_>, install: &Install) {
    let id = install_id(install).replacen("install", "audit", 1);
    let command = Command::new(
        install.manager.program(),
        install.manager.audit(),
        &root(material).join(&install.dir),
    );
    let goal = format!(
        "audit the packages of {}",
        install.dir.join(&install.lockfile).display()
    );
    let mut inputs = inputs(material, None);
    inputs.paths = vec![
        install.dir.join(&install.lockfile),
        install.dir.join("package.json"),
        PathBuf::from("pipeline.toml"),
    ];
    inputs
        .tools
        .push(("day".to_owned(), material.today.clone()));
    let step =
        Step::new("audit", id, goal, Action::Command(command)).timeout(Duration::from_secs(120));
    ci.push(step, Kind::Audit(install.clone()), Some(inputs));
}

fn cargo_audit(ci: &mut CiPlan, material: &Material<'_>) {
    let command = Command::new("cargo", &["audit", "--json"], root(material));
    let mut inputs = inputs(material, None);
    inputs.paths = vec![PathBuf::from("Cargo.lock"), PathBuf::from("pipeline.toml")];
    inputs
        .tools
        .push(("day".to_owned(), material.today.clone()));
    let step = Step::new(
        "audit",
        "audit cargo",
        "audit the crates of Cargo.lock",
        Action::Command(command),
    );
    ci.push(
        step.timeout(Duration::from_secs(120)),
        Kind::CargoAudit,
        Some(inputs),
    );
}

/// The worker's own build command, if it has one, then the bundle.
fn build(ci: &mut CiPlan, material: &Material<'_>, checks: &Checks<'_>) {
    let name = &checks.worker.name;
    let mut needs = installed(material, checks);
    if let Some(line) = &checks.worker.build {
        let id = format!("run the build of {name}");
        let command = Command::shell(line, &checks.worker.dir);
        let step = Step::new("build", &id, &id, Action::Command(command))
            .worker(name)
            .needs(needs);
        // What it makes is ignored by git: cached, it would be missing from a fresh checkout.
        ci.push(step.timeout(CHECK_MAX), Kind::Program, None);
        needs = vec![id];
    }
    let folder = material.state.join("build").join(name);
    let command = material.wrangler.bundle(checks.worker, &folder);
    let id = format!("build {name}");
    let step = Step::new("build", &id, &id, Action::Command(command))
        .worker(name)
        .needs(needs);
    let mut inputs = inputs(material, Some(checks));
    inputs.paths.push(PathBuf::from("pipeline.toml"));
    ci.push(
        step.timeout(CHECK_MAX),
        Kind::Build {
            worker: name.clone(),
        },
        Some(inputs),
    );
}

/// Baseline, migrations and seed, in order, on an empty database of the real kind.
fn migrations(ci: &mut CiPlan, material: &Material<'_>) {
    let Some(workspace) = material.workspace else {
        return;
    };
    let node = &material.facts.node;
    for database in &workspace.pipeline.databases {
        let id = format!("migrations {}", database.name);
        let request = serde_json::json!({
            "repo_root": workspace.root,
            "baseline": database.schema,
            "migrations": database.migrations,
            "seed": database.seed,
        });
        let script = material.migrate_script.display().to_string();
        let mut command = Command::new(
            &node.display().to_string(),
            &[&script, &request.to_string()],
            &workspace.root,
        );
        command.display = format!(
            "apply the SQL files of {} to an empty database",
            database.name
        );
        let goal = format!(
            "apply the migrations of {} to an empty database",
            database.name
        );
        let step = Step::new("test", id, goal, Action::Command(command)).timeout(CHECK_MAX);
        let mut inputs = inputs(material, None);
        inputs.paths = [
            Some(&database.migrations),
            database.schema.as_ref(),
            database.seed.as_ref(),
        ]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
        let needs = material.facts.installs.iter().map(install_id);
        ci.push(step.needs(needs), Kind::Migrations, Some(inputs));
    }
}

fn installed(material: &Material<'_>, checks: &Checks<'_>) -> Vec<String> {
    checks
        .install
        .map(|index| install_id(&material.facts.installs[index]))
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

/// True when a command line runs a program, directly or through a package manager's runner.
fn runs(line: &str, program: &str) -> bool {
    line.split_whitespace()
        .find(|word| {
            !word.contains('=')
                && !matches!(
                    *word,
                    "npx" | "pnpm" | "exec" | "yarn" | "bunx" | "bun" | "run" | "--"
                )
        })
        .is_some_and(|word| word == program)
}
