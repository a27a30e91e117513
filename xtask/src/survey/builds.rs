//! What has to be run before wrangler can bundle a worker, and whether it can be run here: build scripts of package.json,
//! plugins that generate a config, other languages than JavaScript.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Files;
use crate::config::WranglerConfig;
use crate::env::Env;
use crate::stages::ci::packages::{self, Manager, Package};
use crate::stages::ci::script;

/// A build of `pipeline.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Build {
    /// The command line.
    pub command: String,
    /// Why it is needed, as a sentence without a final full stop.
    pub why: String,
}

/// What is installed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchains {
    /// `worker-build`, and a Rust that compiles to WebAssembly; else what is missing.
    pub rust: Result<(), String>,
    /// The folders of PATH.
    pub path: Vec<PathBuf>,
}

impl Toolchains {
    /// Looks at PATH and at the Rust that runs this.
    pub fn find(env: &Env) -> Toolchains {
        let path: Vec<PathBuf> =
            std::env::split_paths(env.var("PATH").unwrap_or_default()).collect();
        let on_path = |program: &str| path.iter().any(|folder| folder.join(program).is_file());
        let target = "wasm32-unknown-unknown";
        let own = env
            .var("CARGO")
            .and_then(|cargo| Path::new(cargo).ancestors().nth(2).map(Path::to_owned));
        let homes = [
            env.var("RUSTUP_HOME").map(PathBuf::from),
            env.var("HOME").map(|home| Path::new(home).join(".rustup")),
        ];
        let toolchains = homes.into_iter().flatten().flat_map(|home| {
            let all = std::fs::read_dir(home.join("toolchains"));
            all.into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
        });
        let compiles = own
            .into_iter()
            .chain(toolchains)
            .any(|sysroot| sysroot.join("lib/rustlib").join(target).is_dir());
        let rust = if !on_path("worker-build") {
            Err("`worker-build` is not installed (cargo install worker-build)".to_owned())
        } else if !compiles {
            Err(format!(
                "Rust cannot compile to WebAssembly here (rustup target add {target})"
            ))
        } else {
            Ok(())
        };
        Toolchains { rust, path }
    }

    fn has(&self, program: &str) -> bool {
        program.contains('/')
            || self
                .path
                .iter()
                .any(|folder| folder.join(program).is_file())
    }
}

/// What has to be run for the worker in `dir` (relative); an error when it cannot be built here, as the rest of a sentence.
pub(super) fn find(
    root: &Path,
    files: &Files,
    tools: &Toolchains,
    dir: &Path,
    config: &WranglerConfig,
) -> Result<Option<Build>, String> {
    let folder = root.join(dir);
    let main = config.main.as_deref();
    if main.is_some_and(|main| main.ends_with(".py")) {
        return Err("it is written in Python, which the local cloud cannot run, so that no release with it could be rehearsed".to_owned());
    }
    let own_build = config.build_command.as_deref();
    if own_build.is_some_and(|line| line.contains("worker-build")) {
        tools
            .rust
            .clone()
            .map_err(|why| format!("it is written in Rust, and {why}"))?;
        return Ok(None);
    }
    if let Some(line) = own_build {
        let program = line.split_whitespace().next().unwrap_or_default();
        let local = folder.join("node_modules/.bin").join(program).exists()
            || root.join("node_modules/.bin").join(program).exists();
        let plain = program
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if plain && !local && !tools.has(program) && !is_of_the_shell(program) {
            return Err(format!(
                "its build runs `{program}`, which is not installed"
            ));
        }
        return Ok(None);
    }
    let package = packages::package(&folder)
        .and_then(Result::ok)
        .unwrap_or_default();
    let manager =
        packages::install_of(root, &folder).map_or(Manager::Npm, |install| install.manager);
    let script = script_build(&package, manager);
    let reason = needs_build(root, files, dir, config, &package);
    match (reason, script) {
        (None, _) => Ok(None),
        (Some(Need::Missing(what)), None) => Err(format!(
            "{what}, does not exist, and nothing says how it is built"
        )),
        (Some(Need::Missing(what)), Some(command)) => Ok(Some(Build {
            command,
            why: format!("it makes {what}"),
        })),
        (Some(Need::Plugin(file)), Some(command)) => Ok(Some(Build {
            command,
            why: format!("{file} uses Cloudflare's plugin, which writes the config that ships"),
        })),
        (Some(Need::Plugin(_) | Need::Script), None) => Ok(None),
        (Some(Need::Script), Some(command)) => Ok(Some(Build {
            command,
            why: "the deploy script of package.json builds first".to_owned(),
        })),
    }
}

enum Need {
    /// The module or the assets are not in the repo.
    Missing(String),
    /// A plugin of Vite's generates the config.
    Plugin(String),
    /// package.json builds before it deploys.
    Script,
}

fn needs_build(
    root: &Path,
    files: &Files,
    dir: &Path,
    config: &WranglerConfig,
    package: &Package,
) -> Option<Need> {
    for ending in ["ts", "mts", "js", "mjs"] {
        let name = format!("vite.config.{ending}");
        let text = std::fs::read_to_string(root.join(dir).join(&name)).unwrap_or_default();
        if text.contains("@cloudflare/vite-plugin") {
            return Some(Need::Plugin(name));
        }
    }
    // What is there but ignored by git is what a build left: a fresh checkout lacks it.
    let missing = |path: &str| {
        let path = plain(&dir.join(path));
        let there = files.has(&path) || files.below(&path).next().is_some();
        !there && (files.without_git.is_none() || !root.join(&path).exists())
    };
    if let Some(main) = config.main.as_deref().filter(|main| missing(main)) {
        return Some(Need::Missing(format!("its `main`, {main}")));
    }
    let assets = config
        .assets
        .as_ref()
        .and_then(|assets| assets.directory.as_deref());
    if let Some(assets) = assets.filter(|assets| missing(assets)) {
        return Some(Need::Missing(format!("the folder of its assets, {assets}")));
    }
    let deploy = package.scripts.get("deploy")?;
    let before = before_wrangler(deploy);
    before
        .iter()
        .any(|line| line.contains("build"))
        .then_some(Need::Script)
}

/// The command line that builds: the `build` script, else what the `deploy` script runs before wrangler.
fn script_build(package: &Package, manager: Manager) -> Option<String> {
    let build = package
        .scripts
        .get("build")
        .filter(|line| !line.contains("wrangler deploy"));
    if build.is_some() {
        return Some(format!("{} run build", manager.program()));
    }
    let before = before_wrangler(package.scripts.get("deploy")?);
    let exec = match manager {
        Manager::Npm => "npx --no-install",
        Manager::Pnpm => "pnpm exec",
        Manager::Yarn | Manager::Berry => "yarn run",
        Manager::Bun => "bunx",
    };
    let run = |line: &String| match line.split_whitespace().next() {
        Some("npm" | "npx" | "pnpm" | "yarn" | "bun" | "bunx" | "node" | "sh") => line.clone(),
        _ => format!("{exec} {line}"),
    };
    let lines: Vec<String> = before.iter().map(run).collect();
    (!lines.is_empty()).then(|| lines.join(" && "))
}

fn before_wrangler(line: &str) -> Vec<String> {
    let commands = script::chain(line);
    let is_wrangler = |command: &String| command.contains("wrangler ");
    match commands.iter().position(is_wrangler) {
        Some(at) => commands[..at].to_vec(),
        None => Vec::new(),
    }
}

fn is_of_the_shell(program: &str) -> bool {
    matches!(
        program,
        "cd" | "test" | "if" | "for" | "export" | "set" | "echo" | "true" | "exec"
    )
}

/// A relative path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}
