//! What a file says it may do to data: `-- xtask: allow drop-column because nobody reads it since release 12`. Pure.

use super::tokens::{Token, tokens};

/// What a statement can do to data that only a person may want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// A table goes, with its rows.
    DropTable,
    /// A column goes, with its values.
    DropColumn,
    /// Rows of other tables go, or lose what they refer to, by `ON DELETE`.
    CascadeLoss,
    /// A table is made anew so that not all rows, or not all values, fit in.
    Narrowing,
    /// A column must be written from now on.
    NotNull,
    /// Every row is deleted.
    DeleteAll,
    /// A column is overwritten in every row.
    UpdateAll,
}

const RULES: [Rule; 7] = [
    Rule::DropTable,
    Rule::DropColumn,
    Rule::CascadeLoss,
    Rule::Narrowing,
    Rule::NotNull,
    Rule::DeleteAll,
    Rule::UpdateAll,
];

impl Rule {
    /// Its name in files and reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Rule::DropTable => "drop-table",
            Rule::DropColumn => "drop-column",
            Rule::CascadeLoss => "cascade-loss",
            Rule::Narrowing => "narrowing",
            Rule::NotNull => "not-null",
            Rule::DeleteAll => "delete-all",
            Rule::UpdateAll => "update-all",
        }
    }
}

/// One rule that a file allows itself to break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allow {
    /// Where it says so.
    pub(crate) line: u32,
    /// The rule.
    pub(crate) rule: Rule,
    /// Why.
    pub(crate) reason: String,
}

/// A comment that means to allow something and does not say it right: its line, and what is wrong.
pub(crate) type Mistake = (u32, String);

/// The allow comments of a file.
pub(crate) fn read(sql: &str) -> (Vec<Allow>, Vec<Mistake>) {
    let mut allows = Vec::new();
    let mut mistakes = Vec::new();
    for placed in tokens(sql) {
        let Token::Comment(text) = &placed.token else {
            continue;
        };
        let Some(text) = text.trim().strip_prefix("xtask:") else {
            continue;
        };
        match comment(text.trim()) {
            Ok((rules, reason)) => allows.extend(rules.into_iter().map(|rule| Allow {
                line: placed.line,
                rule,
                reason: reason.to_owned(),
            })),
            Err(mistake) => mistakes.push((placed.line, mistake)),
        }
    }
    (allows, mistakes)
}

fn comment(text: &str) -> Result<(Vec<Rule>, &str), String> {
    let Some(rest) = text.strip_prefix("allow ") else {
        let word = text.split_whitespace().next().unwrap_or_default();
        return Err(format!(
            "`xtask: {word}` means nothing; `-- xtask: allow RULE because REASON` does"
        ));
    };
    let (rules, reason) = match rest.split_once(" because ") {
        Some((rules, reason)) => (rules, reason.trim()),
        None => (rest.trim_end_matches(" because"), ""),
    };
    let rules: Vec<&str> = rules
        .split([',', ' '])
        .filter(|word| !word.is_empty())
        .collect();
    let mut found = Vec::new();
    for name in &rules {
        let Some(rule) = RULES.into_iter().find(|rule| rule.name() == *name) else {
            let known: Vec<&str> = RULES.iter().map(|rule| rule.name()).collect();
            return Err(format!(
                "there is no rule `{name}`; the rules are {}",
                known.join(", ")
            ));
        };
        found.push(rule);
    }
    if found.is_empty() || reason.is_empty() {
        return Err(format!(
            "no reason is given: `-- xtask: allow {} because …`",
            rules.first().unwrap_or(&"RULE")
        ));
    }
    Ok((found, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(sql: &str, expected: Expect) {
        let (allows, mistakes) = read(sql);
        let allows = allows
            .iter()
            .map(|allow| format!("{}: {} {}", allow.line, allow.rule.name(), allow.reason));
        let mistakes = mistakes
            .iter()
            .map(|(line, text)| format!("{line}: MISTAKE {text}"));
        let lines: Vec<String> = allows.chain(mistakes).collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn a_comment_names_rules_and_a_reason() {
        check(
            "SELECT 1;\n-- xtask: allow drop-table because it was a test, because of me\n\
             --xtask: allow drop-column, not-null because both\n-- a comment\n/* xtask: allow x */",
            expect![[r#"
                2: drop-table it was a test, because of me
                3: drop-column both
                3: not-null both"#]],
        );
        // Only a comment is one.
        check(
            "SELECT '\n-- xtask: allow drop-table because text'",
            expect![""],
        );
    }

    #[test]
    fn a_comment_that_does_not_say_it_right_is_a_mistake() {
        check(
            "-- xtask: allow drop-table\n-- xtask: allow drop-table because \n-- xtask: allow\n\
             -- xtask: alow drop-table because x\n-- xtask: allow drop because x\n-- xtask: allow because x",
            expect![[r#"
                1: MISTAKE no reason is given: `-- xtask: allow drop-table because …`
                2: MISTAKE no reason is given: `-- xtask: allow drop-table because …`
                3: MISTAKE `xtask: allow` means nothing; `-- xtask: allow RULE because REASON` does
                4: MISTAKE `xtask: alow` means nothing; `-- xtask: allow RULE because REASON` does
                5: MISTAKE there is no rule `drop`; the rules are drop-table, drop-column, cascade-loss, narrowing, not-null, delete-all, update-all
                6: MISTAKE there is no rule `because`; the rules are drop-table, drop-column, cascade-loss, narrowing, not-null, delete-all, update-all"#]],
        );
    }
}
