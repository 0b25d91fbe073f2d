//! The receiving handle.

#[cfg(feature = "async")]
pub(super) mod asynchronous;
mod recv;
mod recv_ref;

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;

use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::interrupter::Interrupter;
use crate::endpoint::peer::Peer;
use crate::error::{Error, Fault, RecvError};
use crate::flavor::Flavor;
use crate::message::{Message, MessageLayout, is_variable};
use crate::mpmc::DeadLetters;
use crate::open::handle::{Handle, sealed::Sealed};
use crate::protocol::{GivenUp, Membership, RecvPort};
use crate::ring::spsc::Consumer;
use crate::role::Side;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::adaptive_spin::Wait;
use crate::wait::blocking::Blocking;

/// The receiving half of an SPSC channel, opened with [`Options`](crate::Options).
///
/// A receiver may be moved to another thread. Dropping it leaves the channel; messages that were
/// not acknowledged stay in it for the next receiver.
#[derive(Debug)]
pub struct Receiver<T: Message + ?Sized> {
    consumer: Consumer,
    /// Must be last: the ring is in its mapping.
    endpoint: Endpoint,
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
        Ok(self.endpoint.wait_for_peer(timeout)?)
    }

    /// Returns the state of the peer as reported by the kernel.
    ///
    /// # Errors
    /// A [`Fault`] if the handle cannot go on.
    pub fn peer(&mut self) -> Result<Peer, Fault> {
        self.endpoint.peer()
    }

    /// Returns a handle that ends blocked calls of this receiver, from another thread or from a
    /// signal handler; see [`Interrupter`](crate::Interrupter).
    ///
    /// From the first call on, blocked calls also watch for interrupts, which makes blocking a
    /// little slower.
    pub fn interrupter(&self) -> Interrupter {
        self.endpoint.attachment.interrupter()
    }

    /// Returns the number of messages sent but not yet acknowledged.
    pub fn len(&self) -> usize {
        self.consumer.ring().depth() as usize
    }

    /// Returns whether no message is available.
    pub fn is_empty(&self) -> bool {
        !self.consumer.has_message()
    }

    /// Returns whether a `try_send` of the sender would fail with
    /// [`Full`](crate::SendError::Full) now: no slot is free for the next message.
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity()
    }

    /// Returns the number of slots of the ring.
    pub fn capacity(&self) -> usize {
        self.endpoint.geometry().capacity
    }

    /// Returns the maximum message length in bytes.
    pub fn slot_size(&self) -> usize {
        self.endpoint.geometry().slot_size
    }

    /// Returns the position of the next message in the sequence of all messages of this channel.
    /// All messages at lower positions are acknowledged.
    pub fn position(&self) -> u64 {
        self.consumer.position()
    }

    /// Returns the identifier that other processes can pass to [`Options::id`](crate::Options::id).
    pub fn id(&self) -> ChannelId {
        self.endpoint.id()
    }

    /// Returns a snapshot of the channel's state.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] or [`Fault::Corrupt`].
    pub fn stat(&self) -> Result<Stat, Error> {
        self.endpoint.stat()
    }

    /// Leaves the channel like `drop`, but reports errors. Messages that were not acknowledged
    /// stay.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] if there was nothing left to leave,
    /// [`Fault::LivenessLost`], or [`Fault::Forked`] in a forked child, which leaves nothing.
    pub fn close(mut self) -> Result<(), Error> {
        self.publish_final();
        self.endpoint.leave()
    }

    /// Obtains the message at the next position.
    #[inline(always)]
    fn next(&mut self, blocking: Blocking) -> Result<(), RecvError> {
        self.port().next(blocking)
    }

    #[inline(always)]
    fn port(&mut self) -> RecvPort<'_, &mut Consumer, Endpoint> {
        RecvPort { ring: &mut self.consumer, member: &self.endpoint }
    }

    /// Returns the address and length of the message that arrived; it never exceeds a slot.
    #[inline(always)]
    fn payload(&mut self) -> Result<(NonNull<u8>, usize), RecvError> {
        let slot = self.consumer.slot();
        slot.reading();
        let geometry = self.endpoint.geometry();
        if !is_variable::<T>() {
            return Ok((slot.payload(), geometry.slot_size));
        }
        let len = slot.length().load(Relaxed);
        if len > geometry.slot_size as u64 {
            let what = "a message is longer than its slot";
            return Err(self.endpoint.stop(Fault::Corrupt { what }).into());
        }
        Ok((slot.payload(), len as usize))
    }

    /// Acknowledges the message at the next position.
    #[inline(always)]
    fn acknowledge(&mut self, len: usize) {
        if is_variable::<T>() {
            self.endpoint.count_bytes(len);
        }
        // An SPSC receiver that was evicted notices it elsewhere.
        let _ = self.port().acknowledge(&());
    }

    /// Promises the compiler the layout of a slot; see
    /// [`Ring::assume_slot_layout`](crate::ring::Ring::assume_slot_layout).
    #[inline(always)]
    fn assume_slot_layout(&self, message: Layout) {
        if !is_variable::<T>() {
            // SAFETY: every message is a `T`: attaching compared the shapes.
            unsafe { self.consumer.ring().assume_slot_layout(message) };
        }
    }

    /// Acknowledges the message of a guard. In a forked child only the parent may acknowledge it.
    #[inline(always)]
    pub(super) fn acknowledge_guard(&mut self, message: Layout) -> Result<(), RecvError> {
        if !self.endpoint.is_open() {
            self.endpoint.check()?;
        }
        self.assume_slot_layout(message);
        self.acknowledge(message.size());
        Ok(())
    }

    /// Ends the delivery of a guard's message without acknowledging it: the next call receives it
    /// again.
    #[cold]
    pub(super) fn release(&mut self) -> Result<(), RecvError> {
        self.endpoint.check()?;
        self.consumer.end_delivery();
        // The next call checks whether the message was delivered too often.
        self.endpoint.require_slow_path();
        Ok(())
    }

    /// Gives the message of a guard up for good, or returns it.
    #[cold]
    pub(super) fn reject(&mut self, len: usize) -> Result<(), RecvError> {
        self.endpoint.check()?;
        let (slot, position) = (self.consumer.slot(), self.consumer.position());
        let message = GivenUp { slot, position, deliveries: self.consumer.deliveries() };
        if let Err(reason) = self.endpoint.dispose_of(&message) {
            self.release()?;
            return Err(RecvError::NotMoved { reason });
        }
        self.acknowledge(len);
        self.endpoint.count_rejection();
        Ok(())
    }

    /// Returns how often the message at the next position was delivered.
    pub(super) fn deliveries(&self) -> u8 {
        self.consumer.deliveries()
    }

    /// The error for the message just acknowledged, which was not a valid `T`.
    #[cold]
    fn invalid(&self) -> RecvError {
        RecvError::Invalid { position: self.consumer.position().wrapping_sub(1) }
    }

    /// Publishes everything received to the sender, and wakes it whatever it waits for.
    fn publish_final(&mut self) {
        if self.endpoint.attachment.owns_seat() {
            self.consumer.publish_credit();
            // An error here recurs in the next step.
            let _ = self.endpoint.wake(Side::Senders);
        }
    }
}

impl<T: Message + ?Sized> Receiver<T> {
    pub(crate) fn as_endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl<T: Message + ?Sized> Handle for Receiver<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Receiver<T> {
    const FLAVOR: Flavor = Flavor::Spsc;
    const SIDE: Side = Side::Receivers;

    fn shape() -> MessageLayout {
        MessageLayout::of::<T>()
    }

    fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error> {
        Consumer::check(&attachment.ring()).map_err(Fault::from)?;
        let consumer = Consumer::new(attachment.ring());
        attachment.begin_at(consumer.position());
        let letters = DeadLetters::of(&attachment)?;
        let endpoint = Endpoint::new(attachment, wait).with_dead_letters(letters);
        let is_limited = endpoint.delivery_limit().is_some();
        // Without a limit it is not recorded whether a receiver that died had begun.
        let may_have_begun =
            !is_limited && endpoint.attachment.took_over_from_dead() && consumer.has_message();
        if consumer.inherit_delivery(may_have_begun) || is_limited {
            endpoint.require_slow_path();
        }
        Ok(Receiver { consumer, endpoint, message: PhantomData })
    }
}

impl<T: Message + ?Sized> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.publish_final();
    }
}
