//! The files of a work tree with the ids of their contents, put together from git's index and, where the work tree
//! differs from it, from the files themselves.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::material::{Material, content};
use super::tree::Tree;
use crate::tools::git::{Git, Indexed};

/// How often a reading is begun again because the index was written meanwhile.
const READINGS_MAX: u32 = 5;

/// The mode git gives a symbolic link.
pub(super) const LINK: &str = "120000";
/// The mode git gives a submodule; here also that of any repository of its own inside the work tree.
pub(super) const REPOSITORY: &str = "160000";

/// One file, by its path from the top of the work tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) path: PathBuf,
    pub(super) mode: String,
    /// git's id of the content, or what stands for it.
    pub(super) id: String,
}

/// Reads until the index stayed the same for the time of a reading: its listing and the state of the work tree come from
/// two commands, and a `git add` between them would show new files with their old contents.
pub(super) fn read(top: &Path) -> anyhow::Result<Vec<Content>> {
    let git = Git::at(top);
    let mut failure = None;
    for _ in 0..READINGS_MAX {
        let before = Git::index_stamp(top);
        let files = git
            .indexed()
            .and_then(|indexed| Ok((indexed, git.differing()?)))
            .and_then(|(indexed, differing)| combine(top, indexed, differing));
        if Git::index_stamp(top) != before {
            continue;
        }
        match files {
            Ok(files) => return Ok(files),
            // A file may have gone between being listed and being read.
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| {
        anyhow::anyhow!(
            "failed to read the state of the work tree: git's index is written all the time"
        )
    }))
}

fn combine(
    top: &Path,
    indexed: Vec<Indexed>,
    differing: Vec<PathBuf>,
) -> anyhow::Result<Vec<Content>> {
    let filtered = if converts(top, &indexed) {
        Git::at(top).filtered()?
    } else {
        Vec::new()
    };
    let raw: HashSet<PathBuf> = filtered.into_iter().collect();
    let mut look: BTreeSet<PathBuf> = differing.into_iter().map(without_slash).collect();
    look.extend(raw.iter().cloned());
    let mut files = Vec::with_capacity(indexed.len());
    for entry in indexed {
        if !entry.sound {
            look.insert(entry.path);
        } else if !look.contains(&entry.path) {
            let mut id = entry.id;
            if entry.mode == REPOSITORY && !top.join(&entry.path).join(".git").exists() {
                // A submodule that was not fetched is an empty folder, and git is content with that.
                "not fetched".clone_into(&mut id);
            }
            files.push(Content {
                path: entry.path,
                mode: entry.mode,
                id,
            });
        }
    }
    let mut plain = Vec::new();
    for path in look {
        match look_at(top, &path, raw.contains(&path))? {
            Seen::Nothing => {}
            Seen::File { mode } => plain.push((path, mode)),
            Seen::Known { mode, id } => files.push(Content {
                path,
                mode: mode.to_owned(),
                id,
            }),
        }
    }
    let paths: Vec<&Path> = plain.iter().map(|(path, _)| path.as_path()).collect();
    let ids = Git::at(top).hash(&paths)?;
    files.extend(
        plain
            .into_iter()
            .zip(ids)
            .map(|((path, mode), id)| Content {
                path,
                mode: mode.to_owned(),
                id,
            }),
    );
    Ok(files)
}

/// What stands at a path of the work tree.
enum Seen {
    Nothing,
    /// A file that git is to hash.
    File {
        mode: &'static str,
    },
    Known {
        mode: &'static str,
        id: String,
    },
}

fn look_at(top: &Path, path: &Path, raw: bool) -> anyhow::Result<Seen> {
    let full = top.join(path);
    let failed = || format!("failed to read {}", full.display());
    let facts = match fs::symlink_metadata(&full) {
        Ok(facts) => facts,
        Err(error) if is_absence(&error) => return Ok(Seen::Nothing),
        Err(error) => return Err(error).with_context(failed),
    };
    if facts.is_symlink() {
        let target = fs::read_link(&full).with_context(failed)?;
        let mut hash = Material::new("xtask link 1");
        hash.bytes("target", bytes_of(&target));
        let id = hash.finish();
        return Ok(Seen::Known { mode: LINK, id });
    }
    if facts.is_dir() {
        // Either a repository of its own, or a folder where the index has a file: then its files are listed themselves.
        if !full.join(".git").exists() {
            return Ok(Seen::Nothing);
        }
        let id = Tree::read(&Git::at(&full))?.digest(&[PathBuf::new()]);
        let mode = REPOSITORY;
        return Ok(Seen::Known { mode, id });
    }
    let mode = match facts.mode() & 0o100 {
        0 => "100644",
        _ => "100755",
    };
    if facts.is_file() && !raw {
        return Ok(Seen::File { mode });
    }
    let id = content(&full, None)?;
    Ok(Seen::Known { mode, id })
}

fn is_absence(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

/// True when some `.gitattributes` speaks of conversions beyond line ends. git takes a file for unchanged when it converts
/// to what the index holds, so these have to be read as they are.
fn converts(top: &Path, indexed: &[Indexed]) -> bool {
    let name = Some(OsStr::new(".gitattributes"));
    let attributes = indexed
        .iter()
        .filter(|entry| entry.path.file_name() == name)
        .map(|entry| entry.path.as_path());
    let local = Path::new(".git/info/attributes");
    attributes.chain([local]).any(|path| {
        let text = fs::read(top.join(path)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        ["filter", "ident", "working-tree-encoding"]
            .iter()
            .any(|attribute| text.contains(attribute))
    })
}

/// A repository inside the work tree is listed as a folder.
fn without_slash(path: PathBuf) -> PathBuf {
    match bytes_of(&path).strip_suffix(b"/") {
        Some(plain) => PathBuf::from(OsStr::from_bytes(plain)),
        None => path,
    }
}

pub(super) fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}
