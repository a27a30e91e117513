//! What a running step may say and ask: lines, a note, whether to stop. Masks every word before it goes anywhere.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::interrupt::Interrupt;
use crate::mask::Mask;
use crate::ui::{Ui, clean_line};

/// How many of a step's lines are kept: enough for the tail of a failed build, bounded for a chatty one.
const LOG_LINES_MAX: usize = 1000;
/// Longer lines are cut: a minified bundle in an error message must not fill the report.
const LINE_CHARS_MAX: usize = 4000;
/// How often a sleeping step looks whether it should stop.
const NAP: Duration = Duration::from_millis(20);

/// The line sink of one step.
pub struct Io<'run> {
    id: &'run str,
    ui: &'run Ui,
    mask: Arc<Mask>,
    interrupt: Interrupt,
    attempt: AtomicU32,
    said: Mutex<Said>,
}

/// What a step has said so far.
#[derive(Default)]
pub(super) struct Said {
    pub(super) log: VecDeque<String>,
    pub(super) lines_dropped: usize,
    pub(super) note: Option<String>,
    pub(super) verdict: Option<Verdict>,
    pub(super) attached: Option<Value>,
}

/// What a step that succeeded says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Skipped,
    Cached,
    Doubtful,
}

impl<'run> Io<'run> {
    /// The sink of the step named `id`. Stages need it for programs they run outside a plan (while gathering).
    pub fn new(id: &'run str, ui: &'run Ui, interrupt: Interrupt) -> Io<'run> {
        Io {
            id,
            ui,
            mask: ui.mask(),
            interrupt,
            attempt: AtomicU32::new(1),
            said: Mutex::default(),
        }
    }

    /// Shows and keeps a line of output.
    pub fn line(&self, text: &str) {
        for line in text.lines() {
            self.masked_line(self.mask.apply(&clean_line(line)).into_owned());
        }
    }

    /// As [`Io::line`], for a line that is plain and masked already.
    pub(crate) fn masked_line(&self, mut line: String) {
        if let Some((cut, _)) = line.char_indices().nth(LINE_CHARS_MAX) {
            line.truncate(cut);
            line.push('…');
        }
        self.ui.step_line(self.id, &line);
        let mut said = self.said();
        if said.log.len() == LOG_LINES_MAX {
            said.log.pop_front();
            said.lines_dropped += 1;
        }
        said.log.push_back(line);
    }

    /// Sets the short result shown next to the step.
    pub fn note(&self, text: &str) {
        self.said().note = Some(self.mask.apply(&clean_line(text)).into_owned());
    }

    /// Keeps a value as the step's output, for a step that is going to fail: what it found must not be lost.
    pub fn attach(&self, output: Value) {
        self.said().attached = Some(output);
    }

    /// Says that there was nothing left to do after all; the step is reported as skipped.
    pub fn skipped(&self, why: &str) {
        self.note(why);
        self.said().verdict = Some(Verdict::Skipped);
    }

    /// Says that the result of an earlier run still holds; the step is reported as cached.
    pub fn cached(&self, why: &str) {
        self.note(why);
        self.said().verdict = Some(Verdict::Cached);
    }

    /// Says that nothing is known to be wrong, and not everything could be found out; the step is reported as a warning.
    pub fn doubtful(&self, why: &str) {
        self.note(why);
        self.said().verdict = Some(Verdict::Doubtful);
    }

    /// True once the step should end as soon as it can.
    pub fn interrupted(&self) -> bool {
        self.interrupt.requested()
    }

    /// Waits; false when the wait was cut short because the run should end.
    pub fn sleep(&self, duration: Duration) -> bool {
        let until = Instant::now() + duration;
        loop {
            if self.interrupted() {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(NAP));
        }
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt.load(Ordering::Relaxed)
    }

    /// What hides the secrets.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    pub(super) fn set_attempt(&self, attempt: u32) {
        self.attempt.store(attempt, Ordering::Relaxed);
        let mut said = self.said();
        said.note = None;
        said.verdict = None;
        said.attached = None;
    }

    pub(super) fn into_said(self) -> Said {
        self.said
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    /// The kept lines, with a word about those that were not kept.
    pub(super) fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::with_capacity(self.log.len() + 1);
        if self.lines_dropped > 0 {
            lines.push(format!("… {} earlier lines left out", self.lines_dropped));
        }
        lines.extend(self.log.drain(..));
        lines
    }
}

#[cfg(test)]
impl Io<'_> {
    /// The lines kept so far.
    pub(crate) fn log_now(&self) -> Vec<String> {
        self.said().log.iter().cloned().collect()
    }
}
