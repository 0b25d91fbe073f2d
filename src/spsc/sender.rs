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

/// The sending half of an SPSC channel, opened with [`Options`](crate::Options).
///
/// Sending borrows the message: on an error it was not sent and is still yours. A sender may be
/// moved to another thread. Dropping it leaves the channel; messages that were sent stay in it.
#[derive(Debug)]
pub struct Sender<T: Message + ?Sized> {
    producer: Producer,
    /// The flags of the receivers' parking line that require no action at present.
    quiet: u32,
    policy: WaitPolicy,
    /// Bytes sent since the seat was taken.
    bytes: u64,
    throttle: Throttle,
    /// Must be last: the ring is in its mapping.
    endpoint: Endpoint,
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
    /// - [`SendError::Fault`] if the handle cannot go on.
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

    /// Blocks until a receiver has joined, for at most `timeout`, and returns its pid.
    ///
    /// # Errors
    /// [`SendError::Timeout`] if no receiver joined in time: try again. [`SendError::Fault`] if the
    /// handle cannot go on.
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<u32, SendError> {
        self.endpoint.check()?;
        self.endpoint.wait_for_peer(timeout).map_err(|ended| self.ended(ended.of_call()))
    }

    /// Returns the state of the peer as reported by the kernel.
    ///
    /// # Errors
    /// A [`Fault`] if the handle cannot go on.
    pub fn peer(&mut self) -> Result<Peer, Fault> {
        self.endpoint.check()?;
        self.endpoint.peer()
    }

    /// Returns the number of messages sent but not yet acknowledged.
    pub fn len(&self) -> usize {
        self.producer.unacknowledged() as usize
    }

    /// Returns whether every sent message was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether no slot is free.
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity()
    }

    /// Returns the number of slots of the ring.
    pub fn capacity(&self) -> usize {
        self.endpoint.attachment.geometry().capacity
    }

    /// Returns the maximum message length in bytes.
    pub fn slot_size(&self) -> usize {
        self.endpoint.attachment.geometry().slot_size
    }

    /// Returns the position of the next message in the sequence of all messages of this channel.
    pub fn position(&self) -> u64 {
        self.producer.position()
    }

    /// Returns the identifier that other processes can pass to [`Options::id`](crate::Options::id).
    pub fn id(&self) -> ChannelId {
        self.endpoint.attachment.id
    }

    /// Returns a snapshot of the channel's state.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] or [`Fault::Corrupt`].
    pub fn stat(&self) -> Result<Stat, Error> {
        self.account();
        self.endpoint.attachment.stat()
    }

    /// Leaves the channel like `drop`, but reports errors. Messages stay in the channel.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] if there was nothing left to leave,
    /// [`Fault::LivenessLost`], or [`Fault::Forked`] in a forked child, which leaves nothing.
    pub fn close(self) -> Result<(), Error> {
        self.settle();
        self.endpoint.leave()
    }

    /// Ensures that the slot at the next position is free.
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
        // SAFETY: the slot is ours until it is published, and has room: sized messages have the
        // size that both sides agreed on, and the length of others was checked.
        unsafe { message::copy_in(bytes, slot.payload()) };
        self.set_length(bytes.len());
    }

    /// Promises the compiler the layout of a slot; see
    /// [`Ring::assume_slot_layout`](crate::ring::Ring::assume_slot_layout).
    #[inline(always)]
    pub(super) fn assume_slot_layout(&self, message: &T) {
        if !is_variable::<T>() {
            let (size, align) = (size_of_val(message), align_of_val(message));
            // SAFETY: every message is a `T`: attaching compared the shapes.
            unsafe { self.producer.ring().assume_slot_layout(size, align) };
        }
    }

    /// Stores the length of the message in the claimed slot, if messages have variable length.
    #[inline(always)]
    fn set_length(&mut self, len: usize) {
        if is_variable::<T>() {
            self.producer.slot().length().store(len as u64, Relaxed);
            self.bytes += len as u64;
        }
    }

    /// Publishes the message that was written into a loan. In a forked child only the parent may
    /// publish it.
    #[inline(always)]
    pub(super) fn commit(&mut self, len: usize) {
        if self.endpoint.guard.forked() {
            return;
        }
        self.set_length(len);
        self.announce();
    }

    /// Returns where the message of the claimed slot begins.
    #[inline(always)]
    pub(super) fn payload(&self) -> NonNull<u8> {
        let slot = self.producer.slot();
        slot.writing();
        slot.payload()
    }

    /// Publishes the message in the claimed slot and notifies the receiver.
    #[inline(always)]
    fn announce(&mut self) {
        self.producer.publish();
        self.look_after_receiver();
    }

    /// The notifier's half of the order in `wait/mod.rs`: the message is published, now check the
    /// flags.
    #[inline(always)]
    fn look_after_receiver(&mut self) {
        wait::waker_fence();
        if self.producer.ring().header().receivers.flags() != self.quiet {
            self.see_receiver();
        }
    }

    /// Handles the case that the receiver is parked or left, or that another flag of it changed.
    #[cold]
    #[inline(never)]
    fn see_receiver(&mut self) {
        // An error here recurs in the next call, which can report it: the message is sent.
        let _ = self.endpoint.wake_peer();
        self.quiet = 0;
        let parking = self.endpoint.attachment.peer_parking();
        if parking.is_removed() {
            return self.producer.forget_room();
        }
        if parking.has_left() {
            match self.endpoint.peer() {
                // It left before we joined: nothing changes until another one joins.
                Ok(Peer::Absent) => self.quiet = wait::LEFT,
                // It is about to leave, or another one joined.
                Ok(Peer::Present { .. }) => {}
                _ => self.producer.forget_room(),
            }
        }
    }

    /// The slow path of [`claim`](Sender::claim).
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
        // By credit: loading the exact head would slow down a busy receiver.
        if self.producer.refresh(blocking == Blocking::Never).map_err(Fault::from)? {
            return Ok(());
        }
        // The receiver may not have been notified yet of a batch that filled the ring.
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
                    // The receiver checks whether to wake us when credit is due.
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
                // A receiver that is gone frees no more slots to wait for.
                true if room || matches!(look, Poll::Peek | Poll::Others) => Ok(true),
                true => Err(SendError::Disconnected),
                false => Ok(false),
            }
        })
    }

    /// Blocks where senders wait.
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

    /// Converts the error of a wait to that of the call.
    fn ended(&mut self, ended: WaitError<SendError>) -> SendError {
        let ended = match ended {
            WaitError::TimedOut => SendError::Timeout,
            WaitError::Failed(SendError::Fault(fault)) => self.endpoint.stop(fault).into(),
            WaitError::Failed(error) => error,
        };
        self.account();
        ended
    }

    /// Updates our line of the members' table, and the tail.
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

    /// Updates them for the last time.
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
