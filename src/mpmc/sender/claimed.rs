//! A claimed slot. It must not be forgotten: every receiver would wait behind it.

use core::mem::ManuallyDrop;

use super::Inner;
use crate::ring::mpmc::Claim;

/// A slot that this handle writes. Unless it is published, it is given up when dropped, for
/// whatever reason (a refused commit, a panic): receivers skip it, and senders may use it.
///
/// Used in waits, and on every path that gives a claim up. Where a message is only copied between
/// claiming and publishing, and in a loan, which gives up by itself, the bare [`Claim`] costs fewer
/// instructions.
#[derive(Debug)]
#[must_use = "a claim that is dropped is given up"]
pub(super) struct Claimed<'a> {
    inner: &'a Inner,
    claim: ManuallyDrop<Claim>,
}

impl Claimed<'_> {
    #[inline(always)]
    pub(super) fn new(inner: &Inner, claim: Claim) -> Claimed<'_> {
        Claimed { inner, claim: ManuallyDrop::new(claim) }
    }

    /// For a caller that publishes it, with nothing in between that can fail.
    #[inline(always)]
    pub(super) fn into_claim(self) -> Claim {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once: `this` is not dropped.
        unsafe { ManuallyDrop::take(&mut this.claim) }
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        let endpoint = &self.inner.endpoint;
        // In a forked child it is the parent's.
        if endpoint.attachment.is_forked() {
            return;
        }
        // SAFETY: taken once: `into_claim`, which takes it too, does not run this destructor.
        let claim = unsafe { ManuallyDrop::take(&mut self.claim) };
        // Refused if we were evicted: then another member gave it up for us.
        if self.inner.producer.abandon(claim) {
            endpoint.freed();
            endpoint.unblocked();
        }
    }
}
