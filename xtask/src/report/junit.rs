//! A report as JUnit XML: a suite per group with a case per step, and a suite per step that ran tests. Whatever a tool
//! printed, the result is well-formed XML.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize as _;

use super::Report;
use crate::findings::vitest::{Test, TestStatus};
use crate::mask::Mask;
use crate::run::{Status, StepReport};
use crate::ui::Ui;

/// How many findings a failure shows.
const FINDINGS_MAX: usize = 200;

/// One `<testsuite>` before it is written.
struct Suite {
    name: String,
    timestamp: Option<String>,
    cases: Vec<Case>,
}

/// One `<testcase>` before it is written.
struct Case {
    class: String,
    name: String,
    file: Option<String>,
    millis: u64,
    result: CaseResult,
}

enum CaseResult {
    Passed { note: Option<String> },
    Skipped { why: String },
    Failed { headline: String, text: String },
}

impl Report {
    /// The report as JUnit XML; secrets are masked before anything is escaped.
    pub fn junit(&self, mask: &Mask) -> String {
        let mut suites: Vec<Suite> = Vec::new();
        for step in &self.steps {
            let case = step_case(step);
            match suites.iter_mut().find(|suite| suite.name == step.group) {
                Some(suite) => suite.cases.push(case),
                None => suites.push(Suite {
                    name: step.group.clone(),
                    timestamp: Some(humantime::format_rfc3339_seconds(step.started).to_string()),
                    cases: vec![case],
                }),
            }
        }
        suites.extend(self.steps.iter().filter_map(tests_suite));
        let cases = || suites.iter().flat_map(|suite| &suite.cases);
        let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
        let totals = totals(cases());
        xml.push_str(&format!(
            "<testsuites name=\"{}\" {totals}>\n",
            escape(&self.stage, mask)
        ));
        for suite in &suites {
            suite.write(&mut xml, mask);
        }
        xml.push_str("</testsuites>\n");
        xml
    }

    /// Writes the JUnit XML to a file.
    pub fn write_junit(&self, ui: &Ui, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("failed to create `{}`", folder.display()))?;
        }
        std::fs::write(path, self.junit(&ui.mask()))
            .with_context(|| format!("failed to write `{}`", path.display()))
    }
}

fn step_case(step: &StepReport) -> Case {
    let error = step.error.as_deref().unwrap_or(&step.goal);
    let result = match step.status {
        Status::Failed => CaseResult::Failed {
            headline: first_line(error),
            text: super::findings::below_error(step, FINDINGS_MAX),
        },
        Status::Warning => CaseResult::Passed {
            note: Some(format!(
                "tolerated: {}",
                super::findings::below_error(step, FINDINGS_MAX)
            )),
        },
        Status::Skipped | Status::Blocked | Status::Cancelled => CaseResult::Skipped {
            why: step
                .note
                .clone()
                .unwrap_or_else(|| step.status.word().to_owned()),
        },
        Status::Cached => CaseResult::Passed {
            note: Some("the result of an earlier run still holds".to_owned()),
        },
        Status::Passed => CaseResult::Passed {
            note: step.note.clone(),
        },
    };
    Case {
        class: step.group.clone(),
        name: step.id.clone(),
        file: None,
        millis: u64::try_from(step.duration.as_millis()).unwrap_or(u64::MAX),
        result,
    }
}

/// The tests of a step, when it told them: `output["tests"]`.
fn tests_suite(step: &StepReport) -> Option<Suite> {
    let tests = Vec::<Test>::deserialize(step.output.get("tests")?).ok()?;
    let case = |test: Test| Case {
        class: step.id.clone(),
        name: test.name,
        file: Some(test.file.display().to_string()),
        millis: test.duration_ms,
        result: match test.status {
            TestStatus::Passed => CaseResult::Passed { note: None },
            TestStatus::Skipped => CaseResult::Skipped {
                why: "skipped".to_owned(),
            },
            TestStatus::Failed => {
                let text = test.message.unwrap_or_else(|| "failed".to_owned());
                CaseResult::Failed {
                    headline: first_line(&text),
                    text,
                }
            }
        },
    };
    let cases: Vec<Case> = tests.into_iter().map(case).collect();
    (!cases.is_empty()).then(|| Suite {
        name: step.id.clone(),
        timestamp: None,
        cases,
    })
}

impl Suite {
    fn write(&self, xml: &mut String, mask: &Mask) {
        let totals = totals(self.cases.iter());
        xml.push_str(&format!(
            "  <testsuite name=\"{}\" {totals}",
            escape(&self.name, mask)
        ));
        if let Some(timestamp) = &self.timestamp {
            xml.push_str(&format!(" timestamp=\"{timestamp}\""));
        }
        xml.push_str(">\n");
        for case in &self.cases {
            case.write(xml, mask);
        }
        xml.push_str("  </testsuite>\n");
    }
}

impl Case {
    fn write(&self, xml: &mut String, mask: &Mask) {
        let escape = |text: &str| escape(text, mask);
        xml.push_str(&format!(
            "    <testcase classname=\"{}\" name=\"{}\" time=\"{}\"",
            escape(&self.class),
            escape(&self.name),
            seconds(self.millis)
        ));
        if let Some(file) = &self.file {
            xml.push_str(&format!(" file=\"{}\"", escape(file)));
        }
        let inner = match &self.result {
            CaseResult::Passed { note: None } => {
                xml.push_str("/>\n");
                return;
            }
            CaseResult::Passed { note: Some(note) } => {
                format!("<system-out>{}</system-out>", escape(note))
            }
            CaseResult::Skipped { why } => format!("<skipped message=\"{}\"/>", escape(why)),
            CaseResult::Failed { headline, text } => {
                format!(
                    "<failure message=\"{}\">{}</failure>",
                    escape(headline),
                    escape(text)
                )
            }
        };
        xml.push_str(&format!(">\n      {inner}\n    </testcase>\n"));
    }
}

fn totals<'c>(cases: impl Iterator<Item = &'c Case>) -> String {
    let (mut tests, mut failures, mut skipped, mut millis) = (0_usize, 0_usize, 0_usize, 0_u64);
    for case in cases {
        tests += 1;
        failures += usize::from(matches!(case.result, CaseResult::Failed { .. }));
        skipped += usize::from(matches!(case.result, CaseResult::Skipped { .. }));
        millis = millis.saturating_add(case.millis);
    }
    format!(
        "tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{}\"",
        seconds(millis)
    )
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Text for an element or an attribute. XML 1.0 has no way to write most control characters, so those become `�`.
fn escape(text: &str, mask: &Mask) -> String {
    let text = mask.apply(text);
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            '\r' => escaped.push_str("&#13;"),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push('\u{fffd}')
            }
            other => escaped.push(other),
        }
    }
    escaped
}
