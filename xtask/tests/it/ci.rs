//! Whole runs of `cargo xtask ci` with the real tsc, vitest, wrangler and npm, on a copy of this repo's own workers.

#![expect(
    clippy::disallowed_methods,
    reason = "a test's PATH is the one it was started with"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::support::World;
use serde_json::Value;

/// This repo's workers with their package.json files, and no cloud: `ci` needs none.
fn repo() -> World {
    let mut world = World::kiamichi();
    world.stop_cloud();
    for file in [
        "package.json",
        "package-lock.json",
        "tsconfig.base.json",
        ".npmrc",
        ".gitignore",
    ] {
        let text = std::fs::read_to_string(
            std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .parent()
                .expect("a crate below the root")
                .join(file),
        )
        .expect("this repo has it");
        world.edit(file, &text);
    }
    // What is installed is as new as the lock file here.
    world.edit("package-lock.json", &world.read("package-lock.json"));
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let lock = std::fs::File::options()
        .write(true)
        .open(world.root().join("package-lock.json"))
        .expect("it is there");
    lock.set_modified(old).expect("its time can be set");
    world.commit("packages");
    let registry = advisory_service(false);
    world.set("npm_config_registry", &registry);
    world
}

/// An advisory service on loopback: knows nothing, or one critical vulnerability of `vite`.
fn advisory_service(vulnerable: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = Vec::new();
            let mut buffer = [0; 65536];
            stream
                .set_read_timeout(Some(std::time::Duration::from_millis(300)))
                .ok();
            while let Ok(count) = stream.read(&mut buffer) {
                request.extend_from_slice(&buffer[..count]);
                if count == 0 || body_is_complete(&request) {
                    break;
                }
            }
            let body = if let Some(name) = package_asked(&request) {
                &format!("{{\"name\":\"{name}\",\"dist-tags\":{{}},\"versions\":{{}}}}")
            } else if vulnerable {
                r#"{"vite":[{"id":1,"url":"https://github.com/advisories/GHSA-test-test-test","title":"arbitrary file read","severity":"critical","vulnerable_versions":"<99.0.0","cwe":["CWE-22"],"cvss":{"score":9.8,"vectorString":null}}]}"#
            } else {
                "{}"
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).ok();
            stream.write_all(body.as_bytes()).ok();
        }
    });
    format!("http://{address}/")
}

/// The package whose versions npm asks for, to see which of its dependants are affected.
fn package_asked(request: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(request);
    let path = text.strip_prefix("GET /")?.split(' ').next()?;
    Some(path.replace("%2f", "/").replace("%2F", "/"))
}

fn body_is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, _)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length:")?
            .trim()
            .parse::<usize>()
            .ok()
    });
    request.len() >= head.len() + 4 + length.unwrap_or(0)
}

fn statuses(report: &Value) -> Vec<(String, String)> {
    let steps = report["steps"].as_array().expect("a report has steps");
    let text = |step: &Value, field: &str| step[field].as_str().unwrap_or_default().to_owned();
    steps
        .iter()
        .map(|step| (text(step, "id"), text(step, "status")))
        .collect()
}

fn failed(report: &Value) -> Vec<String> {
    statuses(report)
        .into_iter()
        .filter(|(_, status)| status == "failed")
        .map(|(id, _)| id)
        .collect()
}

/// Six mistakes of six kinds; two of them are hidden by tricks of the shell.
fn make_mistakes(world: &World) {
    // A type error, hidden by a shell trick in the worker's own script.
    world.edit(
        "workers/analyzer-worker/src/wrong.ts",
        "export const wrong: number = \"text\";\n",
    );
    world.replace(
        "workers/analyzer-worker/package.json",
        "\"tsc --noEmit\"",
        "\"tsc --noEmit || echo fine\"",
    );
    // A unit test that fails, hidden as well.
    world.edit(
        "workers/facebook-worker/test/wrong.test.ts",
        "import { expect, it } from \"vitest\";\n\nit(\"adds up\", () => {\n  expect(1 + 1).toBe(3);\n});\n",
    );
    // Without the shared set-up, which the broken migration below would break for every test.
    world.replace(
        "workers/facebook-worker/vitest.config.ts",
        "setupFiles: [\"../shared/test-database.ts\"]",
        "setupFiles: []",
    );
    world.replace(
        "workers/facebook-worker/package.json",
        "\"vitest run\"",
        "\"vitest run || true\"",
    );
    // A bundle above its budget, a config wrangler rejects, a migration that cannot be applied.
    world.replace(
        "pipeline.toml",
        "[workers.main]\n",
        "[workers.main]\nbundle_max_gzip = \"1 kB\"\n",
    );
    world.replace(
        "workers/business-agent/wrangler.jsonc",
        "\"main\": \"src/index.ts\"",
        "\"main\": \"src/missing.ts\"",
    );
    world.edit(
        "workers/main/migrations/0003_broken.sql",
        "CREATE TABLE fine (id INTEGER);\n\nINSERT INTO nowhere VALUES (1);\n",
    );
}

#[test]
fn everything_that_is_wrong_is_reported_in_one_run_with_its_place() {
    let mut world = repo();
    world.set("npm_config_registry", &advisory_service(true));
    make_mistakes(&world);
    world.commit("six mistakes");

    let run = world.run([
        "ci",
        "--keep-going",
        "--format",
        "json",
        "--junit",
        "junit.xml",
    ]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).expect("stdout is one document");
    let failed = failed(&report);
    for step in [
        "check analyzer",
        "test facebook",
        "audit",
        "build main",
        "build business-agent",
        "migrations kiamichi-biz-connect-db",
    ] {
        assert!(
            failed.iter().any(|id| id == step),
            "`{step}` is not among {failed:?}\n{}",
            run.stderr
        );
    }
    for place in [
        "workers/analyzer-worker/src/wrong.ts:1:14: error TS2322",
        "workers/facebook-worker/test/wrong.test.ts:4",
        "GHSA-test-test-test",
        "the bundle of main is",
        "failed to run `vitest run` of facebook",
        "workers/business-agent/wrangler.jsonc:",
        "workers/business-agent/worker-configuration.d.ts: error: Types at",
        "src/missing.ts",
        "workers/main/migrations/0003_broken.sql:3: error: no such table: nowhere",
    ] {
        assert!(
            run.stderr.contains(place),
            "`{place}` is not in\n{}",
            run.stderr
        );
    }
    let junit = world.read("junit.xml");
    assert!(
        junit.contains("<failure") && junit.contains("TS2322"),
        "{junit}"
    );
}

#[test]
fn an_unchanged_tree_is_cached_and_one_change_runs_only_its_steps() {
    let mut world = repo();
    let first = world.run(["ci", "--keep-going", "--format", "json"]);
    assert_eq!(first.status, Some(0), "{}", first.stderr);
    let trace = world.aside("trace");
    let second = spawned(&mut world, &trace);
    let report: Value = serde_json::from_str(&second.stdout).expect("stdout is one document");
    for (id, status) in statuses(&report) {
        let wanted: &[&str] = match id.as_str() {
            "config" => &["passed"],
            "install" => &["skipped"],
            _ => &["cached"],
        };
        assert!(
            wanted.contains(&status.as_str()),
            "{id} is {status}\n{}",
            second.stderr
        );
    }
    // The facebook worker calls nobody, and the business agent calls it: its steps and those of its caller.
    world.edit(
        "workers/facebook-worker/src/added.ts",
        "export const added = 1;\n",
    );
    world.commit("the facebook worker changes");
    let ran = ran(&world);
    let wanted = steps_of(&["business-agent", "facebook"]);
    assert_eq!(ran, wanted);
    // The business agent is called by nobody.
    world.edit(
        "workers/business-agent/src/added.ts",
        "export const added = 1;\n",
    );
    assert_eq!(self::ran(&world), steps_of(&["business-agent"]));
    // A migration belongs to every worker of its database; three of their tests apply it.
    world.edit(
        "workers/main/migrations/0009_added.sql",
        "CREATE TABLE added (id INTEGER);\n",
    );
    let ran = self::ran(&world);
    for step in [
        "test main",
        "test analyzer",
        "test facebook",
        "test business-agent",
        "migrations kiamichi-biz-connect-db",
    ] {
        assert!(ran.iter().any(|id| id == step), "{step}: {ran:?}");
    }
    assert!(self::ran(&world).is_empty());
}

/// The steps whose work a run did, all of them well.
#[track_caller]
fn ran(world: &World) -> Vec<String> {
    // A file written in the moment in which a run begins counts as written during it.
    std::thread::sleep(std::time::Duration::from_millis(40));
    let run = world.run(["ci", "--keep-going", "--format", "json"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).expect("stdout is one document");
    let mut ran: Vec<String> = statuses(&report)
        .into_iter()
        .filter(|(id, status)| status == "passed" && id != "config")
        .map(|(id, _)| id)
        .collect();
    ran.sort();
    ran
}

/// The steps of workers, as their package.json and files call for them.
fn steps_of(workers: &[&str]) -> Vec<String> {
    let mut steps: Vec<String> = workers
        .iter()
        .flat_map(|worker| {
            let check = match *worker {
                "business-agent" => vec!["check business-agent 1", "check business-agent 2"],
                "facebook" => vec!["check facebook"],
                other => panic!("the steps of {other} are not listed"),
            };
            let check = check.into_iter().map(str::to_owned);
            let others = ["build", "test", "types"].map(|verb| format!("{verb} {worker}"));
            check.chain(others).collect::<Vec<String>>()
        })
        .collect();
    steps.sort();
    steps
}

/// Runs `ci` with every program but git replaced on PATH by one that leaves a trace, and asserts that none was started.
fn spawned(world: &mut World, trace: &std::path::Path) -> crate::support::Run {
    let bin = world.aside("bin");
    std::fs::create_dir_all(&bin).expect("a folder can be made");
    for program in ["npm", "sh", "bash", "node", "curl", "npx"] {
        let script = format!(
            "#!/bin/bash\necho {program} >> '{}'\nexit 1\n",
            trace.display()
        );
        let path = bin.join(program);
        std::fs::write(&path, script).expect("it can be written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("it can be made executable");
    }
    let before = std::env::var("PATH").unwrap_or_default();
    world.set("PATH", &format!("{}:{before}", bin.display()));
    let run = world.run(["ci", "--keep-going", "--format", "json"]);
    world.set("PATH", &before);
    assert!(
        !trace.exists(),
        "started: {}",
        std::fs::read_to_string(trace).unwrap_or_default()
    );
    run
}

#[test]
fn an_allowed_failure_is_a_visible_warning_until_its_day() {
    let world = repo();
    world.edit(
        "workers/analyzer-worker/src/wrong.ts",
        "export const wrong: number = \"text\";\n",
    );
    let pipeline = world.read("pipeline.toml");
    let allow = |until: &str| {
        format!(
            "{pipeline}\n[[allow]]\nstep = \"check analyzer\"\nreason = \"the types are being reworked\"\nuntil = {until}\n"
        )
    };
    world.edit("pipeline.toml", &allow("2099-01-31"));
    let run = world.run(["ci", "--keep-going", "--only", "analyzer"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(
        run.stderr
            .contains("allowed until 2099-01-31: the types are being reworked"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("ci: warning"), "{}", run.stderr);
    world.edit("pipeline.toml", &allow("2020-01-31"));
    let run = world.run(["ci", "--keep-going", "--only", "analyzer"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("until 2020-01-31"), "{}", run.stderr);
}
