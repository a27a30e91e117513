//! Where the secrets are: here, on GitHub, live.

use std::time::{Duration, SystemTime};

use expect_test::expect;
use serde_json::json;

use crate::secrets_verb::{NEW_KEY, deployed, nothing_shown};
use crate::support::World;

#[test]
fn each_secret_stands_with_all_its_places_and_its_age() {
    let mut world = deployed();
    world.set("GITHUB_REPOSITORY", "acme/site");
    world.set(
        "GITHUB_API_URL",
        &format!("http://127.0.0.1:{}/github", world.cloud().port),
    );
    let run = world.run(["secrets"]).exits(0);
    expect![[r#"
        secret    worker  here  GitHub  live  age
        SITE_KEY  site    set   ?       set   ?
        API_KEY   site    set   ?       set   ?
        API_KEY   api     set   ?       set   ?
        GitHub's secrets cannot be listed: GITHUB_TOKEN is not set
    "#]]
    .assert_eq(&world.redact(&run.stdout));
    nothing_shown(&[&run]);

    let ago = |days: u64| {
        let time = SystemTime::now() - Duration::from_secs(days * 86_400 + 60);
        humantime::format_rfc3339_seconds(time).to_string()
    };
    let secret = |name: &str, environment: Option<&str>, days: u64| {
        let body = json!({"repo": "acme/site", "name": name, "environment": environment, "updated_at": ago(days)});
        world.cloud().local("POST", "/github/secrets", Some(body));
    };
    secret("SITE_KEY", Some("production"), 91);
    secret("SITE_KEY", None, 3);
    secret("API_KEY", None, 5);
    world.set("GITHUB_TOKEN", "ghp_a-person");
    world.unset("SITE_KEY");
    // One that nobody declares.
    let bulk = json!({"secrets": {"FORGOTTEN": {"name": "FORGOTTEN", "type": "secret_text", "text": "value-of-forgotten"}}});
    world.cloud().result(
        "PATCH",
        "/workers/scripts/small-agent/secrets-bulk",
        Some(bulk),
    );
    let run = world.run(["secrets", "list"]).exits(0);
    expect![[r#"
        secret     worker  here  GitHub                  live               age
        SITE_KEY   site    -     environment production  set                91d, says GitHub
        API_KEY    site    set   repository              set                5d, says GitHub
        API_KEY    api     set   repository              set                5d, says GitHub
        FORGOTTEN  agent   -     -                       set, not declared  ?
        warning: SITE_KEY is 91 days old: cargo xtask secrets rotate SITE_KEY
        warning: agent has the secret FORGOTTEN, which no file declares: declare it in pipeline.toml, or delete it
    "#]].assert_eq(&world.redact(&run.stdout));
    let report = world
        .run(["secrets", "list", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(report["secrets"][0]["age_days"], 91, "{report}");
    assert_eq!(report["outcome"], "warning");

    after_a_change(&mut world);
}

fn after_a_change(world: &mut World) {
    // What was set from here is younger than what GitHub keeps, and GitHub has to be told.
    world.set("API_KEY", NEW_KEY);
    let run = world.run(["secrets", "rotate", "API_KEY"]).exits(0);
    assert!(
        run.stderr
            .contains("GitHub (repository) still has the old value"),
        "{run}"
    );
    let report = world
        .run(["secrets", "list", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(
        (
            &report["secrets"][1]["age_days"],
            &report["secrets"][1]["age_source"]
        ),
        (&json!(0), &json!("live")),
        "{report}"
    );

    let check = world.run(["secrets", "check"]).exits(0);
    assert!(
        check.stderr.contains("✓") || check.stderr.contains("secrets: warning"),
        "{check}"
    );
    world.replace(
        "pipeline.toml",
        "path = \"workers/agent\"",
        "path = \"workers/agent\"\nsecrets = [\"AGENT_KEY\"]",
    );
    let check = world.run(["secrets", "check"]).exits(2);
    expect![[r#"
        error: AGENT_KEY of agent is set nowhere
          why: neither this environment nor the live worker has it: deploy refuses
          fix: read -rs AGENT_KEY && export AGENT_KEY

        warning: SITE_KEY is 91 days old: cargo xtask secrets rotate SITE_KEY

        warning: agent has the secret FORGOTTEN, which no file declares: declare it in pipeline.toml, or delete it

        secrets: failure, 4 steps (3 passed, 1 failed) in [duration]"#]].assert_eq(&world.redact(check.error()));
}
