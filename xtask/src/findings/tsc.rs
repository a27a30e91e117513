//! What the TypeScript compiler printed, as findings. Knows both of its layouts: `--pretty false`, and the one for
//! terminals, which a worker's own `check` script may force.

use super::{Base, Finding, Severity};
use crate::ui::clean_line;

/// The problems in the output of `tsc`. The same problem of two projects (`tsc -b`) is listed once.
pub fn parse(output: &str, base: Base<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    // True while indented lines belong to the last finding's message.
    let mut open = false;
    for line in output.lines().map(clean_line) {
        if let Some(finding) = headline(&line, base) {
            findings.push(finding);
            open = true;
        } else if open && line.starts_with("  ") && !line.trim().is_empty() {
            if let Some(last) = findings.last_mut() {
                last.message.push('\n');
                last.message.push_str(line.trim_end());
            }
        } else {
            open = false;
        }
    }
    let mut unique: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        if !unique.contains(&finding) {
            unique.push(finding);
        }
    }
    unique
}

fn headline(line: &str, base: Base<'_>) -> Option<Finding> {
    for severity in [Severity::Error, Severity::Warning] {
        let mark = format!("{} TS", severity.word());
        // `src/a.ts(12,3): error TS2322: …`, `src/a.ts:12:3 - error TS2322: …` and `error TS5058: …`.
        for before in ["): ", " - ", ""] {
            let whole = format!("{before}{mark}");
            let Some((place, rest)) = line.split_once(&whole) else {
                continue;
            };
            let Some((number, message)) = rest.split_once(": ") else {
                continue;
            };
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            let finding = Finding::new(severity, message.trim_end()).rule(format!("TS{number}"));
            match (before, place) {
                ("", "") => return Some(finding),
                ("", _) => continue,
                _ => {}
            }
            let separators = if before == "): " {
                ['(', ',']
            } else {
                [':', ':']
            };
            if let Some((path, line, col)) = split_place(place, separators) {
                return Some(finding.in_file(base.relative(path)).at(line, col));
            }
        }
    }
    None
}

/// `src/odd (1).ts(12,3` and `src/a.ts:12:3`, from the right: a path may hold the separators too.
fn split_place(text: &str, [before_line, before_col]: [char; 2]) -> Option<(&str, u32, u32)> {
    let (rest, col) = text.rsplit_once(before_col)?;
    let (path, line) = rest.rsplit_once(before_line)?;
    Some((path, line.parse().ok()?, col.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use expect_test::{Expect, expect};

    use super::*;

    fn base() -> Base<'static> {
        Base {
            root: Path::new("/repo"),
            cwd: Path::new("/repo/workers/main"),
        }
    }

    fn check(output: &str, expected: Expect) {
        let lines: Vec<String> = parse(output, base())
            .iter()
            .map(ToString::to_string)
            .collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn the_plain_layout_with_continued_messages_and_odd_paths() {
        check(
            "\
src/a.ts(1,7): error TS2322: Type 'number' is not assignable to type 'string'.
src/a.ts(4,7): error TS2322: Type '{ a: { b: { c: number; }; }; }' is not assignable to type 'A'.
  The types of 'a.b.c' are incompatible between these types.
    Type 'number' is not assignable to type 'string'.
src/a.ts(7,3): error TS2769: No overload matches this call.
  Overload 1 of 2, '(a: string): void', gave the following error.
    Argument of type 'boolean' is not assignable to parameter of type 'string'.
src/odd (name), é.ts(3,11): error TS1109: Expression expected.
../shared/x.ts(2,1): error TS6133: 'a' is declared but its value is never read.
",
            expect![[r#"
                workers/main/src/a.ts:1:7: error TS2322: Type 'number' is not assignable to type 'string'.
                workers/main/src/a.ts:4:7: error TS2322: Type '{ a: { b: { c: number; }; }; }' is not assignable to type 'A'.
                      The types of 'a.b.c' are incompatible between these types.
                        Type 'number' is not assignable to type 'string'.
                workers/main/src/a.ts:7:3: error TS2769: No overload matches this call.
                      Overload 1 of 2, '(a: string): void', gave the following error.
                        Argument of type 'boolean' is not assignable to parameter of type 'string'.
                workers/main/src/odd (name), é.ts:3:11: error TS1109: Expression expected.
                workers/shared/x.ts:2:1: error TS6133: 'a' is declared but its value is never read."#]],
        );
    }

    #[test]
    fn the_layout_for_terminals() {
        check(
            "\u{1b}[96msrc/odd (name), é.ts\u{1b}[0m:\u{1b}[93m3\u{1b}[0m:\u{1b}[93m11\u{1b}[0m - \u{1b}[91merror\u{1b}[0m\u{1b}[90m TS1109: \u{1b}[0mExpression expected.\r\n\r\n\u{1b}[7m3\u{1b}[0m const c = ;\r\n\u{1b}[7m \u{1b}[0m \u{1b}[91m          ~\u{1b}[0m\r\n\r\n\r\nFound 1 error in src/odd (name), é.ts\u{1b}[90m:3\u{1b}[0m\r\n",
            expect![["workers/main/src/odd (name), é.ts:3:11: error TS1109: Expression expected."]],
        );
    }

    #[test]
    fn errors_of_the_project_itself() {
        check(
            "\
error TS5058: The specified path does not exist: '/repo/nope.json'.
error TS5023: Unknown compiler option '--bogus'.
bad.json(1,30): error TS5024: Compiler option 'strict' requires a value of type boolean.
error TS18003: No inputs were found in config file '/repo/tsconfig.json'. Specified 'include' paths were '[\"src\"]' and 'exclude' paths were '[]'.
",
            expect![[r#"
                error TS5058: The specified path does not exist: '/repo/nope.json'.
                error TS5023: Unknown compiler option '--bogus'.
                workers/main/bad.json:1:30: error TS5024: Compiler option 'strict' requires a value of type boolean.
                error TS18003: No inputs were found in config file '/repo/tsconfig.json'. Specified 'include' paths were '["src"]' and 'exclude' paths were '[]'."#]],
        );
    }

    #[test]
    fn other_text_is_no_finding_and_repeats_count_once() {
        check(
            "Version 7.0.2\n> tsc --noEmit\nsee error TS2322: it\n  indented\na.ts(1,1): error TS1: x\na.ts(1,1): error TS1: x\n\n  not part of it\n",
            expect![["workers/main/a.ts:1:1: error TS1: x"]],
        );
    }
}
