//! `cargo xtask tidy`: the repo's own rules, all problems at once, each with its place and its repair. Reads the files git
//! knows of; writes nothing, and needs no network.

mod documents;
mod previews;
mod scripts;
mod sources;
mod steps;
mod workflows;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::CommandFactory as _;
use serde_json::Value;

use crate::cli::Cli;
use crate::context::Ctx;
use crate::error::Fail;
use crate::findings::{self, Finding};
use crate::plan::{Action, Plan, Step};
use crate::report::Report;
use crate::run::{Io, Runner};
use crate::tools::git::Git;

const STAGE: &str = "tidy";

/// The files of a repo as text, by path relative to its root. Files that are not text count as empty.
pub type Files = BTreeMap<PathBuf, String>;

/// The verbs of a command line, each with the flags it takes.
pub type Verbs = BTreeMap<String, BTreeSet<String>>;

/// A repo, as the rules see it.
pub struct Repo {
    /// Its folder.
    pub root: PathBuf,
    /// What is in it.
    pub files: Files,
    /// The verbs its workflows may call.
    pub verbs: Verbs,
}

type Rule = fn(&Repo) -> Vec<Finding>;

/// What is looked at: the name in reports, what it is, and the rules.
const RULES: [(&str, &str, Rule); 4] = [
    (
        "workflows",
        "see that every workflow is a thin, safe call of one verb",
        workflows::check,
    ),
    (
        "sources",
        "see that every source file and dependency follows the house style",
        sources::check,
    ),
    (
        "documents",
        "see that every verb is documented and pipeline.toml is sound",
        documents::check,
    ),
    (
        "traces",
        "see that no file names a developer's machine or a package registry",
        sources::traces,
    ),
];

/// Checks the rules.
pub fn tidy(ctx: &Ctx) -> anyhow::Result<Report> {
    let mut plan = Plan::new(STAGE);
    for (name, goal, _) in RULES {
        let action = Action::Task {
            name: name.to_owned(),
        };
        plan.push(Step::new(STAGE, name, goal, action));
    }
    if ctx.dry_run {
        ctx.show(&plan);
        return Ok(Report::empty(STAGE));
    }
    let outcome = ctx.run_all(&plan, &Repo::open(&ctx.root)?);
    Ok(Report::new(STAGE, &outcome))
}

/// Every problem of every rule, in the order of files and lines.
pub fn check(repo: &Repo) -> Vec<Finding> {
    let mut found: Vec<Finding> = RULES.iter().flat_map(|(.., rule)| rule(repo)).collect();
    found.sort_by(|one, two| (&one.file, one.line).cmp(&(&two.file, two.line)));
    found
}

/// The problems of the workflows alone.
pub fn check_workflows(repo: &Repo) -> Vec<Finding> {
    workflows::check(repo)
}

impl Repo {
    /// The repo as far as the rules for workflows look at it: the names of all files, the texts of those below `.github`.
    pub fn of_workflows(root: &Path) -> anyhow::Result<Repo> {
        let mut files = Files::new();
        for path in Git::open(root)?.files()? {
            let text = match path.starts_with(".github") {
                true => std::fs::read_to_string(root.join(&path)).unwrap_or_default(),
                false => String::new(),
            };
            files.insert(path, text);
        }
        Ok(Repo {
            root: root.to_owned(),
            files,
            verbs: verbs(),
        })
    }

    /// The repo at `root`: tracked files and those git would add.
    pub fn open(root: &Path) -> anyhow::Result<Repo> {
        let mut files = Files::new();
        for path in Git::open(root)?.files()? {
            let full = root.join(&path);
            // Deleted but not staged, a symbolic link's or a submodule's: nothing to read there.
            if !full.is_file() {
                continue;
            }
            let bytes = std::fs::read(&full)
                .with_context(|| format!("failed to read {}", full.display()))?;
            files.insert(path, String::from_utf8(bytes).unwrap_or_default());
        }
        Ok(Repo {
            root: root.to_owned(),
            files,
            verbs: verbs(),
        })
    }
}

/// The verbs of this program.
pub fn verbs() -> Verbs {
    let cli = Cli::command();
    let flags = |command: &clap::Command| -> BTreeSet<String> {
        command
            .get_arguments()
            .filter_map(|argument| argument.get_long().map(str::to_owned))
            .collect()
    };
    let global = flags(&cli);
    cli.get_subcommands()
        .map(|verb| {
            let mut all = flags(verb);
            // Which of `migrate up` and `migrate status` is called can be an input: the flags of both are known.
            all.extend(verb.get_subcommands().flat_map(&flags));
            all.extend(global.iter().cloned());
            (verb.get_name().to_owned(), all)
        })
        .collect()
}

impl Runner for Repo {
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value> {
        let (.., rule) = RULES
            .iter()
            .find(|(name, ..)| *name == step.id)
            .with_context(|| format!("there are no rules named {}", step.id))?;
        let found = rule(self);
        let output = findings::into_output(Value::Null, &found);
        if found.is_empty() {
            return Ok(output);
        }
        io.attach(output);
        Err(Fail::check(format!(
            "{} of the repo's own rules",
            findings::counts(&found)
        ))
        .into())
    }
}

/// A broken rule, with its repair.
fn problem(path: &Path, line: usize, what: impl AsRef<str>, fix: impl AsRef<str>) -> Finding {
    let message = format!("{}\nfix: {}", what.as_ref(), fix.as_ref());
    let line = u32::try_from(line).unwrap_or_default();
    Finding::error(message).in_file(path).at(line, 0)
}

/// The environment the deploy workflow of a repo runs in, when it says so.
pub fn deploy_environment(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join(".github/workflows/deploy.yml")).ok()?;
    let document = yaml::Document::read(&text);
    let jobs: Vec<&yaml::Entry> = document.below("jobs").collect();
    jobs.into_iter().find_map(|job| {
        let of = |key: &str| document.get(&format!("{}.{key}", job.path));
        let entry = of("environment.name").or_else(|| of("environment"))?;
        (!entry.value.is_empty()).then(|| entry.value.clone())
    })
}
