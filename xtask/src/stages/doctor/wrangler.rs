//! wrangler: there for every worker, new enough, and pinned to one version. `gather` reads files, `judge` is pure.

use std::path::{Path, PathBuf};

use super::check::{Check, Group};
use super::packages::{folder, path, read};
use super::range;
use crate::tools::wrangler;

const ID: &str = "wrangler";

/// The wrangler of a worker's folder, or of the root's where there are no workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrangler {
    /// The folder, relative to the root.
    pub dir: PathBuf,
    /// Its version, when it is installed.
    pub version: Option<String>,
    /// True when it is too old for the pipeline.
    pub old: bool,
    /// The nearest `package.json` that asks for it: its folder relative to the root, and the range.
    pub pin: Option<(PathBuf, String)>,
}

/// Looks it up for each of the folders.
pub fn gather(root: &Path, folders: &[PathBuf]) -> Vec<Wrangler> {
    let own = [root.to_owned()];
    let folders = if folders.is_empty() {
        &own[..]
    } else {
        folders
    };
    folders.iter().map(|dir| of(root, folders, dir)).collect()
}

fn of(root: &Path, folders: &[PathBuf], dir: &Path) -> Wrangler {
    let all = folders.iter().map(PathBuf::as_path);
    let installed = wrangler::installed_for(root, all, dir);
    let above = dir
        .ancestors()
        .take_while(|folder| folder.starts_with(root));
    let mut pins = above.filter_map(|folder| {
        let package = read(&folder.join("package.json"));
        let mut lists = ["devDependencies", "dependencies"].into_iter();
        let range = lists
            .find_map(|list| package[list]["wrangler"].as_str())?
            .to_owned();
        let shown = folder.strip_prefix(root).unwrap_or(folder);
        Some((shown.to_owned(), range))
    });
    Wrangler {
        dir: dir.strip_prefix(root).unwrap_or(dir).to_owned(),
        old: installed
            .as_ref()
            .is_some_and(|found| found.numbers() < wrangler::VERSION_MIN),
        version: installed.map(|found| found.version),
        pin: pins.next(),
    }
}

/// What is to be said about it. `package`: the root has a `package.json`.
pub fn judge(all: &[Wrangler], package: bool) -> Check {
    let unfit = all.iter().find_map(|it| unfit(it, package));
    let loose = || all.iter().find_map(loose);
    unfit.or_else(loose).unwrap_or_else(|| {
        let mut versions: Vec<&str> = all.iter().filter_map(|it| it.version.as_deref()).collect();
        versions.sort_unstable();
        versions.dedup();
        Check::pass(
            Group::Packages,
            ID,
            format!("{}, pinned", versions.join(", ")),
        )
    })
}

/// What stops every stage.
fn unfit(it: &Wrangler, package: bool) -> Option<Check> {
    let fail = |text: String| {
        Check::fail(Group::Packages, ID, text).why("wrangler builds and uploads every worker")
    };
    let root = Path::new("");
    let Some(version) = &it.version else {
        let check = fail(format!("it is not installed for {}", folder(&it.dir)));
        return Some(match (&it.pin, package) {
            (Some(_), _) => check.fix("cargo xtask install"),
            (None, true) => check.why("no package.json asks for it").fix(pin(root, "4")),
            (None, false) => check
                .why("there is no package.json that asks for it")
                .fix(format!("npm init --yes && {}", pin(root, "4"))),
        });
    };
    it.old.then(|| {
        let [major, minor, _] = wrangler::VERSION_MIN;
        let dir = it.pin.as_ref().map_or(root, |(dir, _)| dir);
        fail(format!("{version}, of {}, is too old", folder(&it.dir)))
            .why(format!(
                "{major}.{minor} or newer is needed, which uploads secrets together with the code"
            ))
            .fix(pin(dir, "latest"))
    })
}

/// What leaves open which wrangler the next release is made with.
fn loose(it: &Wrangler) -> Option<Check> {
    let warn = |text: String| Check::warn(Group::Packages, ID, text);
    let version = it.version.as_deref()?;
    let Some((dir, range)) = &it.pin else {
        let check = warn(format!("{version}, and no package.json asks for it"));
        let check = check.why("the next install may bring another one, or none");
        return Some(check.fix(pin(Path::new(""), version)));
    };
    let file = path(dir, "package.json");
    if !is_exact(range) {
        let check = warn(format!("{version}, but {file} asks for {range}"));
        let check = check.why("another wrangler may upload other bytes or ask other questions: name the one releases are made with");
        return Some(check.fix(pin(dir, version)));
    }
    (range.trim_start_matches('=') != version).then(|| {
        warn(format!("{version} is installed, {file} asks for {range}"))
            .why("a release made here is made with another wrangler than one made elsewhere")
            .fix("cargo xtask install")
    })
}

/// The command that pins a version in a folder.
fn pin(dir: &Path, version: &str) -> String {
    let prefix = match dir.as_os_str().is_empty() {
        true => String::new(),
        false => format!(" --prefix {}", dir.display()),
    };
    format!("npm install{prefix} --save-dev --save-exact --ignore-scripts wrangler@{version}")
}

/// `4.155.0`, and nothing that leaves a choice.
fn is_exact(range: &str) -> bool {
    let plain = range.trim_start_matches('=');
    plain.split('.').count() == 3 && range::version(plain).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::doctor::screen;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(change: impl FnOnce(&mut Wrangler), package: bool, expect: Expect) {
        let mut it = Wrangler {
            dir: PathBuf::from("workers/a"),
            version: Some("4.155.0".to_owned()),
            old: false,
            pin: Some((PathBuf::new(), "4.155.0".to_owned())),
        };
        change(&mut it);
        expect.assert_eq(&screen::problems(&[judge(&[it], package)]));
    }

    #[test]
    fn it_is_there_for_every_worker_and_pinned() {
        check(|_| {}, true, expect![""]);
        check(
            |it| it.version = None,
            true,
            expect![[r#"
            ✗ wrangler: it is not installed for workers/a
              why: wrangler builds and uploads every worker
              fix: cargo xtask install"#]],
        );
        let nowhere = |it: &mut Wrangler| (it.version, it.pin) = (None, None);
        check(
            nowhere,
            true,
            expect![[r#"
            ✗ wrangler: it is not installed for workers/a
              why: wrangler builds and uploads every worker
                   no package.json asks for it
              fix: npm install --save-dev --save-exact --ignore-scripts wrangler@4"#]],
        );
        check(
            nowhere,
            false,
            expect![[r#"
            ✗ wrangler: it is not installed for workers/a
              why: wrangler builds and uploads every worker
                   there is no package.json that asks for it
              fix: npm init --yes && npm install --save-dev --save-exact --ignore-scripts wrangler@4"#]],
        );
        let old = |it: &mut Wrangler| (it.version, it.old) = (Some("4.60.0".to_owned()), true);
        check(
            old,
            true,
            expect![[r#"
            ✗ wrangler: 4.60.0, of workers/a, is too old
              why: wrangler builds and uploads every worker
                   4.74 or newer is needed, which uploads secrets together with the code
              fix: npm install --save-dev --save-exact --ignore-scripts wrangler@latest"#]],
        );
        let asks = |dir: &str, range: &str| Some((PathBuf::from(dir), range.to_owned()));
        check(
            |it| it.pin = None,
            true,
            expect![[r#"
            ! wrangler: 4.155.0, and no package.json asks for it
              why: the next install may bring another one, or none
              fix: npm install --save-dev --save-exact --ignore-scripts wrangler@4.155.0"#]],
        );
        check(
            |it| it.pin = asks("", "^4.100.0"),
            true,
            expect![[r#"
            ! wrangler: 4.155.0, but package.json asks for ^4.100.0
              why: another wrangler may upload other bytes or ask other questions: name the one releases are made with
              fix: npm install --save-dev --save-exact --ignore-scripts wrangler@4.155.0"#]],
        );
        check(
            |it| it.pin = asks("workers/a", "4.156.0"),
            true,
            expect![[r#"
                ! wrangler: 4.155.0 is installed, workers/a/package.json asks for 4.156.0
                  why: a release made here is made with another wrangler than one made elsewhere
                  fix: cargo xtask install"#]],
        );
    }
}
