//! Elapsed time without the delays of the host, and limits for it.

use std::time::{Duration, Instant};

use crate::scheduler_noise;

/// Longer than it takes to wake six threads, and much shorter than the 200 milliseconds after which
/// a parked waiter polls.
pub const PROMPT: Duration = Duration::from_millis(80);

/// Long for a call that should return at once, and short for a test.
pub const MOMENT: Duration = Duration::from_millis(300);

/// A stopwatch for this thread, and for a child or another thread that it waits for.
pub struct Stopwatch {
    start: Instant,
    machine: scheduler_noise::Watch,
}

impl Stopwatch {
    /// Starts a stopwatch for this thread.
    pub fn start() -> Stopwatch {
        Stopwatch { start: Instant::now(), machine: scheduler_noise::Watch::start(&[]) }
    }

    /// Starts a stopwatch for this thread and the first thread of a process.
    pub fn with(other: i32) -> Stopwatch {
        Stopwatch { start: Instant::now(), machine: scheduler_noise::Watch::start(&[other as u32]) }
    }

    /// Returns the time since the start, without the delays of the host.
    pub fn took(&self) -> Duration {
        self.start.elapsed().saturating_sub(self.machine.allowance())
    }
}
