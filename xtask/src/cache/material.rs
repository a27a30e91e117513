//! The key of a step: a digest of everything its result depends on. Holds no absolute folder, so that two checkouts
//! share keys. Reads no file except what a step has made.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::{Inputs, Tree};
use crate::plan::{Action, Command, Step};

/// Counts up whenever the same inputs must no longer mean the same result.
const GENERATION: &str = "xtask step 1";

/// What stands in a key for the folder of the checkout.
const ROOT: &str = "{root}";

/// The key of a step with these inputs: 64 hex digits.
pub fn key(step: &Step, inputs: &Inputs, tree: &Tree) -> String {
    let mut hash = Material::new(GENERATION);
    // Programs and native modules differ between platforms under the same version.
    hash.text("platform", std::env::consts::OS);
    hash.text("platform", std::env::consts::ARCH);
    hash.text("step", &step.id);
    let roots = Roots::of(tree.root());
    match &step.action {
        Action::Command(command) => command_material(&mut hash, command, &roots),
        // The other kinds say in their JSON all there is to them.
        other => {
            let text = serde_json::to_string(other).unwrap_or_else(|_| format!("{other:?}"));
            hash.text("action", &roots.strip(&text));
        }
    }
    hash.text("files", &tree.digest(&inputs.paths));
    for (name, value) in sorted(&inputs.env) {
        hash.text("env", name);
        match value {
            Some(value) => hash.text("value", value),
            None => hash.text("unset", ""),
        }
    }
    for (name, identity) in sorted(&inputs.tools) {
        hash.text("tool", name);
        hash.text("identity", &roots.strip(identity));
    }
    for path in sorted(&inputs.outputs) {
        hash.text("output", &roots.strip(&path.to_string_lossy()));
    }
    hash.finish()
}

/// What a step has made, as one digest over names, modes and contents; none when any of it is missing.
pub fn outputs_digest(root: &Path, outputs: &[PathBuf]) -> anyhow::Result<Option<String>> {
    let mut hash = Material::new("xtask outputs 1");
    for output in sorted(outputs) {
        let path = root.join(output);
        if fs::symlink_metadata(&path).is_err() {
            return Ok(None);
        }
        hash.bytes("output", output.as_os_str().as_bytes());
        hash.text("content", &content(&path, None)?);
    }
    Ok(Some(hash.finish()))
}

/// How much of the world outside the repository is read for a key.
pub(super) const OUTSIDE: Limit = Limit {
    entries: 10_000,
    bytes: 256 << 20,
};

/// How much to read before giving up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// Files and folders.
    pub(super) entries: usize,
    /// Of all files together.
    pub(super) bytes: u64,
}

/// A digest of a file or a whole folder by names, modes and bytes. A symbolic link counts as its target's path.
pub(super) fn content(path: &Path, limit: Option<Limit>) -> anyhow::Result<String> {
    let mut hash = Material::new("xtask content 1");
    let mut open = vec![path.to_owned()];
    let (mut entries, mut bytes) = (0, 0);
    while let Some(next) = open.pop() {
        let failed = || format!("failed to read {}", next.display());
        let facts = fs::symlink_metadata(&next).with_context(failed)?;
        let name = next.strip_prefix(path).unwrap_or(&next);
        hash.bytes("path", name.as_os_str().as_bytes());
        entries += 1;
        if facts.is_symlink() {
            let target = fs::read_link(&next).with_context(failed)?;
            hash.bytes("link", target.as_os_str().as_bytes());
        } else if facts.is_dir() {
            let folder: Result<Vec<_>, _> = fs::read_dir(&next).with_context(failed)?.collect();
            let mut paths: Vec<PathBuf> = folder
                .with_context(failed)?
                .iter()
                .map(fs::DirEntry::path)
                .collect();
            paths.sort();
            hash.text("folder", &paths.len().to_string());
            open.extend(paths);
        } else if facts.is_file() {
            bytes += facts.len();
            hash.text("mode", if facts.mode() & 0o100 == 0 { "-" } else { "x" });
            if limit.is_none_or(|limit| bytes <= limit.bytes) {
                hash.bytes("bytes", &fs::read(&next).with_context(failed)?);
            }
        } else {
            // A socket or a pipe has no content.
            hash.text("special", "");
        }
        if limit.is_some_and(|limit| entries > limit.entries || bytes > limit.bytes) {
            anyhow::bail!("there is too much in {}", path.display());
        }
    }
    Ok(hash.finish())
}

fn command_material(hash: &mut Material, command: &Command, roots: &Roots) {
    hash.text("program", &program(&command.program, roots));
    for argument in &command.argv {
        hash.text("argument", &roots.strip(argument));
    }
    hash.text("cwd", &roots.strip(&command.cwd.to_string_lossy()));
    for (name, value) in &command.env {
        hash.text("set", name);
        hash.text("value", &roots.strip(value));
    }
    for (kind, names) in [
        ("secret", &command.secret_env),
        ("remove", &command.env_remove),
        ("stdin", &command.secrets_on_stdin),
    ] {
        for name in sorted(names) {
            hash.text(kind, name);
        }
    }
    for (path, text) in &command.files {
        hash.text("file", &roots.strip(&path.to_string_lossy()));
        hash.text("text", &roots.strip(text));
    }
}

/// A program of the repo by its path, any other by its name: where it is installed says nothing about what it is.
fn program(program: &str, roots: &Roots) -> String {
    let inside = roots.strip(program);
    if inside.starts_with(ROOT) {
        return inside;
    }
    let name = Path::new(program).file_name();
    name.map_or_else(
        || program.to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn sorted<T: Ord>(list: &[T]) -> Vec<&T> {
    let mut list: Vec<&T> = list.iter().collect();
    list.sort();
    list.dedup();
    list
}

/// The names of the checkout's folder: as given, and with symbolic links resolved.
struct Roots(Vec<String>);

impl Roots {
    fn of(root: &Path) -> Roots {
        let mut names = BTreeMap::new();
        for name in [Some(root.to_owned()), fs::canonicalize(root).ok()] {
            let name = name.map(|name| name.to_string_lossy().into_owned());
            if let Some(name) = name.filter(|name| name.len() > 1) {
                names.insert(usize::MAX - name.len(), name);
            }
        }
        // The longest first: one may be the beginning of the other.
        Roots(names.into_values().collect())
    }

    /// The text with every mention of the folder replaced; `/repo` is not mentioned in `/repository`.
    fn strip(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for root in &self.0 {
            let mut clean = String::with_capacity(text.len());
            let mut rest = text.as_str();
            while let Some(at) = rest.find(root.as_str()) {
                let (before, after) = (&rest[..at], &rest[at + root.len()..]);
                let part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
                let starts =
                    !before.chars().next_back().is_some_and(part) || before.ends_with("//");
                let ends = after.starts_with('/') || !after.starts_with(part);
                clean.push_str(before);
                clean.push_str(if starts && ends { ROOT } else { root });
                rest = after;
            }
            clean.push_str(rest);
            text = clean;
        }
        text
    }
}

/// A digest of named parts: no two lists of parts have the same bytes.
pub(super) struct Material(Sha256);

impl Material {
    pub(super) fn new(what: &str) -> Material {
        let mut material = Material(Sha256::new());
        material.text("what", what);
        material
    }

    pub(super) fn text(&mut self, kind: &str, text: &str) {
        self.bytes(kind, text.as_bytes());
    }

    pub(super) fn bytes(&mut self, kind: &str, bytes: &[u8]) {
        self.0.update(format!("{kind} {}\n", bytes.len()));
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
