//! What vitest reported, as findings and as a list of tests. Reads the JSON of its `json` reporter and, for what that
//! leaves out (places of suites that do not load, time-outs, unhandled errors), the text of its default reporter.

mod text;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use self::text::{Block, Frame, Kind};
use super::{Base, Finding, Severity};
use crate::ui::clean_line;

/// Everything one run of vitest said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// Every test, in the order of the report.
    pub tests: Vec<Test>,
    /// Everything that went wrong.
    pub findings: Vec<Finding>,
}

/// One test. Travels in a step's output as `tests`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// The test's file, relative to the root.
    pub file: PathBuf,
    /// `suite > name`.
    pub name: String,
    /// How it ended.
    pub status: TestStatus,
    /// How long it took.
    pub duration_ms: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestStatus {
    /// It held.
    Passed,
    /// It did not.
    Failed,
    /// It was not run.
    Skipped,
}

impl Results {
    /// How many tests ended this way.
    pub fn count(&self, status: TestStatus) -> usize {
        self.tests
            .iter()
            .filter(|test| test.status == status)
            .count()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    success: bool,
    #[serde(default)]
    test_results: Vec<JsonFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonFile {
    name: String,
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    assertion_results: Vec<JsonTest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonTest {
    #[serde(default)]
    ancestor_titles: Vec<String>,
    title: String,
    status: String,
    #[serde(default)]
    duration: Option<f64>,
    #[serde(default)]
    failure_messages: Option<Vec<String>>,
}

/// Reads a run. `json` is the report file, if vitest got as far as to write one; `output` is what it printed.
pub fn parse(json: Option<&str>, output: &str, base: Base<'_>) -> anyhow::Result<Results> {
    let blocks = text::blocks(output);
    let Some(json) = json else {
        let findings = vec![text::start_up_error(output, base)];
        return Ok(Results {
            findings,
            ..Results::default()
        });
    };
    let report: Json = serde_json::from_str(json).context("the report of vitest is no report")?;
    let mut results = Results::default();
    for file in &report.test_results {
        read_file(file, &blocks, base, &mut results);
    }
    for block in blocks.iter().filter(|block| block.kind == Kind::Unhandled) {
        let message = format!("unhandled error: {}", block.message);
        let finding = Finding::error(message);
        results
            .findings
            .push(placed(finding, &block.frames, None, base));
    }
    let nothing_ran = report.test_results.is_empty();
    if nothing_ran && results.findings.is_empty() {
        let severity = if report.success {
            Severity::Warning
        } else {
            Severity::Error
        };
        results
            .findings
            .push(Finding::new(severity, "vitest found no tests"));
    } else if !report.success && results.findings.is_empty() {
        results
            .findings
            .push(Finding::error("vitest failed without saying why"));
    }
    Ok(results)
}

fn read_file(file: &JsonFile, blocks: &[Block], base: Base<'_>, results: &mut Results) {
    let path = base.relative(&file.name);
    let mut failed = 0;
    for test in &file.assertion_results {
        let mut titles = test.ancestor_titles.clone();
        titles.push(test.title.clone());
        let name = titles.join(" > ");
        let status = match test.status.as_str() {
            "passed" => TestStatus::Passed,
            "failed" => TestStatus::Failed,
            _ => TestStatus::Skipped,
        };
        let mut message = None;
        if status == TestStatus::Failed {
            failed += 1;
            let finding = failed_test(test, &name, &path, blocks, base);
            message = Some(finding.message.clone());
            results.findings.push(Finding {
                message: format!("{name}: {}", finding.message),
                ..finding
            });
        }
        results.tests.push(Test {
            file: path.clone(),
            name,
            status,
            duration_ms: test.duration.unwrap_or_default().max(0.0) as u64,
            message,
        });
    }
    // A file can fail beside its tests: it did not load, or a hook threw.
    if file.status == "failed" && (failed == 0 || !file.message.trim().is_empty()) {
        let block = blocks
            .iter()
            .find(|block| block.kind == Kind::Suite && block.is_about(&path, "", base));
        let message = first_lines(&file.message);
        let message = if message.is_empty() {
            "the test file failed".to_owned()
        } else {
            message
        };
        let mut frames = block.map(|block| block.frames.clone()).unwrap_or_default();
        frames.extend(
            file.message
                .lines()
                .filter_map(|line| text::bracketed(&clean_line(line))),
        );
        results
            .findings
            .push(placed(Finding::error(message), &frames, Some(&path), base));
    }
}

fn failed_test(
    test: &JsonTest,
    name: &str,
    path: &Path,
    blocks: &[Block],
    base: Base<'_>,
) -> Finding {
    let whole = test.failure_messages.iter().flatten().next();
    let whole = whole.map(String::as_str).unwrap_or_default();
    let mut message = first_lines(whole);
    let mut frames: Vec<Frame> = whole.lines().filter_map(text::stack_frame).collect();
    // Of a time-out the JSON keeps only a place holder.
    let block = blocks
        .iter()
        .find(|block| block.kind == Kind::Test && block.is_about(path, name, base));
    if let Some(block) = block {
        if message.is_empty() || message.contains("STACK_TRACE_ERROR") {
            message.clone_from(&block.message);
        }
        frames.splice(0..0, block.frames.iter().cloned());
    }
    if message.contains("STACK_TRACE_ERROR") {
        "the test timed out".clone_into(&mut message);
    }
    if message.is_empty() {
        "the test failed".clone_into(&mut message);
    }
    placed(Finding::error(message), &frames, Some(path), base)
}

/// The message without its stack and its picture of the source.
fn first_lines(message: &str) -> String {
    let lines = message.lines().map(clean_line);
    let lines =
        lines.take_while(|line| !line.trim_start().starts_with("at ") && !line.contains('╭'));
    let lines = lines.map(|line| line.trim_end().to_owned());
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

/// The finding at the first frame that is the repo's own code, best in the test's own file.
fn placed(finding: Finding, frames: &[Frame], file: Option<&Path>, base: Base<'_>) -> Finding {
    let own = frames.iter().filter_map(|frame| {
        let path = base.relative(&frame.path);
        // `cloudflare-internal:d1-api` and `node:fs` are no files.
        let own = path.is_relative()
            && !frame.path.contains(':')
            && !path
                .components()
                .any(|part| part.as_os_str() == "node_modules");
        own.then_some((path, frame.line, frame.col))
    });
    let own: Vec<(PathBuf, u32, u32)> = own.collect();
    let best = own
        .iter()
        .find(|(path, ..)| file.is_none_or(|file| file == path))
        .or(own.first());
    match (best, file) {
        (Some((path, line, col)), _) => finding.in_file(path).at(*line, *col),
        (None, Some(file)) => finding.in_file(file),
        (None, None) => finding,
    }
}

#[cfg(test)]
mod tests;
