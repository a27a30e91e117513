//! Messages pulled and acknowledged over HTTP.

use super::*;

/// A queue with three messages of different kinds, taken from over HTTP; its id.
fn filled(cloud: &Cloud) -> String {
    let project = producer();
    cloud.wrangler(&project, &["deploy"]).ok();
    let id = queue(cloud, "jobs")["queue_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let early = cloud.call(
        "POST",
        &format!("/queues/{id}/messages/pull"),
        Some(json!({})),
    );
    assert_eq!(
        early["errors"][0]["message"],
        "messages cannot be pulled unless http_pull mode is enabled"
    );
    let arguments = [
        "queues",
        "consumer",
        "http",
        "add",
        "jobs",
        "--batch-size",
        "2",
        "--message-retries",
        "1",
        "--dead-letter-queue",
        "lost",
    ];
    cloud.wrangler(&project, &arguments).ok();
    let listed = ["queues", "consumer", "http", "list", "jobs", "--json"];
    cloud.wrangler(&project, &listed).ok().says("\"http_pull\"");
    send(cloud, "worker");
    let text = json!({"body": "plain", "content_type": "text"});
    cloud.result("POST", &format!("/queues/{id}/messages"), Some(text));
    let batch = json!({"messages": [{"body": {"a": 1}}]});
    cloud.result("POST", &format!("/queues/{id}/messages/batch"), Some(batch));
    id
}

fn pull(cloud: &Cloud, id: &str) -> Value {
    let path = format!("/queues/{id}/messages/pull");
    cloud.result(
        "POST",
        &path,
        Some(json!({"visibility_timeout_ms": 60_000})),
    )["messages"]
        .clone()
}

#[test]
fn messages_are_pulled_and_acknowledged() {
    let cloud = Cloud::start();
    let id = filled(&cloud);
    let ack = format!("/queues/{id}/messages/ack");
    let first = pull(&cloud, &id);
    let taken: Vec<_> = first
        .as_array()
        .expect("messages")
        .iter()
        .map(|message| {
            (
                message["metadata"]["CF-Content-Type"].clone(),
                message["body"].clone(),
            )
        })
        .collect();
    // {"say":"worker"} in base64: only text comes as it is.
    assert_eq!(
        taken,
        [
            (json!("json"), json!("eyJzYXkiOiJ3b3JrZXIifQ==")),
            (json!("text"), json!("plain"))
        ]
    );
    let rest = pull(&cloud, &id);
    assert_eq!(
        rest.as_array().map(Vec::len),
        Some(1),
        "leased ones are nobody else's"
    );
    let body = json!({
        "acks": [{"lease_id": first[0]["lease_id"]}],
        "retries": [{"lease_id": first[1]["lease_id"]}, {"lease_id": "no"}],
    });
    let acked = cloud.result("POST", &ack, Some(body));
    assert_eq!(
        acked,
        json!({"ackCount": 1, "retryCount": 1, "warnings": {"no": "unknown lease"}})
    );
    let again = pull(&cloud, &id);
    assert_eq!(
        (&again[0]["body"], &again[0]["attempts"]),
        (&json!("plain"), &json!(2))
    );
    let give_up = json!({"retries": [{"lease_id": again[0]["lease_id"]}]});
    cloud.result("POST", &ack, Some(give_up));
    assert_eq!(pull(&cloud, &id), json!([]));
    assert_eq!(waiting(&cloud, "lost"), 1);
    let remove = ["queues", "consumer", "http", "remove", "jobs"];
    cloud.wrangler(&producer(), &remove).ok();
    assert_eq!(queue(&cloud, "jobs")["consumers"], json!([]));
}
