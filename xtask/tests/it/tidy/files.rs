//! The rules about sources, documents, `pipeline.toml`, and what no file may name.

use expect_test::expect;
use xtask::stages::tidy::check;

use crate::tidy::world::{expect_problems, repo};

#[test]
fn sources_are_short_and_say_what_they_are_for() {
    let long = format!("//! Long.\n{}", "// a line\n".repeat(400));
    expect_problems(
        &[
            ("xtask/src/long.rs", &long),
            ("xtask/src/mute.rs", "mod long;\n"),
        ],
        expect![[r#"
            xtask/src/long.rs:401: error: has 401 lines, of at most 400
                fix: split it where it does two things; else give a reason in `LONG` in xtask/src/stages/tidy/sources.rs
            xtask/src/mute.rs:1: error: does not say what it is for
                fix: open the file with `//!`: its job, and what it must not know"#]],
    );
    expect_problems(
        &[("xtask/src/tools/http.rs", "//! Short now.\n")],
        expect![[r#"
            xtask/src/tools/http.rs: error: has at most 400 lines, and is still listed as too long
                fix: take it off `LONG` in xtask/src/stages/tidy/sources.rs"#]],
    );
}

#[test]
fn dependencies_have_a_reason() {
    let text = "[package]\nname = \"x\"\n\n[dependencies]\n# Both: the web.\na = \"1\"\nb = \"1\"\n\nc = { version = \"1\" }\nserde.workspace = true\n[dev-dependencies]\nd = \"1\" # tests\ne = \"1\"\n";
    expect_problems(
        &[("xtask/Cargo.toml", text)],
        expect![[r#"
        xtask/Cargo.toml:9: error: the dependency `c` has no reason
            fix: say in a comment why it is worth its compile time
        xtask/Cargo.toml:10: error: the dependency `serde` has no reason
            fix: say in a comment why it is worth its compile time
        xtask/Cargo.toml:13: error: the dependency `e` has no reason
            fix: say in a comment why it is worth its compile time"#]],
    );
}

#[test]
fn every_verb_is_documented() {
    expect_problems(
        &[(
            "README.md",
            "`cargo xtask circus` and `cargo xtask deploy`\n",
        )],
        expect![[r#"
            README.md: error: the verb `ci` is documented nowhere
                fix: say in README.md or below docs/ what `cargo xtask ci` does and when to use it
            README.md: error: the verb `cleanup` is documented nowhere
                fix: say in README.md or below docs/ what `cargo xtask cleanup` does and when to use it
            README.md: error: the verb `preview` is documented nowhere
                fix: say in README.md or below docs/ what `cargo xtask preview` does and when to use it"#]],
    );
}

#[test]
fn pipeline_toml_is_sound() {
    expect_problems(
        &[(
            "pipeline.toml",
            "[workers.w]\npath = \"w\"\nsecrets = [\"KEY\"]\nsecret = 1\n",
        )],
        expect![[r#"
            pipeline.toml:4: error: unknown key `workers.w.secret`
                fix: did you mean `secrets`?"#]],
    );
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    // Put together here, so that this file keeps the rule.
    let (folder, host) = (
        ["/ho", "me/ann"].concat(),
        ["registry.np", "mjs.org"].concat(),
    );
    let text = format!("first\nsee {folder}/notes and https://{host}/x\n");
    let root = tempfile::tempdir().expect("a temporary folder");
    let found = check(&repo(root.path(), &[("docs/notes.md", &text)]));
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    let shown = shown
        .join("\n")
        .replace(&folder, "FOLDER")
        .replace(&host, "HOST");
    expect![[r#"
        docs/notes.md:2: error: names the package registry HOST
            fix: leave it to the user's own settings: a mirror must do as well
        docs/notes.md:2: error: names a folder of somebody's machine: FOLDER
            fix: make it relative to the repo, or ask for a temporary folder"#]]
    .assert_eq(&shown);
}
