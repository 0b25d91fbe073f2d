//! Several received messages at once, in place.

use core::fmt;
use core::ptr::NonNull;
use core::slice;
use std::collections::VecDeque;

use super::recv_end::{Taken, TakenTogether};
use crate::error::RecvError;
use crate::ring::slot_state::DELIVERIES_SHOWN;

/// Received messages, borrowed from their slots as bytes, in the order of their positions; in an MPMC
/// channel, messages that another receiver returned or left may come after later ones.
///
/// [`ack`](Batch::ack) acknowledges all of them, [`ack_first`](Batch::ack_first) some. A batch that is
/// dropped, for example by `?` or by a panic, returns all that it has, as [`Guard`](super::Guard) does with
/// one: they are delivered again. So work on the whole batch, such as one write to a file, is done at least
/// once for each message. In an SPSC channel, only the first of the returned messages counts that delivery.
///
/// The messages are memory that other processes have mapped; see [Trust](crate#trust).
#[must_use = "a batch that is dropped returns its messages; acknowledge them by ack"]
pub struct Batch<'a> {
    taken: TakenTogether<'a>,
    messages: VecDeque<InPlace>,
}

/// Where a message is in its slot.
#[derive(Clone, Copy)]
pub(super) struct InPlace {
    pub(super) bytes: NonNull<u8>,
    pub(super) len: usize,
}

// SAFETY: shared, it only returns an address and a length. With this, a task can hold the iterator over a
// batch while it waits.
unsafe impl Sync for InPlace {}

// SAFETY: as for a guard, which has one message of these.
unsafe impl Send for Batch<'_> {}
// SAFETY: as above: a shared batch only gives access to the bytes.
unsafe impl Sync for Batch<'_> {}

impl<'a> Batch<'a> {
    /// Takes the messages behind the first one as well, at most `max` together with it.
    pub(super) fn of(first: Taken<'a>, max: usize) -> Result<Batch<'a>, RecvError> {
        first.notify_taken();
        let (first, bytes, len) = first.with_bytes()?;
        let mut batch =
            Batch { taken: first.together(), messages: VecDeque::from([InPlace { bytes, len }]) };
        batch.extend(max);
        Ok(batch)
    }

    /// Takes messages that are available behind those of the batch as well, without waiting, until it
    /// has `max`. A batch that has none, because all are acknowledged, takes none.
    ///
    /// With [`ack_first`](Batch::ack_first), it slides over the messages of the channel: work is begun
    /// on the next ones while that on the first ones is under way.
    ///
    /// ```
    /// # use sysvring::{Options, spsc, untyped};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut ticks: spsc::Sender<u64> = Options::private().create()?;
    /// let mut rx: untyped::Receiver = Options::id(ticks.id()).attach()?;
    /// ticks.send_batch(&[7, 8, 9])?;
    /// let mut batch = rx.recv_batch_ref(2)?;
    /// batch.extend(2);
    /// assert!(batch.positions().eq([0, 1])); // it has 2
    /// batch.ack_first(1)?;
    /// batch.extend(2);
    /// assert!(batch.positions().eq([1, 2]));
    /// batch.ack()?;
    /// # Ok(()) }
    /// ```
    pub fn extend(&mut self, max: usize) {
        if !self.messages.is_empty() {
            self.taken.take_more(&mut self.messages, max);
        }
    }

    /// Returns the messages.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.messages.iter().map(|message| {
            // SAFETY: the messages are ours until they are acknowledged, and are inside their slots.
            unsafe { slice::from_raw_parts(message.bytes.as_ptr(), message.len) }
        })
    }

    /// Returns the number of messages, which is at least 1 unless [`ack_first`](Batch::ack_first)
    /// acknowledged all of them.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns whether [`ack_first`](Batch::ack_first) acknowledged all messages.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Returns the position of each message in the sequence of all messages of this channel.
    ///
    /// ```
    /// # use sysvring::{Options, spsc, untyped};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut ticks: spsc::Sender<u64> = Options::private().create()?;
    /// let mut rx: untyped::Receiver = Options::id(ticks.id()).attach()?;
    /// ticks.send_batch(&[7, 8])?;
    /// let batch = rx.recv_batch_ref(64)?;
    /// assert!(batch.positions().eq([0, 1]));
    /// # batch.ack()?;
    /// # Ok(()) }
    /// ```
    pub fn positions(&self) -> impl ExactSizeIterator<Item = u64> {
        (0..self.len()).map(|index| self.taken.position(index))
    }

    /// Returns how often the first message was delivered, this delivery included; see
    /// [`Guard::delivery_count`](super::Guard::delivery_count).
    pub fn delivery_count(&self) -> u8 {
        self.taken.deliveries().min(DELIVERIES_SHOWN)
    }

    /// Acknowledges all messages: their slots are free for senders.
    ///
    /// # Errors
    /// [`RecvError::Fault`] if a message could not be acknowledged, and may be delivered again: this
    /// process lost its seat, or is a forked child, or the handle was stopped.
    pub fn ack(self) -> Result<(), RecvError> {
        let mut batch = self;
        batch.ack_first(batch.len())
    }

    /// Acknowledges the first `count` messages, or all if these are fewer: their slots are free for
    /// senders. The batch keeps the others.
    ///
    /// # Errors
    /// As for [`ack`](Batch::ack); the batch keeps none of these messages.
    pub fn ack_first(&mut self, count: usize) -> Result<(), RecvError> {
        let first = self.messages.drain(..count.min(self.messages.len()));
        self.taken.acknowledge(first.map(|message| message.len))
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
