//! Problems with a place: what compilers, test runners and audits said, in one shape that reports and annotations
//! share. Reads the output of those tools; never runs them.

pub mod audit;
pub mod sql;
pub mod tsc;
pub mod vitest;
pub mod wrangler;

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One problem that a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The file, relative to the repo's root when it is inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub col: Option<u32>,
    /// How bad it is.
    pub severity: Severity,
    /// What the tool calls it: `TS2322`, `GHSA-…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What is wrong; more lines give details.
    pub message: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The check fails because of it.
    Error,
    /// Worth knowing; the check does not fail because of it.
    Warning,
    /// For the record.
    Notice,
}

impl Severity {
    /// The word in reports; also the name of GitHub's annotation command.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
        }
    }
}

impl Finding {
    /// A problem without a place.
    pub fn new(severity: Severity, message: impl Into<String>) -> Finding {
        Finding {
            file: None,
            line: None,
            col: None,
            severity,
            rule: None,
            message: message.into(),
        }
    }

    /// An error without a place.
    pub fn error(message: impl Into<String>) -> Finding {
        Finding::new(Severity::Error, message)
    }

    /// A warning without a place.
    pub fn warning(message: impl Into<String>) -> Finding {
        Finding::new(Severity::Warning, message)
    }

    /// Says which file it is about.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<PathBuf>) -> Finding {
        self.file = Some(file.into());
        self
    }

    /// Says where in the file; 0 stands for unknown.
    #[must_use]
    pub fn at(mut self, line: u32, col: u32) -> Finding {
        self.line = Some(line).filter(|line| *line > 0);
        self.col = Some(col).filter(|col| *col > 0 && self.line.is_some());
        self
    }

    /// Says what the tool calls it.
    #[must_use]
    pub fn rule(mut self, rule: impl Into<String>) -> Finding {
        self.rule = Some(rule.into());
        self
    }

    /// The first line of the message.
    pub fn headline(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

impl fmt::Display for Finding {
    /// `path:line:col: error TS2322: message`, further lines indented: the form editors can jump to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            for number in [self.line, self.col].into_iter().flatten() {
                write!(f, ":{number}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(self.severity.word())?;
        if let Some(rule) = &self.rule {
            write!(f, " {rule}")?;
        }
        let mut lines = self.message.lines();
        write!(f, ": {}", lines.next().unwrap_or_default())?;
        for line in lines {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

/// The findings in a step's output; none when it has none, or they were written by something else.
pub fn of_output(output: &Value) -> Vec<Finding> {
    let list = output.get("findings").and_then(Value::as_array);
    let list = list.map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter_map(|finding| Finding::deserialize(finding).ok())
        .collect()
}

/// A step's output with its findings added. An output that is no object is kept as `result`.
pub fn into_output(output: Value, findings: &[Finding]) -> Value {
    let mut fields = match output {
        Value::Null => serde_json::Map::new(),
        Value::Object(fields) => fields,
        other => serde_json::Map::from_iter([("result".to_owned(), other)]),
    };
    if !findings.is_empty() {
        fields.insert("findings".to_owned(), json!(findings));
    }
    Value::Object(fields)
}

/// `2 errors and 1 warning`; empty for none.
pub fn counts(findings: &[Finding]) -> String {
    let all = [Severity::Error, Severity::Warning, Severity::Notice];
    let counts: Vec<String> = all
        .into_iter()
        .filter_map(|severity| {
            let count = findings.iter().filter(|f| f.severity == severity).count();
            let plural = if count == 1 { "" } else { "s" };
            (count > 0).then(|| format!("{count} {}{plural}", severity.word()))
        })
        .collect();
    counts.join(" and ")
}

/// Where the repo's root is and where a tool ran, so that the paths it printed can be told relative to the root.
#[derive(Clone, Copy, Debug)]
pub struct Base<'p> {
    /// The repo's root, absolute.
    pub root: &'p Path,
    /// The folder the tool ran in, absolute.
    pub cwd: &'p Path,
}

impl Base<'_> {
    /// A path that a tool printed, relative to the root when it is inside; else as it is.
    pub fn relative(&self, printed: &str) -> PathBuf {
        let printed = printed.strip_prefix("file://").unwrap_or(printed);
        let absolute = normal(&self.cwd.join(printed));
        match absolute.strip_prefix(normal(self.root)) {
            Ok(relative) if !relative.as_os_str().is_empty() => relative.to_owned(),
            _ => absolute,
        }
    }
}

/// A path without `.` and `..`, by its text alone: the file may be gone.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_editors_expect() {
        let finding = Finding::error("Type 'number' is not assignable\n  to 'string'")
            .in_file("src/index.ts")
            .at(12, 3)
            .rule("TS2322");
        assert_eq!(
            finding.to_string(),
            "src/index.ts:12:3: error TS2322: Type 'number' is not assignable\n      to 'string'"
        );
        assert_eq!(
            Finding::warning("x").in_file("a b.ts").to_string(),
            "a b.ts: warning: x"
        );
        assert_eq!(Finding::error("").at(0, 4).to_string(), "error: ");
    }

    #[test]
    fn findings_travel_in_a_steps_output() {
        let findings = [
            Finding::error("a").in_file("x.ts").at(1, 2),
            Finding::warning("b"),
        ];
        let output = into_output(json!({"gzip": 12}), &findings);
        assert_eq!(
            output.to_string(),
            r#"{"gzip":12,"findings":[{"file":"x.ts","line":1,"col":2,"severity":"error","message":"a"},{"severity":"warning","message":"b"}]}"#
        );
        assert_eq!(of_output(&output), findings);
        assert_eq!(into_output(Value::Null, &[]), json!({}));
        assert_eq!(into_output(json!([1]), &[]), json!({"result": [1]}));
        assert_eq!(of_output(&json!({"findings": [{"severity": 1}, 7]})), []);
        assert_eq!(counts(&findings), "1 error and 1 warning");
    }

    #[test]
    fn printed_paths_are_told_from_the_root() {
        let base = Base {
            root: Path::new("/repo"),
            cwd: Path::new("/repo/workers/main"),
        };
        for (printed, expected) in [
            ("src/index.ts", "workers/main/src/index.ts"),
            ("./src/../a.ts", "workers/main/a.ts"),
            ("../shared/x.ts", "workers/shared/x.ts"),
            ("/repo/workers/main/a.ts", "workers/main/a.ts"),
            ("file:///repo/a.ts", "a.ts"),
            ("../../../elsewhere/a.ts", "/elsewhere/a.ts"),
        ] {
            assert_eq!(base.relative(printed), Path::new(expected), "{printed}");
        }
    }
}
