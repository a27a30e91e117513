//! Whole runs of `cargo xtask ci` that do a part of the work, or put parts together: `--affected`, `--shard`, `--gather`,
//! the first failure, a budget, and the audits. The workers' scripts are one word each; the builds are wrangler's.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Run, World};
use expect_test::expect;
use serde_json::Value;

const PIPELINE: &str = r#"
[cloudflare]
account_id = "0123456789abcdef0123456789abcdef"
[workers.shop]
path = "workers/shop"
[workers.stock]
path = "workers/stock"
[workers.blog]
path = "workers/blog"
"#;

const CODE: &str = "export default { fetch() { return new Response(\"hello\"); } };\n";
const SCRIPTS: &str = r#"{ "scripts": { "check": "sh -c :", "test": "sh -c :" } }"#;

/// `shop` calls `stock`; nobody calls `blog`.
fn repo() -> World {
    let config = |name: &str| {
        format!("name = \"{name}\"\nmain = \"index.js\"\ncompatibility_date = \"2026-09-01\"\n")
    };
    let shop = config("shop") + "[[services]]\nbinding = \"STOCK\"\nservice = \"stock\"\n";
    let (stock, blog) = (config("stock"), config("blog"));
    let world = World::without_cloud(&[
        (".gitignore", "/.xtask/\nnode_modules\n.wrangler/\n"),
        ("pipeline.toml", PIPELINE),
        ("workers/shop/wrangler.toml", &shop),
        ("workers/shop/index.js", CODE),
        ("workers/shop/package.json", SCRIPTS),
        ("workers/stock/wrangler.toml", &stock),
        ("workers/stock/index.js", CODE),
        ("workers/stock/package.json", SCRIPTS),
        ("workers/blog/wrangler.toml", &blog),
        ("workers/blog/index.js", CODE),
        ("workers/blog/package.json", SCRIPTS),
    ]);
    world.git(&["checkout", "--quiet", "-b", "feature"]);
    world
}

/// The ids of the steps of a report with one of these statuses.
#[track_caller]
fn steps(report: &Value, statuses: &[&str]) -> BTreeSet<String> {
    let steps = report["steps"].as_array().expect("a report has steps");
    let of = steps
        .iter()
        .filter(|step| statuses.contains(&step["status"].as_str().unwrap_or_default()));
    of.map(|step| step["id"].as_str().expect("an id").to_owned())
        .collect()
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[track_caller]
fn ci(world: &World, flags: &[&str]) -> Run {
    let arguments: Vec<&str> = ["ci", "--format", "json"]
        .into_iter()
        .chain(flags.iter().copied())
        .collect();
    world.start(&arguments).end()
}

#[test]
fn affected_runs_what_a_diff_touches_and_its_callers() {
    let world = repo();
    let touched = |path: &str, text: &str| {
        world.edit(path, text);
        world.commit(path);
        let run = ci(&world, &["--affected", "--dry-run"]).exits(0);
        let plan = run.json();
        let steps = plan["steps"].as_array().expect("a plan has steps");
        let workers = steps.iter().filter_map(|step| step["worker"].as_str());
        let workers: BTreeSet<String> = workers.map(str::to_owned).collect();
        world.git(&["reset", "--quiet", "--hard", "main"]);
        workers
    };
    assert_eq!(touched("workers/blog/index.js", "// other"), set(&["blog"]));
    assert_eq!(touched("workers/shop/index.js", "// other"), set(&["shop"]));
    let stock = touched("workers/stock/index.js", "// other");
    assert_eq!(stock, set(&["shop", "stock"]));
    assert_eq!(touched("README.md", "words"), set(&[]));
    let all = set(&["blog", "shop", "stock"]);
    assert_eq!(touched("shared.js", "export default 1;\n"), all);

    world.edit("workers/blog/index.js", &format!("{CODE}// other\n"));
    world.commit("the blog changes");
    let run = ci(&world, &["--affected", "main"]).exits(0);
    let ran = steps(&run.json(), &["passed"]);
    let blog = set(&["config", "check blog", "build blog", "test blog"]);
    assert_eq!(ran, blog, "{run}");
    // Only what is committed on the branch counts, from where it left the main branch.
    let run = ci(&world, &["--affected", "feature"]).exits(0);
    assert_eq!(steps(&run.json(), &["passed"]), set(&["config"]), "{run}");
}

#[test]
fn shards_do_all_the_work_between_them_and_a_missing_one_is_seen() {
    let world = repo();
    let matrix = world.run(["ci", "--matrix"]).exits(0);
    expect![[r#"{"include":[{"shard":"1/3"},{"shard":"2/3"},{"shard":"3/3"}]}"#]]
        .assert_eq(matrix.stdout.trim());
    world.edit(
        "workers/blog/package.json",
        r#"{ "scripts": { "check": "sh -c :", "test": "sh -c 'echo the blog is wrong; exit 3'" } }"#,
    );
    world.commit("the blog's test fails");
    let folder = world.aside("shards");
    let mut done = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let run = ci(&world, &["--keep-going", "--shard", shard]);
        let report = run.json();
        // Each machine starts without the others' results.
        fs::remove_dir_all(world.root().join(".xtask/cache/steps")).expect("results were kept");
        let name = folder.join(shard.replace('/', "-"));
        fs::create_dir_all(&name).expect("a folder can be made");
        fs::write(name.join("ci.json"), report.to_string()).expect("it can be written");
        done.extend(steps(&report, &["passed", "failed"]));
    }
    done.retain(|id| id != "config");
    done.sort();
    let verbs = ["build", "check", "test"];
    let all = verbs.map(|verb| ["blog", "shop", "stock"].map(|name| format!("{verb} {name}")));
    assert_eq!(done, all.concat(), "each step once");

    let path = folder.display().to_string();
    let whole = ci(&world, &["--gather", &path]).exits(1);
    let report = whole.json();
    assert_eq!(steps(&report, &["failed"]), set(&["test blog"]), "{whole}");
    assert_eq!(steps(&report, &["passed"]).len(), 9, "{whole}");
    let whole = whole.says("the blog is wrong");
    assert_eq!(whole.report("ci")["outcome"], "failure", "{whole}");

    // The one that failed did not even report.
    let failed = ["1-3", "2-3", "3-3"].into_iter().find(|name| {
        let text = fs::read_to_string(folder.join(name).join("ci.json")).unwrap_or_default();
        text.contains("the blog is wrong")
    });
    let failed = failed.expect("one of them failed");
    fs::remove_dir_all(folder.join(failed)).expect("it is there");
    let run = world.run(["ci", "--gather", &path]).exits(1);
    let missing = failed.replace('-', "/");
    let said = run.says(&format!("there is no report of shard {missing}"));
    said.says("not every check was seen to pass");

    fs::remove_dir_all(&folder).expect("it is there");
    let run = world.run(["ci", "--gather", &path]).exits(2);
    expect![[r#"
        error: [temp]/aside/shards cannot be read
          why: No such file or directory (os error 2)
          fix: download the shards' reports into that folder first"#]]
    .assert_eq(&world.redact(run.error()));
}

#[test]
fn a_failure_ends_a_run_here_and_not_in_ci_and_a_budget_is_told() {
    let mut world = repo();
    let failing = r#"{ "scripts": { "check": "false", "test": "sh -c :" } }"#;
    world.edit("workers/blog/package.json", failing);
    let budget = format!("{PIPELINE}\n[budgets]\nci = \"1ms\"\n");
    world.edit("pipeline.toml", &budget);
    // One at a time: what stands behind the failure is not even begun.
    let fast = ci(&world, &["--jobs", "1"]).exits(1);
    let report = fast.json();
    assert_eq!(steps(&report, &["failed"]), set(&["check blog"]), "{fast}");
    assert!(!steps(&report, &["cancelled"]).is_empty(), "{fast}");
    world.set("CI", "true");
    let whole = ci(&world, &[]).exits(1);
    let report = whole.json();
    assert_eq!(steps(&report, &["failed"]), set(&["check blog"]), "{whole}");
    assert_eq!(steps(&report, &["cancelled"]), set(&[]), "{whole}");
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("its budget is 1ms"), "{whole}");
}

/// Puts a program on PATH in front of all others.
fn install(world: &mut World, name: &str, script: &str) {
    let bin = world.aside("bin");
    fs::create_dir_all(&bin).expect("a folder can be made");
    let path = bin.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("it can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be executable");
    let all = world.variable("PATH");
    world.set("PATH", &format!("{}:{all}", bin.display()));
}

/// What cargo-audit 0.21 prints about a crate with an advisory. The tool itself asks a database on the network.
const RUSTSEC: &str = r#"{"database":{"advisory-count":700},"lockfile":{"dependency-count":2},"vulnerabilities":{"found":true,"count":1,"list":[{"advisory":{"id":"RUSTSEC-2020-0071","package":"time","title":"Potential segfault in the time crate","date":"2020-11-18","aliases":["CVE-2020-26235"],"cvss":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H","url":"https://github.com/time-rs/time/issues/293"},"versions":{"patched":[">=0.2.23"],"unaffected":[]},"package":{"name":"time","version":"0.1.43"}}]},"warnings":{}}"#;

/// A folder of packages that is the repo's own, not a link: nothing is installed over a link.
fn own_packages(world: &World) {
    let modules = world.root().join("node_modules");
    let shared = std::fs::canonicalize(&modules).expect("packages are installed");
    std::fs::remove_file(&modules).expect("it is a link");
    std::fs::create_dir(&modules).expect("a folder can be made");
    for entry in std::fs::read_dir(shared).expect("packages are installed") {
        let entry = entry.expect("a package");
        std::os::unix::fs::symlink(entry.path(), modules.join(entry.file_name())).expect("a link");
    }
}

#[test]
fn audits_tell_what_is_known_and_what_could_not_be_asked() {
    let mut world = repo();
    world.edit(
        "Cargo.lock",
        "version = 4\n\n[[package]]\nname = \"time\"\nversion = \"0.1.43\"\n",
    );
    world.edit(
        "package-lock.json",
        r#"{ "name": "repo", "lockfileVersion": 3, "packages": { "": {} } }"#,
    );
    world.edit("package.json", r#"{ "private": true }"#);
    install(&mut world, "cargo-audit", "exit 1");
    install(
        &mut world,
        "cargo",
        &format!("[ \"$1 $2\" = 'audit --json' ] || exit 9\ncat <<'END'\n{RUSTSEC}\nEND\nexit 1"),
    );
    own_packages(&world);
    // The install is not what is tested, and nobody answers npm's question.
    install(
        &mut world,
        "npm",
        "[ \"$1\" = audit ] || exit 0\necho '{\"message\":\"request to http://127.0.0.1:9 failed\",\"error\":{\"code\":\"ECONNREFUSED\",\"summary\":\"\"}}'\nexit 1",
    );
    let audits = |world: &World| {
        let run = ci(world, &["--keep-going", "--only", "blog"]);
        let report = run.json();
        let failed = steps(&report, &["failed"]);
        (run, failed, steps(&report, &["warning"]))
    };
    let (run, failed, warned) = audits(&world);
    assert_eq!(failed, set(&["audit cargo"]), "{run}");
    assert_eq!(warned, set(&["audit"]), "{run}");
    run.clone().exits(1);
    let lines: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| {
            line.contains("Cargo.lock")
                || line.contains("RUSTSEC")
                || line.contains("advisory service")
        })
        .collect();
    expect![[r#"
        error: failed to audit the crates of Cargo.lock: 1 error
          Cargo.lock:4: error RUSTSEC-2020-0071: high: Potential segfault in the time crate (time 0.1.43)
          package-lock.json: warning: the advisory service did not answer, so nothing is known about this lockfile"#]].assert_eq(&world.redact(&lines.join("\n")));

    // Both by policy: no answer is a failure, and the advisory is tolerated for a while.
    let policy = "\n[audit]\noffline = \"fail\"\n[[audit.except]]\nid = \"RUSTSEC-2020-0071\"\nreason = \"not called\"\nuntil = 2099-01-31\n";
    world.edit("pipeline.toml", &format!("{PIPELINE}{policy}"));
    let (run, failed, warned) = audits(&world);
    assert_eq!(failed, set(&["audit"]), "{run}");
    assert_eq!(warned, set(&[]), "{run}");
    run.exits(1).says("tolerated until 2099-01-31: not called");
}
