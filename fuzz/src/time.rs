//! Detects inputs that take too long.

use std::time::{Duration, Instant};

use crate::sim_kernel;

/// Fails if an input takes longer than `limit` three times in a row. A busy machine delays an input
/// once; one that blocks does so every time.
pub(crate) fn within(limit: Duration, once: impl Fn()) {
    let late = (0..3).all(|_| {
        let start = Instant::now();
        sim_kernel::at_the_same_time(&once);
        start.elapsed() > limit
    });
    assert!(!late, "it takes longer than {limit:?}");
}
