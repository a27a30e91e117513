//! What every stage is handed: the surroundings, the flags, and a way to say things.

use std::path::PathBuf;

use crate::env::Env;
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::run::{self, Options, Outcome, Runner};
use crate::ui::Ui;

/// Which cloud a stage talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudKind {
    /// Production: api.cloudflare.com, or what `CLOUDFLARE_API_BASE_URL` names.
    Cloudflare,
    /// The local cloud of this repo, started on demand.
    Local,
}

/// The global flags and the surroundings of one run.
pub struct Ctx {
    /// The process environment.
    pub env: Env,
    /// Everything that is said goes through it.
    pub ui: Ui,
    /// The root of the repo that ships.
    pub root: PathBuf,
    /// `--cloud`.
    pub cloud: CloudKind,
    /// `--only`.
    pub only: Vec<String>,
    /// `--jobs`.
    pub jobs: usize,
    /// `--dry-run`: plan, print, stop.
    pub dry_run: bool,
    /// Ctrl-C.
    pub interrupt: Interrupt,
}

impl Ctx {
    /// Runs a plan with this run's flags.
    pub fn run(&self, plan: &Plan, runner: &dyn Runner) -> Outcome {
        let options = Options {
            interrupt: self.interrupt.clone(),
            ..Options::new(self.jobs)
        };
        run::run(plan, runner, &self.ui, &options)
    }

    /// Runs every step of a plan that can run, whatever becomes of the others.
    pub fn run_all(&self, plan: &Plan, runner: &dyn Runner) -> Outcome {
        let options = Options {
            interrupt: self.interrupt.clone(),
            keep_going: true,
            ..Options::new(self.jobs)
        };
        run::run(plan, runner, &self.ui, &options)
    }

    /// The folder of the pipeline's own state.
    pub fn state(&self) -> PathBuf {
        self.root.join(".xtask")
    }
}
