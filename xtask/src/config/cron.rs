//! Which cron expressions Cloudflare accepts: five fields, with names for months and days of the week, and `L`, `W`
//! and `#`. Judges the text only; nothing here knows what a trigger does.

/// One of the five fields.
struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        min: 0,
        max: 59,
        names: &[],
    },
    Field {
        name: "hour",
        min: 0,
        max: 23,
        names: &[],
    },
    Field {
        name: "day of the month",
        min: 1,
        max: 31,
        names: &[],
    },
    Field {
        name: "month",
        min: 1,
        max: 12,
        names: &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    // 1 is Sunday on Cloudflare; its own names avoid the question.
    Field {
        name: "day of the week",
        min: 1,
        max: 7,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

/// Why an expression is not valid; `None` when it is.
pub(crate) fn mistake(expression: &str) -> Option<String> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Some(format!(
            "needs 5 fields (minute, hour, day, month, weekday), has {}",
            fields.len()
        ));
    }
    FIELDS
        .iter()
        .zip(fields)
        .find_map(|(field, text)| field.mistake(text))
}

impl Field {
    fn mistake(&self, text: &str) -> Option<String> {
        text.split(',').find_map(|part| self.part_mistake(part))
    }

    fn part_mistake(&self, part: &str) -> Option<String> {
        let wrong = |why: &str| Some(format!("its {} {why}", self.name));
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (part, None),
        };
        if step.is_some_and(|step| {
            !step
                .parse::<u32>()
                .is_ok_and(|step| (1..=self.max).contains(&step))
        }) {
            return wrong(&format!("steps by something other than 1 to {}", self.max));
        }
        if range == "*" || self.is_special(range) {
            return None;
        }
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (self.number(first), self.number(last)) {
            (Some(first), Some(last)) if first <= last => None,
            (Some(_), Some(_)) => wrong("runs backwards"),
            _ => wrong(&format!("is not within {} to {}", self.min, self.max)),
        }
    }

    /// `L` (last), `15W` (nearest weekday), `6L` (last Friday), `2#1` (first Monday).
    fn is_special(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        match self.name {
            "day of the month" => {
                let nearest = text.strip_suffix('w');
                text == "l" || nearest.is_some_and(|day| day == "l" || self.number(day).is_some())
            }
            "day of the week" => {
                let last = text
                    .strip_suffix('l')
                    .is_some_and(|day| self.number(day).is_some());
                let nth = text.split_once('#').is_some_and(|(day, nth)| {
                    self.number(day).is_some() && matches!(nth, "1" | "2" | "3" | "4" | "5")
                });
                text == "l" || last || nth
            }
            _ => false,
        }
    }

    fn number(&self, text: &str) -> Option<u32> {
        let lower = text.to_lowercase();
        if let Some(index) = self.names.iter().position(|name| *name == lower) {
            return u32::try_from(index).ok().map(|index| index + self.min);
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits)?;
        (self.min..=self.max).contains(&number).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_expressions() {
        for good in [
            "0 2 * * *",
            "*/15 * * * *",
            "0 3,15,22 * * *",
            "0 9 * * MON-FRI",
            "0 0 1 JAN *",
            "59 23 LW * *",
            "0 0 L * *",
            "0 0 15W * *",
            "0 18 * * 6L",
            "0 18 * * 2#1",
            "0-30/10 1-5 * * sun",
            "  0  2 * * * ",
        ] {
            assert_eq!(mistake(good), None, "{good}");
        }
    }

    #[test]
    fn invalid_expressions() {
        for (bad, why) in [
            (
                "",
                "needs 5 fields (minute, hour, day, month, weekday), has 0",
            ),
            (
                "0 2 * *",
                "needs 5 fields (minute, hour, day, month, weekday), has 4",
            ),
            (
                "0 0 2 * * *",
                "needs 5 fields (minute, hour, day, month, weekday), has 6",
            ),
            ("60 2 * * *", "its minute is not within 0 to 59"),
            ("0 24 * * *", "its hour is not within 0 to 23"),
            ("0 0 0 * *", "its day of the month is not within 1 to 31"),
            ("0 0 * 13 *", "its month is not within 1 to 12"),
            ("0 0 * * 0", "its day of the week is not within 1 to 7"),
            ("0 5-2 * * *", "its hour runs backwards"),
            (
                "*/0 * * * *",
                "its minute steps by something other than 1 to 59",
            ),
            (
                "*/x * * * *",
                "its minute steps by something other than 1 to 59",
            ),
            ("1, * * * *", "its minute is not within 0 to 59"),
            ("+1 * * * *", "its minute is not within 0 to 59"),
            ("0 0 * * 2#6", "its day of the week is not within 1 to 7"),
        ] {
            assert_eq!(mistake(bad).as_deref(), Some(why), "{bad}");
        }
    }
}
