//! Several received messages at once, in place.

use core::fmt;
use core::ptr::NonNull;
use core::slice;

use super::recv_end::{Taken, TakenTogether};
use crate::error::RecvError;

/// Received messages, borrowed from their slots as bytes, in the order of their positions; in an MPMC
/// channel, messages that another receiver returned or left may come after later ones.
///
/// [`ack`](Batch::ack) acknowledges all of them. A batch that is dropped, for example by `?` or by a
/// panic, returns all of them, as [`Guard`](super::Guard) does with one: they are delivered again. So
/// work on the whole batch, such as one write to a file, is done at least once for each message. In an
/// SPSC channel, only the first of the returned messages counts that delivery.
///
/// The messages are memory that other processes have mapped; see [Trust](crate#trust).
#[must_use = "a batch that is dropped returns its messages; acknowledge them by ack"]
pub struct Batch<'a> {
    taken: TakenTogether<'a>,
    messages: Vec<InPlace>,
}

/// Where a message is in its slot.
#[derive(Clone, Copy)]
pub(super) struct InPlace {
    pub(super) bytes: NonNull<u8>,
    pub(super) len: usize,
}

// SAFETY: as for a guard, which has one message of these.
unsafe impl Send for Batch<'_> {}
// SAFETY: as above: a shared batch only gives access to the bytes.
unsafe impl Sync for Batch<'_> {}

impl<'a> Batch<'a> {
    /// Takes the messages behind the first one as well, at most `max` together with it.
    pub(super) fn of(first: Taken<'a>, max: usize) -> Result<Batch<'a>, RecvError> {
        first.notify_taken();
        let (first, bytes, len) = first.with_bytes()?;
        let mut messages = vec![InPlace { bytes, len }];
        let taken = first.with_others(&mut messages, max);
        Ok(Batch { taken, messages })
    }

    /// Returns the messages.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.messages.iter().map(|message| {
            // SAFETY: the messages are ours until they are acknowledged, and are inside their slots.
            unsafe { slice::from_raw_parts(message.bytes.as_ptr(), message.len) }
        })
    }

    /// Returns the number of messages, which is at least 1.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Acknowledges all messages: their slots are free for senders.
    ///
    /// # Errors
    /// [`RecvError::Fault`] if a message could not be acknowledged, and may be delivered again: this
    /// process lost its seat, or is a forked child, or the handle was stopped.
    pub fn ack(self) -> Result<(), RecvError> {
        let mut batch = self;
        let messages = core::mem::take(&mut batch.messages);
        batch.taken.acknowledge(messages.iter().map(|message| message.len))
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        // `ack` leaves none.
        if !self.messages.is_empty() {
            // The next call reports an error of this one.
            let _ = self.taken.release();
        }
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
