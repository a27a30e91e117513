//! Rules about the shell lines of workflows: they call one verb, with flags it has, and hide no failure.

use std::path::Path;

use super::Repo;

/// A shell trick by which a failure looks like success, and why it is one.
const TRICKS: [(&str, &str); 7] = [
    ("|| true", "the failure is thrown away"),
    ("|| :", "the failure is thrown away"),
    ("|| echo", "the failure becomes a line of text"),
    ("|| exit 0", "the failure becomes a success"),
    ("; true", "the result is that of `true`"),
    ("; exit 0", "the result is always success"),
    ("set +e", "the shell goes on after a failure"),
];

/// The tricks in a script: each with the number of its line in the script, from 0.
pub(super) fn tricks(script: &str) -> Vec<(usize, &'static str, &'static str)> {
    let mut found = Vec::new();
    for (index, line) in script.lines().enumerate() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        for (trick, why) in TRICKS {
            if line.contains(trick) || line.contains(&trick.replacen(' ', "", 1)) && trick != "|| :"
            {
                found.push((index, trick, why));
            }
        }
        // The status of a substitution is lost when it is only a part of another command's arguments.
        let words = ["echo ", "printf ", "export ", "local "];
        if words.iter().any(|word| line.starts_with(word)) && line.contains("$(") {
            found.push((
                index,
                "$( )",
                "a failure inside the command substitution is lost: give it a line of its own, `name=$(…)`",
            ));
        }
    }
    found
}

/// One `cargo xtask …` of a script.
pub(super) struct Call {
    /// The verb; empty when there is none.
    pub(super) verb: String,
    /// What is wrong with it.
    pub(super) wrong: Option<String>,
}

/// The calls of xtask in a script.
pub(super) fn calls(script: &str, repo: &Repo) -> Vec<Call> {
    script
        .match_indices("cargo xtask")
        .map(|(at, found)| {
            let line = script[at + found.len()..]
                .lines()
                .next()
                .unwrap_or_default();
            let end = line.find(['|', ';', '&', '>', ')']).unwrap_or(line.len());
            call(&line[..end], repo)
        })
        .collect()
}

/// How many scripts of the repo a script starts: what a patrol may do beside the verbs, such as running every test.
pub(super) fn own(script: &str, repo: &Repo) -> usize {
    let starts = |line: &&str| {
        let program = line.split_whitespace().next().unwrap_or_default();
        program.starts_with("scripts/") && repo.files.contains_key(Path::new(program))
    };
    script.lines().filter(starts).count()
}

fn call(arguments: &str, repo: &Repo) -> Call {
    // `${CANARY:+--canary "$CANARY"}` stands for words, as far as flags are concerned.
    let plain = arguments.replace([':', '+', '{', '}', '$', '"'], " ");
    let mut words = plain.split_whitespace();
    let verb = words.next().unwrap_or_default().to_owned();
    let Some(flags) = repo.verbs.get(&verb) else {
        let known: Vec<&str> = repo.verbs.keys().map(String::as_str).collect();
        return Call {
            wrong: Some(format!(
                "xtask has no verb `{verb}`; it has {}",
                known.join(", ")
            )),
            verb,
        };
    };
    let unknown = words
        .filter_map(|word| word.strip_prefix("--"))
        .map(|flag| flag.split('=').next().unwrap_or(flag))
        .find(|flag| !flags.contains(*flag));
    Call {
        wrong: unknown.map(|flag| format!("`cargo xtask {verb}` has no flag `--{flag}`")),
        verb,
    }
}
