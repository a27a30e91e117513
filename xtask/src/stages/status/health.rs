//! Asks each worker once for its health, as the public reaches it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::config;
use crate::pause;
use crate::plan::Probe;
use crate::stages::answer;
use crate::stages::deploy::part::Part;
use crate::stages::effects::Effects;
use crate::standing::Standpoint;
use crate::target::Target;
use crate::tools::http;

/// How long is waited before a worker that failed once is asked again: a single lost answer means nothing.
const SECOND_LOOK: Duration = Duration::from_millis(500);

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(super) enum Health {
    /// A worker that is not there, answers no requests, or has no address.
    Unasked,
    /// It answered as it should.
    Good {
        /// The status.
        status: u16,
        /// How long it took.
        ms: u64,
    },
    /// It did not.
    Bad {
        /// What is wrong.
        why: String,
    },
}

impl Health {
    /// In few words.
    pub(super) fn shown(&self) -> String {
        match self {
            Health::Unasked => "-".to_owned(),
            Health::Good { status, ms } => format!("{status} in {ms} ms"),
            Health::Bad { why } => why.clone(),
        }
    }
}

/// Asks all of them at the same time; the answers are in their order.
pub(super) fn ask(
    standpoints: &[Standpoint<'_>],
    target: &Target,
    settings: &config::Health,
) -> anyhow::Result<Vec<Health>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = standpoints
            .iter()
            .map(|it| scope.spawn(|| one(it, target, settings)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|it| it.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// The address a worker is reached under.
pub(super) fn url(it: &Standpoint<'_>, target: &Target) -> Option<String> {
    let part = Part::new(it.worker, it.live.clone(), "", &BTreeMap::new());
    part.url(
        &it.live.triggers,
        &target.workers_dev_url(&it.worker.config.name),
    )
}

fn one(it: &Standpoint<'_>, target: &Target, settings: &config::Health) -> anyhow::Result<Health> {
    let (Some(path), Some(url), true) = (&it.worker.health, url(it, target), it.live.exists) else {
        return Ok(Health::Unasked);
    };
    // In a split any of the versions may answer.
    let version = match it.live.split.as_slice() {
        [(version, _)] => Some(version.clone()),
        _ => None,
    };
    let probe = Probe {
        url: format!("{url}{path}"),
        overrides: BTreeMap::new(),
        status: settings.status,
        fields: answer::expected(settings, &it.worker.config.name, version, None),
        within_secs: settings.timeout.as_secs(),
    };
    let effects = Effects { target };
    let request = effects.request(&probe, settings.timeout);
    let mut health = Health::Unasked;
    for round in 0..2 {
        if round > 0 {
            pause::wait(SECOND_LOOK);
        }
        let started = Instant::now();
        let answer = http::send(&request)?.map_err(|lost| lost.message);
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        health =
            match answer.and_then(|answer| effects.judge(&probe, &answer).map(|_| answer.status)) {
                Ok(status) => return Ok(Health::Good { status, ms }),
                Err(why) => Health::Bad { why },
            };
    }
    Ok(health)
}
