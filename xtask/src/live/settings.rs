//! Settings that belong to a worker and not to a version: how it is observed. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::config::WranglerConfig;

/// Each is `None` when nothing is known of it, or nothing wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// `observability`: which logs and traces are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observability: Option<Value>,
    /// `logpush`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logpush: Option<bool>,
    /// `tail_consumers`: the workers that get its logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail_consumers: Option<Value>,
}

impl Settings {
    /// Reads the API's `script-settings`. What it does not name is off.
    pub(super) fn read(answer: &Value) -> Settings {
        let or = |key: &str, off: Value| match &answer[key] {
            Value::Null => Some(off),
            value => Some(value.clone()),
        };
        Settings {
            observability: or("observability", json!({"enabled": false})),
            logpush: Some(answer["logpush"].as_bool().unwrap_or(false)),
            tail_consumers: or("tail_consumers", json!([])),
        }
    }

    /// What a wrangler config asks for. Like wrangler, it switches observability off unless the config has it, and says
    /// nothing of the rest that the config leaves out.
    pub(super) fn wanted(config: &WranglerConfig, live: &Settings) -> Settings {
        let observability = config.observability.clone();
        Settings {
            observability: Some(observability.unwrap_or(json!({"enabled": false}))),
            logpush: config.logpush.or(live.logpush),
            tail_consumers: config
                .tail_consumers
                .clone()
                .or_else(|| live.tail_consumers.clone()),
        }
    }

    /// What was set before an interrupted release began to set `wanted`: what is live, except where that is as wanted
    /// already and the last record says otherwise.
    pub(super) fn before_interrupted(
        recorded: &Settings,
        live: &Settings,
        wanted: &Settings,
    ) -> Settings {
        let set = live.missing(wanted);
        let mut before = live.clone();
        if recorded.observability.is_some() && !set.contains_key("observability") {
            before.observability.clone_from(&recorded.observability);
        }
        if recorded.logpush.is_some() && !set.contains_key("logpush") {
            before.logpush = recorded.logpush;
        }
        if recorded.tail_consumers.is_some() && !set.contains_key("tail_consumers") {
            before.tail_consumers.clone_from(&recorded.tail_consumers);
        }
        before
    }

    /// What has to be sent so that these become `to`; empty when they are that already. The cloud fills in defaults, so
    /// having more than is wanted is no difference.
    pub fn missing(&self, to: &Settings) -> Map<String, Value> {
        let logpush = |settings: &Settings| settings.logpush.map(Value::from);
        let pairs = [
            (
                "observability",
                self.observability.clone(),
                to.observability.clone(),
            ),
            ("logpush", logpush(self), logpush(to)),
            (
                "tail_consumers",
                self.tail_consumers.clone(),
                to.tail_consumers.clone(),
            ),
        ];
        let differing = pairs.into_iter().filter_map(|(key, from, to)| {
            let to = to?;
            let same = from.is_some_and(|from| holds(&from, &to));
            (!same).then(|| (key.to_owned(), to))
        });
        differing.collect()
    }
}

/// True when `value` has everything that `part` has.
fn holds(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::Object(value), Value::Object(part)) => part
            .iter()
            .all(|(key, part)| value.get(key).is_some_and(|value| holds(value, part))),
        (Value::Array(value), Value::Array(part)) => {
            value.len() == part.len()
                && value
                    .iter()
                    .zip(part)
                    .all(|(value, part)| holds(value, part))
        }
        // 1 and 1.0 are one sampling rate.
        (Value::Number(value), Value::Number(part)) => value.as_f64() == part.as_f64(),
        _ => value == part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(value: Value) -> Settings {
        Settings {
            observability: Some(value),
            ..Settings::default()
        }
    }

    #[test]
    fn only_what_differs_is_sent() {
        let live = Settings::read(&json!({
            "observability": {"enabled": true, "head_sampling_rate": 1.0, "logs": {"enabled": true}},
            "tail_consumers": null,
        }));
        let same = observed(json!({"enabled": true, "head_sampling_rate": 1}));
        assert_eq!(live.missing(&same), Map::new());
        let other = Settings {
            logpush: Some(true),
            tail_consumers: Some(json!([{"service": "logs"}])),
            ..observed(json!({"enabled": true, "head_sampling_rate": 0.1}))
        };
        let sent = Value::Object(live.missing(&other));
        assert_eq!(sent, json!(other));
        assert_eq!(live.missing(&Settings::default()), Map::new());
        // Of a new worker nothing is known: everything wanted is sent.
        let sent = Value::Object(Settings::default().missing(&same));
        assert_eq!(sent, json!(same));
    }

    #[test]
    fn an_interrupted_release_goes_back_to_the_recorded_settings() {
        let (on, off) = (json!({"enabled": true}), json!({"enabled": false}));
        let live = Settings::read(&json!({"observability": on, "logpush": true}));
        let wanted = observed(on.clone());
        let recorded = observed(off.clone());
        let before = Settings::before_interrupted(&recorded, &live, &wanted);
        assert_eq!(before.observability, Some(off.clone()));
        assert_eq!(before.logpush, Some(true));
        // Somebody else switched it, or an older record knows nothing of it.
        let before = Settings::before_interrupted(&recorded, &live, &observed(off));
        assert_eq!(before.observability, Some(on.clone()));
        let before = Settings::before_interrupted(&Settings::default(), &live, &wanted);
        assert_eq!(before.observability, Some(on));
    }
}
