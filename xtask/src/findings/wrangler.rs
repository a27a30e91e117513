//! What wrangler printed about a config or a bundle, as findings: its own error blocks and those of esbuild inside them.

use std::path::PathBuf;

use super::{Base, Finding, Severity};
use crate::ui::clean_line;

/// The problems in wrangler's output. `config` is the text of the worker's wrangler config, in which fields that
/// wrangler only names are looked up.
pub fn parse(output: &str, base: Base<'_>, config: Option<&str>) -> Vec<Finding> {
    let lines: Vec<String> = output.lines().map(clean_line).collect();
    let mut findings = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some((severity, text)) = headline(line) else {
            continue;
        };
        let rest = &lines[index + 1..];
        let end = rest.iter().position(|line| ends_block(line));
        let body = &rest[..end.unwrap_or(rest.len())];
        if let Some(file) = config_of(text) {
            findings.extend(config_findings(
                severity,
                &base.relative(file),
                body,
                config,
            ));
        } else if !is_summary(text) {
            findings.push(block_finding(severity, text, body, base));
        }
    }
    findings
}

/// `✘ [ERROR] text` and `▲ [WARNING] text`, at any depth.
fn headline(line: &str) -> Option<(Severity, &str)> {
    let line = line.trim_start();
    let marks = [
        ("✘ [ERROR] ", Severity::Error),
        ("▲ [WARNING] ", Severity::Warning),
    ];
    marks
        .into_iter()
        .find_map(|(mark, severity)| Some((severity, line.strip_prefix(mark)?.trim())))
}

fn ends_block(line: &str) -> bool {
    headline(line).is_some() || line.starts_with("🪵")
}

/// `Build failed with 2 errors:` only announces what follows.
fn is_summary(text: &str) -> bool {
    text.starts_with("Build failed with ") && text.ends_with(':')
}

/// `Processing wrangler.jsonc configuration:` is followed by one list item per problem.
fn config_of(text: &str) -> Option<&str> {
    text.strip_prefix("Processing ")?
        .strip_suffix(" configuration:")
}

fn config_findings(
    severity: Severity,
    file: &PathBuf,
    body: &[String],
    config: Option<&str>,
) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for line in body {
        let text = line.trim();
        if let Some(item) = text.strip_prefix("- ") {
            findings.push(Finding::new(severity, item).in_file(file));
        } else if let Some(last) = findings.last_mut().filter(|_| line.starts_with("    ")) {
            last.message.push('\n');
            last.message.push_str(text);
        }
    }
    for finding in &mut findings {
        let place = config.and_then(|config| place_of_field(config, finding.headline()));
        if let Some((line, col)) = place {
            *finding = finding.clone().at(line, col);
        }
        finding.message = finding.message.trim_end().to_owned();
    }
    findings
}

/// The first field that the message names in quotes and the config holds as a key.
fn place_of_field(config: &str, message: &str) -> Option<(u32, u32)> {
    let named = message.split('"').skip(1).step_by(2);
    named
        .filter_map(|name| name.rsplit('.').next())
        .find_map(|name| {
            let name = name.split('[').next().unwrap_or(name);
            config.lines().zip(1..).find_map(|(line, number)| {
                let col = key_column(line, name)?;
                Some((number, u32::try_from(col).ok()?))
            })
        })
}

/// Where the config holds a value that the message quotes, such as the `main` that is not there.
pub fn place_of_value(config: &str, message: &str) -> Option<(u32, u32)> {
    let quoted = message.split('"').skip(1).step_by(2);
    let values = quoted.filter(|value| !value.is_empty());
    values
        .filter_map(|value| place_of_quoted(config, value))
        .next()
}

fn place_of_quoted(config: &str, value: &str) -> Option<(u32, u32)> {
    config.lines().zip(1..).find_map(|(line, number)| {
        let start = ['"', '\'']
            .iter()
            .find_map(|quote| line.find(&format!("{quote}{value}{quote}")))?;
        let col = line[..start].chars().count() + 1;
        Some((number, u32::try_from(col).ok()?))
    })
}

/// The column of `name = …`, `[name]`, `[[name]]` or `"name": …` in a line.
fn key_column(line: &str, name: &str) -> Option<usize> {
    if name.is_empty() {
        return None;
    }
    line.match_indices(name).find_map(|(start, _)| {
        let before = line[..start].trim_end_matches('"');
        let after = line[start + name.len()..]
            .trim_start_matches('"')
            .trim_start();
        let is_key = after.starts_with([':', '=', ']']);
        let begins = before.is_empty() || before.ends_with([' ', '\t', '{', ',', '[', '.']);
        (is_key && begins).then(|| line[..start].chars().count() + 1)
    })
}

/// A block's finding: the first place in it, or else its first paragraph as details.
fn block_finding(severity: Severity, text: &str, body: &[String], base: Base<'_>) -> Finding {
    let finding = Finding::new(severity, text);
    if let Some((path, line, col)) = body.iter().find_map(|line| place(line)) {
        // esbuild counts columns from 0.
        return finding.in_file(base.relative(path)).at(line, col + 1);
    }
    // `Types at worker-configuration.d.ts are out of date.`
    let types = text.strip_prefix("Types at ");
    let finding = match types.and_then(|rest| rest.split(' ').next()) {
        Some(path) => finding.in_file(base.relative(path)),
        None => finding,
    };
    let details = body.iter().map(|line| line.trim());
    let details = details.skip_while(|line| line.is_empty());
    let mut message = text.to_owned();
    for line in details.take_while(|line| !line.is_empty()) {
        if line.starts_with("If you think this is a bug") {
            break;
        }
        message.push('\n');
        message.push_str(line);
    }
    Finding { message, ..finding }
}

/// `    src/index.ts:3:10:`
fn place(line: &str) -> Option<(&str, u32, u32)> {
    let mut parts = line.trim().strip_suffix(':')?.rsplitn(3, ':');
    let (col, row, path) = (parts.next()?, parts.next()?, parts.next()?);
    Some((path, row.parse().ok()?, col.parse().ok()?)).filter(|_| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use expect_test::{Expect, expect};

    use super::*;

    fn check(output: &str, config: Option<&str>, expected: Expect) {
        let base = Base {
            root: Path::new("/repo"),
            cwd: Path::new("/repo/w"),
        };
        let findings = parse(output, base, config);
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn values_that_a_message_quotes_are_found() {
        let config = "{\n  \"name\": \"x\",\n  \"main\": \"src/missing.ts\"\n}\n";
        let message = "The expected output file at \"src/missing.ts\" was not found";
        assert_eq!(place_of_value(config, message), Some((3, 11)));
        let toml = "main = 'src/missing.ts'\n";
        assert_eq!(place_of_value(toml, message), Some((1, 8)));
        assert_eq!(place_of_value(config, "no quotes"), None);
        assert_eq!(place_of_value(config, "\"src/other.ts\" is gone"), None);
    }

    #[test]
    fn types_that_are_out_of_date_are_a_problem_of_their_file() {
        check(
            "✘ [ERROR] Types at worker-configuration.d.ts are out of date. Run `wrangler types` to regenerate.\n",
            None,
            expect![[
                r#"w/worker-configuration.d.ts: error: Types at worker-configuration.d.ts are out of date. Run `wrangler types` to regenerate."#
            ]],
        );
    }

    #[test]
    fn errors_of_the_bundler() {
        check(
            "
 ⛅️ wrangler 4.155.0
───────────────────────────────────────────────

\u{1b}[31m✘ \u{1b}[41;31m[\u{1b}[41;97mERROR\u{1b}[41;31m]\u{1b}[0m \u{1b}[1mBuild failed with 2 errors:\u{1b}[0m

  \u{1b}[31m✘ \u{1b}[41;31m[\u{1b}[41;97mERROR\u{1b}[41;31m]\u{1b}[0m \u{1b}[1mCould not resolve \"./nowhere\"\u{1b}[0m
  
      src/index.ts:1:14:
  \u{1b}[37m      1 │ import x from \u{1b}[32m\"./nowhere\"\u{1b}[37m;
          ╵               \u{1b}[32m~~~~~~~~~~~\u{1b}[0m
  
  
  \u{1b}[31m✘ \u{1b}[41;31m[\u{1b}[41;97mERROR\u{1b}[41;31m]\u{1b}[0m \u{1b}[1mThe symbol \"z\" has already been declared\u{1b}[0m
  
      src/index.ts:1:78:
  \u{1b}[37m      1 │ ...; let \u{1b}[32mz\u{1b}[37m = Foo;
          ╵          \u{1b}[32m^\u{1b}[0m
  
    The symbol \"z\" was originally declared here:
  
      src/index.ts:1:71:
  


🪵  Logs were written to \"/logs/wrangler.log\"
",
            None,
            expect![[r#"
                w/src/index.ts:1:15: error: Could not resolve "./nowhere"
                w/src/index.ts:1:79: error: The symbol "z" has already been declared"#]],
        );
    }

    #[test]
    fn mistakes_in_the_config_are_looked_up_in_it() {
        check(
            "
\u{1b}[33m▲ \u{1b}[43;33m[\u{1b}[43;30mWARNING\u{1b}[43;33m]\u{1b}[0m \u{1b}[1mProcessing wrangler.jsonc configuration:\u{1b}[0m

    - Unexpected fields found in kv_namespaces[0] field: \"bindin\"
    - Unexpected fields found in top-level field: \"foo\"


There is a newer version of Wrangler available. Try upgrading, as it might support this configuration option.

\u{1b}[31m✘ \u{1b}[41;31m[\u{1b}[41;97mERROR\u{1b}[41;31m]\u{1b}[0m \u{1b}[1mProcessing wrangler.jsonc configuration:\u{1b}[0m

    - Expected \"routes\" to be an array of either strings or objects, but these weren't valid: [
        1
      ].
    - The field \"vars\" should be an object but got 3.
  
    - \"kv_namespaces[0]\" bindings should have a string \"binding\" field but got {\"bindin\":\"A\"}.


🪵  Logs were written to \"/logs/wrangler.log\"
",
            Some("{\n  \"name\": \"x\", \"foo\": 1,\n  \"kv_namespaces\": [{ \"bindin\": \"A\" }],\n  \"vars\": 3,\n  \"routes\": [1]\n}"),
            expect![[r#"
                w/wrangler.jsonc:3:24: warning: Unexpected fields found in kv_namespaces[0] field: "bindin"
                w/wrangler.jsonc:2:17: warning: Unexpected fields found in top-level field: "foo"
                w/wrangler.jsonc:5:4: error: Expected "routes" to be an array of either strings or objects, but these weren't valid: [
                    1
                    ].
                w/wrangler.jsonc:4:4: error: The field "vars" should be an object but got 3.
                w/wrangler.jsonc:3:4: error: "kv_namespaces[0]" bindings should have a string "binding" field but got {"bindin":"A"}."#]],
        );
    }

    #[test]
    fn a_config_that_is_no_json_or_toml() {
        check(
            "\u{1b}[31m✘ \u{1b}[41;31m[\u{1b}[41;97mERROR\u{1b}[41;31m]\u{1b}[0m \u{1b}[1mColonExpected\u{1b}[0m\n\n    /repo/w/wrangler.jsonc:2:8:\n\u{1b}[37m      2 │  \"main\" \u{1b}[32m\"a\"\u{1b}[37m}\n        ╵         \u{1b}[32m~~~\u{1b}[0m\n\n  \n  If you think this is a bug, please open an issue at: https://example.com\n",
            None,
            expect![["w/wrangler.jsonc:2:9: error: ColonExpected"]],
        );
    }

    #[test]
    fn an_error_without_a_place_keeps_its_first_paragraph() {
        check(
            "✘ [ERROR] Missing entry-point to Worker script or to assets directory\n\n  \n  If there is code to deploy, you can either:\n  - Specify an entry-point in your config file\n\n  More text\n",
            None,
            expect![[r#"
                error: Missing entry-point to Worker script or to assets directory
                    If there is code to deploy, you can either:
                    - Specify an entry-point in your config file"#]],
        );
        check(
            "Total Upload: 1.2 KiB / gzip: 0.5 KiB\n--dry-run: exiting now.\n",
            None,
            expect![[""]],
        );
    }
}
