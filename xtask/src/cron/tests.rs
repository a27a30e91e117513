//! Expressions, judged and evaluated; most of it against answers of Cloudflare's own parser.

use super::*;

fn cron(text: &str) -> Cron {
    Cron::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn noon() -> Moment {
    Day::new(2026, 11, 24).expect("a day").at(12 * 60)
}

/// The next five times, as the file has them.
fn five(text: &str) -> String {
    let Ok(cron) = Cron::parse(text) else {
        return "refused".to_owned();
    };
    let mut then = noon().plus(-1);
    let mut times = Vec::new();
    while let Some(next) = cron.after(then).filter(|_| times.len() < 5) {
        times.push(next.to_string()[..16].to_owned());
        then = next;
    }
    match times.is_empty() {
        true => "never".to_owned(),
        false => times.join(" "),
    }
}

#[test]
fn the_next_times_are_those_that_cloudflares_own_parser_tells() {
    let mut count = 0;
    let answers = include_str!("tests/saffron.txt").lines();
    for line in answers.filter(|line| !line.starts_with('#')) {
        let (text, expected) = line.split_once(" | ").expect("an expression and an answer");
        assert_eq!(five(text), expected, "{text}");
        count += 1;
    }
    assert!(count > 90, "only {count} expressions");
}

#[test]
fn what_is_wrong_is_said() {
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
        ("0 0 * * 2#6", "its day of the week is not within 1 to 7"),
        (
            "*/0 * * * *",
            "its minute steps by something other than 1 to 59",
        ),
        (
            "0 0 * * */7",
            "its day of the week steps by something other than 1 to 6",
        ),
        (
            "*/x * * * *",
            "its minute steps by something other than 1 to 59",
        ),
        ("1, * * * *", "its minute is not within 0 to 59"),
        ("+1 * * * *", "its minute is not within 0 to 59"),
        ("5,* * * * *", "its minute has a `*` in a list"),
        (
            "0 5-2 * * *",
            "its hour runs backwards: write it as two ranges",
        ),
        (
            "0 0 * * FRI-SUN",
            "its day of the week runs backwards: write it as two ranges",
        ),
    ] {
        assert_eq!(Cron::parse(bad).expect_err(bad), why, "{bad}");
    }
    assert!(Cron::parse("  0  2 * * * ").is_ok());
}

#[test]
fn what_fires_every_day_is_told_from_what_does_not() {
    for daily in [
        "0 2 * * *",
        "0 2 1-31 * *",
        "0 2 * * 1-7",
        "0 2 5 * SUN-SAT",
        "0 2 */1 * 2",
    ] {
        assert!(cron(daily).is_daily(), "{daily}");
    }
    for not in [
        "0 2 1 * *",
        "0 2 * * MON-FRI",
        "0 2 * JAN-NOV *",
        "0 2 L * *",
        "0 2 * * 6L",
    ] {
        assert!(!cron(not).is_daily(), "{not}");
    }
}

fn met(triggers: &[(&str, &str)]) -> Vec<String> {
    let triggers: Vec<(String, String, Cron)> = triggers
        .iter()
        .map(|(owner, text)| ((*owner).to_owned(), (*text).to_owned(), cron(text)))
        .collect();
    meetings(&triggers, noon())
        .into_iter()
        .map(|meeting| {
            let who: Vec<&str> = meeting
                .who
                .iter()
                .map(|(owner, _)| owner.as_str())
                .collect();
            let (minutes, days) = (meeting.minutes.len(), meeting.days);
            format!(
                "{} {minutes}x on {days} days, next {}",
                who.join("+"),
                meeting.next
            )
        })
        .collect()
}

#[test]
fn those_that_fire_together_are_found() {
    let found = met(&[
        ("a", "0 2 * * *"),
        ("b", "0 2,14 * * *"),
        ("b", "0 2 * * 1"),
        ("c", "0 2 * * *"),
        ("c", "30 14 * * *"),
        ("d", "*/30 14 1 * *"),
    ]);
    expect_test::expect![[r#"
        a+b+c 1x on 366 days, next 2026-11-25T02:00:00Z
        a+b+c 1x on 52 days, next 2026-11-29T02:00:00Z
        b+d 1x on 12 days, next 2026-12-01T14:00:00Z
        c+d 1x on 12 days, next 2026-12-01T14:30:00Z"#]]
    .assert_eq(&found.join("\n"));
    // The same worker may fire twice in a minute, and what fires on other days never meets.
    assert!(met(&[("a", "0 2 * * *"), ("a", "0 * * * *")]).is_empty());
    assert!(met(&[("a", "0 2 * * 1"), ("b", "0 2 * * 2")]).is_empty());
}
