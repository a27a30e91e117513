//! What the API says of queues and consumers, and who sends to a queue.

use serde_json::{Value, json};

use super::{Consumer, ConsumerKind, Queue};
use crate::bindings::text;
use crate::state::{Script, State, Version};

/// The Workers whose live versions send to a queue, or whose newest version will: (Worker, binding).
pub fn producers<'a>(state: &'a State, name: &str) -> Vec<(&'a str, &'a str)> {
    let mut found = Vec::new();
    for script in state.scripts.values() {
        let sends = versions_in_use(script).find_map(|version| {
            version.bindings.iter().find(|binding| {
                text(binding, "type") == "queue" && text(binding, "queue_name") == name
            })
        });
        if let Some(binding) = sends {
            found.push((script.name.as_str(), text(binding, "name")));
        }
    }
    found
}

fn versions_in_use(script: &Script) -> impl Iterator<Item = &Version> {
    let live = script
        .live()
        .into_iter()
        .flat_map(|live| &live.versions)
        .filter_map(|share| script.version(&share.version_id));
    live.chain(script.latest())
}

/// A queue as the API shows it.
pub fn shown(state: &State, id: &str, queue: &Queue) -> Value {
    let producers: Vec<Value> = producers(state, &queue.name)
        .into_iter()
        .map(|(script, _)| json!({ "type": "worker", "script": script }))
        .collect();
    let consumers: Vec<Value> = queue
        .consumer
        .iter()
        .map(|consumer| shown_consumer(queue, consumer))
        .collect();
    json!({
        "queue_id": id,
        "queue_name": queue.name,
        "created_on": queue.created_on,
        "modified_on": queue.modified_on,
        "settings": queue.settings,
        "producers_total_count": producers.len(),
        "producers": producers,
        "consumers_total_count": consumers.len(),
        "consumers": consumers,
    })
}

/// A consumer as the API shows it. wrangler looks for `script`, the reference says `script_name`.
pub fn shown_consumer(queue: &Queue, consumer: &Consumer) -> Value {
    let settings = &consumer.settings;
    let mut shown = json!({
        "consumer_id": consumer.id,
        "created_on": consumer.created_on,
        "type": consumer.kind,
        "queue_name": queue.name,
        "dead_letter_queue": consumer.dead_letter_queue.as_deref().unwrap_or_default(),
        "settings": {
            "batch_size": settings.batch_size,
            "max_retries": settings.max_retries,
            "retry_delay": settings.retry_delay,
        },
    });
    match consumer.kind {
        ConsumerKind::Worker => {
            shown["script"] = json!(consumer.script);
            shown["script_name"] = json!(consumer.script);
            shown["settings"]["max_wait_time_ms"] = json!(settings.max_wait_time_ms);
            shown["settings"]["max_concurrency"] = json!(settings.max_concurrency);
        }
        ConsumerKind::HttpPull => {
            shown["settings"]["visibility_timeout_ms"] = json!(settings.visibility_timeout_ms);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queues::QueueSettings;

    #[test]
    fn producers_are_those_whose_versions_in_use_send() {
        let mut state = State::default();
        state
            .add_queue("jobs", QueueSettings::default(), "now")
            .expect("a queue");
        let version = |id: &str, queue: &str| Version {
            id: id.to_owned(),
            bindings: vec![json!({"name": "Q", "type": "queue", "queue_name": queue})],
            ..Version::default()
        };
        let script = Script {
            name: "api".to_owned(),
            versions: vec![version("1", "jobs"), version("2", "other")],
            ..Script::default()
        };
        state.scripts.insert("api".to_owned(), script);
        assert_eq!(producers(&state, "jobs"), []);
        assert_eq!(producers(&state, "other"), [("api", "Q")]);
    }
}
