//! Reads the text of a cron expression, as strictly as Cloudflare's own parser (github.com/cloudflare/saffron): five
//! fields, with names for months and days of the week, and `L`, `W` and `#`.

use super::{Cron, MonthDays, Weekdays};

/// One of the five fields.
struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    names: &'static [&'static str],
}

const MINUTE: Field = Field {
    name: "minute",
    min: 0,
    max: 59,
    names: &[],
};
const HOUR: Field = Field {
    name: "hour",
    min: 0,
    max: 23,
    names: &[],
};
const MONTH_DAY: Field = Field {
    name: "day of the month",
    min: 1,
    max: 31,
    names: &[],
};
const MONTH: Field = Field {
    name: "month",
    min: 1,
    max: 12,
    names: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
};
/// 1 is Sunday on Cloudflare, unlike in a crontab; the names avoid the question.
const WEEKDAY: Field = Field {
    name: "day of the week",
    min: 1,
    max: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// The expression, or what is wrong with it.
pub(super) fn read(expression: &str) -> Result<Cron, String> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let [minute, hour, month_day, month, weekday] = fields.as_slice() else {
        return Err(format!(
            "needs 5 fields (minute, hour, day, month, weekday), has {}",
            fields.len()
        ));
    };
    Ok(Cron {
        minutes: MINUTE.set(minute)?,
        hours: HOUR.set(hour)?,
        month_days: month_days(month_day)?,
        months: MONTH.set(month)?,
        weekdays: weekdays(weekday)?,
    })
}

/// `*`, `L`, `L-3`, `LW`, `L-3W`, `15W`, or a set. The special forms stand alone.
fn month_days(text: &str) -> Result<MonthDays, String> {
    if text == "*" {
        return Ok(MonthDays::Any);
    }
    let (day, near) = match text.strip_suffix('W') {
        Some(day) => (day, true),
        None => (text, false),
    };
    let before_last = match day.strip_prefix('L') {
        Some("") => Some(0),
        // Of the 31 days of a month the 30th before the last is the first.
        Some(rest) => rest
            .strip_prefix('-')
            .and_then(|digits| MONTH_DAY.digits(digits))
            .filter(|before| (1..=30).contains(before)),
        None => None,
    };
    match (before_last, near) {
        (Some(before), false) => Ok(MonthDays::BeforeLast(before)),
        (Some(before), true) => Ok(MonthDays::NearLast(before)),
        (None, true) => match MONTH_DAY.number(day) {
            Some(day) => Ok(MonthDays::Near(day)),
            None => Err(MONTH_DAY.wrong_range()),
        },
        (None, false) => MONTH_DAY.set(text).map(MonthDays::These),
    }
}

/// `*`, `L` (Saturday), `6L`, `2#1`, or a set. The special forms stand alone.
fn weekdays(text: &str) -> Result<Weekdays, String> {
    if text == "*" {
        return Ok(Weekdays::Any);
    }
    if text == "L" {
        return Ok(Weekdays::These(1 << WEEKDAY.max));
    }
    if let Some(day) = text.strip_suffix('L') {
        let day = WEEKDAY.number(day).ok_or_else(|| WEEKDAY.wrong_range())?;
        return Ok(Weekdays::Last(day));
    }
    if let Some((day, nth)) = text.split_once('#') {
        let day = WEEKDAY.number(day);
        let nth = WEEKDAY.digits(nth).filter(|nth| (1..=5).contains(nth));
        let (Some(day), Some(nth)) = (day, nth) else {
            return Err(WEEKDAY.wrong_range());
        };
        return Ok(Weekdays::Nth(day, nth));
    }
    WEEKDAY.set(text).map(Weekdays::These)
}

impl Field {
    /// The numbers a field stands for, as bits.
    fn set(&self, text: &str) -> Result<u64, String> {
        if text == "*" {
            return Ok(self.bits(self.min, self.max, 1));
        }
        let parts: Vec<Result<u64, String>> = text.split(',').map(|part| self.part(part)).collect();
        let mut set = 0;
        for part in parts {
            set |= part?;
        }
        Ok(set)
    }

    /// `5`, `5-9`, `5/2` (from 5 on), `5-9/2` or `*/2`.
    fn part(&self, part: &str) -> Result<u64, String> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (part, None),
        };
        let (first, last) = match (range, step) {
            ("*", Some(_)) => (Some(self.min), Some(self.max)),
            // Cloudflare refuses it as the first of a list, and takes it for the lowest value behind others.
            ("*", None) => return Err(self.wrong("has a `*` in a list")),
            _ => match (range.split_once('-'), step) {
                (Some((first, last)), _) => (self.number(first), self.number(last)),
                (None, Some(_)) => (self.number(range), Some(self.max)),
                (None, None) => (self.number(range), self.number(range)),
            },
        };
        match (first, last) {
            (Some(first), Some(last)) if first <= last => {
                Ok(self.bits(first, last, step.unwrap_or(1)))
            }
            // Cloudflare's parser takes it, and then begins one too early: FRI-SUN fires on Thursdays, too.
            (Some(_), Some(_)) => Err(self.wrong("runs backwards: write it as two ranges")),
            _ => Err(self.wrong_range()),
        }
    }

    fn step(&self, text: &str) -> Result<u8, String> {
        let max = self.max - self.min;
        let step = self.digits(text).filter(|step| (1..=max).contains(step));
        step.ok_or_else(|| self.wrong(&format!("steps by something other than 1 to {max}")))
    }

    fn bits(&self, first: u8, last: u8, step: u8) -> u64 {
        let numbers = (first..=last).step_by(usize::from(step));
        numbers.fold(0, |bits, number| bits | 1 << number)
    }

    /// A number or a name of this field.
    fn number(&self, text: &str) -> Option<u8> {
        let lower = text.to_lowercase();
        if let Some(index) = self.names.iter().position(|name| *name == lower) {
            return u8::try_from(index).ok().map(|index| index + self.min);
        }
        self.digits(text)
            .filter(|number| (self.min..=self.max).contains(number))
    }

    fn digits(&self, text: &str) -> Option<u8> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    }

    fn wrong(&self, why: &str) -> String {
        format!("its {} {why}", self.name)
    }

    fn wrong_range(&self) -> String {
        self.wrong(&format!("is not within {} to {}", self.min, self.max))
    }
}
