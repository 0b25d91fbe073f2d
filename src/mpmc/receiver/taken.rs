//! Messages that were taken and are not acknowledged yet, which must not be forgotten: while this
//! process lives nobody else gets them.

use core::mem::ManuallyDrop;

use super::Inner;
use crate::ring::mpmc::Held;

/// Messages of a batch that are acknowledged together.
pub(super) const TOGETHER: usize = 32;

/// A message that this handle has. Unless it is taken out to be acknowledged, it is given up when
/// dropped, whatever the reason (a length that cannot be, a panic): another receiver gets it.
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

    #[inline(always)]
    pub(super) fn held(&self) -> &Held {
        &self.held
    }

    /// For who acknowledges it.
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

/// The later messages of a batch, all delivered for the first time, by their positions. They are given
/// up when dropped, but for those that were acknowledged.
#[derive(Debug)]
pub(super) struct Others<'a> {
    inner: &'a Inner,
    positions: [u64; TOGETHER],
    count: usize,
}

impl<'a> Others<'a> {
    #[inline(always)]
    pub(super) fn new(inner: &'a Inner) -> Others<'a> {
        Others { inner, positions: [0; TOGETHER], count: 0 }
    }

    /// How many there are. No more than fit are put there.
    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        self.count
    }

    #[inline(always)]
    pub(super) fn push(&mut self, held: &Held) {
        self.positions[self.count] = held.position();
        self.count += 1;
    }

    /// Takes them all out, to be acknowledged.
    #[inline(always)]
    pub(super) fn take(&mut self) -> impl Iterator<Item = Held> {
        let count = core::mem::take(&mut self.count);
        let consumer = &self.inner.consumer;
        self.positions[..count].iter().map(|&position| consumer.held(position))
    }
}

impl Drop for Others<'_> {
    fn drop(&mut self) {
        let inner = self.inner;
        self.take().for_each(|held| inner.release(&held));
    }
}
