//! Entries that are damaged, fought over by processes, killed half-way, or too many for the disk.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::*;

/// Tells the child of a test where its store is.
const CHILD: &str = "XTASK_TEST_STORE";

fn key_of(n: u64) -> String {
    format!("{n:064x}")
}

fn entry(n: u64) -> Entry {
    Entry {
        step: format!("step {n}"),
        passed_at: "2026-01-02T03:04:05Z".into(),
        duration_ms: n,
        note: Some("12 kB, ünïcode \n\"".into()),
        output: json!({"gzip": n, "list": [1, null]}),
        outputs: None,
    }
}

fn store() -> (TempDir, Store) {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path(), 1 << 20);
    (state, store)
}

fn folder(state: &Path) -> PathBuf {
    state.join("cache/steps")
}

fn file(state: &Path, key: &str) -> PathBuf {
    folder(state).join(format!("{key}.json"))
}

fn names(state: &Path) -> Vec<String> {
    let files = fs::read_dir(folder(state)).unwrap();
    let mut names: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_put_is_got() {
    let (state, store) = store();
    assert_eq!(store.get(&key_of(1)), None);
    store.put(&key_of(1), &entry(1)).unwrap();
    store.put(&key_of(1), &entry(2)).unwrap();
    assert_eq!(store.get(&key_of(1)), Some(entry(2)));
    assert_eq!(store.get(&key_of(2)), None);
    assert_eq!(names(state.path()), [format!("{}.json", key_of(1))]);
    for bad in [
        "",
        "x",
        "../../../../etc/passwd",
        &"g".repeat(64),
        &"0".repeat(63),
    ] {
        assert_eq!(store.get(bad), None);
        assert!(
            store
                .put(bad, &entry(1))
                .unwrap_err()
                .contains("its key is malformed")
        );
    }
}

#[test]
fn a_damaged_entry_is_no_result_and_goes_away() {
    let (state, store) = store();
    let (key, path) = (key_of(1), file(state.path(), &key_of(1)));
    store.put(&key, &entry(1)).unwrap();
    let good = fs::read(&path).unwrap();
    let mut damaged: Vec<Vec<u8>> = (0..good.len()).map(|end| good[..end].to_vec()).collect();
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        damaged.push(flipped);
    }
    damaged.push([&good[..], b" "].concat());
    damaged.push([&good[..], &good[..]].concat());
    damaged.push(vec![0; good.len()]);
    damaged.push(vec![b' '; 3 << 20]);
    for bytes in damaged {
        fs::write(&path, &bytes).unwrap();
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
        assert_eq!(store.get(&key), None, "{shown}");
        assert!(!path.exists(), "{shown}");
    }
    // A sound entry under the name of another key.
    fs::write(file(state.path(), &key_of(2)), &good).unwrap();
    assert_eq!(store.get(&key_of(2)), None);
    assert!(!file(state.path(), &key_of(2)).exists());
    // A folder under the name of an entry: no result, and it cannot be replaced.
    fs::create_dir_all(path.join("x")).unwrap();
    assert_eq!(store.get(&key), None);
    assert!(store.put(&key, &entry(1)).is_err());
    assert_eq!(names(state.path()).len(), 1, "no temporary file is left");
}

#[test]
fn a_store_that_cannot_be_written_warns_and_goes_on() {
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join("cache"), "a file").unwrap();
    let store = Store::open(state.path(), 1 << 20);
    let warning = store.put(&key_of(1), &entry(1)).unwrap_err();
    assert!(
        warning.starts_with("the result of `step 1` was not kept: "),
        "{warning}"
    );
    assert_eq!(store.get(&key_of(1)), None);
    store.prune();
    let small = Store::open(state.path(), 10);
    assert!(
        small
            .put(&key_of(1), &entry(1))
            .unwrap_err()
            .contains("bytes")
    );
}

fn age(path: &Path, seconds: u64) {
    let file = fs::File::options().append(true).open(path).unwrap();
    let then = SystemTime::now() - Duration::from_secs(seconds);
    file.set_modified(then).unwrap();
}

#[test]
fn the_longest_unused_go_first_and_use_is_noted() {
    let state = tempfile::tempdir().unwrap();
    let size = {
        let store = Store::open(state.path(), 1 << 20);
        for n in 1..=9 {
            store.put(&key_of(n), &entry(n)).unwrap();
            age(&file(state.path(), &key_of(n)), 10_000 - n);
        }
        fs::metadata(file(state.path(), &key_of(1))).unwrap().len()
    };
    let store = Store::open(state.path(), size * 4);
    assert!(store.get(&key_of(1)).is_some());
    // A clock that was wrong once does not keep an entry for ever.
    let ahead = fs::File::options()
        .append(true)
        .open(file(state.path(), &key_of(2)))
        .unwrap();
    ahead
        .set_modified(SystemTime::now() + Duration::from_secs(99_999))
        .unwrap();
    store.prune();
    let kept: Vec<u64> = (1..=9)
        .filter(|n| store.get(&key_of(*n)).is_some())
        .collect();
    assert_eq!(kept, [1, 2, 8, 9]);
    age(&file(state.path(), &key_of(2)), 5000);
    age(&file(state.path(), &key_of(8)), 6000);
    Store::open(state.path(), size * 3).prune();
    let kept: Vec<u64> = (1..=9)
        .filter(|n| store.get(&key_of(*n)).is_some())
        .collect();
    assert_eq!(kept, [1, 2, 9]);
}

#[test]
fn what_killed_runs_left_is_removed_once_it_is_old() {
    let (state, store) = store();
    store.put(&key_of(1), &entry(1)).unwrap();
    let (old, new) = (
        folder(state.path()).join(".a.tmp"),
        folder(state.path()).join(".b.tmp"),
    );
    for path in [&old, &new] {
        fs::write(path, "half").unwrap();
    }
    age(&old, 4000);
    // The first put of a run looks, so that a folder used by killed runs only is bounded too.
    Store::open(state.path(), 1 << 20)
        .put(&key_of(2), &entry(2))
        .unwrap();
    assert!(!old.exists() && new.exists());
    assert!(store.get(&key_of(1)).is_some());
}

#[test]
#[ignore = "run as a child of other tests"]
fn child_that_puts() {
    let Some(state) = std::env::var_os(CHILD) else {
        return;
    };
    let store = Store::open(Path::new(&state), 4000);
    for n in 0.. {
        let key = key_of(n % 7);
        store.put(&key, &entry(n % 7)).unwrap();
        // Pruned by the other process perhaps, but never half of it and never another's.
        if let Some(found) = store.get(&key) {
            assert_eq!(found, entry(n % 7));
        }
        if n % 50 == 0 {
            store.prune();
        }
        if n > 500 && Path::new(&state).join("bounded").exists() {
            return;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test runs itself as another process"
)]
fn child(state: &Path) -> Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "cache::tests::store::child_that_puts",
            "--ignored",
        ])
        .env(CHILD, state)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[track_caller]
fn all_sound(state: &Path) {
    for name in names(state) {
        if let Some(key) = name.strip_suffix(".json") {
            let n = u64::from_str_radix(key, 16).unwrap();
            let bytes = fs::read(file(state, key)).unwrap();
            let found = Store::open(state, 1 << 20).get(key);
            assert_eq!(found, Some(entry(n)), "{}", String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn two_processes_put_the_same_keys() {
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join("bounded"), "").unwrap();
    let children = [child(state.path()), child(state.path())];
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
    all_sound(state.path());
    assert!(
        names(state.path())
            .iter()
            .all(|name| name.ends_with(".json"))
    );
}

#[test]
fn a_killed_process_leaves_no_half_entry() {
    let state = tempfile::tempdir().unwrap();
    for round in 0..12 {
        let mut child = child(state.path());
        let begun = SystemTime::now();
        while !folder(state.path()).exists() && begun.elapsed().unwrap().as_secs() < 20 {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(3000 + 1237 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        all_sound(state.path());
    }
    assert!(!names(state.path()).is_empty());
}

#[test]
fn a_full_disk_costs_a_warning_and_no_entry() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: only root may mount the small disk this needs");
        return;
    };
    let store = Store::open(disk.0.path(), 1 << 20);
    store.put(&key_of(0), &entry(0)).unwrap();
    let mut kept = vec![0];
    let mut warnings = Vec::new();
    for n in 1..200 {
        match store.put(&key_of(n), &entry(n)) {
            Ok(()) => kept.push(n),
            Err(warning) => warnings.push(warning),
        }
    }
    assert!(!warnings.is_empty(), "the disk was not small enough");
    assert!(
        warnings[0].contains("No space left on device"),
        "{}",
        warnings[0]
    );
    for n in 0..200 {
        let wanted = kept.contains(&n).then(|| entry(n));
        assert_eq!(store.get(&key_of(n)), wanted);
    }
    assert!(
        names(disk.0.path())
            .iter()
            .all(|name| name.ends_with(".json"))
    );
    // With room again it works again.
    Store::open(disk.0.path(), 2000).prune();
    store.put(&key_of(500), &entry(500)).unwrap();
    assert_eq!(store.get(&key_of(500)), Some(entry(500)));
}

/// A file system of 128 kB.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap().to_owned();
        let mounted = run("mount", &["-t", "tmpfs", "-o", "size=128k", "tmpfs", &path]);
        mounted.then_some(SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &[self.0.path().to_str().unwrap()]);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "mounting is nothing the product does"
)]
fn run(program: &str, arguments: &[&str]) -> bool {
    let mut command = std::process::Command::new(program);
    command.args(arguments).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
