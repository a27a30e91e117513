//! Lists of files from git: the index, what differs from it, what changed since a commit. Names are bytes: they may hold
//! line ends and need not be UTF-8.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Git;

/// What git's index says about one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed {
    /// Relative to the top of the work tree.
    pub path: PathBuf,
    /// `100644`, `100755`, `120000` (symbolic link) or `160000` (submodule).
    pub mode: String,
    /// The id of its content.
    pub id: String,
    /// False when git was told not to look at the file, or when it is in the middle of a merge: the index then says
    /// nothing about the work tree.
    pub sound: bool,
}

impl Git {
    /// The top of the work tree: the folder itself or the nearest one above it that holds `.git`.
    pub fn top(&self) -> anyhow::Result<PathBuf> {
        let root = std::path::absolute(&self.root)
            .with_context(|| format!("failed to find {}", self.root.display()))?;
        let top = root
            .ancestors()
            .find(|folder| folder.join(".git").exists())
            .map(Path::to_owned);
        top.with_context(|| format!("failed to find the repository of {}", root.display()))
    }

    /// Changes whenever the index is written.
    pub(crate) fn index_stamp(top: &Path) -> Option<(u64, i64, i64, u64)> {
        let git = top.join(".git");
        let folder = match std::fs::read(&git) {
            // A linked work tree or a submodule: `.git` is a file that says where the folder is.
            Ok(said) => {
                let path = said.strip_prefix(b"gitdir: ")?;
                top.join(OsStr::from_bytes(path.trim_ascii_end()))
            }
            Err(_) => git,
        };
        let index = std::fs::metadata(folder.join("index")).ok()?;
        Some((index.ino(), index.ctime(), index.ctime_nsec(), index.size()))
    }

    /// Every path of the index, sorted as git sorts them. Call it on the top of the work tree.
    pub(crate) fn indexed(&self) -> anyhow::Result<Vec<Indexed>> {
        let listed = self.bytes(&["ls-files", "-s", "-v", "-z"], b"")?;
        let entries = records(&listed).map(|record| {
            parse_indexed(record).with_context(|| {
                let shown = String::from_utf8_lossy(record);
                format!("failed to understand what git ls-files wrote: {shown}")
            })
        });
        entries.collect()
    }

    /// The paths whose content is not that of the index: changed, deleted, untracked (a repository of its own is one
    /// path that ends in `/`). Ignored files are never among them. Relative to the top of the work tree.
    pub(crate) fn differing(&self) -> anyhow::Result<Vec<PathBuf>> {
        let listed = self.bytes(
            &[
                "status",
                "--porcelain=v1",
                "-z",
                "--no-renames",
                "--untracked-files=all",
                "--ignore-submodules=none",
            ],
            b"",
        )?;
        // `XY path`: X compares HEAD with the index, Y the index with the work tree.
        let differing = records(&listed).filter(|record| {
            let (x, y) = (record.first(), record.get(1));
            y != Some(&b' ') || x == Some(&b'U')
        });
        Ok(differing
            .filter_map(|record| record.get(3..))
            .map(path_of)
            .collect())
    }

    /// The files whose content a filter (such as Git LFS), `ident` or another encoding turns into something else on
    /// its way into the index. Line ends are not meant. Relative to the top of the work tree.
    pub(crate) fn filtered(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for attribute in ["filter", "ident", "working-tree-encoding"] {
            let without = format!(":(exclude,attr:!{attribute})");
            let listed = self.bytes(&["ls-files", "-z", "--", ".", &without], b"")?;
            found.extend(records(&listed).map(path_of));
        }
        Ok(found)
    }

    /// The ids that the files' present contents would have in the index, line ends converted as on `git add`.
    pub(crate) fn hash(&self, paths: &[&Path]) -> anyhow::Result<Vec<String>> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for path in paths {
            quote(path, &mut names);
        }
        let ids = self.bytes(
            &["-c", "core.safecrlf=false", "hash-object", "--stdin-paths"],
            &names,
        )?;
        let ids: Vec<String> = String::from_utf8_lossy(&ids)
            .lines()
            .map(str::to_owned)
            .collect();
        anyhow::ensure!(
            ids.len() == paths.len(),
            "git hash-object gave {} ids for {} files",
            ids.len(),
            paths.len()
        );
        Ok(ids)
    }

    /// True when older commits were left out of the clone.
    pub fn is_shallow(&self) -> bool {
        self.read(&["rev-parse", "--is-shallow-repository"])
            .is_ok_and(|said| said == "true")
    }

    /// The newest commit that HEAD and `base` share; none when there is no such commit, or no `base`.
    pub fn merge_base(&self, base: &str) -> Option<String> {
        let commit = format!("{base}^{{commit}}");
        let base = self
            .read(&[
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &commit,
            ])
            .ok()?;
        self.read(&["merge-base", &base, "HEAD"])
            .ok()
            .filter(|found| !found.is_empty())
    }

    /// Files that differ between a commit and the work tree, deleted and untracked ones included, both names of a
    /// renamed one, relative to the top of the work tree.
    pub fn changed_files(&self, since: &str) -> anyhow::Result<Vec<PathBuf>> {
        let top = Git::at(&self.top()?);
        let diff = [
            "diff",
            "--name-only",
            "--no-renames",
            "--no-ext-diff",
            "--ignore-submodules=none",
            "-z",
            since,
            "--",
        ];
        let mut changed: Vec<PathBuf> = records(&top.bytes(&diff, b"")?).map(path_of).collect();
        changed.extend(top.differing()?);
        changed.sort();
        changed.dedup();
        Ok(changed)
    }
}

/// The parts of an output made with `-z`.
fn records(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output
        .split(|byte| *byte == 0)
        .filter(|part| !part.is_empty())
}

fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// `H 100644 <id> 0\t<path>`. The tag is lower case for a file git was told to take for unchanged, and `S` for one
/// outside a sparse checkout; the stage is not 0 in the middle of a merge.
fn parse_indexed(record: &[u8]) -> Option<Indexed> {
    let tab = record.iter().position(|byte| *byte == b'\t')?;
    let facts = std::str::from_utf8(&record[..tab]).ok()?;
    let mut facts = facts.split(' ');
    let (tag, mode, id, stage) = (facts.next()?, facts.next()?, facts.next()?, facts.next()?);
    Some(Indexed {
        path: path_of(&record[tab + 1..]),
        mode: mode.to_owned(),
        id: id.to_owned(),
        sound: tag == "H" && stage == "0",
    })
}

/// One line with a path in double quotes, as git reads them.
fn quote(path: &Path, line: &mut Vec<u8>) {
    line.push(b'"');
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f => line.extend(format!("\\{byte:03o}").bytes()),
            _ => line.push(*byte),
        }
    }
    line.extend(b"\"\n");
}
