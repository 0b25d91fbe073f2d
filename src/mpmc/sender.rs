//! The sending handle.

mod by_value;
mod claimed;
mod in_place;
mod inner;

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;
use std::sync::Arc;

use super::Death;
use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::flush::is_flushed;
use crate::endpoint::mpmc::Endpoint;
use crate::error::{Error, Fault, SendError};
use crate::flavor::Flavor;
use crate::message::{Message, MessageLayout, is_variable};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::ring::mpmc::{Claim, Producer};
use crate::role::Side;
use crate::sync::plain::AtomicU32;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::adaptive_spin::Wait;
use crate::wait::blocking::Blocking;
use crate::wait::{self, Poll};

/// A sender of a many-to-many channel. [`Options`](crate::Options) open it.
///
/// Sending borrows the message: on an error it was not sent and is still yours.
#[derive(Debug)]
pub struct Sender<T: Message + ?Sized> {
    inner: Arc<Inner>,
    message: PhantomData<fn(&T)>,
}

/// One member, for all clones of its handle.
#[derive(Debug)]
struct Inner {
    producer: Producer,
    /// The receivers' word while there is nothing to do about it.
    quiet: AtomicU32,
    /// Last: the ring lies in its mapping.
    endpoint: Endpoint,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.endpoint.settle(self.producer.position());
        self.endpoint.let_go();
        // Who wants to hear of errors calls `close`.
        let _ = self.endpoint.leave();
    }
}

impl<T: Message + ?Sized> Clone for Sender<T> {
    /// The same member once more.
    fn clone(&self) -> Sender<T> {
        Sender { inner: Arc::clone(&self.inner), message: PhantomData }
    }
}

impl<T: Message + ?Sized> Sender<T> {
    /// Another member of the same channel, with a seat of its own; it waits as this one and has its
    /// label.
    ///
    /// # Errors
    /// As [`Options::attach`](crate::Options::attach), above all [`Error::NoSeat`].
    pub fn try_clone(&self) -> Result<Sender<T>, Error> {
        self.inner.endpoint.like_this().attach()
    }

    /// Waits until everything that anybody sent was acknowledged, for at most `timeout`. It looks now and
    /// then, so it is late by an eighth of the time that it takes, and by 16 ms at most.
    ///
    /// # Errors
    /// [`SendError::Timeout`]; [`SendError::Disconnected`] when all receivers are gone and left
    /// something; [`SendError::Fault`].
    pub fn flush(&self, timeout: Duration) -> Result<(), SendError> {
        let inner = &*self.inner;
        inner.endpoint.check()?;
        inner.look_after_receivers();
        let is_drained = || inner.producer.ring().count_messages() == 0;
        let look = |look| {
            if look == Poll::Quick {
                return Ok(is_drained());
            }
            is_flushed(is_drained, || {
                let lives = inner.endpoint.look_at_lives()?;
                Ok::<bool, Fault>(inner.endpoint.is_abandoned(&lives))
            })
        };
        let deadline = Blocking::For(timeout).deadline();
        let nap = |time| Ok(inner.endpoint.attachment.nap(time)?);
        let waited = inner.endpoint.with_policy(|policy| wait::poll(policy, nap, deadline, look));
        waited.map_err(|ended| inner.ended(ended))
    }

    /// Waits until a receiver is there, for at most `timeout`.
    ///
    /// # Errors
    /// [`SendError::Timeout`], [`SendError::Fault`].
    pub fn wait_for_peer(&self, timeout: Duration) -> Result<(), SendError> {
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

    /// Messages sent and not yet acknowledged. Looks at every slot.
    pub fn len(&self) -> usize {
        self.inner.producer.ring().count_messages() as usize
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

    /// Leaves the channel, as `drop` of the last clone does, and tells what went wrong. Messages stay.
    /// Other clones say [`Fault::Closed`] from now on; while there are any, the seat is kept for what
    /// they may have in hand, and given back with the last of them.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] when there was nothing left to leave, or
    /// [`Fault::LivenessLost`].
    pub fn close(self) -> Result<(), Error> {
        self.inner.endpoint.settle(self.inner.producer.position());
        match Arc::try_unwrap(self.inner) {
            Ok(inner) => inner.endpoint.close(),
            Err(inner) => inner.endpoint.close_for_others(),
        }
    }

    #[inline(always)]
    fn check_length(&self, message: &T) -> Result<(), SendError> {
        let (len, max) = (size_of_val(message), self.inner.producer.ring().slot_size());
        if is_variable::<T>() && len > max {
            return Err(SendError::TooLong { len, max });
        }
        Ok(())
    }

    /// Writes a message of checked length into a claimed slot; its length.
    #[inline(always)]
    fn write(&self, claim: &Claim, message: &T) -> usize {
        let bytes = message.as_bytes();
        let slot = self.inner.producer.slot(claim);
        slot.writing();
        // SAFETY: the slot is ours until it is published, and has room: sized messages have the size
        // both sides agreed on, the length of others was checked.
        unsafe { slot.payload().as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        bytes.len()
    }

    /// Announces the message in a claimed slot.
    #[inline(always)]
    fn publish(&self, claim: Claim, len: usize) -> Result<(), SendError> {
        let inner = &*self.inner;
        if is_variable::<T>() {
            inner.producer.slot(&claim).length().store(len as u64, Relaxed);
        }
        match inner.producer.publish(claim) {
            true => {
                inner.endpoint.count(len);
                Ok(())
            }
            // Somebody took us for dead: our token is gone, or was for a moment.
            false => Err(inner.endpoint.stop(Fault::LivenessLost).into()),
        }
    }

    /// Sends what was written into a claimed slot; or gives the claim up.
    #[inline(always)]
    pub(super) fn commit(&self, claim: Claim, len: usize) -> Result<(), SendError> {
        if let Err(fault) = self.inner.endpoint.check() {
            self.inner.give_up(claim.position());
            return Err(fault.into());
        }
        self.publish(claim, len)?;
        self.inner.look_after_receivers();
        Ok(())
    }

    /// Gives a claim up.
    pub(super) fn abandon(&self, claim: Claim) {
        self.inner.give_up(claim.position());
    }

    /// Where the message of a claimed slot goes.
    #[inline(always)]
    pub(super) fn payload(&self, claim: &Claim) -> NonNull<u8> {
        let slot = self.inner.producer.slot(claim);
        slot.writing();
        slot.payload()
    }
}

impl<T: Message + ?Sized> Handle for Sender<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Sender<T> {
    const FLAVOR: Flavor = Flavor::Mpmc;
    const SIDE: Side = Side::Senders;

    fn shape() -> MessageLayout {
        MessageLayout::of::<T>()
    }

    fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error> {
        let endpoint = Endpoint::new(attachment, wait);
        let producer = Producer::new(endpoint.attachment.ring(), endpoint.attachment.seat.number);
        endpoint.attachment.begin_at(producer.position());
        let inner = Inner { producer, quiet: AtomicU32::new(0), endpoint };
        Ok(Sender { inner: Arc::new(inner), message: PhantomData })
    }
}
