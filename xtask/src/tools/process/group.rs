//! Process groups: given to a program at its start, signalled as a whole at its end.

use std::os::unix::process::CommandExt as _;
use std::time::{Duration, Instant};

use crate::run::Io;

/// How long a group may take to end by itself once it was asked to.
const TERM_GRACE: Duration = Duration::from_secs(2);

/// The way a program is brought to its end: asked first, killed when it does not listen.
pub(super) struct Ending {
    group: i32,
    deadline: Option<Instant>,
    pub(super) killed: Option<&'static str>,
    kill_at: Option<Instant>,
}

impl Ending {
    pub(super) fn new(group: i32, deadline: Option<Instant>) -> Ending {
        Ending {
            group,
            deadline,
            killed: None,
            kill_at: None,
        }
    }

    /// Looks whether it is time for the next signal.
    pub(super) fn glance(&mut self, io: &Io) {
        let now = Instant::now();
        if let Some(kill_at) = self.kill_at {
            if now >= kill_at {
                signal_group(self.group, libc::SIGKILL);
            }
            return;
        }
        self.killed = if io.interrupted() {
            Some("interrupt")
        } else if self.deadline.is_some_and(|deadline| now >= deadline) {
            Some("timeout")
        } else {
            return;
        };
        io.line(&format!(
            "ending the program: {}",
            self.killed.unwrap_or_default()
        ));
        signal_group(self.group, libc::SIGTERM);
        self.kill_at = Some(now + TERM_GRACE);
    }
}

#[expect(
    unsafe_code,
    reason = "killpg has no counterpart in the standard library"
)]
pub(super) fn signal_group(group: i32, signal: i32) {
    assert!(group > 1, "{group} is not a process group of ours");
    // SAFETY: kill has no memory effects; a group that is gone answers ESRCH, which is what we want anyway.
    unsafe { libc::kill(-group, signal) };
}

/// Gives the program a process group of its own, and on Linux ends it when xtask itself is killed.
pub(super) fn own_group(child: &mut std::process::Command) {
    child.process_group(0);
    #[cfg(target_os = "linux")]
    die_with_parent(child);
}

#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "prctl has no counterpart in the standard library"
)]
fn die_with_parent(child: &mut std::process::Command) {
    let parent = std::process::id().cast_signed();
    // SAFETY: prctl, getppid and _exit are async-signal-safe, and nothing is allocated between fork and exec.
    // The signal follows the *thread* that spawned; it waits for the program, so it lives as long.
    unsafe {
        child.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            if libc::getppid() != parent {
                libc::_exit(143);
            }
            Ok(())
        });
    }
}

#[expect(
    unsafe_code,
    reason = "setsid has no counterpart in the standard library"
)]
pub(super) fn own_session(child: &mut std::process::Command) {
    // SAFETY: setsid is async-signal-safe, and nothing is allocated between fork and exec.
    unsafe {
        child.pre_exec(|| {
            libc::setsid();
            Ok(())
        });
    }
}
