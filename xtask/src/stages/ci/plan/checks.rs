//! The steps that check what the repo itself holds: types, scripts, bundles, migrations. Pure.

use std::path::{Path, PathBuf};

use super::{CHECK_MAX, CiPlan, Kind, Material, inputs, installed, root};
use crate::plan::{Action, Command, Step};
use crate::stages::ci::facts::{Checks, JUDGES};
use crate::stages::ci::script::{Parts, is_plain};
use crate::stages::install;

/// `wrangler types --check`, where a types file is committed.
pub(super) fn types(ci: &mut CiPlan, material: &Material<'_>, checks: &Checks<'_>) {
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
pub(super) fn parts(
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
        let kind = if takes_reporters(&line) {
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
            match checks {
                Some(checks) => {
                    format!("run `{}` of {}", parts.commands[index], checks.worker.name)
                }
                None => format!("run `{}`", parts.commands[index]),
            },
            Action::Command(command),
        )
        .timeout(CHECK_MAX);
        if let Some(checks) = checks {
            step = step
                .worker(&checks.worker.name)
                .needs(installed(material, checks));
        } else {
            step = step.needs(material.facts.installs.iter().map(install::id));
        }
        ci.push(step, kind, Some(inputs(material, checks)));
    }
    for left_out in &parts.left_out {
        ci.plan.notes.push(format!(
            "{id}: `{left_out}` is not run: it would hide a failure"
        ));
    }
}

/// The worker's own build command, if it has one, then the bundle.
pub(super) fn build(ci: &mut CiPlan, material: &Material<'_>, checks: &Checks<'_>) {
    let name = &checks.worker.name;
    let mut needs = installed(material, checks);
    if let Some(command) = material.wrangler.own_build(checks.worker) {
        let id = format!("run the build of {name}");
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
pub(super) fn migrations(ci: &mut CiPlan, material: &Material<'_>) {
    let Some(workspace) = material.workspace else {
        return;
    };
    let node = &material.facts.node;
    for database in &workspace.pipeline.databases {
        let Some(files) = material.facts.migrations.get(&database.name) else {
            continue;
        };
        let id = format!("migrations {}", database.name);
        let request = serde_json::json!({
            "repo_root": material.modules,
            "baseline": database.schema,
            "migrations": files,
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
        let files = [
            Some(&database.migrations),
            database.schema.as_ref(),
            database.seed.as_ref(),
        ];
        inputs.paths = files.into_iter().flatten().cloned().collect();
        // Miniflare is as the lock files say; the script and its modules apply the files.
        let installs = material.facts.installs.iter();
        let lockfiles = installs.map(|install| install.dir.join(&install.lockfile));
        inputs.paths.extend(lockfiles);
        let program = material.migrate_script.parent();
        inputs.paths.extend(program.map(Path::to_owned));
        inputs.paths.extend(JUDGES.map(PathBuf::from));
        let needs = material.facts.installs.iter().map(install::id);
        ci.push(step.needs(needs), Kind::Migrations, Some(inputs));
    }
}

/// True when a command line runs a program, directly or through a package manager's runner.
/// True for a call of vitest that takes more flags at its end, and asks for no results of its own.
fn takes_reporters(line: &str) -> bool {
    let own = ["--reporter", "--outputFile", "--output-file"];
    let mut words = line.split_whitespace();
    runs(line, "vitest")
        && is_plain(line)
        && !words.any(|word| word == "--" || own.iter().any(|flag| word.starts_with(flag)))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_added_only_where_vitest_takes_them() {
        for line in [
            "vitest run",
            "npx vitest run --coverage",
            "vitest run src/a.test.ts",
        ] {
            assert!(takes_reporters(line), "{line}");
        }
        for line in [
            "vitest run --reporter=junit --outputFile=junit.xml",
            "vitest run 2>&1 | tee test.log",
            "vitest run -- src",
            "cd web && vitest run",
            "vitest run --config \"a b.ts\"",
            "tsc --noEmit",
        ] {
            assert!(!takes_reporters(line), "{line}");
        }
    }
}
