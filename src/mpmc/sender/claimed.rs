//! A claimed slot, which must not be forgotten: every receiver would wait behind it.

use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use super::Inner;
use crate::ring::Slot;
use crate::ring::mpmc::Claim;

/// A slot that this handle writes. Unless it is published it is given up when dropped, whatever the
/// reason (a refused commit, a panic): receivers step over it, and senders may use it.
#[derive(Debug)]
#[must_use = "a claim that is dropped is given up"]
pub(in crate::mpmc) struct Claimed<'a> {
    inner: &'a Inner,
    claim: ManuallyDrop<Claim>,
}

impl Claimed<'_> {
    #[inline(always)]
    pub(super) fn new(inner: &Inner, claim: Claim) -> Claimed<'_> {
        Claimed { inner, claim: ManuallyDrop::new(claim) }
    }

    /// Its place in the sequence.
    pub(in crate::mpmc) fn position(&self) -> u64 {
        self.claim.position()
    }

    #[inline(always)]
    pub(super) fn slot(&self) -> Slot<'_> {
        self.inner.producer.slot(&self.claim)
    }

    /// Where the message goes.
    #[inline(always)]
    pub(in crate::mpmc) fn payload(&self) -> NonNull<u8> {
        let slot = self.slot();
        slot.writing();
        slot.payload()
    }

    /// Announces the message that was written there. False: we were taken for dead, and it was not
    /// sent.
    #[inline(always)]
    pub(super) fn publish(self) -> bool {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once: `this` is not dropped.
        let claim = unsafe { ManuallyDrop::take(&mut this.claim) };
        this.inner.producer.publish(claim)
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        let post = &self.inner.post;
        // In a forked child it is the parent's.
        if post.membership.is_inherited() {
            return;
        }
        // SAFETY: taken once: `publish`, which takes it too, does not drop.
        let claim = unsafe { ManuallyDrop::take(&mut self.claim) };
        // Refused where somebody took us for dead: then it was given up for us.
        if self.inner.producer.abandon(claim) {
            post.freed();
            post.unblocked();
        }
    }
}
