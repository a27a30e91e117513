//! `crons`: this repo's own triggers as the document shows them, and a worker's on a local cloud, compared and fired.

use std::path::Path;

use expect_test::expect;
use serde_json::json;

use crate::support::{World, repo};

/// A worker whose cron at 3 throws.
const CODE: &str = r#"
export default {
  async fetch() { return Response.json({ ok: true }); },
  async scheduled(event) {
    if (event.cron.startsWith("0 3")) throw new Error("no bread today");
  },
};
"#;

const CONFIG: &str = r#"
name = "one"
main = "index.js"
compatibility_date = "2026-09-01"
workers_dev = true

[triggers]
crons = ["0 2 * * *", "0 3 * * *"]
"#;

#[test]
fn the_document_shows_what_the_command_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = std::fs::read_to_string(root.join("docs/crons.md")).expect("it is there");
    let mut world = World::without_cloud(&[]);
    repo::copy_own_workers(world.root());
    world.unset("XTASK_CLOUD");
    let flags = ["crons", "--day", "2027-03-14", "--next", "3"];
    let said = world.run(flags).exits(0);
    let shown = document.contains(&said.stdout);
    assert!(shown, "docs/crons.md lacks: {said}");
}

#[test]
fn crons_are_compared_with_what_is_live_and_fired() {
    let mut files = repo::one_worker(CODE);
    files.retain(|(path, _)| *path != "worker/wrangler.toml");
    files.push(("worker/wrangler.toml", CONFIG));
    let mut world = World::without_cloud(&files).with_stand_in();
    let nothing = world.run(["crons"]).exits(0);
    assert!(nothing.stdout.contains("live: not compared"), "{nothing}");
    let run = ["crons", "run", "one", "0 2 * * *"];
    let off = world.run(run).exits(2);
    expect![[r#"
        error: the local cloud is not running
          why: a cron is fired where its worker is live
          fix: cargo xtask deploy --cloud local"#]]
    .assert_eq(off.error());
    world.start_cloud();
    world.deploy();

    let same = world.run(["crons", "--format", "json"]).exits(0).json();
    assert_eq!(same["live"]["known"], true, "{same}");
    assert_eq!(same["outcome"], "success", "{same}");
    let schedules = "/workers/scripts/one/schedules";
    let by_hand = json!([{"cron": "0 2 * * *"}, {"cron": "30 9 * * MON-FRI"}]);
    world.cloud().result("PUT", schedules, Some(by_hand));
    let run = world.run(["crons", "--format", "json"]).exits(0);
    let differing = run.json();
    expect![[r#"
        [
          "one has no `0 3 * * *` live: the config asks for it",
          "one has `30 9 * * MON-FRI` live: the config does not ask for it"
        ]"#]]
    .assert_eq(&serde_json::to_string_pretty(&differing["warnings"]).expect("JSON"));
    assert_eq!(run.report("crons")["warnings"], differing["warnings"]);

    let ran = world.run(["crons", "run", "one", " 0  2 * * *"]).exits(0);
    expect![[r#"
        `0 2 * * *` of one ran in version [version]: ok
    "#]]
    .assert_eq(&world.redact(&ran.stdout));
    let unknown = world.run(["crons", "run", "one", "0 3 * * *"]).exits(2);
    expect![[r#"
        error: `0 3 * * *` of one cannot be fired
          why: one has no cron `0 3 * * *`: it has 0 2 * * *, 30 9 * * MON-FRI
          fix: cargo xtask crons --cloud local   (the column `live`)"#]]
    .assert_eq(unknown.error());
    let as_configured = json!([{"cron": "0 2 * * *"}, {"cron": "0 3 * * *"}]);
    world.cloud().result("PUT", schedules, Some(as_configured));
    let thrown = world.run(["crons", "run", "one", "0 3 * * *"]).exits(1);
    expect![[r#"
        error: `0 3 * * *` of one failed
          why: Error: no bread today
          fix: correct its `scheduled` handler, deploy, then again: cargo xtask crons run one "0 3 * * *" --cloud local"#]].assert_eq(thrown.error());
    let elsewhere = ["crons", "run", "one", "0 2 * * *", "--cloud", "cloudflare"];
    let refused = world.run(elsewhere).exits(2);
    expect![[r#"
        error: `crons run` fires a cron on the local cloud only
          why: Cloudflare takes no such request: there a cron fires when its time has come
          fix: cargo xtask crons run one "0 2 * * *" --cloud local"#]]
    .assert_eq(refused.error());
    // A cloud that fails is no reason to show nothing.
    world.fault(json!({"path": "schedules", "count": 20, "action": {"status": 403}}));
    let failing = world.run(["crons"]).exits(0);
    assert!(
        failing
            .stdout
            .contains("warning: what is live is not known"),
        "{failing}"
    );
}
