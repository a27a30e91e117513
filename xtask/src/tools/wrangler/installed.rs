//! Which wrangler a folder gets: the one its packages bring.

use std::borrow::Cow;
use std::path::Path;

use super::VERSION_MIN;
use crate::error::Fail;
use crate::plan::Command;
use crate::tools::node_modules::{self, Installed};

/// Its name on npm.
pub(super) const NAME: &str = "wrangler";
/// Its program file, in its package.
pub(super) const CLI: &str = "wrangler-dist/cli.js";

/// The installed wrangler that `folder` gets: the nearest one between it and the root, else the newest that any of the
/// other folders has.
pub fn installed_for<'a>(
    root: &Path,
    folders: impl Iterator<Item = &'a Path>,
    folder: &Path,
) -> Option<Installed> {
    node_modules::installed(root, folder, NAME).or_else(|| {
        folders
            .filter_map(|other| node_modules::installed(root, other, NAME))
            .max_by_key(Installed::numbers)
    })
}

/// A command that was planned before the packages were installed: package managers differ in where they put wrangler.
pub fn settled<'a>(root: &Path, command: &'a Command) -> Cow<'a, Command> {
    let planned = command.argv.first().map(Path::new);
    let missing = planned.is_some_and(|cli| {
        cli.ends_with(Path::new("node_modules").join(NAME).join(CLI)) && !cli.is_file()
    });
    match node_modules::installed(root, &command.cwd, NAME).filter(|_| missing) {
        None => Cow::Borrowed(command),
        Some(installed) => {
            let mut command = command.clone();
            command.argv[0] = installed.dir.join(CLI).display().to_string();
            Cow::Owned(command)
        }
    }
}

pub(super) fn check(root: &Path, folder: &Path, installed: Option<Installed>) -> Result<(), Fail> {
    let shown = |path: &Path| match path.strip_prefix(root) {
        Ok(inside) if !inside.as_os_str().is_empty() => inside.display().to_string(),
        _ => "the repo's root".to_owned(),
    };
    let Some(installed) = installed else {
        return Err(Fail::setup("wrangler is not installed")
            .why(format!(
                "no `node_modules/{NAME}` from {} up to the root of the repo",
                shown(folder)
            ))
            .fix("cargo xtask install   (installs what the lock files say)")
            .fix(
                "or add it first, where no package.json names it: npm install --save-dev wrangler",
            ));
    };
    if installed.numbers() < VERSION_MIN {
        let [major, minor, patch] = VERSION_MIN;
        return Err(Fail::setup(format!("wrangler {} is too old", installed.version))
            .why(format!("{} has it; the pipeline needs {major}.{minor}.{patch} or newer, which uploads secrets together with the code", shown(folder)))
            .fix("npm install --save-dev wrangler@latest   (or the same with pnpm, yarn or bun)"));
    }
    Ok(())
}
