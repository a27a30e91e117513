//! What the repo's package.json files and lock files say: which package manager installs where, and which scripts a
//! worker has. Reads files; runs nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use crate::digest;

/// A package manager, told by its lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// `package-lock.json`.
    Npm,
    /// `pnpm-lock.yaml`.
    Pnpm,
    /// `yarn.lock` of yarn 1.
    Yarn,
    /// `yarn.lock` of yarn 2 and later, told by `.yarnrc.yml`.
    Berry,
    /// `bun.lock` or `bun.lockb`.
    Bun,
}

/// Lock files, the likeliest first.
const LOCKFILES: [(&str, Manager); 6] = [
    ("package-lock.json", Manager::Npm),
    ("npm-shrinkwrap.json", Manager::Npm),
    ("pnpm-lock.yaml", Manager::Pnpm),
    ("yarn.lock", Manager::Yarn),
    ("bun.lock", Manager::Bun),
    ("bun.lockb", Manager::Bun),
];

impl Manager {
    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Manager::Npm => "npm",
            Manager::Pnpm => "pnpm",
            Manager::Yarn | Manager::Berry => "yarn",
            Manager::Bun => "bun",
        }
    }

    /// Arguments that install exactly what the lock file says. Install scripts of packages do not run: what a
    /// dependency may do on a developer's machine or with CI's token must not be decided by its author.
    pub fn install(self) -> &'static [&'static str] {
        match self {
            Manager::Npm => &["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            Manager::Pnpm => &["install", "--frozen-lockfile", "--ignore-scripts"],
            Manager::Yarn => &["install", "--frozen-lockfile", "--ignore-scripts"],
            Manager::Berry => &["install", "--immutable", "--mode=skip-build"],
            Manager::Bun => &["install", "--frozen-lockfile", "--ignore-scripts"],
        }
    }

    /// Arguments that ask the audit service, answering in JSON.
    pub fn audit(self) -> &'static [&'static str] {
        match self {
            Manager::Npm => &["audit", "--json"],
            Manager::Pnpm => &["audit", "--json"],
            Manager::Yarn => &["audit", "--json"],
            Manager::Berry => &["npm", "audit", "--all", "--recursive", "--json"],
            Manager::Bun => &["audit", "--json"],
        }
    }

    /// What its last install leaves behind.
    fn mark(self) -> &'static str {
        match self {
            Manager::Npm => "node_modules/.package-lock.json",
            Manager::Pnpm => "node_modules/.modules.yaml",
            Manager::Yarn => "node_modules/.yarn-integrity",
            Manager::Berry => "node_modules/.yarn-state.yml",
            Manager::Bun => "node_modules",
        }
    }
}

/// One folder with a lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// The folder, relative to the repo's root; empty for the root itself.
    pub dir: PathBuf,
    /// The lock file's name.
    pub lockfile: String,
    /// Who reads it.
    pub manager: Manager,
    /// True when what is installed is as new as the lock file.
    pub current: bool,
}

/// The lock file that rules a folder: the nearest one between it and the root.
pub fn install_of(root: &Path, dir: &Path) -> Option<Install> {
    let mut folder = dir.to_owned();
    loop {
        if folder.join("package.json").is_file()
            && let Some((lockfile, manager)) = LOCKFILES
                .iter()
                .find(|(name, _)| folder.join(name).is_file())
        {
            let modified =
                |path: PathBuf| -> Option<SystemTime> { path.metadata().ok()?.modified().ok() };
            let lock = modified(folder.join(lockfile));
            let mark = |manager: Manager| modified(folder.join(manager.mark()));
            let berry = *manager == Manager::Yarn && folder.join(".yarnrc.yml").is_file();
            let manager = if berry { &Manager::Berry } else { manager };
            return Some(Install {
                dir: folder.strip_prefix(root).unwrap_or(&folder).to_owned(),
                lockfile: (*lockfile).to_owned(),
                manager: *manager,
                current: mark(*manager).is_some()
                    && (mark(*manager) >= lock || stamped(&folder, lockfile)),
            });
        }
        if folder == root || !folder.pop() {
            return None;
        }
    }
}

/// The names of all lock files in a folder, the likeliest first.
pub fn lockfiles_of(folder: &Path) -> Vec<String> {
    let there = LOCKFILES
        .iter()
        .filter(|(name, _)| folder.join(name).is_file());
    there.map(|(name, _)| (*name).to_owned()).collect()
}

/// Where an install notes the lock file it installed. File times alone do not tell: a checkout makes every file new.
fn stamp_file(folder: &Path) -> PathBuf {
    folder.join("node_modules/.xtask-installed")
}

/// Notes that a folder's packages are those of its lock file.
pub fn stamp(folder: &Path, lockfile: &str) -> std::io::Result<()> {
    let text = std::fs::read_to_string(folder.join(lockfile))?;
    std::fs::write(stamp_file(folder), digest::text(&text))
}

fn stamped(folder: &Path, lockfile: &str) -> bool {
    let noted = std::fs::read_to_string(stamp_file(folder)).unwrap_or_default();
    let text = std::fs::read_to_string(folder.join(lockfile));
    text.is_ok_and(|text| noted == digest::text(&text))
}

/// A package.json, as far as checks need it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Package {
    /// Script name → command line.
    pub scripts: BTreeMap<String, String>,
}

/// A folder's package.json; `None` when it has none, an error text when it is broken.
pub fn package(dir: &Path) -> Option<Result<Package, String>> {
    let text = std::fs::read_to_string(dir.join("package.json")).ok()?;
    Some(
        serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|error| error.to_string()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_lock_file_rules() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let write = |path: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        };
        for path in [
            "package.json",
            "package-lock.json",
            "a/package.json",
            "b/package.json",
            "b/pnpm-lock.yaml",
        ] {
            write(path);
        }
        let of = |folder: &str| {
            install_of(root, &root.join(folder))
                .map(|install| (install.dir, install.manager, install.current))
        };
        assert_eq!(of("a"), Some((PathBuf::new(), Manager::Npm, false)));
        assert_eq!(of("b"), Some((PathBuf::from("b"), Manager::Pnpm, false)));
        write("node_modules/.package-lock.json");
        assert_eq!(of("a"), Some((PathBuf::new(), Manager::Npm, true)));
        // A checkout makes the lock file newer than what is installed; the stamp tells that nothing changed.
        stamp(root, "package-lock.json").unwrap();
        let long_ago = SystemTime::UNIX_EPOCH;
        let mark = std::fs::File::options()
            .write(true)
            .open(root.join("node_modules/.package-lock.json"))
            .unwrap();
        mark.set_modified(long_ago).unwrap();
        assert_eq!(of("a"), Some((PathBuf::new(), Manager::Npm, true)));
        std::fs::write(root.join("package-lock.json"), "{\"changed\":1}").unwrap();
        assert_eq!(of("a"), Some((PathBuf::new(), Manager::Npm, false)));
    }
}
