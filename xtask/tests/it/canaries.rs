//! Every verb, with canaries in all declared secrets and tokens: whatever a step prints of them, in whatever form, no output and
//! no file shows it; and no step of `ci` is given one.
#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::support::World;
use crate::support::canary::{holds, leaking_files, no_leak};

const SECRETS: [(&str, &str); 4] = [
    ("ADMIN_KEY", "canary-admin-key/7f3a9c+\"quote\""),
    (
        "SECOND_KEY",
        "canary-first-line-51be07\ncanary-second-line-9a",
    ),
    ("CLOUDFLARE_API_TOKEN", "canary-cloudflare-token-0d94e2"),
    ("GITHUB_TOKEN", "canary-github-token-77aa31"),
];

const PIPELINE: &str = r#"
[cloudflare]
account_id = "0123456789abcdef0123456789abcdef"
[workers.one]
path = "worker"
health = false
build = "node ../leak.cjs"
secrets = ["ADMIN_KEY", "SECOND_KEY"]
[local]
port = 0
subdomain = "test"
"#;

/// Prints every secret in every form, from a file beside the repo: a step is given none of them.
const LEAK: &str = r#"
const { readFileSync } = require("node:fs");
const secrets = JSON.parse(readFileSync(process.env.LEAK_FILE, "utf8"));
for (const [name, value] of secrets) {
  const bytes = Buffer.from(value);
  const lines = value.split("\n");
  console.log(`plain ${value}\nreversed ${lines.toReversed().join("\n")}\njson ${JSON.stringify(value)}`);
  console.error(`base64 ${bytes.toString("base64")} ${bytes.toString("base64url")}`);
  console.error(`hex ${bytes.toString("hex")} ${bytes.toString("hex").toUpperCase()} url ${encodeURIComponent(value)}`);
  if (process.env[name]) console.log(`GIVEN ${name}`);
}
if (process.argv[2] === "fail") process.exit(1);
"#;

const PACKAGE: &str = r#"{ "name": "one", "private": true, "scripts": {
  "check": "node ../leak.cjs", "lint": "node ../leak.cjs fail", "test": "node ../leak.cjs" } }
"#;

/// The forms of the issue, of each value and of each of its lines.
fn forms() -> Vec<String> {
    let mut forms = BTreeSet::new();
    for (_, value) in SECRETS {
        for text in value.lines() {
            let json = serde_json::to_string(text).expect("a text");
            let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            forms.extend([text.to_owned(), json.trim_matches('"').to_owned()]);
            forms.extend([hex.to_uppercase(), hex]);
        }
        let whole = STANDARD.encode(value);
        forms.extend([
            whole.trim_end_matches('=').to_owned(),
            URL_SAFE_NO_PAD.encode(value),
        ]);
    }
    forms.into_iter().collect()
}

fn world() -> World {
    let mut world = World::of(&[
        (".gitignore", "/.xtask/\nnode_modules\n.wrangler/\n"),
        ("pipeline.toml", PIPELINE),
        (
            "package.json",
            "{ \"name\": \"repo\", \"private\": true, \"workspaces\": [\"worker\"] }\n",
        ),
        ("leak.cjs", LEAK),
        ("worker/package.json", PACKAGE),
        (
            "worker/wrangler.toml",
            "name = \"one\"\nmain = \"index.js\"\ncompatibility_date = \"2026-09-01\"\nworkers_dev = true\n",
        ),
        (
            "worker/index.js",
            "export default { fetch: () => new Response(\"ok\") };\n",
        ),
    ]);
    let file = world.aside("leak.json");
    let pairs: Vec<(&str, &str)> = SECRETS.to_vec();
    fs::write(&file, serde_json::to_string(&pairs).expect("pairs")).expect("a file can be written");
    world.set("LEAK_FILE", &file.display().to_string());
    for (name, value) in SECRETS {
        world.set(name, value);
    }
    world.set("GITHUB_ACTIONS", "true");
    let summary = world.aside("summary.md");
    world.set("GITHUB_STEP_SUMMARY", &summary.display().to_string());
    world
}

/// Each verb, and how it is called here. A verb that nobody thought of fails the test.
fn calls() -> BTreeMap<&'static str, Vec<&'static str>> {
    BTreeMap::from([
        ("ci", vec!["ci", "--keep-going"]),
        ("cleanup", vec!["cleanup", "--pr", "7"]),
        ("completions", vec!["completions", "bash"]),
        ("crons", vec!["crons"]),
        ("deploy", vec!["deploy"]),
        ("doctor", vec!["doctor"]),
        ("init", vec!["init", "--dry-run"]),
        ("install", vec!["install"]),
        ("local", vec!["local", "--status"]),
        ("logs", vec!["logs", "--for", "1s"]),
        ("migrate", vec!["migrate", "status"]),
        ("preview", vec!["preview", "--pr", "7"]),
        // What it does is `ci`, `preview` and `deploy` in a copy of the repo.
        ("rehearse", vec!["rehearse", "--stop"]),
        ("rollback", vec!["rollback", "--list"]),
        ("schema", vec!["schema"]),
        ("secrets", vec!["secrets", "list"]),
        ("status", vec!["status"]),
        ("tidy", vec!["tidy"]),
        ("worker", vec!["worker", "add", "nowhere"]),
    ])
}

#[test]
fn no_verb_shows_a_secret_and_no_step_of_ci_gets_one() {
    let world = world();
    let calls = calls();
    let known: BTreeSet<String> = xtask::stages::tidy::verbs().into_keys().collect();
    let thought_of: BTreeSet<String> = calls.keys().map(|verb| (*verb).to_owned()).collect();
    assert_eq!(known, thought_of, "every verb is tried");
    let forms = forms();
    // What others need comes first.
    let first = ["install", "ci", "deploy", "preview"];
    let rest = calls.keys().filter(|verb| !first.contains(verb));
    for verb in first.iter().chain(rest) {
        let run = world.start(&calls[verb]).end();
        let said = format!("{}{}", run.stdout, run.stderr);
        for form in &forms {
            assert!(
                !holds(said.as_bytes(), form),
                "{verb} shows {form}:\n{said}"
            );
        }
        assert!(
            !said.contains("GIVEN "),
            "a step of {verb} is given a secret:\n{said}"
        );
        if *verb == "ci" {
            assert!(
                said.contains("plain ***"),
                "the steps printed nothing:\n{said}"
            );
            run.exits(1);
        }
    }
    let mut leaks = Vec::new();
    leaking_files(&world.root().join(".xtask"), &forms, &mut leaks);
    // The account itself: a Worker there reads its secrets.
    leaks.retain(|path| !path.starts_with(world.root().join(".xtask/local-cloud")));
    assert!(leaks.is_empty(), "{leaks:?}");
    let summary = fs::read_to_string(world.aside("summary.md")).expect("there is a step summary");
    no_leak(&forms, "the summary", &summary);
}
