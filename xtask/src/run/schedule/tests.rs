//! How many steps run at once, and what one costs.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::tests::{by_name, fake, options, plan, step};
use super::*;
use crate::plan::Command;

fn program(id: &str) -> Step {
    let command = Command {
        display: id.to_owned(),
        program: "true".to_owned(),
        argv: Vec::new(),
        cwd: "/".into(),
        env: std::collections::BTreeMap::new(),
        secret_env: Vec::new(),
        env_remove: Vec::new(),
        keep_env: Vec::new(),
        secrets_on_stdin: Vec::new(),
        files: Default::default(),
    };
    Step::new("group", id, format!("run {id}"), Action::Command(command))
}

/// Counts how many steps of each kind run at once.
#[derive(Default)]
struct Crowd {
    now: [AtomicUsize; 2],
    most: [AtomicUsize; 3],
}

impl Runner for Crowd {
    fn exec(&self, step: &Step, _io: &Io) -> anyhow::Result<Value> {
        let kind = usize::from(matches!(step.action, Action::Command(_)));
        let now = self.now[kind].fetch_add(1, Ordering::SeqCst) + 1;
        self.most[kind].fetch_max(now, Ordering::SeqCst);
        let both: usize = self.now.iter().map(|n| n.load(Ordering::SeqCst)).sum();
        self.most[2].fetch_max(both, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        self.now[kind].fetch_sub(1, Ordering::SeqCst);
        Ok(Value::Null)
    }
}

#[test]
fn jobs_limit_programs_and_calls_run_beside_them() {
    let steps = || {
        let programs = (0..8).map(|i| program(&format!("program {i}")));
        programs.chain((0..8).map(|i| step(&format!("call {i}"), &[])))
    };
    let crowd = Crowd::default();
    let outcome = run(&plan(steps()), &crowd, &Ui::in_memory(false), &options(2));
    assert!(outcome.ok());
    let [calls, programs, both] = crowd.most.map(AtomicUsize::into_inner);
    assert_eq!(programs, 2);
    assert!(calls > 2 && both > 4, "{calls} calls, {both} in all");

    let crowd = Crowd::default();
    run(&plan(steps()), &crowd, &Ui::in_memory(false), &options(1));
    assert_eq!(crowd.most[2].load(Ordering::SeqCst), 1);
}

#[test]
fn a_thousand_idle_steps_cost_less_than_a_millisecond_each() {
    let chain: Vec<Step> = (0..1000)
        .map(|i| match i {
            0 => step("s0", &[]),
            _ => step(&format!("s{i}"), &[&format!("s{}", i - 1)]),
        })
        .collect();
    let clock = Instant::now();
    let outcome = run(
        &plan(chain),
        &fake(by_name),
        &Ui::in_memory(false),
        &options(4),
    );
    assert!(outcome.ok());
    let each = clock.elapsed() / 1000;
    assert!(each < Duration::from_millis(1), "{each:?} per step");
}

#[test]
fn ten_thousand_steps_that_all_wait_for_one_are_no_problem() {
    let names: Vec<String> = (0..10_000).map(|i| format!("s{i}")).collect();
    let mut steps = vec![step("root", &[])];
    steps.extend(names.iter().map(|name| step(name, &["root"])));
    steps.push(step(
        "last",
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    ));
    let clock = Instant::now();
    let outcome = run(
        &plan(steps),
        &fake(by_name),
        &Ui::in_memory(false),
        &options(4),
    );
    assert!(outcome.ok());
    assert_eq!(outcome.steps.len(), 10_002);
    assert!(
        clock.elapsed() < Duration::from_secs(10),
        "{:?}",
        clock.elapsed()
    );
}
