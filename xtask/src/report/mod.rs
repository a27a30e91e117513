//! What a stage has to say at its end, for four readers: the terminal, programs (JSON), GitHub's summary page, and the
//! next run (`.xtask/reports`). Knows nothing of how the results came about.

mod diagram;
mod findings;
mod junit;
mod markdown;
mod plan;
mod table;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

pub use self::diagram::plan_mermaid;
pub(crate) use self::markdown::{escape, rows};
pub use self::plan::{plan_json, plan_text};
pub use self::table::Table;
use crate::env::Env;
use crate::error::{Exit, Fail};
use crate::run::{Outcome, Status, StepReport};
use crate::ui::{Format, Ui, clean_text, human_duration};

/// How many findings of a step a person is shown; the JSON document has all.
const FINDINGS_MAX: usize = 50;

/// The result of a stage in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All is well.
    Success,
    /// Done, with something a reader should know.
    Warning,
    /// Not done.
    Failure,
}

impl Verdict {
    /// The word for people and programs.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Success => "success",
            Verdict::Warning => "warning",
            Verdict::Failure => "failure",
        }
    }
}

/// Everything a stage reports.
#[derive(Clone, Debug)]
pub struct Report {
    /// The verb.
    pub stage: String,
    /// The result.
    pub outcome: Verdict,
    /// The release this is about.
    pub release: Option<String>,
    /// What was done, in plan order.
    pub steps: Vec<StepReport>,
    /// Declared policies that applied, and everything else a reader should know.
    pub warnings: Vec<String>,
    /// Single facts: name and value.
    pub facts: Vec<(String, String)>,
    /// Results in rows: workers with versions and URLs.
    pub tables: Vec<Table>,
    /// More values for the later steps of a workflow.
    pub outputs: Vec<(&'static str, String)>,
    /// The code the process is going to exit with, 0 included.
    pub exit: u8,
    /// More of the JSON document, by key, for stages whose result is more than steps.
    pub more: serde_json::Map<String, Value>,
    /// The text that was asked for, where the result is a text: it goes to stdout, in place of what is said otherwise.
    pub answer: Option<String>,
    /// False when it is not to be kept in `.xtask/reports`.
    pub stored: bool,
}

impl Report {
    /// The report of a stage that has run a plan.
    pub fn new(stage: &str, outcome: &Outcome) -> Report {
        let mut report = Report::empty(stage);
        report.add(outcome);
        report
    }

    /// The report of a stage that did not run any plan (nothing to do, or only answers).
    pub fn empty(stage: &str) -> Report {
        Report {
            stage: stage.to_owned(),
            outcome: Verdict::Success,
            release: None,
            steps: Vec::new(),
            warnings: Vec::new(),
            facts: Vec::new(),
            tables: Vec::new(),
            outputs: Vec::new(),
            exit: 0,
            more: serde_json::Map::new(),
            answer: None,
            stored: true,
        }
    }

    /// Adds the steps of a run; the verdict and the exit code follow the worse.
    pub fn add(&mut self, outcome: &Outcome) {
        for step in outcome.warnings() {
            let first = step.error.as_deref().and_then(|text| text.lines().next());
            match (first, &step.note) {
                (Some(first), _) => self.warn(first.strip_prefix("error: ").unwrap_or(first)),
                (None, Some(why)) => self.warn(format!("could not {}: {why}", step.goal)),
                (None, None) => self.warn(format!("could not {}", step.goal)),
            }
        }
        self.steps.extend(outcome.steps.iter().cloned());
        if outcome.interrupted {
            self.fail(130);
        } else if let Some(exit) = outcome.exit() {
            self.fail(exit as u8);
        } else if !outcome.ok() {
            self.fail(Exit::Check as u8);
        }
    }

    /// Adds a warning; success becomes `warning`.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(clean_text(text));
        if self.outcome == Verdict::Success {
            self.outcome = Verdict::Warning;
        }
    }

    /// Says when the stage took longer than it is meant to.
    pub fn keep_to(&mut self, budget: Duration, took: Duration) {
        if took > budget {
            let (took, budget) = (human_duration(took), human_duration(budget));
            self.warn(format!(
                "{} took {took}; its budget is {budget}",
                self.stage
            ));
        }
    }

    /// Makes it a failure with this exit code.
    pub fn fail(&mut self, exit: u8) {
        self.outcome = Verdict::Failure;
        self.exit = exit;
    }

    /// Adds a fact.
    pub fn fact(&mut self, name: &str, value: impl Into<String>) {
        self.facts.push((name.to_owned(), clean_text(value)));
    }

    /// The JSON document of `--format json`.
    pub fn json(&self) -> Value {
        let steps: Vec<Value> = self.steps.iter().map(step_json).collect();
        let tables: Vec<Value> = self.tables.iter().map(Table::json).collect();
        let facts: serde_json::Map<String, Value> = self
            .facts
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        let mut document = json!({
            "stage": self.stage,
            "outcome": self.outcome,
            "exit_code": self.exit,
            "release": self.release,
            "steps": steps,
            "warnings": self.warnings,
            "facts": facts,
            "tables": tables,
        });
        for (key, value) in &self.more {
            document[key] = value.clone();
        }
        document
    }

    /// Gives the answer, if there is one, as `--format` wants it. All that a dry run does with a report.
    pub fn tell_answer(&self, ui: &Ui) {
        match (&self.answer, ui.format()) {
            (None, _) => {}
            (Some(text), Format::Text) => ui.data(text),
            (Some(_), Format::Json) => {
                ui.data(&ui.mask().apply_json(&self.json()).to_string());
            }
        }
    }

    /// What a terminal shows below the finished steps: result, tables, facts, warnings and failures.
    pub fn text(&self, columns: usize) -> String {
        let mut blocks = Vec::new();
        for table in &self.tables {
            blocks.push(table.text(columns));
        }
        if !self.facts.is_empty() {
            blocks.push(table::aligned(&self.facts, columns));
        }
        blocks.extend(Some(self.failures_text()).filter(|text| !text.is_empty()));
        blocks.extend(findings::of_the_others(&self.steps, FINDINGS_MAX));
        blocks.extend(self.warnings.iter().map(|text| format!("warning: {text}")));
        blocks.push(self.last_line());
        blocks.join("\n\n")
    }

    fn failures_text(&self) -> String {
        let failures = self.steps.iter().filter(|s| s.status == Status::Failed);
        let errors: Vec<String> = failures
            .map(|step| findings::below_error(step, FINDINGS_MAX))
            .filter(|text| !text.is_empty())
            .collect();
        errors.join("\n\n")
    }

    /// Markdown for GitHub's summary page.
    pub fn summary_markdown(&self) -> String {
        markdown::summary(self)
    }

    /// Tells all four readers. Fails when a file cannot be written; the terminal and stdout have been served by then.
    pub fn write(&self, env: &Env, ui: &Ui, root: &Path) -> anyhow::Result<PathBuf> {
        let mask = ui.mask();
        let json = serde_json::to_string_pretty(&mask.apply_json(&self.json()))?;
        if self.answer.is_some() && ui.format() == Format::Text {
            self.tell_answer(ui);
        } else if self.answer.is_none() {
            ui.report(&self.text(ui.columns()), &self.failures_text());
        }
        findings::annotate(ui, &self.steps);
        if ui.format() == Format::Json {
            ui.data(&json);
        }
        if let Some(path) = env.var("GITHUB_STEP_SUMMARY") {
            append(path, &mask.apply(&self.summary_markdown()))?;
        }
        if let Some(path) = env.var("GITHUB_OUTPUT") {
            append(path, &mask.apply(&self.github_output()))?;
        }
        let folder = root.join(".xtask/reports");
        let path = folder.join(format!("{}.json", self.stage));
        if !self.stored {
            return Ok(path);
        }
        std::fs::create_dir_all(&folder)
            .and_then(|()| write_whole(&path, &format!("{json}\n")))
            .map_err(|error| unwritable(&path.display().to_string(), &error))?;
        Ok(path)
    }

    /// `name=value` lines; a value is one line, so it can start no second one.
    fn github_output(&self) -> String {
        let release = self.release.as_deref().unwrap_or_default();
        let one_line = |text: &str| text.replace(['\n', '\r'], " ");
        let mut text = format!(
            "stage={}\noutcome={}\nrelease={}\n",
            one_line(&self.stage),
            self.outcome.word(),
            one_line(release)
        );
        for (name, value) in &self.outputs {
            text.push_str(&format!("{name}={}\n", one_line(value)));
        }
        text
    }

    /// `deploy: success, release r-1, 14 steps (10 passed, 4 skipped) in 12.3s`
    fn last_line(&self) -> String {
        let mut line = format!("{}: {}", self.stage, self.outcome.word());
        if let Some(release) = &self.release {
            line.push_str(&format!(", release {release}"));
        }
        if self.steps.is_empty() {
            return line;
        }
        line.push_str(&format!(", {}", self.counts()));
        if let Some((from, to)) = self.span() {
            let whole = to.duration_since(from).unwrap_or_default();
            line.push_str(&format!(" in {}", human_duration(whole)));
        }
        line
    }

    /// `14 steps (10 passed, 4 skipped)`
    fn counts(&self) -> String {
        let all = [
            Status::Passed,
            Status::Cached,
            Status::Skipped,
            Status::Warning,
            Status::Failed,
            Status::Blocked,
            Status::Cancelled,
        ];
        let counts: Vec<String> = all
            .into_iter()
            .map(|status| {
                (
                    status,
                    self.steps.iter().filter(move |s| s.status == status),
                )
            })
            .map(|(status, steps)| (status, steps.count()))
            .filter(|(_, count)| *count > 0)
            .map(|(status, count)| format!("{count} {}", status.word()))
            .collect();
        let plural = if self.steps.len() == 1 { "" } else { "s" };
        format!("{} step{plural} ({})", self.steps.len(), counts.join(", "))
    }

    /// From the start of the first step to the end of the last.
    fn span(&self) -> Option<(std::time::SystemTime, std::time::SystemTime)> {
        let from = self.steps.iter().map(|step| step.started).min()?;
        let to = self.steps.iter().map(|s| s.started + s.duration).max()?;
        Some((from, to))
    }
}

fn step_json(step: &StepReport) -> Value {
    json!({
        "id": step.id,
        "goal": step.goal,
        "group": step.group,
        "worker": step.worker,
        "status": step.status,
        "started": humantime::format_rfc3339_millis(step.started).to_string(),
        "duration_ms": step.duration.as_millis() as u64,
        "attempts": step.attempts,
        "note": step.note,
        "error": step.error,
        "exit_code": step.exit.map(|exit| exit as u8),
        "output": step.output,
    })
}

/// Renamed into place: a killed run, a full disk or a second run leaves a whole report or none.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written
}

fn append(path: &str, text: &str) -> anyhow::Result<()> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| unwritable(path, &error).into())
}

fn unwritable(path: &str, error: &std::io::Error) -> Fail {
    Fail::setup(format!("the report could not be written to `{path}`"))
        .why(error.to_string())
        .fix("make room on the disk, or make the folder writable")
}
