//! The rules about workflows and composite actions.

use expect_test::expect;

use crate::tidy::world::{ACTION, DEPLOY, PREVIEWS, expect_problems, expect_workflow_problems};

#[test]
fn a_workflow_says_what_it_is() {
    expect_workflow_problems(
        "# Checks a change. Logic: xtask/src/stages/ci.rs. Try it: cargo xtask ci\n",
        "",
        expect![[r#"
            .github/workflows/ci.yml:1: error: does not say where its logic is
                fix: say in the comment at the top `Logic: xtask/src/stages/…`
            .github/workflows/ci.yml:1: error: does not say how to try it on a laptop
                fix: say in the comment at the top `Try it: cargo xtask …`"#]],
    );
    expect_workflow_problems(
        "stages/ci.rs",
        "stages/gone.rs",
        expect![[r#"
        .github/workflows/ci.yml:1: error: says its logic is in xtask/src/stages/gone.rs, which does not exist
            fix: name the stage's file"#]],
    );
}

#[test]
fn a_workflow_grants_nothing_and_every_job_little() {
    expect_workflow_problems(
        "permissions: {}",
        "permissions: { contents: read }",
        expect![[r#"
            .github/workflows/ci.yml:5: error: gives rights to all of its jobs
                fix: say `permissions: {}` at the top, and grant each job what it needs"#]],
    );
    expect_workflow_problems(
        "    permissions: { contents: read } # checkout\n",
        "",
        expect![[r#"
            .github/workflows/ci.yml:11: error: the job `check` does not say its permissions
                fix: add `permissions: { contents: read }`, or what it really needs"#]],
    );
    expect_workflow_problems(
        "    permissions: { contents: read } # checkout\n",
        "    permissions: write-all\n",
        expect![[r#"
            .github/workflows/ci.yml:14: error: the job `check` takes all permissions
                fix: name those it needs, one by one"#]],
    );
}

#[test]
fn a_workflow_trusts_no_fork() {
    expect_workflow_problems(
        "  pull_request:\n",
        "  pull_request:\n  pull_request_target:\n",
        expect![[r#"
            .github/workflows/ci.yml:5: error: `pull_request_target` runs with the repo's secrets on a stranger's change
                fix: use `pull_request`"#]],
    );
    expect_workflow_problems(
        "\"$SHARD\"\n",
        "\"$SHARD\"\n        env: { KEY: \"${{ secrets.KEY }}\" }\n",
        expect![[r#"
            .github/workflows/ci.yml:6: error: a run that changes something outside may be cancelled half-way
                fix: say `cancel-in-progress: false`
            .github/workflows/ci.yml:20: error: reads secrets in a workflow that runs for pull requests, from forks too
                fix: move what needs secrets into a workflow that runs for main; only `preview` and `cleanup` see to forks themselves"#]],
    );
}

/// The problems of the small repo with previews, one piece of one workflow replaced.
#[track_caller]
fn expect_preview_problems(workflow: usize, from: &str, to: &str, expected: expect_test::Expect) {
    let mut files = PREVIEWS;
    assert!(
        files[workflow].1.contains(from),
        "it no longer says {from:?}"
    );
    let text = files[workflow].1.replacen(from, to, 1);
    files[workflow].1 = &text;
    expect_problems(&files, expected);
}

/// The verbs see to forks themselves, and the next run makes good what a cancelled one left.
#[test]
fn previews_may_read_secrets_and_be_cancelled() {
    expect_problems(&PREVIEWS, expect![[""]]);
    expect_preview_problems(
        0,
        "- run: cargo xtask preview\n",
        "- run: cargo xtask preview\n      - run: cargo xtask ci\n",
        expect![[r#"
            .github/workflows/preview.yml:1: error: calls 2 verbs: ci, preview
                fix: give each verb a workflow of its own
            .github/workflows/preview.yml:5: error: a run that changes something outside may be cancelled half-way
                fix: say `cancel-in-progress: false`
            .github/workflows/preview.yml:7: error: the job `preview` calls xtask 2 times
                fix: make it exactly one `cargo xtask <verb>`: what belongs together is the verb's to know
            .github/workflows/preview.yml:13: error: reads secrets in a workflow that runs for pull requests, from forks too
                fix: move what needs secrets into a workflow that runs for main; only `preview` and `cleanup` see to forks themselves"#]],
    );
}

#[test]
fn what_makes_previews_has_something_that_takes_them_down() {
    expect_problems(
        &PREVIEWS[..1],
        expect![[r#"
        .github/workflows/preview.yml:1: error: makes previews, and no workflow takes them down
            fix: add one that calls `cargo xtask cleanup` on `pull_request: { types: [closed] }`"#]],
    );
    expect_problems(
        &PREVIEWS[..2],
        expect![[r#"
        .github/workflows/preview.yml:1: error: makes previews, and nothing looks for those that were left over: GitHub runs no workflow when a pull request with a conflict is closed
            fix: add a job that calls `cargo xtask cleanup --stale` to a workflow on a `schedule`"#]],
    );
    expect_preview_problems(
        1,
        "[closed]",
        "[opened]",
        expect![[r#"
        .github/workflows/cleanup.yml:1: error: takes previews down, but not when a pull request is closed
            fix: say `pull_request: { types: [closed] }`"#]],
    );
    expect_preview_problems(
        1,
        "preview-${{",
        "cleanup-${{",
        expect![[r#"
        .github/workflows/cleanup.yml:5: error: may take a preview down while it is being made
            fix: give it the concurrency group of .github/workflows/preview.yml: `preview-${{ github.event.number }}`"#]],
    );
    expect_preview_problems(
        2,
        " --stale",
        "",
        expect![[r#"
        .github/workflows/preview.yml:1: error: makes previews, and nothing looks for those that were left over: GitHub runs no workflow when a pull request with a conflict is closed
            fix: add a job that calls `cargo xtask cleanup --stale` to a workflow on a `schedule`"#]],
    );
    expect_preview_problems(
        2,
        "  schedule:",
        "  push:\n  schedule:",
        expect![[r#"
        .github/workflows/patrol.yml:1: error: calls 2 verbs: ci, cleanup
            fix: give each verb a workflow of its own"#]],
    );
}

#[test]
fn actions_are_pinned_and_github_s_own() {
    expect_workflow_problems(
        "@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
        "@v7",
        expect![[r#"
            .github/workflows/ci.yml:16: error: actions/checkout is not pinned: a tag can be moved
                fix: write `uses: actions/checkout@<full commit id> # v1.2.3`"#]],
    );
    expect_workflow_problems(
        " # v7.0.1",
        "",
        expect![[r#"
        .github/workflows/ci.yml:16: error: actions/checkout is not pinned: a tag can be moved
            fix: write `uses: actions/checkout@<full commit id> # v1.2.3`"#]],
    );
    expect_workflow_problems(
        "actions/checkout@",
        "somebody/checkout@",
        expect![[r#"
        .github/workflows/ci.yml:16: error: somebody/checkout is a third party's
            fix: do it in xtask; only GitHub's own actions run here"#]],
    );
    expect_workflow_problems(
        "        with: { persist-credentials: false }\n",
        "",
        expect![[r#"
            .github/workflows/ci.yml:16: error: the checkout leaves a token in .git/config for every later step
                fix: add `with: { persist-credentials: false }`"#]],
    );
    expect_workflow_problems(
        "actions/setup\n",
        "actions/missing\n",
        expect![[r#"
        .github/workflows/ci.yml:18: error: ./.github/actions/missing does not exist
            fix: name an action of .github/actions"#]],
    );
}

#[test]
fn nothing_hangs_or_is_cancelled_half_way() {
    expect_workflow_problems(
        "    timeout-minutes: 10\n",
        "",
        expect![[r#"
        .github/workflows/ci.yml:11: error: the job `check` may hang for six hours
            fix: add `timeout-minutes`"#]],
    );
    expect_workflow_problems(
        "  # A newer push makes the older run worthless.\n",
        "",
        expect![[r#"
            .github/workflows/ci.yml:6: error: `concurrency` has no reason
                fix: say in a comment why runs are cancelled, or why they wait"#]],
    );
    expect_workflow_problems(
        "  cancel-in-progress: true\n",
        "",
        expect![[r#"
        .github/workflows/ci.yml:6: error: `concurrency` is not complete
            fix: say both `group` and `cancel-in-progress`"#]],
    );
    expect_workflow_problems(
        "concurrency:\n  # A newer push makes the older run worthless.\n  group: ci\n  cancel-in-progress: true\n",
        "",
        expect![[r#"
            .github/workflows/ci.yml:1: error: does not say what happens when two runs meet
                fix: add `concurrency:` with `group`, `cancel-in-progress` and the reason in a comment"#]],
    );
    let deploy = DEPLOY.replace("in-progress: false", "in-progress: true");
    expect_problems(
        &[(".github/workflows/deploy.yml", &deploy)],
        expect![[r#"
        .github/workflows/deploy.yml:5: error: a run that changes something outside may be cancelled half-way
            fix: say `cancel-in-progress: false`"#]],
    );
    let deploy = DEPLOY.replace(", queue: max", "");
    expect_problems(
        &[(".github/workflows/deploy.yml", &deploy)],
        expect![[r#"
        .github/workflows/deploy.yml:5: error: a waiting run is cancelled by the next one: a push to main can cancel a rollback
            fix: add `queue: max`: GitHub then keeps every waiting run"#]],
    );
}

#[test]
fn a_workflow_hides_no_failure() {
    let run = "      - run: cargo xtask ci --shard \"$SHARD\"\n";
    expect_workflow_problems(
        run,
        &format!("{run}        continue-on-error: true\n"),
        expect![[r#"
            .github/workflows/ci.yml:20: error: `continue-on-error` shows a failure as success
                fix: remove it; tolerate a step with a reason and a date: `[[allow]]` in pipeline.toml"#]],
    );
    expect_workflow_problems(
        run,
        "      - run: |\n          set +e\n          cargo xtask ci ||true\n          echo \"matrix=$(cargo build)\"\n",
        expect![[r#"
            .github/workflows/ci.yml:20: error: `set +e` hides a failure: the shell goes on after a failure
                fix: let the step fail; tolerate it with a reason and a date: `[[allow]]` in pipeline.toml
            .github/workflows/ci.yml:21: error: `|| true` hides a failure: the failure is thrown away
                fix: let the step fail; tolerate it with a reason and a date: `[[allow]]` in pipeline.toml
            .github/workflows/ci.yml:22: error: `$( )` hides a failure: a failure inside the command substitution is lost: give it a line of its own, `name=$(…)`
                fix: let the step fail; tolerate it with a reason and a date: `[[allow]]` in pipeline.toml"#]],
    );
    expect_workflow_problems(
        run,
        "      - run: cargo xtask ci || echo failed\n",
        expect![[r#"
            .github/workflows/ci.yml:19: error: `|| echo` hides a failure: the failure becomes a line of text
                fix: let the step fail; tolerate it with a reason and a date: `[[allow]]` in pipeline.toml"#]],
    );
    let action = ACTION.replace("cargo build", "cargo build || true");
    expect_problems(
        &[(".github/actions/setup/action.yml", &action)],
        expect![[r#"
            .github/actions/setup/action.yml:8: error: `|| true` hides a failure: the failure is thrown away
                fix: let the step fail; tolerate it with a reason and a date: `[[allow]]` in pipeline.toml"#]],
    );
}

#[test]
fn no_value_becomes_code() {
    expect_workflow_problems(
        "\"$SHARD\"",
        "${{ matrix.shard }}",
        expect![[r#"
        .github/workflows/ci.yml:19: error: `${{ }}` in `run` lets a value become code
            fix: hand it over in `env`, and write "$NAME""#]],
    );
}

#[test]
fn a_job_calls_one_verb_that_exists() {
    let run = "cargo xtask ci --shard \"$SHARD\"";
    expect_workflow_problems(
        run,
        "cargo xtask check",
        expect![[r#"
            .github/workflows/ci.yml:1: error: calls 2 verbs: check, ci
                fix: give each verb a workflow of its own
            .github/workflows/ci.yml:19: error: xtask has no verb `check`; it has ci, cleanup, deploy, preview
                fix: call a verb as --help shows it"#]],
    );
    expect_workflow_problems(
        run,
        "cargo xtask ci --sharp 1/2",
        expect![[r#"
        .github/workflows/ci.yml:19: error: `cargo xtask ci` has no flag `--sharp`
            fix: call a verb as --help shows it"#]],
    );
    expect_workflow_problems(
        run,
        "cargo build",
        expect![[r#"
        .github/workflows/ci.yml:11: error: the job `check` calls xtask 0 times
            fix: make it exactly one `cargo xtask <verb>`: what belongs together is the verb's to know"#]],
    );
    expect_workflow_problems(
        run,
        "cargo xtask deploy",
        expect![[r#"
        .github/workflows/ci.yml:1: error: calls 2 verbs: ci, deploy
            fix: give each verb a workflow of its own"#]],
    );
}

/// The verbs are the repo's work; that it still works at all is seen by its scripts.
#[test]
fn only_a_patrol_runs_a_script_of_the_repo() {
    let script = ("scripts/test-all", "#!/bin/sh\n# Every test.\nexit 0\n");
    let patrol = PREVIEWS[2]
        .1
        .replace("run: cargo xtask ci", "run: scripts/test-all");
    let files = |patrol| [PREVIEWS[0], PREVIEWS[1], (PREVIEWS[2].0, patrol), script];
    expect_problems(&files(patrol.as_str()), expect![[""]]);
    let gone = patrol.replace("scripts/test-all", "scripts/gone");
    expect_problems(
        &files(gone.as_str()),
        expect![[r#"
        .github/workflows/patrol.yml:7: error: the job `ci` calls xtask 0 times
            fix: make it exactly one `cargo xtask <verb>`: what belongs together is the verb's to know"#]],
    );
    expect_workflow_problems(
        "cargo xtask ci --shard \"$SHARD\"",
        "scripts/test-all",
        expect![[r#"
        .github/workflows/ci.yml:11: error: the job `check` calls xtask 0 times
            fix: make it exactly one `cargo xtask <verb>`: what belongs together is the verb's to know"#]],
    );
}

#[test]
fn the_conclusion_sees_every_job() {
    expect_workflow_problems(
        "    needs: [check]\n",
        "",
        expect![[r#"
        .github/workflows/ci.yml:20: error: `conclusion` does not need `check`: it may fail unseen
            fix: add `check` to its `needs`"#]],
    );
    expect_workflow_problems(
        "    if: always()\n",
        "",
        expect![[r#"
        .github/workflows/ci.yml:20: error: `conclusion` is skipped when a job fails, and a skipped check counts as passed
            fix: add `if: always()`"#]],
    );
    expect_workflow_problems(
        "  conclusion:\n",
        "  end:\n",
        expect![[r#"
        .github/workflows/ci.yml:1: error: several jobs check a change, and no job concludes
            fix: add a job `conclusion` that needs all others; it is the required check"#]],
    );
}

#[test]
fn a_workflow_is_short_and_plain() {
    let long = format!("jobs:\n{}", "\n".repeat(40));
    expect_workflow_problems(
        "jobs:\n",
        &long,
        expect![[r#"
        .github/workflows/ci.yml:61: error: has 67 lines, of at most 60
            fix: move the logic into the verb, and repeated steps into .github/actions"#]],
    );
    expect_workflow_problems(
        "  check:\n",
        "  check: &all\n",
        expect![[r#"
        .github/workflows/ci.yml:11: error: is more YAML than the rules can follow
            fix: write it plainly: blocks, one-line `{ }` and `[ ]`, `|` for scripts; no anchors"#]],
    );
}

#[test]
fn deploy_hands_over_every_secret() {
    let text = "[workers.w]\npath = \"w\"\nsecrets = [\"KEY\", \"OTHER_KEY\"]\n";
    expect_problems(
        &[("pipeline.toml", text)],
        expect![[r#"
        .github/workflows/deploy.yml:1: error: does not hand over the secret `OTHER_KEY` of pipeline.toml
            fix: add `OTHER_KEY: ${{ secrets.OTHER_KEY }}` to the `env` of its step"#]],
    );
}
