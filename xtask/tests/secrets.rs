//! Canary secrets: no process list, file, log, report, journal or output ever shows one, plain or as base64.
#![cfg(unix)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use serde_json::json;
use support::World;

const SITE_KEY: &str = "canary-one-7f3a9c\"quote\\and/slash";
const API_KEY: &str = "canary-two-51be07 space+plus=equals";
const TOKEN: &str = "canary-three-token-0d94e2";

/// What must be nowhere: each secret and the forms it may be written in.
fn forms() -> Vec<String> {
    let plain = [SITE_KEY, API_KEY, TOKEN];
    let base64 = |value: &str| base64::engine::general_purpose::STANDARD.encode(value);
    let in_json = |value: &str| {
        serde_json::Value::from(value)
            .to_string()
            .trim_matches('"')
            .to_owned()
    };
    let mut forms: Vec<String> = plain.iter().map(|value| (*value).to_owned()).collect();
    forms.extend(
        plain
            .iter()
            .map(|value| base64(value).trim_end_matches('=').to_owned()),
    );
    forms.extend(plain.iter().map(|value| in_json(value)));
    // The beginning is enough: whatever was quoted or cut, it is still a leak.
    forms.extend(plain.iter().map(|value| value[..16].to_owned()));
    forms
}

fn holds(bytes: &[u8], form: &str) -> bool {
    bytes
        .windows(form.len())
        .any(|window| window == form.as_bytes())
}

/// Watches the command lines of all processes until told to stop.
struct Watch {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<(BTreeSet<String>, BTreeSet<String>)>>,
}

impl Watch {
    fn start() -> Watch {
        let (stop, rounds) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let thread = {
            let (stop, rounds) = (Arc::clone(&stop), Arc::clone(&rounds));
            std::thread::spawn(move || watch(&stop, &rounds))
        };
        Watch {
            stop,
            rounds,
            thread: Some(thread),
        }
    }

    /// The programs that were seen, and the command lines that leak.
    fn end(mut self) -> (BTreeSet<String>, BTreeSet<String>) {
        self.stop.store(true, Ordering::SeqCst);
        let thread = self.thread.take().expect("it runs");
        let seen = thread.join().expect("it ends");
        assert!(self.rounds.load(Ordering::SeqCst) > 20, "too few samples");
        seen
    }
}

fn watch(stop: &AtomicBool, rounds: &AtomicUsize) -> (BTreeSet<String>, BTreeSet<String>) {
    let forms = forms();
    let (mut programs, mut leaks) = (BTreeSet::new(), BTreeSet::new());
    while !stop.load(Ordering::SeqCst) {
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if line.is_empty() {
                continue;
            }
            let text = String::from_utf8_lossy(&line).replace('\0', " ");
            if forms.iter().any(|form| holds(&line, form)) {
                leaks.insert(text.clone());
            }
            for program in ["curl", "wrangler-dist/cli.js", "workerd"] {
                if text.contains(program) {
                    programs.insert(program.to_owned());
                }
            }
        }
        rounds.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
    }
    (programs, leaks)
}

/// Files below a folder that hold a secret in any form; links are not followed.
fn leaking_files(folder: &Path, forms: &[String], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("it has one");
        if kind.is_dir() {
            leaking_files(&path, forms, found);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            if forms.iter().any(|form| holds(&bytes, form)) {
                found.push(path);
            }
        }
    }
}

#[track_caller]
fn no_leak(what: &str, text: &str) {
    for form in forms() {
        assert!(!text.contains(&form), "{what} shows {form:?}:\n{text}");
    }
}

/// A world that plays production: a token of its own, and the resources that an account in use has.
fn production() -> World {
    let mut world = World::new();
    world.set("SITE_KEY", SITE_KEY);
    world.set("API_KEY", API_KEY);
    world.set("CLOUDFLARE_API_TOKEN", TOKEN);
    let (api, port) = (world.cloud().api(), world.cloud().port);
    world.set("CLOUDFLARE_API_BASE_URL", &api);
    world.set("XTASK_EDGE", &format!("127.0.0.1:{port}"));
    world.set("XTASK_CLOUD", "cloudflare");
    let resources = json!({
        "d1": [{"id": support::DATABASE, "name": "small-db"}],
        "kv": [{"id": "b6b44e270e4b4f6c8d19c7e2b0f35d62", "title": "CACHE"}],
    });
    world.cloud().local("POST", "/resources", Some(resources));
    world
}

#[test]
fn no_secret_is_seen_anywhere() {
    let mut world = production();
    // A build that says what it knows aloud, plain, encoded and inside other text. It is given no secret, but it may
    // come by one: here through a variable with an innocent name.
    world.replace(
        "pipeline.toml",
        "path = \"workers/api\"",
        "path = \"workers/api\"\nbuild = \"sh loud.sh\"",
    );
    world.edit(
        "workers/api/loud.sh",
        "echo \"given=$API_KEY$CLOUDFLARE_API_TOKEN;\"\necho \"found=$NOTE;\"\nprintf %s \"$NOTE\" | base64 >&2\n",
    );
    world.commit("a loud build");
    world.set("NOTE", API_KEY);
    let summary = world.aside("summary.md");
    world.set("GITHUB_ACTIONS", "true");
    world.set("GITHUB_STEP_SUMMARY", &summary.display().to_string());
    world.set(
        "GITHUB_OUTPUT",
        &world.aside("output").display().to_string(),
    );

    let watch = Watch::start();
    let good = world.run(["deploy", "--verbose", "--format", "json"]);
    world.edit(
        "workers/api/index.js",
        "throw new Error(\"boom\");\nexport default {};\n",
    );
    world.commit("throws");
    let bad = world.run(["deploy", "--verbose"]);
    let plan = world.run(["deploy", "--dry-run", "--format", "json"]);
    let (programs, leaks) = watch.end();

    let good = good.exits(0);
    bad.clone().exits(1);
    plan.clone().exits(0);
    assert!(leaks.is_empty(), "in argv: {leaks:?}");
    assert_eq!(programs.len(), 3, "only these were seen: {programs:?}");
    let good = good.says("given=;").says("found=***;");
    let secrets = world.edge_get("small.example", "/secrets").ok();
    assert_eq!(
        secrets,
        json!({"site": SITE_KEY.len(), "api": API_KEY.len()}),
        "they did arrive"
    );

    for run in [&good, &bad, &plan] {
        no_leak("stdout", &run.stdout);
        no_leak("stderr", &run.stderr);
    }
    no_leak("the journal", &json!(world.journal()).to_string());
    no_leak("the state", &world.cloud_state().to_string());
    let page = world.cloud().control("GET", "/", None);
    no_leak("the control page", &page.body);

    // Everything below the repo, beside it (home, temporary files, summaries), and the local cloud's own files.
    let mut found = Vec::new();
    let base = world.root().parent().expect("it has one").to_owned();
    leaking_files(&base, &forms(), &mut found);
    let state = world.root().join(".xtask/local-cloud/state.json");
    assert_eq!(
        found,
        std::slice::from_ref(&state),
        "only the local cloud keeps them"
    );
    let mode = fs::metadata(&state)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&state).expect("it is text");
    assert!(!text.contains(TOKEN), "the token is nobody's business");
}

#[test]
fn a_real_token_is_never_sent_to_the_local_cloud_nor_left_in_its_environment() {
    let mut world = World::new();
    world.stop_cloud();
    world.set("CLOUDFLARE_API_TOKEN", TOKEN);
    world.set("SITE_KEY", SITE_KEY);
    let run = world.run(["local", "--detach", "--port", "0"]).exits(0);
    let server = world.read(".xtask/local-cloud/server.json");
    let server: serde_json::Value = serde_json::from_str(&server).expect("JSON");
    let environment = fs::read(format!("/proc/{}/environ", server["pid"])).expect("it runs");
    world.run(["local", "--stop"]).exits(0);
    assert!(!holds(&environment, TOKEN), "{run}");
    assert!(!holds(&environment, SITE_KEY), "{run}");
}
