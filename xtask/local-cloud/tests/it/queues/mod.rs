//! Queues with the real wrangler: deployed with a config, driven by `wrangler queues`, and really delivering.

mod commands;
mod pull;

use std::time::{Duration, Instant};

use crate::support::{Cloud, Project};
use serde_json::{Value, json};

/// Sends what the query says.
const PRODUCER: &str = "export default { async fetch(request, env) {
  const { searchParams } = new URL(request.url);
  await env.JOBS.send({ say: searchParams.get('say') });
  return new Response('sent');
} };\n";

/// Writes down what it gets; does not take what says `bad`.
const CONSUMER: &str = "export default {
  async queue(batch, env) {
    const seen = JSON.parse((await env.KV.get('seen')) ?? '[]');
    for (const message of batch.messages) {
      seen.push([batch.queue, batch.messages.length, message.body.say, message.attempts].join(' '));
      if (message.body.say === 'bad') message.retry();
    }
    await env.KV.put('seen', JSON.stringify(seen));
  },
  async fetch(request, env) { return new Response((await env.KV.get('seen')) ?? '[]'); },
};\n";

fn producer() -> Project {
    Project::new("producer", PRODUCER).with(
        "queues",
        json!({ "producers": [{ "binding": "JOBS", "queue": "jobs" }] }),
    )
}

fn consumer(cloud: &Cloud, settings: Value) -> Project {
    let namespaces = cloud.result("GET", "/storage/kv/namespaces", None);
    let namespace = match namespaces[0]["id"].as_str() {
        Some(id) => id.to_owned(),
        None => cloud.result(
            "POST",
            "/storage/kv/namespaces",
            Some(json!({"title": "seen"})),
        )["id"]
            .as_str()
            .expect("an id")
            .to_owned(),
    };
    let mut consumer = json!({ "queue": "jobs" });
    if let (Some(consumer), Value::Object(settings)) = (consumer.as_object_mut(), settings) {
        consumer.extend(settings);
    }
    Project::new("consumer", CONSUMER)
        .with(
            "kv_namespaces",
            json!([{ "binding": "KV", "id": namespace }]),
        )
        .with("queues", json!({ "consumers": [consumer] }))
}

#[track_caller]
fn send(cloud: &Cloud, say: &str) {
    let answer = cloud.get("producer.kiamichi.localhost", &format!("/?say={say}"));
    assert_eq!(answer.body, "sent", "{answer}");
}

fn seen(cloud: &Cloud) -> Vec<String> {
    let answer = cloud.get("consumer.kiamichi.localhost", "/");
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// Waits until what was asked for is there.
#[track_caller]
fn until<T: std::fmt::Debug>(
    what: &str,
    mut look: impl FnMut() -> T,
    is: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let found = look();
        if is(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: {found:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn queue(cloud: &Cloud, name: &str) -> Value {
    cloud.result("GET", &format!("/queues?page=1&name={name}"), None)[0].clone()
}

fn waiting(cloud: &Cloud, name: &str) -> usize {
    let queues = cloud.local("GET", "/queues", None);
    let messages = queues["queues"][name]["messages"].as_array();
    messages.expect("messages").len()
}

#[test]
fn messages_reach_the_deployed_consumer_in_batches_and_go_to_the_dead_letters() {
    let mut cloud = Cloud::start();
    // wrangler makes the queue a producer names, and refuses to go on without the one a consumer names.
    let early = consumer(&cloud, json!({}));
    cloud
        .wrangler(&early, &["deploy"])
        .fails_with("Queue \"jobs\" does not exist");
    cloud.wrangler(&producer(), &["deploy"]).ok();
    send(&cloud, "early");
    assert_eq!(waiting(&cloud, "jobs"), 1, "kept until somebody takes it");

    let settings = json!({
        "max_batch_size": 3, "max_batch_timeout": 1, "max_retries": 1, "retry_delay": 1,
        "max_concurrency": 1, "dead_letter_queue": "lost",
    });
    cloud
        .wrangler(&consumer(&cloud, settings), &["deploy"])
        .ok()
        .says("Consumer for jobs");
    let attached = &queue(&cloud, "jobs")["consumers"][0];
    assert_eq!(
        attached["settings"],
        json!({"batch_size": 3, "max_retries": 1, "retry_delay": 1, "max_wait_time_ms": 1000, "max_concurrency": 1})
    );
    assert_eq!(attached["dead_letter_queue"], "lost");
    until(
        "the early one",
        || seen(&cloud),
        |seen| seen == &["jobs 1 early 1"],
    );

    for say in ["a", "b", "bad"] {
        send(&cloud, say);
    }
    let all = until(
        "a full batch and a retry",
        || seen(&cloud),
        |seen| seen.len() == 5,
    );
    assert_eq!(
        all[1..],
        ["jobs 3 a 1", "jobs 3 b 1", "jobs 3 bad 1", "jobs 1 bad 2"]
    );
    until(
        "the dead letter",
        || waiting(&cloud, "lost"),
        |count| *count == 1,
    );
    assert_eq!(waiting(&cloud, "jobs"), 0);

    // What waits and who takes it survive the process.
    cloud.restart();
    assert_eq!(waiting(&cloud, "lost"), 1);
    send(&cloud, "after");
    until(
        "after the restart",
        || seen(&cloud),
        |seen| seen.last().is_some_and(|last| last == "jobs 1 after 1"),
    );
}

#[test]
fn only_the_promoted_version_consumes_and_a_removed_consumer_does_not() {
    let cloud = Cloud::start();
    cloud.wrangler(&producer(), &["deploy"]).ok();
    // With static assets, too: those put another worker before it.
    let first = consumer(&cloud, json!({ "max_batch_timeout": 0 }))
        .with("assets", json!({ "directory": "public" }))
        .file("public/a.txt", "a");
    cloud.wrangler(&first, &["deploy"]).ok();
    let live =
        cloud.local("GET", "/state", None)["scripts"]["consumer"]["deployments"][0]["versions"][0]
            ["version_id"]
            .clone();
    let staged = first.file("src/index.js", &CONSUMER.replace("batch.queue", "'staged'"));
    let staged_id = cloud
        .wrangler(&staged, &["versions", "upload"])
        .ok()
        .version_id();
    send(&cloud, "one");
    until(
        "the live version",
        || seen(&cloud),
        |seen| seen == &["jobs 1 one 1"],
    );

    let spec = format!("{staged_id}@100");
    cloud
        .wrangler(&staged, &["versions", "deploy", &spec, "-y"])
        .ok();
    send(&cloud, "two");
    until(
        "the promoted version",
        || seen(&cloud),
        |seen| seen.last().is_some_and(|last| last == "staged 1 two 1"),
    );
    let queues = cloud.local("GET", "/queues", None);
    let versions: Vec<&Value> = queues["queues"]["jobs"]["deliveries"]
        .as_array()
        .expect("deliveries")
        .iter()
        .map(|delivery| &delivery["version"])
        .collect();
    assert_eq!(versions, [&live, &json!(staged_id)]);

    cloud
        .wrangler(
            &staged,
            &["queues", "consumer", "remove", "jobs", "consumer"],
        )
        .ok();
    send(&cloud, "three");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(seen(&cloud).len(), 2);
    assert_eq!(waiting(&cloud, "jobs"), 1);
    // Attached again by a command this time, and it gets what waited.
    cloud
        .wrangler(
            &staged,
            &[
                "queues",
                "consumer",
                "add",
                "jobs",
                "consumer",
                "--batch-timeout",
                "1",
            ],
        )
        .ok();
    until("what waited", || seen(&cloud), |seen| seen.len() == 3);
}
