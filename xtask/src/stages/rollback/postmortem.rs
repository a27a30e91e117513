//! The beginning of a post-mortem: what the records, the reports and git know of an incident, in the order of time. What it
//! means is left to people. Texts of others stand in it as text only.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use serde_json::Value;

use crate::config::Date;
use crate::context::CloudKind;
use crate::ledger::releases::{Record, Status};
use crate::report::{escape, rows};
use crate::run::StepReport;
use crate::stages::rollback::facts::Rollback;
use crate::stages::rollback::history::shown;
use crate::tools::git::{Git, Logged};
use crate::ui::human_duration;

/// More commits than this make a time line unreadable; the link between the two releases says the rest.
const COMMITS_MAX: u32 = 50;

/// Everything a post-mortem is begun with.
pub struct Incident<'a> {
    /// The record of the rollback.
    pub rollback: &'a Record,
    /// The release that serves again.
    pub target: &'a Record,
    /// The release that was left.
    pub from: Option<&'a Record>,
    /// All records, oldest first.
    pub records: &'a [Record],
    /// The commits that were taken back, newest first.
    pub commits: Vec<Logged>,
    /// The last report of `deploy`.
    pub deploy_report: Value,
    /// The steps of the rollback.
    pub steps: &'a [StepReport],
    /// When it is over.
    pub now: SystemTime,
}

struct Event {
    at: SystemTime,
    what: String,
    who: String,
}

impl Rollback<'_> {
    /// Begins a post-mortem when one is asked for, or by default in production; the path of the file.
    pub(super) fn postmortem(&self, record: &Record) -> anyhow::Result<Option<PathBuf>> {
        let wanted = match &self.options.postmortem {
            Some(_) => true,
            None => {
                let by_default = self.workspace.pipeline.rollback.postmortem;
                by_default && !self.options.no_postmortem && self.ctx.cloud == CloudKind::Cloudflare
            }
        };
        if !wanted {
            return Ok(None);
        }
        let target = &self.goal.target;
        let from = self.goal.from.as_ref().filter(|from| from.id != target.id);
        let commits = match (from, Git::open(&self.ctx.root)) {
            // A shallow clone may not have them: the time line then goes without.
            (Some(from), Ok(git)) => git.log_between(&target.sha, &from.sha, COMMITS_MAX),
            _ => Vec::new(),
        };
        let report = self.ctx.state().join("reports/deploy.json");
        let report = std::fs::read_to_string(report).unwrap_or_default();
        let none = Vec::new();
        let incident = Incident {
            rollback: record,
            target,
            from,
            records: &self.records,
            commits,
            deploy_report: serde_json::from_str(&report).unwrap_or_default(),
            steps: self
                .outcome
                .as_ref()
                .map_or(&none, |outcome| &outcome.steps),
            now: SystemTime::now(),
        };
        let asked = self.options.postmortem.clone().flatten();
        let slug = asked.unwrap_or_else(|| match from {
            Some(from) => format!("rollback-{}-to-{}", from.number, target.number),
            None => format!("rollback-to-{}", target.number),
        });
        let folder = self.ctx.root.join("docs/postmortems");
        let name = format!("{}-{}", Date::of(incident.now), file_name(&slug));
        let text = self.ctx.ui.mask().apply(&render(&incident)).into_owned();
        write_new(&folder, &name, &text, &marker(record)).map(Some)
    }
}

/// By which a rollback finds its own file again.
fn marker(record: &Record) -> String {
    format!("<!-- {} -->", record.id)
}

/// Letters, digits and dashes; nothing that leads out of the folder.
pub(super) fn file_name(slug: &str) -> String {
    let words: Vec<String> = slug
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let name: String = words.join("-").chars().take(60).collect();
    if name.is_empty() {
        return "rollback".to_owned();
    }
    name.trim_matches('-').to_owned()
}

/// Writes a new file, never over one that is there; the same rollback does not write a second one.
pub(super) fn write_new(
    folder: &Path,
    name: &str,
    text: &str,
    marker: &str,
) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("failed to make {}", folder.display()))?;
    for number in 1.. {
        let suffix = match number {
            1 => String::new(),
            number => format!("-{number}"),
        };
        let path = folder.join(format!("{name}{suffix}.md"));
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path);
        match file {
            Ok(mut file) => {
                file.write_all(text.as_bytes())
                    .with_context(|| format!("failed to write {}", path.display()))?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let there = std::fs::read_to_string(&path).unwrap_or_default();
                if there.contains(marker) {
                    return Ok(path);
                }
            }
            Err(error) => {
                return Err(error).with_context(|| format!("failed to write {}", path.display()));
            }
        }
    }
    unreachable!("some number is free");
}

/// The document.
pub fn render(incident: &Incident<'_>) -> String {
    let Incident {
        rollback,
        target,
        from,
        now,
        ..
    } = incident;
    let left = from.map_or_else(|| "what served".to_owned(), shown);
    let release = |record: &Record| {
        let commit = record.sha.get(..7).unwrap_or(&record.sha);
        let (subject, author) = (&record.subject, &record.author);
        format!("{}: {commit} {subject} ({author})", shown(record))
    };
    let mut facts = vec![
        vec!["Left".to_owned(), from.map_or(left.clone(), release)],
        vec!["Serves again".to_owned(), release(target)],
        vec!["Rolled back by".to_owned(), rollback.by.clone()],
        vec!["Rolled back at".to_owned(), rollback.created_at.clone()],
    ];
    if let Some(url) = &rollback.run_url {
        facts.push(vec!["Run".to_owned(), url.clone()]);
    }
    let began = from.and_then(|from| humantime::parse_rfc3339(&from.created_at).ok());
    let served = began.and_then(|began| now.duration_since(began).ok());
    if let Some(served) = served {
        facts.push(vec!["Served for".to_owned(), human_duration(served)]);
    }
    let table = |headings: [&str; 3], events: Vec<Vec<String>>| {
        rows(&headings.map(str::to_owned), events.into_iter())
    };
    let events = timeline(incident).into_iter().map(|event| {
        let at = humantime::format_rfc3339_seconds(event.at).to_string();
        vec![at, event.what, event.who]
    });
    let heading = format!("# {}: {} → {}", Date::of(*now), left, shown(target));
    [
        format!("{}\n{}", marker(rollback), escape_heading(&heading)),
        rows(&["".to_owned(), "".to_owned()], facts.into_iter()),
        "## Impact\n\n_Who noticed what, from when to when? To be written._".to_owned(),
        "## Time line (UTC)".to_owned(),
        table(["Time", "What", "Who"], events.collect()),
        "## Root cause\n\n_To be written._".to_owned(),
        "## Prevention\n\n- [ ] _What makes this impossible, or seen sooner? To be written._"
            .to_owned(),
    ]
    .join("\n\n")
        + "\n"
}

fn escape_heading(heading: &str) -> String {
    format!("# {}", escape(heading.trim_start_matches("# ")))
}

fn timeline(incident: &Incident<'_>) -> Vec<Event> {
    let at = |text: &str| humantime::parse_rfc3339(text).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut events = Vec::new();
    for commit in &incident.commits {
        events.push(Event {
            at: SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(commit.committed_at),
            what: format!(
                "commit {} {}",
                commit.sha.get(..7).unwrap_or(&commit.sha),
                commit.subject
            ),
            who: commit.author.clone(),
        });
    }
    let since = incident.records.iter().filter(|record| {
        record.number >= incident.target.number && record.id != incident.rollback.id
    });
    for record in since {
        let mut what = match (&record.status, &record.rollback) {
            (Status::Live, None) => format!("release {} went live", shown(record)),
            (Status::RolledBack, None) => {
                format!("release {} failed and was put back", shown(record))
            }
            (Status::Partial, None) => format!("release {} was left part-way", shown(record)),
            (_, Some(rollback)) => format!("rollback {} to {}", shown(record), rollback.to),
        };
        for line in &record.failed {
            what.push_str(&format!("; {line}"));
        }
        events.push(Event {
            at: at(&record.created_at),
            what,
            who: record.by.clone(),
        });
        if incident.deploy_report["release"] == record.id.as_str() {
            events.extend(failed_steps(&incident.deploy_report, &record.by));
        }
    }
    for step in incident.steps.iter().filter(|step| step.attempts > 0) {
        let note = step.note.as_deref().unwrap_or_default();
        let said = step.error.as_deref().and_then(|error| error.lines().nth(1));
        let more = said.map_or(note, str::trim);
        let result = format!("{}: {} {more}", step.id, step.status.word());
        events.push(Event {
            at: step.started,
            what: result.trim().to_owned(),
            who: incident.rollback.by.clone(),
        });
    }
    events.sort_by_key(|event| event.at);
    events
}

/// The failed steps of a report, with the time each began.
fn failed_steps(report: &Value, by: &str) -> Vec<Event> {
    let steps = report["steps"].as_array().into_iter().flatten();
    let failed = steps.filter(|step| step["status"] == "failed");
    failed
        .filter_map(|step| {
            let error = step["error"].as_str().unwrap_or_default();
            let why = error.lines().nth(1).unwrap_or_default().trim();
            Some(Event {
                at: humantime::parse_rfc3339(step["started"].as_str()?).ok()?,
                what: format!("{}: failed {why}", step["id"].as_str()?),
                who: by.to_owned(),
            })
        })
        .collect()
}
