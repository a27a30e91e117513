//! One deploy at a time, across laptops and CI: a row in the database with a holder, an expiry and a heartbeat.

mod judge;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::env::Env;
use crate::github::{RunState, event};
use crate::interrupt::Interrupt;
use crate::ledger::Database;

pub use self::judge::{HELD_SQL, Held, held};
use self::judge::{busy, takeover_reason, text};

/// Who wants, or has, the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// `name@host pid 123`: names the process, so that a dead one on this machine is recognised.
    pub name: String,
    /// The CI run, when there is one.
    pub run_url: Option<String>,
    /// Which attempt of the run it is.
    pub attempt: Option<u64>,
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
        let attempt = env.var("GITHUB_RUN_ATTEMPT");
        let started = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Holder {
            name: format!("{who}@{host} pid {}", std::process::id()),
            run_url: event::run_url(env),
            attempt: attempt.and_then(|number| number.parse().ok()),
            token: format!(
                "{release}-{:x}-{:x}",
                std::process::id(),
                started.as_nanos()
            ),
        }
    }

    /// The address of this very attempt of the CI run: an earlier one may be over while its run goes on.
    fn attempt_url(&self) -> Option<String> {
        let url = self.run_url.as_ref()?;
        Some(match self.attempt {
            Some(attempt) => format!("{url}/attempts/{attempt}"),
            None => url.clone(),
        })
    }
}

/// On what terms a lease is taken.
pub struct Terms<'a> {
    /// How long it lasts without a heartbeat.
    pub expiry: Duration,
    /// Take it whoever has it.
    pub steal: bool,
    /// Raised when somebody else takes it.
    pub interrupt: &'a Interrupt,
    /// Tells of the CI run at an address whether it is still going.
    pub run: &'a dyn Fn(&str) -> RunState,
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

/// Takes the lease. A lease that expired, whose process on this machine is gone or whose CI run is over, is taken over with
/// a notice; `steal` takes any other. The database's clock decides, so that no two machines' clocks need to agree.
pub fn acquire(database: &Database, holder: &Holder, terms: &Terms<'_>) -> anyhow::Result<Lease> {
    let expiry = terms.expiry;
    let mut notice = None;
    if let Some(row) = insert(database, holder, expiry, None)? {
        let why = takeover_reason(&row, &holder.name, terms)?;
        notice = Some(format!(
            "took the deploy lease over from {} ({why})",
            text(&row, "holder")
        ));
        // Only the very lease that was judged is taken: a third run may have been quicker.
        if let Some(row) = insert(database, holder, expiry, Some(&text(&row, "token")))? {
            return Err(busy(&row, None).into());
        }
    }
    Ok(start(database, holder, notice, terms))
}

/// Writes the row of a lease that is held again, after the database that keeps it went back in time.
pub fn reclaim(database: &Database, holder: &Holder, expiry: Duration) -> anyhow::Result<()> {
    let sql = "INSERT OR REPLACE INTO xtask_lease (name, token, holder, run_url, acquired_at, expires_at) \
               VALUES ('deploy', ?1, ?2, ?3, ?4, unixepoch() + ?5)";
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let params = [
        json!(holder.token),
        json!(holder.name),
        json!(holder.attempt_url()),
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
        json!(holder.attempt_url()),
        json!(now),
        json!(expiry.as_secs()),
        json!(replace.unwrap_or_default()),
    ];
    if !database.write(sql, &params)?.is_empty() {
        return Ok(None);
    }
    Ok(database.read(HELD_SQL)?.into_iter().next())
}

fn start(database: &Database, holder: &Holder, notice: Option<String>, terms: &Terms<'_>) -> Lease {
    let expiry = terms.expiry;
    let (stop, stopped) = mpsc::channel::<()>();
    let lost = Arc::new(AtomicBool::new(false));
    let beat = {
        let (database, token, lost, interrupt) = (
            database.clone(),
            holder.token.clone(),
            Arc::clone(&lost),
            terms.interrupt.clone(),
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
