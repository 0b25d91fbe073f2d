//! The sending handle.

mod by_value;
mod in_place;

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;

use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::flush::is_flushed;
use crate::endpoint::spsc::{Endpoint, Peer};
use crate::error::{Error, Fault, SendError};
use crate::flavor::Flavor;
use crate::message::{self, Message, MessageLayout, is_variable};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::ring::spsc::Producer;
use crate::role::Side;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::adaptive_spin::{Wait, WaitPolicy};
use crate::wait::blocking::{Blocking, Throttle};
use crate::wait::{self, Poll, WaitError};

/// The sending side of a one-to-one channel. [`Options`](crate::Options) open it.
///
/// Sending borrows the message: on an error it was not sent and is still yours. A sender may be
/// moved to another thread. Dropping it leaves the channel; what was sent stays in it.
#[derive(Debug)]
pub struct Sender<T: Message + ?Sized> {
    producer: Producer,
    /// The receivers' word while there is nothing to do about it.
    quiet: u32,
    policy: WaitPolicy,
    /// Bytes sent since the seat was taken.
    bytes: u64,
    throttle: Throttle,
    /// Last: the ring lies in its mapping.
    endpoint: Endpoint,
    message: PhantomData<fn(&T)>,
}

impl<T: Message + ?Sized> Sender<T> {
    /// Waits until everything sent was acknowledged, for at most `timeout`. It looks now and then, so it is
    /// late by an eighth of the time that it takes, and by 16 ms at most.
    ///
    /// # Errors
    /// [`SendError::Timeout`]; [`SendError::Disconnected`] when the receiver is gone and left
    /// something; [`SendError::Fault`].
    pub fn flush(&mut self, timeout: Duration) -> Result<(), SendError> {
        self.endpoint.check()?;
        self.look_after_receiver();
        let Sender { producer, endpoint, policy, .. } = self;
        let deadline = Blocking::For(timeout).deadline();
        let nap = |time| Ok(endpoint.attachment.nap(time)?);
        let drained = wait::poll(policy, nap, deadline, |look| {
            if look == Poll::Quick {
                return Ok(producer.is_drained());
            }
            is_flushed(
                || producer.is_drained(),
                || {
                    let lives = endpoint.attachment.look_at_lives()?;
                    Ok::<bool, Fault>(endpoint.is_abandoned(&lives))
                },
            )
        });
        drained.map_err(|ended| self.ended(ended))
    }

    /// Waits until a receiver is there, for at most `timeout`; its process.
    ///
    /// # Errors
    /// [`SendError::Timeout`], [`SendError::Fault`].
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<u32, SendError> {
        self.endpoint.check()?;
        self.endpoint.wait_for_peer(timeout).map_err(|ended| self.ended(ended.of_call()))
    }

    /// Who is on the other side, by the kernel's word.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn peer(&mut self) -> Result<Peer, Fault> {
        self.endpoint.check()?;
        self.endpoint.peer()
    }

    /// Messages sent and not yet acknowledged.
    pub fn len(&self) -> usize {
        self.producer.unacknowledged() as usize
    }

    /// Whether everything sent was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a send would have to wait.
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity()
    }

    /// Slots of the ring.
    pub fn capacity(&self) -> usize {
        self.endpoint.attachment.geometry().capacity
    }

    /// Longest message, bytes.
    pub fn slot_size(&self) -> usize {
        self.endpoint.attachment.geometry().slot_size
    }

    /// The position of the next message in the sequence of all messages of this channel.
    pub fn position(&self) -> u64 {
        self.producer.position()
    }

    /// What others need to attach by identifier.
    pub fn id(&self) -> ChannelId {
        self.endpoint.attachment.id
    }

    /// Everything about the channel.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] or [`Fault::Corrupt`].
    pub fn stat(&self) -> Result<Stat, Error> {
        self.account();
        self.endpoint.attachment.stat()
    }

    /// Leaves the channel, as `drop` does, and tells what went wrong. Messages stay.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] when there was nothing left to leave,
    /// [`Fault::LivenessLost`], or [`Fault::Forked`] in a forked child, which leaves nothing.
    pub fn close(self) -> Result<(), Error> {
        self.settle();
        self.endpoint.leave()
    }

    /// Makes sure of a free slot at the next position.
    #[inline(always)]
    pub(super) fn claim(&mut self, blocking: Blocking) -> Result<(), SendError> {
        if !self.endpoint.guard.forked() && self.producer.has_room() {
            return Ok(());
        }
        self.make_room(blocking)
    }

    #[inline(always)]
    fn check_length(&self, message: &T) -> Result<(), SendError> {
        let (len, max) = (size_of_val(message), self.producer.ring().slot_size());
        if is_variable::<T>() && len > max {
            return Err(SendError::TooLong { len, max });
        }
        Ok(())
    }

    /// Writes a message of checked length into the claimed slot.
    #[inline(always)]
    fn write(&mut self, message: &T) {
        let bytes = message.as_bytes();
        self.assume_slot_layout(message);
        let slot = self.producer.slot();
        slot.writing();
        // SAFETY: the slot is ours until it is published, and has room: sized messages have the size
        // both sides agreed on, the length of others was checked.
        unsafe { message::copy_in(bytes, slot.payload()) };
        self.set_length(bytes.len());
    }

    /// See [`Ring::assume_slot_layout`](crate::ring::Ring::assume_slot_layout).
    #[inline(always)]
    pub(super) fn assume_slot_layout(&self, message: &T) {
        if !is_variable::<T>() {
            let (size, align) = (size_of_val(message), align_of_val(message));
            // SAFETY: every message is a `T`: attaching compared the shapes.
            unsafe { self.producer.ring().assume_slot_layout(size, align) };
        }
    }

    /// Says how long the message in the claimed slot is, where that is not known.
    #[inline(always)]
    fn set_length(&mut self, len: usize) {
        if is_variable::<T>() {
            self.producer.slot().length().store(len as u64, Relaxed);
            self.bytes += len as u64;
        }
    }

    /// Publishes the message that was written into a loan. In a forked child it is the parent's to
    /// publish.
    #[inline(always)]
    pub(super) fn commit(&mut self, len: usize) {
        if self.endpoint.guard.forked() {
            return;
        }
        self.set_length(len);
        self.announce();
    }

    /// Where the message of the claimed slot goes.
    #[inline(always)]
    pub(super) fn payload(&self) -> NonNull<u8> {
        let slot = self.producer.slot();
        slot.writing();
        slot.payload()
    }

    /// Publishes the message in the claimed slot.
    #[inline(always)]
    fn announce(&mut self) {
        self.producer.publish();
        self.look_after_receiver();
    }

    /// The waker's half of the order in `wait/mod.rs`: it was published, now look.
    #[inline(always)]
    fn look_after_receiver(&mut self) {
        wait::waker_fence();
        if self.producer.ring().header().receivers.flags() != self.quiet {
            self.see_receiver();
        }
    }

    /// The receiver sleeps, or left, or there is something else about it.
    #[cold]
    #[inline(never)]
    fn see_receiver(&mut self) {
        // What fails here fails again in the next call, which can say so: the message is sent.
        let _ = self.endpoint.wake_peer();
        self.quiet = 0;
        let parking = self.endpoint.attachment.peer_parking();
        if parking.is_removed() {
            return self.producer.forget_room();
        }
        if parking.has_left() {
            match self.endpoint.peer() {
                // It left before we came: so things are until somebody comes.
                Ok(Peer::Absent) => self.quiet = wait::LEFT,
                // About to go, or another one came.
                Ok(Peer::Present { .. }) => {}
                _ => self.producer.forget_room(),
            }
        }
    }

    /// The slow half of [`claim`](Sender::claim).
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, blocking: Blocking) -> Result<(), SendError> {
        self.find_room(blocking).map_err(|error| match error {
            SendError::Fault(fault) => self.endpoint.stop(fault).into(),
            error => error,
        })
    }

    fn find_room(&mut self, blocking: Blocking) -> Result<(), SendError> {
        self.endpoint.check()?;
        self.endpoint.attachment.check_removed()?;
        self.account();
        if self.endpoint.attachment.peer_parking().has_left() && self.endpoint.has_lost_peer()? {
            return Err(SendError::Disconnected);
        }
        // By credit: a look at the exact head would slow down a busy receiver.
        if self.producer.refresh(blocking == Blocking::Never).map_err(Fault::from)? {
            return Ok(());
        }
        // A batch that filled the ring was not announced yet.
        self.look_after_receiver();
        if blocking == Blocking::Never {
            return Err(match self.throttle.is_due() && self.endpoint.look_around()? {
                true => SendError::Disconnected,
                false => SendError::Full,
            });
        }
        self.wait(blocking, |producer, endpoint, look| {
            let room = producer.refresh(look != Poll::Quick).map_err(Fault::from)?;
            if room {
                let half = producer.ring().capacity().div_ceil(2);
                let enough = match look {
                    Poll::Quick | Poll::Exact => 1,
                    Poll::BeforePark | Poll::Others => half,
                    // The receiver looks whether it is to wake when credit is due.
                    Poll::Peek => half + producer.ring().credit_every() - 1,
                };
                if producer.room() >= enough {
                    return Ok(true);
                }
            }
            if look == Poll::Quick {
                return Ok(false);
            }
            let lives = endpoint.attachment.look_at_lives()?;
            match endpoint.is_abandoned(&lives) {
                // Of a receiver that is gone there is no more room to wait for.
                true if room || matches!(look, Poll::Peek | Poll::Others) => Ok(true),
                true => Err(SendError::Disconnected),
                false => Ok(false),
            }
        })
    }

    /// Waits where senders wait.
    fn wait(
        &mut self,
        blocking: Blocking,
        mut look: impl FnMut(&mut Producer, &Endpoint, Poll) -> Result<bool, SendError>,
    ) -> Result<(), SendError> {
        let Sender { producer, endpoint, policy, .. } = self;
        let look = |how| look(producer, endpoint, how);
        let waited = wait::wait(endpoint.attachment.place(), policy, blocking.deadline(), look);
        waited.map_err(|ended| self.ended(ended))
    }

    /// What a wait that ended in vain comes to.
    fn ended(&mut self, ended: WaitError<SendError>) -> SendError {
        let ended = match ended {
            WaitError::TimedOut => SendError::Timeout,
            WaitError::Failed(SendError::Fault(fault)) => self.endpoint.stop(fault).into(),
            WaitError::Failed(error) => error,
        };
        self.account();
        ended
    }

    /// Brings our line of the members' table and the tail up to date.
    fn account(&self) {
        if self.endpoint.attachment.is_seated() {
            self.producer.publish_tail();
            self.endpoint.attachment.account(
                self.producer.position(),
                self.bytes,
                self.policy.parks,
            );
        }
    }

    /// The same for the last time.
    fn settle(&self) {
        if self.endpoint.attachment.owns_seat() {
            self.account();
        }
    }
}

impl<T: Message + ?Sized> Handle for Sender<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Sender<T> {
    const FLAVOR: Flavor = Flavor::Spsc;
    const SIDE: Side = Side::Senders;

    fn shape() -> MessageLayout {
        MessageLayout::of::<T>()
    }

    fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error> {
        let producer = Producer::new(attachment.ring()).map_err(Fault::from)?;
        attachment.begin_at(producer.position());
        Ok(Sender {
            producer,
            quiet: 0,
            policy: WaitPolicy::new(wait),
            bytes: 0,
            throttle: Throttle::default(),
            endpoint: Endpoint::new(attachment),
            message: PhantomData,
        })
    }
}

impl<T: Message + ?Sized> Drop for Sender<T> {
    fn drop(&mut self) {
        self.settle();
    }
}
