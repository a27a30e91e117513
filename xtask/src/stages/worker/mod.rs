//! `cargo xtask worker add|remove|rename`: what ships, changed in every file that says so. Never touches a cloud: what is live
//! stays as it is, and the report says how to remove it.

mod add;
mod mentions;
mod remove;
mod rename;

use std::path::Path;

use crate::config::{Pipeline, suggest};
use crate::context::Ctx;
use crate::error::Fail;
use crate::report::Report;
use crate::stages::init;
use crate::workspace::{Worker, Workspace};

const STAGE: &str = "worker";

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// A worker ships from now on.
    Add {
        /// Its folder, or its wrangler config.
        path: String,
        /// Its short name; else as `init` chooses one.
        name: Option<String>,
    },
    /// A worker ships no longer.
    Remove {
        /// Its short name, or its name on Cloudflare.
        name: String,
        /// It goes on living elsewhere, and others here may be bound to it.
        external: bool,
    },
    /// A worker is called something else.
    Rename {
        /// Its short name, or its name on Cloudflare.
        from: String,
        /// Its new short name.
        to: String,
        /// What becomes of its name on Cloudflare.
        script: Script,
    },
}

/// What a rename makes of the name on Cloudflare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// The short name in it is replaced.
    Derived,
    /// This.
    Named(String),
    /// It stays.
    Kept,
}

/// Changes the files, or in a dry run shows the difference.
pub fn worker(ctx: &Ctx, action: &Action) -> anyhow::Result<Report> {
    match action {
        Action::Add { path, name } => add::add(ctx, path, name.as_deref()),
        Action::Remove { name, external } => remove::remove(ctx, name, *external),
        Action::Rename { from, to, script } => rename::rename(ctx, from, to, script),
    }
}

/// `pipeline.toml` as it is: its text, and what can be read of it.
struct Now {
    text: String,
    pipeline: Pipeline,
}

impl Now {
    fn read(root: &Path) -> anyhow::Result<Now> {
        let path = root.join("pipeline.toml");
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Fail::setup(format!(
                "there is no `pipeline.toml` to change in `{}`",
                root.display()
            ))
            .why(error.to_string())
            .fix("cargo xtask init   (writes one with every worker it finds)")
        })?;
        let pipeline = init::known(root, &text)?;
        Ok(Now { text, pipeline })
    }

    /// The short name of a worker that is called so, here or on Cloudflare.
    fn short_name(&self, workspace: Option<&Workspace>, name: &str) -> Result<String, Fail> {
        let workers = &self.pipeline.workers;
        let short = workers.iter().map(|(short, _)| short.as_str());
        let read = workspace.map(|workspace| workspace.workers.as_slice());
        let script = read.unwrap_or_default().iter();
        let mut script = script
            .filter(|worker| worker.config.name == name)
            .map(|worker| worker.name.as_str());
        if let Some(found) = short.clone().find(|short| *short == name) {
            return Ok(found.to_owned());
        }
        if let Some(found) = script.next() {
            return Ok(found.to_owned());
        }
        let known: Vec<&str> = short.collect();
        let fail = Fail::setup(format!("there is no worker `{name}`"))
            .why(format!("pipeline.toml names these: {}", known.join(", ")));
        Err(match suggest::nearest(name, known) {
            Some(near) => fail.fix(format!("did you mean `{near}`?")),
            None => fail.fix("use one of these names; `cargo xtask worker add DIR` adds a worker"),
        })
    }

    /// What would be wrong with another text and is not with this one: `path: message; fix`.
    fn made_wrong(&self, root: &Path, new: &str) -> Vec<String> {
        let errors = |text: &str| {
            let problems = Workspace::read_as(root, text).1.sorted();
            problems.into_iter().filter(|problem| !problem.warning)
        };
        let old: Vec<_> = errors(&self.text).collect();
        // Lines shift when something above them goes.
        let known = |problem: &crate::config::Problem| {
            old.iter()
                .any(|old| (&old.path, &old.message) == (&problem.path, &problem.message))
        };
        errors(new)
            .filter(|problem| !known(problem))
            .map(|problem| problem.to_string())
            .collect()
    }
}

/// Where in its config something stands: `workers/site/wrangler.toml:12`.
fn place(root: &Path, worker: &Worker, line: usize) -> String {
    let path = worker.config_path.strip_prefix(root);
    format!("{}:{line}", path.unwrap_or(&worker.config_path).display())
}

/// How a script that nobody ships any more is deleted.
fn delete_command(pipeline: &Pipeline, script: &str) -> String {
    let account = pipeline.cloudflare.account_id.as_ref();
    let account = account.map(|id| format!("CLOUDFLARE_ACCOUNT_ID={id} "));
    format!(
        "{}npx wrangler delete {script}",
        account.unwrap_or_default()
    )
}
