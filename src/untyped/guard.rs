//! A received message, in place.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;
use core::slice;

use super::recv_end::Taken;
use crate::error::RecvError;
use crate::ring::slot_state::DELIVERIES_SHOWN;

/// A received message, borrowed from its slot as bytes.
///
/// [`ack`](Guard::ack) acknowledges the message. A guard that is dropped, for example by `?` or by a
/// panic, returns its message, which is delivered again, in an MPMC channel perhaps to another
/// receiver: work done under a guard is done at least once. [`reject`](Guard::reject) gives the
/// message up for good.
///
/// It derefs to the bytes of the message, which begin at an address of the messages'
/// [alignment](crate::MessageLayout::align), at least 8. The number of bytes is one that is
/// possible in the channel; their values were not checked.
///
/// The message is memory that other processes have mapped. No correct member touches it while the
/// guard exists, but see [Trust](crate#trust).
#[must_use = "a guard that is dropped returns its message; acknowledge it by ack"]
pub struct Guard<'a> {
    taken: Taken<'a>,
    bytes: NonNull<u8>,
    len: usize,
}

// SAFETY: as for a reference to the bytes, and an exclusive one to the receiver, which may move to
// another thread.
unsafe impl Send for Guard<'_> {}
// SAFETY: a shared guard only gives access to the bytes, and to numbers that change with the guard
// only.
unsafe impl Sync for Guard<'_> {}

impl<'a> Guard<'a> {
    pub(super) fn of(taken: Taken<'a>) -> Result<Guard<'a>, RecvError> {
        taken.notify_taken();
        let (taken, bytes, len) = taken.with_bytes()?;
        Ok(Guard { taken, bytes, len })
    }

    /// Returns the message's position in the sequence of all messages of this channel.
    pub fn position(&self) -> u64 {
        self.taken.position()
    }

    /// Returns how many times this message has been delivered, including this delivery; 16 stands
    /// for 16 or more. If it is more than 1, its processing may have begun before.
    pub fn delivery_count(&self) -> u8 {
        self.taken.deliveries().min(DELIVERIES_SHOWN)
    }

    /// Acknowledges the message: its slot is free for senders.
    ///
    /// # Errors
    /// [`RecvError::Fault`] if the message could not be acknowledged, and may be delivered again:
    /// this process lost its seat, or is a forked child, or the handle was stopped.
    pub fn ack(self) -> Result<(), RecvError> {
        let mut guard = ManuallyDrop::new(self);
        let len = guard.len;
        guard.taken.acknowledge(len)
    }

    /// Returns the message like `drop`, but reports errors.
    ///
    /// # Errors
    /// [`RecvError::Fault`] as for [`ack`](Guard::ack).
    pub fn release(self) -> Result<(), RecvError> {
        ManuallyDrop::new(self).taken.release()
    }

    /// Gives the message up for good: it is moved to the
    /// [dead-letter channel](crate::Options::dead_letters) if the channel has one, and otherwise
    /// discarded and counted.
    ///
    /// # Errors
    /// [`RecvError::NotMoved`] if it could not be moved: the message was returned.
    /// [`RecvError::Fault`] as for [`ack`](Guard::ack).
    pub fn reject(self) -> Result<(), RecvError> {
        let mut guard = ManuallyDrop::new(self);
        let len = guard.len;
        guard.taken.reject(len)
    }
}

impl Deref for Guard<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the message is ours until it is acknowledged, and is inside its slot.
        unsafe { slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

impl Drop for Guard<'_> {
    #[cold]
    fn drop(&mut self) {
        // The next call reports an error of this one.
        let _ = self.taken.release();
    }
}

impl fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&&**self).finish()
    }
}
