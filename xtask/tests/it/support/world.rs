//! A repo in a temporary folder, a local cloud of its own, and the surroundings the binary is run in.

#![expect(
    clippy::disallowed_methods,
    reason = "the world of a test is made out of the test's own environment"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Cloud, redact, repo, setup};

/// A repo, the local cloud it ships to, and the surroundings the binary is run in.
pub struct World {
    /// First, so that the cloud is stopped before its state folder is removed.
    cloud: Option<Cloud>,
    /// Removed on drop.
    _folder: TempDir,
    root: PathBuf,
    env: BTreeMap<String, String>,
}

impl World {
    /// Three small workers (`site` calls `agent` and `api`, `agent` has a Durable Object), one database, one cloud.
    pub fn new() -> World {
        World::of(&repo::small_set())
    }

    /// Any repo: path and text of each file; `pipeline.toml` is one of them.
    pub fn of(files: &[(&str, &str)]) -> World {
        let world = World::without_cloud(files);
        world.with_cloud()
    }

    /// A repo without a running cloud.
    pub fn without_cloud(files: &[(&str, &str)]) -> World {
        let mut world = World::empty();
        for (path, text) in files {
            world.edit(path, text);
        }
        world.commit("first commit");
        world.set("API_KEY", "the-api-key");
        world.set("SITE_KEY", "the-site-key");
        world
    }

    /// A copy of this repo's own workers and `pipeline.toml`, with every declared secret set.
    pub fn kiamichi() -> World {
        let mut world = World::empty();
        repo::copy_own_workers(&world.root);
        world.commit("the repo as it is");
        for name in [
            "ADMIN_KEY",
            "GOOGLE_SECRET",
            "FB_SECRET",
            "FB_EMAIL",
            "FB_PASSWORD",
        ] {
            world.set(name, &format!("test-value-of-{}", name.to_lowercase()));
        }
        world.with_cloud()
    }

    fn empty() -> World {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // The real path: the binary resolves links too, and texts are compared.
        let base = folder.path().canonicalize().expect("it exists");
        let root = base.join("repo");
        let home = base.join("home");
        fs::create_dir_all(&root).expect("a folder can be made");
        fs::create_dir_all(&home).expect("a folder can be made");
        std::os::unix::fs::symlink(setup::node_modules(), root.join("node_modules"))
            .expect("a link can be made");
        // One compile cache for all worlds: node reads wrangler's code once, not once per test.
        let cache = root.join(".xtask/cache");
        fs::create_dir_all(&cache).expect("a folder can be made");
        std::os::unix::fs::symlink(setup::compile_cache(), cache.join("node"))
            .expect("a link can be made");
        let path = std::env::var("PATH").unwrap_or_default();
        let home = home.display().to_string();
        let env = [
            ("PATH", path.as_str()),
            ("HOME", home.as_str()),
            ("XDG_CONFIG_HOME", home.as_str()),
            ("TMPDIR", home.as_str()),
            ("USER", "tester"),
            ("HOSTNAME", "testhost"),
            ("LANG", "C.UTF-8"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("XTASK_CLOUD", "local"),
            // Most of what is tried again here fails again: that was arranged.
            ("XTASK_PAUSES", "0.1"),
        ];
        World {
            cloud: None,
            _folder: folder,
            root,
            env: env
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }
    }

    /// A world whose files are in `folder` already.
    pub(super) fn at(folder: TempDir, env: BTreeMap<String, String>) -> World {
        let base = folder.path().canonicalize().expect("it exists");
        World {
            cloud: None,
            _folder: folder,
            root: base.join("repo"),
            env,
        }
    }

    fn with_cloud(mut self) -> World {
        self.start_cloud();
        self
    }

    /// Starts the repo's local cloud where the binary looks for it.
    pub fn start_cloud(&mut self) {
        let program = setup::local_cloud();
        self.set("XTASK_LOCAL_CLOUD_BIN", &program.display().to_string());
        self.cloud = Some(Cloud::start(&program, &self.root));
    }

    /// Stops the local cloud; what it stored stays.
    pub fn stop_cloud(&mut self) {
        self.cloud = None;
    }

    /// Whether its local cloud runs.
    pub(super) fn has_cloud(&self) -> bool {
        self.cloud.is_some()
    }

    /// The running local cloud.
    #[track_caller]
    pub fn cloud(&self) -> &Cloud {
        self.cloud.as_ref().expect("the world has a cloud")
    }

    /// The binary's environment.
    pub(super) fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// The repo's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that holds the repo and everything else of this world.
    pub fn base(&self) -> &Path {
        self.root.parent().unwrap_or(&self.root)
    }

    /// A folder beside the repo, for what must not be in it.
    pub fn aside(&self, name: &str) -> PathBuf {
        let path = self.root.with_file_name("aside").join(name);
        fs::create_dir_all(path.parent().unwrap_or(&path)).expect("a folder can be made");
        path
    }

    /// Sets a variable of the binary's environment.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// A variable of the binary's environment.
    pub fn variable(&self, name: &str) -> String {
        self.env.get(name).cloned().unwrap_or_default()
    }

    /// Removes a variable of the binary's environment.
    pub fn unset(&mut self, name: &str) {
        self.env.remove(name);
    }

    /// Writes a file of the repo, and the folders above it.
    pub fn edit(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&self.root)).expect("a folder can be made");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// The text of a file of the repo.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        let path = self.root.join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Replaces a text that stands in a file of the repo.
    #[track_caller]
    pub fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} does not hold {from:?}");
        self.edit(path, &text.replacen(from, to, 1));
    }

    /// Removes a file of the repo.
    #[track_caller]
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.root.join(path)).expect("the file is there");
    }

    /// Every file of the repo and its content, git's own and the local cloud's apart: to see what a run wrote.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        repo::collect(&self.root, &self.root, &mut found);
        found
    }

    /// A text with everything that differs from run to run replaced by what it is.
    pub fn redact(&self, text: &str) -> String {
        let root = self.root.display().to_string();
        let base = self.root.with_file_name("").display().to_string();
        let port = self.cloud.as_ref().map(|cloud| cloud.port);
        let text = text.replace(&root, "[repo]");
        let text = text.replace(base.trim_end_matches('/'), "[temp]");
        redact::redact(&text, port)
    }
}
