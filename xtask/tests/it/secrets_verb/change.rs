//! What is refused, what fails half-way, and how it goes on from there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use serde_json::json;

use crate::secrets_verb::{
    API_KEY, NEW_KEY, SITE_KEY, deployed, file, lengths, nothing_shown, serving,
};
use crate::support::World;

/// Must be refused with exit 2, in these words, with nothing changed.
#[track_caller]
fn refused<const N: usize>(world: &World, arguments: [&str; N], expect: Expect) {
    let before = serving(world);
    let run = world.run(arguments).exits(2);
    nothing_shown(&[&run]);
    expect.assert_eq(&world.redact(run.error()));
    assert_eq!(before, serving(world));
}

/// The exit code with a fault armed.
#[track_caller]
fn with_fault(world: &World, fault: serde_json::Value, code: i32) -> String {
    world.fault(fault);
    let run = world.run(["secrets", "rotate", "API_KEY"]).exits(code);
    assert!(world.faults_fired() > 0, "the fault was never met: {run}");
    world.clear_faults();
    nothing_shown(&[&run]);
    world.redact(&run.stderr)
}

#[test]
fn what_fails_half_way_leaves_all_as_it_was_and_the_next_run_goes_on() {
    let mut world = deployed();
    let before = serving(&world);
    let old = (SITE_KEY.len(), API_KEY.len());
    world.set("API_KEY", NEW_KEY);
    let refusal = json!({"status": 400});

    // No version: nothing that serves has changed.
    let fault = json!({"method": "PATCH", "path": "small-site/versions/latest", "action": refusal});
    let said = with_fault(&world, fault, 3);
    assert!(
        said.contains("no worker got the new values: what serves is as it was"),
        "{said}"
    );
    assert_eq!((before.clone(), old), (serving(&world), lengths(&world)));

    // The second deployment of the site is its promotion; by then the api is promoted.
    let fault =
        json!({"method": "POST", "path": "small-site/deployments$", "nth": 2, "action": refusal});
    let said = with_fault(&world, fault, 3);
    assert!(said.contains("✓ promote api"), "{said}");
    assert!(
        said.contains("the new values were put back: every worker serves what it served before"),
        "{said}"
    );
    assert_eq!((before.clone(), old), (serving(&world), lengths(&world)));

    // The set does not answer: it is never promoted.
    let patient = world.read("pipeline.toml");
    world.replace("pipeline.toml", "within = \"100s\"", "within = \"3s\"");
    let fault =
        json!({"scope": "edge", "path": "/health", "count": 1000, "action": {"status": 503}});
    let said = with_fault(&world, fault, 3);
    assert!(!said.contains("✓ promote"), "{said}");
    assert_eq!((before.clone(), old), (serving(&world), lengths(&world)));
    world.edit("pipeline.toml", &patient);

    // It cannot be put back, either: a person has to look, and is told what to type.
    let fault = json!({"method": "POST", "path": "small-site/deployments", "nth": 2, "count": 1000, "action": refusal});
    let said = with_fault(&world, fault, 4);
    assert!(
        said.contains("not every worker could be put back: site"),
        "{said}"
    );
    assert!(
        said.contains("npx wrangler versions deploy [version]@100% --name small-site --yes"),
        "{said}"
    );

    // Killed between two workers: the same command, run again, finishes.
    let old_api = world.serving("small-api");
    let slow = json!({"delay_ms": 60_000});
    world.fault(
        json!({"method": "POST", "path": "small-site/deployments$", "nth": 2, "action": slow}),
    );
    let running = world.start(&["secrets", "rotate", "API_KEY"]);
    let until = Instant::now() + Duration::from_secs(100);
    while world.split("small-api")[0] == (old_api.clone(), 100) || world.faults_fired() == 0 {
        assert!(Instant::now() < until, "the api is never promoted");
        std::thread::sleep(Duration::from_millis(50));
    }
    running.signal("KILL");
    running.end();
    world.clear_faults();
    let run = world.run(["secrets", "rotate", "API_KEY"]).exits(0);
    assert!(
        run.stderr.contains("took the deploy lease over"),
        "the dead run's: {run}"
    );
    nothing_shown(&[&run]);
    assert_eq!(lengths(&world), (SITE_KEY.len(), NEW_KEY.len()));

    // An answer that is lost is looked for, and no second version is made.
    let count = |world: &World| {
        world.cloud_state()["scripts"]["small-api"]["versions"]
            .as_array()
            .map_or(0, Vec::len)
    };
    let versions = count(&world);
    let fault = json!({"method": "PATCH", "path": "small-api/versions/latest", "action": {"drop": "after"}});
    with_fault(&world, fault, 0);
    assert_eq!(count(&world), versions + 1);
    assert_eq!(lengths(&world), (SITE_KEY.len(), NEW_KEY.len()));
}

#[test]
fn a_value_nobody_chose_is_kept_where_only_its_owner_reads_it() {
    let mut world = deployed();
    let path = world.aside("kept.json");
    let shown = path.display().to_string();
    let rotate = [
        "secrets",
        "rotate",
        "SITE_KEY",
        "--generate",
        "--keep",
        &shown,
    ];
    world
        .run([
            "secrets",
            "rotate",
            "SITE_KEY",
            "--generate",
            "--keep",
            &shown,
            "--dry-run",
        ])
        .exits(0);
    assert!(!path.exists(), "a dry run writes nothing");
    let run = world.run(rotate).exits(0);
    assert_eq!(
        fs::metadata(&path)
            .expect("it is kept")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    let kept: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).expect("text")).expect("JSON");
    let value = kept["SITE_KEY"].as_str().expect("a value");
    assert_eq!(lengths(&world), (value.len(), API_KEY.len()));
    assert!(!format!("{run}").contains(value), "it is shown");
    assert!(
        run.stderr
            .contains("SITE_KEY of this environment is the old value"),
        "{run}"
    );
    // What is kept can be given on, and is never written over.
    world.unset("SITE_KEY");
    world.run(rotate).exits(2);
    world
        .run(["secrets", "rotate", "SITE_KEY", "--from", &shown])
        .exits(0);

    // Versions that nobody is sent to, and then everybody.
    let before = serving(&world);
    world.set("API_KEY", NEW_KEY);
    // One at a time: which of two is through first is chance.
    let staged = world
        .run(["secrets", "sync", "--no-promote", "--jobs", "1"])
        .exits(0);
    expect![[r#"
        ✓ version site  [duration]  version [version]
        ✓ version api  [duration]  version [version]

        workers
        worker  secrets  version   before
        site    API_KEY  [version]  [version]
        api     API_KEY  [version]  [version]

        next  nobody is sent to these versions yet: cargo xtask secrets sync (without --no-promote) promotes them

        warning: no value was given for SITE_KEY: what the workers have stays

        secrets: warning, 2 steps (2 passed) in [duration]
    "#]].assert_eq(&world.redact(&staged.stderr));
    assert_eq!(before, serving(&world));
    world.run(["secrets", "sync"]).exits(0);
    assert_eq!(lengths(&world), (value.len(), NEW_KEY.len()));

    what_would_go_wrong_is_refused(&mut world);
}

/// What is refused, last: a version of somebody else's stays behind.
fn what_would_go_wrong_is_refused(world: &mut World) {
    let path = file(world, "{}", 0o644);
    let shown = path.display().to_string();
    let from = ["secrets", "sync", "--from", &shown];
    refused(
        world,
        from,
        expect![[r#"
        error: [temp]/aside/values.json can be read by others
          why: its mode is 0644; a file with secrets is for its owner alone
               whoever could read it so far may know them: consider new values
          fix: chmod 600 [temp]/aside/values.json"#]],
    );
    file(world, "{}", 0o600);
    refused(
        world,
        from,
        expect![[r#"
        error: [temp]/aside/values.json names no secret
          fix: write it as JSON, one text for each name: {"ADMIN_KEY": "…"}"#]],
    );
    file(world, &json!({"API_KEI": NEW_KEY}).to_string(), 0o600);
    refused(
        world,
        from,
        expect![[r#"
        error: no worker declares the secret `API_KEI`
          why: pipeline.toml and the wrangler configs declare: SITE_KEY, API_KEY
          fix: did you mean `API_KEY`?"#]],
    );
    file(world, &format!("[{NEW_KEY:?}]"), 0o600);
    refused(
        world,
        from,
        expect![[r#"
        error: [temp]/aside/values.json is no list of secrets
          why: it is no JSON object
          fix: write it as JSON, one text for each name: {"ADMIN_KEY": "…"}"#]],
    );
    broken_files_are_refused(world, &path);
    what_cannot_be_given_is_refused(world);
}

fn broken_files_are_refused(world: &World, path: &Path) {
    let shown = path.display().to_string();
    let from = ["secrets", "sync", "--from", &shown];
    let cut = format!("{{\"API_KEY\": \"{NEW_KEY}\" \"SITE_KEY\"");
    file(world, &cut, 0o600);
    refused(
        world,
        from,
        expect![[r#"
        error: [temp]/aside/values.json is no list of secrets
          why: it is no JSON: line 1, column 49
          fix: write it as JSON, one text for each name: {"ADMIN_KEY": "…"}"#]],
    );
    file(
        world,
        &json!({"API_KEY": "", "SITE_KEY": NEW_KEY}).to_string(),
        0o600,
    );
    refused(
        world,
        from,
        expect![[r#"
        error: [temp]/aside/values.json is no list of secrets
          why: the value of `API_KEY` is empty
          fix: write it as JSON, one text for each name: {"ADMIN_KEY": "…"}"#]],
    );
    fs::remove_file(path).expect("it is there");
    refused(
        world,
        from,
        expect![[r#"
        error: [temp]/aside/values.json cannot be read
          why: No such file or directory (os error 2)
          fix: name a file such as {"ADMIN_KEY": "…"} that only you can read (mode 0600)"#]],
    );
}

fn what_cannot_be_given_is_refused(world: &mut World) {
    refused(
        world,
        ["secrets", "rotate", "NO_SUCH_KEY"],
        expect![[r#"
        error: no worker declares the secret `NO_SUCH_KEY`
          why: pipeline.toml and the wrangler configs declare: SITE_KEY, API_KEY
          fix: add it to `secrets` of the workers that need it, in pipeline.toml"#]],
    );
    refused(
        world,
        ["secrets", "rotate", "API_KEY", "--only", "api"],
        expect![[r#"
            error: `secrets rotate` takes no `--only`
              why: a secret that two workers share has to change in both
              fix: cargo xtask secrets rotate API_KEY"#]],
    );
    refused(
        world,
        ["secrets", "rotate", "API_KEY", "--stdin"],
        expect![[r#"
            error: standard input holds no value for API_KEY
              why: an empty secret is refused by whoever checks it, and accepted by whoever does not
              fix: read -rs API_KEY && export API_KEY   (then run it again), or let one be made: --generate"#]],
    );
    world.unset("API_KEY");
    refused(
        world,
        ["secrets", "rotate", "API_KEY"],
        expect![[r#"
        error: the variable API_KEY holds no value for API_KEY
          why: an empty secret is refused by whoever checks it, and accepted by whoever does not
          fix: read -rs API_KEY && export API_KEY   (then run it again), or let one be made: --generate"#]],
    );
    world.unset("SITE_KEY");
    world.set("API_KEY", "");
    refused(
        world,
        ["secrets", "sync"],
        expect![[r#"
        error: no declared secret is set in this environment
          why: declared: SITE_KEY, API_KEY
          fix: export them, or name a JSON file that only you can read: --from FILE"#]],
    );

    // Somebody else's version, which was never deployed, would go live with the secret.
    world.set("API_KEY", NEW_KEY);
    let patch = json!({"env": {"OTHER": {"type": "secret_text", "text": "value-of-other"}}});
    world.cloud().result(
        "PATCH",
        "/workers/workers/small-api/versions/latest",
        Some(patch),
    );
    refused(
        world,
        ["secrets", "rotate", "API_KEY"],
        expect![[r#"
        error: the latest version of api is not deployed: [version]
          why: a new secret is made into the latest version, and its code would go live with it (Cloudflare: 10215)
          fix: cargo xtask deploy"#]],
    );
}
