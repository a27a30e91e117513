//! What a `ci` run needs to know of the repo before it plans: packages, scripts, committed types, shared files, tools.
//! Reads files and asks PATH; runs nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::context::Ctx;
use crate::findings::Finding;
use crate::stages::ci::packages::{self, Install, Parts};
use crate::tools::node;
use crate::workspace::{Worker, Workspace};

/// Folders at a repo's root that no worker is built from.
const NOT_SHARED: [&str; 10] = [
    ".cargo",
    ".ci",
    ".git",
    ".github",
    ".xtask",
    "docs",
    "node_modules",
    "scripts",
    "target",
    "xtask",
];

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
    /// Programs and versions that every result depends on.
    pub tools: Vec<(String, String)>,
    /// `bash` with `pipefail` where there is one: a pipe must not swallow a failure.
    pub shell: Vec<String>,
    /// PATH with the repo's own programs first.
    pub path: String,
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
    Facts {
        broken: broken_packages(root, &workers),
        lint: root_lint(root, &workers),
        tools: tools(root, &node),
        shell: shell(),
        path: path(ctx, root, &workers, &node),
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
    let script = |names: &[&str]| {
        let line = names.iter().find_map(|name| package.scripts.get(*name));
        line.map(|line| packages::parts(line)).unwrap_or_default()
    };
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
    package
        .scripts
        .get("lint")
        .map(|line| packages::parts(line))
}

/// The files a worker's results depend on: its own folder, what `pipeline.toml` adds, and everything beside it, up to
/// the root, that is no other worker's.
fn inputs(workspace: &Workspace, worker: &Worker) -> Vec<PathBuf> {
    let root = &workspace.root;
    let mut paths: BTreeSet<PathBuf> = worker.inputs.iter().cloned().collect();
    paths.insert(worker.dir.clone());
    let others: Vec<&Path> = workspace
        .workers
        .iter()
        .map(|other| other.dir.as_path())
        .collect();
    let mut folder = worker.dir.as_path();
    while folder != root {
        let Some(parent) = folder.parent() else { break };
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let skipped = parent == root && NOT_SHARED.contains(&name.as_str());
            let document =
                name.ends_with(".md") || name.starts_with("LICENSE") || name.starts_with("Cargo.");
            let holds_a_worker = others.iter().any(|other| other.starts_with(&path));
            if !skipped && !document && !holds_a_worker && name != "node_modules" {
                paths.insert(path);
            }
        }
        folder = parent;
    }
    paths.into_iter().collect()
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

fn path(ctx: &Ctx, root: &Path, workers: &[Checks<'_>], node: &Path) -> String {
    let mut folders: Vec<PathBuf> = node.parent().map(Path::to_owned).into_iter().collect();
    for checks in workers {
        for folder in checks
            .worker
            .dir
            .ancestors()
            .take_while(|folder| folder.starts_with(root))
        {
            let bin = folder.join("node_modules/.bin");
            if !folders.contains(&bin) {
                folders.push(bin);
            }
        }
    }
    folders.extend(std::env::split_paths(
        ctx.env.var("PATH").unwrap_or_default(),
    ));
    std::env::join_paths(folders).map_or_else(
        |_| ctx.env.var("PATH").unwrap_or_default().to_owned(),
        |joined| joined.to_string_lossy().into_owned(),
    )
}
