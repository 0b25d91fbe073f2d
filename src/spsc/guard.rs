//! A received message, in place.

use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;

use super::Receiver;
use crate::message::Message;

/// A received message, borrowed from its slot.
///
/// Dropping the guard acknowledges the message. Work done under the guard is therefore done at
/// least once: if this process dies before, the next receiver gets the message again. If the guard
/// is forgotten (`mem::forget`), the message is not acknowledged, and the next call receives it
/// again. A forked child that drops its parent's guard acknowledges nothing.
///
/// The message is memory that other processes have mapped. No correct member touches it while the
/// guard exists, but see [Trust](crate#trust).
#[must_use = "dropped, a guard acknowledges its message"]
pub struct Guard<'a, T: Message + ?Sized> {
    receiver: &'a mut Receiver<T>,
    message: NonNull<T>,
}

impl<'a, T: Message + ?Sized> Guard<'a, T> {
    /// `message` is in the slot at the receiver's position and was validated as a `T`.
    #[inline(always)]
    pub(super) fn new(receiver: &'a mut Receiver<T>, message: NonNull<T>) -> Guard<'a, T> {
        Guard { receiver, message }
    }

    /// Returns the message's position in the sequence of all messages of this channel.
    pub fn position(&self) -> u64 {
        self.receiver.position()
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
        self.receiver.acknowledge_guard(len);
    }
}

impl<T: Message + fmt::Debug + ?Sized> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&&**self).finish()
    }
}
