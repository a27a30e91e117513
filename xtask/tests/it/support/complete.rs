//! Whether every file below `tests/it` is a module of the one test program: a forgotten one would never run, without a word.
//! The local cloud's tests include this file, too.

use std::fs;
use std::path::Path;

/// Files and folders below `folder` that no `mod` line includes, as paths below it.
pub fn forgotten(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    look(folder, &folder.join("main.rs"), "", &mut found);
    found.sort();
    found
}

/// `parent` is the file whose `mod` lines include what lies in `folder`.
fn look(folder: &Path, parent: &Path, below: &str, found: &mut Vec<String>) {
    let text = fs::read_to_string(parent).unwrap_or_default();
    let entries = fs::read_dir(folder).expect("the folder can be read");
    for entry in entries {
        let path = entry.expect("the entry can be read").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        if path == parent || !(path.is_dir() || is_rust) {
            continue;
        }
        let included = text.lines().any(|line| {
            let line = line.trim_start().trim_start_matches("pub ");
            line == format!("mod {name};")
        });
        if !included {
            found.push(format!("{below}{name}"));
        } else if path.is_dir() {
            look(
                &path,
                &path.join("mod.rs"),
                &format!("{below}{name}/"),
                found,
            );
        }
    }
}
