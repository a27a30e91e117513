//! Ctrl-C and friends, as a question the rest can ask. Knows process groups by number, not what runs in them.
//!
//! The first SIGINT, SIGTERM or SIGHUP raises a flag; the runner sees it, ends what runs and lets the stage tidy up.
//! A second SIGINT kills every child and leaves at once with 130. A SIGTERM never counts as the second: GitHub sends
//! it 7.5 seconds after its SIGINT, and a roll-back that is under way needs the seconds that remain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

/// How many process groups can be registered at once; more run, but a second Ctrl-C would not kill those.
const GROUPS_MAX: usize = 256;

static REQUESTED: AtomicBool = AtomicBool::new(false);
static SIGNALS: AtomicU32 = AtomicU32::new(0);
static GROUPS: [AtomicI32; GROUPS_MAX] = [const { AtomicI32::new(0) }; GROUPS_MAX];

/// Whether the person (or the CI) wants the run to end.
#[derive(Clone, Debug)]
pub struct Interrupt {
    /// Set only in tests: a flag of its own instead of the one that signals raise.
    detached: Option<Arc<AtomicBool>>,
}

impl Interrupt {
    /// Catches the signals from now on; calling it again changes nothing.
    pub fn install() -> Interrupt {
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            catch(signal);
        }
        Interrupt { detached: None }
    }

    /// The flag that signals raise, whether they are caught yet or not.
    pub fn of_process() -> Interrupt {
        Interrupt { detached: None }
    }

    /// A flag that only [`Interrupt::request`] raises, for tests and for callers that own their signals.
    pub fn detached() -> Interrupt {
        Interrupt {
            detached: Some(Arc::new(AtomicBool::new(false))),
        }
    }

    /// True once the run should end.
    pub fn requested(&self) -> bool {
        self.flag().load(Ordering::SeqCst)
    }

    /// Raises the flag, as the first signal does.
    pub fn request(&self) {
        self.flag().store(true, Ordering::SeqCst);
    }

    /// Lowers the flag, so that the roll-back after a Ctrl-C can run steps again. The next SIGINT still counts as the
    /// second one.
    pub fn reset(&self) {
        self.flag().store(false, Ordering::SeqCst);
    }

    fn flag(&self) -> &AtomicBool {
        self.detached.as_deref().unwrap_or(&REQUESTED)
    }
}

/// A process group that a second Ctrl-C kills, for as long as this value lives.
#[derive(Debug)]
pub struct GroupGuard {
    slot: Option<usize>,
}

/// Registers a process group with the signal handler.
pub fn guard_group(group: i32) -> GroupGuard {
    assert!(group > 1, "{group} is not a process group of ours");
    let slot = GROUPS.iter().position(|slot| {
        slot.compare_exchange(0, group, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    });
    GroupGuard { slot }
}

impl Drop for GroupGuard {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            GROUPS[slot].store(0, Ordering::SeqCst);
        }
    }
}

#[expect(
    unsafe_code,
    reason = "the handler only touches atomics and calls async-signal-safe functions"
)]
fn catch(signal: i32) {
    let handler = on_signal as extern "C" fn(i32);
    // SAFETY: the struct is fully initialised, the handler has the C calling convention and lives for ever.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}

#[expect(unsafe_code, reason = "kill, write and _exit are async-signal-safe")]
extern "C" fn on_signal(signal: i32) {
    let earlier = SIGNALS.fetch_add(1, Ordering::SeqCst);
    if earlier == 0 {
        REQUESTED.store(true, Ordering::SeqCst);
        return;
    }
    if signal != libc::SIGINT {
        return;
    }
    for slot in &GROUPS {
        let group = slot.load(Ordering::SeqCst);
        if group > 1 {
            // SAFETY: kill has no memory effects; a group that is gone answers ESRCH.
            unsafe { libc::kill(-group, libc::SIGKILL) };
        }
    }
    let text = b"\nkilled by a second Ctrl-C; run the same command again to converge\n";
    // SAFETY: the buffer is a static byte string; _exit does not return.
    unsafe {
        libc::write(2, text.as_ptr().cast(), text.len());
        libc::_exit(130);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detached_flag_is_its_own() {
        let (one, other) = (Interrupt::detached(), Interrupt::detached());
        one.request();
        assert!(one.requested() && !other.requested());
        one.reset();
        assert!(!one.requested());
    }

    #[test]
    fn a_group_leaves_its_slot_when_the_guard_goes() {
        let guard = guard_group(999_999);
        let slot = guard.slot.expect("a slot is free");
        assert_eq!(GROUPS[slot].load(Ordering::SeqCst), 999_999);
        drop(guard);
        assert_eq!(GROUPS[slot].load(Ordering::SeqCst), 0);
    }
}
