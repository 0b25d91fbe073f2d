//! The parking word of one side: whether a member of it is parked, and further flags.

use crate::layout::Parking;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

/// A member of this side may be parked, or about to park, and no waker has the duty to wake it. The
/// bit may stay set after that member is gone, which costs one post.
pub(crate) const PARKED: u32 = 1 << 0;
/// A member of this side may have armed its doorbell, and no waker has the duty to ring one.
pub(crate) const BELL: u32 = 1 << 1;
/// A member of this side waits, in one way or the other.
pub(crate) const WAITING: u32 = PARKED | BELL;
/// In the word of the senders, which receivers load for every acknowledgement: a message was
/// returned, and receivers search for it before they take the next one (`protocol/returned.rs`).
pub(crate) const RETURNED: u32 = 1 << 28;
/// This side has no members, but had some before.
pub(crate) const LEFT: u32 = 1 << 29;
/// The channel was removed.
pub(crate) const REMOVED: u32 = 1 << 30;
/// The receiver of an SPSC channel asks its sender for a full fence after each message
/// (`wait/fence_request.rs`); the sender of a broadcast channel promises one.
const FENCE: u32 = 1 << 31;
/// No word has this flag: it is reserved for a sender to know a value that differs from any word.
pub(crate) const NEVER_SET: u32 = 1 << 27;

/// The word is written by read-modify-write operations only: a plain store could undo a flag.
impl Parking {
    /// Loads the word, as a waker does: zero means that a waker has nothing to do. SeqCst: after a
    /// publication by a SeqCst compare-and-swap, no fence is needed between the two.
    #[inline(always)]
    pub(crate) fn flags(&self) -> u32 {
        self.word.load(SeqCst)
    }

    /// The same after a publication by a plain store, which such a load would have to wait for on
    /// some processors: a fence orders the two, if one is needed.
    #[inline(always)]
    pub(crate) fn flags_after_store(&self) -> u32 {
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

    /// Returns whether a waker has something to do.
    #[inline(always)]
    pub(crate) fn has_waiter(&self) -> bool {
        self.flags() & (PARKED | BELL) != 0
    }

    /// Sets a flag. AcqRel: a process that sees the flag sees everything done before it was set.
    pub(crate) fn set(&self, flag: u32) {
        self.word.fetch_or(flag, AcqRel);
    }

    pub(crate) fn clear(&self, flag: u32) {
        self.word.fetch_and(!flag, AcqRel);
    }

    /// Announces that a thread of this side is about to park (PARKED), or that a member has armed
    /// its doorbell (BELL), and asks the sender for fences if `needs_fences`. Returns whether it was
    /// asked before. SeqCst: this precedes the barrier.
    pub(super) fn announce(&self, waiter: u32, needs_fences: bool) -> bool {
        let flags = if needs_fences { waiter | FENCE } else { waiter };
        self.word.fetch_or(flags, SeqCst) & FENCE != 0
    }

    /// Asks the sender for fences before it joins.
    #[cfg(test)]
    pub(crate) fn ask_for_fences(&self) {
        self.set(FENCE);
    }

    /// Returns whether the sender was asked for fences, or promised them.
    #[cfg(test)]
    pub(crate) fn has_fences(&self) -> bool {
        self.word.load(Relaxed) & FENCE != 0
    }

    /// Promises the receivers of a broadcast channel a fence after each message. SeqCst: whatever the
    /// sender published before is visible to those that find the promise.
    pub(crate) fn promise_fences(&self) {
        self.word.fetch_or(FENCE, SeqCst);
    }

    /// Asks for no more fences, or promises no more.
    pub(crate) fn withdraw_fences(&self) {
        self.clear(FENCE);
    }

    /// Clears PARKED and returns whether it was set. If so, the caller has the duty to wake a
    /// waiter. Acquire: with PARKED comes the count of the thread that set it.
    pub(super) fn unpark(&self) -> bool {
        self.take(PARKED)
    }

    /// Clears BELL and returns whether it was set. If so, the caller has the duty to ring a
    /// doorbell.
    pub(super) fn take_bell(&self) -> bool {
        self.take(BELL)
    }

    fn take(&self, waiter: u32) -> bool {
        self.word.fetch_and(!waiter, AcqRel) & waiter != 0
    }

    /// Clears all flags that only living members need, or that were never written. Call it only
    /// while there are no members.
    pub(crate) fn forget(&self) {
        self.clear(!LEFT);
    }
}
