//! A plan as a Mermaid flowchart: a box per group, an arrow per "waits for". Arrows that would only repeat others are left
//! out, and where all of one group wait for all of another, one arrow between the boxes says so. Pure.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

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
    lines.extend(arrows(&Waits::read(&plan.steps), &groups));
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

/// Which steps wait for what. Steps that wait for the same share it: where each of hundreds waits for all of a phase, this
/// grows as the plan does.
struct Waits {
    /// Each set once, without what is waited for anyway because another one of it does.
    sets: Vec<Steps>,
    /// The set of each step.
    of: Vec<usize>,
}

impl Waits {
    fn read(steps: &[Step]) -> Waits {
        let mut waits = Waits {
            sets: Vec::new(),
            of: Vec::with_capacity(steps.len()),
        };
        let mut place: HashMap<&str, usize> = HashMap::new();
        let mut known: HashMap<Steps, usize> = HashMap::new();
        let mut shared: HashMap<*const Vec<String>, usize> = HashMap::new();
        for (at, step) in steps.iter().enumerate() {
            let list = Arc::as_ptr(&step.needs);
            let set = shared.get(&list).copied().unwrap_or_else(|| {
                let own = step.needs.iter();
                let own = own.filter_map(|need| place.get(need.as_str()).copied());
                let own = waits.without_anyway(own.collect());
                let set = *known.entry(own.clone()).or_insert(waits.sets.len());
                if set == waits.sets.len() {
                    waits.sets.push(own);
                }
                set
            });
            shared.insert(list, set);
            waits.of.push(set);
            // Of several steps with one id, a step needs the nearest before it.
            if place.insert(&step.id, at).is_some() {
                shared.clear();
            }
        }
        waits
    }

    /// Steps without those that are through anyway when the others are.
    fn without_anyway(&self, own: Steps) -> Steps {
        let Some(&first) = own.first().filter(|_| own.len() > 1) else {
            return own;
        };
        let mut through = Steps::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<usize> = own.iter().map(|&at| self.of[at]).collect();
        while let Some(set) = open.pop() {
            if !seen.insert(set) {
                continue;
            }
            for &at in self.sets[set].range(first..) {
                if through.insert(at) {
                    open.push(self.of[at]);
                }
            }
        }
        own.difference(&through).copied().collect()
    }

    /// Of each group the steps that wait for none of it, and those that none of it waits for.
    fn edges(&self, groups: &[Group<'_>]) -> (Vec<Steps>, Vec<Steps>) {
        let edges = groups.iter().map(|group| {
            let range = || group.steps.clone();
            let sets: BTreeSet<usize> = self.of[range()].iter().copied().collect();
            let inner: BTreeSet<usize> = sets
                .into_iter()
                .filter(|&set| self.sets[set].range(range()).next().is_some())
                .collect();
            let needed: Steps = inner
                .iter()
                .flat_map(|&set| self.sets[set].range(range()).copied())
                .collect();
            let first = range().filter(|&at| !inner.contains(&self.of[at]));
            let last = range().filter(|at| !needed.contains(at));
            (first.collect(), last.collect())
        });
        edges.unzip()
    }

    /// The steps that wait for each set, in the order of the sets.
    fn waiting(&self) -> BTreeMap<&Steps, Steps> {
        let mut waiting: BTreeMap<usize, Steps> = BTreeMap::new();
        for (at, &set) in self.of.iter().enumerate() {
            waiting.entry(set).or_default().insert(at);
        }
        let waiting = waiting.into_iter();
        let waiting = waiting.map(|(set, steps)| (&self.sets[set], steps));
        waiting.filter(|(from, _)| !from.is_empty()).collect()
    }
}

fn arrows(waits: &Waits, groups: &[Group<'_>]) -> Vec<String> {
    let group_of: Vec<usize> = (0..)
        .zip(groups)
        .flat_map(|(number, group)| group.steps.clone().map(move |_| number))
        .collect();
    let groups_of =
        |steps: &Steps| -> BTreeSet<usize> { steps.iter().map(|&at| group_of[at]).collect() };
    // The ends of arrows to or from some steps: a box where they are all of a group that count, else each of them.
    let ends = |steps: &Steps, counting: &[Steps]| -> Vec<String> {
        let mut left = steps.clone();
        let mut ends = Vec::new();
        for number in groups_of(steps) {
            let whole = &counting[number];
            if whole.len() > 1 && whole.is_subset(&left) {
                left.retain(|at| !whole.contains(at));
                ends.push(format!("g{number}"));
            }
        }
        ends.extend(left.iter().map(|at| format!("s{at}")));
        ends
    };
    let (first, last) = waits.edges(groups);
    let nothing = vec![Steps::new(); groups.len()];
    let mut arrows = Vec::new();
    let mut junctions = 0;
    for (from, to) in waits.waiting() {
        let across = groups_of(from).is_disjoint(&groups_of(&to));
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
