//! Elapsed time without the delays of the host, and limits for it.

use std::time::{Duration, Instant};

use crate::scheduler_noise;
use crate::shared_counters::now_ns;

/// Longer than it takes to wake six threads, and much shorter than the 200 milliseconds after which
/// a parked waiter polls.
pub const PROMPT: Duration = Duration::from_millis(80);

/// Long for a call that should return at once, and short for a test.
pub const MOMENT: Duration = Duration::from_millis(300);

/// How much longer than usual a busy host may take.
const BUSY: Duration = Duration::from_secs(100);

/// Returns whether a load that began at `start` goes on: for `time`, and on a busy host until enough
/// has happened. It is shorter than every watchdog, so that the caller can report what is missing.
pub fn goes_on(start: Instant, time: Duration, has_enough: bool) -> bool {
    let elapsed = start.elapsed();
    elapsed < time || !has_enough && elapsed < time + BUSY
}

/// When a call returned, and what the host excuses. The thread that made the call must record it,
/// because nobody else knows how long that thread had to wait for a processor.
#[derive(Debug)]
pub struct Return {
    at: u64,
    allowance: Duration,
}

impl Return {
    /// Makes a call, and records when it returned.
    pub fn of<R>(call: impl FnOnce() -> R) -> (R, Return) {
        let machine = scheduler_noise::Watch::start(&[]);
        let result = call();
        (result, Return { at: now_ns(), allowance: machine.allowance() })
    }

    /// Returns how long after `since`, on the monotonic clock, that was, without the delays of the
    /// host.
    pub fn after(&self, since: u64) -> Duration {
        Duration::from_nanos(self.at.saturating_sub(since)).saturating_sub(self.allowance)
    }
}

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
