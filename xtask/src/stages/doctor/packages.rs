//! What the package managers are told to install, and whether it is there: lock files, installed packages, wrangler.
//! `gather` reads files, `judge` is pure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::check::{Check, Group, Repair};
use super::wrangler::{self, Wrangler};
use crate::env::Env;
use crate::stages::ci::packages::{self, Install};
use crate::tools::process::find_program as find;

/// The files as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// True when the root has a `package.json`.
    pub package: bool,
    /// Each lock file that rules the root or a worker.
    pub installs: Vec<Found>,
    /// Folders whose `package.json` has dependencies that no lock file rules, relative to the root.
    pub unlocked: Vec<PathBuf>,
    /// Folders with several lock files, relative to the root, and their names.
    pub rivals: Vec<(PathBuf, Vec<String>)>,
    /// The wrangler each worker's folder gets (the root's, where there are no workers), relative to the root.
    pub wranglers: Vec<Wrangler>,
}

/// One lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Who installs what, where.
    pub install: Install,
    /// True when its packages folder exists.
    pub installed: bool,
    /// True when the package manager is on PATH.
    pub program: bool,
    /// `packageManager` of the folder's `package.json`.
    pub pin: Option<String>,
}

/// Reads what is there. `dirs` are the workers' folders.
pub fn gather(env: &Env, root: &Path, dirs: &[PathBuf]) -> Packages {
    let mut installs: BTreeMap<PathBuf, Found> = BTreeMap::new();
    let mut found = Packages {
        package: root.join("package.json").is_file(),
        ..Packages::default()
    };
    for dir in std::iter::once(root).chain(dirs.iter().map(PathBuf::as_path)) {
        let package = read(&dir.join("package.json"));
        let shown = dir.strip_prefix(root).unwrap_or(dir).to_owned();
        let Some(install) = packages::install_of(root, dir) else {
            let depends = |list: &str| package[list].as_object().is_some_and(|all| !all.is_empty());
            if depends("dependencies") || depends("devDependencies") {
                found.unlocked.push(shown);
            }
            continue;
        };
        let folder = root.join(&install.dir);
        let rivals = packages::lockfiles_of(&folder);
        if rivals.len() > 1 && !installs.contains_key(&install.dir) {
            found.rivals.push((install.dir.clone(), rivals));
        }
        installs
            .entry(install.dir.clone())
            .or_insert_with(|| Found {
                installed: folder.join("node_modules").exists() || folder.join(".pnp.cjs").exists(),
                program: find(env, install.manager.program()).is_some(),
                pin: read(&folder.join("package.json"))["packageManager"]
                    .as_str()
                    .map(str::to_owned),
                install,
            });
    }
    found.installs = installs.into_values().collect();
    found.wranglers = wrangler::gather(root, dirs);
    found
}

/// A JSON file, or `null`.
pub(super) fn read(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_default()
}

/// What is to be said about them.
pub fn judge(found: &Packages) -> Vec<Check> {
    vec![
        lockfiles(found),
        manager(found),
        installed(found),
        wrangler::judge(&found.wranglers, found.package),
    ]
}

fn lockfiles(found: &Packages) -> Check {
    let pass = |text: String| Check::pass(Group::Packages, "lock files", text);
    let warn = |text: String| Check::warn(Group::Packages, "lock files", text);
    if let Some((dir, names)) = found.rivals.first() {
        return warn(format!("{} has several: {}", folder(dir), names.join(", ")))
            .why("which one is right would be luck: each package manager reads its own")
            .fix(format!(
                "git rm {}",
                names[1..]
                    .iter()
                    .map(|name| path(dir, name))
                    .collect::<Vec<_>>()
                    .join(" ")
            ));
    }
    if let Some(dir) = found.unlocked.first() {
        let prefix = if dir.as_os_str().is_empty() {
            String::new()
        } else {
            format!(" --prefix {}", dir.display())
        };
        return warn(format!("{} has none", folder(dir)))
            .why("every install may bring other versions, here and in CI")
            .fix(format!(
                "npm install{prefix} --package-lock-only --ignore-scripts"
            ));
    }
    match found.installs.as_slice() {
        [] => Check::skipped(
            Group::Packages,
            "lock files",
            "no package.json asks for packages",
        ),
        installs => pass(
            installs
                .iter()
                .map(|found| path(&found.install.dir, &found.install.lockfile))
                .collect::<Vec<_>>()
                .join(", "),
        ),
    }
}

fn manager(found: &Packages) -> Check {
    let missing = found.installs.iter().find(|found| !found.program);
    if let Some(found) = missing {
        let program = found.install.manager.program();
        let pin = found
            .pin
            .as_deref()
            .map(|pin| pin.split('+').next().unwrap_or(pin));
        let wanted = pin.unwrap_or(program);
        let why = format!(
            "{} is its lock file",
            path(&found.install.dir, &found.install.lockfile)
        );
        let check = Check::fail(
            Group::Packages,
            "manager",
            format!("`{program}` is not on PATH"),
        )
        .why(why);
        return match program {
            "npm" => check.why("npm comes with Node"),
            _ => check.fix(format!("npm install --global {wanted}")),
        };
    }
    let mut names: Vec<&str> = found
        .installs
        .iter()
        .map(|found| found.install.manager.program())
        .collect();
    names.sort_unstable();
    names.dedup();
    match names.is_empty() {
        true => Check::skipped(Group::Packages, "manager", "there is no lock file"),
        false => Check::pass(Group::Packages, "manager", names.join(", ")),
    }
}

fn installed(found: &Packages) -> Check {
    const ID: &str = "installed";
    let behind = found
        .installs
        .iter()
        .filter(|found| !found.installed || !found.install.current)
        .min_by_key(|found| found.installed);
    let Some(behind) = behind else {
        return match found.installs.is_empty() {
            true => Check::skipped(Group::Packages, ID, "there is no lock file"),
            false => Check::pass(Group::Packages, ID, "as the lock files say"),
        };
    };
    let install = &behind.install;
    let lockfile = path(&install.dir, &install.lockfile);
    let check = match behind.installed {
        false => Check::fail(
            Group::Packages,
            ID,
            format!("nothing of {lockfile} is installed"),
        )
        .why("builds, tests and uploads need these packages"),
        true => Check::warn(
            Group::Packages,
            ID,
            format!("what is installed is older than {lockfile}"),
        )
        .why("`ci` and CI would check other versions than those that run here"),
    };
    check.fix("cargo xtask install").repair(Repair::Install)
}

/// A folder as people call it.
pub(super) fn folder(dir: &Path) -> String {
    match dir.as_os_str().is_empty() {
        true => "the repo's root".to_owned(),
        false => dir.display().to_string(),
    }
}

/// A file in a folder.
pub(super) fn path(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::ci::packages::Manager;
    use crate::stages::doctor::screen;
    use expect_test::{Expect, expect};

    fn healthy() -> Packages {
        Packages {
            package: true,
            installs: vec![Found {
                install: Install {
                    dir: PathBuf::new(),
                    lockfile: "package-lock.json".to_owned(),
                    manager: Manager::Npm,
                    current: true,
                },
                installed: true,
                program: true,
                pin: None,
            }],
            wranglers: vec![Wrangler {
                dir: PathBuf::from("workers/a"),
                version: Some("4.155.0".to_owned()),
                old: false,
                pin: Some((PathBuf::new(), "4.155.0".to_owned())),
            }],
            ..Packages::default()
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Packages), expect: Expect) {
        let mut found = healthy();
        change(&mut found);
        expect.assert_eq(&screen::problems(&judge(&found)));
    }

    #[test]
    fn packages_in_order_have_nothing_to_say() {
        check(|_| {}, expect![""]);
    }

    #[test]
    fn what_is_not_installed_or_not_as_locked_is_told() {
        check(
            |found| found.installs[0].installed = false,
            expect![[r#"
                ✗ installed: nothing of package-lock.json is installed
                  why: builds, tests and uploads need these packages
                  fix: cargo xtask install"#]],
        );
        check(
            |found| found.installs[0].install.current = false,
            expect![[r#"
                ! installed: what is installed is older than package-lock.json
                  why: `ci` and CI would check other versions than those that run here
                  fix: cargo xtask install"#]],
        );
        check(
            |found| {
                found.installs[0].install.dir = PathBuf::from("apps/web");
                found.installs[0].install.lockfile = "pnpm-lock.yaml".to_owned();
                found.installs[0].install.manager = Manager::Pnpm;
                found.installs[0].installed = false;
                found.installs[0].program = false;
                found.installs[0].pin = Some("pnpm@10.4.1+sha512.abc".to_owned());
            },
            expect![[r#"
                ✗ manager: `pnpm` is not on PATH
                  why: apps/web/pnpm-lock.yaml is its lock file
                  fix: npm install --global pnpm@10.4.1
                ✗ installed: nothing of apps/web/pnpm-lock.yaml is installed
                  why: builds, tests and uploads need these packages
                  fix: cargo xtask install"#]],
        );
    }

    #[test]
    fn lock_files_are_one_each() {
        check(
            |found| found.unlocked.push(PathBuf::from("workers/a")),
            expect![[r#"
                ! lock files: workers/a has none
                  why: every install may bring other versions, here and in CI
                  fix: npm install --prefix workers/a --package-lock-only --ignore-scripts"#]],
        );
        check(
            |found| {
                let names = ["package-lock.json", "yarn.lock"]
                    .map(str::to_owned)
                    .to_vec();
                found.rivals.push((PathBuf::from("workers/a"), names));
            },
            expect![[r#"
                ! lock files: workers/a has several: package-lock.json, yarn.lock
                  why: which one is right would be luck: each package manager reads its own
                  fix: git rm workers/a/yarn.lock"#]],
        );
    }
}
