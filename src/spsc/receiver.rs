//! The receiving handle.

#[cfg(feature = "async")]
pub(super) mod asynchronous;
mod recv;
mod recv_ref;

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;

use super::recv_end::RecvEnd;
use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::interrupter::Interrupter;
use crate::endpoint::peer::Peer;
use crate::error::{Error, Fault, RecvError};
use crate::flavor::Flavor;
use crate::message::{Message, MessageType, is_variable};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::role::Side;
use crate::wait::adaptive_spin::Wait;
use crate::wait::blocking::Blocking;

/// The receiving half of an SPSC channel, opened with [`Options`](crate::Options).
///
/// A receiver may be moved to another thread. Dropping it leaves the channel; messages that were
/// not acknowledged stay in it for the next receiver.
#[derive(Debug)]
pub struct Receiver<T: Message + ?Sized> {
    end: RecvEnd,
    message: PhantomData<fn() -> Box<T>>,
}

impl<T: Message + ?Sized> Receiver<T> {
    /// Blocks until a sender has joined, for at most `timeout`.
    /// [`peer`](Receiver::peer) returns its pid.
    ///
    /// One that has left again counts if it joined after this handle last found the other side empty:
    /// after a call returned `Disconnected`, no sender is missed.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if no sender joined in time: try again. [`RecvError::Interrupted`]
    /// if an [`interrupter`](Receiver::interrupter) ended the call. [`RecvError::Fault`] if the
    /// handle cannot go on.
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), RecvError> {
        Ok(self.end.endpoint.wait_for_peer(timeout)?)
    }

    /// Returns the state of the peer as reported by the kernel.
    ///
    /// # Errors
    /// A [`Fault`] if the handle cannot go on.
    pub fn peer(&mut self) -> Result<Peer, Fault> {
        self.end.endpoint.peer()
    }

    /// Returns a handle that ends blocked calls of this receiver, from another thread or from a
    /// signal handler; see [`Interrupter`](crate::Interrupter).
    ///
    /// From the first call on, blocked calls also watch for interrupts, which makes blocking a
    /// little slower.
    pub fn interrupter(&self) -> Interrupter {
        self.end.endpoint.attachment.interrupter()
    }

    /// Returns the number of messages sent but not yet acknowledged.
    pub fn len(&self) -> usize {
        self.end.len()
    }

    /// Returns whether no message is available.
    pub fn is_empty(&self) -> bool {
        self.end.is_empty()
    }

    /// Returns whether a `try_send` of the sender would fail with
    /// [`Full`](crate::SendError::Full) now: no slot is free for the next message.
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
    /// All messages at lower positions are acknowledged.
    pub fn position(&self) -> u64 {
        self.end.position()
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

    /// Leaves the channel like `drop`, but reports errors. Messages that were not acknowledged
    /// stay.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] if there was nothing left to leave,
    /// [`Fault::LivenessLost`], or [`Fault::Forked`] in a forked child, which leaves nothing.
    pub fn close(self) -> Result<(), Error> {
        self.end.close()
    }

    /// Obtains the message at the next position.
    #[inline(always)]
    fn next(&mut self, blocking: Blocking) -> Result<(), RecvError> {
        self.end.next(blocking)
    }

    /// Returns the address and length of the message that arrived; it never exceeds a slot.
    #[inline(always)]
    fn payload(&self) -> Result<(NonNull<u8>, usize), RecvError> {
        self.end.payload(is_variable::<T>())
    }

    /// Acknowledges the message at the next position.
    #[inline(always)]
    fn acknowledge(&mut self, len: usize) {
        self.end.acknowledge(len, is_variable::<T>());
    }

    /// Promises the compiler the layout of a slot; see
    /// [`Ring::assume_slot_layout`](crate::ring::Ring::assume_slot_layout).
    #[inline(always)]
    fn assume_slot_layout(&self, message: Layout) {
        if !is_variable::<T>() {
            // SAFETY: every message is a `T`: attaching compared the shapes.
            unsafe { self.end.consumer.ring().assume_slot_layout(message) };
        }
    }

    /// Goes on at the newest message, if there is one that was not received: those before it are
    /// acknowledged.
    pub(crate) fn skip_to_newest(&mut self) -> Result<(), RecvError> {
        self.end.check_guard()?;
        if self.end.consumer.skip_to_newest() {
            self.end.port().give_credit();
        }
        Ok(())
    }

    /// Acknowledges the message of a guard.
    #[inline(always)]
    pub(super) fn acknowledge_guard(&mut self, message: Layout) -> Result<(), RecvError> {
        self.end.check_guard()?;
        self.assume_slot_layout(message);
        self.acknowledge(message.size());
        Ok(())
    }

    /// Returns the message of a guard: the next call receives it again.
    pub(super) fn release(&mut self) -> Result<(), RecvError> {
        self.end.release()
    }

    /// Gives the message of a guard up for good, or returns it.
    pub(super) fn reject(&mut self, len: usize) -> Result<(), RecvError> {
        self.end.reject(len, is_variable::<T>())
    }

    /// Returns how often the message at the next position was delivered.
    pub(super) fn deliveries(&self) -> u8 {
        self.end.deliveries()
    }
}

impl<T: Message + ?Sized> Receiver<T> {
    #[cfg(feature = "postcard")]
    pub(crate) fn as_end(&mut self) -> &mut RecvEnd {
        &mut self.end
    }

    pub(crate) fn as_endpoint(&self) -> &Endpoint {
        &self.end.endpoint
    }
}

impl<T: Message + ?Sized> Handle for Receiver<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Receiver<T> {
    const FLAVOR: Flavor = Flavor::Spsc;
    const SIDE: Side = Side::Receivers;

    fn message_type() -> MessageType {
        MessageType::of::<T>()
    }

    fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error> {
        let end = RecvEnd::from_attachment(attachment, wait)?;
        Ok(Receiver { end, message: PhantomData })
    }
}
