//! `status`: every kind of drift that the real wrangler makes by hand is seen, and told from what the repo has not deployed.

use std::io::{BufRead as _, BufReader};

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::support::hand::Hand;
use crate::support::{Run, World, signals};

/// The document and what it says, after the exit code was as expected.
#[track_caller]
fn look(world: &World, code: i32) -> (Run, Value) {
    let run = world.run(["status", "--format", "json"]).exits(code);
    let document = run.json();
    (run, document)
}

/// Each difference as a line; everything is by hand unless it says otherwise.
#[track_caller]
fn check(world: &World, code: i32, expected: Expect) -> Value {
    let (_, document) = look(world, code);
    let differences = document["differences"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let lines: Vec<String> = differences
        .iter()
        .map(|it| {
            let origin = match it["origin"] == "by_hand" {
                true => String::new(),
                false => format!(" [{}]", text(&it["origin"])),
            };
            let (kind, name) = (text(&it["kind"]), text(&it["name"]));
            let (repo, live) = (text(&it["repo"]), text(&it["live"]));
            format!(
                "{} {kind} {name}: {repo} | {live}{origin}",
                text(&it["worker"])
            )
        })
        .collect();
    expected.assert_eq(&world.redact(&lines.join("\n")));
    document
}

/// One deploy, then a change by hand after the other; what is put right again is what the next one would hide behind.
#[test]
fn drift_by_hand_is_seen_and_told_from_what_is_not_deployed() {
    let world = World::deployed().with_stand_in();
    clean(&world);
    let hand = Hand::new(&world);
    a_deploy_past_the_pipeline(&world, &hand);
    triggers_alone(&world, &hand);
    secrets(&world, &hand);
    versions(&world, &hand);
    while_somebody_deploys(&world);
    a_worker_that_is_gone(&world, &hand);
    watching(&world);
}

fn clean(world: &World) {
    let document = check(world, 0, expect![[""]]);
    assert_eq!(document["problems"], json!([]), "{document}");
    assert_eq!(
        document["workers"][0]["health"]["state"], "good",
        "{document}"
    );
    assert_eq!(document["databases"][0]["level"], "0001_tags.sql");
    assert_eq!(document["repo"]["ahead"], 0);
    assert_eq!(document["previews"], json!([]), "{document}");
    let text = world.run(["status"]).exits(0);
    expect![[r#"
        workers
        worker version traffic of since health
        site [version] 100 % [release] [duration] 200 in [duration]
        agent [version] 100 % [release] [duration] 200 in [duration]
        api [version] 100 % [release] [duration] 200 in [duration]

        databases
        database schema level pending to be put right
        small-db 0001_tags.sql - -

        release #1 ([release]), [duration] old, commit [commit] first commit by Tester <tester@localhost>
        repo [commit], the commit of the release
        lease free
        previews none

        status: success, release [release]"#]].assert_eq(&aligned(&world.redact(&text.stdout)));

    // What only the repo has is not drift.
    world.replace(
        "workers/api/wrangler.toml",
        "[version_metadata]",
        "[vars]\nMODE = \"new\"\n\n[version_metadata]",
    );
    world.replace("workers/site/wrangler.toml", "0 6 * * *", "0 5 * * *");
    world.edit(
        "migrations/0002_more.sql",
        "CREATE TABLE more (id INTEGER);\n",
    );
    let document = check(
        world,
        0,
        expect![[r#"
        site cron 0 5 * * *: asked for | - [not_deployed]
        site cron 0 6 * * *: - | set [not_deployed]
        api var MODE: its value | - [not_deployed]"#]],
    );
    assert_eq!(
        document["databases"][0]["pending"],
        json!(["0002_more.sql"])
    );
    world.git(&["checkout", "--quiet", "."]);
    world.remove("migrations/0002_more.sql");
    world.edit(
        "migrations/0001_tags.sql",
        "CREATE TABLE tags (name TEXT);\n",
    );
    let (run, _) = look(world, 1);
    expect![[r#"
        error: what is live is not as it was released
          why: 0001_tags.sql of small-db is edited
          fix: cargo xtask deploy   (puts back what the repo says), or put what was changed by hand into the repo"#]].assert_eq(run.error());
    world.git(&["checkout", "--quiet", "."]);
}

/// Columns are as wide as what was in them before it was redacted.
fn aligned(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

fn a_deploy_past_the_pipeline(world: &World, hand: &Hand) {
    let config = hand.worker("site");
    config.replace(
        "compatibility_date = \"2026-09-01\"",
        "compatibility_date = \"2026-08-01\"",
    );
    config.replace(
        "routes = [{ pattern = \"small.example\", custom_domain = true }]",
        "routes = [{ pattern = \"hand.example\", custom_domain = true }, \"small.example/hand/*\"]",
    );
    config.replace("0 6 * * *", "0 7 * * *");
    config.replace("service = \"small-api\"", "service = \"small-agent\"");
    config.replace(
        "main = \"index.js\"",
        "main = \"index.js\"\ncompatibility_flags = [\"nodejs_compat\"]",
    );
    config.replace(
        "[[services]]\nbinding = \"AGENT\"\nservice = \"small-agent\"",
        "[vars]\nMODE = \"by hand\"",
    );
    hand.wrangler("site", &["deploy"], "");
    check(
        world,
        1,
        expect![[r#"
        site deployment small-site: [version] | [version], by developer@localhost with wrangler at [time]
        site binding AGENT: worker small-agent | -
        site binding API: worker small-api | worker small-agent
        site var MODE: - | a variable
        site compatibility compatibility_date: 2026-09-01 | 2026-08-01
        site compatibility compatibility_flags: - | nodejs_compat
        site route small.example/hand/*: - | set
        site domain hand.example: - | set
        site domain small.example: asked for | -
        site cron 0 6 * * *: asked for | -
        site cron 0 7 * * *: - | set"#]],
    );
    // The next deploy puts right what the configs speak of; of routes this one says nothing.
    world.deploy();
    check(world, 0, expect![[""]]);
}

fn triggers_alone(world: &World, hand: &Hand) {
    let config = hand.worker("site");
    config.replace("0 6 * * *", "*/5 * * * *");
    config.replace("main = ", "workers_dev = true\nmain = ");
    hand.wrangler("site", &["triggers", "deploy"], "");
    check(
        world,
        1,
        expect![[r#"
        site cron */5 * * * *: - | set
        site cron 0 6 * * *: asked for | -
        site address workers.dev: off | on
        site address preview URLs: off | on"#]],
    );
    config.replace("*/5 * * * *", "0 6 * * *");
    config.replace("workers_dev = true\n", "");
    hand.wrangler("site", &["triggers", "deploy"], "");
    check(world, 0, expect![[""]]);
}

fn secrets(world: &World, hand: &Hand) {
    hand.wrangler("api", &["secret", "put", "EXTRA"], "a-secret-by-hand");
    let document = check(
        world,
        1,
        expect![[r#"
        api deployment small-api: [version] | [version], a secret was changed, by developer@localhost with wrangler at [time]
        api secret EXTRA: - | set"#]],
    );
    assert!(!document.to_string().contains("a-secret-by-hand"));
    hand.wrangler("api", &["secret", "delete", "EXTRA"], "");
    hand.wrangler("api", &["secret", "delete", "API_KEY"], "");
    check(
        world,
        1,
        expect![[r#"
        api deployment small-api: [version] | [version], a secret was changed, by developer@localhost with wrangler at [time]
        api secret API_KEY: declared | -"#]],
    );
    world.deploy();
    check(world, 0, expect![[""]]);
}

fn versions(world: &World, hand: &Hand) {
    let released = world.serving("small-agent");
    hand.worker("agent");
    hand.wrangler(
        "agent",
        &["versions", "upload", "--message", "try this"],
        "",
    );
    check(
        world,
        1,
        expect![
            "agent version small-agent: - | [version], by developer@localhost with wrangler at [time], uploaded and not deployed"
        ],
    );
    let listed = world
        .cloud()
        .result("GET", "/workers/scripts/small-agent/versions", None);
    let new = listed["items"][0]["id"].as_str().expect("an id").to_owned();
    let half = [format!("{new}@50"), format!("{released}@50")];
    hand.wrangler(
        "agent",
        &["versions", "deploy", &half[0], &half[1], "-y"],
        "",
    );
    check(
        world,
        1,
        expect![
            "agent deployment small-agent: - | 50 % go to [version], by developer@localhost with wrangler at [time]"
        ],
    );
    hand.wrangler(
        "agent",
        &["versions", "deploy", &format!("{new}@100"), "-y"],
        "",
    );
    check(
        world,
        1,
        expect![
            "agent deployment small-agent: [version] | [version], by developer@localhost with wrangler at [time]"
        ],
    );
    hand.wrangler(
        "agent",
        &["rollback", &released, "--message", "back by hand"],
        "",
    );
    // The released version serves again; the other one lies there still.
    check(
        world,
        1,
        expect![
            "agent version small-agent: - | [version], by developer@localhost with wrangler at [time], uploaded and not deployed"
        ],
    );
    let document = look(world, 1).1;
    assert_eq!(document["differences"].as_array().map(Vec::len), Some(1));
}

fn while_somebody_deploys(world: &World) {
    world.query(
        "INSERT INTO xtask_lease (name, token, holder, acquired_at, expires_at) \
         VALUES ('deploy', 't', 'bob@other pid 7', '2026-11-24T12:00:00Z', unixepoch() + 600)",
    );
    let (run, document) = look(world, 0);
    assert_eq!(
        (&document["under_way"], &document["outcome"]),
        (&json!(true), &json!("warning")),
        "{run}"
    );
    world.query("UPDATE xtask_lease SET expires_at = unixepoch() - 1");
    let (_, document) = look(world, 1);
    assert_eq!(document["lease"]["stale"], "it has expired");
    world.query("DELETE FROM xtask_lease");
}

fn a_worker_that_is_gone(world: &World, hand: &Hand) {
    hand.wrangler("api", &["delete", "--force"], "");
    check(
        world,
        1,
        expect![[r#"
        agent version small-agent: - | [version], by developer@localhost with wrangler at [time], uploaded and not deployed
        api worker small-api: is part of it | -"#]],
    );
}

/// In a pipe each look stands below the one before; Ctrl-C is the end, and a good one.
fn watching(world: &World) {
    let mut child = world
        .xtask(&["status", "--watch", "100ms"])
        .spawn()
        .expect("the binary starts");
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut looks = 0;
    for line in stdout.lines().map_while(Result::ok) {
        assert!(!line.contains('\x1b'), "{line}");
        looks += usize::from(line.starts_with("--- 20"));
        if looks == 2 {
            break;
        }
    }
    signals::to_group(&child, "INT");
    assert_eq!(child.wait().expect("it is our child").code(), Some(0));
}
