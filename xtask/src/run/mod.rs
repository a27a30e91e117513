//! Carries out a plan: every ready step side by side, results in plan order. Knows nothing of what a step does (that
//! is the [`Runner`]'s) nor of how progress looks (that is [`Ui`]'s).

mod io;
mod schedule;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use serde_json::Value;

pub use self::io::Io;
use crate::error::Exit;
use crate::interrupt::Interrupt;
use crate::plan::{Plan, Step};
use crate::ui::Ui;

/// Does what a step says. The one trait of the crate: the real thing, and the fakes of tests.
pub trait Runner: Sync {
    /// One attempt at a step. The value is kept as the step's output, for [`Outcome::output`] and the report.
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value>;
}

/// How a plan is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many programs run at once. Steps that only wait for an answer (REST, probes, waits) come on top, up to
    /// [`CALLS_MAX`]; with 1 job exactly one step of any kind runs at a time.
    pub jobs: usize,
    /// Goes on with independent steps after a failure (checks do, actions do not).
    pub keep_going: bool,
    /// Whom to ask whether the run should end.
    pub interrupt: Interrupt,
}

/// How many steps that merely wait for an answer run next to the programs.
pub const CALLS_MAX: usize = 8;

impl Options {
    /// The given number of jobs, stopping at the first failure, ended by Ctrl-C.
    pub fn new(jobs: usize) -> Options {
        Options {
            jobs: jobs.max(1),
            keep_going: false,
            interrupt: Interrupt::install(),
        }
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Done.
    Passed,
    /// Nothing was left to do.
    Skipped,
    /// Failed, and declared as a mere warning.
    Warning,
    /// Failed.
    Failed,
    /// Never started: a step it needs did not succeed.
    Blocked,
    /// Never started, or ended half-way, because the run was stopped.
    Cancelled,
    /// The result of an earlier run still holds.
    Cached,
}

impl Status {
    /// True when steps that need this one may start.
    pub fn lets_others_start(self) -> bool {
        matches!(
            self,
            Status::Passed | Status::Skipped | Status::Warning | Status::Cached
        )
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Skipped => "skipped",
            Status::Warning => "warning",
            Status::Failed => "failed",
            Status::Blocked => "blocked",
            Status::Cancelled => "cancelled",
            Status::Cached => "cached",
        }
    }
}

/// What happened to one step.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// As in the plan.
    pub id: String,
    /// As in the plan; completes "failed to …".
    pub goal: String,
    /// As in the plan.
    pub group: String,
    /// As in the plan.
    pub worker: Option<String>,
    /// How it ended.
    pub status: Status,
    /// When it started; for a step that never did, when that was decided.
    pub started: SystemTime,
    /// How long all its attempts took.
    pub duration: Duration,
    /// How often it was tried; 0 when it never started.
    pub attempts: u32,
    /// The rendered error (`error: failed to …` with why and fix), masked.
    pub error: Option<String>,
    /// The exit code that error calls for.
    pub exit: Option<Exit>,
    /// A short result for the table: a version id, why it was skipped.
    pub note: Option<String>,
    /// What the runner returned; `Null` unless the step succeeded.
    pub output: Value,
    /// The last lines it printed, masked.
    pub log: Vec<String>,
}

/// What happened to a plan, in plan order.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// One report per step of the plan.
    pub steps: Vec<StepReport>,
    /// True when Ctrl-C or a signal ended the run early.
    pub interrupted: bool,
    /// When the run started.
    pub started: SystemTime,
    /// When it ended.
    pub finished: SystemTime,
}

impl Outcome {
    /// True when every step succeeded, was skipped, or failed as a mere warning.
    pub fn ok(&self) -> bool {
        !self.interrupted && self.steps.iter().all(|s| s.status.lets_others_start())
    }

    /// The steps that failed, in plan order.
    pub fn failures(&self) -> impl Iterator<Item = &StepReport> {
        self.steps.iter().filter(|s| s.status == Status::Failed)
    }

    /// The steps that failed as mere warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &StepReport> {
        self.steps.iter().filter(|s| s.status == Status::Warning)
    }

    /// The report of a step.
    pub fn step(&self, id: &str) -> Option<&StepReport> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// What a step returned; `None` when it is unknown or did not pass.
    pub fn output(&self, id: &str) -> Option<&Value> {
        self.step(id)
            .filter(|step| matches!(step.status, Status::Passed | Status::Cached))
            .map(|step| &step.output)
    }

    /// The exit code the failures call for: the gravest of them, `None` when all is well.
    pub fn exit(&self) -> Option<Exit> {
        self.failures().filter_map(|step| step.exit).max()
    }

    /// The same with failures that are being repaired as warnings: they stay visible. What did not start because of them is
    /// left to the repair.
    #[must_use]
    pub fn repaired(mut self) -> Outcome {
        for step in &mut self.steps {
            step.status = match step.status {
                Status::Failed => Status::Warning,
                Status::Blocked | Status::Cancelled => Status::Skipped,
                other => other,
            };
        }
        self
    }

    /// `failed to …; why`, one line for each step that failed.
    pub fn failed_lines(&self) -> Vec<String> {
        self.failures()
            .map(|step| {
                let said = step.error.as_deref().unwrap_or(&step.goal);
                let lines: Vec<&str> = said.lines().take(2).map(str::trim).collect();
                lines.join("; ").trim_start_matches("error: ").to_owned()
            })
            .collect()
    }

    /// Adds this run to those of a stage before it, if there were any.
    pub fn add_to(self, all: &mut Option<Outcome>) {
        match all {
            Some(all) => all.merge(self),
            None => *all = Some(self),
        }
    }

    /// Adds the steps of a later run, e.g. the roll-back's.
    pub fn merge(&mut self, later: Outcome) {
        self.steps.extend(later.steps);
        self.interrupted |= later.interrupted;
        self.finished = self.finished.max(later.finished);
    }
}

/// Runs the plan to its end, successful or not. Panics when a step needs one that does not stand before it: our bug.
pub fn run(plan: &Plan, runner: &dyn Runner, ui: &Ui, options: &Options) -> Outcome {
    schedule::run(plan, runner, ui, options)
}
