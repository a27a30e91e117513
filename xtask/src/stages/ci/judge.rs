//! Runs a step's program and says what it amounts to: by its exit code, by what it printed and by the files it left.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::config::{Audit, BUNDLE_RAW_BYTES_MAX};
use crate::env::Env;
use crate::findings::{Base, Finding, sql, tsc, vitest, wrangler as wrangler_output};
use crate::plan::{Action, Command, Step};
use crate::run::Io;
use crate::stages::ci::packages::Install;
use crate::stages::ci::plan::Kind;
use crate::stages::ci::runner::CiRunner;
use crate::stages::ci::{audit, facts, packages};
use crate::stages::install;
use crate::tools::process::{self, Finished};
use crate::tools::wrangler;

/// The rule of a bundle above its budget.
pub(super) const BUNDLE_SIZE: &str = "bundle-size";

/// What a program's run amounts to.
pub(super) struct Judged {
    pub(super) output: Value,
    pub(super) findings: Vec<Finding>,
    /// What went wrong when there is no finding to tell it.
    pub(super) failure: Option<String>,
    pub(super) note: Option<String>,
    /// False when the result must not be kept: the next run has to ask again.
    pub(super) lasts: bool,
    /// Why nobody knows whether all is well, when nothing is known to be wrong.
    pub(super) doubt: Option<String>,
}

impl CiRunner<'_> {
    /// Runs a step's program and reads what it left.
    pub(super) fn judge(&self, step: &Step, io: &Io) -> anyhow::Result<Judged> {
        let kind = self
            .ci
            .kinds
            .get(&step.id)
            .with_context(|| format!("`{}` has no kind", step.id))?;
        let command = match &step.action {
            // Only now, with everything installed, can be seen where wrangler is.
            Action::Command(command) => &wrangler::settled(&self.ctx.root, command),
            _ => return Ok(self.judge_config()),
        };
        if let Kind::Install(_) = kind {
            install::refuse_link(&command.cwd)?;
        }
        self.clear_outputs(kind, command)?;
        let finished = match kind {
            // An audit's stdout is data, not something to read.
            Kind::Audit(_) | Kind::CargoAudit => {
                process::run_with_stdin(command, &self.env_in(&command.cwd), io, step.timeout, "")?
            }
            _ => process::run(command, &self.env_in(&command.cwd), io, step.timeout)?,
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
            doubt: None,
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
            Kind::Install(install) if finished.success() => self.note_install(install),
            Kind::Install(_) | Kind::Program => {}
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

    /// What a program in this folder sees. PATH is in no cache key: it differs from shell to shell.
    fn env_in(&self, cwd: &Path) -> Env {
        let rest = self.env.var("PATH").unwrap_or_default();
        let path = facts::path(&self.ctx.root, cwd, &self.node, rest);
        self.env.clone().with("PATH", path)
    }

    fn note_install(&self, install: &Install) {
        let folder = self.ctx.root.join(&install.dir);
        if let Err(error) = packages::stamp(&folder, &install.lockfile) {
            self.warn(format!("what is installed could not be noted: {error}"));
        }
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
            doubt: None,
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
        if let (Some(file), Some(config)) = (shown, &text_of_config) {
            for finding in judged
                .findings
                .iter_mut()
                .filter(|each| each.file.is_none())
            {
                let place = wrangler_output::place_of_value(config, finding.headline());
                if let Some((line, col)) = place {
                    *finding = finding.clone().in_file(file).at(line, col);
                }
            }
        }
        let results = command
            .env
            .get(wrangler::OUTPUT_VARIABLE)
            .map(std::fs::read_to_string);
        let Some((raw, gzip)) = results
            .and_then(Result::ok)
            .and_then(|text| wrangler::bundle_size(&text))
        else {
            // Not judged is not passed: the next run has to look again.
            if judged.failure.is_none() {
                let message = format!("wrangler did not say how big the bundle of {worker} is");
                judged.doubt = Some(message.clone());
                judged.findings.push(Finding::warning(message));
                judged.lasts = false;
            }
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
            let mut finding = Finding::error(message).rule(BUNDLE_SIZE);
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
}

impl Judged {
    /// An audit's exit code says nothing: npm exits with 1 for findings and for a service that is away.
    fn take(&mut self, verdict: audit::Verdict) {
        self.failure = None;
        self.output = json!({ "exceptions": verdict.used });
        self.findings = verdict.findings;
        self.doubt = (!verdict.answered).then(|| verdict.note.clone());
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
