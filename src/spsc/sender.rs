//! The sending handle.

#[cfg(feature = "async")]
pub(super) mod asynchronous;
mod loan;
mod send;

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;

use super::send_end::{self, SendEnd};
use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::interrupter::Interrupter;
use crate::endpoint::peer::Peer;
use crate::error::{Error, Fault, SendError};
use crate::flavor::Flavor;
use crate::message::{Message, MessageType, is_variable};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::protocol::{Membership, SendRing};
use crate::role::Side;
use crate::wait::adaptive_spin::Wait;
use crate::wait::blocking::Blocking;

/// The sending half of an SPSC channel, opened with [`Options`](crate::Options).
///
/// Sending borrows the message: on an error it was not sent and is still yours. A sender may be
/// moved to another thread. Dropping it leaves the channel; messages that were sent stay in it.
#[derive(Debug)]
pub struct Sender<T: Message + ?Sized> {
    end: SendEnd,
    message: PhantomData<fn(&T)>,
}

impl<T: Message + ?Sized> Sender<T> {
    /// Blocks until every sent message is acknowledged, for at most `timeout`.
    ///
    /// It polls, so it returns late by up to one eighth of the time that it waited (at least 50 µs,
    /// at most 16 ms).
    ///
    /// ```
    /// # use sysvring::{Options, SendError, spsc};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send(&7)?;
    /// assert_eq!(tx.flush(Duration::from_millis(1)), Err(SendError::Timeout));
    /// assert_eq!(rx.recv()?, 7);
    /// tx.flush(Duration::from_secs(10))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - [`SendError::Timeout`] if some message was not acknowledged in time: try again;
    /// - [`SendError::Disconnected`] if the receiver is gone and left messages unacknowledged:
    ///   [`wait_for_peer`](Sender::wait_for_peer) waits for another receiver, which gets them;
    /// - [`SendError::Interrupted`] if an [`interrupter`](Sender::interrupter) ended the call;
    /// - [`SendError::Fault`] if the handle cannot go on.
    pub fn flush(&mut self, timeout: Duration) -> Result<(), SendError> {
        self.end.port().flush(timeout)
    }

    /// Blocks until a receiver has joined, for at most `timeout`.
    /// [`peer`](Sender::peer) returns its pid.
    ///
    /// One that has left again counts if it joined after this handle last found the other side empty:
    /// after a call returned `Disconnected`, no receiver is missed.
    ///
    /// # Errors
    /// [`SendError::Timeout`] if no receiver joined in time: try again. [`SendError::Interrupted`]
    /// if an [`interrupter`](Sender::interrupter) ended the call. [`SendError::Fault`] if the
    /// handle cannot go on.
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), SendError> {
        Ok(self.end.endpoint.wait_for_peer(timeout)?)
    }

    /// Returns the state of the peer as reported by the kernel.
    ///
    /// # Errors
    /// A [`Fault`] if the handle cannot go on.
    pub fn peer(&mut self) -> Result<Peer, Fault> {
        self.end.endpoint.peer()
    }

    /// Returns a handle that ends blocked calls of this sender, from another thread or from a
    /// signal handler; see [`Interrupter`](crate::Interrupter).
    ///
    /// From the first call on, blocked calls also watch for interrupts, which makes blocking a
    /// little slower.
    pub fn interrupter(&self) -> Interrupter {
        self.end.endpoint.attachment.interrupter()
    }

    /// Returns the number of messages sent but not yet acknowledged, including one that the receiver
    /// is reading.
    pub fn len(&self) -> usize {
        self.end.len()
    }

    /// Returns whether every sent message was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether a [`try_send`](Sender::try_send) would fail with [`Full`](SendError::Full)
    /// now: no slot is free for the next message.
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity()
    }

    /// Returns the number of slots of the ring.
    pub fn capacity(&self) -> usize {
        self.end.endpoint.geometry().capacity
    }

    /// Returns the maximum message length in bytes.
    pub fn slot_size(&self) -> usize {
        self.end.endpoint.geometry().slot_size
    }

    /// Returns the position of the next message in the sequence of all messages of this channel.
    pub fn position(&self) -> u64 {
        self.end.sending.producer.position()
    }

    /// Returns the identifier that other processes can pass to [`Options::id`](crate::Options::id).
    pub fn id(&self) -> ChannelId {
        self.end.endpoint.id()
    }

    /// Returns a snapshot of the channel's state.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] or [`Fault::Corrupt`].
    pub fn stat(&self) -> Result<Stat, Error> {
        self.end.endpoint.stat()
    }

    /// Leaves the channel and ends its stream: this sender is finished.
    ///
    /// Once every message is received, the receiver gets
    /// [`RecvError::Disconnected`](crate::RecvError::Disconnected), also one that joins only now,
    /// until another sender joins, which opens the next stream. The stream does not end if a sender
    /// died before and has no successor; see [`Stat::stream`].
    ///
    /// `drop` and [`close`](Sender::close) leave the stream open: the receiver that saw this sender
    /// gets `Disconnected`, and one that joins later waits for the next sender.
    ///
    /// ```
    /// # use sysvring::{Options, RecvError, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let name = format!("doc-finish-{}", std::process::id());
    /// # let name = name.as_str();
    /// let mut tx: spsc::Sender<u64> = Options::named(name).create()?;
    /// tx.send(&7)?;
    /// tx.finish()?;
    /// let mut late: spsc::Receiver<u64> = Options::named(name).attach()?;
    /// assert_eq!((late.recv(), late.recv()), (Ok(7), Err(RecvError::Disconnected)));
    /// # drop(late);
    /// # sysvring::remove(name)
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`close`](Sender::close); the stream is not finished then.
    pub fn finish(self) -> Result<(), Error> {
        self.end.finish()
    }

    /// Leaves the channel like `drop`, but reports errors. Messages stay in the channel.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] if there was nothing left to leave,
    /// [`Fault::LivenessLost`], or [`Fault::Forked`] in a forked child, which leaves nothing.
    pub fn close(self) -> Result<(), Error> {
        self.end.close()
    }

    /// Reserves the slot at the next position.
    #[inline(always)]
    pub(super) fn reserve(&mut self, blocking: Blocking) -> Result<(), SendError> {
        self.end.reserve(blocking)
    }

    #[inline(always)]
    fn check_length(&self, message: &T) -> Result<(), SendError> {
        let (len, max) = (size_of_val(message), self.end.sending.producer.ring().slot_size());
        if is_variable::<T>() && len > max {
            return Err(SendError::TooLong { len, max });
        }
        Ok(())
    }

    /// Writes a message of checked length into the reserved slot.
    #[inline(always)]
    fn write(&mut self, message: &T) {
        self.assume_slot_layout(Layout::for_value(message));
        // SAFETY: sized messages have the size that both sides agreed on, and the length of others
        // was checked.
        unsafe { self.end.write(message.as_bytes(), is_variable::<T>()) };
    }

    /// Sends messages from `message` on, whose slot is reserved and whose length was checked, while the
    /// run has room and nothing else is to be done. Returns the first one that was not sent.
    #[inline(always)]
    pub(super) fn put_run<'m>(
        &mut self,
        message: &'m T,
        messages: &mut impl Iterator<Item = &'m T>,
        sent: &mut usize,
    ) -> Option<&'m T> {
        self.assume_slot_layout(Layout::for_value(message));
        let SendEnd { sending, endpoint } = &mut self.end;
        let (known_flags, slot_size) =
            (SendRing::known_flags(&sending), sending.producer.ring().slot_size());
        let mut run = sending.producer.run();
        let mut message = message;
        loop {
            let bytes = message.as_bytes();
            // SAFETY: as in `write`; the run has room for this message.
            unsafe { send_end::write_into(run.slot(), bytes, is_variable::<T>(), endpoint) };
            run.publish();
            *sent += 1;
            // Notified at once: the iterator may take long to return the next message, or may panic.
            if endpoint.changed_flags(known_flags, false).is_some() {
                self.end.port().notify_if_needed();
                return messages.next();
            }
            message = messages.next()?;
            let too_long = is_variable::<T>() && size_of_val(message) > slot_size;
            if !run.has_room() || too_long || !endpoint.is_open() {
                return Some(message);
            }
        }
    }

    /// Promises the compiler the layout of a slot; see
    /// [`Ring::assume_slot_layout`](crate::ring::Ring::assume_slot_layout).
    #[inline(always)]
    pub(super) fn assume_slot_layout(&self, message: Layout) {
        if !is_variable::<T>() {
            // SAFETY: every message is a `T`: attaching compared the shapes.
            unsafe { self.end.sending.producer.ring().assume_slot_layout(message) };
        }
    }

    /// Publishes the message that was written into a loan.
    #[inline(always)]
    pub(super) fn commit(&mut self, message: Layout) -> Result<(), SendError> {
        self.end.end_loan(message.size(), is_variable::<T>())?;
        self.assume_slot_layout(message);
        self.end.publish_and_notify();
        Ok(())
    }

    /// Returns where the message of the reserved slot begins.
    #[inline(always)]
    pub(super) fn payload(&self) -> NonNull<u8> {
        self.end.payload()
    }
}

impl<T: Message + ?Sized> Sender<T> {
    pub(crate) fn as_end(&mut self) -> &mut SendEnd {
        &mut self.end
    }

    pub(crate) fn as_endpoint(&self) -> &Endpoint {
        &self.end.endpoint
    }
}

impl<T: Message + ?Sized> Handle for Sender<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Sender<T> {
    const FLAVOR: Flavor = Flavor::Spsc;
    const SIDE: Side = Side::Senders;

    fn message_type() -> MessageType {
        MessageType::of::<T>()
    }

    fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error> {
        let end = SendEnd::from_attachment(attachment, wait)?;
        Ok(Sender { end, message: PhantomData })
    }
}
