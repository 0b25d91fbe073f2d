//! How long a call may wait, and what a polling one may do only once in a while.

use std::time::Duration;

use crate::sync::plain::AtomicU64;
use crate::sync::plain::Ordering::Relaxed;
use crate::sysv::time::{self, Deadline};

/// How long a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocking {
    Never,
    For(Duration),
    Forever,
}

impl Blocking {
    /// Counted from here; the fast path has no time to look at the clock. A time beyond the clock's
    /// reach is for ever.
    pub(crate) fn deadline(self) -> Option<Deadline> {
        match self {
            Blocking::Never => Deadline::after(Duration::ZERO),
            Blocking::For(time) => Deadline::after(time),
            Blocking::Forever => None,
        }
    }
}

/// Lets something costly happen once in a while.
#[derive(Debug)]
pub(crate) struct Throttle {
    every_ns: u64,
    next_ns: AtomicU64,
}

impl Throttle {
    pub(crate) fn every(time: Duration) -> Throttle {
        Throttle { every_ns: time.as_nanos() as u64, next_ns: AtomicU64::new(0) }
    }

    /// Whether it is time; then not again for a while.
    pub(crate) fn is_due(&self) -> bool {
        let due = self.is_past();
        if due {
            self.done();
        }
        due
    }

    /// Whether it is time; by a clock that is cheap and a few milliseconds coarse.
    pub(crate) fn is_past(&self) -> bool {
        time::coarse_ns() >= self.next_ns.load(Relaxed)
    }

    /// It was done: not again for a while.
    pub(crate) fn done(&self) {
        self.next_ns.store(time::coarse_ns() + self.every_ns, Relaxed);
    }
}

impl Default for Throttle {
    /// As often as a polling call looks at who lives.
    fn default() -> Throttle {
        Throttle::every(Duration::from_millis(1))
    }
}
