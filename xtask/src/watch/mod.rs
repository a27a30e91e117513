//! `--watch`: what the public meets in the first minute after a release or a rollback, from live events. Listening begins
//! before anything changes, so that a cloud that cannot be listened to stops a release before it is public.

mod count;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::count::{Count, Judgement};
use crate::config;
use crate::context::Ctx;
use crate::error::Fail;
use crate::pause;
use crate::plan::{Action, Plan, Step};
use crate::report::Table;
use crate::run::{Io, Outcome, Runner};
use crate::tools::cloudflare::Cloudflare;
use crate::tools::tail::{Heard, Source, Tail};

/// How long the events of all workers may take to begin.
const OPEN_WITHIN: Duration = Duration::from_secs(15);
/// How often a wait looks at the clock and at Ctrl-C.
const GLANCE: Duration = Duration::from_millis(100);
/// How long events may be on their way: what arrives within this time happened before the window, such as the calls that our
/// own questions caused between workers.
const SETTLE: Duration = Duration::from_secs(1);
/// So many errors are shown as they come; all are counted.
const SHOWN_MAX: usize = 10;

/// Workers that are listened to.
pub struct Watch<'a> {
    ctx: &'a Ctx,
    limits: &'a config::Watch,
    window: Duration,
    workers: Vec<String>,
    tail: Mutex<Tail>,
}

/// What was heard in the window.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    window: Duration,
    /// By worker, in the order of the release.
    counts: Vec<(String, Count)>,
    /// What a reader should know.
    pub warnings: Vec<String>,
    /// What makes the release unhealthy.
    over: Vec<String>,
}

/// How long to watch: what the command line says, else what `pipeline.toml` says; `None` is not at all.
pub fn window(flag: Option<Duration>, limits: &config::Watch) -> Option<Duration> {
    let window = flag.unwrap_or(limits.window);
    (!window.is_zero()).then_some(window)
}

/// The step of a watch, for a dry run and for the run itself.
pub fn plan(stage: &str, window: Duration) -> Plan {
    let shown = humantime::format_duration(window);
    let goal = format!("find the release healthy in {shown} of live events");
    let name = "watch".to_owned();
    let step = Step::new("watch", "watch", goal, Action::Task { name });
    let mut plan = Plan::new(stage);
    plan.push(step.timeout(window + Duration::from_secs(60)));
    plan
}

impl<'a> Watch<'a> {
    /// Begins to listen; returns when the events of every worker arrive.
    pub fn open(
        ctx: &'a Ctx,
        cloud: &Cloudflare,
        limits: &'a config::Watch,
        window: Duration,
        sources: &[Source],
    ) -> anyhow::Result<Watch<'a>> {
        let mask = ctx.ui.mask();
        let surroundings = (ctx.root.as_path(), &ctx.env, &*mask);
        let mut tail = Tail::open(cloud, surroundings, sources, &json!([]))?;
        let mut silent: BTreeSet<&str> = sources.iter().map(|one| one.worker.as_str()).collect();
        let until = Instant::now() + OPEN_WITHIN;
        while !silent.is_empty() {
            let unheard = || silent.iter().copied().collect::<Vec<_>>().join(", ");
            if ctx.interrupt.requested() {
                return Err(Fail::remote("the run was interrupted").into());
            }
            if Instant::now() > until {
                let shown = OPEN_WITHIN.as_secs();
                return Err(Fail::remote("the live events cannot be listened to")
                    .why(format!("{}: no connection within {shown} s", unheard()))
                    .fix("run the command again, or leave `--watch` out")
                    .into());
            }
            match tail.next(GLANCE)? {
                Heard::Open { worker } => {
                    silent.remove(worker.as_str());
                }
                Heard::Closed { worker, why } => {
                    return Err(Fail::remote("the live events cannot be listened to")
                        .why(format!("{worker}: {why}"))
                        .fix("run the command again, or leave `--watch` out")
                        .into());
                }
                Heard::Event { .. } | Heard::Nothing => {}
            }
        }
        Ok(Watch {
            ctx,
            limits,
            window,
            workers: sources.iter().map(|one| one.worker.clone()).collect(),
            tail: Mutex::new(tail),
        })
    }

    /// Watches. `versions`: worker → the version whose events count.
    pub fn run(&self, stage: &str, versions: BTreeMap<String, String>) -> (Outcome, Seen) {
        let runner = Listener {
            watch: self,
            versions,
            seen: Mutex::default(),
        };
        let outcome = self.ctx.run(&plan(stage, self.window), &runner);
        let seen = runner.seen.into_inner();
        (outcome, seen.unwrap_or_else(PoisonError::into_inner))
    }
}

/// The runner of the one step.
struct Listener<'w> {
    watch: &'w Watch<'w>,
    versions: BTreeMap<String, String>,
    seen: Mutex<Seen>,
}

impl Runner for Listener<'_> {
    fn exec(&self, _: &Step, io: &Io) -> anyhow::Result<Value> {
        let watch = self.watch;
        let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
        let mut warnings = Vec::new();
        let listened = self.listen(io, &mut counts, &mut warnings);
        let counts: Vec<(String, Count)> = watch
            .workers
            .iter()
            .map(|worker| {
                let count = counts.remove(worker.as_str()).unwrap_or_default();
                (worker.clone(), count)
            })
            .collect();
        let output: Value = counts
            .iter()
            .map(|(worker, count)| (worker.clone(), json!(count)))
            .collect();
        io.attach(output.clone());
        let mut seen = Seen {
            window: watch.window,
            counts,
            warnings,
            over: Vec::new(),
        };
        // Half a window says nothing.
        if listened.is_ok() {
            seen.judge(watch.limits);
        }
        let over = seen.over.clone();
        io.note(&seen.note());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        listened?;
        if over.is_empty() {
            return Ok(output);
        }
        let mut fail = Fail::check("too many requests ended in an error");
        for line in over {
            fail = fail.why(line);
        }
        Err(fail.into())
    }
}

impl Listener<'_> {
    /// Counts until the window is over, or nothing can be heard any more.
    fn listen<'c>(
        &'c self,
        io: &Io,
        counts: &mut BTreeMap<&'c str, Count>,
        warnings: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let watch = self.watch;
        let mut tail = watch.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = Instant::now() + pause::scaled(SETTLE);
        let until = settled + watch.window;
        let mut open: BTreeSet<&str> = watch.workers.iter().map(String::as_str).collect();
        let mut shown = 0;
        while !open.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if io.interrupted() {
                return Err(Fail::remote("the watch was interrupted").into());
            }
            if left.is_zero() {
                break;
            }
            match tail.next(left.min(GLANCE)) {
                Ok(Heard::Nothing | Heard::Open { .. }) => {}
                Ok(Heard::Event { .. }) if Instant::now() < settled => {}
                Ok(Heard::Event { worker, item }) => {
                    let version = self.versions.get(&worker).map(String::as_str);
                    let Some(worker) = watch.workers.iter().find(|one| **one == worker) else {
                        continue;
                    };
                    let said = counts.entry(worker).or_default().add(&item, version);
                    if let Some(said) = said.filter(|_| shown < SHOWN_MAX) {
                        io.line(&format!("{worker}: {said}"));
                        shown += 1;
                    }
                }
                Ok(Heard::Closed { worker, why }) => {
                    open.remove(worker.as_str());
                    let after = settled.elapsed().as_secs();
                    let why = io.mask().apply(&why).into_owned();
                    warnings.push(format!(
                        "the live events of {worker} ended after {after} s: {why}"
                    ));
                }
                Err(error) => {
                    let after = settled.elapsed().as_secs();
                    let error = format!("{error:#}").replace('\n', " ");
                    let why = io.mask().apply(&error).into_owned();
                    warnings.push(format!("nothing was heard after {after} s: {why}"));
                    open.clear();
                }
            }
        }
        Ok(())
    }
}

impl Seen {
    /// What makes the release unhealthy, one line for each worker with too many errors.
    pub fn over(&self) -> &[String] {
        &self.over
    }

    /// Finds what makes the release unhealthy, and what else is worth a word.
    fn judge(&mut self, limits: &config::Watch) {
        let shown = humantime::format_duration(self.window);
        if self.counts.iter().all(|(_, count)| count.requests == 0) {
            self.warnings.push(format!(
                "no request arrived within {shown}: nothing is known of the errors that the public meets"
            ));
        }
        for (worker, count) in &self.counts {
            if count.sampled {
                self.warnings.push(format!(
                    "{worker} has more requests than Cloudflare tells live: its share of errors is that of a sample"
                ));
            }
            match count.judge(worker, limits) {
                Judgement::Fine => {}
                Judgement::TooFew(said) => self.warnings.push(said),
                Judgement::TooMany(said) => self.over.push(said),
            }
        }
    }

    fn note(&self) -> String {
        let sum = |field: fn(&Count) -> u64| -> u64 {
            self.counts.iter().map(|(_, count)| field(count)).sum()
        };
        let (requests, errors) = (sum(|count| count.requests), sum(|count| count.errors));
        match requests {
            0 => "no request arrived".to_owned(),
            _ => format!("{errors} of {requests} requests ended in an error"),
        }
    }

    /// The rates, for the report; nothing when the watch never came to its turn.
    pub fn table(&self) -> Option<Table> {
        if self.counts.is_empty() {
            return None;
        }
        let title = format!("live events of {}", humantime::format_duration(self.window));
        let columns = ["worker", "requests", "errors", "exceptions", "share"];
        let mut table = Table::new(&title, &columns);
        for (worker, count) in &self.counts {
            table.row([
                worker.clone(),
                count.requests.to_string(),
                count.errors.to_string(),
                count.exceptions.to_string(),
                count.share(),
            ]);
        }
        Some(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn seen(counts: &[(&str, u64, u64)]) -> Seen {
        let count = |requests, errors| Count {
            requests,
            errors,
            ..Count::default()
        };
        Seen {
            window: Duration::from_secs(60),
            counts: counts
                .iter()
                .map(|(worker, requests, errors)| ((*worker).to_owned(), count(*requests, *errors)))
                .collect(),
            warnings: Vec::new(),
            over: Vec::new(),
        }
    }

    #[test]
    fn silence_is_told_and_is_no_share_of_zero() {
        let mut seen = seen(&[("site", 0, 0), ("api", 0, 0)]);
        seen.judge(&config::Watch::default());
        assert!(seen.over().is_empty());
        expect![[r#"
            [
                "no request arrived within 1m: nothing is known of the errors that the public meets",
            ]"#]]
        .assert_eq(&format!("{:#?}", seen.warnings));
        assert_eq!(seen.note(), "no request arrived");
        let table = seen.table().expect("a table");
        expect![[r#"
            live events of 1m
            worker  requests  errors  exceptions  share
            site    0         0       0           -
            api     0         0       0           -"#]]
        .assert_eq(table.text(80).trim_end());
    }

    #[test]
    fn one_worker_with_errors_is_enough() {
        let mut seen = seen(&[("site", 40, 12), ("api", 500, 1), ("agent", 2, 1)]);
        seen.judge(&config::Watch::default());
        expect![[r#"
            [
                "site: 12 of 40 requests ended in an error (30.0 %), 5 % may",
            ]"#]]
        .assert_eq(&format!("{:#?}", seen.over()));
        assert_eq!(seen.warnings.len(), 1, "{:?}", seen.warnings);
        // docs/deploy.md shows this.
        expect![[r#"
            live events of 1m
            worker  requests  errors  exceptions  share
            site    40        12      0           30.0 %
            api     500       1       0           0.2 %
            agent   2         1       0           50.0 %"#]]
        .assert_eq(seen.table().expect("a table").text(80).trim_end());
        assert_eq!(seen.note(), "14 of 542 requests ended in an error");
    }

    #[test]
    fn the_command_line_decides_whether_to_watch() {
        let limits = config::Watch {
            window: Duration::from_secs(30),
            ..config::Watch::default()
        };
        assert_eq!(window(None, &limits), Some(Duration::from_secs(30)));
        assert_eq!(window(Some(Duration::ZERO), &limits), None);
        assert_eq!(window(None, &config::Watch::default()), None);
    }
}
