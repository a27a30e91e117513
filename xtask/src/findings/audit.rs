//! Known vulnerabilities in dependencies: one shape for what all package managers report, and what `pipeline.toml` makes
//! of it. That a service did not answer is an outcome of its own, never an empty list.

mod cargo;
mod lock;
mod node;
mod said;

use std::path::Path;

use serde_json::Value;

pub use self::cargo::cargo;
pub use self::node::{bun, npm, pnpm, worst, yarn_berry, yarn_classic};
use self::said::said;
use super::{Finding, Severity};
use crate::config::{Audit, AuditException, AuditLevel, Date, Offline, Word as _};

/// What an audit came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The service answered; no advisories means nothing is known.
    Advisories(Vec<Advisory>),
    /// The service could not be reached or did not answer sensibly: nothing is known either way.
    NoAnswer(String),
    /// The tool could not even ask (no lockfile, a broken one): a mistake of the repo.
    Refused(String),
}

/// One known vulnerability of one package.
#[derive(Clone, Debug, PartialEq)]
pub struct Advisory {
    /// `GHSA-…` or `RUSTSEC-…`; else the service's own number.
    pub id: String,
    /// Other names of the same: CVE numbers, npm's number.
    pub aliases: Vec<String>,
    /// How bad it is.
    pub severity: AuditLevel,
    /// True for news that are no vulnerability: unmaintained, deprecated, yanked. These never fail an audit.
    pub informational: bool,
    /// The package.
    pub package: String,
    /// What is wrong with it.
    pub title: String,
    /// The versions it is about.
    pub range: String,
    /// How the repo comes by it: `a > b > c`.
    pub path: String,
    /// Where to read more.
    pub url: String,
    /// The first versions without it, or what the tool says about a fix.
    pub fixed_in: Option<String>,
}

impl Advisory {
    /// True when an exception means this advisory.
    fn is_called(&self, id: &str) -> bool {
        let names = std::iter::once(&self.id).chain(&self.aliases);
        names.into_iter().any(|name| name.eq_ignore_ascii_case(id))
    }
}

/// What `pipeline.toml` makes of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// Errors fail the audit; warnings do not.
    pub findings: Vec<Finding>,
    /// The exceptions that applied, by id.
    pub used: Vec<String>,
}

impl Judgement {
    /// True when the audit failed.
    pub fn failed(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }
}

/// Applies threshold and exceptions. `lockfile` is what was audited: path relative to the root, and text.
pub fn judge(policy: &Audit, answer: &Answer, today: Date, lockfile: (&Path, &str)) -> Judgement {
    let mut judgement = Judgement::default();
    match answer {
        Answer::Advisories(advisories) => {
            for advisory in advisories {
                judgement.take(policy, advisory, today, lockfile);
            }
        }
        Answer::NoAnswer(reason) => {
            let severity = match policy.offline {
                Offline::Warn => Severity::Warning,
                Offline::Fail => Severity::Error,
            };
            let message = format!(
                "the advisory service did not answer, so nothing is known about this lockfile\n{reason}"
            );
            judgement
                .findings
                .push(Finding::new(severity, message).in_file(lockfile.0));
        }
        Answer::Refused(reason) => {
            let message = format!("the dependencies could not be audited\n{reason}");
            judgement
                .findings
                .push(Finding::error(message).in_file(lockfile.0));
        }
    }
    judgement.findings.sort_by_key(|finding| finding.severity);
    judgement
}

impl Judgement {
    fn take(&mut self, policy: &Audit, advisory: &Advisory, today: Date, lockfile: (&Path, &str)) {
        let excepts = policy
            .except
            .iter()
            .filter(|except| advisory.is_called(&except.id));
        let except = excepts.max_by_key(|except| except.until);
        let severe = !advisory.informational && advisory.severity >= policy.level;
        let mut message = advisory.text();
        let severity = match except {
            Some(except) if except.until >= today => {
                message.push_str(&format!(
                    "\ntolerated until {}: {}",
                    except.until, except.reason
                ));
                Severity::Notice
            }
            Some(except) => {
                message.push_str(&format!(
                    "\nits exception in pipeline.toml:{} ended on {} ({})",
                    except.at.line, except.until, except.reason
                ));
                if severe {
                    Severity::Error
                } else {
                    Severity::Warning
                }
            }
            None if severe => Severity::Error,
            None => Severity::Warning,
        };
        self.used.extend(except.map(|except| except.id.clone()));
        let finding = Finding::new(severity, message)
            .in_file(lockfile.0)
            .rule(&advisory.id);
        let line = line_of(lockfile.1, &advisory.package);
        self.findings.push(finding.at(line.unwrap_or(0), 0));
    }
}

/// One warning per exception that no audit used, and per expired one. `used` are the exceptions of all audits.
pub fn idle_exceptions(policy: &Audit, used: &[String], today: Date) -> Vec<Finding> {
    let warning = |except: &AuditException, why: String| {
        let place = |number: usize| u32::try_from(number).unwrap_or(0);
        Finding::warning(format!("the audit exception for {} {why}", except.id))
            .in_file("pipeline.toml")
            .at(place(except.at.line), place(except.at.col))
    };
    let excepts = policy.except.iter().filter_map(|except| {
        if !used.contains(&except.id) {
            let why = "is about nothing that was found; remove it".to_owned();
            return Some(warning(except, why));
        }
        let ended = except.until < today;
        ended.then(|| {
            warning(
                except,
                format!(
                    "ended on {}; update the package, or justify a later day",
                    except.until
                ),
            )
        })
    });
    excepts.collect()
}

impl Advisory {
    fn text(&self) -> String {
        let kind = if self.informational {
            "note"
        } else {
            self.severity.word()
        };
        let mut text = format!("{kind}: {} ({}", self.title, self.package);
        if !self.range.is_empty() {
            text.push_str(&format!(" {}", self.range));
        }
        text.push(')');
        if !self.path.is_empty() && self.path != self.package {
            text.push_str(&format!("\nvia {}", self.path));
        }
        if let Some(fixed_in) = &self.fixed_in {
            text.push_str(&format!("\nfix: {fixed_in}"));
        }
        if !self.url.is_empty() {
            text.push_str(&format!("\n{}", self.url));
        }
        text
    }
}

/// The first line of a lockfile that is about a package, in the layouts of npm, pnpm, yarn, bun and cargo.
fn line_of(lockfile: &str, package: &str) -> Option<u32> {
    let npm = format!("node_modules/{package}\"");
    let cargo = format!("name = \"{package}\"");
    let others = [
        format!("{package}@"),
        format!("\"{package}@"),
        format!("/{package}@"),
        format!("'{package}@"),
        format!("\"{package}\":"),
    ];
    let is_about = |line: &str| {
        let trimmed = line.trim_start();
        line.contains(&npm)
            || trimmed == cargo
            || others.iter().any(|begin| trimmed.starts_with(begin))
    };
    let index = lockfile.lines().position(is_about)?;
    u32::try_from(index + 1).ok()
}

fn text_of<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A number or a text, as text.
fn name_of(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A severity in npm's words; one that is not known counts as high, so that news are never overlooked.
fn level(word: &str) -> AuditLevel {
    match word {
        "info" | "none" => AuditLevel::Low,
        word => {
            let mut all = AuditLevel::ALL.iter().copied();
            all.find(|level| level.word() == word)
                .unwrap_or(AuditLevel::High)
        }
    }
}

/// The tool answered nothing that can be read.
fn silence(stdout: &str, stderr: &str) -> Answer {
    Answer::NoAnswer(said(stdout, stderr))
}

#[cfg(test)]
mod tests;
