//! Which cron triggers fire in the same minute. Pure.

use std::collections::BTreeSet;

use super::{Cron, MINUTES_PER_DAY};
use crate::zone::{Day, Moment};

/// How far ahead is looked: what never meets within a year meets on a 29 February at most.
const DAYS: usize = 366;
const MINUTE_WORDS: usize = (MINUTES_PER_DAY as usize).div_ceil(64);
const DAY_WORDS: usize = DAYS.div_ceil(64);

type Minutes = [u64; MINUTE_WORDS];
type Days = [u64; DAY_WORDS];
type Found<O> = (Minutes, Days, BTreeSet<(O, String)>);

/// Several owners' triggers that fire in the same minutes of the same days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting<O> {
    /// The owners, each with the expression that meets the others.
    pub who: BTreeSet<(O, String)>,
    /// The minutes of the day.
    pub minutes: Vec<u16>,
    /// On how many of the next 366 days.
    pub days: usize,
    /// The first time.
    pub next: Moment,
}

/// One trigger as two sets: its minutes of a day, and the days it fires on.
struct Trigger<'a, O> {
    owner: &'a O,
    text: &'a str,
    minutes: Minutes,
    days: Days,
}

/// The meetings of triggers of different owners, within a year from `from` on, the most frequent first.
pub fn meetings<O: Ord + Clone>(triggers: &[(O, String, Cron)], from: Moment) -> Vec<Meeting<O>> {
    let first = from.day();
    let triggers: Vec<Trigger<'_, O>> = triggers
        .iter()
        .map(|(owner, text, cron)| Trigger::new(owner, text, cron, first))
        .collect();
    let mut found: Vec<Found<O>> = Vec::new();
    for (index, one) in triggers.iter().enumerate() {
        for other in &triggers[index + 1..] {
            let minutes = both(&one.minutes, &other.minutes);
            let days = both(&one.days, &other.days);
            if one.owner == other.owner || is_empty(&minutes) || is_empty(&days) {
                continue;
            }
            let pair = [one, other].map(|it| (it.owner.clone(), it.text.to_owned()));
            // Three that meet are one meeting, not three.
            match found.iter_mut().find(|it| (it.0, it.1) == (minutes, days)) {
                Some((.., who)) => who.extend(pair),
                None => found.push((minutes, days, BTreeSet::from(pair))),
            }
        }
    }
    let mut meetings: Vec<Meeting<O>> = found
        .into_iter()
        .filter_map(|(minutes, days, who)| {
            let minutes: Vec<u16> = members(&minutes).collect();
            let next = members(&days)
                .map(|day| first.plus(i64::from(day)))
                .find_map(|day| {
                    let times = minutes.iter().map(|minute| day.at(*minute));
                    times.into_iter().find(|time| *time > from)
                })?;
            Some(Meeting {
                who,
                days: members(&days).count(),
                minutes,
                next,
            })
        })
        .collect();
    meetings.sort_by_key(|it| (std::cmp::Reverse(it.days * it.minutes.len()), it.next));
    meetings
}

impl<'a, O> Trigger<'a, O> {
    fn new(owner: &'a O, text: &'a str, cron: &Cron, first: Day) -> Trigger<'a, O> {
        let mut minutes = [0; MINUTE_WORDS];
        for minute in cron.minutes() {
            put(&mut minutes, usize::from(minute));
        }
        let mut days = [0; DAY_WORDS];
        for day in 0..DAYS {
            let ahead = i64::try_from(day).unwrap_or(i64::MAX);
            if cron.fires_on(first.plus(ahead)) {
                put(&mut days, day);
            }
        }
        Trigger {
            owner,
            text,
            minutes,
            days,
        }
    }
}

fn put(set: &mut [u64], member: usize) {
    set[member / 64] |= 1 << (member % 64);
}

fn both<const N: usize>(one: &[u64; N], other: &[u64; N]) -> [u64; N] {
    std::array::from_fn(|word| one[word] & other[word])
}

fn is_empty(set: &[u64]) -> bool {
    set.iter().all(|word| *word == 0)
}

fn members(set: &[u64]) -> impl Iterator<Item = u16> + '_ {
    let numbers = (0..set.len() * 64).filter(|at| set[at / 64] >> (at % 64) & 1 == 1);
    numbers.filter_map(|at| u16::try_from(at).ok())
}
