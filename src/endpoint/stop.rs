//! Why a handle cannot go on, for all its threads: set once, without a lock.
//!
//! A signal handler may send or receive while it interrupts a call of the same handle that is about
//! to stop it. So no thread waits here for another: a thread that finds the reason half written
//! continues as if there were none, and a thread that comes second does not store its own reason.

use core::cell::UnsafeCell;

use crate::error::Fault;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU32, Tracked};

/// States. One thread moves it from the first to the second, and only that thread to the third.
const GOING: u32 = 0;
const WRITING: u32 = 1;
const STOPPED: u32 = 2;

/// The reason why a handle cannot go on, once there is one.
#[derive(Debug)]
pub(super) struct Stop {
    state: AtomicU32,
    tracked: Tracked,
    /// Written in state `WRITING`, read in state `STOPPED`.
    fault: UnsafeCell<Fault>,
}

// SAFETY: the fault is written by the one thread that moved the state to WRITING, before it moves
// it to STOPPED with Release, and read only by threads that saw STOPPED with Acquire.
unsafe impl Sync for Stop {}

impl Stop {
    pub(super) fn new() -> Stop {
        Stop {
            state: AtomicU32::new(GOING),
            tracked: Tracked::new(),
            fault: UnsafeCell::new(Fault::Closed),
        }
    }

    /// Returns whether there can be a reason: the check of the hot path. Relaxed: a thread that
    /// notices it one message later than another thread has done nothing wrong.
    #[inline(always)]
    pub(super) fn may_be_set(&self) -> bool {
        self.state.load(Relaxed) != GOING
    }

    /// Returns the reason, once it is completely written.
    #[cold]
    pub(super) fn get(&self) -> Option<Fault> {
        // Acquire: `may_be_set` orders nothing, and without this the state could be seen before the
        // reason that was written for it.
        (self.state.load(Acquire) == STOPPED).then(|| {
            self.tracked.reading();
            // SAFETY: written before STOPPED was stored, which we acquired, and never again.
            unsafe { *self.fault.get() }
        })
    }

    /// Stops for `fault`, unless there is a reason already, and returns the reason.
    #[cold]
    pub(super) fn set(&self, fault: Fault) -> Fault {
        if self.state.compare_exchange(GOING, WRITING, Relaxed, Relaxed).is_err() {
            return self.get().unwrap_or(fault);
        }
        self.tracked.writing();
        // SAFETY: no thread reads before STOPPED, and no other thread gets here.
        unsafe { *self.fault.get() = fault };
        // Release: publishes the reason.
        self.state.store(STOPPED, Release);
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(not(loom))]
    use std::{sync::Arc, thread};
    #[cfg(loom)]
    use {loom::sync::Arc, loom::thread};

    /// Two threads stop it while a third one checks: that one sees no reason, or one of these,
    /// whole.
    fn all_see_one_reason() {
        let stop = Arc::new(Stop::new());
        let reasons = [Fault::Closed, Fault::Corrupt { what: "a word" }];
        let threads = reasons.map(|fault| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || stop.set(fault))
        });
        if stop.may_be_set() {
            assert!(stop.get().is_none_or(|seen| reasons.contains(&seen)));
        }
        let told = threads.map(|thread| thread.join().expect("no panic"));
        let first = stop.get().expect("both are done");
        assert!(told.contains(&first), "{told:?}, but {first:?}");
        assert_eq!(stop.set(Fault::Forked), first);
    }

    #[cfg(loom)]
    #[test]
    fn a_reason_is_seen_whole_or_not_at_all() {
        loom::model(all_see_one_reason);
    }

    #[cfg(not(loom))]
    #[test]
    fn a_reason_is_seen_whole_or_not_at_all() {
        (0..1000).for_each(|_| all_see_one_reason());
    }

    /// A handler that interrupts the thread that writes the reason is neither blocked nor misled.
    #[cfg(not(loom))]
    #[test]
    fn a_half_written_reason_holds_nobody_up() {
        let stop = Stop::new();
        stop.state.store(WRITING, Relaxed);
        assert!(stop.may_be_set());
        assert_eq!((stop.get(), stop.set(Fault::Removed)), (None, Fault::Removed));
    }
}
