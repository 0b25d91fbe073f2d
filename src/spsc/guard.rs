//! A message where it lies.

use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;

use super::Receiver;
use crate::message::Message;

/// A received message, in its slot. Dropped, it is acknowledged: whatever is done under the guard is
/// done at least once, for if this process dies meanwhile the next receiver gets the message again.
///
/// Forgotten (`mem::forget`), it is not acknowledged, and the next call receives it again. Dropped by
/// a forked child, whose it is not, it is not acknowledged either.
///
/// It is memory that other processes have mapped: no honest member touches it meanwhile, but see
/// [Trust](crate#trust).
#[must_use = "dropped, a guard acknowledges its message"]
pub struct Guard<'a, T: Message + ?Sized> {
    receiver: &'a mut Receiver<T>,
    message: NonNull<T>,
}

impl<'a, T: Message + ?Sized> Guard<'a, T> {
    /// `message` lies in the slot at the receiver's position and was found to be a `T`.
    #[inline(always)]
    pub(super) fn new(receiver: &'a mut Receiver<T>, message: NonNull<T>) -> Guard<'a, T> {
        Guard { receiver, message }
    }

    /// The message's place in the sequence of all messages of this channel.
    pub fn position(&self) -> u64 {
        self.receiver.position()
    }
}

impl<T: Message + ?Sized> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: until it is acknowledged the slot is ours, and its bytes are a `T`.
        unsafe { self.message.as_ref() }
    }
}

impl<T: Message + ?Sized> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let len = size_of_val::<T>(self);
        self.receiver.acknowledge_lent(len);
    }
}

impl<T: Message + fmt::Debug + ?Sized> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&&**self).finish()
    }
}
