//! A message where it lies.

use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;

use super::Receiver;
use crate::message::Message;
use crate::ring::mpmc::Held;

/// A received message, in its slot. Dropped, it is acknowledged: whatever is done under the guard is
/// done at least once, for if this process dies meanwhile another receiver gets the message.
///
/// Forgotten (`mem::forget`), its slot is lost to the ring until the last clone of its receiver is
/// dropped; then another receiver gets the message.
///
/// It is memory that other processes have mapped: no honest member touches it meanwhile, but see
/// [Trust](crate#trust).
#[must_use = "dropped, a guard acknowledges its message"]
pub struct Guard<'a, T: Message + ?Sized> {
    receiver: &'a Receiver<T>,
    held: Held,
    message: NonNull<T>,
}

// SAFETY: as a reference to the message; the receiver is for all threads.
unsafe impl<T: Message + ?Sized + Sync> Send for Guard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Message + ?Sized + Sync> Sync for Guard<'_, T> {}

impl<'a, T: Message + ?Sized> Guard<'a, T> {
    /// `message` lies in the slot of `held` and was found to be a `T`.
    pub(super) fn new(receiver: &'a Receiver<T>, held: Held, message: NonNull<T>) -> Guard<'a, T> {
        Guard { receiver, held, message }
    }

    /// The message's place in the sequence of all messages of this channel: no other message has it,
    /// and this one has it however often it is delivered.
    pub fn position(&self) -> u64 {
        self.held.position()
    }

    /// How often the message was delivered, this time included: more than once, others may have
    /// begun with it, and died.
    pub fn delivery_count(&self) -> u8 {
        self.held.deliveries()
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
        // What fails here is told by the next call: a handle that was taken for dead stays stopped.
        let _ = self.receiver.finish(&self.held, len);
    }
}

impl<T: Message + fmt::Debug + ?Sized> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&&**self).finish()
    }
}
