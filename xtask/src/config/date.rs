//! Calendar dates without time or zone: until when an exception holds. Knows no clock but the one it is handed.

use std::fmt;
use std::time::SystemTime;

/// A day, in order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Reads `YYYY-MM-DD`; `None` for a day that no calendar has.
    pub fn parse(text: &str) -> Option<Date> {
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts.as_slice() else {
            return None;
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (year.len(), month.len(), day.len()) != (4, 2, 2)
            || !parts.iter().all(|part| digits(part))
        {
            return None;
        }
        let date = Date {
            year: year.parse().ok()?,
            month: month.parse().ok()?,
            day: day.parse().ok()?,
        };
        (1..=date.days_in_month())
            .contains(&date.day)
            .then_some(date)
    }

    /// The day of a time, in UTC. Times beyond the year 9999 count as its last day.
    pub fn of(time: SystemTime) -> Date {
        let seconds = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        // The last second that the formatter can write.
        let capped =
            SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds.min(253_402_300_799));
        let text = humantime::format_rfc3339_seconds(capped).to_string();
        Date::parse(text.get(..10).unwrap_or_default())
            .expect("an RFC 3339 time begins with a date")
    }

    fn days_in_month(self) -> u8 {
        let leap = self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => 0,
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn days_that_exist() {
        for text in ["2027-01-31", "2024-02-29", "2000-02-29", "9999-12-31"] {
            let date = Date::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(date.to_string(), text);
        }
        for text in [
            "2027-02-29",
            "1900-02-29",
            "2027-13-01",
            "2027-00-10",
            "2027-04-31",
            "2027-01-00",
            "27-01-01",
            "2027-1-1",
            "2027-01-01T00:00:00Z",
            "+027-01-01",
            "",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn days_are_in_order_and_come_from_the_clock() {
        let day = |text| Date::parse(text).expect("a date");
        assert!(day("2026-12-31") < day("2027-01-01"));
        assert!(day("2027-01-09") < day("2027-01-10"));
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(20_000 * 86_400 + 43_200);
        assert_eq!(Date::of(noon), day("2024-10-04"));
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX) * 100);
        assert_eq!(Date::of(far), day("9999-12-31"));
    }
}
