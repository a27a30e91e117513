//! Carries out the actions of a plan: the one place where a step becomes a process, a call or a request.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::error::{Exit, Fail};
use crate::plan::{Action, Command, Probe, Rest, Step};
use crate::run::{Io, Runner};
use crate::stages::answer;
use crate::target::Target;
use crate::tools::cloudflare::{self, Call};
use crate::tools::http::{self, Request, Response};
use crate::tools::{process, wrangler};

/// Cloudflare's codes for "this code or config is wrong": 10021 it fails at start-up, 10027 it is too large, 10061 and
/// 10064 its Durable Object classes do not fit.
const CHANGE_IS_WRONG: [i64; 4] = [10021, 10027, 10061, 10064];

/// Runs steps against one cloud.
pub struct Effects<'a> {
    /// The cloud.
    pub target: &'a Target,
}

impl Runner for Effects<'_> {
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value> {
        match &step.action {
            Action::Command(command) => self.command(command, step, io),
            Action::Rest(rest) => self.rest(rest, io),
            Action::Probe(probe) => self.probe(probe, step, io),
            Action::Wait { seconds } => {
                io.sleep(Duration::from_secs(*seconds));
                Ok(Value::Null)
            }
            Action::Task { name } => anyhow::bail!("`{name}` is a task this stage does not know"),
            Action::Nothing => Ok(Value::Null),
        }
    }
}

impl Effects<'_> {
    fn command(&self, command: &Command, step: &Step, io: &Io) -> anyhow::Result<Value> {
        let results = command.env.get(wrangler::OUTPUT_VARIABLE).map(Path::new);
        if let Some(path) = results {
            // Results are appended: those of an earlier run must not be taken for ours.
            let _ = std::fs::remove_file(path);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("failed to make {}", folder.display()))?;
            }
        }
        let finished = process::run(command, &self.target.env, io, step.timeout)?;
        let Some(path) = results else {
            if finished.success() {
                return Ok(Value::Null);
            }
            let what = format!("`{}` {}", command.display, finished.ending());
            return Err(Fail::check(what).why(finished.tail(15)).into());
        };
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if !finished.success() {
            let said = io
                .mask()
                .apply(&wrangler::last_words(&finished.tail(25), 15))
                .into_owned();
            let what = format!("wrangler {}", finished.ending());
            return Err(wrangler_failed(&what, &said, &text, step));
        }
        let version = wrangler::version_id(&text);
        if let Some((raw, gzip)) = wrangler::bundle_size(&text) {
            io.note(&format!(
                "{} kB, {} kB gzip",
                raw.div_ceil(1000),
                gzip.div_ceil(1000)
            ));
            return Ok(json!({ "version_id": version, "raw_bytes": raw, "gzip_bytes": gzip }));
        }
        Ok(json!({ "version_id": version }))
    }

    fn rest(&self, rest: &Rest, io: &Io) -> anyhow::Result<Value> {
        let method = match rest.method.as_str() {
            "POST" => "POST",
            "PUT" => "PUT",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            _ => "GET",
        };
        let cloud = &self.target.cloudflare;
        let outcome = match (&rest.content_type, &rest.body) {
            (Some(content_type), Some(Value::String(form))) => {
                cloud.upload(method, &rest.path, content_type, form.clone())?
            }
            _ => cloud.call(&Call {
                method,
                path: rest.path.clone(),
                body: rest.body.clone(),
                repeatable: rest.repeatable,
            })?,
        };
        match outcome {
            Err(error) if error.says(&rest.tolerate) => {
                io.note("already so");
                Ok(Value::Null)
            }
            outcome => Ok(outcome.map_err(Fail::from)?),
        }
    }

    /// Asks until the answer is the wanted one: a promotion takes a moment to reach every edge.
    fn probe(&self, probe: &Probe, step: &Step, io: &Io) -> anyhow::Result<Value> {
        self.ask(probe, step, io, |answer| self.judge(probe, answer))
    }

    /// The same with a judgement of the caller's: the value of a good answer, or what is wrong with it.
    pub fn ask(
        &self,
        probe: &Probe,
        step: &Step,
        io: &Io,
        judge: impl Fn(&Response) -> Result<Value, String>,
    ) -> anyhow::Result<Value> {
        let deadline = Instant::now() + Duration::from_secs(probe.within_secs);
        let mut wait = Duration::from_millis(50);
        let request = self.request(probe, step.timeout);
        let mut said = String::new();
        loop {
            let started = Instant::now();
            let seen = match http::send(&request)? {
                Err(lost) => lost.message,
                Ok(answer) => match judge(&answer) {
                    Ok(shown) => {
                        let ms = started.elapsed().as_millis();
                        io.note(&format!("{} in {ms} ms", answer.status));
                        return Ok(shown);
                    }
                    Err(wrong) => wrong,
                },
            };
            if seen != said {
                io.line(&format!("{}: {seen}", probe.url));
                said.clone_from(&seen);
            }
            if io.interrupted() || Instant::now() + wait > deadline {
                return Err(
                    Fail::new(Exit::Check, format!("{} is not healthy", probe.url))
                        .why(format!(
                            "after {} s: {}",
                            probe.within_secs,
                            io.mask().apply(&seen)
                        ))
                        .fix(format!(
                            "curl --include {}",
                            self.target.shown_url(&probe.url)
                        ))
                        .into(),
                );
            }
            io.sleep(wait);
            wait = (wait * 2).min(Duration::from_secs(1));
        }
    }

    /// The fields of a healthy answer, or what is wrong with it.
    pub fn judge(&self, probe: &Probe, answer: &Response) -> Result<Value, String> {
        answer::judge(probe, answer, &|script, id| self.is_version(script, id))
    }

    /// True unless a script is known to have no version of this id.
    pub fn is_version(&self, script: &str, id: &str) -> bool {
        let cloud = &self.target.cloudflare;
        let path = cloud.script(script, &format!("/versions/{}", cloudflare::encode(id)));
        match cloud.call(&Call::get(path)) {
            Ok(Err(error)) => !error.is_absence(),
            Ok(Ok(_)) | Err(_) => true,
        }
    }

    /// The request that asks a question, on whichever cloud.
    pub fn request(&self, probe: &Probe, timeout: Duration) -> Request {
        let mut request = Request::get(&probe.url);
        request.timeout_secs = timeout.as_secs();
        // By this our own questions are told from the public's.
        let name = ("User-Agent".to_owned(), http::USER_AGENT.to_owned());
        request.headers.push(name);
        if let Some(edge) = &self.target.edge {
            // The local edge speaks plain HTTP for every host name.
            request.url = probe.url.replacen("https://", "http://", 1);
            request.connect_to = Some(edge.clone());
        }
        if !probe.overrides.is_empty() {
            let pairs: Vec<String> = probe
                .overrides
                .iter()
                .map(|(name, id)| format!("{name}=\"{id}\""))
                .collect();
            request.headers.push((
                "Cloudflare-Workers-Version-Overrides".to_owned(),
                pairs.join(", "),
            ));
        }
        request
    }
}

fn wrangler_failed(what: &str, said: &str, results: &str, step: &Step) -> anyhow::Error {
    let exit = match wrangler::failure_code(results) {
        Some(code) if CHANGE_IS_WRONG.contains(&code) => Exit::Check,
        // Bundling asks no cloud: what fails there is the change itself.
        None if step.group == "build" => Exit::Check,
        _ => Exit::Remote,
    };
    let again = match exit {
        Exit::Check => {
            "correct the code or the config, then run the command again: nothing of it is public"
        }
        _ if wrangler::can_pass(said) => "run the command again: it is safe to repeat",
        _ => {
            "correct what wrangler names, then run the command again: running it unchanged fails again"
        }
    };
    Fail::new(exit, what).why(said).fix(again).into()
}
