//! A received message, in place.

use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;

use super::Receiver;
use crate::message::Message;
use crate::ring::mpmc::Held;

/// A received message, borrowed from its slot.
///
/// Dropping the guard acknowledges the message. Work done under the guard is therefore done at
/// least once: if this process dies before, another receiver gets the message. If the guard is
/// forgotten (`mem::forget`), its slot is lost to the ring until the last clone of its receiver is
/// dropped; then another receiver gets the message. A forked child that drops its parent's guard
/// acknowledges nothing.
///
/// The message is memory that other processes have mapped. No correct member touches it while the
/// guard exists, but see [Trust](crate#trust).
#[must_use = "dropped, a guard acknowledges its message"]
pub struct Guard<'a, T: Message + ?Sized> {
    receiver: &'a Receiver<T>,
    held: Held,
    message: NonNull<T>,
}

// SAFETY: as for a reference to the message; the receiver may be used by all threads.
unsafe impl<T: Message + ?Sized + Sync> Send for Guard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Message + ?Sized + Sync> Sync for Guard<'_, T> {}

impl<'a, T: Message + ?Sized> Guard<'a, T> {
    /// `message` is in the slot of `held` and was validated as a `T`.
    pub(super) fn new(receiver: &'a Receiver<T>, held: Held, message: NonNull<T>) -> Guard<'a, T> {
        Guard { receiver, held, message }
    }

    /// Returns the message's position in the sequence of all messages of this channel. No other
    /// message has this position, and the message keeps it however often it is delivered.
    pub fn position(&self) -> u64 {
        self.held.position()
    }

    /// Returns how many times this message has been delivered, including this delivery. If it is
    /// more than 1, receivers that have died since may have begun to process it.
    pub fn delivery_count(&self) -> u8 {
        self.held.deliveries()
    }
}

impl<T: Message + ?Sized> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the slot is ours until it is acknowledged, and its bytes are a `T`.
        unsafe { self.message.as_ref() }
    }
}

impl<T: Message + ?Sized> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let len = size_of_val::<T>(self);
        // The next call reports an error of this one: a handle that was evicted stays stopped.
        let _ = self.receiver.finish(&self.held, len);
    }
}

impl<T: Message + fmt::Debug + ?Sized> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&&**self).finish()
    }
}
