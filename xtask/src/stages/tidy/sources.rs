//! Rules about source files: their size and head, a reason for every dependency, and no trace of the machine or the
//! registry a file was made with.

use std::path::Path;

use super::{Repo, problem};
use crate::findings::Finding;

/// More lines than this and a file does more than one thing.
const LINES_MAX: usize = 400;

/// Files that may be longer, each with the reason.
const LONG: &[(&str, &str)] = &[
    (
        "xtask/local-cloud/src/runtime.rs",
        "one state machine: when the world is loaded, and what waits for it",
    ),
    (
        "xtask/src/tools/http.rs",
        "the curl boundary: its config, its answers and its retries belong together",
    ),
    (
        "xtask/src/report/tests.rs",
        "snapshots: whole reports, read from top to bottom",
    ),
    (
        "xtask/local-cloud/tests/it/edge.rs",
        "one list of the edge's behaviours",
    ),
    (
        "xtask/local-cloud/tests/it/wrangler.rs",
        "one list of what the real wrangler does",
    ),
    (
        "xtask/local-cloud/tests/it/wrangler_storage.rs",
        "one list of what the real wrangler does with storage",
    ),
];

/// Checks sizes, heads and dependencies.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, text) in &repo.files {
        if path.starts_with("xtask") && path.extension().is_some_and(|ending| ending == "rs") {
            found.extend(head(path, text));
            found.extend(size(path, text));
        }
        if path.starts_with("xtask") && path.ends_with("Cargo.toml") {
            found.extend(dependencies(path, text));
        }
    }
    let idle = LONG.iter().filter(|(path, _)| {
        let text = repo.files.get(Path::new(path));
        text.is_some_and(|text| text.lines().count() <= LINES_MAX)
    });
    found.extend(idle.map(|(path, _)| {
        problem(
            Path::new(path),
            0,
            format!("has at most {LINES_MAX} lines, and is still listed as too long"),
            "take it off `LONG` in xtask/src/stages/tidy/sources.rs",
        )
    }));
    found
}

fn head(path: &Path, text: &str) -> Option<Finding> {
    (!text.starts_with("//!")).then(|| {
        problem(
            path,
            1,
            "does not say what it is for",
            "open the file with `//!`: its job, and what it must not know",
        )
    })
}

fn size(path: &Path, text: &str) -> Option<Finding> {
    let count = text.lines().count();
    let listed = LONG.iter().any(|(long, _)| Path::new(long) == path);
    (count > LINES_MAX && !listed).then(|| {
        problem(
            path,
            LINES_MAX + 1,
            format!("has {count} lines, of at most {LINES_MAX}"),
            "split it where it does two things; else give a reason in `LONG` in xtask/src/stages/tidy/sources.rs",
        )
    })
}

/// A comment behind a dependency or right above it; one above covers the lines up to the next blank.
fn dependencies(path: &Path, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let (mut inside, mut reason_above) = (false, false);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line.trim_end_matches(']').ends_with("dependencies");
            reason_above = false;
        } else if line.is_empty() {
            reason_above = false;
        } else if line.starts_with('#') {
            reason_above = true;
        } else if inside && line.contains('=') {
            let name = line.split(['=', '.']).next().unwrap_or_default().trim();
            if !reason_above && !line.contains(" # ") {
                found.push(problem(
                    path,
                    index + 1,
                    format!("the dependency `{name}` has no reason"),
                    "say in a comment why it is worth its compile time",
                ));
            }
        }
    }
    found
}

/// Checks that files name no developer's machine and no package registry.
pub(super) fn traces(repo: &Repo) -> Vec<Finding> {
    let hosts = hosts();
    let mut found = Vec::new();
    for (path, text) in &repo.files {
        for (index, line) in text.lines().enumerate() {
            if let Some(host) = hosts.iter().find(|host| line.contains(host.as_str())) {
                found.push(problem(
                    path,
                    index + 1,
                    format!("names the package registry {host}"),
                    "leave it to the user's own settings: a mirror must do as well",
                ));
            }
            if let Some(folder) = machine_path(line) {
                found.push(problem(
                    path,
                    index + 1,
                    format!("names a folder of somebody's machine: {folder}"),
                    "make it relative to the repo, or ask for a temporary folder",
                ));
            }
        }
    }
    found
}

/// Put together here, so that this file does not break its own rule.
fn hosts() -> Vec<String> {
    [
        ("registry.", "npmjs.org"),
        ("registry.", "yarnpkg.com"),
        ("index.", "crates.io"),
        ("static.", "crates.io"),
        ("files.", "pythonhosted.org"),
        ("https://", "pypi.org"),
        ("proxy.", "golang.org"),
    ]
    .map(|(sub, domain)| format!("{sub}{domain}"))
    .to_vec()
}

/// The absolute path of a home, a temporary or a working folder in a line. A user name of one letter is an example's.
fn machine_path(line: &str) -> Option<String> {
    for root in ["home", "Users", "tmp", "work"] {
        let needle = format!("/{root}/");
        for (at, _) in line.match_indices(&needle) {
            let part_of_more = line[..at]
                .chars()
                .next_back()
                .is_some_and(|c| c.is_alphanumeric() || "._-})>*]".contains(c));
            let name: String = line[at + needle.len()..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "._-".contains(*c))
                .collect();
            if !part_of_more && name.len() > 1 {
                return Some(format!("{needle}{name}"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_paths_are_told_from_others() {
        let of = |root: &str, rest: &str| machine_path(&format!("x = \"/{root}/{rest}\""));
        assert_eq!(of("home", "ann/x"), Some(["/home", "/ann"].concat()));
        assert_eq!(of("tmp", "probe"), Some(["/tmp", "/probe"].concat()));
        assert_eq!(of("home", "a/x"), None);
        assert_eq!(of("repo", "ann"), None);
        assert_eq!(machine_path(".wrangler/tmp/deploy-1"), None);
        assert_eq!(machine_path("https://a.example/work/items"), None);
    }
}
