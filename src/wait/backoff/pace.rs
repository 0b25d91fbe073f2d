//! How fast a stream is.

use crate::sync::plain::Ordering::Relaxed;
use crate::sync::plain::{AtomicU32, AtomicU64};

/// The number of times that a receiver catches up until the pace is known.
pub(super) const TIMES: u32 = 8;

/// Measures the time of a message. Threads that share a handle may disturb each other's measurements.
#[derive(Debug, Default)]
pub(super) struct Pace {
    times: AtomicU32,
    messages: AtomicU64,
    start_ns: AtomicU64,
}

impl Pace {
    /// Forgets what was counted.
    pub(super) fn restart(&self) {
        self.times.store(0, Relaxed);
    }

    /// Counts the messages since the last call: the receiver has caught up. Returns the time of a
    /// message in picoseconds if it has often enough, and begins anew.
    pub(super) fn count(&self, messages: u64, now_ns: impl FnOnce() -> u64) -> Option<u64> {
        let times = self.times.load(Relaxed);
        if times == 0 {
            // The messages that it has caught up with came before.
            self.begin(now_ns());
            return None;
        }
        let messages = self.messages.load(Relaxed).saturating_add(messages);
        if times + 1 < TIMES {
            self.messages.store(messages, Relaxed);
            self.times.store(times + 1, Relaxed);
            return None;
        }
        let now = now_ns();
        let took = now.saturating_sub(self.start_ns.load(Relaxed));
        self.begin(now);
        Some(took.saturating_mul(1_000) / messages.max(1))
    }

    fn begin(&self, now_ns: u64) {
        self.times.store(1, Relaxed);
        self.messages.store(0, Relaxed);
        self.start_ns.store(now_ns, Relaxed);
    }
}
