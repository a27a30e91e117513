//! `ci` and the scripts of package.json: what `npm run` fails, `ci` fails, and what it passes, `ci` passes.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "npm itself is the measure")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::World;

/// Forms of scripts, as they are seen in the field; each is a script of a Worker.
const FORMS: [&str; 21] = [
    // A generator makes what the check reads, and git ignores it.
    "node ../gen.mjs && node made.mjs",
    "cd web && node fails.mjs",
    "cd web && node passes.mjs",
    "export STRICT=1 && node -e \"process.exit(process.env.STRICT?1:0)\"",
    "if [ -f package.json ]; then node web/fails.mjs; fi",
    "if [ -f nowhere ]; then node web/fails.mjs; fi",
    "for name in passes fails; do node web/$name.mjs || exit 1; done",
    "(cd web && node fails.mjs)",
    "node web/passes.mjs; node web/fails.mjs",
    "node web/fails.mjs; node web/passes.mjs",
    "node web/passes.mjs & wait",
    "node web/passes.mjs > out.log 2>&1",
    "node web/fails.mjs 2>&1 > out.log",
    "! node web/passes.mjs",
    "STRICT=1 node -e 'process.exit(process.env.STRICT === \"1\" ? 0 : 1)'",
    "node -e \"console.log('a && b || c; d')\"",
    "set -e; node web/passes.mjs; echo done",
    ". ./env.sh && node -e \"process.exit(process.env.SOURCED === 'yes' ? 0 : 1)\"",
    "node web/passes.mjs -- --flag 'two words'",
    "mytool",
    "npm run --silent other",
];

const SCRIPTS: [&str; 3] = ["check", "lint", "test"];

fn put(world: &World, index: usize, forms: &[&str]) {
    let worker = format!("w{index}");
    let mut scripts = String::from("\"other\": \"node web/fails.mjs\"");
    for (name, form) in SCRIPTS.iter().zip(forms) {
        let line = serde_json::to_string(form).expect("a text");
        write!(scripts, ", \"{name}\": {line}").expect("it fits");
    }
    let package =
        format!("{{ \"name\": \"{worker}\", \"private\": true, \"scripts\": {{ {scripts} }} }}\n");
    let config = format!(
        "name = \"{worker}\"\nmain = \"index.js\"\ncompatibility_date = \"2026-09-01\"\nworkers_dev = true\n\n[version_metadata]\nbinding = \"VERSION\"\n"
    );
    for (file, text) in [
        ("package.json", package.as_str()),
        ("wrangler.toml", &config),
        (
            "index.js",
            "export default { fetch: () => new Response(\"ok\") };\n",
        ),
        ("web/fails.mjs", "process.exit(1);\n"),
        ("web/passes.mjs", "process.exit(0);\n"),
        ("env.sh", "export SOURCED=yes\n"),
        // Each package has a program of its own of one name: the first two pass, the others fail.
        (
            "node_modules/.bin/mytool",
            if index < 2 {
                "#!/bin/sh\nexit 0\n"
            } else {
                "#!/bin/sh\nexit 1\n"
            },
        ),
    ] {
        world.edit(&format!("{worker}/{file}"), text);
    }
    let tool = world.root().join(&worker).join("node_modules/.bin/mytool");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(tool, mode).expect("it can be run");
}

/// What npm says of a script: true when it passes.
fn npm_passes(world: &World, worker: &str, script: &str) -> bool {
    let status = Command::new("npm")
        .args(["run", "--silent", script])
        .current_dir(world.root().join(worker))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.expect("npm runs").success()
}

fn statuses(report: &Value) -> BTreeMap<String, String> {
    let steps = report["steps"].as_array().into_iter().flatten();
    let text = |step: &Value, key: &str| step[key].as_str().unwrap_or_default().to_owned();
    steps
        .map(|step| (text(step, "id"), text(step, "status")))
        .collect()
}

fn world(count: usize) -> World {
    let mut tables = String::new();
    for index in 0..count {
        write!(
            tables,
            "[workers.w{index}]\npath = \"w{index}\"\nhealth = false\n"
        )
        .expect("it fits");
    }
    let pipeline = format!(
        "[cloudflare]\naccount_id = \"0123456789abcdef0123456789abcdef\"\n{tables}[local]\nport = 0\n"
    );
    let world =
        World::without_cloud(&[(".gitignore", "/.xtask/\nnode_modules\nmade.mjs\n*.log\n")]);
    world.edit("pipeline.toml", &pipeline);
    world.edit(
        "package.json",
        "{ \"name\": \"repo\", \"private\": true }\n",
    );
    world.edit("gen.mjs", "import { writeFileSync } from \"node:fs\";\nwriteFileSync(\"made.mjs\", \"process.exit(0);\\n\");\n");
    world
}

#[test]
fn what_npm_run_says_is_what_ci_says() {
    let world = world(FORMS.len() / SCRIPTS.len());
    for (index, forms) in FORMS.chunks(SCRIPTS.len()).enumerate() {
        put(&world, index, forms);
    }
    world.commit("scripts of every form");
    let run = world.run(["ci", "--keep-going", "--format", "json"]);
    let first = statuses(&run.json());
    // The second run finds what passed in the cache, and what a generator made is gone: a fresh clone.
    std::fs::remove_file(world.root().join("w0/made.mjs")).expect("it was made");
    let second = statuses(
        &world
            .run(["ci", "--keep-going", "--jobs", "1", "--format", "json"])
            .json(),
    );
    let mut table = String::new();
    let mut differ = Vec::new();
    for (index, forms) in FORMS.chunks(SCRIPTS.len()).enumerate() {
        for (script, form) in SCRIPTS.iter().zip(forms) {
            let worker = format!("w{index}");
            let id = format!("{script} {worker}");
            let status = |all: &BTreeMap<String, String>| all.get(&id).cloned().unwrap_or_default();
            let passes = |status: &str| ["passed", "cached"].contains(&status);
            let npm = npm_passes(&world, &worker, script);
            let (one, two) = (status(&first), status(&second));
            writeln!(table, "npm {npm:5}  ci {one:7} then {two:7}  {form}").expect("it fits");
            if passes(&one) != npm || passes(&two) != npm {
                differ.push(*form);
            }
        }
    }
    assert!(differ.is_empty(), "{differ:#?}\n{table}");
}

/// `precheck` and `postcheck` run, too, each in a shell of its own; and a Worker's own program wins over another's.
#[test]
fn scripts_before_and_after_count_and_each_package_has_its_own_programs() {
    let world = world(3);
    for index in 0..3 {
        put(
            &world,
            index,
            &["node web/passes.mjs", "mytool", "node web/passes.mjs"],
        );
    }
    let add = |worker: &str, script: &str| {
        let file = format!("{worker}/package.json");
        world.replace(&file, "\"other\"", &format!("{script}, \"other\""));
    };
    add("w0", "\"precheck\": \"node web/fails.mjs\"");
    add("w1", "\"precheck\": \"cd web && export STRICT=1\"");
    add("w2", "\"postcheck\": \"node web/fails.mjs\"");
    world.commit("scripts around scripts");
    let run = world
        .run(["ci", "--keep-going", "--format", "json"])
        .exits(1);
    let found = statuses(&run.json());
    for (id, status) in [
        ("check w0", "failed"),
        ("check w1", "passed"),
        ("check w2", "failed"),
        ("lint w0", "passed"),
        ("lint w1", "passed"),
        ("lint w2", "failed"),
    ] {
        assert_eq!(
            found.get(id).map(String::as_str),
            Some(status),
            "{id}: {found:#?}"
        );
        let (script, worker) = id.split_once(' ').expect("two words");
        assert_eq!(
            npm_passes(&world, worker, script),
            status == "passed",
            "{id}"
        );
    }
}
