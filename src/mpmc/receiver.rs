//! The receiving handle.

mod any_length;
mod by_value;
mod inner;
mod taken;

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;
use std::sync::{Arc, Mutex};

use super::Death;
use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::mpmc::Endpoint;
use crate::error::{Error, Fault, RecvError};
use crate::flavor::Flavor;
use crate::message::{Message, MessageLayout, is_variable};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::ring::mpmc::{Consumer, Held, Snapshot};
use crate::role::Side;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::adaptive_spin::Wait;
use crate::wait::backoff::ReceiverBackoff;

/// A receiver of a many-to-many channel. [`Options`](crate::Options) open it.
#[derive(Debug)]
pub struct Receiver<T: Message + ?Sized> {
    inner: Arc<Inner>,
    message: PhantomData<fn() -> Box<T>>,
}

/// One member, for all clones of its handle.
#[derive(Debug)]
struct Inner {
    consumer: Consumer,
    backoff: ReceiverBackoff,
    /// What was known when the slots were last searched in vain for messages of the dead. Never waited
    /// for: a signal handler may receive while it interrupts a search of this very handle.
    searched: Mutex<Option<Snapshot>>,
    /// Last: the ring lies in its mapping.
    endpoint: Endpoint,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.endpoint.settle(self.consumer.position());
        self.endpoint.let_go();
        // Who wants to hear of errors calls `close`.
        let _ = self.endpoint.leave();
    }
}

impl<T: Message + ?Sized> Clone for Receiver<T> {
    /// The same member once more.
    fn clone(&self) -> Receiver<T> {
        Receiver { inner: Arc::clone(&self.inner), message: PhantomData }
    }
}

impl<T: Message + ?Sized> Receiver<T> {
    /// Another member of the same channel, with a seat of its own; it waits as this one and has its
    /// label.
    ///
    /// # Errors
    /// As [`Options::attach`](crate::Options::attach), above all [`Error::NoSeat`].
    pub fn try_clone(&self) -> Result<Receiver<T>, Error> {
        self.inner.endpoint.like_this().attach()
    }

    /// Waits until a sender is there, for at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], [`RecvError::Fault`].
    pub fn wait_for_peer(&self, timeout: Duration) -> Result<(), RecvError> {
        let inner = &*self.inner;
        inner.endpoint.check()?;
        inner.endpoint.wait_for_peer(timeout).map_err(|ended| inner.ended(ended.of_call()))
    }

    /// The members that died since this was last asked. One whose seat was taken again meanwhile is
    /// not among them.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn deaths(&self) -> Result<Vec<Death>, Fault> {
        self.inner.endpoint.deaths()
    }

    /// Messages sent and not yet acknowledged, by whatever receiver. Looks at every slot.
    pub fn len(&self) -> usize {
        self.inner.consumer.ring().count_messages() as usize
    }

    /// Whether everything sent was acknowledged. Looks at every slot.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every slot holds a message. Looks at every slot.
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity()
    }

    /// Slots of the ring.
    pub fn capacity(&self) -> usize {
        self.inner.endpoint.attachment.geometry().capacity
    }

    /// Longest message, bytes.
    pub fn slot_size(&self) -> usize {
        self.inner.endpoint.attachment.geometry().slot_size
    }

    /// What others need to attach by identifier.
    pub fn id(&self) -> ChannelId {
        self.inner.endpoint.attachment.id
    }

    /// Everything about the channel.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] or [`Fault::Corrupt`].
    pub fn stat(&self) -> Result<Stat, Error> {
        self.inner.account();
        self.inner.endpoint.attachment.stat()
    }

    /// Leaves the channel, as `drop` of the last clone does, and tells what went wrong. Other clones
    /// say [`Fault::Closed`] from now on; while there are any, the seat is kept for what they may have
    /// in hand, and given back with the last of them.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] when there was nothing left to leave, or
    /// [`Fault::LivenessLost`].
    pub fn close(self) -> Result<(), Error> {
        self.inner.endpoint.settle(self.inner.consumer.position());
        match Arc::try_unwrap(self.inner) {
            Ok(inner) => inner.endpoint.close(),
            Err(inner) => inner.endpoint.close_for_others(),
        }
    }

    /// Where a held message lies, and how many bytes it has: never more than a slot. On an error it is
    /// another receiver's.
    #[inline(always)]
    fn find(&self, held: &Held) -> Result<(NonNull<u8>, usize), RecvError> {
        let slot = self.inner.consumer.slot(held);
        slot.reading();
        let slot_size = self.slot_size();
        if !is_variable::<T>() {
            return Ok((slot.payload(), slot_size));
        }
        let len = slot.length().load(Relaxed);
        if len > slot_size as u64 {
            self.inner.release(held);
            let what = "a message is longer than its slot";
            return Err(self.inner.endpoint.stop(Fault::Corrupt { what }).into());
        }
        Ok((slot.payload(), len as usize))
    }

    /// Acknowledges a held message.
    #[inline(always)]
    pub(super) fn finish(&self, held: &Held, len: usize) -> Result<(), RecvError> {
        self.inner.endpoint.count(len);
        self.inner.acknowledge(held)
    }
}

impl<T: Message + ?Sized> Handle for Receiver<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Receiver<T> {
    const FLAVOR: Flavor = Flavor::Mpmc;
    const SIDE: Side = Side::Receivers;

    fn shape() -> MessageLayout {
        MessageLayout::of::<T>()
    }

    fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error> {
        let endpoint = Endpoint::new(attachment, wait);
        let consumer = Consumer::new(endpoint.attachment.ring(), endpoint.attachment.seat.number);
        endpoint.attachment.begin_at(consumer.position());
        let backoff = ReceiverBackoff::new(endpoint.attachment.geometry());
        let inner = Inner { consumer, backoff, searched: Mutex::default(), endpoint };
        Ok(Receiver { inner: Arc::new(inner), message: PhantomData })
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
