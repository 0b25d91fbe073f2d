//! How long a call may wait, and what a polling one may do only once in a while.

use std::time::Duration;

use crate::sync::plain::AtomicU64;
use crate::sync::plain::Ordering::Relaxed;
use crate::sysv::time::{self, Deadline};

/// How long a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all.
    Now,
    At(Duration),
    Forever,
}

impl Patience {
    /// Counted from here; the fast path has no time to look at the clock. A time beyond the clock's
    /// reach is for ever.
    pub(crate) fn deadline(self) -> Option<Deadline> {
        match self {
            Patience::Now => Deadline::after(Duration::ZERO),
            Patience::At(time) => Deadline::after(time),
            Patience::Forever => None,
        }
    }
}

/// Lets something costly happen once in a while.
#[derive(Debug)]
pub(crate) struct Seldom {
    every_ns: u64,
    next_ns: AtomicU64,
}

impl Seldom {
    pub(crate) fn every(time: Duration) -> Seldom {
        Seldom { every_ns: time.as_nanos() as u64, next_ns: AtomicU64::new(0) }
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

impl Default for Seldom {
    /// As often as a polling call looks at who lives.
    fn default() -> Seldom {
        Seldom::every(Duration::from_millis(1))
    }
}
