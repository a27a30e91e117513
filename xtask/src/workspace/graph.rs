//! Who calls whom, as groups: workers that call each other in a circle form one group, everyone else is alone. Knows
//! workers as numbers only. Takes time in proportion to the number of workers and calls.

/// The groups of a graph, callers before callees.
pub(super) struct Groups {
    /// The members of each group, ascending.
    members: Vec<Vec<usize>>,
    /// The group of each node.
    group_of: Vec<usize>,
    calls: Vec<Vec<usize>>,
}

impl Groups {
    /// Finds the groups (Kosaraju's algorithm; its first pass runs on an own stack so that long chains are fine).
    pub(super) fn of(calls: &[Vec<usize>]) -> Groups {
        let mut callers: Vec<Vec<usize>> = vec![Vec::new(); calls.len()];
        for (caller, callees) in calls.iter().enumerate() {
            for callee in callees {
                callers[*callee].push(caller);
            }
        }
        const NONE: usize = usize::MAX;
        let mut group_of = vec![NONE; calls.len()];
        let mut members: Vec<Vec<usize>> = Vec::new();
        for start in callees_finished_first(calls).into_iter().rev() {
            if group_of[start] != NONE {
                continue;
            }
            let group = members.len();
            let mut found = Vec::new();
            let mut open = vec![start];
            group_of[start] = group;
            while let Some(node) = open.pop() {
                found.push(node);
                for caller in &callers[node] {
                    if group_of[*caller] == NONE {
                        group_of[*caller] = group;
                        open.push(*caller);
                    }
                }
            }
            found.sort_unstable();
            members.push(found);
        }
        Groups {
            members,
            group_of,
            calls: calls.to_vec(),
        }
    }

    /// The nodes in levels: a level calls only earlier levels, or within its own group.
    pub(super) fn levels(&self) -> Vec<Vec<usize>> {
        let mut level_of = vec![0; self.members.len()];
        for (group, members) in self.members.iter().enumerate().rev() {
            let callees = members.iter().flat_map(|node| &self.calls[*node]);
            let groups = callees.map(|callee| self.group_of[*callee]);
            let below = groups
                .filter(|other| *other != group)
                .map(|other| level_of[other] + 1);
            level_of[group] = below.max().unwrap_or(0);
        }
        let count = level_of.iter().max().map_or(0, |highest| highest + 1);
        let mut levels = vec![Vec::new(); count];
        for (node, group) in self.group_of.iter().enumerate() {
            levels[level_of[*group]].push(node);
        }
        levels
    }

    /// The groups of more than one, by their first member.
    pub(super) fn cycles(&self) -> Vec<Vec<usize>> {
        let mut cycles: Vec<Vec<usize>> = self
            .members
            .iter()
            .filter(|members| members.len() > 1)
            .cloned()
            .collect();
        cycles.sort_unstable();
        cycles
    }
}

/// Every node once; outside circles a node stands behind all its callees.
fn callees_finished_first(calls: &[Vec<usize>]) -> Vec<usize> {
    let mut seen = vec![false; calls.len()];
    let mut finished = Vec::with_capacity(calls.len());
    for start in 0..calls.len() {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.last_mut() {
            match calls[*node].get(*next) {
                Some(callee) => {
                    *next += 1;
                    if !seen[*callee] {
                        seen[*callee] = true;
                        path.push((*callee, 0));
                    }
                }
                None => {
                    finished.push(*node);
                    path.pop();
                }
            }
        }
    }
    finished
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(calls: &[&[usize]]) -> Vec<Vec<usize>> {
        Groups::of(
            &calls
                .iter()
                .map(|callees| callees.to_vec())
                .collect::<Vec<_>>(),
        )
        .levels()
    }

    #[test]
    fn levels_put_callees_first() {
        let none: Vec<Vec<usize>> = Vec::new();
        assert_eq!(levels(&[]), none);
        assert_eq!(levels(&[&[], &[]]), [vec![0, 1]]);
        assert_eq!(levels(&[&[1, 2], &[2], &[]]), [vec![2], vec![1], vec![0]]);
        // A diamond, and one that stands alone.
        assert_eq!(
            levels(&[&[1, 2], &[3], &[3], &[], &[]]),
            [vec![3, 4], vec![1, 2], vec![0]]
        );
    }

    #[test]
    fn a_cycle_is_one_level() {
        // 0 calls the circle 1 ⇄ 2, which calls 3.
        let calls: Vec<Vec<usize>> = vec![vec![1], vec![2], vec![1, 3], vec![]];
        let groups = Groups::of(&calls);
        assert_eq!(groups.levels(), [vec![3], vec![1, 2], vec![0]]);
        assert_eq!(groups.cycles(), [vec![1, 2]]);
    }

    #[test]
    fn two_circles_are_told_apart() {
        let groups = Groups::of(&[vec![1], vec![0, 2], vec![3], vec![4], vec![2]]);
        assert_eq!(groups.cycles(), [vec![0, 1], vec![2, 3, 4]]);
        assert_eq!(groups.levels(), [vec![2, 3, 4], vec![0, 1]]);
    }

    #[test]
    fn a_long_chain_is_fine() {
        let calls: Vec<Vec<usize>> = (0..20_000)
            .map(|node| if node == 0 { vec![] } else { vec![node - 1] })
            .collect();
        let levels = Groups::of(&calls).levels();
        assert_eq!(
            (levels.len(), &levels[0], &levels[19_999]),
            (20_000, &vec![0], &vec![19_999])
        );
    }
}
