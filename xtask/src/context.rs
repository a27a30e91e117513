//! What every stage is handed: the surroundings, the flags, and a way to say things.

use std::path::PathBuf;

use crate::env::Env;
use crate::error::{Exit, Fail, exit_of};
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::report::{Report, plan_json, plan_mermaid, plan_text};
use crate::run::{self, Options, Outcome, Runner};
use crate::ui::{Format, Ui};

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
    /// `--format mermaid`: print the plan as a diagram.
    pub diagram: bool,
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

    /// Prints what a dry run would do, in the form the flags ask for.
    pub fn show(&self, plan: &Plan) {
        self.ui.data(&match self.ui.format() {
            _ if self.diagram => plan_mermaid(plan),
            Format::Json => plan_json(plan).to_string(),
            Format::Text => plan_text(plan),
        });
    }

    /// Ends a report with a failure. A failed step has said all by itself; what was done about it is news. An error nobody
    /// classified is no report's: it is ours.
    pub fn fail(&self, report: &mut Report, error: anyhow::Error) -> anyhow::Result<()> {
        if exit_of(&error) == Exit::Bug {
            return Err(error);
        }
        report.fail(exit_of(&error) as u8);
        let said = error.downcast_ref::<Fail>();
        if said.is_none_or(|fail| !fail.why.is_empty()) {
            self.ui.error(&error);
        }
        Ok(())
    }

    /// Refuses to begin what changes something once the person wants the run to end.
    pub fn go_on(&self) -> Result<(), Fail> {
        match self.interrupt.requested() {
            true => Err(Fail::setup("interrupted: nothing was changed")),
            false => Ok(()),
        }
    }

    /// The folder of the pipeline's own state.
    pub fn state(&self) -> PathBuf {
        self.root.join(".xtask")
    }
}
