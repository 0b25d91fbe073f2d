//! The parking word of one side: whether anybody of it is parked, and flags beside that.

use crate::layout::Parking;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

/// A member of this side may be parked, or about to, and nobody is on the way to wake it. It may stay on
/// when that member is gone, which costs a post.
const PARKED: u32 = 1 << 0;
/// This side has no members, and had some.
pub(crate) const LEFT: u32 = 1 << 29;
/// The channel was removed.
pub(crate) const REMOVED: u32 = 1 << 30;
/// A member could not register for membarrier: wakers need a fence.
const FENCE: u32 = 1 << 31;

/// The word is written by read-modify-write only: a plain store could undo a flag.
impl Parking {
    /// What a waker sees with one plain load: zero while there is nothing to do for it.
    #[inline(always)]
    pub(crate) fn flags(&self) -> u32 {
        self.word.load(Relaxed)
    }

    /// Whether that side left and nobody came since. Acquire: what it sent before is visible.
    pub(crate) fn has_left(&self) -> bool {
        self.word.load(Acquire) & LEFT != 0
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.flags() & REMOVED != 0
    }

    /// Whether wakers need a fence.
    pub(super) fn needs_fences(&self) -> bool {
        self.flags() & FENCE != 0
    }

    /// Whether a waker has something to do.
    #[inline(always)]
    pub(crate) fn is_parked(&self) -> bool {
        self.flags() & PARKED != 0
    }

    /// AcqRel: a flag set is seen with all that was done before.
    pub(crate) fn set(&self, flag: u32) {
        self.word.fetch_or(flag, AcqRel);
    }

    pub(crate) fn clear(&self, flag: u32) {
        self.word.fetch_and(!flag, AcqRel);
    }

    /// Tells the waking side to use fences from now on.
    pub(crate) fn require_fences(&self) {
        self.set(FENCE);
    }

    /// Says that somebody of this side is about to park. SeqCst: in front of the barrier, which is a
    /// fence where there is no membarrier.
    pub(super) fn park(&self) {
        self.word.fetch_or(PARKED, SeqCst);
    }

    /// Takes PARKED off; whether it was on. From then on the caller has the duty to wake somebody.
    /// Acquire: with PARKED comes the count of who set it.
    pub(super) fn unpark(&self) -> bool {
        self.word.fetch_and(!PARKED, AcqRel) & PARKED != 0
    }

    /// Takes off all that only living members need, or never wrote. Only while there are none.
    pub(crate) fn forget(&self) {
        self.clear(!LEFT);
    }
}
