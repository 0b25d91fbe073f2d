//! The receiving handle: what is not about messages.

#[cfg(feature = "async")]
mod asynchronous;
mod latest;
mod recv;
mod recv_ref;

use core::time::Duration;

use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::interrupter::Interrupter;
use crate::endpoint::peer::Peer;
use crate::error::{Error, Fault, RecvError};
use crate::flavor::Flavor;
use crate::message::{Message, MessageType};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::role::Side;
use crate::spsc;
use crate::wait::adaptive_spin::Wait;

/// A receiver of a broadcast channel, opened with [`Options`](crate::Options).
///
/// A receiver may be moved to another thread. Dropping it leaves the channel, and the sender no longer
/// waits for it.
#[derive(Debug)]
pub struct Receiver<T: Message + ?Sized> {
    one: spsc::Receiver<T>,
}

impl<T: Message + ?Sized> Receiver<T> {
    /// Blocks until a sender has joined, for at most `timeout`.
    /// [`peer`](Receiver::peer) returns its pid.
    ///
    /// One that has left again counts if it joined after this handle last found no sender: after a call
    /// returned `Disconnected`, no sender is missed.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if no sender joined in time: try again. [`RecvError::Interrupted`]
    /// if an [`interrupter`](Receiver::interrupter) ended the call. [`RecvError::Fault`] if the
    /// handle cannot go on.
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), RecvError> {
        self.one.wait_for_peer(timeout)
    }

    /// Returns the state of the sender as reported by the kernel.
    ///
    /// # Errors
    /// A [`Fault`] if the handle cannot go on.
    pub fn peer(&mut self) -> Result<Peer, Fault> {
        self.one.peer()
    }

    /// Returns a handle that ends blocked calls of this receiver, from another thread or from a
    /// signal handler; see [`Interrupter`](crate::Interrupter).
    ///
    /// From the first call on, blocked calls also watch for interrupts, which makes blocking a
    /// little slower.
    pub fn interrupter(&self) -> Interrupter {
        self.one.interrupter()
    }

    /// Returns the number of messages that this receiver has not acknowledged.
    pub fn len(&self) -> usize {
        self.one.len()
    }

    /// Returns whether no message is available.
    pub fn is_empty(&self) -> bool {
        self.one.is_empty()
    }

    /// Returns whether this receiver is a whole ring behind: the sender has no room, or overwrites
    /// what this receiver has not received.
    pub fn is_full(&self) -> bool {
        self.one.is_full()
    }

    /// Returns the number of slots of the ring.
    pub fn capacity(&self) -> usize {
        self.one.capacity()
    }

    /// Returns the maximum message length in bytes.
    pub fn slot_size(&self) -> usize {
        self.one.slot_size()
    }

    /// Returns the position of the next message in the sequence of all messages of this channel.
    /// All messages at lower positions are acknowledged.
    pub fn position(&self) -> u64 {
        self.one.position()
    }

    /// Returns the identifier that other processes can pass to [`Options::id`](crate::Options::id).
    pub fn id(&self) -> ChannelId {
        self.one.id()
    }

    /// Returns a snapshot of the channel's state.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] or [`Fault::Corrupt`].
    pub fn stat(&self) -> Result<Stat, Error> {
        self.one.stat()
    }

    /// Leaves the channel like `drop`, but reports errors. The sender no longer waits for this receiver,
    /// and no other one continues where it stopped.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] if there was nothing left to leave,
    /// [`Fault::LivenessLost`], or [`Fault::Forked`] in a forked child, which leaves nothing.
    pub fn close(self) -> Result<(), Error> {
        self.one.close()
    }
}

impl<T: Message + ?Sized> Receiver<T> {
    /// Returns the receiver's handle as that of the only receiver.
    pub(super) fn into_inner(self) -> spsc::Receiver<T> {
        self.one
    }

    #[cfg(feature = "postcard")]
    pub(crate) fn as_end(&mut self) -> &mut spsc::RecvEnd {
        self.one.as_end()
    }

    pub(crate) fn as_endpoint(&self) -> &Endpoint {
        self.one.as_endpoint()
    }
}

impl<T: Message + ?Sized> Handle for Receiver<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Receiver<T> {
    const FLAVOR: Flavor = Flavor::Broadcast;
    const SIDE: Side = Side::Receivers;

    fn message_type() -> MessageType {
        MessageType::of::<T>()
    }

    fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error> {
        Ok(Receiver { one: spsc::Receiver::from_attachment(attachment, wait)? })
    }
}
