//! One deploy at a time, across laptops and CI: a row in the database with a holder, an expiry and a heartbeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Value, json};

use crate::env::Env;
use crate::error::Fail;
use crate::interrupt::Interrupt;
use crate::ledger::Database;

/// Who wants, or has, the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// `name@host pid 123`: names the process, so that a dead one on this machine is recognised.
    pub name: String,
    /// The CI run, when there is one.
    pub run_url: Option<String>,
    /// What makes this run different from every other.
    pub token: String,
}

impl Holder {
    /// This very process, at work on a release.
    pub fn of(env: &Env, release: &str) -> Holder {
        let who = env
            .var("GITHUB_ACTOR")
            .or_else(|| env.var("USER"))
            .unwrap_or("someone");
        let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
        let host = env
            .var("HOSTNAME")
            .map_or_else(|| host.trim().to_owned(), str::to_owned);
        let run_url = env.var("GITHUB_RUN_ID").and_then(|run| {
            let server = env.var("GITHUB_SERVER_URL")?;
            Some(format!(
                "{server}/{}/actions/runs/{run}",
                env.var("GITHUB_REPOSITORY")?
            ))
        });
        let started = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Holder {
            name: format!("{who}@{host} pid {}", std::process::id()),
            run_url,
            token: format!(
                "{release}-{:x}-{:x}",
                std::process::id(),
                started.as_nanos()
            ),
        }
    }
}

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
    let gone = takeover_reason(row, &Holder::of(env, "").name, false);
    let stale = match gone {
        Some(why) => Some(why.to_owned()),
        None => (seconds_left < 0).then(|| "it has expired".to_owned()),
    };
    Some(Held {
        holder: text(row, "holder"),
        run_url: row["run_url"].as_str().map(str::to_owned),
        acquired_at: text(row, "acquired_at"),
        seconds_left,
        stale,
    })
}

/// The lease, held until it is dropped.
pub struct Lease {
    database: Database,
    token: String,
    /// Something the person should know: from whom the lease was taken over, and why.
    pub notice: Option<String>,
    lost: Arc<AtomicBool>,
    stop: Option<Sender<()>>,
    heartbeat: Option<JoinHandle<()>>,
}

/// Takes the lease. A lease that expired, or whose process on this machine is gone, is taken over with a notice;
/// `steal` takes any other. The database's clock decides, so that no two machines' clocks need to agree.
pub fn acquire(
    database: &Database,
    holder: &Holder,
    expiry: Duration,
    steal: bool,
    interrupt: &Interrupt,
) -> anyhow::Result<Lease> {
    let mut notice = None;
    if let Some(row) = insert(database, holder, expiry, None)? {
        let why = takeover_reason(&row, &holder.name, steal).ok_or_else(|| busy(&row))?;
        notice = Some(format!(
            "took the deploy lease over from {} ({why})",
            text(&row, "holder")
        ));
        // Only the very lease that was judged is taken: a third run may have been quicker.
        if let Some(row) = insert(database, holder, expiry, Some(&text(&row, "token")))? {
            return Err(busy(&row).into());
        }
    }
    Ok(start(database, holder, expiry, notice, interrupt))
}

/// Writes the row of a lease that is held again, after the database that keeps it went back in time.
pub fn reclaim(database: &Database, holder: &Holder, expiry: Duration) -> anyhow::Result<()> {
    let sql = "INSERT OR REPLACE INTO xtask_lease (name, token, holder, run_url, acquired_at, expires_at) \
               VALUES ('deploy', ?1, ?2, ?3, ?4, unixepoch() + ?5)";
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let params = [
        json!(holder.token),
        json!(holder.name),
        json!(holder.run_url),
        json!(now),
        json!(expiry.as_secs()),
    ];
    database.write(sql, &params).map(drop)
}

/// Tries to take the lease; gives the row of the one who has it when that fails.
fn insert(
    database: &Database,
    holder: &Holder,
    expiry: Duration,
    replace: Option<&str>,
) -> anyhow::Result<Option<Value>> {
    let sql = "INSERT INTO xtask_lease (name, token, holder, run_url, acquired_at, expires_at) \
               VALUES ('deploy', ?1, ?2, ?3, ?4, unixepoch() + ?5) \
               ON CONFLICT (name) DO UPDATE SET token = excluded.token, holder = excluded.holder, \
               run_url = excluded.run_url, acquired_at = excluded.acquired_at, expires_at = excluded.expires_at \
               WHERE xtask_lease.expires_at < unixepoch() OR xtask_lease.token IN (excluded.token, ?6) \
               RETURNING token";
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let params = [
        json!(holder.token),
        json!(holder.name),
        json!(holder.run_url),
        json!(now),
        json!(expiry.as_secs()),
        json!(replace.unwrap_or_default()),
    ];
    if !database.write(sql, &params)?.is_empty() {
        return Ok(None);
    }
    Ok(database.read(HELD_SQL)?.into_iter().next())
}

fn start(
    database: &Database,
    holder: &Holder,
    expiry: Duration,
    notice: Option<String>,
    interrupt: &Interrupt,
) -> Lease {
    let (stop, stopped) = mpsc::channel::<()>();
    let lost = Arc::new(AtomicBool::new(false));
    let beat = {
        let (database, token, lost, interrupt) = (
            database.clone(),
            holder.token.clone(),
            Arc::clone(&lost),
            interrupt.clone(),
        );
        move || {
            while stopped.recv_timeout(expiry / 3) == Err(RecvTimeoutError::Timeout) {
                let sql = "UPDATE xtask_lease SET expires_at = unixepoch() + ?1 WHERE token = ?2 RETURNING token";
                // A heartbeat that gets no answer is tried again in a third of the expiry; one that finds another
                // holder means somebody stole the lease, and two deploys at once must not go on.
                if let Ok(rows) = database.write(sql, &[json!(expiry.as_secs()), json!(token)])
                    && rows.is_empty()
                {
                    lost.store(true, Ordering::SeqCst);
                    interrupt.request();
                    return;
                }
            }
        }
    };
    Lease {
        database: database.clone(),
        token: holder.token.clone(),
        notice,
        lost,
        stop: Some(stop),
        heartbeat: Some(std::thread::spawn(beat)),
    }
}

impl Lease {
    /// True when somebody else took the lease while we held it.
    pub fn lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Lease {
    /// Gives the lease back. When that fails it expires by itself, and the next run on this machine sees that the
    /// process is gone.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(heartbeat) = self.heartbeat.take() {
            let _ = heartbeat.join();
        }
        let _ = self.database.write(
            "DELETE FROM xtask_lease WHERE token = ?1",
            &[json!(self.token)],
        );
    }
}

fn busy(row: &Value) -> Fail {
    let mut fail = Fail::remote("another deploy is running").why(format!(
        "the lease is held by {} since {}",
        text(row, "holder"),
        text(row, "acquired_at")
    ));
    if let Some(url) = row["run_url"].as_str() {
        fail = fail.why(url);
    }
    let left = row["seconds_left"].as_i64().unwrap_or(0).max(0);
    fail.fix(format!(
        "wait for it to end; without a heartbeat the lease expires in {left} s"
    ))
    .fix("or add `--steal-lock`   (only when you know that it is dead)")
}

fn takeover_reason(row: &Value, own: &str, steal: bool) -> Option<&'static str> {
    let theirs = split_pid(&text(row, "holder"));
    let ours = split_pid(own).map(|(who, _)| who);
    if let (Some((who, pid)), Some(ours)) = (theirs, ours)
        && who == ours
        && !process_is_alive(pid)
    {
        return Some("its process is gone");
    }
    steal.then_some("--steal-lock")
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

fn text(row: &Value, field: &str) -> String {
    row[field].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn row(holder: &str) -> Value {
        json!({"holder": holder, "token": "t", "acquired_at": "2026-11-23T12:00:00Z", "seconds_left": 42,
               "run_url": "https://github.com/o/r/actions/runs/1"})
    }

    #[test]
    fn only_a_dead_process_of_this_machine_is_replaced_without_asking() {
        let alive = format!("ana@laptop pid {}", std::process::id());
        assert_eq!(
            takeover_reason(&row(&alive), "ana@laptop pid 1", false),
            None
        );
        assert_eq!(
            takeover_reason(&row("ana@laptop pid 4194999"), "ana@laptop pid 1", false),
            Some("its process is gone")
        );
        assert_eq!(
            takeover_reason(&row("bob@other pid 4194999"), "ana@laptop pid 1", false),
            None
        );
        assert_eq!(
            takeover_reason(&row("bob@other pid 4194999"), "ana@laptop pid 1", true),
            Some("--steal-lock")
        );
        // A row somebody wrote by hand names no process: it can be stolen all the same.
        let by_hand = row("somebody");
        assert_eq!(takeover_reason(&by_hand, "ana@laptop pid 1", false), None);
        assert_eq!(
            takeover_reason(&by_hand, "ana@laptop pid 1", true),
            Some("--steal-lock")
        );
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
        expect![[r#"
            another deploy is running
              why: the lease is held by bob@other pid 7 since 2026-11-23T12:00:00Z
                   https://github.com/o/r/actions/runs/1
              fix: wait for it to end; without a heartbeat the lease expires in 42 s
                   or add `--steal-lock`   (only when you know that it is dead)"#]]
        .assert_eq(&busy(&row("bob@other pid 7")).to_string());
    }
}
