//! Whether a preview works: each Worker is healthy and of the right commit, finds its data, and calls the previews of its
//! siblings. An answer that names a version or a release which is not this preview's came from somewhere else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::config::{Compare, Health};
use crate::plan::{Action, Expected, Plan, Probe, Step};
use crate::run::{Io, Runner};
use crate::stages::answer;
use crate::stages::effects::Effects;
use crate::stages::preview::making::Making;
use crate::stages::preview::{STAGE, twin};
use crate::tools::http::Response;

/// What an answer must be like, beyond its status.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    finds: Option<String>,
    /// Short name → version, of the Workers that must be named in the answer.
    reaches: Vec<(String, String)>,
}

/// What belongs to this preview, and the fields of an answer that tell it.
struct Own {
    versions: BTreeSet<String>,
    release: String,
    health: Health,
    /// The scripts of this repo in production.
    production: Vec<String>,
}

/// Asks Workers of a preview, and judges what they answer.
struct Asking<'a> {
    effects: Effects<'a>,
    own: Own,
    wanted: BTreeMap<String, Wanted>,
}

impl Runner for Asking<'_> {
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value> {
        let Action::Probe(probe) = &step.action else {
            return self.effects.exec(step, io);
        };
        let wanted = self.wanted.get(&step.id).cloned().unwrap_or_default();
        self.effects.ask(probe, step, io, |answer| {
            let is_version = |script: &str, id: &str| self.effects.is_version(script, id);
            judge(probe, answer, &wanted, &self.own, &is_version)
        })
    }
}

impl Making<'_> {
    /// Asks every worker for its health and the project's own questions.
    pub fn smoke(&mut self) -> anyhow::Result<()> {
        let (plan, wanted) = self.smoke_plan();
        let asking = Asking {
            effects: Effects {
                target: self.target,
            },
            own: Own {
                versions: self
                    .pieces
                    .iter()
                    .filter_map(|piece| piece.version.clone())
                    .collect(),
                release: self.release.clone(),
                health: self.source.pipeline.health.clone(),
                production: self
                    .source
                    .workers
                    .iter()
                    .map(|worker| worker.config.name.clone())
                    .collect(),
            },
            wanted,
        };
        self.notes.extend(plan.notes.iter().cloned());
        let outcome = self.ctx.run_all(&plan, &asking);
        let astray = outcome.failures().any(|step| {
            step.error
                .as_deref()
                .is_some_and(|error| error.contains(ASTRAY))
        });
        let settled = self.settle(outcome);
        match settled {
            Err(error) if astray => {
                let why = format!("{error:#}");
                Err(self.condemn("a call left the preview", &why).into())
            }
            settled => settled,
        }
    }

    pub(super) fn smoke_plan(&self) -> (Plan, BTreeMap<String, Wanted>) {
        let health = &self.source.pipeline.health;
        let mut plan = Plan::new(STAGE);
        let mut wanted = BTreeMap::new();
        for piece in &self.pieces {
            let url = self.target.workers_dev_url(piece.script());
            let mut ask =
                |path: &str, status: u16, fields: BTreeMap<String, Expected>, goal: String| {
                    let action = Action::Probe(Probe {
                        url: format!("{url}{path}"),
                        overrides: BTreeMap::new(),
                        status,
                        fields,
                        within_secs: health.within.as_secs(),
                    });
                    let id = format!("smoke {} {path}", piece.name());
                    if !plan.steps.iter().any(|step: &Step| step.id == id) {
                        plan.push(
                            Step::new("smoke", id, goal, action)
                                .worker(piece.name())
                                .timeout(health.timeout),
                        );
                    }
                };
            let name = piece.name();
            if let Some(path) = &piece.worker.health {
                let release = Some(self.release.clone());
                let fields =
                    answer::expected(health, piece.script(), piece.version.clone(), release);
                ask(
                    path,
                    health.status,
                    fields,
                    format!("get a healthy answer from the preview of {name}"),
                );
            }
            let questions = twin::questions(self.twin, &self.source.pipeline.preview.smoke);
            for question in questions
                .into_iter()
                .filter(|question| question.worker == name)
            {
                let path = &question.path;
                ask(
                    path,
                    200,
                    BTreeMap::new(),
                    format!("get the wanted answer from the preview of {name} to {path}"),
                );
                let version = |name: &String| {
                    let piece = self.pieces.iter().find(|piece| piece.name() == name)?;
                    Some((name.clone(), piece.version.clone()?))
                };
                let demand = Wanted {
                    finds: question.finds.clone(),
                    reaches: question.reaches.iter().filter_map(version).collect(),
                };
                wanted.insert(format!("smoke {name} {path}"), demand);
            }
            for path in &piece.worker.smoke {
                ask(
                    path,
                    200,
                    BTreeMap::new(),
                    format!("get an answer from the preview of {name} to {path}"),
                );
            }
        }
        (plan, wanted)
    }
}

/// What an answer is called that came from outside the preview.
const ASTRAY: &str = "which is not of this preview";

fn judge(
    probe: &Probe,
    answer: &Response,
    wanted: &Wanted,
    own: &Own,
    is_version: &dyn Fn(&str, &str) -> bool,
) -> Result<Value, String> {
    let shown = answer::judge(probe, answer, is_version)?;
    if let Some(text) = wanted
        .finds
        .as_ref()
        .filter(|text| !answer.body.contains(*text))
    {
        return Err(format!("its answer does not hold `{text}`"));
    }
    let Ok(body) = serde_json::from_str::<Value>(&answer.body) else {
        return named(wanted, &BTreeSet::new()).map(|()| shown);
    };
    let mut versions = BTreeSet::new();
    told(&body, &own.health.version_field.name, &mut versions);
    // `version` is a common word, and an app may have UUIDs of its own.
    let is_elsewhere = |id: &String| match own.health.version_field.compare {
        Compare::Ids => own.production.iter().any(|script| is_version(script, id)),
        Compare::Texts => true,
        Compare::Nothing => false,
    };
    if let Some(stranger) = versions.iter().find(|id| {
        answer::looks_like_a_version(id) && !own.versions.contains(*id) && is_elsewhere(id)
    }) {
        return Err(format!(
            "its answer names the version `{stranger}`, {ASTRAY}"
        ));
    }
    let mut releases = BTreeSet::new();
    if own.health.release_field.compare != Compare::Nothing {
        told(&body, &own.health.release_field.name, &mut releases);
    }
    if let Some(stranger) = releases
        .iter()
        .find(|release| answer::looks_like_a_release(release) && **release != own.release)
    {
        return Err(format!(
            "its answer names the release `{stranger}`, {ASTRAY}"
        ));
    }
    named(wanted, &versions).map(|()| shown)
}

fn named(wanted: &Wanted, versions: &BTreeSet<String>) -> Result<(), String> {
    match wanted
        .reaches
        .iter()
        .find(|(_, version)| !versions.contains(version))
    {
        Some((name, version)) => Err(format!(
            "its answer does not name the version `{version}` of the preview of {name}"
        )),
        None => Ok(()),
    }
}

/// Every text a field of this name has anywhere in an answer.
fn told(value: &Value, field: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| told(value, field, found)),
        Value::Object(table) => {
            for (key, value) in table {
                match value {
                    Value::String(text) if key == field => {
                        found.insert(text.clone());
                    }
                    value => told(value, field, found),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const OWN: &str = "aaaaaaaa-0000-4000-8000-000000000001";
    const OTHER: &str = "bbbbbbbb-0000-4000-8000-000000000002";
    const INSTANCE: &str = "cccccccc-0000-4000-8000-000000000003";

    fn check(body: &Value, wanted: &Wanted) -> String {
        let probe = Probe {
            url: String::new(),
            overrides: BTreeMap::new(),
            status: 200,
            fields: BTreeMap::new(),
            within_secs: 1,
        };
        let own = Own {
            versions: [OWN.to_owned()].into(),
            release: "pr7-abc1234".into(),
            health: Health::default(),
            production: vec!["app".to_owned()],
        };
        let answer = Response {
            status: 200,
            headers: Vec::new(),
            body: body.to_string(),
        };
        let is_version = |script: &str, id: &str| script == "app" && id == OTHER;
        judge(&probe, &answer, wanted, &own, &is_version)
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn an_answer_from_another_version_or_release_is_astray() {
        let none = Wanted::default();
        assert_eq!(
            check(
                &json!({"siblings": [{"version": OWN, "release": "pr7-abc1234"}]}),
                &none
            ),
            ""
        );
        assert_eq!(
            check(&json!({"version": "1.2.3", "release": "the first"}), &none),
            ""
        );
        assert_eq!(
            check(&json!({"instance": {"version": INSTANCE}}), &none),
            ""
        );
        assert!(check(&json!({"siblings": {"a": {"version": OTHER}}}), &none).contains(ASTRAY));
        assert!(
            check(
                &json!({"a": {"release": "r20261124-040506-abc1234"}}),
                &none
            )
            .contains(ASTRAY)
        );
        assert!(check(&json!({"a": {"release": "pr8-abc1234"}}), &none).contains(ASTRAY));
    }

    #[test]
    fn what_must_be_found_and_reached_is_asked_for() {
        let wanted = Wanted {
            finds: Some("Talimena".into()),
            reaches: vec![("api".into(), OWN.into())],
        };
        assert_eq!(
            check(
                &json!({"found": ["Talimena Coffee"], "via": {"version": OWN}}),
                &wanted
            ),
            ""
        );
        assert_eq!(
            check(&json!({"via": {"version": OWN}}), &wanted),
            "its answer does not hold `Talimena`"
        );
        let unreached = check(&json!({"found": "Talimena"}), &wanted);
        assert_eq!(
            unreached,
            format!("its answer does not name the version `{OWN}` of the preview of api")
        );
    }
}
