//! What the four readers get, as snapshots with fixed times.

use std::time::{Duration, SystemTime};

use expect_test::expect;

use super::*;
use crate::findings::{Finding, into_output};
use crate::mask::Mask;

fn step(group: &str, id: &str, status: Status, start_ms: u64, ms: u64) -> StepReport {
    let ran = !matches!(
        status,
        Status::Skipped | Status::Blocked | Status::Cancelled
    );
    StepReport {
        id: id.to_owned(),
        goal: format!("do {id}"),
        group: group.to_owned(),
        worker: id.split_once(' ').map(|(_, worker)| worker.to_owned()),
        status,
        started: SystemTime::UNIX_EPOCH + Duration::from_millis(start_ms),
        duration: Duration::from_millis(ms),
        attempts: u32::from(ran),
        error: None,
        exit: None,
        note: None,
        output: Value::Null,
        log: Vec::new(),
    }
}

fn report() -> Report {
    let mut upload = step("stage", "upload main", Status::Passed, 0, 1200);
    upload.note = Some("v-1".to_owned());
    upload.output = json!({"version_id": "v-1"});
    let mut skipped = step("stage", "upload agent", Status::Skipped, 0, 0);
    skipped.note = Some("unchanged".to_owned());
    let mut smoke = step("smoke", "smoke main", Status::Failed, 1200, 300);
    smoke.error =
        Some("error: failed to do smoke main: answered 500\n  fix: look at the log".to_owned());
    smoke.exit = Some(Exit::Remote);
    smoke.log = vec!["GET /health".to_owned(), "``` 500".to_owned()];
    let mut promote = step("promote", "promote main", Status::Blocked, 1500, 0);
    promote.note = Some("needs `smoke main`".to_owned());
    let outcome = Outcome {
        steps: vec![upload, skipped, smoke, promote],
        interrupted: false,
        started: SystemTime::UNIX_EPOCH,
        finished: SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
    };
    let mut report = Report::new("deploy", &outcome);
    report.release = Some("r-20260101-abc".to_owned());
    report.warn("the lease was taken over from a dead run");
    report.fact("database", "kiamichi-biz-connect-db");
    let mut table = Table::new("workers", &["worker", "version", "url"]);
    table.row(["main", "v-1", "https://kiamichibizconnect.com"]);
    table.row([
        "business-agent",
        "unchanged",
        "https://app.kiamichibizconnect.com",
    ]);
    report.tables.push(table);
    report
}

#[test]
fn the_terminal_shows_results_then_failures_then_one_line() {
    let report = report();
    assert_eq!((report.outcome, report.exit), (Verdict::Failure, 3));
    expect![[r#"
        workers
        worker          version    url
        main            v-1        https://kiamichibizconnect.com
        business-agent  unchanged  https://app.kiamichibizconnect.com

        database  kiamichi-biz-connect-db

        error: failed to do smoke main: answered 500
          fix: look at the log

        warning: the lease was taken over from a dead run

        deploy: failure, release r-20260101-abc, 4 steps (1 passed, 1 skipped, 1 failed, 1 blocked) in 1.5s"#]]
    .assert_eq(&report.text(100));
}

#[test]
fn a_narrow_window_squeezes_columns_then_gives_them_up() {
    let table = &report().tables[0];
    expect![[r#"
        workers
        worker    version   url
        main      v-1       https://kiamichibizconnect.com
        busines…  unchang…  https://app.kiamichibizconnect.com

        workers
        - worker: main
          version: v-1
          url: https://kiamichibizconnect.com
        - worker: busines…
          version: unchan…
          url: https://app.kiamichibizconnect.com"#]]
    .assert_eq(&format!("{}\n\n{}", table.text(54), table.text(18)));
}

#[test]
fn the_json_document() {
    let mut report = report();
    report.steps.truncate(1);
    expect![[r#"
        {
          "stage": "deploy",
          "outcome": "failure",
          "exit_code": 3,
          "release": "r-20260101-abc",
          "steps": [
            {
              "id": "upload main",
              "goal": "do upload main",
              "group": "stage",
              "worker": "main",
              "status": "passed",
              "started": "1970-01-01T00:00:00.000Z",
              "duration_ms": 1200,
              "attempts": 1,
              "note": "v-1",
              "error": null,
              "exit_code": null,
              "output": {
                "version_id": "v-1"
              }
            }
          ],
          "warnings": [
            "the lease was taken over from a dead run"
          ],
          "facts": {
            "database": "kiamichi-biz-connect-db"
          },
          "tables": [
            {
              "title": "workers",
              "rows": [
                {
                  "worker": "main",
                  "version": "v-1",
                  "url": "https://kiamichibizconnect.com"
                },
                {
                  "worker": "business-agent",
                  "version": "unchanged",
                  "url": "https://app.kiamichibizconnect.com"
                }
              ]
            }
          ]
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&report.json()).expect("JSON"));
}

#[test]
fn the_summary_page() {
    expect![[r#"
        ## ❌ deploy: failure, release r-20260101-abc, 4 steps (1 passed, 1 skipped, 1 failed, 1 blocked) in 1.5s

        > ⚠️ the lease was taken over from a dead run

        ````text
        error: failed to do smoke main: answered 500
          fix: look at the log
        GET /health
        ``` 500
        ````

        ### workers

        | worker | version | url |
        | --- | --- | --- |
        | main | v-1 | https://kiamichibizconnect.com |
        | business-agent | unchanged | https://app.kiamichibizconnect.com |

        | Fact | Value |
        | --- | --- |
        | database | kiamichi-biz-connect-db |

        <details><summary>4 steps (1 passed, 1 skipped, 1 failed, 1 blocked)</summary>

        |  | Step | Worker | Time | Result |
        | --- | --- | --- | --- | --- |
        | ✓ | upload main | main | 1.2s | v-1 |
        | - | upload agent | agent |  | skipped: unchanged |
        | ✗ | smoke main | main | 300ms | failed |
        | · | promote main | main |  | blocked: needs \`smoke main\` |

        </details>

        ```mermaid
        gantt
            title deploy
            dateFormat x
            axisFormat %M:%S
            section stage
            upload main :done, 0, 1200ms
            section smoke
            smoke main :crit, 1200, 300ms
        ```

    "#]]
    .assert_eq(&report().summary_markdown());
}

#[test]
fn hostile_text_stays_text_on_the_summary_page() {
    let hostile =
        "a|b `c` <img src=x onerror=1> @octocat #12 [x](http://y) **b**\n| new | row |\n::error::x";
    let mut step = step("g\n    section x", hostile, Status::Failed, 0, 5);
    step.worker = None;
    step.error = Some(format!("error: {hostile}\n```\n<b>out of the fence</b>"));
    step.note = Some(hostile.to_owned());
    let mut report = Report::empty("deploy");
    report.steps.push(step);
    report.warn(hostile);
    report.fact(hostile, hostile);
    let summary = report.summary_markdown();
    expect![[r#"
        ## ⚠️ deploy: warning, 1 step (1 failed) in 5ms

        > ⚠️ a&#124;b \`c\` &lt;img src=x onerror=1&gt; @‍octocat &#35;12 \[x\](http://y) \*\*b\*\* &#124; new &#124; row &#124; ::error::x

        ````text
        error: a|b `c` <img src=x onerror=1> @octocat #12 [x](http://y) **b**
        | new | row |
        ::error::x
        ```
        <b>out of the fence</b>
        ````

        | Fact | Value |
        | --- | --- |
        | a&#124;b \`c\` &lt;img src=x onerror=1&gt; @‍octocat &#35;12 \[x\](http://y) \*\*b\*\* &#124; new &#124; row &#124; ::error::x | a&#124;b \`c\` &lt;img src=x onerror=1&gt; @‍octocat &#35;12 \[x\](http://y) \*\*b\*\* &#124; new &#124; row &#124; ::error::x |

        <details><summary>1 step (1 failed)</summary>

        |  | Step | Worker | Time | Result |
        | --- | --- | --- | --- | --- |
        | ✗ | a&#124;b \`c\` &lt;img src=x onerror=1&gt; @‍octocat &#35;12 \[x\](http://y) \*\*b\*\* &#124; new &#124; row &#124; ::error::x |  | 5ms | failed: a&#124;b \`c\` &lt;img src=x onerror=1&gt; @‍octocat &#35;12 \[x\](http://y) \*\*b\*\* &#124; new &#124; row &#124; ::error::x |

        </details>

        ```mermaid
        gantt
            title deploy
            dateFormat x
            axisFormat %M:%S
            section g section x
            a b c img src=x onerror=1 octocat 12 x (http //y) b new row error x :crit, 0, 5ms
        ```

    "#]]
    .assert_eq(&summary);
    let outside_fences: Vec<&str> = summary
        .split("````")
        .step_by(2)
        .flat_map(str::lines)
        .collect();
    for line in outside_fences {
        assert!(
            !line.contains("<img") && !line.contains("@octocat"),
            "{line}"
        );
        assert!(
            !line.starts_with("::") && !line.replace("\\]", "").contains("]("),
            "{line}"
        );
    }
}

#[test]
fn all_four_readers_are_served_without_secrets() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (summary, output) = (folder.path().join("summary"), folder.path().join("output"));
    let vars = [
        ("GITHUB_STEP_SUMMARY", summary.display().to_string()),
        ("GITHUB_OUTPUT", output.display().to_string()),
    ];
    let vars = vars.map(|(name, value)| (name.to_owned(), value));
    let env = Env::from_vars(vars.into(), false, folder.path().into());
    let ui = Ui::in_memory(false);
    ui.hide(&Mask::new([("KEY", "canary-3f9c")]));
    let mut report = report();
    report.release = Some("r-1\ninjected=yes".to_owned());
    report.steps[0].output = json!({"canary-3f9c": ["canary-3f9c"]});
    report.fact("key", "canary-3f9c");
    let path = report.write(&env, &ui, folder.path()).expect("written");
    assert_eq!(path, folder.path().join(".xtask/reports/deploy.json"));
    let read = |path: &Path| std::fs::read_to_string(path).expect("written");
    assert_eq!(
        read(&output),
        "stage=deploy\noutcome=failure\nrelease=r-1 injected=yes\n"
    );
    let stored: Value = serde_json::from_str(&read(&path)).expect("JSON");
    assert_eq!(stored["outcome"], "failure");
    assert!(read(&summary).contains("### workers"));
    assert_eq!(ui.data_said(), "");
    let all = [read(&path), read(&summary), read(&output), ui.said()].concat();
    assert!(!all.contains("canary"), "{all}");
}

#[test]
fn warnings_and_interrupts_change_the_verdict() {
    let mut outcome = Outcome {
        steps: vec![step("g", "a", Status::Warning, 0, 1)],
        interrupted: false,
        started: SystemTime::UNIX_EPOCH,
        finished: SystemTime::UNIX_EPOCH,
    };
    let report = Report::new("ci", &outcome);
    assert_eq!((report.outcome, report.exit), (Verdict::Warning, 0));
    assert_eq!(report.warnings, ["could not do a"]);
    outcome.interrupted = true;
    let report = Report::new("ci", &outcome);
    assert_eq!((report.outcome, report.exit), (Verdict::Failure, 130));
}

fn with_findings(findings: &[Finding], mut step: StepReport) -> StepReport {
    step.output = into_output(step.output, findings);
    step
}

fn ci() -> Report {
    let place = |line| {
        Finding::error("Type 'number' is not assignable\nto 'string'")
            .in_file("workers/main/src/index.ts")
            .at(line, 3)
            .rule("TS2322")
    };
    let mut check = step("check", "check main", Status::Failed, 0, 900);
    check.error = Some("error: failed to type check main: 2 errors".to_owned());
    check.log = vec!["src/index.ts(12,3): error".to_owned()];
    let check = with_findings(&[place(12), place(40)], check);
    let mut test = step("test", "test main", Status::Warning, 900, 1500);
    test.error = Some("error: failed to test main".to_owned());
    test.output = json!({"tests": [
        {"file": "workers/main/a.test.ts", "name": "sums > adds", "status": "passed", "duration_ms": 16},
        {"file": "workers/main/a.test.ts", "name": "sums > fails", "status": "failed", "duration_ms": 24, "message": "expected 2 to be 3\nmore"},
        {"file": "workers/main/a.test.ts", "name": "later", "status": "skipped", "duration_ms": 0}
    ]});
    let test = with_findings(&[Finding::error("sums > fails: expected 2 to be 3")], test);
    let old = Finding::warning("old")
        .in_file("package-lock.json")
        .rule("GHSA-1");
    let audit = with_findings(&[old], step("check", "audit npm", Status::Passed, 0, 100));
    let mut build = step("build", "build main", Status::Blocked, 900, 0);
    build.note = Some("needs `check main`".to_owned());
    let cached = step("build", "build agent", Status::Cached, 0, 0);
    let outcome = Outcome {
        steps: vec![check, audit, build, cached, test],
        interrupted: false,
        started: SystemTime::UNIX_EPOCH,
        finished: SystemTime::UNIX_EPOCH + Duration::from_millis(2400),
    };
    Report::new("ci", &outcome)
}

#[test]
fn findings_are_listed_below_their_step() {
    expect![[r#"
        error: failed to type check main: 2 errors
          workers/main/src/index.ts:12:3: error TS2322: Type 'number' is not assignable
              to 'string'
          workers/main/src/index.ts:40:3: error TS2322: Type 'number' is not assignable
              to 'string'

        audit npm
          package-lock.json: warning GHSA-1: old

        test main
          error: sums > fails: expected 2 to be 3

        warning: failed to test main

        ci: failure, 5 steps (1 passed, 1 cached, 1 warning, 1 failed, 1 blocked) in 2.4s"#]]
    .assert_eq(&ci().text(100));
    let summary = ci().summary_markdown();
    let page = summary.split("<details>").next().expect("a page");
    expect![[r#"
        ## ❌ ci: failure, 5 steps (1 passed, 1 cached, 1 warning, 1 failed, 1 blocked) in 2.4s

        > ⚠️ failed to test main

        ```text
        error: failed to type check main: 2 errors
          workers/main/src/index.ts:12:3: error TS2322: Type 'number' is not assignable
              to 'string'
          workers/main/src/index.ts:40:3: error TS2322: Type 'number' is not assignable
              to 'string'
        ```

        ```text
        audit npm
          package-lock.json: warning GHSA-1: old
        ```

        ```text
        test main
          error: sums > fails: expected 2 to be 3
        ```

    "#]]
    .assert_eq(page);
}

#[test]
fn every_step_gets_its_first_annotation_before_any_gets_its_second() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let env = Env::from_vars([].into(), false, folder.path().into());
    let ui = Ui::in_memory(true);
    let mut report = ci();
    let many: Vec<Finding> = (0..20)
        .map(|n| Finding::error(format!("{n}: 100%, a::b")).in_file("a,b:c.ts"))
        .collect();
    report.steps.push(with_findings(
        &many,
        step("check", "check agent", Status::Failed, 0, 1),
    ));
    for step in &report.steps {
        ui.step_finished(step);
    }
    report.write(&env, &ui, folder.path()).expect("written");
    let said = ui.said();
    let commands = said
        .lines()
        .filter(|line| line.starts_with("::error") || line.starts_with("::warning"));
    expect![[r#"
        ::error file=workers/main/src/index.ts,line=12,col=3,title=TS2322::Type 'number' is not assignable%0Ato 'string'
        ::warning file=package-lock.json,title=GHSA-1::old
        ::warning::sums > fails: expected 2 to be 3
        ::error file=a%2Cb%3Ac.ts::0: 100%25, a::b
        ::error file=workers/main/src/index.ts,line=40,col=3,title=TS2322::Type 'number' is not assignable%0Ato 'string'
        ::error file=a%2Cb%3Ac.ts::1: 100%25, a::b
        ::error file=a%2Cb%3Ac.ts::2: 100%25, a::b
        ::error file=a%2Cb%3Ac.ts::3: 100%25, a::b
        ::error file=a%2Cb%3Ac.ts::4: 100%25, a::b
        ::error file=a%2Cb%3Ac.ts::5: 100%25, a::b
        ::error file=a%2Cb%3Ac.ts::6: 100%25, a::b
        ::error file=a%2Cb%3Ac.ts::7: 100%25, a::b"#]].assert_eq(&commands.collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_junit_document() {
    expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="ci" tests="8" failures="2" errors="0" skipped="2" time="2.540">
          <testsuite name="check" tests="2" failures="1" errors="0" skipped="0" time="1.000" timestamp="1970-01-01T00:00:00Z">
            <testcase classname="check" name="check main" time="0.900">
              <failure message="failed to type check main: 2 errors">error: failed to type check main: 2 errors&#10;  workers/main/src/index.ts:12:3: error TS2322: Type &apos;number&apos; is not assignable&#10;      to &apos;string&apos;&#10;  workers/main/src/index.ts:40:3: error TS2322: Type &apos;number&apos; is not assignable&#10;      to &apos;string&apos;</failure>
            </testcase>
            <testcase classname="check" name="audit npm" time="0.100"/>
          </testsuite>
          <testsuite name="build" tests="2" failures="0" errors="0" skipped="1" time="0.000" timestamp="1970-01-01T00:00:00Z">
            <testcase classname="build" name="build main" time="0.000">
              <skipped message="needs `check main`"/>
            </testcase>
            <testcase classname="build" name="build agent" time="0.000">
              <system-out>the result of an earlier run still holds</system-out>
            </testcase>
          </testsuite>
          <testsuite name="test" tests="1" failures="0" errors="0" skipped="0" time="1.500" timestamp="1970-01-01T00:00:00Z">
            <testcase classname="test" name="test main" time="1.500">
              <system-out>tolerated: error: failed to test main&#10;  error: sums &gt; fails: expected 2 to be 3</system-out>
            </testcase>
          </testsuite>
          <testsuite name="test main" tests="3" failures="1" errors="0" skipped="1" time="0.040">
            <testcase classname="test main" name="sums &gt; adds" time="0.016" file="workers/main/a.test.ts"/>
            <testcase classname="test main" name="sums &gt; fails" time="0.024" file="workers/main/a.test.ts">
              <failure message="expected 2 to be 3">expected 2 to be 3&#10;more</failure>
            </testcase>
            <testcase classname="test main" name="later" time="0.000" file="workers/main/a.test.ts">
              <skipped message="skipped"/>
            </testcase>
          </testsuite>
        </testsuites>
    "#]].assert_eq(&ci().junit(&Mask::new([])));
}

#[test]
fn hostile_text_stays_text_in_junit() {
    let hostile = "a]]><b c='d' e=\"f\">&amp;\u{0}\u{8}\u{1b}[31m\u{ffff}\u{85}\r\n\té😀 canary-3f9c</failure>";
    let mut step = step("<g>", hostile, Status::Failed, 0, 5);
    step.error = Some(format!("error: {hostile}"));
    step.output = json!({"tests": [{"file": hostile, "name": hostile, "status": "failed", "duration_ms": 1, "message": hostile}, ]});
    let mut report = Report::empty("ci");
    report
        .steps
        .push(with_findings(&[Finding::error(hostile)], step));
    let xml = report.junit(&Mask::new([("KEY", "canary-3f9c")]));
    assert!(!xml.contains("canary"), "{xml}");
    let tags = xml.matches(['<', '>']).count();
    assert_eq!(tags, xml.matches('<').count() * 2, "{xml}");
    assert!(
        xml.chars()
            .all(|c| c == '\n' || !c.is_control() && c != '\u{ffff}'),
        "{xml}"
    );
    assert_eq!(xml.matches("<failure ").count(), 2);
    assert_eq!(xml.matches("</failure>").count(), 2);
}

#[test]
fn the_summary_says_a_failed_steps_words_once() {
    let mut failed = step("test", "test main", Status::Failed, 0, 10);
    failed.error = Some("error: failed to do test main: exited with 1\n  why: 1 of 3".to_owned());
    failed.log = vec!["$ sh test.sh".to_owned(), "1 of 3".to_owned()];
    let mut report = Report::empty("ci");
    report.steps.push(failed);
    let summary = report.summary_markdown();
    assert_eq!(summary.matches("1 of 3").count(), 1, "{summary}");
    assert!(summary.contains("$ sh test.sh"), "{summary}");
}
