//! How a repository stands, for a person to be told: everything that is read here may be missing or broken.

use std::path::Path;

use super::{Git, Head};

/// What there is instead of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRepository {
    /// The folder is in none.
    None,
    /// It belongs to another user, and git refuses to read it.
    NotOurs,
    /// git cannot read it; its words.
    Broken(String),
}

/// Who commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `user.name`.
    pub name: Option<String>,
    /// `user.email`.
    pub email: Option<String>,
}

/// A repository as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Where HEAD stands; `None` before the first commit.
    pub head: Option<Head>,
    /// When that was committed, in seconds since 1970.
    pub committed_at: Option<u64>,
    /// How many files are changed or untracked.
    pub dirty: usize,
    /// Whether HEAD is on the main branch; `None` when there is no such branch, here or at `origin`.
    pub on_main: Option<bool>,
    /// How many commits of `origin`'s main branch, as last fetched, HEAD lacks.
    pub behind: usize,
    /// `merge`, `rebase` … that was begun and not ended.
    pub under_way: Option<&'static str>,
    /// True when the history was cut off by a shallow clone.
    pub shallow: bool,
    /// True when there is a remote `origin`.
    pub origin: bool,
    /// Tracked files that usually hold secrets.
    pub secret_files: Vec<String>,
    /// Of the paths asked for, those git does not ignore.
    pub not_ignored: Vec<String>,
}

/// Where tools keep secrets: nothing of the kind belongs into a repository.
const SECRET_FILES: [&str; 5] = [
    ":(glob)**/.dev.vars",
    ":(glob)**/.dev.vars.*",
    ":(glob)**/.env",
    ":(glob)**/.env.local",
    ":(glob)**/.env.*.local",
];

/// Files in git's own folder that tell what was begun.
const UNDER_WAY: [(&str, &str); 6] = [
    ("rebase-merge", "rebase"),
    ("rebase-apply", "rebase"),
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("BISECT_LOG", "bisect"),
];

impl Git {
    /// The state of the repository that holds `root`. `main` is the branch releases come from, `ignorable` are paths that
    /// should be ignored.
    pub fn state(
        root: &Path,
        main: &str,
        ignorable: &[&str],
    ) -> anyhow::Result<Result<State, NoRepository>> {
        let git = Git::at(root);
        let found = git.said(&["rev-parse", "--absolute-git-dir", "--is-shallow-repository"])?;
        let found = match found {
            Ok(found) => found,
            Err(said) if said.contains("dubious ownership") => {
                return Ok(Err(NoRepository::NotOurs));
            }
            Err(said) if said.contains("not a git repository") => {
                return Ok(Err(NoRepository::None));
            }
            Err(said) => return Ok(Err(NoRepository::Broken(said))),
        };
        let mut lines = found.lines();
        let own = Path::new(lines.next().unwrap_or_default()).to_owned();
        let under_way = UNDER_WAY.iter().find(|(file, _)| own.join(file).exists());
        let head = git.head().ok();
        let times = git.said(&["log", "-1", "--format=%ct"])?;
        let secret_files = git.said(&[&["ls-files", "--"], &SECRET_FILES[..]].concat())?;
        let secret_files = secret_files.unwrap_or_default();
        let ahead = format!("HEAD..refs/remotes/origin/{main}");
        let behind = git.said(&["rev-list", "--count", &ahead])?;
        Ok(Ok(State {
            committed_at: times.ok().and_then(|text| text.parse().ok()),
            dirty: git.dirty_files()?.len(),
            on_main: head.is_some().then(|| git.head_is_on(main)).flatten(),
            head,
            behind: behind.ok().and_then(|text| text.parse().ok()).unwrap_or(0),
            under_way: under_way.map(|(_, word)| *word),
            shallow: lines.next() == Some("true"),
            origin: git.remote("origin").is_some(),
            secret_files: secret_files
                .lines()
                .filter(|path| !is_sample(path))
                .map(str::to_owned)
                .collect(),
            not_ignored: git.not_ignored(ignorable)?,
        }))
    }

    /// `user.name` and `user.email`, as a commit made in `root` would bear them; the folder need not be a repository.
    pub fn identity(root: &Path) -> anyhow::Result<Identity> {
        let settings = Git::at(root).said(&["config", "--get-regexp", "^user\\.(name|email)$"])?;
        let settings = settings.unwrap_or_default();
        let setting = |name: &str| {
            let line = settings
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        Ok(Identity {
            name: setting("user.name"),
            email: setting("user.email"),
        })
    }

    fn not_ignored(&self, paths: &[&str]) -> anyhow::Result<Vec<String>> {
        let ignored = self.said(&[&["check-ignore", "--no-index"], paths].concat())?;
        let ignored = ignored.unwrap_or_default();
        let is_ignored = |path: &&&str| ignored.lines().any(|line| line == **path);
        Ok(paths
            .iter()
            .filter(|path| !is_ignored(path))
            .map(|path| (*path).to_owned())
            .collect())
    }
}

/// `.dev.vars.example` shows which names there are, and no values.
fn is_sample(path: &str) -> bool {
    ["example", "sample", "template", "dist"]
        .iter()
        .any(|ending| path.ends_with(ending))
}
