//! Why a handle cannot go on, for all its threads: set once, without a lock.
//!
//! A signal handler may send or receive while it interrupts a call of the same handle that is about
//! to stop it. So no thread waits here for another: a thread that finds the reason half written
//! continues as if there were none, and a thread that comes second does not store its own reason.

use core::cell::UnsafeCell;

use crate::error::Fault;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU32, Tracked};
use crate::sysv::fork_guard::{ForkGuard, SharedForkGuard};

/// Whether a handle can take its fast path. The fast path makes one check for everything that
/// forbids it: the guard reports a fork in a child, in every process once the handle was stopped,
/// and while the next call has something to do that belongs to the slow path.
#[derive(Debug)]
pub(super) struct HandleGate {
    home: ForkGuard,
    guard: SharedForkGuard,
    stop: Stop,
}

impl HandleGate {
    pub(super) fn new() -> HandleGate {
        HandleGate { home: ForkGuard::new(), guard: SharedForkGuard::new(), stop: Stop::new() }
    }

    /// Returns the guard, for others that require the slow path.
    pub(super) fn guard(&self) -> &SharedForkGuard {
        &self.guard
    }

    /// Returns whether the handle can go on. Relaxed: a thread that notices it one message later
    /// than another thread has done nothing wrong.
    #[inline(always)]
    pub(super) fn is_open(&self) -> bool {
        !self.guard.forked()
    }

    /// Returns the reason why the handle was stopped, once it is completely written.
    pub(super) fn reason(&self) -> Option<Fault> {
        self.stop.get()
    }

    /// Stops for `fault`, unless there is a reason already, and returns the reason.
    pub(super) fn close(&self, fault: Fault) -> Fault {
        let fault = self.stop.set(fault);
        self.guard.set_broken();
        fault
    }

    /// Sends the next calls to the slow path.
    pub(super) fn require_slow_path(&self) {
        self.guard.set_broken();
    }

    /// Permits the fast path again, unless the handle was stopped.
    pub(super) fn permit_fast_path(&self) {
        self.guard.mend(self.home);
        // A thread that stopped the handle set the reason before it broke the guard. If that was
        // undone just now, the reason is visible here.
        if self.stop.has_begun() {
            self.guard.set_broken();
        }
    }
}

/// States. One thread moves it from the first to the second, and only that thread to the third.
const GOING: u32 = 0;
const WRITING: u32 = 1;
const STOPPED: u32 = 2;

/// The reason why a handle cannot go on, once there is one.
#[derive(Debug)]
struct Stop {
    state: AtomicU32,
    tracked: Tracked,
    /// Written in state `WRITING`, read in state `STOPPED`.
    fault: UnsafeCell<Fault>,
}

// SAFETY: the fault is written by the one thread that moved the state to WRITING, before it moves
// it to STOPPED with Release, and read only by threads that saw STOPPED with Acquire.
unsafe impl Sync for Stop {}

impl Stop {
    fn new() -> Stop {
        Stop {
            state: AtomicU32::new(GOING),
            tracked: Tracked::new(),
            fault: UnsafeCell::new(Fault::Closed),
        }
    }

    /// Returns the reason, once it is completely written.
    #[cold]
    fn get(&self) -> Option<Fault> {
        // Acquire: otherwise the state could be seen before the reason that was written for it.
        (self.state.load(Acquire) == STOPPED).then(|| {
            self.tracked.reading();
            // SAFETY: written before STOPPED was stored, which we acquired, and never again.
            unsafe { *self.fault.get() }
        })
    }

    /// Returns whether a thread began to stop the handle.
    fn has_begun(&self) -> bool {
        self.state.load(Acquire) != GOING
    }

    /// Stops for `fault`, unless there is a reason already, and returns the reason.
    #[cold]
    fn set(&self, fault: Fault) -> Fault {
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
        assert!(stop.get().is_none_or(|seen| reasons.contains(&seen)));
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

    /// However a stop and requests for the slow path interleave, a stopped handle stays stopped.
    #[cfg(not(loom))]
    #[test]
    fn a_stopped_handle_stays_stopped() {
        for _ in 0..1000 {
            let gate = HandleGate::new();
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        gate.require_slow_path();
                        gate.permit_fast_path();
                    });
                }
                scope.spawn(|| gate.close(Fault::Closed));
            });
            assert!(!gate.is_open() && gate.reason() == Some(Fault::Closed));
        }
    }

    #[cfg(not(loom))]
    #[test]
    fn the_slow_path_is_required_until_it_is_not() {
        let gate = HandleGate::new();
        assert!(gate.is_open());
        gate.require_slow_path();
        assert!(!gate.is_open() && gate.reason().is_none());
        gate.permit_fast_path();
        assert!(gate.is_open());
    }

    /// A handler that interrupts the thread that writes the reason is neither blocked nor misled.
    #[cfg(not(loom))]
    #[test]
    fn a_half_written_reason_holds_nobody_up() {
        let stop = Stop::new();
        stop.state.store(WRITING, Relaxed);
        assert_eq!((stop.get(), stop.set(Fault::Removed)), (None, Fault::Removed));
    }
}
