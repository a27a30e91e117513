//! A trace item as lines for people: what happened, then what the worker said and threw. Pure.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::ui::clean_line;

/// `17:05:12.345 GET https://… 200 ok`, then one line for each line that was logged or thrown.
pub(super) fn lines(item: &Value) -> Vec<String> {
    let mut lines = vec![format!(
        "{} {} {}",
        clock(&item["eventTimestamp"]),
        happened(&item["event"]),
        item["outcome"].as_str().unwrap_or("?")
    )];
    for log in list(&item["logs"]) {
        let words: Vec<String> = list(&log["message"]).map(word).collect();
        let text = match words.is_empty() {
            true => word(&log["message"]),
            false => words.join(" "),
        };
        let level = log["level"].as_str().unwrap_or("log");
        lines.extend(text.lines().map(|line| format!("  {level}: {line}")));
    }
    for thrown in list(&item["exceptions"]) {
        let name = thrown["name"].as_str().unwrap_or("Error");
        let text = thrown["message"].as_str().unwrap_or_default();
        lines.push(format!("  thrown: {name}: {text}"));
    }
    // A visitor chooses parts of this text: it must not reach the terminal as commands.
    lines.iter().map(|line| clean_line(line)).collect()
}

/// What called the worker.
fn happened(event: &Value) -> String {
    let request = &event["request"];
    if let Some(url) = request["url"].as_str() {
        let method = request["method"].as_str().unwrap_or("?");
        let status = event["response"]["status"].as_u64();
        let status = status
            .map(|status| format!(" {status}"))
            .unwrap_or_default();
        return format!("{method} {url}{status}");
    }
    if let Some(cron) = event["cron"].as_str() {
        return format!("cron `{cron}`");
    }
    if let Some(queue) = event["queue"].as_str() {
        return format!("queue {queue}");
    }
    if let Some(method) = event["rpcMethod"].as_str() {
        return format!("call of {method}");
    }
    if !event["scheduledTime"].is_null() {
        return "alarm".to_owned();
    }
    "event".to_owned()
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The time of day, UTC; of an item without one, nothing that looks like one.
fn clock(millis: &Value) -> String {
    let Some(millis) = millis.as_u64() else {
        return "--:--:--.---".to_owned();
    };
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(millis));
    let text = time.map(|time| humantime::format_rfc3339_millis(time).to_string());
    let text = text.unwrap_or_default();
    text.get(11..23).unwrap_or("--:--:--.---").to_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_event_is_a_line_and_what_it_said_is_below() {
        let items = [
            json!({"eventTimestamp": 1_795_539_912_345_u64, "outcome": "ok",
                   "event": {"request": {"method": "GET", "url": "https://a.test/x?\u{1b}[2J"}, "response": {"status": 200}},
                   "logs": [{"level": "log", "message": ["order", {"id": 7}]}, {"level": "warn", "message": ["two\nlines"]}]}),
            json!({"eventTimestamp": 1_795_539_912_345_u64, "outcome": "exception", "event": {"cron": "0 2 * * *"},
                   "exceptions": [{"name": "TypeError", "message": "no bread"}]}),
            json!({"outcome": "ok", "event": {"queue": "orders"}}),
            json!({"outcome": "ok", "event": {"rpcMethod": "add"}}),
            json!({"outcome": "ok", "event": {"scheduledTime": "2026-11-24T00:00:00Z"}}),
            json!({"outcome": "canceled", "event": null}),
            json!({"unreadable": "half an ev"}),
        ];
        let lines: Vec<String> = items.iter().flat_map(lines).collect();
        expect![[r#"
            17:05:12.345 GET https://a.test/x? 200 ok
              log: order {"id":7}
              warn: two
              warn: lines
            17:05:12.345 cron `0 2 * * *` exception
              thrown: TypeError: no bread
            --:--:--.--- queue orders ok
            --:--:--.--- call of add ok
            --:--:--.--- alarm ok
            --:--:--.--- event canceled
            --:--:--.--- event ?"#]]
        .assert_eq(&lines.join("\n"));
    }
}
