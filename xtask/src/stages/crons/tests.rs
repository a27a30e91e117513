//! What is shown of given schedules at a given time.

use std::collections::{BTreeMap, BTreeSet};

use expect_test::{Expect, expect};

use super::*;
use crate::cron::Cron;

/// The analyzer and the facebook worker as they are live, the main site as its config has it.
const KIAMICHI: &[(&str, &str)] = &[
    ("main", "0 6 * * *"),
    ("analyzer", "0 2,14,20 * * *"),
    ("facebook", "0 3,15,22 * * *"),
    ("facebook", "0 2,14 * * *"),
];

fn made(triggers: &[(&str, &str)], day: Option<&str>, next: usize) -> Crons {
    let mut names: Vec<&str> = Vec::new();
    let mut schedules = Vec::new();
    for (worker, text) in triggers {
        if !names.contains(worker) {
            names.push(worker);
        }
        schedules.push(Schedule {
            order: names.len(),
            worker: (*worker).to_owned(),
            script: format!("the-{worker}"),
            text: (*text).to_owned(),
            cron: Cron::parse(text).ok(),
            in_repo: true,
            live: None,
        });
    }
    let options = Options {
        day: day.map(|day| Day::parse(day).expect("a day")),
        next,
        run: None,
    };
    let now = Day::new(2026, 11, 24).expect("a day").at(17 * 60 + 15);
    let zone = Zone::find("America/Chicago").expect("a zone");
    Crons::new(schedules, LiveCrons::Unknown(None), zone, &options, now)
}

#[track_caller]
fn check(crons: &Crons, columns: usize, expected: Expect) {
    let report = crons.report(columns);
    expected.assert_eq(&report.answer.expect("a text"));
}

#[test]
fn a_day_in_winter() {
    check(
        &made(KIAMICHI, None, 3),
        100,
        expect![[r#"
            cron triggers on Tue 2026-11-24, UTC; below each time: America/Chicago (CST, UTC-6)

            UTC       00:00             06:00             12:00             18:00             24:00
            main      │─────────────────●─────────────────┼─────────────────┼─────────────────│
                                        06:00
                                        12am
            analyzer  │─────◆───────────┼─────────────────┼─────◆───────────┼─────●───────────│
                            02:00                               14:00             20:00
                            8pm                                 8am               2pm
            facebook  │─────◆──●────────┼─────────────────┼─────◆──●────────┼───────────●─────│
                            02:00                               14:00                   22:00
                            8pm                                 8am                     4pm
                               03:00                               15:00
                               9pm                                 9am

            ● fires   ◆ fires together with another worker

            clocks: from Sun 2027-03-14 08:00 UTC on it is CDT (UTC-5) instead of CST (UTC-6): 06:00 UTC is 12am until then, 1am from then on

            triggers
            worker    cron             utc                  local              next                  in
            main      0 6 * * *        06:00                12am CST           Wed 2026-11-25 06:00  12h 45m
            analyzer  0 2,14,20 * * *  02:00, 14:00, 20:00  8pm, 8am, 2pm CST  Tue 2026-11-24 20:00  2h 45m
            facebook  0 3,15,22 * * *  03:00, 15:00, 22:00  9pm, 9am, 4pm CST  Tue 2026-11-24 22:00  4h 45m
            facebook  0 2,14 * * *     02:00, 14:00         8pm, 8am CST       Wed 2026-11-25 02:00  8h 45m

            together
            workers             utc           how often  next
            analyzer, facebook  02:00, 14:00  every day  Wed 2026-11-25 02:00

            next runs
            in      utc                   America/Chicago  worker    cron
            2h 45m  Tue 2026-11-24 20:00  Tue 2pm CST      analyzer  0 2,14,20 * * *
            4h 45m  Tue 2026-11-24 22:00  Tue 4pm CST      facebook  0 3,15,22 * * *
            8h 45m  Wed 2026-11-25 02:00  Tue 8pm CST      analyzer  0 2,14,20 * * *

            live: not compared, as no cloud can be asked (a token, or `--cloud local`)"#]],
    );
}

/// On the day itself one half of the labels is before the change, the other after it.
#[test]
fn the_day_on_which_clocks_go_forward() {
    check(
        &made(KIAMICHI, Some("2027-03-14"), 9),
        100,
        expect![[r#"
            cron triggers on Sun 2027-03-14, UTC; below each time: America/Chicago (CST, then CDT)

            UTC       00:00             06:00             12:00             18:00             24:00
            main      │─────────────────●─────────────────┼─────────────────┼─────────────────│
                                        06:00
                                        12am CST
            analyzer  │─────◆───────────┼─────────────────┼─────◆───────────┼─────●───────────│
                            02:00                               14:00             20:00
                            8pm CST                             9am CDT           3pm CDT
            facebook  │─────◆──●────────┼─────────────────┼─────◆──●────────┼───────────●─────│
                            02:00                               14:00                   22:00
                            8pm CST                             9am CDT                 5pm CDT
                               03:00                               15:00
                               9pm CST                             10am CDT

            ● fires   ◆ fires together with another worker

            clocks: from Sun 2027-03-14 08:00 UTC on it is CDT (UTC-5) instead of CST (UTC-6): 06:00 UTC is 12am until then, 1am from then on

            triggers
            worker    cron             utc                  local                   next                  in
            main      0 6 * * *        06:00                12am CST                Sun 2027-03-14 06:00  6h 00m
            analyzer  0 2,14,20 * * *  02:00, 14:00, 20:00  8pm CST, 9am, 3pm CDT   Sun 2027-03-14 02:00  2h 00m
            facebook  0 3,15,22 * * *  03:00, 15:00, 22:00  9pm CST, 10am, 5pm CDT  Sun 2027-03-14 03:00  3h 00m
            facebook  0 2,14 * * *     02:00, 14:00         8pm CST, 9am CDT        Sun 2027-03-14 02:00  2h 00m

            together
            workers             utc           how often  next
            analyzer, facebook  02:00, 14:00  every day  Sun 2027-03-14 02:00

            next runs
            in       utc                   America/Chicago  worker    cron
            2h 00m   Sun 2027-03-14 02:00  Sat 8pm CST      analyzer  0 2,14,20 * * *
            2h 00m   Sun 2027-03-14 02:00  Sat 8pm CST      facebook  0 2,14 * * *
            3h 00m   Sun 2027-03-14 03:00  Sat 9pm CST      facebook  0 3,15,22 * * *
            6h 00m   Sun 2027-03-14 06:00  Sun 12am CST     main      0 6 * * *
            14h 00m  Sun 2027-03-14 14:00  Sun 9am CDT      analyzer  0 2,14,20 * * *
            14h 00m  Sun 2027-03-14 14:00  Sun 9am CDT      facebook  0 2,14 * * *
            15h 00m  Sun 2027-03-14 15:00  Sun 10am CDT     facebook  0 3,15,22 * * *
            20h 00m  Sun 2027-03-14 20:00  Sun 3pm CDT      analyzer  0 2,14,20 * * *
            22h 00m  Sun 2027-03-14 22:00  Sun 5pm CDT      facebook  0 3,15,22 * * *

            live: not compared, as no cloud can be asked (a token, or `--cloud local`)"#]],
    );
}

#[test]
fn the_day_on_which_clocks_go_back() {
    check(
        &made(KIAMICHI, Some("2027-11-07"), 9),
        100,
        expect![[r#"
            cron triggers on Sun 2027-11-07, UTC; below each time: America/Chicago (CDT, then CST)

            UTC       00:00             06:00             12:00             18:00             24:00
            main      │─────────────────●─────────────────┼─────────────────┼─────────────────│
                                        06:00
                                        1am CDT
            analyzer  │─────◆───────────┼─────────────────┼─────◆───────────┼─────●───────────│
                            02:00                               14:00             20:00
                            9pm CDT                             8am CST           2pm CST
            facebook  │─────◆──●────────┼─────────────────┼─────◆──●────────┼───────────●─────│
                            02:00                               14:00                   22:00
                            9pm CDT                             8am CST                 4pm CST
                               03:00                               15:00
                               10pm CDT                            9am CST

            ● fires   ◆ fires together with another worker

            clocks: from Sun 2027-11-07 07:00 UTC on it is CST (UTC-6) instead of CDT (UTC-5): 06:00 UTC is 1am until then, 12am from then on

            triggers
            worker    cron             utc                  local                   next                  in
            main      0 6 * * *        06:00                1am CDT                 Sun 2027-11-07 06:00  6h 00m
            analyzer  0 2,14,20 * * *  02:00, 14:00, 20:00  9pm CDT, 8am, 2pm CST   Sun 2027-11-07 02:00  2h 00m
            facebook  0 3,15,22 * * *  03:00, 15:00, 22:00  10pm CDT, 9am, 4pm CST  Sun 2027-11-07 03:00  3h 00m
            facebook  0 2,14 * * *     02:00, 14:00         9pm CDT, 8am CST        Sun 2027-11-07 02:00  2h 00m

            together
            workers             utc           how often  next
            analyzer, facebook  02:00, 14:00  every day  Sun 2027-11-07 02:00

            next runs
            in       utc                   America/Chicago  worker    cron
            2h 00m   Sun 2027-11-07 02:00  Sat 9pm CDT      analyzer  0 2,14,20 * * *
            2h 00m   Sun 2027-11-07 02:00  Sat 9pm CDT      facebook  0 2,14 * * *
            3h 00m   Sun 2027-11-07 03:00  Sat 10pm CDT     facebook  0 3,15,22 * * *
            6h 00m   Sun 2027-11-07 06:00  Sun 1am CDT      main      0 6 * * *
            14h 00m  Sun 2027-11-07 14:00  Sun 8am CST      analyzer  0 2,14,20 * * *
            14h 00m  Sun 2027-11-07 14:00  Sun 8am CST      facebook  0 2,14 * * *
            15h 00m  Sun 2027-11-07 15:00  Sun 9am CST      facebook  0 3,15,22 * * *
            20h 00m  Sun 2027-11-07 20:00  Sun 2pm CST      analyzer  0 2,14,20 * * *
            22h 00m  Sun 2027-11-07 22:00  Sun 4pm CST      facebook  0 3,15,22 * * *

            live: not compared, as no cloud can be asked (a token, or `--cloud local`)"#]],
    );
}

#[test]
fn what_is_rare_or_frequent_and_a_narrow_window() {
    let crons = made(
        &[
            ("a", "*/10 * * * *"),
            ("b", "0 18 * * 6L"),
            ("c", "0 0 31 11 *"),
            ("d", "5 18 27 * *"),
            ("d", "30 23 * * *"),
        ],
        None,
        3,
    );
    check(
        &crons,
        70,
        expect![[r#"
            cron triggers on Tue 2026-11-24, UTC; below each time: America/Chicago (CST, UTC-6)

            UTC  00:00       06:00       12:00       18:00       24:00
            a    ●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●◆│
                 144 runs
            b    │───────────┼───────────┼───────────○───────────│
                                                     18:00
                                                     12pm
            c    │───────────┼───────────┼───────────┼───────────│
            d    │───────────┼───────────┼───────────○──────────◆│
                                                     18:05      23:30
                                                     12:05pm    5:30pm

            ● fires   ◆ fires together with another worker   ○ fires on other days only

            clocks: from Sun 2027-03-14 08:00 UTC on it is CDT (UTC-5) instead of CST (UTC-6): 00:00 UTC is 6pm until then, 7pm from then on

            triggers
            worker  cron          utc        local        next              in
            a       */10 * * * *  144 a day  -            Tue 2026-11-24 …  5m
            b       0 18 * * 6L   18:00      12pm CST     Fri 2026-11-27 …  3d
            c       0 0 31 11 *   00:00      6pm CST      never             -
            d       5 18 27 * *   18:05      12:05pm CST  Fri 2026-11-27 …  3d
            d       30 23 * * *   23:30      5:30pm CST   Tue 2026-11-24 …  6h 15m

            together
            workers  utc    how often       next
            a, d     23:30  every day       Tue 2026-11-24 23:30
            a, b     18:00  12 days a year  Fri 2026-11-27 18:00

            next runs
            in   utc                   America/Chicago  worker  cron
            5m   Tue 2026-11-24 17:20  Tue 11:20am CST  a       */10 * * * *
            15m  Tue 2026-11-24 17:30  Tue 11:30am CST  a       */10 * * * *
            25m  Tue 2026-11-24 17:40  Tue 11:40am CST  a       */10 * * * *

            live: not compared, as no cloud can be asked (a token, or `--cloud local`)"#]],
    );
    check(
        &made(&[], None, 3),
        100,
        expect![[r#"
        cron triggers on Tue 2026-11-24, UTC; below each time: America/Chicago (CST, UTC-6)

        no worker has a cron trigger

        clocks: from Sun 2027-03-14 08:00 UTC on it is CDT (UTC-5) instead of CST (UTC-6)

        live: not compared, as no cloud can be asked (a token, or `--cloud local`)"#]],
    );
}

#[test]
fn what_is_live_is_compared() {
    let mut crons = made(&[("a", "0 2 * * *"), ("a", "0 4 * * *")], None, 1);
    crons.schedules[0].live = Some(true);
    crons.schedules[1].live = Some(false);
    let extra = Schedule {
        text: "0 0 * * FRI-SUN".to_owned(),
        cron: None,
        in_repo: false,
        live: Some(true),
        ..crons.schedules[0].clone()
    };
    crons.schedules.push(extra);
    let live = BTreeSet::from(["0 2 * * *".to_owned(), "0 0 * * FRI-SUN".to_owned()]);
    crons.live = LiveCrons::Known(BTreeMap::from([("the-a".to_owned(), live)]));
    check(
        &crons,
        100,
        expect![[r#"
            cron triggers on Tue 2026-11-24, UTC; below each time: America/Chicago (CST, UTC-6)

            UTC  00:00             06:00             12:00             18:00             24:00
            a    │─────●─────●─────┼─────────────────┼─────────────────┼─────────────────│
                       02:00 04:00
                       8pm   10pm

            ● fires

            clocks: from Sun 2027-03-14 08:00 UTC on it is CDT (UTC-5) instead of CST (UTC-6): 02:00 UTC is 8pm until then, 9pm from then on

            triggers
            worker  cron             utc             local     next                  in       live
            a       0 2 * * *        02:00           8pm CST   Wed 2026-11-25 02:00  8h 45m   yes
            a       0 4 * * *        04:00           10pm CST  Wed 2026-11-25 04:00  10h 45m  missing
            a       0 0 * * FRI-SUN  not understood  -         -                     -        only live

            next runs
            in      utc                   America/Chicago  worker  cron
            8h 45m  Wed 2026-11-25 02:00  Tue 8pm CST      a       0 2 * * *

            warning: a has no `0 4 * * *` live: the config asks for it

            warning: a has `0 0 * * FRI-SUN` live: the config does not ask for it"#]],
    );
    crons.live = LiveCrons::Unknown(Some("Cloudflare did not answer".to_owned()));
    crons.schedules.truncate(1);
    crons.schedules[0].live = None;
    check(
        &crons,
        100,
        expect![[r#"
            cron triggers on Tue 2026-11-24, UTC; below each time: America/Chicago (CST, UTC-6)

            UTC  00:00             06:00             12:00             18:00             24:00
            a    │─────●───────────┼─────────────────┼─────────────────┼─────────────────│
                       02:00
                       8pm

            ● fires

            clocks: from Sun 2027-03-14 08:00 UTC on it is CDT (UTC-5) instead of CST (UTC-6): 02:00 UTC is 8pm until then, 9pm from then on

            triggers
            worker  cron       utc    local    next                  in
            a       0 2 * * *  02:00  8pm CST  Wed 2026-11-25 02:00  8h 45m

            next runs
            in      utc                   America/Chicago  worker  cron
            8h 45m  Wed 2026-11-25 02:00  Tue 8pm CST      a       0 2 * * *

            warning: what is live is not known: Cloudflare did not answer"#]],
    );
}

#[test]
fn programs_get_the_times_in_both_zones() {
    let triggers = [("a", "0 2 * * *"), ("b", "0 2,8 * * *")];
    let crons = made(&triggers, Some("2027-03-14"), 1);
    let document = crons.report(100).json();
    let local = |time: &str, zone: &str| json!({"time": time, "zone": zone});
    let before =
        json!({"utc": "2027-03-14T02:00:00Z", "local": local("2027-03-13T20:00:00-06:00", "CST")});
    let after =
        json!({"utc": "2027-03-14T08:00:00Z", "local": local("2027-03-14T03:00:00-05:00", "CDT")});
    assert_eq!(
        document["schedules"][1],
        json!({"worker": "b", "script": "the-b", "cron": "0 2,8 * * *", "times": ["02:00", "08:00"], "daily": true,
               "in_repo": true, "live": null, "on_day": [before, after], "next": before})
    );
    let who = json!([{"worker": "a", "cron": "0 2 * * *"}, {"worker": "b", "cron": "0 2,8 * * *"}]);
    assert_eq!(
        document["together"],
        json!([{"triggers": who, "times": ["02:00"], "days_of_next_366": 366, "next": before}])
    );
    assert_eq!(document["next"][0]["cron"], "0 2 * * *");
    assert_eq!(document["clock_change"]["to"], "CDT");
    assert_eq!(document["live"], json!({"known": false, "why": null}));
}
