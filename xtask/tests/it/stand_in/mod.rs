//! The contract of the stand-in for wrangler: request by request it sends what the pinned wrangler sends, for every config
//! shape that a test may use it with.
#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::support::{World, repo};
use crate::{cleanup, faults, preview_faults};

/// A repo, and what is run in it.
struct Fixture {
    name: &'static str,
    files: Vec<(String, String)>,
    secrets: Vec<(&'static str, &'static str)>,
    run: fn(&World),
}

fn owned(files: Vec<(&str, &str)>) -> Vec<(String, String)> {
    let owned = |(path, text): (&str, &str)| (path.to_owned(), text.to_owned());
    files.into_iter().map(owned).collect()
}

/// Every repo the stand-in ships, or one with the same shapes.
fn fixtures() -> Vec<Fixture> {
    vec![
        Fixture {
            name: "small set",
            files: owned(cleanup::made::sources()),
            secrets: Vec::new(),
            run: |world| {
                cleanup::made::adopted(world);
                crate::support::pending::tell_wrangler(world);
                let folder = "migrations_dir = \"../../migrations\"\n";
                let more = "migrations_pattern = \"../../migrations/*.sql\"\nmigrations_table = \"schema_log\"\n";
                let config = "workers/site/wrangler.toml";
                world.replace(config, folder, &format!("{folder}{more}"));
                world.commit("wrangler knows the migrations");
                world.deploy();
            },
        },
        Fixture {
            name: "one worker",
            files: owned(repo::one_worker(repo::API_CODE)),
            secrets: Vec::new(),
            run: in_trouble,
        },
        Fixture {
            name: "sweep of deploy",
            files: faults::payload::files(1, &[1]),
            secrets: faults::payload::SECRETS.to_vec(),
            run: |world| {
                world.deploy();
            },
        },
        Fixture {
            name: "sweep of preview",
            files: preview_faults::payload::files(1, 1, 1),
            secrets: preview_faults::payload::SECRETS.to_vec(),
            run: |world| {
                world.run(["preview", "--pr", "7"]).exits(0);
            },
        },
    ]
}

/// An upload that is tried again, and one that is refused.
fn in_trouble(world: &World) {
    let versions = |action: Value, count: u64| json!({"method": "POST", "path": "/versions$", "action": action, "count": count});
    world.fault(versions(json!({"status": 503}), 2));
    world.deploy();
    // What belongs to the Worker and to none of its versions is sent by the pipeline, not by wrangler.
    let settings =
        "workers_dev = true\nlogpush = true\nroutes = []\nobservability = { enabled = true }\n";
    world.replace("worker/wrangler.toml", "workers_dev = true\n", settings);
    world.change("worker/index.js");
    let refusal = json!({"success": false, "errors": [{"code": 10021, "message": "it does not start"}], "messages": [], "result": null});
    world.fault(versions(json!({"status": 400, "body": refusal}), 1));
    world.run(["deploy"]).exits(1);
    world.clear_faults();
}

/// The calls of a fixture's run: command line → what was sent and how it ended, in order.
type Calls = BTreeMap<String, Vec<Value>>;

fn record(fixture: &Fixture, is_real: bool, learns: &Path) -> Calls {
    let mut files: Vec<(&str, &str)> = vec![(".gitignore", ".xtask\nnode_modules\n.wrangler\n")];
    let of_fixture = fixture.files.iter();
    files.extend(of_fixture.map(|(path, text)| (path.as_str(), text.as_str())));
    let mut world = World::of(&files);
    for (name, value) in &fixture.secrets {
        world.set(name, value);
    }
    let out = world.aside("calls");
    let mut world = world.with_recorder(is_real, &out);
    if !is_real {
        world.set("STAND_IN_LEARNS", &learns.display().to_string());
    }
    (fixture.run)(&world);
    let mut found = Vec::new();
    for entry in fs::read_dir(&out).expect("calls were recorded") {
        let text = fs::read_to_string(entry.expect("it can be read").path()).expect("a text");
        found.push(serde_json::from_str::<Value>(&text).expect("JSON"));
    }
    found.sort_by_key(|call| call["started"].as_u64());
    let mut calls = Calls::new();
    for mut call in found {
        call["started"].take();
        let line = call["argv"].to_string();
        calls.entry(line).or_default().push(call);
    }
    calls
}

#[test]
fn it_sends_what_wrangler_sends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let learns = folder.path().join("shapes");
    let fixtures = fixtures();
    let differing: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = fixtures
            .iter()
            .map(|fixture| {
                let learns = &learns;
                scope.spawn(move || {
                    let real = record(fixture, true, learns);
                    let own = record(fixture, false, learns);
                    difference(fixture.name, &real, &own)
                })
            })
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().expect("a fixture runs"))
            .collect()
    });
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    let text = fs::read_to_string(&learns).expect("shapes were noted");
    let shapes: BTreeSet<&str> = text.lines().collect();
    let shapes = shapes.into_iter().collect::<Vec<_>>().join("\n") + "\n";
    expect_file!["./covered.txt"].assert_eq(&shapes);
}

/// The first call that differs.
fn difference(name: &str, real: &Calls, own: &Calls) -> Option<String> {
    assert!(!real.is_empty(), "{name}: wrangler was not called");
    if real == own {
        return None;
    }
    let lines: BTreeSet<&String> = real.keys().chain(own.keys()).collect();
    let line = lines
        .into_iter()
        .find(|line| real.get(*line) != own.get(*line))?;
    let shown = |calls: &Calls| match calls.get(line) {
        Some(calls) => serde_json::to_string_pretty(calls).expect("JSON"),
        None => "no such call".to_owned(),
    };
    let (real, own) = (shown(real), shown(own));
    let mut pairs = real.lines().zip(own.lines());
    let first = pairs.position(|(a, b)| a != b).unwrap_or_default();
    let from = |text: &str| {
        let lines = text.lines().skip(first.saturating_sub(4)).take(12);
        lines.collect::<Vec<_>>().join("\n")
    };
    Some(format!(
        "{name}: {line}\n--- wrangler\n{}\n--- the stand-in\n{}",
        from(&real),
        from(&own)
    ))
}

#[test]
fn a_request_that_differs_is_noticed() {
    let calls = |body: &str| {
        let call = json!({"requests": [{"line": "POST /versions", "body": [["metadata", body]]}]});
        Calls::from([("upload".to_owned(), vec![call])])
    };
    assert_eq!(difference("same", &calls("{}"), &calls("{}")), None);
    let said = difference("other", &calls("{}"), &calls("{ }")).expect("they differ");
    assert!(said.contains("upload"), "{said}");
    let fewer = Calls::from([("upload".to_owned(), Vec::new())]);
    assert!(difference("fewer", &calls("{}"), &fewer).is_some());
}

#[test]
fn a_config_that_the_contract_does_not_cover_is_refused() {
    let world = World::of(&repo::one_worker(repo::API_CODE)).with_stand_in();
    let queue =
        "workers_dev = true\n\n[[queues.producers]]\nbinding = \"Q\"\nqueue = \"letters\"\n";
    world.replace("worker/wrangler.toml", "workers_dev = true\n", queue);
    world.commit("a queue");
    world
        .run(["deploy"])
        .exits(1)
        .says("the contract covers no config with own.queues.producers[].binding: string");
    assert_eq!(world.uploads(), Vec::<String>::new());
}
