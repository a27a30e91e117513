//! What a `ci` run needs to know of the repo before it plans: packages, scripts, committed types, shared files, tools.
//! Reads files and asks PATH; runs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::affected;
use crate::context::Ctx;
use crate::findings::Finding;
use crate::ledger::migrations;
use crate::stages::ci::packages::{self, Install};
use crate::stages::ci::script::{self, Parts};
use crate::tools::node;
use crate::workspace::{Worker, Workspace};

/// Folders at a repo's root that no worker is built from.
const NOT_SHARED: [&str; 9] = [
    ".cargo",
    ".ci",
    ".git",
    ".github",
    ".xtask",
    "docs",
    "node_modules",
    "target",
    "xtask",
];

/// Sources of this program that say what passes: results that older ones judged do not hold.
pub const JUDGES: [&str; 2] = ["xtask/src/findings", "xtask/src/stages/ci"];

/// Script names that mean a type check, the likeliest first.
const CHECK_SCRIPTS: [&str; 4] = ["check", "typecheck", "type-check", "check-types"];

/// Facts of the repo.
pub struct Facts<'a> {
    /// The folders with lock files.
    pub installs: Vec<Install>,
    /// The workers to check.
    pub workers: Vec<Checks<'a>>,
    /// package.json files that cannot be read.
    pub broken: Vec<Finding>,
    /// The root's own lint command.
    pub lint: Option<Parts>,
    /// The SQL files of each database of pipeline.toml, in the order they are applied.
    pub migrations: BTreeMap<String, Vec<PathBuf>>,
    /// Programs and versions that every result depends on.
    pub tools: Vec<(String, String)>,
    /// The package registry the surroundings name, if they do.
    pub registry: Option<String>,
    /// `bash` with `pipefail` where there is one: a pipe must not swallow a failure.
    pub shell: Vec<String>,
    /// The Node to run scripts of ours with.
    pub node: PathBuf,
    /// True when `cargo audit` is there and there is a Cargo.lock to audit.
    pub cargo_audit: bool,
}

/// What can be checked of one worker.
pub struct Checks<'a> {
    /// The worker.
    pub worker: &'a Worker,
    /// The index of its install in [`Facts::installs`].
    pub install: Option<usize>,
    /// The committed types file, relative to its folder.
    pub types_file: Option<PathBuf>,
    /// Type checks.
    pub check: Parts,
    /// Lint.
    pub lint: Parts,
    /// Unit tests.
    pub test: Parts,
    /// Files and folders its results depend on, absolute.
    pub paths: Vec<PathBuf>,
}

/// Reads the facts. `selected` are the workers this run is about.
pub fn gather<'a>(
    ctx: &Ctx,
    workspace: Option<&'a Workspace>,
    selected: &[&'a Worker],
) -> Facts<'a> {
    let root = &ctx.root;
    // The root's packages are installed and audited even when no config can be read.
    let mut installs: Vec<Install> = packages::install_of(root, root).into_iter().collect();
    let mut workers = Vec::new();
    for worker in workspace.iter().flat_map(|_| selected) {
        let install = packages::install_of(root, &worker.dir).map(|install| {
            installs
                .iter()
                .position(|known| known.dir == install.dir)
                .unwrap_or_else(|| {
                    installs.push(install);
                    installs.len() - 1
                })
        });
        workers.extend(workspace.map(|workspace| checks(workspace, worker, install)));
    }
    let node = node::expected(root);
    let mut broken = broken_packages(root, &workers);
    Facts {
        migrations: migrations(root, workspace, &mut broken),
        broken,
        lint: root_lint(root, &workers),
        tools: tools(root, &node),
        registry: ctx.env.var("npm_config_registry").map(str::to_owned),
        shell: shell(),
        cargo_audit: root.join("Cargo.lock").is_file() && which::which("cargo-audit").is_ok(),
        installs,
        workers,
        node,
    }
}

fn checks<'a>(workspace: &Workspace, worker: &'a Worker, install: Option<usize>) -> Checks<'a> {
    // A broken one is told by `broken_packages`.
    let package = packages::package(&worker.dir)
        .and_then(Result::ok)
        .unwrap_or_default();
    // A worker at the root shares its package.json with the whole repo: its scripts may run everything.
    let script = |names: &[&str]| script::script(&package, names);
    let mut check = script(&CHECK_SCRIPTS);
    if check.commands.is_empty() && worker.dir.join("tsconfig.json").is_file() {
        check.commands.push("tsc --noEmit".to_owned());
    }
    let mut test = script(&["test:unit", "test"]);
    // What `npm init` writes is no test.
    test.commands
        .retain(|command| !command.contains("no test specified"));
    if test.commands.is_empty() && has_vitest_config(&worker.dir) {
        test.commands.push("vitest run".to_owned());
    }
    let types_file = PathBuf::from("worker-configuration.d.ts");
    Checks {
        install,
        types_file: Some(types_file).filter(|file| worker.dir.join(file).is_file()),
        check,
        lint: script(&["lint"]),
        test,
        paths: inputs(workspace, worker),
        worker,
    }
}

fn broken_packages(root: &Path, workers: &[Checks<'_>]) -> Vec<Finding> {
    let folders: BTreeSet<&Path> = workers
        .iter()
        .map(|checks| checks.worker.dir.as_path())
        .chain([root])
        .collect();
    let broken = folders.into_iter().filter_map(|folder| {
        let why = packages::package(folder)?.err()?;
        let file = folder.join("package.json");
        let file = file.strip_prefix(root).unwrap_or(&file).to_owned();
        Some(Finding::error(format!("it is not valid JSON: {why}")).in_file(file))
    });
    broken.collect()
}

fn migrations(
    root: &Path,
    workspace: Option<&Workspace>,
    broken: &mut Vec<Finding>,
) -> BTreeMap<String, Vec<PathBuf>> {
    let databases = workspace.iter().flat_map(|it| &it.pipeline.databases);
    let mut found = BTreeMap::new();
    for database in databases {
        match migrations::list(root, database) {
            Ok(files) => {
                let paths = files.into_iter().map(|(_, path)| path).collect();
                found.insert(database.name.clone(), paths);
            }
            Err(error) => {
                let folder = database.migrations.strip_prefix(root);
                let folder = folder.unwrap_or(&database.migrations).to_owned();
                broken.push(Finding::error(error.to_string()).in_file(folder));
            }
        }
    }
    found
}

fn has_vitest_config(dir: &Path) -> bool {
    ["ts", "mts", "js", "mjs"]
        .iter()
        .any(|end| dir.join(format!("vitest.config.{end}")).is_file())
}

fn root_lint(root: &Path, workers: &[Checks<'_>]) -> Option<Parts> {
    if workers
        .iter()
        .any(|checks| checks.worker.dir == *root || !checks.lint.commands.is_empty())
    {
        return None;
    }
    let package = packages::package(root)?.ok()?;
    let lint = script::script(&package, &["lint"]);
    (!lint.commands.is_empty()).then_some(lint)
}

/// The files a worker's results depend on: its own, and those of every worker it calls, as its types and tests may be
/// made from theirs.
fn inputs(workspace: &Workspace, worker: &Worker) -> Vec<PathBuf> {
    let mut paths: BTreeSet<PathBuf> = JUDGES
        .iter()
        .map(|folder| workspace.root.join(folder))
        .collect();
    for worker in workspace.reached_from(worker) {
        paths.extend(own_inputs(workspace, worker));
    }
    paths.into_iter().collect()
}

/// The files one worker is made of: its folder, what the configuration names, and everything beside it, up to the
/// root, that is no other worker's.
fn own_inputs(workspace: &Workspace, worker: &Worker) -> BTreeSet<PathBuf> {
    let root = &workspace.root;
    let mut paths: BTreeSet<PathBuf> = affected::named(workspace, worker).into_iter().collect();
    paths.insert(worker.dir.clone());
    let workers: Vec<&Path> = workspace
        .workers
        .iter()
        .map(|other| other.dir.as_path())
        .collect();
    let mut folder = worker.dir.as_path();
    while folder != root {
        let Some(parent) = folder.parent() else { break };
        add_shared(root, parent, &workers, &mut paths);
        folder = parent;
    }
    paths
}

/// Adds what stands in a folder and is no worker's; of a folder with workers in it, what stands beside them.
fn add_shared(root: &Path, folder: &Path, workers: &[&Path], paths: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let skipped = folder == root && NOT_SHARED.contains(&name.as_str());
        let document =
            name.ends_with(".md") || name.starts_with("LICENSE") || name.starts_with("Cargo.");
        if skipped || document || name == "node_modules" || workers.contains(&path.as_path()) {
            continue;
        }
        if workers.iter().any(|worker| worker.starts_with(&path)) {
            add_shared(root, &path, workers, paths);
        } else {
            paths.insert(path);
        }
    }
}

/// What besides files decides over results. Packages are told by their lock file, which is among the inputs.
fn tools(root: &Path, node: &Path) -> Vec<(String, String)> {
    // Asking Node for its version would cost a process. The repo's own is told by the lock file; another by its size
    // and age.
    let identity = if node.starts_with(root) {
        "the repo's own".to_owned()
    } else {
        node.metadata().map_or_else(
            |_| "none".to_owned(),
            |facts| format!("{} {:?}", facts.len(), facts.modified().ok()),
        )
    };
    vec![
        ("node".to_owned(), identity),
        ("xtask".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]
}

fn shell() -> Vec<String> {
    match which::which("bash") {
        Ok(bash) => [bash.display().to_string().as_str(), "-o", "pipefail", "-c"]
            .map(str::to_owned)
            .to_vec(),
        Err(_) => ["sh", "-c"].map(str::to_owned).to_vec(),
    }
}

/// PATH as npm makes it for a script: the package's own programs, those of each folder up to the root, then Node and the rest.
pub fn path(root: &Path, cwd: &Path, node: &Path, rest: &str) -> String {
    let above = cwd
        .ancestors()
        .take_while(|folder| folder.starts_with(root));
    let mut folders: Vec<PathBuf> = above
        .map(|folder| folder.join("node_modules/.bin"))
        .collect();
    folders.extend(node.parent().map(Path::to_owned));
    folders.extend(std::env::split_paths(rest));
    std::env::join_paths(folders).map_or_else(
        |_| rest.to_owned(),
        |joined| joined.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::affected::affected;
    use crate::cache::tests::Repo;

    const PIPELINE: &str = r#"
[workers.front]
path = "apps/front"
[workers.api]
path = "packages/api"
inputs = ["xtask/api.txt"]
[workers.store]
path = "packages/store"
[databases.data]
migrations = "docs/sql"
"#;

    fn repo() -> Repo {
        let service = "[[services]]\nbinding = \"NEXT\"\nservice = ";
        let config = |name: &str, more: &str| {
            format!(
                "name = \"{name}\"\nmain = \"i.js\"\ncompatibility_date = \"2025-01-01\"\n{more}"
            )
        };
        let front = config("front", &format!("{service}\"api\"\n"));
        let api = config("api", &format!("{service}\"store\"\n"));
        let store = config(
            "store",
            "[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"data\"\ndatabase_id = \"3f1c9a7b-e2d8-4c05-b6a1-d7e94f20c8aa\"\n",
        );
        Repo::new(&[
            ("pipeline.toml", PIPELINE),
            ("apps/front/wrangler.toml", &front),
            ("packages/api/wrangler.toml", &api),
            ("packages/store/wrangler.toml", &store),
            ("packages/shared/x.js", "1"),
            ("scripts/build.sh", "1"),
            ("docs/sql/0001_a.sql", "SELECT 1;"),
            ("xtask/api.txt", "1"),
            ("xtask/src/other.rs", "1"),
            ("xtask/src/findings/tsc.rs", "1"),
            ("README.md", "1"),
        ])
    }

    /// The workers whose results depend on a file, by the inputs of their steps.
    fn depend_on(workspace: &Workspace, file: &str) -> Vec<String> {
        let file = workspace.root.join(file);
        let workers = workspace.workers.iter().filter(|worker| {
            let mut paths = inputs(workspace, worker).into_iter();
            paths.any(|path| file.starts_with(path))
        });
        workers.map(|worker| worker.name.clone()).collect()
    }

    #[test]
    fn a_result_depends_on_its_worker_on_what_that_calls_and_on_what_is_shared() {
        let repo = repo();
        let (workspace, problems) = Workspace::read(repo.root());
        assert!(problems.ok());
        let workspace = workspace.expect("it can be read");
        for (file, workers) in [
            ("apps/front/i.js", vec!["front"]),
            ("packages/api/i.js", vec!["front", "api"]),
            ("packages/store/i.js", vec!["front", "api", "store"]),
            ("packages/shared/x.js", vec!["front", "api", "store"]),
            ("scripts/build.sh", vec!["front", "api", "store"]),
            ("pipeline.toml", vec!["front", "api", "store"]),
            ("docs/sql/0001_a.sql", vec!["front", "api", "store"]),
            ("xtask/api.txt", vec!["front", "api"]),
            ("xtask/src/findings/tsc.rs", vec!["front", "api", "store"]),
            ("xtask/src/other.rs", vec![]),
            ("README.md", vec![]),
        ] {
            assert_eq!(depend_on(&workspace, file), workers, "{file}");
            // What `--affected` leaves out must not depend on the change either.
            let touched = affected(&workspace, &[PathBuf::from(file)]).workers;
            assert!(
                workers
                    .iter()
                    .all(|worker| touched.contains(&(*worker).to_owned())),
                "{file}: {touched:?}"
            );
        }
    }
}
