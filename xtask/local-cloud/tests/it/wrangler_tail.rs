//! The real `wrangler tail`: one live event, and a clean end.

#![expect(
    clippy::disallowed_methods,
    reason = "interrupts the program under test"
)]

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Cloud, Project};

/// Waits until the journal holds a request, and fails after half a minute.
#[track_caller]
fn wait_for(cloud: &Cloud, method: &str, part_of_path: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let journal = cloud.local("GET", "/journal", None);
        let entries = journal["entries"].as_array().expect("entries");
        let is_it = |entry: &&serde_json::Value| {
            entry["method"] == method
                && entry["path"]
                    .as_str()
                    .is_some_and(|path| path.contains(part_of_path))
        };
        if entries.iter().any(|entry| is_it(&entry)) {
            return;
        }
        assert!(Instant::now() < deadline, "no {method} {part_of_path}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_tail_shows_requests_and_ends_when_interrupted() {
    let cloud = Cloud::start();
    let source =
        "export default { fetch() { console.log('seen by tail'); return new Response('ok'); } };\n";
    let project = Project::new("api", source);
    cloud.wrangler(&project, &["deploy"]).ok();
    let mut tail = cloud
        .wrangler_command(&project, &["tail", "api", "--format", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("node starts");
    wait_for(&cloud, "POST", "/tails");

    // The socket opens a moment after the tail was made: ask until a request is seen.
    let mut stdout = tail.stdout.take().expect("stdout is piped");
    let reader = std::thread::spawn(move || {
        let (mut text, mut chunk) = (String::new(), [0; 4096]);
        while !text.contains("seen by tail") {
            match stdout.read(&mut chunk) {
                Ok(0) | Err(_) => break,
                Ok(length) => text.push_str(&String::from_utf8_lossy(&chunk[..length])),
            }
        }
        text
    });
    let deadline = Instant::now() + Duration::from_secs(30);
    while !reader.is_finished() {
        assert!(Instant::now() < deadline, "the tail shows nothing");
        assert_eq!(cloud.get("api.kiamichi.localhost", "/").body, "ok");
        std::thread::sleep(Duration::from_millis(100));
    }
    let text = reader.join().expect("the reader ends");
    assert!(text.contains("\"outcome\": \"ok\""), "{text}");
    assert!(text.contains("\"scriptName\": \"api\""), "{text}");

    let interrupted = Command::new("kill")
        .args(["-INT", &tail.id().to_string()])
        .status();
    assert!(interrupted.expect("kill runs").success());
    tail.wait().expect("wrangler ends");
    wait_for(&cloud, "DELETE", "/tails/");
}
