//! One thing that was looked at: what was found, why it matters, and the commands that put it right. Pure.

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it has to be.
    Pass,
    /// Every stage works, but somebody should know.
    Warn,
    /// A stage would fail.
    Fail,
    /// It could not be looked at; why is said.
    Skipped,
}

/// Where something belongs, in the order of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Programs and the clock.
    Machine,
    /// What the package manager installs.
    Packages,
    /// Git and the repo's files.
    Repo,
    /// Cloudflare and GitHub.
    Cloud,
}

impl Group {
    /// The heading.
    pub fn word(self) -> &'static str {
        match self {
            Group::Machine => "machine",
            Group::Packages => "packages",
            Group::Repo => "repo",
            Group::Cloud => "cloud",
        }
    }
}

/// A repair that cannot do harm, whenever it is made: what `--fix` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Installs exactly what the lock files say.
    Install,
    /// Adds lines to the repo's `.gitignore`.
    Ignore(Vec<String>),
    /// Fetches a branch of `origin` into `refs/remotes/origin`.
    Fetch(String),
}

/// The result of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, one word or two.
    pub id: &'static str,
    /// Where it belongs.
    pub group: Group,
    /// How it stands.
    pub standing: Standing,
    /// What was found, or what is wrong: one line.
    pub found: String,
    /// Why that matters, and details; one line each.
    pub why: Vec<String>,
    /// Commands that put it right, ready to paste, to be run in this order.
    pub fix: Vec<String>,
    /// How `--fix` does it, when that is safe.
    pub repair: Option<Repair>,
}

impl Check {
    fn new(group: Group, id: &'static str, standing: Standing, found: impl Into<String>) -> Check {
        Check {
            id,
            group,
            standing,
            found: found.into(),
            why: Vec::new(),
            fix: Vec::new(),
            repair: None,
        }
    }

    /// It is as it has to be.
    pub fn pass(group: Group, id: &'static str, found: impl Into<String>) -> Check {
        Check::new(group, id, Standing::Pass, found)
    }

    /// Somebody should know.
    pub fn warn(group: Group, id: &'static str, found: impl Into<String>) -> Check {
        Check::new(group, id, Standing::Warn, found)
    }

    /// A stage would fail.
    pub fn fail(group: Group, id: &'static str, found: impl Into<String>) -> Check {
        Check::new(group, id, Standing::Fail, found)
    }

    /// It was not looked at, because.
    pub fn skipped(group: Group, id: &'static str, because: impl Into<String>) -> Check {
        Check::new(group, id, Standing::Skipped, because)
    }

    /// Adds why it matters; several lines become several.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Check {
        self.why.extend(why.into().lines().map(str::to_owned));
        self
    }

    /// Adds a command.
    #[must_use]
    pub fn fix(mut self, command: impl Into<String>) -> Check {
        self.fix.push(command.into());
        self
    }

    /// Says how `--fix` does it.
    #[must_use]
    pub fn repair(mut self, repair: Repair) -> Check {
        self.repair = Some(repair);
        self
    }

    /// True when a person has something to read.
    pub fn is_problem(&self) -> bool {
        matches!(self.standing, Standing::Warn | Standing::Fail)
    }
}
