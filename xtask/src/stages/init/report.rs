//! What `init` found, for a person and for programs: names and places, never a value.

use std::collections::BTreeSet;

use super::Facts;
use super::propose::Proposal;
use crate::report::{Report, Table};
use crate::stages::ci::packages;

/// The report of a run, without what was written.
pub(crate) fn report(stage: &str, proposal: &Proposal, facts: &Facts) -> Report {
    let mut report = Report::empty(stage);
    report.tables.push(workers(proposal, facts));
    let left_out = &facts.survey.left_out;
    if !left_out.is_empty() {
        let mut table = Table::new("left out", &["config", "why"]);
        for one in left_out {
            table.row([one.path.display().to_string(), one.why.clone()]);
        }
        report.tables.push(table);
    }
    if !facts.survey.databases.is_empty() {
        report.tables.push(databases(facts));
    }
    let managers = managers(facts);
    if !managers.is_empty() {
        report.fact("packages", managers.join(", "));
    }
    for warning in &proposal.warnings {
        report.warn(warning.clone());
    }
    report
}

fn workers(proposal: &Proposal, facts: &Facts) -> Table {
    let columns = [
        "worker",
        "config",
        "on cloudflare",
        "env",
        "calls",
        "secrets",
        "change",
    ];
    let mut table = Table::new("workers", &columns);
    let workspace = proposal.workspace.iter();
    for worker in workspace.flat_map(|workspace| &workspace.workers) {
        let config = worker.config_path.strip_prefix(&facts.root);
        let config = config.unwrap_or(&worker.config_path);
        let is_new = proposal.added.contains(&worker.name);
        table.row([
            worker.name.clone(),
            config.display().to_string(),
            worker.config.name.clone(),
            worker.env_name.clone().unwrap_or_default(),
            worker.targets().join(", "),
            worker.secrets.join(", "),
            if is_new { "new" } else { "" }.to_owned(),
        ]);
    }
    table
}

fn databases(facts: &Facts) -> Table {
    let mut table = Table::new("databases", &["database", "migrations", "files"]);
    for database in &facts.survey.databases {
        let folder = database.migrations.as_ref();
        let folder = folder.map_or("none".to_owned(), |path| path.display().to_string());
        table.row([database.name.clone(), folder, database.files.to_string()]);
    }
    table
}

/// The package managers of the workers, with their lock files.
fn managers(facts: &Facts) -> Vec<String> {
    let workers = facts.survey.workers.iter();
    let installs = workers
        .filter_map(|worker| packages::install_of(&facts.root, &facts.root.join(&worker.dir)));
    let shown = installs.map(|install| {
        let lockfile = install.dir.join(&install.lockfile);
        format!("{} ({})", install.manager.program(), lockfile.display())
    });
    let all: BTreeSet<String> = shown.collect();
    all.into_iter().collect()
}
