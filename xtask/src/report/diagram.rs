//! A plan as a Mermaid flowchart: a box per group, an arrow per "waits for". Arrows that would only repeat others are left
//! out, and where all of one group wait for all of another, one arrow between the boxes says so. Pure.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::markdown::plain;
use crate::plan::{Plan, Step};

/// The steps of a plan, by their place in it.
type Steps = BTreeSet<usize>;

/// Steps that stand together under one heading.
struct Group<'a> {
    name: &'a str,
    steps: std::ops::Range<usize>,
}

/// The plan as a Mermaid flowchart.
pub fn plan_mermaid(plan: &Plan) -> String {
    let mut lines = vec!["flowchart LR".to_owned()];
    if plan.steps.is_empty() {
        lines.push("  nothing([\"nothing to do\"])".to_owned());
        return lines.join("\n");
    }
    let groups = groups(&plan.steps);
    for (number, group) in groups.iter().enumerate() {
        lines.push(format!("  subgraph g{number}[\"{}\"]", text(group.name)));
        // Otherwise Mermaid turns a box that only has arrows of its own, and its steps stand in one wide row.
        lines.push("    direction LR".to_owned());
        for at in group.steps.clone() {
            let step = &plan.steps[at];
            let label = text(&step.id);
            lines.push(match step.done {
                Some(_) => format!("    s{at}([\"{label}\"]):::done"),
                None => format!("    s{at}[\"{label}\"]"),
            });
        }
        lines.push("  end".to_owned());
    }
    lines.extend(arrows(&needs(&plan.steps), &groups));
    if plan.steps.iter().any(|step| step.done.is_some()) {
        lines.push("  classDef done stroke-dasharray:4 3".to_owned());
    }
    lines.join("\n")
}

fn groups(steps: &[Step]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if group.name == step.group => group.steps.end = at + 1,
            _ => groups.push(Group {
                name: &step.group,
                steps: at..at + 1,
            }),
        }
    }
    groups
}

/// What each step waits for, without what it waits for anyway because another one does.
fn needs(steps: &[Step]) -> Vec<Steps> {
    let mut place: HashMap<&str, usize> = HashMap::new();
    let mut needs: Vec<Steps> = Vec::with_capacity(steps.len());
    // Everything that is through when a step starts.
    let mut before: Vec<Steps> = Vec::with_capacity(steps.len());
    for (at, step) in steps.iter().enumerate() {
        let own = step.needs.iter();
        let own: Steps = own
            .filter_map(|need| place.get(need.as_str()).copied())
            .collect();
        let anyway: Steps = own
            .iter()
            .flat_map(|&need| before[need].iter().copied())
            .collect();
        before.push(own.union(&anyway).copied().collect());
        needs.push(own.difference(&anyway).copied().collect());
        place.insert(&step.id, at);
    }
    needs
}

fn arrows(needs: &[Steps], groups: &[Group<'_>]) -> Vec<String> {
    let inside = |at: usize| {
        let group = groups.iter().find(|group| group.steps.contains(&at));
        group.expect("every step is in a group").steps.clone()
    };
    // The ends of arrows to or from some steps: a box where they are all of a group that count, else each of them.
    let ends = |steps: &Steps, counting: &dyn Fn(&Group<'_>) -> Steps| -> Vec<String> {
        let mut left = steps.clone();
        let mut ends = Vec::new();
        for (number, group) in groups.iter().enumerate() {
            let whole = counting(group);
            if whole.len() > 1 && whole.is_subset(&left) {
                left.retain(|at| !whole.contains(at));
                ends.push(format!("g{number}"));
            }
        }
        ends.extend(left.iter().map(|at| format!("s{at}")));
        ends
    };
    // The steps of a group that wait for none of it, and those none of it waits for.
    let first = |group: &Group<'_>| -> Steps {
        let alone = |at: &usize| needs[*at].iter().all(|need| !group.steps.contains(need));
        group.steps.clone().filter(alone).collect()
    };
    let last = |group: &Group<'_>| -> Steps {
        let needed: Steps = group
            .steps
            .clone()
            .flat_map(|at| needs[at].clone())
            .collect();
        group
            .steps
            .clone()
            .filter(|at| !needed.contains(at))
            .collect()
    };

    let mut waiting: BTreeMap<&Steps, Steps> = BTreeMap::new();
    for (at, needs) in needs
        .iter()
        .enumerate()
        .filter(|(_, needs)| !needs.is_empty())
    {
        waiting.entry(needs).or_default().insert(at);
    }
    let mut arrows = Vec::new();
    let mut junctions = 0;
    for (from, to) in waiting {
        let nothing = |_: &Group<'_>| Steps::new();
        let across = from
            .iter()
            .all(|&need| to.iter().all(|&at| inside(need) != inside(at)));
        let (from_ends, to_ends) = match across {
            true => (ends(from, &last), ends(&to, &first)),
            false => (ends(from, &nothing), ends(&to, &nothing)),
        };
        if from_ends.len() > 1 && to_ends.len() > 1 {
            let joint = format!("j{junctions}");
            junctions += 1;
            arrows.push(format!("  {joint}(( ))"));
            arrows.extend(from_ends.iter().map(|end| format!("  {end} --> {joint}")));
            arrows.extend(to_ends.iter().map(|end| format!("  {joint} --> {end}")));
            continue;
        }
        for start in &from_ends {
            arrows.extend(to_ends.iter().map(|end| format!("  {start} --> {end}")));
        }
    }
    arrows
}

/// Text in a box: nothing in it ends the label or starts Markdown, of which Mermaid draws only a part.
fn text(text: &str) -> String {
    let text = plain(text);
    let text = text.trim_start_matches(['-', '+', ' ']);
    match text.split_once(". ") {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{number} {rest}")
        }
        _ if text.is_empty() => "-".to_owned(),
        _ => text.to_owned(),
    }
}
