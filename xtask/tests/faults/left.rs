//! What no run may leave behind: processes, and files with secrets in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::payload::SECRETS;
use crate::world::World;

/// What is left; nothing, when all is well.
pub fn left_behind(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(4);
    let mut left = processes(world);
    while !left.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
        left = processes(world);
    }
    if !left.is_empty() {
        wrong.push(format!("processes are left: {left:?}"));
    }
    search(world.dir(), &mut wrong);
    let bodies = fs::read_dir(world.dir().join("tmp")).expect("a folder");
    for entry in bodies.flatten() {
        if entry.file_name().to_string_lossy().starts_with("xtask-") {
            wrong.push(format!("{} is left", entry.path().display()));
        }
    }
    wrong
}

/// Processes that work in this world, its server and what that started aside.
fn processes(world: &World) -> Vec<String> {
    let mut parents: BTreeMap<u32, u32> = BTreeMap::new();
    let mut ours: BTreeMap<u32, String> = BTreeMap::new();
    let place = world.dir().display().to_string();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        // The name stands in brackets and may hold anything; state and parent follow.
        let mut after = stat
            .rsplit_once(')')
            .unwrap_or_default()
            .1
            .split_whitespace();
        let state = after.next().unwrap_or("Z");
        parents.insert(
            pid,
            after
                .next()
                .and_then(|parent| parent.parse().ok())
                .unwrap_or(0),
        );
        let words = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let cwd = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        if state != "Z" && (words.contains(&place) || cwd.starts_with(&place)) {
            ours.insert(pid, words);
        }
    }
    let of_the_cloud = |pid: u32| {
        let mut at = pid;
        while at != world.cloud_pid() {
            match parents.get(&at) {
                Some(&parent) if parent > 1 => at = parent,
                _ => return false,
            }
        }
        true
    };
    ours.retain(|pid, _| !of_the_cloud(*pid));
    ours.into_iter()
        .map(|(pid, words)| format!("{pid} {words}"))
        .collect()
}

/// No file but the account's own state may hold a secret.
fn search(folder: &Path, wrong: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            // Git's objects are compressed, and the sources hold no secret.
            if entry.file_name() != ".git" {
                search(&path, wrong);
            }
        } else if kind.is_file() && !path.ends_with(".xtask/local-cloud/state.json") {
            let bytes = fs::read(&path).unwrap_or_default();
            for (name, value) in SECRETS {
                if bytes
                    .windows(value.len())
                    .any(|window| window == value.as_bytes())
                {
                    wrong.push(format!("{} holds {name}", path.display()));
                }
            }
        }
    }
}
