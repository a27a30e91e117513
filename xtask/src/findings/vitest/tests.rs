//! Captured runs of vitest 4, with shortened stacks.

use expect_test::{Expect, expect};

use super::*;

fn base() -> Base<'static> {
    Base {
        root: std::path::Path::new("/repo"),
        cwd: std::path::Path::new("/repo/w"),
    }
}
const JSON: &str = include_str!("captured.json");
const TEXT: &str = include_str!("captured.txt");

fn check(json: Option<&str>, output: &str, expected: Expect) -> Results {
    let results = parse(json, output, base()).expect("a report");
    let lines: Vec<String> = results.findings.iter().map(ToString::to_string).collect();
    expected.assert_eq(&lines.join("\n"));
    results
}

#[test]
fn every_kind_of_failure_has_its_place() {
    let results = check(
        Some(JSON),
        TEXT,
        expect![[r#"
        w/t/a.test.ts:4:37: error: sums > fails: AssertionError: expected 2 to be 3 // Object.is equality
        w/t/a.test.ts:8:30: error: throws: Error: boom
            second ✗
        w/t/a.test.ts:9:48: error: multi: AssertionError: expected { a: 1, b: [ 1, 2 ] } to deeply equal { a: 2, b: [ 1, 3 ] }
        w/t/a.test.ts:10:1: error: timeout: Error: Test timed out in 50ms.
            If this is a long-running test, pass a timeout value as the last argument or configure it globally with "testTimeout".
        w/t/broken.test.ts:1:1: error: Cannot find module './nowhere' imported from /repo/w/t/broken.test.ts
        w/t/empty.test.ts: error: No test suite found in file /repo/w/t/empty.test.ts
        w/t/hook.test.ts:2:25: error: hook broke
        w/t/syntax.test.ts:2:29: error: Transform failed with 1 error:
            [PARSE_ERROR] Unexpected token
        w/t/unhandled.test.ts:2:45: error: unhandled error: Error: late"#]],
    );
    let counts = [TestStatus::Passed, TestStatus::Failed, TestStatus::Skipped];
    assert_eq!(counts.map(|status| results.count(status)), [2, 4, 3]);
    assert_eq!(results.tests[0].name, "sums > adds");
    assert_eq!(results.tests[0].duration_ms, 16);
}

#[test]
fn without_the_text_the_places_come_from_the_stacks() {
    check(
        Some(JSON),
        "",
        expect![[r#"
            w/t/a.test.ts:4:37: error: sums > fails: AssertionError: expected 2 to be 3 // Object.is equality
            w/t/a.test.ts:8:30: error: throws: Error: boom
                second ✗
            w/t/a.test.ts:9:48: error: multi: AssertionError: expected { a: 1, b: [ 1, 2 ] } to deeply equal { a: 2, b: [ 1, 3 ] }
            w/t/a.test.ts:10:1: error: timeout: the test timed out
            w/t/broken.test.ts: error: Cannot find module './nowhere' imported from /repo/w/t/broken.test.ts
            w/t/empty.test.ts: error: No test suite found in file /repo/w/t/empty.test.ts
            w/t/hook.test.ts: error: hook broke
            w/t/syntax.test.ts:2:29: error: Transform failed with 1 error:
                [PARSE_ERROR] Unexpected token"#]],
    );
}

#[test]
fn an_unhandled_error_fails_a_run_whose_tests_all_passed() {
    let json = r#"{"success": true, "testResults": [{"name": "/repo/w/u.test.ts", "status": "passed", "message": "", "assertionResults": [{"title": "ok", "status": "passed", "ancestorTitles": []}]}]}"#;
    let text = TEXT.split_once("Unhandled Errors").expect("captured").1;
    check(
        Some(json),
        text,
        expect!["w/t/unhandled.test.ts:2:45: error: unhandled error: Error: late"],
    );
}

#[test]
fn no_tests_and_no_reason() {
    check(
        Some(r#"{"success": false, "testResults": []}"#),
        "No test files found, exiting with code 1\n",
        expect!["error: vitest found no tests"],
    );
    check(
        Some(r#"{"success": true, "testResults": []}"#),
        "",
        expect!["warning: vitest found no tests"],
    );
    check(
        Some(
            r#"{"success": false, "testResults": [{"name": "/repo/w/u.test.ts", "status": "passed"}]}"#,
        ),
        "",
        expect!["error: vitest failed without saying why"],
    );
    assert!(parse(Some("{"), "", base()).is_err());
}

#[test]
fn a_config_that_does_not_load() {
    check(
        None,
        "failed to load config from /repo/w/vitest.config.ts\n\n\u{1b}[31m⎯⎯⎯⎯⎯⎯⎯\u{1b}[39m\u{1b}[1m\u{1b}[41m Startup Error \u{1b}[49m\u{1b}[22m\u{1b}[31m⎯⎯⎯⎯⎯⎯⎯⎯\u{1b}[39m\nError: Build failed with 1 error:\n\n\u{1b}[31m[PARSE_ERROR] \u{1b}[0mExpected `}` but found `EOF`\n   \u{1b}[38;5;246m╭\u{1b}[0m\u{1b}[38;5;246m─\u{1b}[0m\u{1b}[38;5;246m[\u{1b}[0m vitest.config.ts:1:269 \u{1b}[38;5;246m]\u{1b}[0m\n",
        expect![[r#"
            w/vitest.config.ts:1: error: vitest did not start: Error: Build failed with 1 error:
                [PARSE_ERROR] Expected `}` but found `EOF`"#]],
    );
    check(
        None,
        "",
        expect!["error: vitest did not start: it printed nothing"],
    );
}

#[test]
fn several_headings_share_one_error_and_projects_are_named() {
    let json = r#"{"success": false, "testResults": [{"name": "/repo/w/a.test.ts", "status": "failed", "message": "", "assertionResults": [
        {"title": "one", "status": "failed", "ancestorTitles": [], "failureMessages": ["Error: STACK_TRACE_ERROR"]},
        {"title": "two", "status": "failed", "ancestorTitles": ["s"], "failureMessages": []}]}]}"#;
    check(
        Some(json),
        " FAIL  |unit| a.test.ts > one\n FAIL  |unit| a.test.ts > s > two\nError: Test timed out in 50ms.\n ❯ a.test.ts:10:1\n",
        expect![[r#"
            w/a.test.ts:10:1: error: one: Error: Test timed out in 50ms.
            w/a.test.ts:10:1: error: s > two: Error: Test timed out in 50ms."#]],
    );
}

#[test]
fn a_pool_that_does_not_start_names_its_cause() {
    check(
        Some(r#"{"success": false, "testResults": []}"#),
        "⎯⎯⎯⎯⎯⎯ Unhandled Error ⎯⎯⎯⎯⎯⎯⎯\nError: [vitest-pool]: Failed to start cloudflare-pool worker for test files /repo/w/test/index.test.ts.\n ❯ ../node_modules/vitest/dist/chunks/cli-api.js:3532:94\n\nCaused by: Error: ENOENT: no such file or directory, open '../main/schema.sql'\n ❯ readFileSync node:fs:440:20\n",
        expect![[r#"
            error: unhandled error: Error: [vitest-pool]: Failed to start cloudflare-pool worker for test files /repo/w/test/index.test.ts.
                Caused by: Error: ENOENT: no such file or directory, open '../main/schema.sql'"#]],
    );
}
