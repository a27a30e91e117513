//! What no run may leave behind: processes, and files with secrets in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::World;

/// What is left; nothing, when all is well. `secrets`: names and the values that no file may hold.
pub fn left_behind(world: &World, secrets: &[(&str, &str)]) -> Vec<String> {
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
    search(world.base(), secrets, &mut wrong);
    let temporary = fs::read_dir(world.variable("TMPDIR")).expect("a folder");
    for entry in temporary.flatten() {
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
    let place = world.base().display().to_string();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        // The name stands in brackets and may hold anything; state and parent follow.
        let (_, after) = stat.rsplit_once(')').unwrap_or_default();
        let mut after = after.split_whitespace();
        let state = after.next().unwrap_or("Z");
        let parent = after.next().and_then(|parent| parent.parse().ok());
        parents.insert(pid, parent.unwrap_or(0));
        let words = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let cwd = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        if state != "Z" && (words.contains(&place) || cwd.starts_with(&place)) {
            ours.insert(pid, words);
        }
    }
    let of_the_cloud = |pid: u32| {
        let mut at = pid;
        while at != world.cloud().pid() {
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
fn search(folder: &Path, secrets: &[(&str, &str)], wrong: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            // Git's objects are compressed, and the sources hold no secret.
            if entry.file_name() != ".git" {
                search(&path, secrets, wrong);
            }
        } else if kind.is_file() && !path.ends_with(".xtask/local-cloud/state.json") {
            let bytes = fs::read(&path).unwrap_or_default();
            // Not byte by byte: in a debug build the standard library's own search is ten times as fast.
            let text = String::from_utf8_lossy(&bytes);
            let holds = |value: &str| text.contains(value);
            for (name, _) in secrets.iter().filter(|(_, value)| holds(value)) {
                wrong.push(format!("{} holds {name}", path.display()));
            }
        }
    }
}
