//! What a step and its findings look like on GitHub: a folded group, and annotations at the places of the findings.

use super::{Ui, clean_line, github};
use crate::findings::{Finding, Severity, of_output};
use crate::run::{Status, StepReport};

/// How many annotations of each kind GitHub shows for one step of a job; it drops the rest silently.
const ANNOTATIONS_MAX: usize = 10;

impl Ui {
    /// Annotates the place of a finding on GitHub, up to the number that GitHub shows; says nothing anywhere else.
    pub fn annotate(&self, finding: &Finding) {
        if !self.look.github || !self.takes_annotation(finding.severity) {
            return;
        }
        let file = finding.file.as_ref().map(|file| file.display().to_string());
        let line = finding.line.map(|line| line.to_string());
        let col = finding.col.map(|col| col.to_string());
        let places = [
            ("file", file),
            ("line", line),
            ("col", col),
            ("title", finding.rule.clone()),
        ];
        let mask = self.mask();
        let places = places
            .into_iter()
            .filter_map(|(key, value)| Some((key, mask.apply(&value?).into_owned())));
        let places: Vec<(&str, String)> = places.collect();
        let places: Vec<(&str, &str)> = places
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        let message: Vec<String> = finding.message.lines().map(clean_line).collect();
        self.command(finding.severity.word(), &places, &message.join("\n"));
    }

    /// Counts an annotation; false when GitHub would drop it.
    fn takes_annotation(&self, severity: Severity) -> bool {
        let made = &mut self.screen().annotations[severity as usize];
        *made += 1;
        *made <= ANNOTATIONS_MAX
    }

    /// A folded group with what the step printed, and an annotation when it failed.
    pub(super) fn github_step(&self, report: &StepReport, headline: &str, command: Option<&str>) {
        if report.log.is_empty() && command.is_none() {
            self.say(headline);
        } else {
            let mask = self.mask();
            let title = mask.apply(headline);
            let mut lines = vec![format!("::group::{}", github::escape_data(&title))];
            let body = command.map(|c| mask.apply(&format!("$ {c}")).into_owned());
            let body = body.into_iter();
            lines.extend(github::inert(body.chain(report.log.iter().cloned())));
            lines.push("::endgroup::".to_owned());
            self.raw(&lines.join("\n"));
        }
        let severity = match report.status {
            Status::Failed => Severity::Error,
            Status::Warning => Severity::Warning,
            _ => return,
        };
        // The report annotates the places of findings, which says more than the step's own error.
        if of_output(&report.output)
            .iter()
            .any(|finding| finding.severity <= severity)
        {
            return;
        }
        self.takes_annotation(severity);
        let text = report.error.as_deref().unwrap_or(&report.goal);
        let text = text.strip_prefix("error: ").unwrap_or(text);
        self.command(severity.word(), &[("title", &report.id)], text);
    }
}
