//! `wrangler queues …`, and what is refused.

use super::*;

#[test]
fn wrangler_makes_and_changes_queues() {
    let cloud = Cloud::start();
    let project = Project::answering("any", "any");
    cloud
        .wrangler(
            &project,
            &["queues", "create", "jobs", "--delivery-delay-secs", "2"],
        )
        .ok();
    cloud
        .wrangler(&project, &["queues", "create", "jobs"])
        .fails_with("[code: 11009]");
    cloud
        .wrangler(
            &project,
            &[
                "queues",
                "create",
                "second",
                "--message-retention-period-secs",
                "59",
            ],
        )
        .fails_with("");
    let settings =
        json!({"delivery_delay": 2, "delivery_paused": false, "message_retention_period": 345_600});
    assert_eq!(queue(&cloud, "jobs")["settings"], settings);
    cloud
        .wrangler(
            &project,
            &["queues", "update", "jobs", "--delivery-delay-secs", "0"],
        )
        .ok();
    assert_eq!(queue(&cloud, "jobs")["settings"]["delivery_delay"], 0);
    cloud
        .wrangler(&project, &["queues", "list"])
        .ok()
        .says("jobs");
    cloud
        .wrangler(&project, &["queues", "info", "jobs"])
        .ok()
        .says("Number of Consumers: 0");
}

#[test]
fn a_paused_queue_keeps_and_a_used_one_stays() {
    let cloud = Cloud::start();
    let project = Project::answering("any", "any");
    cloud.wrangler(&producer(), &["deploy"]).ok();
    cloud
        .wrangler(
            &consumer(&cloud, json!({ "max_batch_timeout": 0 })),
            &["deploy"],
        )
        .ok();
    cloud
        .wrangler(&project, &["queues", "pause-delivery", "jobs"])
        .ok();
    send(&cloud, "held");
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!((waiting(&cloud, "jobs"), seen(&cloud).len()), (1, 0));
    cloud
        .wrangler(&project, &["queues", "purge", "jobs", "--force"])
        .ok();
    assert_eq!(waiting(&cloud, "jobs"), 0);
    send(&cloud, "kept");
    cloud
        .wrangler(&project, &["queues", "resume-delivery", "jobs"])
        .ok();
    until(
        "after resuming",
        || seen(&cloud),
        |seen| seen == &["jobs 1 kept 1"],
    );

    cloud
        .wrangler(&project, &["queues", "delete", "jobs"])
        .fails_with("[code: 11005]");
    let deleted = cloud.call("DELETE", "/workers/services/consumer", None);
    assert_eq!(deleted["errors"][0]["code"], 10064, "{deleted}");
    cloud.result("DELETE", "/workers/services/consumer?force=true", None);
    assert_eq!(queue(&cloud, "jobs")["consumers_total_count"], 0);
    cloud.result("DELETE", "/workers/services/producer", None);
    cloud.wrangler(&project, &["queues", "delete", "jobs"]).ok();
    cloud
        .wrangler(&project, &["queues", "info", "jobs"])
        .fails_with("Queue \"jobs\" does not exist");
}

#[test]
fn what_a_queue_cannot_be_used_for_is_refused() {
    let cloud = Cloud::start();
    let queue_id = cloud.result("POST", "/queues", Some(json!({"queue_name": "jobs"})))["queue_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let consumers = format!("/queues/{queue_id}/consumers");
    let refused = |path: &str, body: Value| {
        let answer = cloud.call("POST", path, Some(body));
        answer["errors"][0]["code"].clone()
    };
    let worker = |script: &str| json!({"type": "worker", "script_name": script});
    assert_eq!(refused(&consumers, worker("nobody")), 10007);
    // A Worker without a `queue` handler, such as a placeholder.
    cloud
        .wrangler(&Project::answering("deaf", "x"), &["deploy"])
        .ok();
    assert_eq!(refused(&consumers, worker("deaf")), 11001);
    cloud
        .wrangler(&consumer(&cloud, json!({})), &["deploy"])
        .ok();
    assert_eq!(refused(&consumers, worker("consumer")), 11004);
    assert_eq!(
        refused("/queues/nowhere/consumers", worker("consumer")),
        11000
    );
    assert_eq!(
        refused(&consumers, json!({"type": "http_pull", "settings": {}})),
        11004
    );
    let own = cloud.result("GET", &consumers, None)[0]["consumer_id"].clone();
    let own = format!("{consumers}/{}", own.as_str().expect("an id"));
    let mut wrong = worker("consumer");
    wrong["settings"] = json!({"batch_size": 101});
    let answer = cloud.call("PUT", &own, Some(wrong));
    assert_eq!(answer["errors"][0]["code"], 100_127, "{answer}");
    let mut circle = worker("consumer");
    circle["dead_letter_queue"] = json!("jobs");
    let answer = cloud.call("PUT", &own, Some(circle));
    assert_eq!(answer["errors"][0]["code"], 100_127, "{answer}");
}
