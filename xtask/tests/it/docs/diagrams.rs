//! The Mermaid diagrams in the documents are what the program draws for a copy of this repo on an empty local cloud.
//! `UPDATE_EXPECT=1` draws them anew.

use super::*;
use crate::support::{World, repo};

const BEGIN: &str = "<!-- Drawn by: cargo xtask ";

#[test]
fn the_diagrams_are_what_the_program_draws() {
    let mut world = World::kiamichi();
    // Without a cloud to ask, a first release is planned.
    world.stop_cloud();
    let mut count = 0;
    for (path, text) in documents() {
        let mut drawn = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once(BEGIN) {
            let (command, after) = after
                .split_once(" -->\n```mermaid\n")
                .unwrap_or_else(|| panic!("{}: no ```mermaid behind `{BEGIN}`", path.display()));
            let (_, after) = after.split_once("```\n").expect("the block ends");
            let words: Vec<&str> = command.split(' ').collect();
            let run = world.start(&words).end().exits(0);
            drawn.push_str(&format!(
                "{before}{BEGIN}{command} -->\n```mermaid\n{}```\n",
                run.stdout
            ));
            rest = after;
            count += 1;
        }
        drawn.push_str(rest);
        expect_test::expect_file![&path].assert_eq(&drawn);
    }
    assert!(count > 1, "only {count} diagrams were found");
}

/// Without a cloud to ask, all of them plan as for a first release.
#[test]
fn every_verb_that_works_in_steps_draws_them_and_writes_nothing() {
    let mut files = repo::small_set();
    files.push(("package.json", "{ \"name\": \"small\" }\n"));
    files.push(("package-lock.json", "{}\n"));
    let world = World::without_cloud(&files);
    let before = world.files();
    let drawn = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        let run = world.start(&[&words[..], &["--format", "mermaid"]].concat());
        run.end()
    };
    for words in [
        "ci",
        "install",
        "deploy",
        "migrate",
        "preview --pr 7",
        "tidy",
    ] {
        let run = drawn(words).exits(0);
        let steps = run.stdout.starts_with("flowchart LR\n  subgraph g0[\"");
        assert!(steps, "{run}");
    }
    // Nothing is live: there is nothing to delete, and nothing that could get other secrets.
    for words in ["cleanup --pr 7", "secrets sync"] {
        let run = drawn(words).exits(0);
        assert!(run.stdout.starts_with("flowchart LR\n  nothing("), "{run}");
    }
    for words in [
        "status",
        "doctor",
        "crons",
        "ci --matrix",
        "rollback --list",
    ] {
        let run = drawn(words).exits(2);
        let verb = words.split(' ').next().unwrap_or_default();
        let said = run.error().replace(verb, "VERB");
        expect_test::expect![[r#"
            error: `VERB` has no plan to draw here
              why: only what runs in steps is planned first
              fix: cargo xtask deploy --format mermaid"#]]
        .assert_eq(&said);
    }
    assert_eq!(world.files(), before);
}
