//! Plans as diagrams.

use expect_test::{Expect, expect};

use super::*;
use crate::plan::Action;

/// A plan of steps written `group/id <- need, need`.
fn plan(lines: &str) -> Plan {
    let mut plan = Plan::new("deploy");
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (step, needs) = line.split_once(" <- ").unwrap_or((line, ""));
        let (group, id) = step.split_once('/').expect("group/id");
        let needs = needs.split(", ").filter(|need| !need.is_empty());
        let step = Step::new(group, id.trim_end_matches('!'), id, Action::Nothing).needs(needs);
        plan.push(match id.ends_with('!') {
            true => step.done("there already"),
            false => step,
        });
    }
    plan
}

#[track_caller]
fn check(lines: &str, expected: Expect) {
    expected.assert_eq(&plan_mermaid(&plan(lines)));
}

#[test]
fn all_of_a_group_after_all_of_another_is_one_arrow() {
    check(
        "build/build a
         build/build b
         upload/upload a <- build a, build b
         upload/upload b! <- build a, build b
         stage/stage <- upload a, upload b, build a",
        expect![[r#"
            flowchart LR
              subgraph g0["build"]
                direction LR
                s0["build a"]
                s1["build b"]
              end
              subgraph g1["upload"]
                direction LR
                s2["upload a"]
                s3(["upload b"]):::done
              end
              subgraph g2["stage"]
                direction LR
                s4["stage"]
              end
              g0 --> g1
              g1 --> s4
              classDef done stroke-dasharray:4 3"#]],
    );
}

#[test]
fn what_a_step_waits_for_anyway_is_not_drawn() {
    check(
        "x/one
         x/two <- one
         y/three <- one, two",
        expect![[r#"
            flowchart LR
              subgraph g0["x"]
                direction LR
                s0["one"]
                s1["two"]
              end
              subgraph g1["y"]
                direction LR
                s2["three"]
              end
              s0 --> s1
              s1 --> s2"#]],
    );
}

#[test]
fn one_before_all_of_several_groups_has_an_arrow_to_each() {
    check(
        "x/install
         y/build a <- install
         y/build b <- install
         z/test a <- install
         z/test b <- install
         z/report <- test a, test b",
        expect![[r#"
            flowchart LR
              subgraph g0["x"]
                direction LR
                s0["install"]
              end
              subgraph g1["y"]
                direction LR
                s1["build a"]
                s2["build b"]
              end
              subgraph g2["z"]
                direction LR
                s3["test a"]
                s4["test b"]
                s5["report"]
              end
              s0 --> g1
              s0 --> g2
              s3 --> s5
              s4 --> s5"#]],
    );
}

#[test]
fn many_after_many_meet_in_a_point() {
    check(
        "x/a
         x/b
         x/c
         y/d <- a, b
         y/e <- a, b
         y/f <- c",
        expect![[r#"
            flowchart LR
              subgraph g0["x"]
                direction LR
                s0["a"]
                s1["b"]
                s2["c"]
              end
              subgraph g1["y"]
                direction LR
                s3["d"]
                s4["e"]
                s5["f"]
              end
              j0(( ))
              s0 --> j0
              s1 --> j0
              j0 --> s3
              j0 --> s4
              s2 --> s5"#]],
    );
}

#[test]
fn phases_follow_each_other() {
    let mut whole = plan("build/build a\nbuild/build b");
    whole.then(plan(""));
    whole.then(plan(
        "upload/create a\nupload/address a <- create a\nupload/create b",
    ));
    whole.then(plan("upload/upload a\nupload/upload b"));
    expect![[r#"
        flowchart LR
          subgraph g0["build"]
            direction LR
            s0["build a"]
            s1["build b"]
          end
          subgraph g1["upload"]
            direction LR
            s2["create a"]
            s3["address a"]
            s4["create b"]
            s5["upload a"]
            s6["upload b"]
          end
          g0 --> g1
          s2 --> s3
          j0(( ))
          s3 --> j0
          s4 --> j0
          j0 --> s5
          j0 --> s6"#]]
    .assert_eq(&plan_mermaid(&whole));
}

/// Had each step a list of all that is through before it, this would grow by the square.
#[test]
fn a_plan_of_thousands_is_drawn_as_one_of_few() {
    let mut whole = Plan::new("deploy");
    for phase in ["build", "upload", "stage", "smoke", "promote"] {
        let steps = (0..500)
            .map(|at| format!("{phase}/{phase} {at}\n{phase}/then {phase} {at} <- {phase} {at}"));
        whole.then(plan(&steps.collect::<Vec<_>>().join("\n")));
    }
    let drawn = plan_mermaid(&whole);
    let arrows: Vec<&str> = drawn.lines().filter(|line| line.contains("-->")).collect();
    assert_eq!(
        arrows.len(),
        5 * 500 + 4,
        "one for each pair, one between phases"
    );
    assert!(arrows.contains(&"  g3 --> g4"));
}

#[test]
fn no_text_is_anything_but_text() {
    check(
        "a \"quoted\" [group]/`1. \"x\"]; end --> <b>
         - list/1. first
         - list/- end",
        expect![[r#"
            flowchart LR
              subgraph g0["a quoted group"]
                direction LR
                s0["1 x end -- b"]
              end
              subgraph g1["list"]
                direction LR
                s1["1 first"]
                s2["end"]
              end"#]],
    );
    check(
        "",
        expect![[r#"
        flowchart LR
          nothing(["nothing to do"])"#]],
    );
}
