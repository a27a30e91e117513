//! Captured or documented reports of every package manager, and what the policy makes of them.

use std::path::Path;

use expect_test::{Expect, expect};

use super::*;
use crate::config::Place;

/// `npm audit --json` of npm 11 against a service that knows two advisories.
const NPM: &str = include_str!("captured-npm.json");
const LOCK: &str = r#"{"lockfileVersion": 3, "packages": {
"": {"name": "root", "devDependencies": {"toolbox": "1.0.0"}},
"node_modules/main-worker": {"resolved": "workers/main", "link": true},
"workers/main": {"name": "main-worker", "dependencies": {"web": "1.0.0"}},
"node_modules/web": {"dependencies": {"parser": "^1.0.0"}},
"node_modules/parser": {},
"node_modules/toolbox": {}
}}"#;

fn check(answer: &Answer, expected: Expect) {
    expected.assert_eq(&format!("{answer:#?}"));
}

fn listed(answer: &Answer) -> String {
    let Answer::Advisories(advisories) = answer else {
        return format!("{answer:?}");
    };
    let line = |advisory: &Advisory| {
        let Advisory {
            id,
            aliases,
            severity,
            informational,
            package,
            title,
            range,
            path,
            url,
            fixed_in,
        } = advisory;
        let news = if *informational { " (news)" } else { "" };
        let fixed_in = fixed_in.as_deref().unwrap_or("-");
        format!(
            "{id} {aliases:?} {}{news} | {package} {range} | {title} | {path} | {url} | {fixed_in}",
            severity.word()
        )
    };
    advisories.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn npm_reports_with_the_way_from_the_lockfile() {
    expect![[r#"
        GHSA-aaaa-bbbb-cccc ["1101"] critical | parser <1.0.1 | Prototype Pollution in parser | main-worker > web > parser | https://github.com/advisories/GHSA-aaaa-bbbb-cccc | npm audit fix
        GHSA-dddd-eeee-ffff ["1102"] moderate | toolbox * | ReDoS in toolbox | toolbox | https://github.com/advisories/GHSA-dddd-eeee-ffff | -"#]].assert_eq(&listed(&npm(NPM, "", Some(LOCK))));
    expect![[r#"
        GHSA-aaaa-bbbb-cccc ["1101"] critical | parser <1.0.1 | Prototype Pollution in parser |  | https://github.com/advisories/GHSA-aaaa-bbbb-cccc | npm audit fix
        GHSA-dddd-eeee-ffff ["1102"] moderate | toolbox * | ReDoS in toolbox |  | https://github.com/advisories/GHSA-dddd-eeee-ffff | -"#]].assert_eq(&listed(&npm(NPM, "", None)));
    let clean = r#"{"auditReportVersion": 2, "vulnerabilities": {}, "metadata": {}}"#;
    assert_eq!(npm(clean, "", None), Answer::Advisories(Vec::new()));
}

#[test]
fn npm_fixes_and_packages_that_only_pass_it_on() {
    let report = r#"{"auditReportVersion": 2, "vulnerabilities": {
        "web": {"name": "web", "severity": "high", "via": ["parser"], "nodes": ["node_modules/web"], "fixAvailable": true},
        "parser": {"name": "parser", "severity": "high", "via": [{"source": 7, "name": "parser", "title": "t", "url": "https://example.com/7", "severity": "weird", "range": "<2"}],
            "nodes": ["node_modules/parser"], "fixAvailable": {"name": "web", "version": "2.0.0", "isSemVerMajor": true}}}}"#;
    expect!["7 [] high | parser <2 | t | main-worker > web > parser | https://example.com/7 | web@2.0.0 (a breaking change)"].assert_eq(&listed(&npm(report, "", Some(LOCK))));
    let circle = r#"{"vulnerabilities": {"web": {"name": "web", "via": ["parser"]}, "parser": {"name": "parser", "via": ["web"]}}}"#;
    check(
        &npm(circle, "", None),
        expect![[r#"
        NoAnswer(
            "npm named packages but no advisory: web, parser",
        )"#]],
    );
}

#[test]
fn npm_without_an_answer() {
    for (stdout, stderr, expected) in [
        (
            r#"{"message": "405 Method Not Allowed - POST http://127.0.0.1:4999/-/npm/v1/security/advisories/bulk - method not allowed", "method": "POST", "statusCode": 405, "body": {"error": "method not allowed"}, "error": {"summary": "", "detail": ""}}"#,
            "npm error audit endpoint returned an error",
            "NoAnswer(\"405 Method Not Allowed - POST http://127.0.0.1:4999/-/npm/v1/security/advisories/bulk - method not allowed\")",
        ),
        (
            r#"{"message": "request to http://127.0.0.1:4999/x failed, reason: connect ECONNREFUSED 127.0.0.1:4999", "error": {"summary": "", "detail": ""}}"#,
            "",
            "NoAnswer(\"request to http://127.0.0.1:4999/x failed, reason: connect ECONNREFUSED 127.0.0.1:4999\")",
        ),
        (
            r#"{"message": "request to http://nowhere.invalid/x failed, reason: getaddrinfo ENOTFOUND nowhere.invalid", "error": {"summary": "", "detail": ""}}"#,
            "",
            "NoAnswer(\"request to http://nowhere.invalid/x failed, reason: getaddrinfo ENOTFOUND nowhere.invalid\")",
        ),
        (
            r#"{"error": {"code": "ENOLOCK", "summary": "This command requires an existing lockfile.", "detail": "Try creating one first with: npm i --package-lock-only\nOriginal error: loadVirtual requires existing shrinkwrap file"}}"#,
            "",
            "Refused(\"This command requires an existing lockfile.\\nTry creating one first with: npm i --package-lock-only\\nOriginal error: loadVirtual requires existing shrinkwrap file\")",
        ),
        ("", "", "NoAnswer(\"the audit printed nothing\")"),
        (
            "<html>",
            "npm error code E1\n\nnpm error bad",
            "NoAnswer(\"npm error code E1\\nnpm error bad\")",
        ),
        ("[]", "", "NoAnswer(\"[]\")"),
        ("{}", "", "NoAnswer(\"{}\")"),
    ] {
        assert_eq!(format!("{:?}", npm(stdout, stderr, None)), expected);
    }
}

#[test]
fn pnpm_reports() {
    let report = r#"{"actions": [], "advisories": {"1101": {"findings": [{"version": "1.0.0", "paths": ["workers__main>web>parser", ".>parser"]}],
        "id": 1101, "title": "Prototype Pollution", "module_name": "parser", "vulnerable_versions": "<1.0.1", "patched_versions": ">=1.0.1",
        "severity": "critical", "cves": ["CVE-2026-1"], "github_advisory_id": "GHSA-aaaa-bbbb-cccc", "url": "https://github.com/advisories/GHSA-aaaa-bbbb-cccc"}},
        "muted": [], "metadata": {"vulnerabilities": {"critical": 1}}}"#;
    expect![[r#"GHSA-aaaa-bbbb-cccc ["1101", "CVE-2026-1"] critical | parser <1.0.1 | Prototype Pollution | parser | https://github.com/advisories/GHSA-aaaa-bbbb-cccc | >=1.0.1"#]].assert_eq(&listed(&pnpm(report, "")));
    let clean = r#"{"actions": [], "advisories": {}, "muted": [], "metadata": {"vulnerabilities": {"info": 0}}}"#;
    assert_eq!(pnpm(clean, ""), Answer::Advisories(Vec::new()));
    for (stdout, expected) in [
        (
            r#"{"error": {"code": "ERR_PNPM_AUDIT_BAD_RESPONSE", "message": "The audit endpoint responded with 503"}}"#,
            "NoAnswer",
        ),
        (
            r#"{"error": {"code": "ERR_PNPM_AUDIT_NO_LOCKFILE", "message": "No pnpm-lock.yaml found"}}"#,
            "Refused",
        ),
        (r#"{"advisories": {}}"#, "NoAnswer"),
        ("ERR_PNPM_META_FETCH_FAIL", "NoAnswer"),
    ] {
        let answer = format!("{:?}", pnpm(stdout, ""));
        assert!(answer.starts_with(expected), "{stdout}: {answer}");
    }
}

#[test]
fn yarn_reports_of_all_generations() {
    let classic = concat!(
        r#"{"type":"warning","data":"package.json: No license field"}"#,
        "\n",
        r#"{"type":"auditAdvisory","data":{"resolution":{"id":1101,"path":"web>parser","dev":false},"advisory":{"findings":[{"version":"1.0.0","paths":["web>parser"]}],"id":1101,"title":"Prototype Pollution","module_name":"parser","cves":[],"vulnerable_versions":"<1.0.1","patched_versions":"<0.0.0","severity":"high","url":"https://github.com/advisories/GHSA-aaaa-bbbb-cccc"}}}"#,
        "\n",
        r#"{"type":"auditAdvisory","data":{"resolution":{"id":1101,"path":"other>parser","dev":false},"advisory":{"id":1101,"title":"Prototype Pollution","module_name":"parser","severity":"high","url":"https://github.com/advisories/GHSA-aaaa-bbbb-cccc"}}}"#,
        "\n",
        r#"{"type":"auditSummary","data":{"vulnerabilities":{"high":2}}}"#,
        "\n",
    );
    expect![[r#"GHSA-aaaa-bbbb-cccc ["1101"] high | parser <1.0.1 | Prototype Pollution | web > parser | https://github.com/advisories/GHSA-aaaa-bbbb-cccc | -"#]].assert_eq(&listed(&yarn_classic(classic, "")));
    let unfinished = classic
        .rsplit_once("{\"type\":\"auditSummary\"")
        .expect("a summary")
        .0;
    assert!(matches!(
        yarn_classic(unfinished, "cut"),
        Answer::NoAnswer(_)
    ));
    let error =
        "{\"type\":\"error\",\"data\":\"An unexpected error occurred: connect ECONNREFUSED\"}\n";
    assert_eq!(
        yarn_classic(error, ""),
        Answer::NoAnswer("An unexpected error occurred: connect ECONNREFUSED".to_owned())
    );

    let berry = concat!(
        r#"{"value":"minimist","children":{"ID":1097678,"Issue":"Prototype Pollution in minimist","URL":"https://github.com/advisories/GHSA-xvch-5gv4-984h","Severity":"critical","Vulnerable Versions":">=1.0.0 <1.2.6","Tree Versions":["1.2.5"],"Dependents":["t@workspace:."]}}"#,
        "\n",
        r#"{"value":"old","children":{"ID":"old (deprecation)","Issue":"use new","Severity":"moderate","Vulnerable Versions":"1.0.0","Tree Versions":["1.0.0"],"Dependents":["t@workspace:."]}}"#,
        "\n",
    );
    expect![[r#"
        GHSA-xvch-5gv4-984h ["1097678"] critical | minimist >=1.0.0 <1.2.6 | Prototype Pollution in minimist | t@workspace:. > minimist | https://github.com/advisories/GHSA-xvch-5gv4-984h | -
        old (deprecation) [] moderate (news) | old 1.0.0 | use new | t@workspace:. > old |  | -"#]].assert_eq(&listed(&yarn_berry(berry, "", false)));
    assert_eq!(yarn_berry("", "", true), Answer::Advisories(Vec::new()));
    assert!(matches!(yarn_berry("", "", false), Answer::NoAnswer(_)));
    let down = r#"{"type":"error","name":35,"displayName":"YN0035","indent":"","data":"The remote server failed to provide the requested resource"}"#;
    assert!(matches!(yarn_berry(down, "", false), Answer::NoAnswer(_)));
    let third = r#"{"advisories":{},"metadata":{"vulnerabilities":{"info":0}}}"#;
    assert_eq!(yarn_berry(third, "", true), Answer::Advisories(Vec::new()));
}

#[test]
fn bun_reports() {
    let report = "bun audit v1.3.1\n{\"parser\":[{\"id\":1101,\"url\":\"https://github.com/advisories/GHSA-aaaa-bbbb-cccc\",\"title\":\"Prototype Pollution\",\"severity\":\"critical\",\"vulnerable_versions\":\"<1.0.1\",\"cwe\":[],\"cvss\":{\"score\":9.8}}]}\n";
    expect![[r#"GHSA-aaaa-bbbb-cccc ["1101"] critical | parser <1.0.1 | Prototype Pollution |  | https://github.com/advisories/GHSA-aaaa-bbbb-cccc | -"#]].assert_eq(&listed(&bun(report, "")));
    assert_eq!(bun("{}\n", ""), Answer::Advisories(Vec::new()));
    assert!(matches!(
        bun("", "error: audit request failed (status 503)"),
        Answer::NoAnswer(_)
    ));
    assert!(matches!(
        bun("{\"message\":\"no\"}", ""),
        Answer::NoAnswer(_)
    ));
}

#[test]
fn cargo_reports() {
    let report = r#"{"database": {}, "lockfile": {"dependency-count": 10}, "settings": {},
        "vulnerabilities": {"found": true, "count": 1, "list": [{"advisory": {"id": "RUSTSEC-2020-0071", "package": "time", "title": "Potential segfault in the time crate",
            "aliases": ["CVE-2020-26235"], "cvss": "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H", "url": "https://github.com/time-rs/time/issues/293"},
            "versions": {"patched": [">=0.2.23"], "unaffected": []}, "package": {"name": "time", "version": "0.1.43"}}]},
        "warnings": {"unmaintained": [{"kind": "unmaintained", "package": {"name": "atty", "version": "0.2.14"}, "advisory": {"id": "RUSTSEC-2024-0375", "title": "`atty` is unmaintained", "url": null, "cvss": null}, "versions": {"patched": []}}],
            "yanked": [{"kind": "yanked", "package": {"name": "x", "version": "1.0.0"}, "advisory": null}]}}"#;
    expect![[r#"
        RUSTSEC-2020-0071 ["CVE-2020-26235"] moderate | time 0.1.43 | Potential segfault in the time crate |  | https://github.com/time-rs/time/issues/293 | >=0.2.23
        RUSTSEC-2024-0375 [] high (news) | atty 0.2.14 | `atty` is unmaintained |  | https://rustsec.org/advisories/RUSTSEC-2024-0375.html | -
        yanked:x [] high (news) | x 1.0.0 | this version is yanked |  |  | -"#]].assert_eq(&listed(&cargo(report, "")));
    let down = cargo(
        "",
        "error: couldn't fetch advisory database: git operation failed",
    );
    assert!(matches!(down, Answer::NoAnswer(_)));
    assert!(matches!(cargo("{}", ""), Answer::NoAnswer(_)));
}

/// What the readers make of what real package managers printed.
#[test]
fn what_real_package_managers_printed() {
    let mut told = String::new();
    for section in include_str!("captured-managers.txt").split("=== ").skip(1) {
        let (title, rest) = section.split_once("\n--- stdout\n").expect("a title");
        let (stdout, stderr) = rest.split_once("--- stderr\n").expect("two streams");
        let answer = match title.split(':').next() {
            Some("pnpm 12.21.0") => pnpm(stdout, stderr),
            Some("yarn 1.22.22") => yarn_classic(stdout, stderr),
            Some("yarn 4.18.1") => yarn_berry(stdout, stderr, title.ends_with("clean")),
            Some("bun 1.4.5") => bun(stdout, stderr),
            other => panic!("no reader for {other:?}"),
        };
        let answer = match answer {
            Answer::Advisories(ref known) if known.is_empty() => "nothing known".to_owned(),
            Answer::Advisories(_) => format!("advisories: {}", listed(&answer)),
            Answer::NoAnswer(why) => format!("no answer: {why}"),
            Answer::Refused(why) => format!("refused: {why}"),
        };
        told.push_str(&format!("{title}: {answer}\n"));
    }
    expect_test::expect_file!["captured-managers.expected.txt"].assert_eq(&told);
}

fn date(text: &str) -> Date {
    Date::parse(text).expect("a date")
}

fn except(id: &str, until: &str) -> AuditException {
    AuditException {
        id: id.to_owned(),
        reason: "not reachable".to_owned(),
        until: date(until),
        at: Place { line: 40, col: 1 },
    }
}

fn judged(policy: &Audit, answer: &Answer) -> (Judgement, String) {
    let judgement = judge(
        policy,
        answer,
        date("2027-02-01"),
        (Path::new("package-lock.json"), LOCK),
    );
    let lines: Vec<String> = judgement.findings.iter().map(ToString::to_string).collect();
    (judgement, lines.join("\n"))
}

#[test]
fn the_threshold_and_exceptions_decide() {
    let answer = npm(NPM, "", Some(LOCK));
    let (judgement, text) = judged(&Audit::default(), &answer);
    assert!(judgement.failed());
    expect![[r#"
        package-lock.json:6: error GHSA-aaaa-bbbb-cccc: critical: Prototype Pollution in parser (parser <1.0.1)
            via main-worker > web > parser
            fix: npm audit fix
            https://github.com/advisories/GHSA-aaaa-bbbb-cccc
        package-lock.json:7: warning GHSA-dddd-eeee-ffff: moderate: ReDoS in toolbox (toolbox *)
            https://github.com/advisories/GHSA-dddd-eeee-ffff"#]].assert_eq(&text);

    let mut policy = Audit {
        level: AuditLevel::Moderate,
        ..Audit::default()
    };
    policy.except = vec![
        except("ghsa-aaaa-bbbb-cccc", "2027-02-01"),
        except("1102", "2027-01-31"),
        except("GHSA-none", "2027-12-31"),
    ];
    let (judgement, text) = judged(&policy, &answer);
    expect![[r#"
        package-lock.json:7: error GHSA-dddd-eeee-ffff: moderate: ReDoS in toolbox (toolbox *)
            https://github.com/advisories/GHSA-dddd-eeee-ffff
            its exception in pipeline.toml:40 ended on 2027-01-31 (not reachable)
        package-lock.json:6: notice GHSA-aaaa-bbbb-cccc: critical: Prototype Pollution in parser (parser <1.0.1)
            via main-worker > web > parser
            fix: npm audit fix
            https://github.com/advisories/GHSA-aaaa-bbbb-cccc
            tolerated until 2027-02-01: not reachable"#]].assert_eq(&text);
    let idle = idle_exceptions(&policy, &judgement.used, date("2027-02-01"));
    let idle: Vec<String> = idle.iter().map(ToString::to_string).collect();
    expect![[r#"
        pipeline.toml:40:1: warning: the audit exception for 1102 ended on 2027-01-31; update the package, or justify a later day
        pipeline.toml:40:1: warning: the audit exception for GHSA-none is about nothing that was found; remove it"#]].assert_eq(&idle.join("\n"));

    policy.level = AuditLevel::Critical;
    assert!(!judged(&policy, &answer).0.failed());
}

#[test]
fn silence_is_a_warning_or_a_failure_and_a_refusal_always_fails() {
    let silent = Answer::NoAnswer("connect ECONNREFUSED".to_owned());
    let (judgement, text) = judged(&Audit::default(), &silent);
    assert!(!judgement.failed());
    expect![[r#"
        package-lock.json: warning: the advisory service did not answer, so nothing is known about this lockfile
            connect ECONNREFUSED"#]].assert_eq(&text);
    let strict = Audit {
        offline: Offline::Fail,
        ..Audit::default()
    };
    assert!(judged(&strict, &silent).0.failed());
    let refused = Answer::Refused("no lockfile".to_owned());
    assert!(judged(&Audit::default(), &refused).0.failed());
}

#[test]
fn lines_of_every_kind_of_lockfile() {
    for (lockfile, expected) in [
        ("{\n  \"node_modules/a/node_modules/parser\": {", Some(2)),
        ("packages:\n\n  parser@1.0.0:\n", Some(3)),
        ("packages:\n  /parser@1.0.0:\n", Some(2)),
        ("# yarn\nparser@^1.0.0:\n", Some(2)),
        ("\"parser@npm:1\":\n", Some(1)),
        ("{\n\"parser\": [\"parser@1\"]", Some(2)),
        ("[[package]]\nname = \"parser\"\n", Some(2)),
        ("\"node_modules/parser2\": {", None),
    ] {
        assert_eq!(line_of(lockfile, "parser"), expected, "{lockfile}");
    }
}
