//! One run of `ci` at a time in one checkout. Steps write files that another run's steps would read or remove: bundles,
//! reports, a worker's `dist/`. Knows nothing of steps.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::context::Ctx;

/// How often a waiting run looks again.
const GLANCE: Duration = Duration::from_millis(50);

/// Waits until no other run works in this checkout, and keeps others out until this process is gone, however it ends.
/// A file system without locks is a warning to show.
pub(super) fn wait(ctx: &Ctx) -> Option<String> {
    let state = ctx.state();
    let locked = std::fs::create_dir_all(&state)
        .and_then(|()| File::create(state.join("ci.lock")))
        .and_then(|file| lock(ctx, file));
    locked.err().map(|error| {
        format!("another `ci` in this checkout would not be noticed: there is no lock: {error}")
    })
}

fn lock(ctx: &Ctx, file: File) -> std::io::Result<()> {
    let mut told = false;
    loop {
        match file.try_lock() {
            // The report is written after the stage has ended: only the end of the process ends the lock.
            Ok(()) => {
                std::mem::forget(file);
                return Ok(());
            }
            Err(TryLockError::WouldBlock) if ctx.interrupt.requested() => return Ok(()),
            Err(TryLockError::WouldBlock) => {
                if !told {
                    ctx.ui
                        .info("another `cargo xtask ci` works in this checkout; waiting for it");
                    told = true;
                }
                std::thread::sleep(GLANCE);
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Removes the report of the last run: should this one be killed, nobody must take that one's word for this one's.
pub(super) fn forget_the_last(state: &Path, stage: &str) {
    let _ = std::fs::remove_file(state.join(format!("reports/{stage}.json")));
}
