//! `cargo xtask crons`: when the workers' cron triggers fire, in UTC and where the people are, which fire together, and how
//! the live ones differ from the configs. `crons run` fires one on the local cloud.

mod chart;
mod facts;
mod fire;
mod screen;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::context::Ctx;
use crate::cron::{Meeting, meetings};
use crate::error::Fail;
use crate::report::Report;
use crate::workspace::Workspace;
use crate::zone::{Day, Local, Moment, Zone, clock};

use self::facts::{LiveCrons, Schedule};

const STAGE: &str = "crons";

/// The flags of `crons`.
#[derive(Clone, Debug)]
pub struct Options {
    /// The day of the chart.
    pub day: Option<Day>,
    /// How many runs to come are listed.
    pub next: usize,
    /// Fire this one instead.
    pub run: Option<Run>,
}

/// Which cron is fired.
#[derive(Clone, Debug)]
pub struct Run {
    /// Short or script name.
    pub worker: String,
    /// The expression.
    pub cron: String,
}

/// Everything `crons` shows. The times are fixed when it is made, so showing it is pure.
pub(super) struct Crons {
    schedules: Vec<Schedule>,
    live: LiveCrons,
    zone: Zone,
    /// The day of the chart.
    day: Day,
    /// What counts as now: the real time, or the beginning of the day that was asked for.
    now: Moment,
    /// Runs after this one are to come.
    from: Moment,
    meetings: Vec<Meeting<String>>,
    next: usize,
}

/// Shows the cron triggers, or fires one.
pub fn crons(ctx: &Ctx, options: &Options) -> anyhow::Result<Report> {
    let workspace = Workspace::load(&ctx.root)?;
    if let Some(run) = &options.run {
        return fire::fire(ctx, &workspace, run);
    }
    let name = &workspace.pipeline.project.time_zone;
    let zone =
        Zone::find(name).ok_or_else(|| Fail::setup(format!("there is no time zone `{name}`")))?;
    let live = facts::live(ctx, &workspace)?;
    let selected = workspace.select(&ctx.only)?;
    let now = Moment::of(SystemTime::now());
    let crons = Crons::new(facts::schedules(&selected, &live), live, zone, options, now);
    Ok(crons.report(ctx.ui.columns()))
}

impl Crons {
    fn new(
        schedules: Vec<Schedule>,
        live: LiveCrons,
        zone: Zone,
        options: &Options,
        now: Moment,
    ) -> Crons {
        // A day in the past or future is looked at as if it had just begun: what fires at midnight is still to come.
        let (now, from) = match options.day {
            Some(day) => (day.at(0), day.at(0).plus(-1)),
            None => (now, now),
        };
        let triggers: Vec<_> = schedules
            .iter()
            .filter_map(|it| Some((it.worker.clone(), it.text.clone(), it.cron.clone()?)))
            .collect();
        Crons {
            meetings: meetings(&triggers, from),
            schedules,
            live,
            zone,
            day: options.day.unwrap_or(now.day()),
            now,
            from,
            next: options.next,
        }
    }

    fn report(&self, columns: usize) -> Report {
        let mut report = Report::empty(STAGE);
        if let LiveCrons::Unknown(Some(why)) = &self.live {
            report.warn(format!("what is live is not known: {why}"));
        }
        for difference in self.differences() {
            report.warn(difference);
        }
        report.fact("day", self.day.to_string());
        report.fact("time zone", self.zone.name());
        report.tables = screen::tables(self);
        report.answer = Some(screen::text(self, &report, columns));
        report.more = self.document();
        report
    }

    /// The runs of a day, each with the schedule it is of, in the order of time.
    fn on(&self, day: Day) -> Vec<(Moment, &Schedule)> {
        let of = |schedule| -> Vec<(Moment, &Schedule)> {
            let schedule: &Schedule = schedule;
            let times = schedule.cron.iter().flat_map(|cron| cron.on(day));
            times.map(|time| (time, schedule)).collect()
        };
        let mut runs: Vec<_> = self.schedules.iter().flat_map(of).collect();
        runs.sort_by_key(|(time, schedule)| (*time, schedule.order));
        runs
    }

    /// The next runs of all schedules together, in the order of time.
    fn coming(&self) -> Vec<(Moment, &Schedule)> {
        let mut times: Vec<(Moment, &Schedule)> = self
            .schedules
            .iter()
            .filter_map(|it| Some((it.next(self.from)?, it)))
            .collect();
        let mut coming = Vec::new();
        while coming.len() < self.next {
            times.sort_by_key(|(time, schedule)| (*time, schedule.order));
            let Some((time, schedule)) = times.first().copied() else {
                break;
            };
            coming.push((time, schedule));
            match schedule.next(time) {
                Some(next) => times[0].0 = next,
                None => drop(times.remove(0)),
            }
        }
        coming
    }

    /// How what is live differs from the configs, in sentences.
    fn differences(&self) -> Vec<String> {
        let said = |it: &Schedule| match (it.in_repo, it.live) {
            (true, Some(false)) => Some(format!(
                "{} has no `{}` live: the config asks for it",
                it.worker, it.text
            )),
            (false, _) => Some(format!(
                "{} has `{}` live: the config does not ask for it",
                it.worker, it.text
            )),
            _ => None,
        };
        self.schedules.iter().filter_map(said).collect()
    }

    fn document(&self) -> serde_json::Map<String, Value> {
        let local = |local: &Local| json!({"time": local.rfc3339(), "zone": local.name});
        let run =
            |time: Moment| json!({"utc": time.to_string(), "local": local(&self.zone.local(time))});
        let schedules: Vec<Value> = self
            .schedules
            .iter()
            .map(|it| {
                let cron = it.cron.as_ref();
                let minutes = cron.iter().flat_map(|cron| cron.minutes());
                let on_day = cron.iter().flat_map(|cron| cron.on(self.day));
                json!({
                    "worker": it.worker,
                    "script": it.script,
                    "cron": it.text,
                    "times": minutes.map(clock).collect::<Vec<_>>(),
                    "daily": cron.is_some_and(|cron| cron.is_daily()),
                    "in_repo": it.in_repo,
                    "live": it.live,
                    "on_day": on_day.map(run).collect::<Vec<_>>(),
                    "next": it.next(self.from).map(run),
                })
            })
            .collect();
        let together: Vec<Value> = self
            .meetings
            .iter()
            .map(|meeting| {
                let who = meeting.who.iter();
                json!({
                    "triggers": who.map(|(worker, cron)| json!({"worker": worker, "cron": cron})).collect::<Vec<_>>(),
                    "times": meeting.minutes.iter().copied().map(clock).collect::<Vec<_>>(),
                    "days_of_next_366": meeting.days,
                    "next": run(meeting.next),
                })
            })
            .collect();
        let coming: Vec<Value> = self
            .coming()
            .into_iter()
            .map(|(time, it)| {
                let mut value = run(time);
                value["worker"] = json!(it.worker);
                value["cron"] = json!(it.text);
                value
            })
            .collect();
        let change = self.zone.next_change(self.now, 366).map(|at| {
            let (before, after) = (self.zone.local(at.plus(-1)), self.zone.local(at));
            json!({"utc": at.to_string(), "from": before.name, "to": after.name,
                   "from_offset": before.offset_name(), "to_offset": after.offset_name()})
        });
        let live = match &self.live {
            LiveCrons::Known(_) => json!({"known": true, "why": null}),
            LiveCrons::Unknown(why) => json!({"known": false, "why": why}),
        };
        serde_json::Map::from_iter([
            ("day".to_owned(), json!(self.day.to_string())),
            ("time_zone".to_owned(), json!(self.zone.name())),
            ("schedules".to_owned(), json!(schedules)),
            ("together".to_owned(), json!(together)),
            ("next".to_owned(), json!(coming)),
            ("clock_change".to_owned(), json!(change)),
            ("live".to_owned(), live),
        ])
    }
}
