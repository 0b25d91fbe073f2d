//! Messages that were taken and are not acknowledged yet. They must not be forgotten: while this
//! process lives, no other receiver gets them.

use core::mem::ManuallyDrop;

use super::Inner;
use crate::ring::mpmc::Held;

/// A message that this handle holds. Unless it is taken out to be acknowledged, it is released when
/// dropped, for whatever reason: another receiver gets it.
///
/// Used in waits. Where a message is only copied between taking and acknowledging, the bare
/// [`Held`] costs fewer instructions; code that can fail there [releases](Inner::release) it.
#[derive(Debug)]
#[must_use = "a message that is dropped is given up"]
pub(super) struct Taken<'a> {
    inner: &'a Inner,
    held: ManuallyDrop<Held>,
}

impl Taken<'_> {
    #[inline(always)]
    pub(super) fn new(inner: &Inner, held: Held) -> Taken<'_> {
        Taken { inner, held: ManuallyDrop::new(held) }
    }

    /// For a caller that acknowledges the message, or releases it itself.
    #[inline(always)]
    pub(super) fn into_held(self) -> Held {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once: `this` is not dropped.
        unsafe { ManuallyDrop::take(&mut this.held) }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.inner.release(&self.held);
    }
}
