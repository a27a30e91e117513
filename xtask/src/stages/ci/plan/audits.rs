//! The steps that ask what is known about the repo's dependencies. Pure.

use std::path::PathBuf;
use std::time::Duration;

use super::{CiPlan, Kind, Material, root};
use crate::cache::Inputs;
use crate::plan::{Action, Command, Step};
use crate::stages::ci::facts::JUDGES;
use crate::stages::ci::packages::Install;
use crate::stages::install;

/// The longest an audit may take.
const AUDIT_MAX: Duration = Duration::from_secs(120);

/// Files beside a lock file that say whom a package manager asks, and what it leaves out.
const SETTINGS: [&str; 6] = [
    "package.json",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    "bunfig.toml",
    "pnpm-workspace.yaml",
];

pub(super) fn audit(ci: &mut CiPlan, material: &Material<'_>, install: &Install) {
    let id = install::id(install).replacen("install", "audit", 1);
    let command = Command::new(
        install.manager.program(),
        install.manager.audit(),
        &root(material).join(&install.dir),
    );
    let lockfile = install.dir.join(&install.lockfile);
    let goal = format!("audit the packages of {}", lockfile.display());
    let settings = SETTINGS.iter().map(|name| install.dir.join(name));
    // npm and pnpm read the root's as well.
    let paths = settings.chain([lockfile, PathBuf::from(".npmrc")]);
    let inputs = known_today(material, paths.collect());
    let step = Step::new("audit", id, goal, Action::Command(command)).timeout(AUDIT_MAX);
    ci.push(step, Kind::Audit(install.clone()), Some(inputs));
}

pub(super) fn cargo_audit(ci: &mut CiPlan, material: &Material<'_>) {
    let command = Command::new("cargo", &["audit", "--json"], root(material));
    let paths = ["Cargo.lock", ".cargo/audit.toml"].map(PathBuf::from);
    let inputs = known_today(material, paths.to_vec());
    let step = Step::new(
        "audit",
        "audit cargo",
        "audit the crates of Cargo.lock",
        Action::Command(command),
    );
    ci.push(step.timeout(AUDIT_MAX), Kind::CargoAudit, Some(inputs));
}

/// What an answer depends on. Advisories appear without any file changing, so it holds for a day.
fn known_today(material: &Material<'_>, mut paths: Vec<PathBuf>) -> Inputs {
    paths.push(PathBuf::from("pipeline.toml"));
    paths.extend(JUDGES.map(PathBuf::from));
    let mut tools = material.facts.tools.clone();
    tools.push(("day".to_owned(), material.today.clone()));
    Inputs {
        paths,
        env: vec![(
            "npm_config_registry".to_owned(),
            material.facts.registry.clone(),
        )],
        tools,
        outputs: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::cache::tests::Repo;
    use crate::cache::{Tree, key};
    use crate::stages::ci::facts::Facts;
    use crate::stages::ci::packages::install_of;
    use crate::stages::ci::plan::plan;
    use crate::stages::ci::script::Parts;
    use crate::tools::git::Git;
    use crate::tools::wrangler::Wrangler;

    /// The keys of all steps with inputs, on a day.
    fn keys(root: &Path, today: &str) -> BTreeSet<(String, String)> {
        let lint = Parts {
            commands: vec!["eslint .".to_owned()],
            left_out: Vec::new(),
        };
        let facts = Facts {
            installs: install_of(root, root).into_iter().collect(),
            workers: Vec::new(),
            broken: Vec::new(),
            migrations: Default::default(),
            lint: Some(lint),
            tools: Vec::new(),
            registry: None,
            shell: vec!["sh".to_owned(), "-c".to_owned()],
            node: PathBuf::from("node"),
            cargo_audit: true,
        };
        let ci = plan(&Material {
            workspace: None,
            facts: &facts,
            wrangler: &Wrangler::expected(root, std::iter::empty(), "", ""),
            state: &root.join(".xtask"),
            today: today.to_owned(),
            migrate_script: PathBuf::from("migrate.mjs"),
            modules: root.to_owned(),
        });
        let tree = Tree::read(&Git::at(root)).expect("git can tell");
        let keyed =
            ci.plan.steps.iter().filter_map(|step| {
                Some((step.id.clone(), key(step, ci.inputs.get(&step.id)?, &tree)))
            });
        keyed.collect()
    }

    #[test]
    fn an_answer_of_yesterday_does_not_hold_today_and_everything_else_does() {
        let repo = Repo::new(&[
            ("package.json", "{}"),
            ("package-lock.json", "{}"),
            ("Cargo.lock", ""),
        ]);
        let changed = |one: &str, other: &str| -> Vec<String> {
            let (one, other) = (keys(repo.root(), one), keys(repo.root(), other));
            other.difference(&one).map(|(id, _)| id.clone()).collect()
        };
        assert_eq!(changed("2026-11-23", "2026-11-23"), [""; 0]);
        assert_eq!(
            changed("2026-11-23", "2026-11-24"),
            ["audit", "audit cargo"]
        );
        let lint = keys(repo.root(), "2026-11-23")
            .into_iter()
            .any(|(id, _)| id == "lint");
        assert!(lint, "a step that is no audit is among them");
    }
}
