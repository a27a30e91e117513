//! The difference between two texts as a person reads it: `-` and `+` lines with some lines around them. Knows nothing of
//! files.

/// How many unchanged lines are shown around a change.
const AROUND: usize = 3;

/// One line of either text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Gone(&'a str),
    New(&'a str),
}

/// A unified diff with `name` above it; empty when the texts are the same. `None` is a file that is not there.
pub fn unified(name: &str, old: Option<&str>, new: Option<&str>) -> String {
    if old == new {
        return String::new();
    }
    let side = |text: Option<&str>, letter: char| match text {
        Some(_) => format!("{letter}/{name}"),
        None => "/dev/null".to_owned(),
    };
    let lines = compare(&split(old), &split(new));
    let mut text = format!("--- {}\n+++ {}\n", side(old, 'a'), side(new, 'b'));
    for hunk in hunks(&lines) {
        text.push_str(&shown(&lines, hunk));
    }
    text
}

fn split(text: Option<&str>) -> Vec<&str> {
    text.map(|text| text.lines().collect()).unwrap_or_default()
}

/// The lines of both texts in one order, by their longest common subsequence.
fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let end = old[start..]
        .iter()
        .rev()
        .zip(new[start..].iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (left, right) = (&old[start..old.len() - end], &new[start..new.len() - end]);
    // common[i][j]: how many lines left[i..] and right[j..] have in common.
    let mut common = vec![vec![0_usize; right.len() + 1]; left.len() + 1];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            common[i][j] = if left[i] == right[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let mut lines: Vec<Line<'a>> = old[..start].iter().map(|line| Line::Same(line)).collect();
    let (mut i, mut j) = (0, 0);
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left[i] == right[j] {
            lines.push(Line::Same(left[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == right.len() || (i < left.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(Line::Gone(left[i]));
            i += 1;
        } else {
            lines.push(Line::New(right[j]));
            j += 1;
        }
    }
    lines.extend(old[old.len() - end..].iter().map(|line| Line::Same(line)));
    lines
}

/// The stretches of lines to show.
fn hunks(lines: &[Line<'_>]) -> Vec<std::ops::Range<usize>> {
    let mut hunks: Vec<std::ops::Range<usize>> = Vec::new();
    let changed = lines.iter().enumerate();
    for (at, _) in changed.filter(|(_, line)| !matches!(line, Line::Same(_))) {
        let (from, to) = (
            at.saturating_sub(AROUND),
            (at + 1 + AROUND).min(lines.len()),
        );
        match hunks.last_mut() {
            Some(last) if from <= last.end => last.end = to,
            _ => hunks.push(from..to),
        }
    }
    hunks
}

fn shown(lines: &[Line<'_>], hunk: std::ops::Range<usize>) -> String {
    let count = |lines: &[Line<'_>], other: fn(&Line<'_>) -> bool| {
        lines.iter().filter(|line| !other(line)).count()
    };
    let (is_new, is_gone) = (
        (|line: &Line<'_>| matches!(line, Line::New(_))) as fn(&Line<'_>) -> bool,
        (|line: &Line<'_>| matches!(line, Line::Gone(_))) as fn(&Line<'_>) -> bool,
    );
    let (before, inside) = (&lines[..hunk.start], &lines[hunk]);
    let place = |other: fn(&Line<'_>) -> bool| {
        let length = count(inside, other);
        // An empty side is named by the line before it.
        let start = count(before, other) + usize::from(length > 0);
        format!("{start},{length}")
    };
    let mut text = format!("@@ -{} +{} @@\n", place(is_new), place(is_gone));
    for line in inside {
        let (mark, line) = match line {
            Line::Same(line) => (' ', line),
            Line::Gone(line) => ('-', line),
            Line::New(line) => ('+', line),
        };
        text.push_str(format!("{mark}{line}").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(old: Option<&str>, new: Option<&str>, expect: Expect) {
        expect.assert_eq(&unified("f", old, new));
    }

    #[test]
    fn what_changed_is_shown_with_what_stands_around_it() {
        check(Some("a\n"), Some("a\n"), expect![""]);
        check(
            None,
            Some("a\nb\n"),
            expect![[r#"
                --- /dev/null
                +++ b/f
                @@ -0,0 +1,2 @@
                +a
                +b
            "#]],
        );
        check(
            Some("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n"),
            Some("1\n2\n3\n4\n5\nsix\n7\n8\n9\n10\n11\n12\n13\n"),
            expect![[r#"
                --- a/f
                +++ b/f
                @@ -3,10 +3,11 @@
                 3
                 4
                 5
                -6
                +six
                 7
                 8
                 9
                 10
                 11
                 12
                +13
            "#]],
        );
    }
}
