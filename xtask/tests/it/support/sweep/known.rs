//! The points of a sweep that a verb once did not survive, and those that guard data: every run of the tests tries them.
//! Their requests are told by name, so nothing is recorded first; one whose request never comes is a failure.

use std::time::Instant;

use super::{Point, Settings, Sweep, tell, try_all};

/// Tries the known points and nothing else, in their order and in one world.
pub fn known<S: Sweep>(subject: &S) {
    let started = Instant::now();
    let scenarios = subject.scenarios();
    let read = |text: &&str| {
        Point::read(text, &scenarios).unwrap_or_else(|| panic!("`{text}` is no point of a sweep"))
    };
    let points: Vec<Point> = subject.regressions().iter().map(read).collect();
    let of = points.len();
    let settings = Settings::for_all();
    let tried = try_all(subject, vec![None], points, &settings, None);
    tell(&settings, &tried, of, started);
    let missed: Vec<&str> = tried
        .iter()
        .filter(|one| one.missed)
        .map(|one| one.point.as_str())
        .collect();
    assert!(missed.is_empty(), "other requests are made now: {missed:?}");
}
