//! A plan as text and JSON: what `--dry-run` shows. Pure.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::plan::{Action, OnFailure, Plan, Step};
use crate::ui::clean_line;

/// What `--dry-run` prints: numbered steps by group, each with its `$ command`, its call or its purpose, and notes.
pub fn plan_text(plan: &Plan) -> String {
    let mut lines = vec![match plan.steps.len() {
        0 => format!("{}: nothing to do", plan.stage),
        1 => format!("{}: 1 step", plan.stage),
        count => format!("{}: {count} steps", plan.stage),
    }];
    let digits = plan.steps.len().to_string().len();
    // Filled on the way: of several steps with one id, a step needs the nearest before it.
    let mut number_of: HashMap<&str, usize> = HashMap::new();
    let mut group = None;
    let mut waits = Waits::default();
    for (number, step) in (1..).zip(&plan.steps) {
        if group != Some(&step.group) {
            lines.push(String::new());
            lines.push(clean_line(&step.group));
            group = Some(&step.group);
        }
        lines.push(step_line(number, digits, step, waits.of(step, &number_of)));
        number_of.insert(&step.id, number);
        let indent = " ".repeat(digits + 4);
        lines.extend(action_text(step).map(|text| format!("{indent}{text}")));
    }
    if !plan.notes.is_empty() {
        lines.push(String::new());
        lines.extend(
            plan.notes
                .iter()
                .map(|note| format!("note: {}", clean_line(note))),
        );
    }
    lines.join("\n")
}

/// What steps wait for, as text; kept from one to the next, because all of a phase wait for the same.
#[derive(Default)]
struct Waits {
    needs: Arc<Vec<String>>,
    text: String,
}

impl Waits {
    /// `1-3, 5`, or nothing.
    fn of(&mut self, step: &Step, numbers: &HashMap<&str, usize>) -> &str {
        if !Arc::ptr_eq(&self.needs, &step.needs) {
            let needs = step.needs.iter();
            let needs = needs.filter_map(|need| numbers.get(need.as_str()).copied());
            let needs: BTreeSet<usize> = needs.collect();
            self.text = ranges(&needs);
            self.needs = Arc::clone(&step.needs);
        }
        &self.text
    }
}

/// `  3. upload main (after 1, 2; a failure only warns)`
fn step_line(number: usize, digits: usize, step: &Step, after: &str) -> String {
    let mut remarks = Vec::new();
    if let Some(why) = &step.done {
        remarks.push(format!("skipped: {}", clean_line(why)));
    }
    if !after.is_empty() {
        remarks.push(format!("after {after}"));
    }
    if step.on_failure == OnFailure::Warn {
        remarks.push("a failure only warns".to_owned());
    }
    if step.retry.attempts > 1 {
        remarks.push(format!("up to {} attempts", step.retry.attempts));
    }
    let mut line = format!("  {number:>digits$}. {}", clean_line(&step.id));
    if !remarks.is_empty() {
        line.push_str(&format!(" ({})", remarks.join("; ")));
    }
    line
}

/// `1-3, 5`: a step that waits for hundreds still takes one line.
fn ranges(numbers: &BTreeSet<usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let texts = ranges.iter().map(|&(first, last)| match last - first {
        0 => first.to_string(),
        _ => format!("{first}-{last}"),
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// What a step does: a command, a call, or, where it is neither, what it is for, unless its id says that already.
fn action_text(step: &Step) -> Option<String> {
    let text = match &step.action {
        Action::Command(command) => format!("$ {}", command.display),
        Action::Rest(rest) => format!("{} {}", rest.method, rest.path),
        Action::Probe(probe) if probe.overrides.is_empty() => {
            format!("GET {} until it answers {}", probe.url, probe.status)
        }
        Action::Probe(probe) => {
            let count = probe.overrides.len();
            let plural = if count == 1 { "" } else { "s" };
            format!(
                "GET {} until it answers {} (on {count} staged version{plural})",
                probe.url, probe.status
            )
        }
        Action::Wait { seconds } => format!("wait {seconds}s"),
        Action::Task { .. } if says_more(&step.goal, &step.id) => step.goal.clone(),
        Action::Task { .. } | Action::Nothing => return None,
    };
    Some(clean_line(&text))
}

/// `empty the bucket x` says no more than `empty bucket x`.
fn says_more(goal: &str, id: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let words = text.split_whitespace().filter(|word| *word != "the");
        words.map(str::to_owned).collect()
    };
    words(goal) != words(id)
}

/// The plan as JSON: its fields as they are.
pub fn plan_json(plan: &Plan) -> Value {
    serde_json::to_value(plan).expect("a plan holds only strings, numbers and lists")
}
