//! Pauses before something is tried again. `XTASK_PAUSES` multiplies all of them: tests that let every attempt fail set a
//! small number. Knows nothing of what is tried.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::interrupt::Interrupt;

/// How long a signal may go unnoticed.
const LOOK_EVERY: Duration = Duration::from_millis(50);

static FACTOR: OnceLock<f64> = OnceLock::new();

/// Sets the factor for the rest of the process. What is no number between 0 and 1 leaves the pauses as they are.
pub fn scale(factor: Option<&str>) {
    if let Some(factor) = factor.and_then(read) {
        // Set once, at the start; a second call changes nothing.
        let _ = FACTOR.set(factor);
    }
}

fn read(text: &str) -> Option<f64> {
    let factor = text.parse().ok()?;
    (0.0..=1.0).contains(&factor).then_some(factor)
}

/// A pause as this process makes it.
pub fn scaled(pause: Duration) -> Duration {
    FACTOR.get().map_or(pause, |factor| pause.mul_f64(*factor))
}

/// Waits that long, or until a signal asks for the end of the run.
pub fn wait(pause: Duration) {
    let until = Instant::now() + scaled(pause);
    let interrupt = Interrupt::of_process();
    while !interrupt.requested() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(LOOK_EVERY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_share_is_taken() {
        assert_eq!(read("0.1"), Some(0.1));
        for text in ["", "x", "-1", "2", "NaN", "inf"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn without_a_factor_pauses_are_whole() {
        assert_eq!(scaled(Duration::from_secs(2)), Duration::from_secs(2));
    }
}
