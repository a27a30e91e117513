//! The Mermaid diagrams in the documents are what the program draws for a copy of this repo on an empty local cloud.
//! `UPDATE_EXPECT=1` draws them anew.

use super::support::World;
use super::*;

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
