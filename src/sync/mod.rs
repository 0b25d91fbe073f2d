//! The facade over atomics: core's, or loom's when the crate is built with `--cfg loom`.
//!
//! Everything that takes part in a protocol (slot states, head, tail, credit, the parking words)
//! uses the types named here, so that loom sees every step of the shipped code. Words that only
//! carry facts or counters, and the words of the kernel-facing layer, use [`plain`]: they impose no
//! ordering.

#[cfg(test)]
pub(crate) mod crash_point;

pub(crate) use imp::*;
// In unit tests, the atomics can simulate a crash before any access.
#[cfg(test)]
pub(crate) use crash_point::{AtomicU32, AtomicU64, Tracked};

/// Core's atomics in every build: for facts, counters and the fork guard.
#[allow(clippy::disallowed_types)]
pub(crate) mod plain {
    pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
}

#[cfg(not(loom))]
#[allow(clippy::disallowed_types)]
mod imp {
    pub(crate) use core::hint::spin_loop;
    pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence, fence};

    /// A zero-sized cell next to each payload; loom's version reports unordered accesses.
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct Tracked(());

    impl Tracked {
        pub(crate) fn new() -> Self {
            Tracked(())
        }
        #[inline(always)]
        pub(crate) fn reading(&self) {}
        #[inline(always)]
        pub(crate) fn writing(&self) {}
    }
}

#[cfg(loom)]
#[allow(clippy::disallowed_types)]
mod imp {
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

    /// Loom's version of `Tracked`: it reports two accesses that are not ordered.
    #[derive(Debug)]
    pub(crate) struct Tracked(loom::cell::UnsafeCell<()>);

    impl Tracked {
        pub(crate) fn new() -> Self {
            Tracked(loom::cell::UnsafeCell::new(()))
        }
        #[track_caller]
        pub(crate) fn reading(&self) {
            self.0.with(|_| ());
        }
        #[track_caller]
        pub(crate) fn writing(&self) {
            self.0.with_mut(|_| ());
        }
    }
}
