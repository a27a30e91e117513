//! `--watch`: real requests to a real worker while `deploy` and `rollback` listen; what is told, and what it changes.
#![cfg(unix)]

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::{Run, World};

const PIPELINE: &str = r#"
[cloudflare]
account_id = "0123456789abcdef0123456789abcdef"

[workers.one]
path = "worker"

[databases.small-db]
migrations = "migrations"

[health]
within = "20s"

[watch]
requests_min = 5

[local]
port = 0
subdomain = "test"
"#;

const CONFIG: &str = r#"
name = "one"
main = "index.js"
compatibility_date = "2026-09-01"
workers_dev = true

[[d1_databases]]
binding = "DB"
database_name = "small-db"
database_id = "5d1c3a52-7c84-4f0e-9b6d-2f8e1a90c7b3"
"#;

/// A worker that is healthy whatever else it answers.
fn code(buy: &str) -> String {
    format!(
        "export default {{ fetch(request) {{\n  if (new URL(request.url).pathname === '/health') return new Response('ok');\n  {buy}\n}} }};\n"
    )
}

const FINE: &str = "return new Response('bought');";

/// Runs the binary while somebody buys ten times a second.
#[track_caller]
fn while_asked(world: &World, arguments: &[&str]) -> Run {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                let host = "one.test.localhost";
                let _ = world.cloud().http("GET", host, "/buy?card=4711", &[], "");
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        });
        let run = world.start(arguments).end();
        over.store(true, Ordering::SeqCst);
        run
    })
}

/// The row of the one worker in the report's table of live events.
#[track_caller]
fn heard(run: &Run, stage: &str) -> Value {
    let report = run.report(stage);
    let tables = report["tables"].as_array().expect("tables").iter();
    let mut tables = tables.filter(|table| {
        let title = table["title"].as_str().unwrap_or_default();
        title.starts_with("live events of")
    });
    let table = tables.next().unwrap_or_else(|| panic!("no table: {run}"));
    table["rows"][0].clone()
}

#[track_caller]
fn no_tail_is_left(world: &World) {
    let tails = world
        .cloud()
        .result("GET", "/workers/scripts/one/tails", None);
    assert_eq!(tails, json!([]));
}

#[test]
#[expect(clippy::too_many_lines, reason = "most of it is what is expected")]
fn what_the_public_meets_is_told_and_too_many_errors_count() {
    let world = World::of(&[
        (".gitignore", "/.xtask/\nnode_modules\n.wrangler\n"),
        ("pipeline.toml", PIPELINE),
        ("worker/wrangler.toml", CONFIG),
        ("worker/index.js", &code("throw new TypeError('no stock');")),
        (
            "migrations/0001_notes.sql",
            "CREATE TABLE notes (text TEXT);\n",
        ),
    ])
    .with_stand_in();
    // Nobody asks: that is told, and is no share of 0 %. The worker is new: it is listened to all the same.
    let run = world
        .run(["deploy", "--watch", "1s"])
        .exits(0)
        .says("no request arrived within 1s: nothing is known of the errors that the public meets");
    assert_eq!(heard(&run, "deploy")["share"], "-", "{run}");
    assert_eq!(run.report("deploy")["outcome"], "warning");
    no_tail_is_left(&world);
    let first = world.serving("one");

    world.edit("worker/index.js", &code(FINE));
    world.commit("sell");
    let run = while_asked(&world, &["deploy", "--watch", "3s"]).exits(0);
    let row = heard(&run, "deploy");
    assert_eq!(
        (&row["errors"], &row["share"]),
        (&json!("0"), &json!("0.0 %")),
        "{run}"
    );
    let requests: u64 = row["requests"]
        .as_str()
        .and_then(|n| n.parse().ok())
        .expect("a number");
    assert!(requests >= 5, "{run}");
    let second = world.serving("one");

    // A release that fails in public only is put back.
    world.edit(
        "worker/index.js",
        &code("return new Response('no', { status: 503 });"),
    );
    world.commit("sell nothing");
    let run = while_asked(&world, &["deploy", "--watch", "3s"])
        .exits(3)
        .says("one: 503 at GET http://one.test.localhost")
        .says("was put back: every worker serves what it served before")
        .says("requests ended in an error (100.0 %), 5 % may")
        .never_says("4711");
    assert_eq!(world.serving("one"), second, "{run}");
    assert_eq!(heard(&run, "deploy")["share"], "100.0 %", "{run}");

    // A rollback stays, and says so.
    let run = while_asked(&world, &["rollback", "--watch", "3s"])
        .exits(1)
        .says("serves again, but too many of its requests end in an error")
        .says("TypeError: no stock");
    assert_eq!(world.serving("one"), first, "{run}");
    let row = heard(&run, "rollback");
    assert_eq!(row["exceptions"], row["requests"], "{run}");
    let records = world.query("SELECT record FROM xtask_releases ORDER BY number");
    let last = records
        .last()
        .and_then(|row| row["record"].as_str())
        .expect("a record");
    let last: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(last["status"], "live");
    assert!(last["failed"].to_string().contains("live events"), "{last}");
    no_tail_is_left(&world);

    // What cannot be listened to is not changed.
    world.fault(
        json!({"method": "POST", "path": "/tails$", "count": 1000, "action": {"status": 403}}),
    );
    let run = world
        .run(["rollback", "--to", "2", "--watch", "3s"])
        .exits(3)
        .says("one cannot be listened to");
    assert_eq!(world.serving("one"), first, "{run}");
    world.clear_faults();
    let run = world
        .run(["rollback", "--to", "2", "--watch", "3s", "--dry-run"])
        .exits(0);
    assert!(run.stdout.contains("watch"), "{run}");
    // The setting of pipeline.toml, and the flag that overrules it.
    world.replace("pipeline.toml", "requests_min = 5", "window = \"1s\"");
    world.commit("always watch");
    world
        .run(["rollback", "--to", "2"])
        .exits(0)
        .says("no request arrived within 1s");
    world
        .run(["rollback", "--to", "1", "--watch", "0s"])
        .exits(0)
        .never_says("no request arrived");
}
