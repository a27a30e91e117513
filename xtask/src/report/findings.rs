//! The findings of a report's steps, as lists for people and in the order in which they deserve an annotation. Pure but
//! for [`annotate`], which speaks through [`Ui`].

use crate::findings::{Finding, Severity, of_output};
use crate::run::{Status, StepReport};
use crate::ui::{Ui, clean_line, fit};

/// A finding is shown with so many lines of so many columns: a diff of two large values must not bury the others.
const LINES_MAX: usize = 12;
const COLUMNS_MAX: usize = 500;

/// A step's findings as lines, at most `max` of them; the JSON document has all.
pub(super) fn lines(step: &StepReport, max: usize) -> Vec<String> {
    let findings = of_output(&step.output);
    let mut lines: Vec<String> = findings.iter().take(max).map(short).collect();
    if findings.len() > max {
        lines.push(format!(
            "… and {} more in the JSON report",
            findings.len() - max
        ));
    }
    lines
}

/// A finding as plain text of a bounded size: its words come from other people's packages and tests.
fn short(finding: &Finding) -> String {
    let text = finding.to_string();
    let mut lines: Vec<String> = text
        .lines()
        .take(LINES_MAX)
        .map(|line| fit(&clean_line(line), COLUMNS_MAX))
        .collect();
    if text.lines().count() > LINES_MAX {
        lines.push("    …".to_owned());
    }
    lines.join("\n")
}

/// The lines of a failed step below its error.
pub(super) fn below_error(step: &StepReport, max: usize) -> String {
    let error = step.error.as_deref().unwrap_or_default();
    let lines = lines(step, max);
    let lines = lines.iter().flat_map(|finding| finding.lines());
    let indented = lines.map(|line| format!("  {line}"));
    let all = std::iter::once(error.to_owned()).chain(indented);
    all.filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// What steps that did not fail have to say: a block per step, headed by its id.
pub(super) fn of_the_others(steps: &[StepReport], max: usize) -> Vec<String> {
    let others = steps.iter().filter(|step| step.status != Status::Failed);
    let block = |step: &StepReport| {
        let lines = lines(step, max);
        let lines = lines.iter().flat_map(|finding| finding.lines());
        let indented: Vec<String> = lines.map(|line| format!("  {line}")).collect();
        (!indented.is_empty()).then(|| format!("{}\n{}", step.id, indented.join("\n")))
    };
    others.filter_map(block).collect()
}

/// Annotates files on GitHub. It shows ten errors and ten warnings of a job's step, so every step of ours gets its first
/// finding shown before any gets its second.
pub(super) fn annotate(ui: &Ui, steps: &[StepReport]) {
    let of_steps: Vec<Vec<Finding>> = steps.iter().map(annotated).collect();
    let longest = of_steps.iter().map(Vec::len).max().unwrap_or(0);
    for round in 0..longest {
        for finding in of_steps.iter().filter_map(|findings| findings.get(round)) {
            ui.annotate(finding);
        }
    }
}

/// The findings that deserve an annotation; those of a tolerated failure only warn.
fn annotated(step: &StepReport) -> Vec<Finding> {
    let mut findings = of_output(&step.output);
    findings.retain(|finding| finding.severity != Severity::Notice);
    if step.status == Status::Warning {
        for finding in &mut findings {
            finding.severity = Severity::Warning;
        }
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
}
