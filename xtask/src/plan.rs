//! What a stage is going to do, as plain values that print, compare and snapshot. Planning never spawns a process,
//! reads a file or asks the network: `run.rs` and the tools do that.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

/// A flat list of steps; each names the steps it needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// The verb this plan belongs to (`deploy`, `ci`, …).
    pub stage: String,
    /// The steps in reading order. A step only needs steps that stand before it.
    pub steps: Vec<Step>,
    /// What a reader should know before the plan runs (exceptions, exposure, things left alone).
    pub notes: Vec<String>,
}

/// One action, and why it is taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Unique within the plan, e.g. `upload main`.
    pub id: String,
    /// Completes the sentence "failed to …".
    pub goal: String,
    /// The heading the report files the step under, e.g. `stage`.
    pub group: String,
    /// The worker's short name, for steps that are about one.
    pub worker: Option<String>,
    /// The ids of the steps that must have succeeded (or been skipped as done) before this one starts. Shared by steps that
    /// wait for the same: where each of hundreds waits for all of a phase, the plan still grows linearly.
    #[serde(serialize_with = "as_list")]
    pub needs: Arc<Vec<String>>,
    /// What is done.
    pub action: Action,
    /// What a failure means for the run.
    pub on_failure: OnFailure,
    /// How long one attempt may take, in seconds in JSON.
    #[serde(serialize_with = "as_secs")]
    pub timeout: Duration,
    /// How often it is tried.
    pub retry: Retry,
    /// Why there is nothing left to do, when that is known while planning; the step is then reported as skipped.
    pub done: Option<String>,
}

/// What a step does. Every effect of the pipeline is one of these.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// Runs a program.
    Command(Command),
    /// One call to the Cloudflare API.
    Rest(Rest),
    /// Asks a worker a question over HTTP until it answers as expected.
    Probe(Probe),
    /// Waits, e.g. while a canary bakes; in seconds.
    Wait {
        /// How long.
        seconds: u64,
    },
    /// A check of the stage's own that needs no program and no cloud.
    Task {
        /// What the stage calls it.
        name: String,
    },
    /// Nothing: a marker in a plan, or work whose result is already known.
    Nothing,
}

/// A program to run. Secrets are never in `argv` or `env`; `secret_env` names the ones the program may see.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Command {
    /// The way a person would type it, for `--dry-run` and logs: `wrangler versions upload …`.
    pub display: String,
    /// The program: an absolute path, or a name to find on PATH.
    pub program: String,
    /// Its arguments.
    pub argv: Vec<String>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// Variables set for it, on top of the inherited environment.
    pub env: BTreeMap<String, String>,
    /// Variables whose values are secret and handed over at the last moment from the process environment.
    pub secret_env: Vec<String>,
    /// Variables removed from the inherited environment.
    pub env_remove: Vec<String>,
    /// Variables it may see although their values are secret, where they are set: a package registry's token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep_env: Vec<String>,
    /// Names of secrets written to its standard input as one JSON object, so that none is ever in argv or on disk.
    pub secrets_on_stdin: Vec<String>,
    /// Files written before it starts, and their texts. They hold no secrets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<PathBuf, String>,
}

/// One call to the Cloudflare REST API.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rest {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// The path behind `/client/v4`, account included.
    pub path: String,
    /// The JSON body, or a ready text when `content_type` says so.
    pub body: Option<Value>,
    /// The type of a body that is not JSON (an upload form).
    pub content_type: Option<String>,
    /// True when sending it twice does no harm, so that a lost answer may be asked for again.
    pub repeatable: bool,
    /// Error codes of Cloudflare which mean "already as wanted".
    pub tolerate: Vec<i64>,
}

impl Command {
    /// A program with arguments, run in `cwd`, without secrets.
    pub fn new(program: &str, argv: &[&str], cwd: &Path) -> Command {
        Command {
            display: [&[program], argv].concat().join(" "),
            program: program.to_owned(),
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            cwd: cwd.to_owned(),
            env: BTreeMap::new(),
            secret_env: Vec::new(),
            env_remove: Vec::new(),
            keep_env: Vec::new(),
            secrets_on_stdin: Vec::new(),
            files: BTreeMap::new(),
        }
    }

    /// A command line of the user's, run by the shell in `cwd`.
    pub fn shell(line: &str, cwd: &Path) -> Command {
        Command {
            display: line.to_owned(),
            ..Command::new("sh", &["-c", line], cwd)
        }
    }
}

impl Rest {
    /// A write that sets a state, so that sending it twice does no harm.
    pub fn set(method: &str, path: impl Into<String>, body: Value) -> Rest {
        Rest {
            method: method.to_owned(),
            path: path.into(),
            body: Some(body),
            content_type: None,
            repeatable: true,
            tolerate: Vec::new(),
        }
    }
}

/// A question to a worker, and the answer that counts as healthy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probe {
    /// The worker's public URL with path, as a person would open it.
    pub url: String,
    /// Worker name → version id, sent as `Cloudflare-Workers-Version-Overrides`; empty: as the public sees it.
    pub overrides: BTreeMap<String, String>,
    /// The status that counts as healthy.
    pub status: u16,
    /// JSON fields of the answer and the value each must have when the field is there.
    pub fields: BTreeMap<String, Expected>,
    /// How long the worker has to become healthy, in seconds.
    pub within_secs: u64,
}

/// The id that a field of an answer must hold when it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Expected {
    /// The id.
    pub id: String,
    /// Which other values mean that something else answered.
    #[serde(skip)]
    pub wrong: Wrong,
}

/// Which other values of a field mean that something else answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Every other text.
    AnyText,
    /// The ids of other versions of this script.
    VersionOf(String),
    /// The ids of other releases.
    Release,
}

/// What a failed step means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The run fails.
    Fail,
    /// A declared policy: the run goes on, the report shows a warning.
    Warn,
}

/// How often a step is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Retry {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// The wait before the second attempt, in milliseconds; it doubles after that.
    pub wait_ms: u64,
}

impl Retry {
    /// One attempt.
    pub const NEVER: Retry = Retry {
        attempts: 1,
        wait_ms: 0,
    };
}

impl Step {
    /// A step with the defaults: no needs, fails the run, two minutes, one attempt.
    pub fn new(
        group: &str,
        id: impl Into<String>,
        goal: impl Into<String>,
        action: Action,
    ) -> Step {
        Step {
            id: id.into(),
            goal: goal.into(),
            group: group.to_owned(),
            worker: None,
            needs: Arc::default(),
            action,
            on_failure: OnFailure::Fail,
            timeout: Duration::from_secs(120),
            retry: Retry::NEVER,
            done: None,
        }
    }

    /// Says which worker the step is about.
    #[must_use]
    pub fn worker(mut self, worker: impl Into<String>) -> Step {
        self.worker = Some(worker.into());
        self
    }

    /// Adds steps that must come first.
    #[must_use]
    pub fn needs<I: IntoIterator<Item = S>, S: Into<String>>(mut self, needs: I) -> Step {
        Arc::make_mut(&mut self.needs).extend(needs.into_iter().map(Into::into));
        self
    }

    /// Sets the time one attempt may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Step {
        self.timeout = timeout;
        self
    }

    /// Sets how often the step is tried.
    #[must_use]
    pub fn retry(mut self, attempts: u32, wait_ms: u64) -> Step {
        assert!(attempts >= 1, "a step is tried at least once");
        self.retry = Retry { attempts, wait_ms };
        self
    }

    /// Marks the step as having nothing left to do.
    #[must_use]
    pub fn done(mut self, why: impl Into<String>) -> Step {
        self.done = Some(why.into());
        self
    }
}

impl Plan {
    /// An empty plan of a stage.
    pub fn new(stage: &str) -> Plan {
        Plan {
            stage: stage.to_owned(),
            ..Plan::default()
        }
    }

    /// Adds a step. Panics when its id is taken or it needs a step that does not stand before it: our bug.
    pub fn push(&mut self, step: Step) {
        debug_assert!(
            self.steps.iter().all(|other| other.id != step.id),
            "two steps named {}",
            step.id
        );
        self.steps.push(step);
    }

    /// Adds a plan that begins when this one is through: what needs nothing in it needs everything here that nothing else
    /// waits for.
    pub fn then(&mut self, next: Plan) {
        let last = Arc::new(self.ends());
        for mut step in next.steps {
            if step.needs.is_empty() {
                step.needs = Arc::clone(&last);
            }
            // Not by `push`: the files of two databases may have the same names.
            self.steps.push(step);
        }
        self.notes.extend(next.notes);
    }

    /// The steps nothing waits for.
    fn ends(&self) -> Vec<String> {
        let mut needed: HashSet<&str> = HashSet::new();
        let mut seen: Option<&Arc<Vec<String>>> = None;
        for step in &self.steps {
            if seen.is_none_or(|seen| !Arc::ptr_eq(seen, &step.needs)) {
                needed.extend(step.needs.iter().map(String::as_str));
                seen = Some(&step.needs);
            }
        }
        let ids = self.steps.iter().map(|step| &step.id);
        ids.filter(|id| !needed.contains(id.as_str()))
            .cloned()
            .collect()
    }
}

fn as_list<S: serde::Serializer>(ids: &Arc<Vec<String>>, serializer: S) -> Result<S::Ok, S::Error> {
    ids.as_slice().serialize(serializer)
}

fn as_secs<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}
