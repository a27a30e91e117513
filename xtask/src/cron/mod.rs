//! Cron triggers as Cloudflare understands them: when an expression fires, and which ones fire together. Times are UTC.
//! Pure; knows no worker and no clock but the times it is handed.

mod meet;
mod read;
#[cfg(test)]
mod tests;

pub use self::meet::{Meeting, meetings};
use crate::zone::{Day, Moment};

/// Minutes of a day.
pub const MINUTES_PER_DAY: u16 = 24 * 60;
/// No expression that fires at all waits longer: 29 February may be 8 years away.
const DAYS_MAX: i64 = 8 * 366 + 1;

/// A cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    /// Bit `n`: minute `n`.
    minutes: u64,
    /// Bit `n`: hour `n`.
    hours: u64,
    month_days: MonthDays,
    /// Bit `n`: month `n`, from 1.
    months: u64,
    weekdays: Weekdays,
}

/// The third field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MonthDays {
    /// `*`.
    Any,
    /// Bit `n`: day `n`, from 1.
    These(u64),
    /// `L`, or `L-3`: so many days before the last one.
    BeforeLast(u8),
    /// `15W`: the weekday nearest to the 15th within the month.
    Near(u8),
    /// `LW` or `L-3W`: the weekday nearest to that day.
    NearLast(u8),
}

/// The fifth field. Days count from 1, which is Sunday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weekdays {
    /// `*`.
    Any,
    /// Bit `n`: day `n`.
    These(u64),
    /// `6L`: the last Friday of the month.
    Last(u8),
    /// `2#1`: the first Monday of the month.
    Nth(u8, u8),
}

impl Cron {
    /// Reads an expression, or says what is wrong with it: a text that goes on a sentence such as "the trigger …".
    pub fn parse(expression: &str) -> Result<Cron, String> {
        read::read(expression)
    }

    /// The minutes of a day on which it fires, on the days it does.
    pub fn minutes(&self) -> impl Iterator<Item = u16> + '_ {
        let set = |bits: u64, max: u16| (0..max).filter(move |at| bits >> at & 1 == 1);
        set(self.hours, 24)
            .flat_map(move |hour| set(self.minutes, 60).map(move |at| hour * 60 + at))
    }

    /// True when it fires on every day.
    pub fn is_daily(&self) -> bool {
        let all = |bits: u64, max: u8| (1..=max).all(|at| bits >> at & 1 == 1);
        let every_day = matches!(
            (self.month_days, self.weekdays),
            (MonthDays::Any, Weekdays::Any)
        );
        // With two restricted fields one that fits is enough, so one that always fits decides.
        let by_month_day = matches!(self.month_days, MonthDays::These(days) if all(days, 31));
        let by_weekday = matches!(self.weekdays, Weekdays::These(days) if all(days, 7));
        all(self.months, 12) && (every_day || by_month_day || by_weekday)
    }

    /// True when it fires on a day.
    pub fn fires_on(&self, day: Day) -> bool {
        if self.months >> day.month() & 1 == 0 {
            return false;
        }
        let by_month_day = || self.month_days.hold(day);
        let by_weekday = || self.weekdays.hold(day);
        match (self.month_days, self.weekdays) {
            (MonthDays::Any, Weekdays::Any) => true,
            (MonthDays::Any, _) => by_weekday(),
            (_, Weekdays::Any) => by_month_day(),
            // As in every cron: two restricted fields are an "or".
            _ => by_month_day() || by_weekday(),
        }
    }

    /// When it fires on a day.
    pub fn on(&self, day: Day) -> Vec<Moment> {
        if !self.fires_on(day) {
            return Vec::new();
        }
        self.minutes().map(|minute| day.at(minute)).collect()
    }

    /// The first time after another one; `None` for an expression that never fires, such as 31 November.
    pub fn after(&self, then: Moment) -> Option<Moment> {
        let first = then.day();
        let days = (0..DAYS_MAX).map(|days| first.plus(days));
        days.filter(|day| self.fires_on(*day))
            .find_map(|day| self.minutes().map(|at| day.at(at)).find(|at| *at > then))
    }
}

impl MonthDays {
    fn hold(self, day: Day) -> bool {
        let last = day.days_in_month();
        match self {
            MonthDays::Any => true,
            MonthDays::These(days) => days >> day.number() & 1 == 1,
            MonthDays::BeforeLast(before) => day.number() + before == last,
            MonthDays::Near(wanted) => is_nearest(day, wanted),
            MonthDays::NearLast(before) => before < last && is_nearest(day, last - before),
        }
    }
}

impl Weekdays {
    fn hold(self, day: Day) -> bool {
        match self {
            Weekdays::Any => true,
            Weekdays::These(days) => days >> day.weekday() & 1 == 1,
            Weekdays::Last(weekday) => {
                weekday == day.weekday() && day.number() + 7 > day.days_in_month()
            }
            Weekdays::Nth(weekday, nth) => {
                weekday == day.weekday() && (day.number() - 1) / 7 + 1 == nth
            }
        }
    }
}

/// True when a day is the weekday (Monday to Friday) nearest to the `wanted` day of its month, within the month.
fn is_nearest(day: Day, wanted: u8) -> bool {
    const SUNDAY: u8 = 1;
    const SATURDAY: u8 = 7;
    let last = day.days_in_month();
    if wanted > last {
        return false;
    }
    let number = i64::from(wanted) - i64::from(day.number());
    let nearest = match day.plus(number).weekday() {
        SATURDAY if wanted == 1 => 3,
        SATURDAY => wanted - 1,
        SUNDAY if wanted == last => wanted - 2,
        SUNDAY => wanted + 1,
        _ => wanted,
    };
    day.number() == nearest
}
