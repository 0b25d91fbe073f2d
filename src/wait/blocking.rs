//! The blocking mode of a call, and a rate limit for costly checks in non-blocking calls.

use std::time::Duration;

use crate::sync::plain::AtomicU64;
use crate::sync::plain::Ordering::Relaxed;
use crate::sysv::time::{self, Deadline};

/// The blocking mode of a call: how long it may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocking {
    /// The same as `Never`, without arming a doorbell.
    #[cfg_attr(not(feature = "async"), expect(dead_code, reason = "tasks glance"))]
    Glance,
    Never,
    For(Duration),
    Forever,
}

impl Blocking {
    /// Returns whether the call may wait at all.
    pub(crate) fn may_wait(self) -> bool {
        !matches!(self, Blocking::Glance | Blocking::Never)
    }

    /// Returns the deadline, counted from this call; the fast path does not read the clock. A
    /// timeout beyond the range of the clock never expires.
    pub(crate) fn deadline(self) -> Option<Deadline> {
        match self {
            Blocking::Glance | Blocking::Never => Deadline::after(Duration::ZERO),
            Blocking::For(time) => Deadline::after(time),
            Blocking::Forever => None,
        }
    }
}

/// A rate limit for a costly operation.
#[derive(Debug)]
pub(crate) struct Throttle {
    every_ns: u64,
    next_ns: AtomicU64,
}

impl Throttle {
    pub(crate) fn every(time: Duration) -> Throttle {
        Throttle { every_ns: time.as_nanos() as u64, next_ns: AtomicU64::new(0) }
    }

    /// Returns whether the operation is due, and if so postpones the next one by the interval.
    pub(crate) fn is_due(&self) -> bool {
        let due = self.is_past();
        if due {
            self.done();
        }
        due
    }

    /// Returns whether the operation is due, by a cheap clock with a resolution of a few
    /// milliseconds.
    pub(crate) fn is_past(&self) -> bool {
        time::coarse_ns() >= self.next_ns.load(Relaxed)
    }

    /// Returns whether the operation was ever done.
    pub(crate) fn was_done(&self) -> bool {
        self.next_ns.load(Relaxed) != 0
    }

    /// Records that the operation was done: the next one is due after the interval.
    pub(crate) fn done(&self) {
        self.next_ns.store(time::coarse_ns().saturating_add(self.every_ns), Relaxed);
    }
}

impl Default for Throttle {
    /// The interval of the liveness checks of a non-blocking call.
    fn default() -> Throttle {
        Throttle::every(Duration::from_millis(1))
    }
}
