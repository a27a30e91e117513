//! `logs`: the live events of a worker on a local cloud, for people and for programs, searched and ended.

use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

use expect_test::expect;
use serde_json::Value;

use crate::support::{World, repo, signals};

/// Says the path it is asked for, and the token that no reader may see.
const CODE: &str = r#"
export default {
  async fetch(request, env) {
    console.log("asked for", new URL(request.url).pathname);
    console.warn("local-cloud-token");
    return Response.json({ ok: true, version: env.VERSION.id });
  },
};
"#;

/// Starts `logs`, asks the worker again and again until a line on stdout is the one that is waited for, then interrupts it
/// with Ctrl-C; the lines up to that one, and the exit code.
#[track_caller]
fn until(world: &World, arguments: &[&str], wanted: &str) -> (Vec<String>, Option<i32>) {
    let mut child: Child = world.xtask(arguments).spawn().expect("the binary starts");
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let wanted = wanted.to_owned();
    let reader = std::thread::spawn(move || {
        let mut lines = Vec::new();
        for line in stdout.lines().map_while(Result::ok) {
            let found = line.contains(&wanted);
            lines.push(line);
            if found {
                break;
            }
        }
        lines
    });
    let deadline = Instant::now() + Duration::from_secs(60);
    while !reader.is_finished() {
        assert!(Instant::now() < deadline, "`{arguments:?}` shows nothing");
        world.edge_get("one.test.localhost", "/bread");
        world.edge_get("one.test.localhost", "/butter");
        std::thread::sleep(Duration::from_millis(150));
    }
    signals::to_group(&child, "INT");
    let ended = child.wait().expect("it is our child");
    (reader.join().expect("the reader ends"), ended.code())
}

#[test]
fn events_are_shown_searched_and_the_tails_deleted() {
    let mut world = World::without_cloud(&repo::one_worker(CODE)).with_stand_in();
    let off = world.run(["logs"]).exits(2);
    expect![[r#"
        error: the local cloud is not running, or has never seen this repo
          why: there is nobody to listen to
          fix: cargo xtask deploy --cloud local"#]]
    .assert_eq(off.error());
    world.start_cloud();
    world.deploy();

    let (lines, code) = until(&world, &["logs", "one"], "warn:");
    assert_eq!(code, Some(0), "{lines:?}");
    assert!(
        lines
            .iter()
            .any(|it| it.starts_with("one  ") && it.contains("GET http")),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|it| it.contains("log: asked for /")),
        "{lines:?}"
    );
    assert!(!lines.concat().contains("local-cloud-token"), "{lines:?}");

    let searched = ["logs", "--grep", "BUTTER", "--format", "json"];
    let (lines, code) = until(&world, &searched, "butter");
    assert_eq!((lines.len(), code), (1, Some(0)), "{lines:?}");
    let event: Value = serde_json::from_str(&lines[0]).expect("one object per line");
    assert_eq!(
        (&event["worker"], &event["outcome"]),
        (&"one".into(), &"ok".into())
    );
    assert!(!lines[0].contains("local-cloud-token"), "{lines:?}");

    let short = world.run(["logs", "--for", "300ms"]).exits(0);
    assert!(short.stdout.is_empty(), "{short}");
    let left = world
        .cloud()
        .result("GET", "/workers/scripts/one/tails", None);
    assert_eq!(left, serde_json::json!([]));
    let unknown = world.run(["logs", "two"]).exits(2);
    expect![[r#"
        error: there is no worker `two`
          why: pipeline.toml names these: one
          fix: use one of these names, or add the worker to pipeline.toml"#]]
    .assert_eq(unknown.error());
}
