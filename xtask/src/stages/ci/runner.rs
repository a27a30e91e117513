//! Runs the steps of `ci`: takes what passed before on the same inputs from the cache, and judges everything else by its
//! exit code *and* by what it printed, so that no script can report success over an error.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cache::{self, Entry, Store, Tree};
use crate::config::{Allow, Audit, BUNDLE_RAW_BYTES_MAX, Date, allowed, allowed_before};
use crate::context::Ctx;
use crate::env::Env;
use crate::error::Fail;
use crate::findings::{
    self, Base, Finding, Severity, sql, tsc, vitest, wrangler as wrangler_output,
};
use crate::plan::{Action, Command, Step};
use crate::run::{Io, Runner};
use crate::stages::ci::audit;
use crate::stages::ci::plan::{CiPlan, Kind};
use crate::stages::ci::sizes::Sizes;
use crate::tools::process::{self, Finished};
use crate::tools::wrangler;
use crate::workspace::Workspace;

/// Runs one plan.
pub struct CiRunner<'a> {
    /// The run's flags and surroundings.
    pub ctx: &'a Ctx,
    /// What programs see: PATH begins with the repo's own. It is in no cache key, as it differs from shell to shell.
    pub env: Env,
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

/// What a program's run amounts to.
struct Judged {
    output: Value,
    findings: Vec<Finding>,
    /// What went wrong when there is no finding to tell it.
    failure: Option<String>,
    note: Option<String>,
    /// False when the result must not be kept: the next run has to ask again.
    lasts: bool,
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
        if let Some(note) = &note {
            io.note(note);
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

    fn warn(&self, text: String) {
        self.warnings
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(text);
    }

    fn judge(&self, step: &Step, io: &Io) -> anyhow::Result<Judged> {
        let kind = self
            .ci
            .kinds
            .get(&step.id)
            .with_context(|| format!("`{}` has no kind", step.id))?;
        let command = match &step.action {
            Action::Command(command) => command,
            _ => return Ok(self.judge_config()),
        };
        self.clear_outputs(kind, command)?;
        let finished = match kind {
            // An audit's stdout is data, not something to read.
            Kind::Audit(_) | Kind::CargoAudit => {
                process::run_with_stdin(command, &self.env, io, step.timeout, "")?
            }
            _ => process::run(command, &self.env, io, step.timeout)?,
        };
        let base = Base {
            root: &self.ctx.root,
            cwd: &command.cwd,
        };
        let text = format!("{}\n{}", finished.stdout, finished.stderr);
        let mut judged = Judged {
            output: json!({}),
            findings: Vec::new(),
            failure: (!finished.success()).then(|| finished.ending()),
            note: None,
            lasts: true,
        };
        match kind {
            Kind::TypeCheck => judged.findings = tsc::parse(&text, base),
            Kind::Types | Kind::Config => {
                judged.findings = wrangler_output::parse(&text, base, None)
            }
            Kind::Build { worker } => self.judge_build(worker, command, &text, base, &mut judged),
            Kind::Vitest { report } => judge_vitest(report, &text, base, &mut judged)?,
            Kind::Audit(install) => {
                let policy = self.audit_policy();
                judged.take(audit::packages(
                    install,
                    &finished,
                    &policy,
                    self.today,
                    &self.ctx.root,
                ));
            }
            Kind::CargoAudit => {
                let policy = self.audit_policy();
                judged.take(audit::crates(
                    &finished,
                    &policy,
                    self.today,
                    &self.ctx.root,
                ));
            }
            Kind::Migrations => self.judge_migrations(&finished, base, &mut judged),
            Kind::Install | Kind::Program => {}
        }
        if judged.failure.is_some() && judged.findings.is_empty() {
            judged.failure = Some(format!(
                "{}\n{}",
                judged.failure.unwrap_or_default(),
                finished.tail(15)
            ));
        }
        Ok(judged)
    }

    fn audit_policy(&self) -> Audit {
        self.workspace
            .map_or_else(Audit::default, |workspace| workspace.pipeline.audit.clone())
    }

    fn judge_config(&self) -> Judged {
        Judged {
            output: json!({}),
            findings: self.problems.clone(),
            failure: None,
            note: None,
            lasts: true,
        }
    }

    /// Files of an earlier run must not be taken for this one's.
    fn clear_outputs(&self, kind: &Kind, command: &Command) -> anyhow::Result<()> {
        let results = command.env.get(wrangler::OUTPUT_VARIABLE).map(Path::new);
        let report = if let Kind::Vitest { report } = kind {
            Some(report.as_path())
        } else {
            None
        };
        for file in results.into_iter().chain(report) {
            let _ = std::fs::remove_file(file);
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("failed to make {}", folder.display()))?;
            }
        }
        Ok(())
    }

    /// Errors of the bundler with their places, and the bundle's size against its budget and the last known size.
    fn judge_build(
        &self,
        worker: &str,
        command: &Command,
        text: &str,
        base: Base<'_>,
        judged: &mut Judged,
    ) {
        let config = self
            .workspace
            .and_then(|workspace| workspace.workers.iter().find(|each| each.name == worker));
        let shown = config.and_then(|worker| worker.config_path.strip_prefix(base.root).ok());
        let text_of_config =
            config.and_then(|worker| std::fs::read_to_string(&worker.config_path).ok());
        judged.findings = wrangler_output::parse(text, base, text_of_config.as_deref());
        let results = command
            .env
            .get(wrangler::OUTPUT_VARIABLE)
            .map(std::fs::read_to_string);
        let Some((raw, gzip)) = results
            .and_then(Result::ok)
            .and_then(|text| wrangler::bundle_size(&text))
        else {
            return;
        };
        judged.output = json!({"raw_bytes": raw, "gzip_bytes": gzip});
        let sizes = self
            .sizes
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        judged.note = Some(sizes.note(worker, gzip));
        let Some(workspace) = self.workspace else {
            return;
        };
        let own = workspace
            .pipeline
            .workers
            .iter()
            .find(|(name, _)| name == worker);
        let limit = workspace
            .pipeline
            .bundle
            .gzip_bytes_max(own.and_then(|(_, entry)| entry.bundle_max_gzip));
        if gzip > limit || raw > BUNDLE_RAW_BYTES_MAX {
            let message =
                format!("the bundle of {worker} is {gzip} bytes gzipped; its budget is {limit}");
            let mut finding = Finding::error(message).rule("bundle-size");
            finding.file = shown.map(Path::to_owned);
            judged.findings.push(finding);
        }
    }

    fn judge_migrations(&self, finished: &Finished, base: Base<'_>, judged: &mut Judged) {
        let answer = finished
            .stdout
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str::<Value>(line).ok());
        let Some(answer) = answer else { return };
        if answer["ok"] == true {
            judged.note = Some(format!("{} files", answer["files"]));
            return;
        }
        let file = base.relative(answer["file"].as_str().unwrap_or_default());
        let message = answer["message"].as_str().unwrap_or("it cannot be applied");
        let mut finding = sql::finding(&file, "", None, message);
        finding.line = answer["line"].as_u64().map(|line| line as u32);
        judged.findings.push(finding);
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
            (_, None) => Fail::check(format!(
                "{}, although the program reported success",
                findings::counts(found)
            )),
            (_, Some(_)) => Fail::check(findings::counts(found)),
        };
        if let Some(allow) = allowed(self.allow, &step.id, self.today) {
            io.note(&allow.text());
        } else if let Some(expired) = allowed_before(self.allow, &step.id, self.today) {
            fail = fail.why(expired.expired_text());
        }
        fail
    }
}

impl Judged {
    /// An audit's exit code says nothing: npm exits with 1 for findings and for a service that is away.
    fn take(&mut self, verdict: audit::Verdict) {
        self.failure = None;
        self.output = json!({ "exceptions": verdict.used });
        self.findings = verdict.findings;
        self.note = Some(verdict.note);
        self.lasts = verdict.answered;
    }
}

/// Failed tests with their places; a run without any test proves nothing, and the parser says so.
fn judge_vitest(
    report: &Path,
    text: &str,
    base: Base<'_>,
    judged: &mut Judged,
) -> anyhow::Result<()> {
    let written = std::fs::read_to_string(report).ok();
    let results = vitest::parse(written.as_deref(), text, base)?;
    let passed = results.count(vitest::TestStatus::Passed);
    judged.note = Some(format!("{passed} tests"));
    judged.output = json!({ "tests": results.tests });
    judged.findings = results.findings;
    for finding in &mut judged.findings {
        // Frames inside the runtime (`cloudflare-internal:d1-api`) look like files and are none.
        if finding
            .file
            .as_ref()
            .is_some_and(|file| !base.root.join(file).exists())
        {
            (finding.file, finding.line, finding.col) = (None, None, None);
        }
    }
    Ok(())
}
