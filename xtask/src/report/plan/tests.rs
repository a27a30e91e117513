//! One plan as text and as JSON.

use std::collections::BTreeMap;

use expect_test::expect;

use super::*;
use crate::plan::{Command, Probe, Rest};

pub(in crate::report) fn sample_plan() -> Plan {
    let mut plan = Plan::new("deploy");
    let command = Command {
        display: "wrangler versions upload --config workers/main/wrangler.toml".to_owned(),
        program: "node".to_owned(),
        argv: vec!["cli.js".to_owned()],
        cwd: "/repo".into(),
        env: BTreeMap::new(),
        secret_env: vec!["CLOUDFLARE_API_TOKEN".to_owned()],
        env_remove: Vec::new(),
        keep_env: Vec::new(),
        secrets_on_stdin: Vec::new(),
        files: BTreeMap::new(),
    };
    let upload = Step::new(
        "stage",
        "upload main",
        "upload main",
        Action::Command(command),
    );
    plan.push(upload.retry(3, 500));
    let nothing = Step::new("stage", "upload agent", "upload agent", Action::Nothing);
    plan.push(nothing.done("unchanged since r-1"));
    let probe = Probe {
        url: "https://kiamichibizconnect.com/health".to_owned(),
        overrides: [("main".to_owned(), "v-1".to_owned())].into(),
        status: 200,
        fields: BTreeMap::new(),
        within_secs: 30,
    };
    let smoke = Step::new("smoke", "smoke main", "smoke main", Action::Probe(probe));
    plan.push(smoke.needs(["upload main", "upload agent"]));
    let rest = Rest {
        method: "POST".to_owned(),
        path: "/accounts/a/workers/scripts/main/deployments".to_owned(),
        body: None,
        tolerate: Vec::new(),
        content_type: None,
        repeatable: true,
    };
    let mut promote = Step::new(
        "promote",
        "promote main",
        "promote main",
        Action::Rest(rest),
    );
    promote.on_failure = crate::plan::OnFailure::Warn;
    plan.push(promote.needs(["smoke main", "upload main"]));
    plan.push(Step::new(
        "promote",
        "bake \"10%\"",
        "wait",
        Action::Wait { seconds: 60 },
    ));
    plan.notes
        .push("first upload of agent goes live at once".to_owned());
    plan
}

#[test]
fn a_plan_as_text() {
    expect![[r#"
        deploy: 5 steps

        stage
          1. upload main (up to 3 attempts)
             $ wrangler versions upload --config workers/main/wrangler.toml
          2. upload agent (skipped: unchanged since r-1)

        smoke
          3. smoke main (after 1-2)
             GET https://kiamichibizconnect.com/health until it answers 200 (on 1 staged version)

        promote
          4. promote main (after 1, 3; a failure only warns)
             POST /accounts/a/workers/scripts/main/deployments
          5. bake "10%"
             wait 60s

        note: first upload of agent goes live at once"#]]
    .assert_eq(&plan_text(&sample_plan()));
    assert_eq!(plan_text(&Plan::new("deploy")), "deploy: nothing to do");
}

#[test]
fn a_step_of_the_stages_own_says_what_it_is_for() {
    let mut plan = Plan::new("cleanup");
    for (id, goal) in [
        ("empty bucket photos", "empty the bucket photos"),
        ("comment on pr 7", "update the comment on pull request 7"),
    ] {
        let name = id.to_owned();
        plan.push(Step::new("storage", id, goal, Action::Task { name }));
    }
    expect![[r#"
        cleanup: 2 steps

        storage
          1. empty bucket photos
          2. comment on pr 7
             update the comment on pull request 7"#]]
    .assert_eq(&plan_text(&plan));
}

#[test]
fn a_plan_as_json_names_secrets_but_holds_none() {
    let json = plan_json(&sample_plan());
    assert_eq!(json["steps"][0]["action"]["kind"], "command");
    assert_eq!(
        json["steps"][0]["action"]["secret_env"][0],
        "CLOUDFLARE_API_TOKEN"
    );
    assert_eq!(json["steps"][4]["action"]["seconds"], 60);
}
