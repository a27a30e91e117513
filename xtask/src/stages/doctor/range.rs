//! Whether a version satisfies an npm range such as `>=22.0.0` or `^20.19 || >=22`. Pure.

/// Three numbers; what follows a dash or a plus is left out.
pub type Version = [u64; 3];

/// Reads `22.23.3`, `v22.23.3`, `22.23.3-nightly`; missing parts are 0.
pub fn version(text: &str) -> Option<Version> {
    let core = text
        .trim()
        .trim_start_matches(['v', '='])
        .split(['-', '+'])
        .next()?;
    let mut version = [0; 3];
    let mut parts = core.split('.');
    for place in &mut version {
        match parts.next() {
            Some(part) => *place = part.parse().ok()?,
            None => break,
        }
    }
    (parts.next().is_none() && !core.is_empty()).then_some(version)
}

/// `None` when the range is written in a way this does not know.
pub fn fits(found: Version, range: &str) -> Option<bool> {
    let mut any = false;
    for alternative in range.split("||") {
        let mut all = true;
        for comparator in comparators(alternative) {
            all &= satisfies(found, &comparator)?;
        }
        any |= all;
    }
    Some(any)
}

/// The parts of `>= 20.1 <23`, with the space behind an operator gone; `1 - 2` becomes two.
fn comparators(range: &str) -> Vec<String> {
    let words: Vec<&str> = range.split_whitespace().collect();
    if let [from, "-", to] = words.as_slice() {
        return vec![format!(">={from}"), format!("<={to}")];
    }
    let mut parts: Vec<String> = Vec::new();
    for word in words {
        match parts.last_mut() {
            Some(last) if last.ends_with(['>', '<', '=', '^', '~']) => last.push_str(word),
            _ => parts.push(word.to_owned()),
        }
    }
    parts
}

fn satisfies(found: Version, comparator: &str) -> Option<bool> {
    let at = comparator
        .find(|c: char| c.is_ascii_digit() || "xX*v".contains(c))
        .unwrap_or(comparator.len());
    let (operator, rest) = comparator.split_at(at);
    if !["", "=", ">", ">=", "<", "<=", "^", "~"].contains(&operator) {
        return None;
    }
    let parts: Vec<&str> = rest.split('.').collect();
    let wild = parts.iter().position(|part| ["x", "X", "*"].contains(part));
    // How many numbers are given: `22` and `22.x` leave the rest open.
    let given = wild.unwrap_or(parts.len());
    let numbers = match given {
        0 => [0; 3],
        _ => version(&parts[..given].join("."))?,
    };
    let below = |place: usize| {
        let mut next = numbers;
        next[place] += 1;
        next[place + 1..].fill(0);
        found < next
    };
    let first = numbers.iter().position(|number| *number > 0).unwrap_or(2);
    if given == 0 {
        return Some(true);
    }
    Some(match operator {
        ">=" => found >= numbers,
        ">" if given < 3 => !below(given - 1),
        ">" => found > numbers,
        "<" => found < numbers,
        "<=" if given < 3 => below(given - 1),
        "<=" => found <= numbers,
        "^" => found >= numbers && below(first.min(given - 1)),
        "~" => found >= numbers && below(1.min(given - 1)),
        _ if given < 3 => found >= numbers && below(given - 1),
        _ => found == numbers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: &str, inside: &[&str], outside: &[&str]) {
        let fits = |text: &&str| fits(version(text).unwrap(), range);
        for text in inside {
            assert_eq!(fits(text), Some(true), "{text} in {range}");
        }
        for text in outside {
            assert_eq!(fits(text), Some(false), "{text} in {range}");
        }
    }

    #[test]
    fn ranges_are_read_as_npm_reads_them() {
        check(">=22.0.0", &["22.0.0", "v23.1.0"], &["21.9.9", "20.0.0"]);
        check(">=22.12", &["22.12.0"], &["22.11.9"]);
        check(
            "^20.19.0 || >=22.12.0",
            &["20.19.1", "22.12.0", "24.0.0"],
            &["20.18.0", "21.0.0", "22.11.0"],
        );
        check(">= 20.1 <23", &["20.1.0", "22.9.9"], &["20.0.9", "23.0.0"]);
        check("22", &["22.0.0", "22.9.9"], &["23.0.0", "21.9.9"]);
        check("22.x || 24.*", &["22.1.0", "24.0.0"], &["23.0.0"]);
        check("~22.3", &["22.3.9"], &["22.4.0"]);
        check("~22", &["22.9.0"], &["23.0.0"]);
        check("^0.3.1", &["0.3.9"], &["0.4.0", "0.3.0"]);
        check("18 - 20", &["18.0.0", "20.5.0"], &["17.9.9", "21.0.0"]);
        check("*", &["1.0.0"], &[]);
        check(">22", &["23.0.0"], &["22.9.9"]);
        check("=22.1.0", &["22.1.0"], &["22.1.1"]);
    }

    #[test]
    fn what_is_not_understood_is_said_to_be() {
        assert_eq!(fits([22, 0, 0], "lts/*"), None);
        assert_eq!(fits([22, 0, 0], ">=a.b"), None);
        assert_eq!(version("nonsense"), None);
        assert_eq!(version("22.1.2.3"), None);
    }
}
