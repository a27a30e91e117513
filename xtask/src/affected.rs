//! Which workers a change touches: those that hold a changed file, and those that call them. Reads nothing; what changed
//! comes from [`since`], which asks git.

use std::path::{Component, Path, PathBuf};

use crate::tools::git::Git;
use crate::workspace::{Worker, Workspace};

/// The workers a change touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affected {
    /// Their short names, in the order of `pipeline.toml`.
    pub workers: Vec<String>,
    /// True when a change touches every worker, or when it could not be told.
    pub all: bool,
    /// The reasons, one line each.
    pub why: Vec<String>,
}

/// What changed since the branch left its base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// These files, absolute.
    Files {
        /// The base by the name it was found under.
        base: String,
        /// The files.
        files: Vec<PathBuf>,
    },
    /// It cannot be told: why.
    Unknown(String),
}

/// Files that changed since HEAD left `base`, uncommitted ones included; without a base, `origin/<main branch>` or else
/// the main branch of this clone.
pub fn since(git: &Git, base: Option<&str>, main_branch: &str) -> Changes {
    if git.is_shallow() {
        return Changes::Unknown(
            "the clone is shallow, so there may be changes it does not show (fetch-depth: 0)"
                .into(),
        );
    }
    let candidates = match base {
        Some(base) => vec![base.to_owned()],
        None => vec![format!("origin/{main_branch}"), main_branch.to_owned()],
    };
    for base in &candidates {
        let Some(commit) = git.merge_base(base) else {
            continue;
        };
        let changed = git
            .top()
            .and_then(|top| Ok((git.changed_files(&commit)?, top)));
        return match changed {
            Ok((files, top)) => Changes::Files {
                base: base.clone(),
                files: files.iter().map(|file| top.join(file)).collect(),
            },
            Err(error) => Changes::Unknown(format!("{error:#}")),
        };
    }
    Changes::Unknown(format!(
        "`{}` is unknown here or has no commit in common with HEAD",
        candidates.join("` or `")
    ))
}

impl Affected {
    /// The workers that these changes touch; all of them when the changes are not known.
    pub fn by(workspace: &Workspace, changes: &Changes) -> Affected {
        match changes {
            Changes::Unknown(why) => Affected::all(workspace, why.clone()),
            Changes::Files { base, files } => {
                let mut affected = affected(workspace, files);
                if affected.why.is_empty() {
                    let why = format!("nothing that a worker is made of changed since `{base}`");
                    affected.why.push(why);
                }
                affected
            }
        }
    }

    fn all(workspace: &Workspace, why: String) -> Affected {
        let names = workspace.workers.iter().map(|worker| worker.name.clone());
        Affected {
            workers: names.collect(),
            all: true,
            why: vec![format!("all workers: {why}")],
        }
    }
}

/// The workers that changed files touch. The files are absolute or relative to the workspace's root.
pub fn affected(workspace: &Workspace, changed: &[PathBuf]) -> Affected {
    let mut touched_by: Vec<Vec<String>> = vec![Vec::new(); workspace.workers.len()];
    for file in changed {
        let file = plain(&workspace.root.join(file));
        let shown = file.strip_prefix(&workspace.root).unwrap_or(&file);
        let shown = shown.display().to_string();
        match touches(workspace, &file) {
            Touches::Nothing => {}
            Touches::All => {
                return Affected::all(workspace, format!("`{shown}` is shared by them"));
            }
            Touches::Workers(workers) => {
                for index in workers {
                    touched_by[index].push(shown.clone());
                }
            }
        }
    }
    let mut why: Vec<Option<String>> = workspace
        .workers
        .iter()
        .zip(touched_by)
        .map(|(worker, files)| because_of_files(worker, &files))
        .collect();
    add_callers(workspace, &mut why);
    let workers = workspace.workers.iter().zip(&why);
    Affected {
        workers: workers
            .filter_map(|(worker, why)| why.as_ref().map(|_| worker.name.clone()))
            .collect(),
        all: false,
        why: why.into_iter().flatten().collect(),
    }
}

enum Touches {
    Nothing,
    Workers(Vec<usize>),
    All,
}

fn touches(workspace: &Workspace, file: &Path) -> Touches {
    let named: Vec<usize> = (0..workspace.workers.len())
        .filter(|index| is_named(workspace, *index, file))
        .collect();
    let holders: Vec<usize> = workspace
        .workers
        .iter()
        .enumerate()
        .filter(|(_, worker)| file.starts_with(&worker.dir))
        .map(|(index, _)| index)
        .collect();
    // A worker in the root folder holds everything: that says nothing about whose file it is.
    let own = holders
        .iter()
        .any(|index| workspace.workers[*index].dir != workspace.root);
    let folders: Vec<&Path> = match own {
        true => holders
            .iter()
            .map(|index| &*workspace.workers[*index].dir)
            .collect(),
        false => vec![&workspace.root],
    };
    if named.is_empty() && folders.iter().all(|folder| is_documentation(folder, file)) {
        return Touches::Nothing;
    }
    let mut workers = named;
    if !own && (workers.is_empty() || file.parent() == Some(&*workspace.root)) {
        return Touches::All;
    }
    workers.extend(holders);
    workers.sort_unstable();
    workers.dedup();
    Touches::Workers(workers)
}

/// True when the configuration says that the worker is made of this file.
fn is_named(workspace: &Workspace, index: usize, file: &Path) -> bool {
    let mut named = named(workspace, &workspace.workers[index]).into_iter();
    named.any(|path| file.starts_with(path))
}

/// What the configuration says a worker is made of besides its own folder: its `inputs`, its static assets, and the SQL
/// files of the databases it is bound to.
pub fn named(workspace: &Workspace, worker: &Worker) -> Vec<PathBuf> {
    let assets = worker.config.assets.as_ref();
    let assets = assets
        .and_then(|assets| assets.directory.as_ref())
        .and_then(|folder| Some(worker.config_path.parent()?.join(folder)));
    let databases = workspace.pipeline.databases.iter();
    let bound = databases.filter(|database| {
        let mut users = database.bound_by.iter();
        users.any(|(user, _)| *user == worker.name)
    });
    let sql = bound.flat_map(|database| {
        [
            Some(&database.migrations),
            database.schema.as_ref(),
            database.seed.as_ref(),
        ]
    });
    let named = worker.inputs.iter().chain(&assets).chain(sql.flatten());
    named.map(|path| plain(path)).collect()
}

/// True for texts about a folder: Markdown directly in it, anything in its `docs/`, and the usual names everywhere.
/// Other Markdown may be part of a program, such as the prompts of an agent.
fn is_documentation(folder: &Path, file: &Path) -> bool {
    let Ok(inside) = file.strip_prefix(folder) else {
        return false;
    };
    if inside.starts_with("docs") {
        return true;
    }
    let markdown = inside
        .extension()
        .is_some_and(|extension| extension == "md");
    let name = inside.file_stem().and_then(|name| name.to_str());
    let usual = [
        "README",
        "CHANGELOG",
        "CONTRIBUTING",
        "ARCHITECTURE",
        "AGENTS",
        "CLAUDE",
    ];
    let is_usual = name.is_some_and(|name| usual.contains(&name));
    markdown && (is_usual || inside.components().count() == 1)
}

fn because_of_files(worker: &Worker, files: &[String]) -> Option<String> {
    let first = files.first()?;
    Some(match files.len() - 1 {
        0 => format!("{}: `{first}`", worker.name),
        more => format!("{}: `{first}` and {more} more", worker.name),
    })
}

/// Adds the workers that call a touched one, until there are no more.
fn add_callers(workspace: &Workspace, why: &mut [Option<String>]) {
    let workers = &workspace.workers;
    let calls = workspace.calls();
    let mut open: Vec<usize> = (0..why.len())
        .filter(|index| why[*index].is_some())
        .collect();
    while let Some(callee) = open.pop() {
        for (caller, worker) in workers.iter().enumerate() {
            if why[caller].is_none() && calls[caller].contains(&callee) {
                why[caller] = Some(format!("{}: calls {}", worker.name, workers[callee].name));
                open.push(caller);
            }
        }
    }
}

/// The path with `.` and `..` taken out.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests;
