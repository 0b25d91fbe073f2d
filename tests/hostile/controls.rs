//! Members that are late, panic, crash or hang on purpose are seen.

use sysvring_support::tests;

use crate::peer::{Flaw, watch};

tests![late, panicking, crashing, hanging];

/// Of each, some seconds.
const SECONDS: u64 = 1;

fn late() {
    let seen = watch(0, SECONDS, Flaw::Late);
    assert!(seen.late > 0.0 && seen.latest_ms > 20.0, "{seen:?}");
    assert!(seen.failed == 0.0 && seen.stuck == 0.0, "{seen:?}");
}

fn panicking() {
    let seen = watch(2, SECONDS, Flaw::Panicking);
    assert!(seen.failed == 1.0, "{seen:?}");
}

fn crashing() {
    let seen = watch(2, SECONDS, Flaw::Crashing);
    assert!(seen.failed == 1.0, "{seen:?}");
}

fn hanging() {
    // As long as it takes to say that a call never returns.
    let seen = watch(0, 7, Flaw::Hanging);
    assert!(seen.stuck == 1.0, "{seen:?}");
}
