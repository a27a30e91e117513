//! What each style says, and that nothing said can become a command.

use std::time::SystemTime;

use expect_test::expect;
use serde_json::Value;

use super::*;
use crate::error::{Exit, Fail};
use crate::plan::Command;

fn report(id: &str, status: Status) -> StepReport {
    let failed = matches!(status, Status::Failed | Status::Warning);
    StepReport {
        id: id.to_owned(),
        goal: format!("do {id}"),
        group: "group".to_owned(),
        worker: None,
        status,
        started: SystemTime::UNIX_EPOCH,
        duration: Duration::from_millis(1234),
        attempts: u32::from(!matches!(status, Status::Blocked | Status::Skipped)),
        error: failed.then(|| format!("error: failed to do {id}: 100% wrong\n  fix: retry")),
        exit: failed.then_some(Exit::Remote),
        note: None,
        output: Value::Null,
        log: vec!["first".to_owned(), "::error::injected".to_owned()],
    }
}

fn command(id: &str) -> Step {
    let command = Command {
        display: format!("wrangler upload {id}"),
        program: "true".to_owned(),
        argv: Vec::new(),
        cwd: "/".into(),
        env: std::collections::BTreeMap::new(),
        secret_env: Vec::new(),
        env_remove: Vec::new(),
        keep_env: Vec::new(),
        secrets_on_stdin: Vec::new(),
        files: Default::default(),
    };
    Step::new("group", id, format!("do {id}"), Action::Command(command))
}

fn say_all(ui: &Ui) {
    let mut plan = Plan::new("deploy");
    plan.push(command("upload main"));
    plan.push(command("upload agent"));
    ui.begin(&plan);
    let mut passed = report("upload main", Status::Passed);
    passed.note = Some("v-1".to_owned());
    passed.attempts = 2;
    ui.step_finished(&passed);
    ui.step_finished(&report("upload agent", Status::Failed));
    ui.step_finished(&report("notify", Status::Warning));
    let mut blocked = report("promote main", Status::Blocked);
    blocked.note = Some("needs `upload agent`".to_owned());
    blocked.log.clear();
    ui.step_finished(&blocked);
    ui.end();
    ui.warn("left alone\n::set-output name=x::y");
}

#[test]
fn plain_lines_in_a_pipe() {
    let ui = Ui::in_memory(false);
    say_all(&ui);
    expect![[r#"
        ✓ upload main  1.2s  2 attempts  v-1
        ✗ upload agent failed  1.2s
            $ wrangler upload upload agent
            first
            ::error::injected
        ! notify warning  1.2s
            first
            ::error::injected
        · promote main blocked  needs `upload agent`
        warning: left alone
        ::set-output name=x::y
    "#]]
    .assert_eq(&ui.said());
}

#[test]
fn groups_and_annotations_on_github() {
    let ui = Ui::in_memory(true);
    say_all(&ui);
    let said = ui.said();
    let words: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("::stop-commands::"))
        .collect();
    assert_eq!(words.len(), 3);
    assert!(words[0].len() > 32 && words[0] != words[1], "{words:?}");
    let redacted = words
        .iter()
        .fold(said.clone(), |text, word| text.replace(word, "WORD"));
    expect![[r#"
        ::group::✓ upload main  1.2s  2 attempts  v-1
        ::stop-commands::WORD
        $ wrangler upload upload main
        first
        ::error::injected
        ::WORD::
        ::endgroup::
        ::group::✗ upload agent failed  1.2s
        ::stop-commands::WORD
        $ wrangler upload upload agent
        first
        ::error::injected
        ::WORD::
        ::endgroup::
        ::error title=upload agent::failed to do upload agent: 100%25 wrong%0A  fix: retry
        ::group::! notify warning  1.2s
        ::stop-commands::WORD
        first
        ::error::injected
        ::WORD::
        ::endgroup::
        ::warning title=notify::failed to do notify: 100%25 wrong%0A  fix: retry
        · promote main blocked  needs `upload agent`
        ::warning::left alone%0A::set-output name=x::y
    "#]]
    .assert_eq(&redacted);
}

#[test]
fn quiet_says_only_what_went_wrong() {
    let mut ui = Ui::in_memory(false);
    ui.look.quiet = true;
    say_all(&ui);
    ui.info("all is well");
    assert!(!ui.said().contains("upload main") && !ui.said().contains("all is well"));
    assert!(ui.said().contains("✗ upload agent failed"));
}

#[test]
fn verbose_shows_commands_and_lines_as_they_come() {
    let mut ui = Ui::in_memory(false);
    ui.look.verbose = true;
    let step = command("upload main");
    let mut plan = Plan::new("deploy");
    plan.push(step.clone());
    ui.begin(&plan);
    ui.step_started(&step);
    ui.step_line("upload main", "bundling");
    ui.step_finished(&report("upload main", Status::Passed));
    ui.end();
    expect![[r#"
        upload main | $ wrangler upload upload main
        upload main | bundling
        ✓ upload main  1.2s
    "#]]
    .assert_eq(&ui.said());
}

#[test]
fn colour_is_decoration_only() {
    let (plain, mut colored) = (Ui::in_memory(false), Ui::in_memory(false));
    colored.look.color = true;
    say_all(&plain);
    say_all(&colored);
    assert!(colored.said().contains("\x1b["));
    let lines: Vec<String> = colored.said().lines().map(clean_line).collect();
    assert_eq!(lines.join("\n"), plain.said().trim_end());
}

#[test]
fn an_error_annotates_its_files_on_github() {
    let ui = Ui::in_memory(true);
    let fail = Fail::setup("the configuration has 2 mistakes")
        .why("pipeline.toml:3:7: error: unknown key `helth`, did you mean `health`")
        .why("workers/a,b/wrangler.toml:1:1: warning: no `main`");
    ui.error(&fail.into());
    ui.error(
        &Fail::check("nothing to deploy: 100%")
            .fix("commit first")
            .into(),
    );
    expect![[r#"
        error: the configuration has 2 mistakes
          why: pipeline.toml:3:7: error: unknown key `helth`, did you mean `health`
               workers/a,b/wrangler.toml:1:1: warning: no `main`
        ::error file=pipeline.toml,line=3,col=7::unknown key `helth`, did you mean `health`
        ::warning file=workers/a%2Cb/wrangler.toml,line=1,col=1::no `main`
        error: nothing to deploy: 100%
          fix: commit first
        ::error title=nothing to deploy%3A 100%25::error: nothing to deploy: 100%25%0A  fix: commit first
    "#]]
    .assert_eq(&ui.said());
}

#[test]
fn everything_said_is_masked() {
    let ui = Ui::in_memory(true);
    ui.hide(&Mask::new([("KEY", "canary-3f9c")]));
    ui.info("canary-3f9c");
    ui.warn("canary-3f9c");
    ui.error(&Fail::check("canary-3f9c").into());
    ui.data("{\"key\":\"canary-3f9c\"}");
    let all = ui.said() + &ui.data_said();
    assert!(!all.contains("canary"), "{all}");
    assert_eq!(ui.data_said(), "{\"key\":\"***\"}\n");
}

#[test]
fn lines_become_plain() {
    let cases = [
        ("\x1b[31mred\x1b[0m text\r\n", "red text"),
        ("10%\r50%\r100%\r", "100%"),
        (
            "\x1b]8;;https://x.example\x07link\x1b]8;;\x1b\\ end",
            "link end",
        ),
        ("a\tb\x07\x08c\x00", "a    bc"),
        ("\x1b(Bcharset \u{9b}1mC1", "charset C1"),
        ("evil \u{202e}txt", "evil txt"),
        ("\x1b[38;5;12", ""),
        ("", ""),
    ];
    for (line, plain) in cases {
        assert_eq!(clean_line(line), plain, "{line:?}");
    }
}

#[test]
fn text_is_cut_by_columns_not_characters() {
    assert_eq!(fit("abcdef", 6), "abcdef");
    assert_eq!(fit("abcdef", 5), "abcd…");
    assert_eq!(fit("漢字漢字", 5), "漢字…");
    assert_eq!(fit("abc", 0), "");
    assert_eq!(width("e\u{301}漢"), 3);
}

#[test]
fn durations_read_well() {
    let of = |millis| human_duration(Duration::from_millis(millis));
    assert_eq!(
        [of(7), of(1234), of(59_999), of(65_000), of(3_720_000)],
        ["7ms", "1.2s", "59.9s", "1m 05s", "1h 02m"]
    );
}
