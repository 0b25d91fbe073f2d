//! The parking word of one side: whether a member of it is parked, and further flags.

use crate::layout::Parking;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

/// A member of this side may be parked, or about to park, and no waker has the duty to wake it. The
/// bit may stay set after that member is gone, which costs one post.
pub(crate) const PARKED: u32 = 1 << 0;
/// In the word of the senders, which receivers load for every acknowledgement: a message was
/// returned, and receivers search for it before they take the next one (`protocol/returned.rs`).
pub(crate) const RETURNED: u32 = 1 << 28;
/// This side has no members, but had some before.
pub(crate) const LEFT: u32 = 1 << 29;
/// The channel was removed.
pub(crate) const REMOVED: u32 = 1 << 30;
/// A member could not register for membarrier: wakers need a fence.
const FENCE: u32 = 1 << 31;

/// The word is written by read-modify-write operations only: a plain store could undo a flag.
impl Parking {
    /// Loads the word with one plain load, as a waker does: zero means that a waker has nothing to
    /// do.
    #[inline(always)]
    pub(crate) fn flags(&self) -> u32 {
        self.word.load(Relaxed)
    }

    /// Returns whether all members of that side have left and none has joined since. Acquire: what
    /// that side sent before is visible.
    pub(crate) fn has_left(&self) -> bool {
        self.word.load(Acquire) & LEFT != 0
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.flags() & REMOVED != 0
    }

    /// Returns whether wakers need a fence.
    pub(super) fn needs_fences(&self) -> bool {
        self.flags() & FENCE != 0
    }

    /// Returns whether a waker has something to do.
    #[inline(always)]
    pub(crate) fn is_parked(&self) -> bool {
        self.flags() & PARKED != 0
    }

    /// Sets a flag. AcqRel: a process that sees the flag sees everything done before it was set.
    pub(crate) fn set(&self, flag: u32) {
        self.word.fetch_or(flag, AcqRel);
    }

    pub(crate) fn clear(&self, flag: u32) {
        self.word.fetch_and(!flag, AcqRel);
    }

    /// Makes the waking side use fences from now on.
    pub(crate) fn require_fences(&self) {
        self.set(FENCE);
    }

    /// Announces that a thread of this side is about to park. SeqCst: this precedes the barrier,
    /// which is a fence where membarrier is not available.
    pub(super) fn park(&self) {
        self.word.fetch_or(PARKED, SeqCst);
    }

    /// Clears PARKED and returns whether it was set. If so, the caller has the duty to wake a
    /// waiter. Acquire: with PARKED comes the count of the thread that set it.
    pub(super) fn unpark(&self) -> bool {
        self.word.fetch_and(!PARKED, AcqRel) & PARKED != 0
    }

    /// Clears all flags that only living members need, or that were never written. Call it only
    /// while there are no members.
    pub(crate) fn forget(&self) {
        self.clear(!LEFT);
    }
}
