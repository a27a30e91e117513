//! Decides which step runs when. The only part of the engine with threads.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use serde_json::Value;

use super::io::Verdict;
use super::{CALLS_MAX, Io, Options, Outcome, Runner, Status, StepReport};
use crate::error::{Exit, exit_of, render};
use crate::pause;
use crate::plan::{Action, OnFailure, Plan, Step};
use crate::ui::Ui;

/// One run of one plan.
struct Run<'run> {
    plan: &'run Plan,
    runner: &'run dyn Runner,
    ui: &'run Ui,
    options: &'run Options,
    /// For each step, the steps that need it.
    dependents: Vec<Vec<usize>>,
    programs_max: usize,
    total_max: usize,
    state: Mutex<State>,
    /// Signalled when there is a step to take and when the run is over.
    changed: Condvar,
}

struct State {
    /// Ready steps in plan order: programs, and the ones that merely wait for an answer.
    programs: BinaryHeap<Reverse<usize>>,
    calls: BinaryHeap<Reverse<usize>>,
    programs_running: usize,
    running: usize,
    /// For each step, how many of its needs have not ended well yet.
    waiting_for: Vec<usize>,
    reports: Vec<Option<StepReport>>,
    /// No further step is started.
    stopped: bool,
}

pub(super) fn run(plan: &Plan, runner: &dyn Runner, ui: &Ui, options: &Options) -> Outcome {
    let started = SystemTime::now();
    let (dependents, waiting_for) = graph(plan);
    let jobs = options.jobs.max(1);
    let run = Run {
        plan,
        runner,
        ui,
        options,
        dependents,
        programs_max: jobs,
        total_max: if jobs == 1 { 1 } else { jobs + CALLS_MAX },
        state: Mutex::new(State {
            programs: BinaryHeap::new(),
            calls: BinaryHeap::new(),
            programs_running: 0,
            running: 0,
            reports: plan.steps.iter().map(|_| None).collect(),
            waiting_for,
            stopped: false,
        }),
        changed: Condvar::new(),
    };
    ui.begin(plan);
    {
        let mut state = run.lock();
        for index in 0..plan.steps.len() {
            if state.waiting_for[index] == 0 {
                run.make_ready(&mut state, index);
            }
        }
    }
    std::thread::scope(|scope| {
        for _ in 0..run.total_max.min(plan.steps.len()) {
            scope.spawn(|| run.work());
        }
    });
    let outcome = run.into_outcome(started);
    ui.end();
    outcome
}

/// For each step the steps that need it, and how many it needs.
fn graph(plan: &Plan) -> (Vec<Vec<usize>>, Vec<usize>) {
    let mut index_of = HashMap::with_capacity(plan.steps.len());
    let mut dependents = vec![Vec::new(); plan.steps.len()];
    let mut waiting_for = vec![0; plan.steps.len()];
    for (index, step) in plan.steps.iter().enumerate() {
        for need in step.needs.iter() {
            let Some(&needed) = index_of.get(need.as_str()) else {
                panic!(
                    "step `{}` needs `{need}`, which does not stand before it",
                    step.id
                );
            };
            let of_needed: &mut Vec<usize> = &mut dependents[needed];
            // A need named twice counts once.
            if of_needed.last() != Some(&index) {
                of_needed.push(index);
                waiting_for[index] += 1;
            }
        }
        let earlier = index_of.insert(step.id.as_str(), index);
        assert!(earlier.is_none(), "two steps named `{}`", step.id);
    }
    (dependents, waiting_for)
}

impl Run<'_> {
    /// The life of one thread: take a ready step, run it, until there is none and will be none.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if self.options.interrupt.requested() {
                state.stopped = true;
            }
            if let Some(index) = self.take(&mut state) {
                drop(state);
                let report = self.run_step(&self.plan.steps[index]);
                state = self.lock();
                self.finish(&mut state, index, report);
            } else if state.running == 0 {
                self.changed.notify_all();
                return;
            } else {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Takes the first ready step in plan order that the limits allow, and wakes another thread when there is more.
    fn take(&self, state: &mut State) -> Option<usize> {
        let index = self.next(state)?;
        let queue = if self.is_program(index) {
            state.programs_running += 1;
            &mut state.programs
        } else {
            &mut state.calls
        };
        queue.pop();
        state.running += 1;
        if self.next(state).is_some() {
            self.changed.notify_one();
        }
        Some(index)
    }

    fn next(&self, state: &State) -> Option<usize> {
        if state.stopped || state.running == self.total_max {
            return None;
        }
        let first = |queue: &BinaryHeap<Reverse<usize>>| queue.peek().map(|next| next.0);
        let program = first(&state.programs).filter(|_| state.programs_running < self.programs_max);
        let call = first(&state.calls);
        program.into_iter().chain(call).min()
    }

    fn finish(&self, state: &mut State, index: usize, report: StepReport) {
        state.running -= 1;
        if self.is_program(index) {
            state.programs_running -= 1;
        }
        match report.status {
            Status::Failed if !self.options.keep_going => state.stopped = true,
            Status::Cancelled => state.stopped = true,
            _ => {}
        }
        let lets_others_start = report.status.lets_others_start();
        state.reports[index] = Some(report);
        if lets_others_start {
            for &dependent in &self.dependents[index] {
                state.waiting_for[dependent] -= 1;
                if state.waiting_for[dependent] == 0 {
                    self.make_ready(state, dependent);
                }
            }
        }
    }

    fn make_ready(&self, state: &mut State, index: usize) {
        if self.is_program(index) {
            state.programs.push(Reverse(index));
        } else {
            state.calls.push(Reverse(index));
        }
    }

    fn is_program(&self, index: usize) -> bool {
        matches!(self.plan.steps[index].action, Action::Command(_))
    }

    /// Runs one step with all its attempts.
    fn run_step(&self, step: &Step) -> StepReport {
        let mut report = blank_report(step);
        if let Some(why) = &step.done {
            report.status = Status::Skipped;
            report.note = Some(self.ui.mask().apply(why).into_owned());
            self.ui.step_finished(&report);
            return report;
        }
        self.ui.step_started(step);
        let clock = Instant::now();
        let io = Io::new(&step.id, self.ui, self.options.interrupt.clone());
        let result = self.attempt(step, &io, &mut report.attempts);
        report.duration = clock.elapsed();
        let mut said = io.into_said();
        report.log = said.lines();
        report.note = said.note.take();
        if let Some(attached) = said.attached.take() {
            report.output = attached;
        }
        match result {
            Ok(output) => {
                report.output = output;
                report.status = match said.verdict {
                    Some(Verdict::Skipped) => Status::Skipped,
                    Some(Verdict::Cached) => Status::Cached,
                    Some(Verdict::Doubtful) => Status::Warning,
                    None => Status::Passed,
                };
            }
            Err(error) => {
                report.status = match step.on_failure {
                    _ if self.options.interrupt.requested() => Status::Cancelled,
                    OnFailure::Warn => Status::Warning,
                    OnFailure::Fail => Status::Failed,
                };
                report.exit = Some(exit_of(&error));
                report.error = Some(self.ui.mask().apply(&render(&error)).into_owned());
            }
        }
        self.ui.step_finished(&report);
        report
    }

    fn attempt(&self, step: &Step, io: &Io, attempts: &mut u32) -> anyhow::Result<Value> {
        let mut wait = pause::scaled(Duration::from_millis(step.retry.wait_ms));
        loop {
            *attempts += 1;
            io.set_attempt(*attempts);
            let result = catch_unwind(AssertUnwindSafe(|| self.runner.exec(step, io)))
                .unwrap_or_else(|panic| Err(anyhow::anyhow!("{}", panic_text(&*panic))))
                .with_context(|| format!("failed to {}", step.goal));
            let Err(error) = result else { return result };
            // What is wrong with the set-up or with ourselves does not change by trying again.
            let hopeless = matches!(exit_of(&error), Exit::Setup | Exit::Bug);
            if hopeless || *attempts >= step.retry.attempts.max(1) || io.interrupted() {
                return Err(error);
            }
            let text = render(&error);
            let first = text.lines().next().unwrap_or_default();
            io.line(&format!(
                "attempt {attempts} of {}: {first}; again in {}",
                step.retry.attempts,
                humantime::format_duration(wait),
            ));
            if !io.sleep(wait) {
                return Err(error);
            }
            wait = wait.saturating_mul(2);
        }
    }

    /// The reports of all steps, those that never started included.
    fn into_outcome(self, started: SystemTime) -> Outcome {
        let interrupted = self.options.interrupt.requested();
        let mut state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut blocked_by: Vec<Option<String>> = vec![None; self.plan.steps.len()];
        let mut steps = Vec::with_capacity(self.plan.steps.len());
        for (index, step) in self.plan.steps.iter().enumerate() {
            let report = state.reports[index].take().unwrap_or_else(|| {
                let mut report = blank_report(step);
                report.status = Status::Cancelled;
                if let Some(culprit) = blocked_by[index].take() {
                    report.status = Status::Blocked;
                    report.note = Some(format!("needs `{culprit}`"));
                }
                self.ui.step_finished(&report);
                report
            });
            if matches!(report.status, Status::Failed | Status::Blocked) {
                for &dependent in &self.dependents[index] {
                    blocked_by[dependent].get_or_insert_with(|| step.id.clone());
                }
            }
            steps.push(report);
        }
        Outcome {
            steps,
            interrupted,
            started,
            finished: SystemTime::now(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn blank_report(step: &Step) -> StepReport {
    StepReport {
        id: step.id.clone(),
        goal: step.goal.clone(),
        group: step.group.clone(),
        worker: step.worker.clone(),
        status: Status::Passed,
        started: SystemTime::now(),
        duration: Duration::ZERO,
        attempts: 0,
        error: None,
        exit: None,
        note: None,
        output: Value::Null,
        log: Vec::new(),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a panic: {}", text.unwrap_or_default())
}
