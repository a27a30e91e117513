//! Runs the steps of `ci`: takes what passed before on the same inputs from the cache, and judges everything else by its
//! exit code *and* by what it printed, so that no script can report success over an error.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use serde_json::Value;

use crate::cache::{self, Entry, Store, Tree};
use crate::config::{Allow, Date, allowed, allowed_before};
use crate::context::Ctx;
use crate::env::Env;
use crate::error::Fail;
use crate::findings::{self, Finding, Severity};
use crate::plan::Step;
use crate::run::{Io, Runner};
use crate::stages::ci::judge::BUNDLE_SIZE;
use crate::stages::ci::plan::{CiPlan, Kind};
use crate::stages::ci::sizes::Sizes;
use crate::workspace::Workspace;

/// Runs one plan.
pub struct CiRunner<'a> {
    /// The run's flags and surroundings.
    pub ctx: &'a Ctx,
    /// What programs see, but for PATH.
    pub env: Env,
    /// The Node of the repo.
    pub node: PathBuf,
    /// The plan.
    pub ci: &'a CiPlan,
    /// The repo; `None` when its configs cannot be read.
    pub workspace: Option<&'a Workspace>,
    /// What is wrong with the configs.
    pub problems: Vec<Finding>,
    /// The contents of the files; `None` when git cannot tell, and then nothing is cached.
    pub tree: Option<Tree>,
    /// Results of earlier runs.
    pub store: Store,
    /// False with `--no-cache`: results are kept, but none is used.
    pub read_cache: bool,
    /// The policies in force.
    pub allow: &'a [Allow],
    /// Today, in UTC.
    pub today: Date,
    /// Bundle sizes, of the last run and of this one.
    pub sizes: Mutex<Sizes>,
    /// Why results could not be kept.
    pub warnings: Mutex<Vec<String>>,
}

impl Runner for CiRunner<'_> {
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value> {
        let key = self.key(step);
        if let Some(entry) = key
            .as_deref()
            .filter(|_| self.read_cache)
            .and_then(|key| self.hit(step, key))
        {
            io.cached(
                entry
                    .note
                    .as_deref()
                    .unwrap_or("same inputs as a run that passed"),
            );
            self.remember_size(step, &entry.output);
            return Ok(entry.output);
        }
        let started = Instant::now();
        let judged = self.judge(step, io)?;
        let errors = judged
            .findings
            .iter()
            .any(|finding| finding.severity == Severity::Error);
        let output = findings::into_output(judged.output, &judged.findings);
        if errors || judged.failure.is_some() {
            io.attach(output);
            return Err(self
                .failed(step, io, &judged.findings, judged.failure)
                .into());
        }
        let note = judged
            .note
            .or_else(|| Some(findings::counts(&judged.findings)).filter(|text| !text.is_empty()));
        match (&judged.doubt, &note) {
            (Some(doubt), _) => io.doubtful(doubt),
            (None, Some(note)) => io.note(note),
            (None, None) => {}
        }
        self.remember_size(step, &output);
        if let Some(key) = key.filter(|_| judged.lasts) {
            let took = started.elapsed().as_millis() as u64;
            self.keep(step, &key, note, &output, took);
        }
        Ok(output)
    }
}

impl CiRunner<'_> {
    fn key(&self, step: &Step) -> Option<String> {
        Some(cache::key(
            step,
            self.ci.inputs.get(&step.id)?,
            self.tree.as_ref()?,
        ))
    }

    fn hit(&self, step: &Step, key: &str) -> Option<Entry> {
        self.store
            .hit(key, &self.ctx.root, self.ci.inputs.get(&step.id)?)
    }

    /// Keeps a passed step's result, unless a file it was made from was written meanwhile.
    fn keep(&self, step: &Step, key: &str, note: Option<String>, output: &Value, duration_ms: u64) {
        let (Some(tree), Some(inputs)) = (&self.tree, self.ci.inputs.get(&step.id)) else {
            return;
        };
        let entry = Entry {
            step: step.id.clone(),
            passed_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            duration_ms,
            note,
            output: output.clone(),
            outputs: None,
        };
        let trouble = match tree.what_changed(inputs) {
            Some(what) => Some(format!("`{}` is not cached: {what} while it ran", step.id)),
            None => self.store.put(key, &entry).err(),
        };
        if let Some(trouble) = trouble {
            self.warn(trouble);
        }
    }

    pub(super) fn warn(&self, text: String) {
        self.warnings
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(text);
    }

    fn remember_size(&self, step: &Step, output: &Value) {
        if let (Some(Kind::Build { worker }), Some(gzip)) =
            (self.ci.kinds.get(&step.id), output["gzip_bytes"].as_u64())
        {
            self.sizes
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .set(worker, gzip);
        }
    }

    /// True when a program that finds something is meant to say so by its exit code. An audit's is not asked, and the
    /// configs are read by no program.
    fn hides(&self, step: &Step) -> bool {
        let kind = self.ci.kinds.get(&step.id);
        !matches!(
            kind,
            Some(Kind::Audit(_) | Kind::CargoAudit | Kind::Config) | None
        )
    }

    /// The step's error: how many findings (the report lists them), or how the program ended; and the policy that applies or applied.
    fn failed(&self, step: &Step, io: &Io, found: &[Finding], failure: Option<String>) -> Fail {
        let errors: Vec<&Finding> = found
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .collect();
        let mut fail = match (errors.len(), &failure) {
            (0, Some(failure)) => {
                let (first, rest) = failure.split_once('\n').unwrap_or((failure, ""));
                Fail::check(first).why(io.mask().apply(rest))
            }
            (_, None) if self.hides(step) && errors.iter().any(|error| !is_ours(error)) => {
                Fail::check(format!(
                    "{}, although the program reported success",
                    findings::counts(found)
                ))
            }
            _ => Fail::check(findings::counts(found)),
        };
        if let Some(allow) = allowed(self.allow, &step.id, self.today) {
            io.note(&allow.text());
        } else if let Some(expired) = allowed_before(self.allow, &step.id, self.today) {
            fail = fail.why(expired.expired_text());
        }
        fail
    }
}

/// True for what we found and no program could have reported.
fn is_ours(finding: &Finding) -> bool {
    finding.rule.as_deref() == Some(BUNDLE_SIZE)
}
