//! Who has the lease, and whether that one is still at work. Changes nothing.

use serde::Serialize;
use serde_json::Value;

use super::{Holder, Terms};
use crate::env::Env;
use crate::error::Fail;
use crate::github::RunState;

const PROCESS_GONE: &str = "its process is gone";

/// A lease as somebody has it, found in passing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// `name@host pid 123`.
    pub holder: String,
    /// The CI run, when there is one.
    pub run_url: Option<String>,
    /// Since when, RFC 3339.
    pub acquired_at: String,
    /// The seconds it lasts without a heartbeat; negative when it has expired.
    pub seconds_left: i64,
    /// Why nobody is at work with it any more; `None` when somebody may be.
    pub stale: Option<String>,
}

/// Selects the lease, for [`held`].
pub const HELD_SQL: &str =
    "SELECT *, expires_at - unixepoch() AS seconds_left FROM xtask_lease WHERE name = 'deploy'";

/// The lease in the row of [`HELD_SQL`], and whether its run is dead as far as this machine can tell.
pub fn held(rows: &[Value], env: &Env) -> Option<Held> {
    let row = rows.first()?;
    let seconds_left = row["seconds_left"].as_i64().unwrap_or(0);
    let stale = match process_is_gone(row, &Holder::of(env, "").name) {
        true => Some(PROCESS_GONE),
        false => (seconds_left < 0).then_some("it has expired"),
    };
    Some(Held {
        holder: text(row, "holder"),
        run_url: row["run_url"].as_str().map(str::to_owned),
        acquired_at: text(row, "acquired_at"),
        seconds_left,
        stale: stale.map(str::to_owned),
    })
}

/// `run` is what GitHub says of the holder's run, when it was asked.
pub(super) fn busy(row: &Value, run: Option<&RunState>) -> Fail {
    let mut fail = Fail::remote("another deploy is running").why(format!(
        "the lease is held by {} since {}",
        text(row, "holder"),
        text(row, "acquired_at")
    ));
    if let Some(url) = row["run_url"].as_str() {
        fail = fail.why(match run {
            Some(RunState::Going) => format!("{url} goes on"),
            Some(RunState::Unknown(why)) => {
                format!("{url}\nwhether that run still goes on could not be asked: {why}")
            }
            Some(RunState::Over(_)) | None => url.to_owned(),
        });
    }
    let left = row["seconds_left"].as_i64().unwrap_or(0).max(0);
    fail.fix(format!(
        "wait for it to end; without a heartbeat the lease expires in {left} s"
    ))
    .fix("or add `--steal-lock`   (only when you know that it is dead)")
}

/// Why the lease of `row` may be taken over; the error names its holder.
pub(super) fn takeover_reason(row: &Value, own: &str, terms: &Terms<'_>) -> Result<String, Fail> {
    if process_is_gone(row, own) {
        return Ok(PROCESS_GONE.to_owned());
    }
    if terms.steal {
        return Ok("--steal-lock".to_owned());
    }
    match row["run_url"].as_str().map(terms.run) {
        Some(RunState::Over(why)) => Ok(why),
        run => Err(busy(row, run.as_ref())),
    }
}

/// True when the holder is a process of this machine that does not run any more.
fn process_is_gone(row: &Value, own: &str) -> bool {
    let theirs = split_pid(&text(row, "holder"));
    let ours = split_pid(own).map(|(who, _)| who);
    theirs.is_some_and(|(who, pid)| Some(who) == ours && !process_is_alive(pid))
}

/// `name@host pid 123` → (`name@host`, 123).
fn split_pid(holder: &str) -> Option<(String, u32)> {
    let (who, pid) = holder.rsplit_once(" pid ")?;
    Some((who.to_owned(), pid.parse().ok()?))
}

#[expect(
    clippy::disallowed_methods,
    reason = "`ps` is asked one short question"
)]
fn process_is_alive(pid: u32) -> bool {
    if cfg!(target_os = "linux") {
        return std::path::Path::new(&format!("/proc/{pid}")).exists();
    }
    // When in doubt it is alive: the lease then waits for its expiry.
    let asked = std::process::Command::new("ps")
        .args(["-p", &pid.to_string()])
        .output();
    asked.is_ok_and(|output| output.status.success()) || cfg!(windows)
}

pub(super) fn text(row: &Value, field: &str) -> String {
    row[field].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;
    use serde_json::json;

    use super::*;
    use crate::interrupt::Interrupt;

    fn row(holder: &str) -> Value {
        json!({"holder": holder, "token": "t", "acquired_at": "2026-11-23T12:00:00Z", "seconds_left": 42,
               "run_url": "https://github.com/o/r/actions/runs/1/attempts/2"})
    }

    /// What becomes of a lease when GitHub says this of its run.
    fn judged(holder: &str, steal: bool, run: RunState) -> String {
        let interrupt = Interrupt::detached();
        let terms = Terms {
            expiry: Duration::from_secs(60),
            steal,
            interrupt: &interrupt,
            run: &|url| {
                assert_eq!(url, "https://github.com/o/r/actions/runs/1/attempts/2");
                run.clone()
            },
        };
        match takeover_reason(&row(holder), "ana@laptop pid 1", &terms) {
            Ok(why) => why,
            Err(fail) => fail.to_string(),
        }
    }

    #[test]
    fn only_a_dead_process_of_this_machine_is_replaced_without_asking() {
        let alive = format!("ana@laptop pid {}", std::process::id());
        let busy = |judged: String| assert!(judged.starts_with("another deploy"), "{judged}");
        let dead = "ana@laptop pid 4194999";
        assert_eq!(judged(dead, false, RunState::Going), "its process is gone");
        busy(judged(&alive, false, RunState::Going));
        let other = "bob@other pid 4194999";
        busy(judged(other, false, RunState::Going));
        assert_eq!(judged(other, true, RunState::Going), "--steal-lock");
        // A row somebody wrote by hand names no process: it can be stolen all the same.
        busy(judged("somebody", false, RunState::Going));
        assert_eq!(judged("somebody", true, RunState::Going), "--steal-lock");
        let over = || RunState::Over("its run on GitHub is over: cancelled".to_owned());
        assert_eq!(
            judged(other, false, over()),
            "its run on GitHub is over: cancelled"
        );
        busy(judged(other, false, RunState::Unknown("no".to_owned())));
    }

    #[test]
    fn a_lease_nobody_works_with_is_stale() {
        let env = Env::from_vars(Default::default(), false, std::path::PathBuf::from("/repo"));
        let stale = |holder: &str, seconds_left: i64| {
            let mut row = row(holder);
            row["seconds_left"] = json!(seconds_left);
            held(&[row], &env).expect("a lease").stale
        };
        assert_eq!(stale("bob@other pid 7", 42), None);
        let expired = stale("bob@other pid 7", -1);
        assert_eq!(expired.as_deref(), Some("it has expired"));
        let own = Holder::of(&env, "").name;
        let (who, _) = split_pid(&own).expect("it names its process");
        let gone = stale(&format!("{who} pid 4194999"), 42);
        assert_eq!(gone.as_deref(), Some("its process is gone"));
        assert_eq!(held(&[], &env), None);
    }

    #[test]
    fn a_busy_lease_names_its_holder() {
        let other = "bob@other pid 7";
        expect![[r#"
            another deploy is running
              why: the lease is held by bob@other pid 7 since 2026-11-23T12:00:00Z
                   https://github.com/o/r/actions/runs/1/attempts/2 goes on
              fix: wait for it to end; without a heartbeat the lease expires in 42 s
                   or add `--steal-lock`   (only when you know that it is dead)"#]]
        .assert_eq(&judged(other, false, RunState::Going));
        let unknown = RunState::Unknown("GITHUB_TOKEN is not set".to_owned());
        expect![[r#"
            another deploy is running
              why: the lease is held by bob@other pid 7 since 2026-11-23T12:00:00Z
                   https://github.com/o/r/actions/runs/1/attempts/2
                   whether that run still goes on could not be asked: GITHUB_TOKEN is not set
              fix: wait for it to end; without a heartbeat the lease expires in 42 s
                   or add `--steal-lock`   (only when you know that it is dead)"#]]
        .assert_eq(&judged(other, false, unknown));
        let mut row = row(other);
        row["run_url"] = Value::Null;
        expect![[r#"
            another deploy is running
              why: the lease is held by bob@other pid 7 since 2026-11-23T12:00:00Z
              fix: wait for it to end; without a heartbeat the lease expires in 42 s
                   or add `--steal-lock`   (only when you know that it is dead)"#]]
        .assert_eq(&busy(&row, None).to_string());
    }
}
