//! The files of the repo: `pipeline.toml`, wrangler configs, migrations, workflows. `gather` reads, `judge` is pure.

use std::path::Path;

use super::check::{Check, Group};
use crate::config::{Problem, Problems};
use crate::error::Fail;
use crate::ledger::migrations;
use crate::stages::tidy;
use crate::workspace::Workspace;

/// Nobody reads more of them at once.
const LINES_MAX: usize = 5;

/// The files as they are.
#[derive(Debug, Default)]
pub struct Files {
    /// True when there is a `pipeline.toml`.
    pub pipeline: bool,
    /// The workers, as far as they could be read.
    pub workspace: Option<Workspace>,
    /// Mistakes and oddities in all config files.
    pub problems: Vec<Problem>,
    /// What is wrong with the migration files of a database.
    pub migrations: Vec<Fail>,
}

/// Reads them.
pub fn gather(root: &Path) -> anyhow::Result<Files> {
    let pipeline = root.join("pipeline.toml").is_file();
    let (workspace, problems) = match pipeline {
        true => Workspace::read(root),
        false => (None, Problems::new(root)),
    };
    let mut wrong = Vec::new();
    for database in workspace
        .iter()
        .flat_map(|workspace| &workspace.pipeline.databases)
    {
        if let Err(error) = migrations::gather(root, database) {
            wrong.push(error.downcast::<Fail>()?);
        }
    }
    Ok(Files {
        pipeline,
        workspace,
        problems: problems.sorted(),
        migrations: wrong,
    })
}

/// What the workflows break of the rules for them; none when there is no workflow, or no git to list them.
pub fn workflows(root: &Path, with_git: bool) -> anyhow::Result<Option<Vec<String>>> {
    if !with_git {
        return Ok(None);
    }
    let repo = tidy::Repo::of_workflows(root)?;
    if repo
        .files
        .keys()
        .all(|path| !path.starts_with(".github/workflows"))
    {
        return Ok(None);
    }
    let found = tidy::check_workflows(&repo);
    Ok(Some(found.iter().map(ToString::to_string).collect()))
}

/// What is to be said about them.
pub fn judge(files: &Files, workflows: Option<&[String]>) -> Vec<Check> {
    vec![
        pipeline(files),
        configs(files),
        bindings(files),
        sql(files),
        actions(workflows),
    ]
}

fn pipeline(repo: &Files) -> Check {
    const ID: &str = "pipeline.toml";
    if !repo.pipeline {
        return Check::fail(Group::Repo, ID, "there is none")
            .why("it says which workers ship; no stage does anything without it")
            .fix("cargo xtask init");
    }
    let own: Vec<&Problem> = repo
        .problems
        .iter()
        .filter(|problem| problem.path == Path::new(ID))
        .collect();
    told(ID, &own, || {
        let workspace = repo.workspace.as_ref();
        let workers = workspace.map_or(0, |workspace| workspace.pipeline.workers.len());
        let databases = workspace.map_or(0, |workspace| workspace.pipeline.databases.len());
        format!(
            "{}, {}",
            many(workers, "worker"),
            many(databases, "database")
        )
    })
}

fn configs(repo: &Files) -> Check {
    const ID: &str = "wrangler configs";
    let Some(workspace) = &repo.workspace else {
        return Check::skipped(Group::Repo, ID, "pipeline.toml names none that can be read");
    };
    let others = repo
        .problems
        .iter()
        .filter(|problem| problem.path != Path::new("pipeline.toml") && !problem.parity);
    told(ID, &others.collect::<Vec<_>>(), || {
        many(workspace.workers.len(), "config")
    })
}

fn bindings(repo: &Files) -> Check {
    const ID: &str = "binding ids";
    if repo.workspace.is_none() {
        return Check::skipped(Group::Repo, ID, "there are no configs to compare");
    }
    let parity: Vec<&Problem> = repo
        .problems
        .iter()
        .filter(|problem| problem.parity)
        .collect();
    told(ID, &parity, || "the same in every worker".to_owned())
}

/// Mistakes with their places; warnings when there is no mistake.
fn told(id: &'static str, problems: &[&Problem], fine: impl FnOnce() -> String) -> Check {
    let errors: Vec<&&Problem> = problems.iter().filter(|problem| !problem.warning).collect();
    let (mut check, shown) = match (errors.is_empty(), problems.is_empty()) {
        (true, true) => return Check::pass(Group::Repo, id, fine()),
        (true, false) => {
            let text = many(problems.len(), "thing") + " to know";
            (
                Check::warn(Group::Repo, id, text),
                problems.iter().collect(),
            )
        }
        (false, _) => (
            Check::fail(Group::Repo, id, many(errors.len(), "mistake")),
            errors,
        ),
    };
    for problem in shown.iter().take(LINES_MAX) {
        check = check.why(problem.to_string());
    }
    if shown.len() > LINES_MAX {
        check = check.why(format!(
            "and {} more: cargo xtask deploy --dry-run",
            shown.len() - LINES_MAX
        ));
    }
    let first = shown[0];
    check.fix(format!("\"${{EDITOR:-vi}}\" {}", first.path.display()))
}

fn sql(repo: &Files) -> Check {
    const ID: &str = "migrations";
    let databases = repo
        .workspace
        .iter()
        .flat_map(|workspace| &workspace.pipeline.databases)
        .count();
    match (databases, repo.migrations.first()) {
        (0, _) => Check::skipped(Group::Repo, ID, "pipeline.toml names no database"),
        (_, None) => Check::pass(Group::Repo, ID, "numbered as they have to be"),
        (_, Some(fail)) => {
            let check = Check::fail(Group::Repo, ID, fail.what.clone());
            let check = fail
                .why
                .iter()
                .fold(check, |check, why| check.why(why.clone()));
            fail.fix
                .iter()
                .fold(check, |check, fix| check.why(fix.clone()))
                .fix("cargo xtask migrate status")
        }
    }
}

fn actions(workflows: Option<&[String]>) -> Check {
    const ID: &str = "workflows";
    match workflows {
        None => Check::skipped(Group::Repo, ID, "there are none in .github/workflows"),
        Some([]) => Check::pass(Group::Repo, ID, "in order"),
        Some(found) => {
            let mut check = Check::warn(
                Group::Repo,
                ID,
                format!("{} of the rules for them", many(found.len(), "breach")),
            );
            for line in found.iter().take(LINES_MAX) {
                check = check.why(line.lines().next().unwrap_or_default());
            }
            check.fix("cargo xtask tidy")
        }
    }
}

fn many(count: usize, what: &str) -> String {
    match (count, what) {
        (1, _) => format!("1 {what}"),
        (_, "breach") => format!("{count} breaches"),
        _ => format!("{count} {what}s"),
    }
}
