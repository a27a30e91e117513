//! The nearest of some names to one that does not exist, for "did you mean". Knows nothing of what the names stand for.

/// The nearest name, when one is near enough to be a likely slip: at most a third of the letters differ.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wrong.chars().count() / 3).max(1);
    names
        .into_iter()
        .map(|name| (distance(wrong, name, limit), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// How many letters have to be added, removed, replaced or swapped with their neighbour; counts up to `limit + 1`.
fn distance(left: &str, right: &str, limit: usize) -> usize {
    let left: Vec<char> = left.to_lowercase().chars().collect();
    let right: Vec<char> = right.to_lowercase().chars().collect();
    if left.len().abs_diff(right.len()) > limit {
        return limit + 1;
    }
    // rows[i][j]: the distance of the first i letters of `left` and the first j of `right`.
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for i in 1..=left.len() {
        let mut row = vec![i; right.len() + 1];
        for j in 1..=right.len() {
            let replaced = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + replaced);
            let swapped =
                i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if swapped {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row[j] = best;
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likely_slips_are_found_and_strangers_are_not() {
        let names = ["name", "main_branch", "workers", "secrets"];
        for (wrong, expected) in [
            ("nmae", Some("name")),
            ("Name", Some("name")),
            ("worker", Some("workers")),
            ("main-branch", Some("main_branch")),
            ("secret", Some("secrets")),
            ("routes", None),
            ("", None),
            ("a_key_much_longer_than_all", None),
        ] {
            assert_eq!(nearest(wrong, names), expected, "{wrong}");
        }
    }

    #[test]
    fn the_nearest_wins_and_ties_are_stable() {
        assert_eq!(nearest("abcd", ["abcf", "abce"]), Some("abce"));
        assert_eq!(nearest("maim", ["mail", "main", "maim2"]), Some("mail"));
    }
}
