//! Time that counts: without what the machine was late.

use std::time::{Duration, Instant};

use sysvring_support::witness;

/// A stop watch for this thread, and for a child or another thread that it waits for.
pub struct Watch {
    start: Instant,
    machine: witness::Watch,
}

impl Watch {
    pub fn start() -> Watch {
        Watch { start: Instant::now(), machine: witness::Watch::start(&[]) }
    }

    pub fn with(other: i32) -> Watch {
        Watch { start: Instant::now(), machine: witness::Watch::start(&[other as u32]) }
    }

    /// The time since the start, without what the machine excuses.
    pub fn took(&self) -> Duration {
        self.start.elapsed().saturating_sub(self.machine.excuse())
    }
}
