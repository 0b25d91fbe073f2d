//! Mutation tests: members that are late, panic, crash or hang on purpose are detected.

use sysvring_support::test;

use crate::peer::{Flaw, watch_until};

/// The duration for each, in seconds.
const SECONDS: u64 = 1;

#[test]
fn late() {
    let seen = watch_until(0, SECONDS, Flaw::Late, |seen| seen.late > 0.0);
    assert!(seen.late > 0.0 && seen.latest_ms > 20.0, "{seen:?}");
    assert!(seen.failed == 0.0 && seen.stuck == 0.0, "{seen:?}");
}

#[test]
fn panicking() {
    let seen = watch_until(2, SECONDS, Flaw::Panicking, |seen| seen.failed > 0.0);
    assert!(seen.failed > 0.0, "{seen:?}");
}

#[test]
fn crashing() {
    let seen = watch_until(2, SECONDS, Flaw::Crashing, |seen| seen.failed > 0.0);
    assert!(seen.failed > 0.0, "{seen:?}");
}

#[test]
fn hanging() {
    let seen = watch_until(0, SECONDS, Flaw::Hanging, |seen| seen.stuck > 0.0);
    assert!(seen.stuck > 0.0, "{seen:?}");
}
