//! Scripts of package.json. A script is a shell program: it is run whole, as `npm run` runs it, with its `pre` and `post` scripts.
//! Only a chain of programs that check and write nothing is taken apart, so that one failure does not hide the next.

use crate::stages::ci::packages::Package;

/// A script's command line in parts that can be run, and judged, one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The commands that decide.
    pub commands: Vec<String>,
    /// What was left out because it would hide a failure: `|| true` and the like.
    pub left_out: Vec<String>,
}

/// The first of these scripts that a package has.
pub fn script(package: &Package, names: &[&str]) -> Parts {
    let find = |name: &str| package.scripts.get(name).map(String::as_str);
    let Some((name, line)) = names.iter().find_map(|name| Some((name, find(name)?))) else {
        return Parts::default();
    };
    let around = [find(&format!("pre{name}")), find(&format!("post{name}"))];
    if around == [None, None] {
        return parts(line);
    }
    // In a shell of its own each, as npm runs them: `cd` and `export` of one are not the other's.
    let [before, after] = around;
    let all = [before, Some(line), after].into_iter().flatten();
    let shells: Vec<String> = all.map(|line| format!("(\n{line}\n)")).collect();
    Parts {
        commands: vec![shells.join(" && ")],
        left_out: Vec::new(),
    }
}

/// Takes a chain of checks apart at `&&`; of `check || something` only the check counts: one that falls back to something else
/// cannot fail. Everything else is one command.
pub fn parts(script: &str) -> Parts {
    let whole = || Parts {
        commands: vec![script.trim().to_owned()],
        left_out: Vec::new(),
    };
    let mut parts = Parts::default();
    for (operator, command) in split(script) {
        let command = command.trim();
        if command.is_empty() || operator == ";" {
            return whole();
        }
        match operator == "||" {
            true => parts.left_out.push(command.to_owned()),
            false if only_checks(command) => parts.commands.push(command.to_owned()),
            false => return whole(),
        }
    }
    parts
}

/// The commands of a chain, in order, without what a failure falls back to.
pub fn chain(line: &str) -> Vec<String> {
    let commands = split(line)
        .into_iter()
        .filter(|(operator, _)| *operator != "||");
    let commands = commands.map(|(_, command)| command.trim().to_owned());
    commands.filter(|command| !command.is_empty()).collect()
}

/// True for a command of plain words only: no quotes, variables, redirects, pipes, groups or globs.
pub fn is_plain(command: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || " _./:@,=+-".contains(c);
    command.chars().all(plain)
}

/// True for a program that is known to check and to write nothing that another check reads.
fn only_checks(command: &str) -> bool {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    let rest: Vec<&str> = words.collect();
    let has = |flags: &[&str]| rest.iter().any(|word| flags.contains(word));
    if !is_plain(command) || program.contains('=') {
        return false;
    }
    match program {
        "tsc" => has(&["--noEmit"]) && !has(&["-b", "--build"]),
        "prettier" => has(&["--check", "-c", "--list-different", "-l"]) && !has(&["--write", "-w"]),
        "eslint" | "stylelint" | "oxlint" => !has(&["--fix", "-o", "--output-file"]),
        "biome" => !has(&[
            "--write", "--fix", "--apply", "--unsafe", "format", "migrate",
        ]),
        "vitest" => {
            rest.first() == Some(&"run") && !rest.iter().any(|word| word.starts_with("--output"))
        }
        _ => false,
    }
}

/// Each command with the operator before it. Pipes and background jobs stay within a command.
fn split(script: &str) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    let mut operator = "";
    let mut command = String::new();
    let mut quote: Option<char> = None;
    let mut depth = 0_usize;
    let mut rest = script.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => {
                command.push(character);
                command.extend(rest.next());
                continue;
            }
            '\'' | '"' | '`' if quote == Some(character) => quote = None,
            '\'' | '"' | '`' if quote.is_none() => quote = Some(character),
            '(' | '{' if quote.is_none() => depth += 1,
            ')' | '}' if quote.is_none() => depth = depth.saturating_sub(1),
            _ => {}
        }
        let next = if quote.is_none() && depth == 0 {
            match (character, rest.peek()) {
                ('&', Some('&')) => Some("&&"),
                ('|', Some('|')) => Some("||"),
                (';' | '\n', _) => Some(";"),
                _ => None,
            }
        } else {
            None
        };
        match next {
            Some(found) => {
                if found.len() == 2 {
                    rest.next();
                }
                all.push((operator, std::mem::take(&mut command)));
                operator = found;
            }
            None => command.push(character),
        }
    }
    all.push((operator, command));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(script: &str, expect: Expect) {
        let parts = parts(script);
        expect.assert_eq(&format!(
            "{} / {}",
            parts.commands.join(" # "),
            parts.left_out.join(" # ")
        ));
    }

    #[test]
    fn only_chains_of_checks_are_taken_apart() {
        check("tsc --noEmit", expect!["tsc --noEmit / "]);
        check(
            "prettier --check . && tsc --noEmit && eslint .",
            expect!["prettier --check . # tsc --noEmit # eslint . / "],
        );
        check(
            "tsc --noEmit || echo 'type check failed'",
            expect!["tsc --noEmit / echo 'type check failed'"],
        );
        check("vitest run || true", expect!["vitest run / true"]);
    }

    #[test]
    fn every_other_script_is_one_command() {
        for script in [
            "node gen.mjs && tsc --noEmit",
            "cd web && tsc --noEmit",
            "export STRICT=1 && node -e \"process.exit(process.env.STRICT?1:0)\"",
            "if [ -f x ]; then echo yes; fi",
            "tsc; exit 0",
            "set +e; tsc || echo a && vitest run",
            "node -e \"a && b || c\" && (x || y)",
            "vitest run 2>&1 | tee log",
            "tsc && vite build",
            "tsc -b --noEmit && eslint .",
            "prettier --write . && tsc --noEmit",
            "STRICT=1 tsc --noEmit && eslint .",
            "eslint --fix . && tsc --noEmit",
            "tsc --noEmit & vitest run",
            "! tsc --noEmit",
            "source env.sh && tsc --noEmit",
            "for f in a b; do tsc --noEmit; done",
            "(tsc --noEmit)",
            "tsc --noEmit -p $PROJECT && eslint .",
            "tsc --noEmit > log && eslint .",
        ] {
            let found = parts(script);
            assert_eq!(found.commands, [script], "{script}");
            assert!(found.left_out.is_empty(), "{script}");
        }
    }

    #[test]
    fn scripts_around_it_run_before_and_after() {
        let package = Package {
            scripts: [
                ("precheck", "cd a"),
                ("check", "tsc --noEmit"),
                ("postcheck", "b"),
            ]
            .map(|(name, line)| (name.to_owned(), line.to_owned()))
            .into(),
        };
        let found = script(&package, &["check", "typecheck"]);
        assert_eq!(
            found.commands,
            ["(\ncd a\n) && (\ntsc --noEmit\n) && (\nb\n)"]
        );
        assert_eq!(script(&package, &["lint"]), Parts::default());
    }
}
