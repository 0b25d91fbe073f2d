//! Crash injection for tests: atomics that unwind the current thread before a chosen step.
//!
//! A killed process stops between two instructions, and everything that it wrote before is visible
//! to all others by the time the kernel reports its death. The other processes can distinguish only
//! its steps: accesses of shared words and of payloads. So a death is a place in that sequence, and
//! [`crash_at`] can try every one of them on the shipped code. Words are written as usual before
//! that place and not at all after it; private memory is lost with the stack.

use core::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{Ordering, imp};

/// The payload of the unwinding of a killed thread.
struct Killed;

const IMMORTAL: u32 = u32::MAX;

// The number of steps that this thread may still take.
#[cfg(not(loom))]
std::thread_local! {
    static STEPS: Cell<u32> = const { Cell::new(IMMORTAL) };
}
#[cfg(loom)]
loom::thread_local! {
    static STEPS: Cell<u32> = Cell::new(IMMORTAL);
}

/// Runs `work`, but crashes before its step number `step`, the first step being 0. Returns `None`
/// if it crashed.
pub(crate) fn crash_at<R>(step: u32, work: impl FnOnce() -> R) -> Option<R> {
    STEPS.with(|left| left.set(step));
    let done = catch_unwind(AssertUnwindSafe(work));
    STEPS.with(|left| left.set(IMMORTAL));
    match done {
        Ok(result) => Some(result),
        Err(cause) if cause.is::<Killed>() => None,
        Err(cause) => resume_unwind(cause),
    }
}

/// Counts a step that other processes may see, and crashes there if it is the chosen one.
pub(crate) fn step() {
    STEPS.with(|left| match left.get() {
        IMMORTAL => {}
        // Bypasses the panic hook: this is not a failure.
        0 => resume_unwind(Box::new(Killed)),
        some => left.set(some - 1),
    });
}

macro_rules! mortal {
    ($name:ident: $int:ty) => {
        /// The facade's type of this name, with a [`step`] before each access.
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub(crate) struct $name(imp::$name);

        #[allow(dead_code, reason = "not every word is used in every way")]
        impl $name {
            #[track_caller]
            pub(crate) fn new(value: $int) -> $name {
                $name(imp::$name::new(value))
            }

            #[track_caller]
            pub(crate) fn load(&self, order: Ordering) -> $int {
                step();
                self.0.load(order)
            }

            #[track_caller]
            pub(crate) fn store(&self, value: $int, order: Ordering) {
                step();
                self.0.store(value, order);
            }

            #[track_caller]
            pub(crate) fn swap(&self, value: $int, order: Ordering) -> $int {
                step();
                self.0.swap(value, order)
            }

            #[track_caller]
            pub(crate) fn fetch_add(&self, more: $int, order: Ordering) -> $int {
                step();
                self.0.fetch_add(more, order)
            }

            #[track_caller]
            pub(crate) fn fetch_or(&self, bits: $int, order: Ordering) -> $int {
                step();
                self.0.fetch_or(bits, order)
            }

            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                old: $int,
                new: $int,
                done: Ordering,
                failed: Ordering,
            ) -> Result<$int, $int> {
                step();
                self.0.compare_exchange(old, new, done, failed)
            }

            #[track_caller]
            pub(crate) fn fetch_and(&self, bits: $int, order: Ordering) -> $int {
                step();
                self.0.fetch_and(bits, order)
            }
        }
    };
}

mortal!(AtomicU32: u32);
mortal!(AtomicU64: u64);

/// The facade's `Tracked`, with a [`step`] before each access.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Tracked(imp::Tracked);

impl Tracked {
    #[track_caller]
    pub(crate) fn new() -> Tracked {
        Tracked(imp::Tracked::new())
    }

    #[track_caller]
    pub(crate) fn reading(&self) {
        step();
        self.0.reading();
    }

    #[track_caller]
    pub(crate) fn writing(&self) {
        step();
        self.0.writing();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use Ordering::Relaxed;

    #[test]
    fn every_step_can_be_the_last() {
        for step in 0..=3 {
            let word = AtomicU64::new(0);
            let done = crash_at(step, || {
                word.store(1, Relaxed);
                word.store(2, Relaxed);
                word.fetch_or(4, Relaxed)
            });
            assert_eq!(done, (step == 3).then_some(2));
            assert_eq!(word.load(Relaxed), [0, 1, 2, 6][step as usize]);
        }
    }

    #[test]
    fn a_failure_is_no_death() {
        let failed =
            std::panic::catch_unwind(|| crash_at(9, || std::panic::resume_unwind(Box::new(7))));
        assert_eq!(failed.unwrap_err().downcast_ref(), Some(&7));
        step();
    }
}
