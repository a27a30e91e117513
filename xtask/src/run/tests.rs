//! What the runner promises, with a fake runner that does what a step's id says.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use expect_test::{Expect, expect};

use super::*;
use crate::error::Fail;
use crate::mask::Mask;
use crate::plan::{Action, OnFailure};

/// Does what the closure says, and remembers the order.
pub(super) struct Fake<F> {
    exec: F,
    order: Mutex<Vec<String>>,
}

impl<F: Fn(&Step, &Io) -> anyhow::Result<Value> + Sync> Runner for Fake<F> {
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value> {
        self.order.lock().expect("no panic").push(step.id.clone());
        (self.exec)(step, io)
    }
}

pub(super) fn fake<F: Fn(&Step, &Io) -> anyhow::Result<Value> + Sync>(exec: F) -> Fake<F> {
    Fake {
        exec,
        order: Mutex::default(),
    }
}

/// Fails the steps whose id starts with `bad`.
pub(super) fn by_name(step: &Step, _io: &Io) -> anyhow::Result<Value> {
    if step.id.starts_with("bad") {
        return Err(Fail::remote("the cloud said no").into());
    }
    Ok(Value::from(step.id.as_str()))
}

pub(super) fn options(jobs: usize) -> Options {
    Options {
        jobs,
        keep_going: false,
        interrupt: Interrupt::detached(),
    }
}

pub(super) fn step(id: &str, needs: &[&str]) -> Step {
    Step::new("group", id, format!("do {id}"), Action::Nothing).needs(needs.iter().copied())
}

pub(super) fn plan(steps: impl IntoIterator<Item = Step>) -> Plan {
    let mut plan = Plan::new("test");
    plan.steps.extend(steps);
    plan
}

#[track_caller]
fn check(outcome: &Outcome, expected: &Expect) {
    let lines = outcome.steps.iter().map(|step| {
        let note = step.note.as_deref().unwrap_or("");
        let error = step.error.as_deref().unwrap_or("").replace('\n', " / ");
        let line = format!(
            "{}: {} x{} {note}{error}",
            step.id,
            step.status.word(),
            step.attempts
        );
        line.trim_end().to_owned()
    });
    expected.assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn needs_come_first_and_results_stand_in_plan_order() {
    let plan = plan([
        step("a", &[]),
        step("b", &["a"]),
        step("c", &["a", "a"]),
        step("d", &["b", "c"]),
        step("e", &["d"]).done("the digest is the same"),
    ]);
    let runner = fake(by_name);
    let outcome = run(&plan, &runner, &Ui::in_memory(false), &options(4));
    check(
        &outcome,
        &expect![[r"
            a: passed x1
            b: passed x1
            c: passed x1
            d: passed x1
            e: skipped x0 the digest is the same"]],
    );
    let order = runner.order.into_inner().expect("no panic");
    assert_eq!((order[0].as_str(), order[3].as_str()), ("a", "d"));
    assert!(outcome.ok() && outcome.exit().is_none());
    assert_eq!(outcome.output("d"), Some(&Value::from("d")));
    assert_eq!(outcome.output("e"), None);
}

#[test]
fn the_first_failure_stops_the_run() {
    let plan = plan([
        step("good", &[]),
        step("bad", &["good"]),
        step("after bad", &["bad"]),
        step("far after", &["after bad"]),
        step("other", &["good"]),
    ]);
    let outcome = run(&plan, &fake(by_name), &Ui::in_memory(false), &options(1));
    check(
        &outcome,
        &expect![[r"
            good: passed x1
            bad: failed x1 error: failed to do bad: the cloud said no
            after bad: blocked x0 needs `bad`
            far after: blocked x0 needs `after bad`
            other: cancelled x0"]],
    );
    assert!(!outcome.ok());
    assert_eq!(outcome.exit(), Some(Exit::Remote));
    assert_eq!(outcome.failures().count(), 1);
    // Once a later run does what this one did not, only a warning is left of it.
    let repaired = outcome.repaired();
    assert!(repaired.ok());
    assert_eq!(repaired.warnings().count(), 1);
}

#[test]
fn keep_going_runs_what_does_not_need_the_failed_step() {
    let mut options = options(1);
    options.keep_going = true;
    let plan = plan([
        step("bad", &[]),
        step("after", &["bad"]),
        step("other", &[]),
    ]);
    let outcome = run(&plan, &fake(by_name), &Ui::in_memory(false), &options);
    check(
        &outcome,
        &expect![[r"
            bad: failed x1 error: failed to do bad: the cloud said no
            after: blocked x0 needs `bad`
            other: passed x1"]],
    );
}

#[test]
fn a_declared_warning_lets_the_run_go_on() {
    let mut warns = step("bad", &[]);
    warns.on_failure = OnFailure::Warn;
    let plan = plan([warns, step("after", &["bad"])]);
    let outcome = run(&plan, &fake(by_name), &Ui::in_memory(false), &options(2));
    check(
        &outcome,
        &expect![[r"
            bad: warning x1 error: failed to do bad: the cloud said no
            after: passed x1"]],
    );
    assert!(outcome.ok());
    assert_eq!(outcome.warnings().count(), 1);
}

#[test]
fn retries_wait_longer_each_time_and_a_wrong_set_up_is_not_retried() {
    let plan = plan([
        step("flaky", &[]).retry(3, 40),
        step("set-up", &["flaky"]).retry(3, 40),
    ]);
    let runner = fake(|step: &Step, io: &Io| {
        assert!(io.attempt() >= 1);
        match (step.id.as_str(), io.attempt()) {
            ("flaky", 1 | 2) => Err(Fail::remote("try later").into()),
            ("flaky", _) => Ok(Value::Null),
            _ => Err(Fail::setup("no node").into()),
        }
    });
    let outcome = run(&plan, &runner, &Ui::in_memory(false), &options(1));
    check(
        &outcome,
        &expect![[r"
            flaky: passed x3
            set-up: failed x1 error: failed to do set-up: no node"]],
    );
    let flaky = &outcome.steps[0];
    assert!(
        flaky.duration >= Duration::from_millis(120),
        "{:?}",
        flaky.duration
    );
    assert_eq!(
        flaky.log,
        [
            "attempt 1 of 3: error: failed to do flaky: try later; again in 40ms",
            "attempt 2 of 3: error: failed to do flaky: try later; again in 80ms",
        ]
    );
}

#[test]
fn a_panic_is_a_failed_step_and_our_bug() {
    let plan = plan([step("a", &[])]);
    let runner = fake(|_: &Step, _: &Io| panic!("index out of step"));
    let outcome = run(&plan, &runner, &Ui::in_memory(false), &options(2));
    assert_eq!(outcome.exit(), Some(Exit::Bug));
    let error = outcome.steps[0].error.as_deref().unwrap_or_default();
    assert!(
        error.contains("failed to do a: a panic: index out of step"),
        "{error}"
    );
}

#[test]
fn a_step_says_that_it_was_cached_or_had_nothing_to_do() {
    let plan = plan([
        step("cached", &[]),
        step("skipped", &[]),
        step("noted", &[]),
    ]);
    let runner = fake(|step: &Step, io: &Io| {
        match step.id.as_str() {
            "cached" => io.cached("same inputs"),
            "skipped" => io.skipped("already there"),
            _ => io.note("v-123"),
        }
        Ok(Value::from(1))
    });
    let outcome = run(&plan, &runner, &Ui::in_memory(false), &options(2));
    check(
        &outcome,
        &expect![[r"
            cached: cached x1 same inputs
            skipped: skipped x1 already there
            noted: passed x1 v-123"]],
    );
    assert!(outcome.ok());
}

#[test]
fn nothing_a_step_says_shows_a_secret() {
    let ui = Ui::in_memory(false);
    ui.hide(&Mask::new([("KEY", "canary-3f9c")]));
    let mut failing = step("b", &[]);
    failing.on_failure = OnFailure::Fail;
    let plan = plan([step("a", &[]), failing, step("c", &[]).done("canary-3f9c")]);
    let runner = fake(|step: &Step, io: &Io| {
        io.line("\x1b[1mkey\x1b[0m = canary-3f9c\nand base64 Y2FuYXJ5LTNmOWM=");
        io.note("canary-3f9c");
        if step.id == "b" {
            return Err(Fail::check("canary-3f9c").why("canary-3f9c").into());
        }
        Ok(Value::Null)
    });
    let mut options = options(1);
    options.keep_going = true;
    let outcome = run(&plan, &runner, &ui, &options);
    assert_eq!(outcome.steps[0].log, ["key = ***", "and base64 ***"]);
    let all = format!("{outcome:?}{}", ui.said());
    assert!(
        !all.contains("canary") && !all.contains("Y2FuYXJ5"),
        "{all}"
    );
}

#[test]
fn an_interrupt_starts_nothing_more_and_cuts_waits_short() {
    let options = options(1);
    let plan = plan([step("first", &[]), step("second", &[])]);
    let interrupt = options.interrupt.clone();
    let runner = fake(move |_: &Step, io: &Io| {
        interrupt.request();
        if io.sleep(Duration::from_secs(60)) {
            return Ok(Value::Null);
        }
        Err(Fail::remote("interrupted while waiting").into())
    });
    let clock = Instant::now();
    let outcome = run(&plan, &runner, &Ui::in_memory(false), &options);
    assert!(clock.elapsed() < Duration::from_secs(5));
    check(
        &outcome,
        &expect![[r"
            first: cancelled x1 error: failed to do first: interrupted while waiting
            second: cancelled x0"]],
    );
    assert!(outcome.interrupted && !outcome.ok());
    options.interrupt.reset();
    let again = run(
        &self::plan([step("roll back", &[])]),
        &fake(by_name),
        &Ui::in_memory(false),
        &options,
    );
    assert!(again.ok());
}

#[test]
#[should_panic(expected = "step `b` needs `c`, which does not stand before it")]
fn a_need_that_does_not_stand_before_is_our_bug() {
    let plan = plan([step("b", &["c"]), step("c", &[])]);
    run(&plan, &fake(by_name), &Ui::in_memory(false), &options(1));
}

#[test]
fn the_kept_log_is_bounded_and_says_so() {
    let runner = fake(|_: &Step, io: &Io| {
        for i in 0..1500 {
            io.line(&format!("line {i}"));
        }
        io.line(&"x".repeat(10_000));
        Ok(Value::Null)
    });
    let outcome = run(
        &plan([step("a", &[])]),
        &runner,
        &Ui::in_memory(false),
        &options(1),
    );
    let log = &outcome.steps[0].log;
    assert_eq!(log.len(), 1001);
    assert_eq!(log[0], "… 501 earlier lines left out");
    assert_eq!(log[1000].chars().count(), 4001);
}

#[test]
fn merging_adds_the_later_steps() {
    let ui = Ui::in_memory(false);
    let mut outcome = run(&plan([step("bad", &[])]), &fake(by_name), &ui, &options(1));
    outcome.merge(run(
        &plan([step("undo", &[])]),
        &fake(by_name),
        &ui,
        &options(1),
    ));
    let statuses: HashMap<&str, Status> = outcome
        .steps
        .iter()
        .map(|s| (s.id.as_str(), s.status))
        .collect();
    assert_eq!(statuses["bad"], Status::Failed);
    assert_eq!(statuses["undo"], Status::Passed);
}
