//! Queues and their consumers as the account holds them, and the rules for both. Pure: the messages are in the runtime.

pub mod control;
mod shown;

use serde::{Deserialize, Serialize};

use crate::envelope::ApiError;
use crate::ids;
use crate::state::State;

pub use shown::{producers, shown, shown_consumer};

/// wrangler turns these two into texts of its own.
const INVALID_CONSUMER_SETTINGS: u32 = 100_127;
const INVALID_QUEUE_SETTINGS: u32 = 100_128;

const NAME_CHARS_MAX: usize = 63;
const DELAY_SECONDS_MAX: u64 = 86_400;
const RETENTION_SECONDS: std::ops::RangeInclusive<u64> = 60..=1_209_600;

/// A queue. At most one consumer takes from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Queue {
    /// Name, unique in the account; bindings and consumers refer to it.
    pub name: String,
    /// RFC 3339.
    pub created_on: String,
    /// RFC 3339.
    pub modified_on: String,
    /// How it treats all messages.
    pub settings: QueueSettings,
    /// Who takes from it.
    pub consumer: Option<Consumer>,
}

/// How a queue treats all messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueSettings {
    /// Seconds before a message is delivered for the first time.
    pub delivery_delay: u64,
    /// Nothing is delivered while this is set.
    pub delivery_paused: bool,
    /// Seconds after which a message nobody took is deleted.
    pub message_retention_period: u64,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            delivery_delay: 0,
            delivery_paused: false,
            message_retention_period: 345_600,
        }
    }
}

/// Who takes from a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Consumer {
    /// 32 hex digits.
    pub id: String,
    /// RFC 3339.
    pub created_on: String,
    /// A Worker, or whoever asks over HTTP.
    pub kind: ConsumerKind,
    /// The Worker.
    pub script: Option<String>,
    /// Name of the queue that gets what was retried too often.
    pub dead_letter_queue: Option<String>,
    /// How messages are handed over.
    pub settings: ConsumerSettings,
}

/// The two ways to take from a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsumerKind {
    /// A Worker's `queue` handler.
    #[default]
    Worker,
    /// `messages/pull` and `messages/ack`.
    HttpPull,
}

/// How messages are handed over; each kind of consumer has some of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsumerSettings {
    /// Messages in a batch, at most.
    pub batch_size: Option<u64>,
    /// Deliveries after the first one.
    pub max_retries: Option<u64>,
    /// How long a batch waits to be filled.
    pub max_wait_time_ms: Option<u64>,
    /// Batches at a time; `null`: as many as there are.
    pub max_concurrency: Option<u64>,
    /// Seconds before a message is delivered again.
    pub retry_delay: Option<u64>,
    /// How long a pulled message is nobody else's.
    pub visibility_timeout_ms: Option<u64>,
}

impl ConsumerSettings {
    /// With the service's defaults for whatever was not asked for.
    #[must_use]
    pub fn completed(self, kind: ConsumerKind) -> Self {
        let worker = kind == ConsumerKind::Worker;
        Self {
            batch_size: self.batch_size.or(Some(if worker { 10 } else { 5 })),
            max_retries: self.max_retries.or(Some(3)),
            retry_delay: self.retry_delay.or(Some(0)),
            max_wait_time_ms: self.max_wait_time_ms.or(Some(5_000)).filter(|_| worker),
            max_concurrency: self.max_concurrency.filter(|_| worker),
            visibility_timeout_ms: self
                .visibility_timeout_ms
                .or(Some(30_000))
                .filter(|_| !worker),
        }
    }

    /// The documented limits.
    pub fn check(&self) -> Result<(), ApiError> {
        let limits = [
            ("batch_size", self.batch_size, 1, 100),
            ("max_retries", self.max_retries, 0, 100),
            ("max_wait_time_ms", self.max_wait_time_ms, 0, 60_000),
            ("max_concurrency", self.max_concurrency, 1, 250),
            ("retry_delay", self.retry_delay, 0, DELAY_SECONDS_MAX),
            (
                "visibility_timeout_ms",
                self.visibility_timeout_ms,
                0,
                43_200_000,
            ),
        ];
        for (name, value, least, most) in limits {
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                let message =
                    format!("Invalid consumer settings: {name} is between {least} and {most}");
                return Err(ApiError::bad_request(INVALID_CONSUMER_SETTINGS, message));
            }
        }
        Ok(())
    }
}

impl QueueSettings {
    /// The documented limits.
    pub fn check(&self) -> Result<(), ApiError> {
        let why = if self.delivery_delay > DELAY_SECONDS_MAX {
            format!("delivery_delay is at most {DELAY_SECONDS_MAX} seconds")
        } else if !RETENTION_SECONDS.contains(&self.message_retention_period) {
            "message_retention_period is between 60 and 1209600 seconds".to_owned()
        } else {
            return Ok(());
        };
        let message = format!("Invalid queue settings: {why}");
        Err(ApiError::bad_request(INVALID_QUEUE_SETTINGS, message))
    }
}

impl State {
    /// A queue by id, or the API's "not found".
    pub fn queue(&self, id: &str) -> Result<&Queue, ApiError> {
        self.queues.get(id).ok_or_else(|| missing(id))
    }

    /// A queue to change, by id.
    pub fn queue_mut(&mut self, id: &str) -> Result<&mut Queue, ApiError> {
        self.queues.get_mut(id).ok_or_else(|| missing(id))
    }

    /// A queue and its id by name.
    pub fn queue_named(&self, name: &str) -> Option<(&String, &Queue)> {
        self.queues.iter().find(|(_, queue)| queue.name == name)
    }

    /// Makes a queue; its id. A name can be taken once.
    pub fn add_queue(
        &mut self,
        name: &str,
        settings: QueueSettings,
        now: &str,
    ) -> Result<String, ApiError> {
        check_name(name)?;
        settings.check()?;
        if self.queue_named(name).is_some() {
            let message = format!(
                "Queue name '{name}' is already taken. Please use a different name and try again."
            );
            return Err(ApiError::new(409, 11009, message));
        }
        let id = ids::hex32();
        let queue = Queue {
            name: name.to_owned(),
            created_on: now.to_owned(),
            modified_on: now.to_owned(),
            settings,
            consumer: None,
        };
        self.queues.insert(id.clone(), queue);
        Ok(id)
    }
}

impl State {
    /// Makes the queues that are not there yet (`--adopt`, `/_local/resources`); what was made, for the journal.
    pub fn adopt_queues<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a str>,
        now: &str,
    ) -> Result<Vec<String>, ApiError> {
        let mut adopted = Vec::new();
        for name in names {
            if self.queue_named(name).is_none() {
                self.add_queue(name, QueueSettings::default(), now)?;
                adopted.push(format!("queue {name}"));
            }
        }
        Ok(adopted)
    }
}

/// The error for a queue that is not there, by id or name.
pub fn missing(queue: &str) -> ApiError {
    ApiError::not_found(11000, format!("Queue '{queue}' not found."))
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    // [A] 11003: the real code was never seen.
    let message = format!(
        "Queue name '{name}' is invalid: 1 to {NAME_CHARS_MAX} letters, digits, dashes and underscores."
    );
    Err(ApiError::bad_request(11003, message))
}

/// The queues a Worker takes from.
pub fn consumed_by<'a>(state: &'a State, script: &'a str) -> impl Iterator<Item = &'a Queue> {
    state.queues.values().filter(move |queue| {
        let consumer = queue.consumer.as_ref();
        consumer.and_then(|consumer| consumer.script.as_deref()) == Some(script)
    })
}

/// Ends the consumers of Workers that are no more.
pub fn detach_missing(state: &mut State) {
    let scripts = &state.scripts;
    for queue in state.queues.values_mut() {
        let gone = |consumer: &Consumer| {
            let script = consumer.script.as_deref();
            script.is_some_and(|script| !scripts.contains_key(script))
        };
        if queue.consumer.as_ref().is_some_and(gone) {
            queue.consumer = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> State {
        let mut state = State::default();
        state
            .add_queue("jobs", QueueSettings::default(), "now")
            .expect("a queue");
        state
    }

    #[test]
    fn a_name_is_taken_once_and_has_a_shape() {
        let mut state = account();
        let mut code = |name: &str| {
            let added = state.add_queue(name, QueueSettings::default(), "now");
            added.map_err(|error| error.code).err()
        };
        assert_eq!(code("jobs"), Some(11009));
        assert_eq!(code("Jobs_2-x"), None);
        assert_eq!(code(""), Some(11003));
        assert_eq!(code("a/b"), Some(11003));
        assert_eq!(code(&"a".repeat(64)), Some(11003));
    }

    #[test]
    fn settings_have_limits_and_defaults_of_their_kind() {
        let asked = ConsumerSettings {
            batch_size: Some(7),
            ..ConsumerSettings::default()
        };
        let worker = asked.clone().completed(ConsumerKind::Worker);
        assert_eq!(
            (
                worker.batch_size,
                worker.max_wait_time_ms,
                worker.visibility_timeout_ms
            ),
            (Some(7), Some(5_000), None)
        );
        let pull = asked.completed(ConsumerKind::HttpPull);
        assert_eq!(
            (pull.max_wait_time_ms, pull.visibility_timeout_ms),
            (None, Some(30_000))
        );
        let wrong = ConsumerSettings {
            batch_size: Some(101),
            ..ConsumerSettings::default()
        };
        assert_eq!(wrong.check().map_err(|error| error.code), Err(100_127));
        let short = QueueSettings {
            message_retention_period: 59,
            ..QueueSettings::default()
        };
        assert_eq!(short.check().map_err(|error| error.code), Err(100_128));
    }
}
