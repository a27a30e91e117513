//! What every file of the repo contains, as git knows it: the index where the work tree agrees with it, the file itself
//! where it does not. Ignored files do not exist here. Knows nothing of steps.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;

use super::Inputs;
use super::files::{self, Content, LINK, REPOSITORY, bytes_of};
use super::material::{Material, OUTSIDE, content};
use crate::tools::git::Git;

/// How far the clock of file times may lag behind the clock we ask: one tick of a slow kernel.
const CLOCK_LAG: Duration = Duration::from_millis(12);
/// The contents of a work tree at one moment.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    top: PathBuf,
    /// Sorted by path, as bytes.
    files: Vec<Content>,
    /// The positions of the symbolic links in `files`.
    links: Vec<usize>,
    read_at: SystemTime,
    /// Digests of ranges of `files` that were asked for.
    known: Mutex<HashMap<Range<usize>, String>>,
}

/// What a list of paths covers, links followed.
#[derive(Default)]
struct Cover {
    /// By path from the top, the files at or below it.
    inside: Vec<(PathBuf, Range<usize>)>,
    /// Paths outside the repository.
    outside: Vec<PathBuf>,
}

impl Tree {
    /// Reads the state of the work tree: two short git commands, and one more when files differ from the index.
    pub fn read(git: &Git) -> anyhow::Result<Tree> {
        let root = std::path::absolute(git.root())
            .with_context(|| format!("failed to find {}", git.root().display()))?;
        let top = git.top()?;
        let read_at = SystemTime::now();
        let mut files = files::read(&top)?;
        files.sort_by(|a, b| bytes_of(&a.path).cmp(bytes_of(&b.path)));
        let links = files.iter().enumerate();
        let links = links
            .filter(|(_, file)| file.mode == LINK)
            .map(|(index, _)| index)
            .collect();
        Ok(Tree {
            root,
            top,
            files,
            links,
            read_at,
            known: Mutex::default(),
        })
    }

    /// The folder whose paths are asked for, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// True when a file is there, or a folder with a file in it that git does not ignore.
    pub fn contains(&self, path: &Path) -> bool {
        let inside = self.below_top(path);
        inside.is_some_and(|path| !self.at_or_below(&path).is_empty())
    }

    /// A digest of the files and folders (relative to the root; "" is everything): names, modes and contents. The order
    /// of the paths does not matter. A path with nothing there has a digest of its own.
    pub fn digest(&self, paths: &[PathBuf]) -> String {
        let cover = self.cover(paths);
        let mut hash = Material::new("xtask files 1");
        for (path, range) in cover.inside {
            hash.bytes("path", bytes_of(&path));
            hash.text("files", &self.range_digest(range));
        }
        for path in cover.outside {
            // Where it lies says nothing about what it is.
            let seen = content(&path, Some(OUTSIDE));
            // What cannot be read is never the same as before, so nothing that rests on it is ever found again.
            hash.text(
                "outside",
                &seen.unwrap_or_else(|_| format!("{:?}", self.read_at)),
            );
        }
        hash.finish()
    }

    /// What speaks against keeping a result that was made from these inputs since the tree was read: a file that was
    /// added, removed or written meanwhile, even if it is now as it was before. None: nothing was touched.
    pub fn what_changed(&self, inputs: &Inputs) -> Option<String> {
        let now = match Tree::read(&Git::at(&self.root)) {
            Ok(now) => now,
            Err(error) => return Some(format!("git cannot tell: {error:#}")),
        };
        for path in &inputs.paths {
            let one = std::slice::from_ref(path);
            if self.digest(one) != now.digest(one) {
                return Some(match path.as_os_str().is_empty() {
                    true => "files changed".to_owned(),
                    false => format!("`{}` changed", path.display()),
                });
            }
        }
        let cover = self.cover(&inputs.paths);
        let files = cover.inside.into_iter().flat_map(|(_, range)| range);
        let mut paths = files
            .map(|index| self.top.join(&self.files[index].path))
            .chain(cover.outside);
        paths
            .find(|path| self.touched(path))
            .map(|path| format!("`{}` was written", self.shown(&path)))
    }

    /// True when nothing speaks against keeping a result ([`Tree::what_changed`]).
    pub fn unchanged(&self, inputs: &Inputs) -> bool {
        self.what_changed(inputs).is_none()
    }

    /// True when the file's content, mode or name was set after the tree was read, or perhaps so. The time of this
    /// change, unlike that of the content alone, cannot be set by a program.
    fn touched(&self, path: &Path) -> bool {
        let Ok(facts) = fs::symlink_metadata(path) else {
            // It was there, or outside sparse checkouts still is not: the digests compare that.
            return false;
        };
        let (Ok(seconds), Ok(nanos)) = (
            u64::try_from(facts.ctime()),
            u32::try_from(facts.ctime_nsec()),
        ) else {
            return false;
        };
        let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        // The time of a folder (a submodule) tells of its entries only; its content is in the digest.
        !facts.is_dir() && changed + CLOCK_LAG >= self.read_at
    }

    fn shown(&self, path: &Path) -> String {
        let short = path.strip_prefix(&self.root).unwrap_or(path);
        short.display().to_string()
    }

    /// The paths, and what the links among their files lead to, each once.
    fn cover(&self, paths: &[PathBuf]) -> Cover {
        let mut inside = BTreeSet::new();
        let mut outside = BTreeSet::new();
        let mut open: Vec<PathBuf> = paths.iter().map(|path| self.root.join(path)).collect();
        while let Some(path) = open.pop() {
            let Some(path) = self.below_top(&path) else {
                outside.insert(path);
                continue;
            };
            if !inside.insert(path.clone()) {
                continue;
            }
            let range = self.at_or_below(&path);
            // A path that leads through a link has no entry of its own.
            if range.is_empty() {
                open.extend(
                    self.real_path(&path)
                        .filter(|real| *real != self.top.join(&path)),
                );
            }
            let from = self.links.partition_point(|link| *link < range.start);
            let links = self.links[from..]
                .iter()
                .take_while(|link| **link < range.end);
            open.extend(links.filter_map(|link| self.real_path(&self.files[*link].path)));
        }
        let with_range = |path: PathBuf| {
            let range = self.at_or_below(&path);
            (path, range)
        };
        Cover {
            inside: inside.into_iter().map(with_range).collect(),
            outside: outside.into_iter().collect(),
        }
    }

    /// Where a path leads when links are followed, under the name by which `top` is known here.
    fn real_path(&self, path: &Path) -> Option<PathBuf> {
        let real = fs::canonicalize(self.top.join(path)).ok()?;
        let top = fs::canonicalize(&self.top).ok()?;
        match real.strip_prefix(&top) {
            Ok(inside) => Some(self.top.join(inside)),
            Err(_) => Some(real),
        }
    }

    /// The path from the top of the work tree, `.` and `..` taken out; none when it lies outside.
    fn below_top(&self, path: &Path) -> Option<PathBuf> {
        let mut plain = PathBuf::new();
        for part in self.root.join(path).components() {
            match part {
                Component::ParentDir => {
                    plain.pop();
                }
                Component::CurDir => {}
                part => plain.push(part),
            }
        }
        plain.strip_prefix(&self.top).ok().map(Path::to_owned)
    }

    /// The files at a path or below it; for a path inside a submodule, the submodule.
    fn at_or_below(&self, path: &Path) -> Range<usize> {
        let wanted = bytes_of(path);
        if wanted.is_empty() {
            return 0..self.files.len();
        }
        let at = self.position(wanted);
        if self.is_at(at, wanted) {
            return at..at + 1;
        }
        let below = [wanted, b"/"].concat();
        let start = self.position(&below);
        let count =
            self.files[start..].partition_point(|file| bytes_of(&file.path).starts_with(&below));
        if count > 0 {
            return start..start + count;
        }
        for folder in path.ancestors().skip(1) {
            let at = self.position(bytes_of(folder));
            if self.is_at(at, bytes_of(folder)) && self.files[at].mode == REPOSITORY {
                return at..at + 1;
            }
        }
        start..start
    }

    fn position(&self, path: &[u8]) -> usize {
        self.files
            .partition_point(|file| bytes_of(&file.path) < path)
    }

    fn is_at(&self, position: usize, path: &[u8]) -> bool {
        let file = self.files.get(position);
        file.is_some_and(|file| bytes_of(&file.path) == path)
    }

    fn range_digest(&self, range: Range<usize>) -> String {
        let mut known = self.known.lock().unwrap_or_else(|lost| lost.into_inner());
        if let Some(digest) = known.get(&range) {
            return digest.clone();
        }
        let mut lines = Vec::new();
        for file in &self.files[range.clone()] {
            lines.extend(file.mode.bytes());
            lines.push(b' ');
            lines.extend(file.id.bytes());
            lines.push(b' ');
            lines.extend(bytes_of(&file.path));
            // The only byte that no path holds.
            lines.push(0);
        }
        let mut hash = Material::new("xtask tree 1");
        hash.bytes("lines", &lines);
        let digest = hash.finish();
        known.insert(range, digest.clone());
        digest
    }
}
