//! Worlds that many tests start from, each made once: the first test that wants a shape makes it, with whole runs of the
//! real programs, and every test gets a copy with a cloud of its own. A shape is kept in the target folder, under the
//! content of every program that took part in it, for the tests of the next hour.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::{World, repo, setup, stand_in};

/// Shapes hold times (of releases, of bookmarks): none is older than a run of all tests may be long.
const KEPT: Duration = Duration::from_secs(3600);
/// Nothing uses a shape any more that was begun so long ago.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// What a copy needs beside its files.
#[derive(serde::Serialize, serde::Deserialize)]
struct Surroundings {
    base: PathBuf,
    env: BTreeMap<String, String>,
    cloud: bool,
}

impl World {
    /// The small set with its first release live.
    pub fn deployed() -> World {
        World::deployed_from("small set", &repo::small_set())
    }

    /// Any repo with its first release live. `shape` names it among all tests.
    pub fn deployed_from(shape: &str, files: &[(&str, &str)]) -> World {
        World::warm(shape, || {
            let world = World::of(files);
            world.deploy();
            world
        })
    }

    /// A copy of the world that `make` makes, made by whichever test asks first. `shape` names it among all tests. What
    /// names the cloud's port has to be set in the copy.
    pub fn warm(shape: &str, make: impl FnOnce() -> World) -> World {
        let name: String = shape
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let kept = shapes().join(&name);
        setup::alone(&format!("warm-{name}"), || {
            if !kept.exists() {
                keep(make(), &kept);
            }
        });
        open(&kept)
    }
}

/// Stops a world's cloud and puts everything below its folder where copies are taken from.
fn keep(mut world: World, kept: &Path) {
    let surroundings = Surroundings {
        base: world.base().to_owned(),
        env: world.env().clone(),
        cloud: world.has_cloud(),
    };
    world.stop_cloud();
    let half = kept.with_extension("half");
    let _ = fs::remove_dir_all(&half);
    copy(world.base(), &half.join("base"));
    let text = serde_json::to_string(&surroundings).expect("plain data");
    fs::write(half.join("surroundings.json"), text).expect("a file can be written");
    fs::rename(&half, kept).expect("a folder can be renamed");
}

fn open(kept: &Path) -> World {
    let text = fs::read_to_string(kept.join("surroundings.json")).expect("it was kept");
    let surroundings: Surroundings = serde_json::from_str(&text).expect("it was written so");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let base = folder.path().canonicalize().expect("it exists");
    copy(&kept.join("base"), &base);
    let (from, to) = (surroundings.base.display().to_string(), base.display());
    let moved = |value: String| value.replace(&from, &to.to_string());
    let env = surroundings.env.into_iter();
    let env = env.map(|(name, value)| (name, moved(value))).collect();
    let mut world = World::at(folder, env);
    if surroundings.cloud {
        world.start_cloud();
    }
    world
}

/// Where the shapes of these programs are.
fn shapes() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("worlds");
        let programs = programs();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("the clock is right");
        let mut chosen = None;
        setup::alone("worlds", || {
            fs::create_dir_all(&all).expect("a folder can be made");
            for entry in fs::read_dir(&all).expect("it was just made").flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let (of, begun) = name.split_once('-').unwrap_or_default();
                let begun = Duration::from_secs(begun.parse().unwrap_or(0));
                let age = now.saturating_sub(begun);
                if of == programs && age < KEPT {
                    chosen = Some(entry.path());
                } else if age > ABANDONED {
                    // Another run may be removing it, too.
                    let _ = fs::remove_dir_all(entry.path());
                }
            }
            let folder =
                chosen.get_or_insert_with(|| all.join(format!("{programs}-{}", now.as_secs())));
            fs::create_dir_all(folder).expect("a folder can be made");
        });
        chosen.expect("one was chosen")
    })
}

/// The content of all that takes part: the program under test, the local cloud, the tests themselves and the packages.
fn programs() -> String {
    let lock = setup::own_repo().join("package-lock.json");
    let own = std::env::current_exe().expect("this test is a program");
    let xtask = PathBuf::from(env!("CARGO_BIN_EXE_xtask"));
    let mut hash = Sha256::new();
    let taking_part = [xtask, setup::local_cloud(), own, lock];
    for file in taking_part.into_iter().chain(stand_in::programs()) {
        let content = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        hash.update(Sha256::digest(&content));
    }
    let digits = hash.finalize();
    digits[..8].iter().map(|b| format!("{b:02x}")).collect()
}

/// Copies a folder with its links and modes. Copies, not hard links: databases are changed in place.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the folder is there") {
        let entry = entry.expect("it can be read");
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("it has one");
        if kind.is_dir() {
            copy(&path, &target);
        } else if kind.is_symlink() {
            let aim = fs::read_link(&path).expect("it is a link");
            std::os::unix::fs::symlink(aim, &target).expect("a link can be made");
        } else if kind.is_file() {
            fs::copy(&path, &target).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
    let modes = fs::metadata(from).expect("it is there").permissions();
    fs::set_permissions(to, modes).expect("it is ours");
}
