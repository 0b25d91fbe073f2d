//! The receiving handle.

mod any_length;
mod by_value;

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;

use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::spsc::{Endpoint, Peer};
use crate::error::{Error, Fault, RecvError};
use crate::flavor::Flavor;
use crate::message::{Message, MessageLayout, is_variable};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::ring::spsc::Consumer;
use crate::role::Side;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::adaptive_spin::{Wait, WaitPolicy};
use crate::wait::backoff::ReceiverBackoff;
use crate::wait::blocking::{Blocking, Throttle};
use crate::wait::{self, Poll, WaitError};

/// The receiving half of an SPSC channel, opened with [`Options`](crate::Options).
///
/// A receiver may be moved to another thread. Dropping it leaves the channel; messages that were
/// not acknowledged stay in it for the next receiver.
#[derive(Debug)]
pub struct Receiver<T: Message + ?Sized> {
    consumer: Consumer,
    policy: WaitPolicy,
    /// Bytes received since the seat was taken.
    bytes: u64,
    backoff: ReceiverBackoff,
    throttle: Throttle,
    /// Must be last: the ring is in its mapping.
    endpoint: Endpoint,
    message: PhantomData<fn() -> Box<T>>,
}

impl<T: Message + ?Sized> Receiver<T> {
    /// Blocks until a sender has joined, for at most `timeout`, and returns its pid.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if no sender joined in time: try again. [`RecvError::Fault`] if the
    /// handle cannot go on.
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<u32, RecvError> {
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
        self.consumer.ring().depth() as usize
    }

    /// Returns whether no message is available.
    pub fn is_empty(&self) -> bool {
        !self.consumer.has_message()
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
    /// All messages at lower positions are acknowledged.
    pub fn position(&self) -> u64 {
        self.consumer.position()
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

    /// Leaves the channel like `drop`, but reports errors. Messages that were not acknowledged
    /// stay.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] if there was nothing left to leave,
    /// [`Fault::LivenessLost`], or [`Fault::Forked`] in a forked child, which leaves nothing.
    pub fn close(mut self) -> Result<(), Error> {
        self.settle();
        self.endpoint.leave()
    }

    /// Ensures that there is a message at the next position.
    #[inline(always)]
    fn arrive(&mut self, blocking: Blocking) -> Result<(), RecvError> {
        if self.consumer.has_message() && !self.endpoint.guard.forked() {
            return Ok(());
        }
        self.await_message(blocking)
    }

    /// Returns the address and length of the message that arrived; it never exceeds a slot.
    #[inline(always)]
    fn find(&mut self) -> Result<(NonNull<u8>, usize), RecvError> {
        let slot = self.consumer.slot();
        slot.reading();
        let geometry = self.endpoint.attachment.geometry();
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
            self.bytes += len as u64;
        }
        if self.consumer.acknowledge() {
            self.give_credit();
        }
    }

    /// Acknowledges the message of a guard. In a forked child only the parent may acknowledge it.
    #[inline(always)]
    pub(super) fn acknowledge_lent(&mut self, len: usize) {
        if !self.endpoint.guard.forked() {
            self.acknowledge(len);
        }
    }

    /// The error for the message just acknowledged, which was not a valid `T`.
    #[cold]
    fn invalid(&self) -> RecvError {
        RecvError::Invalid { position: self.consumer.position().wrapping_sub(1) }
    }

    /// Publishes our position to the sender, and wakes it if it is parked and enough slots are
    /// free.
    #[inline(never)]
    fn give_credit(&mut self) {
        self.consumer.publish_credit();
        self.account();
        wait::waker_fence();
        if self.endpoint.attachment.peer_parking().flags() != 0 {
            let ring = self.consumer.ring();
            if ring.capacity() - ring.depth() >= ring.capacity().div_ceil(2) {
                // An error here recurs in the next call that blocks.
                let _ = self.endpoint.wake_peer();
            }
        }
    }

    /// Publishes everything received to the sender, and wakes it whatever it waits for.
    fn settle(&mut self) {
        if self.endpoint.attachment.owns_seat() {
            self.consumer.publish_credit();
            self.account();
            // An error here recurs in the next step.
            let _ = self.endpoint.wake_peer();
        }
    }

    /// The slow path of [`arrive`](Receiver::arrive).
    #[cold]
    #[inline(never)]
    fn await_message(&mut self, blocking: Blocking) -> Result<(), RecvError> {
        match self.seek_message(blocking) {
            // Sent before the channel was removed, and noticed after that.
            Err(RecvError::Fault(Fault::Removed)) if self.look()? => Ok(()),
            Err(RecvError::Fault(fault)) => Err(self.endpoint.stop(fault).into()),
            other => other,
        }
    }

    fn seek_message(&mut self, blocking: Blocking) -> Result<(), RecvError> {
        self.endpoint.check()?;
        let owes = self.consumer.owes_credit();
        if owes {
            self.consumer.publish_credit();
        }
        // Not at every wait: it takes as long as a message in transit.
        if self.endpoint.attachment.is_behind(self.consumer.position()) {
            self.account();
        }
        if blocking != Blocking::Never && self.comes_soon() {
            return Ok(());
        }
        if owes {
            self.account();
        }
        self.endpoint.wake_peer()?;
        if self.look()? {
            return Ok(());
        }
        if blocking == Blocking::Never {
            self.endpoint.attachment.check_removed()?;
            let gone = match self.throttle.is_due() {
                true => self.endpoint.look_around()?,
                false => {
                    self.endpoint.attachment.peer_parking().has_left()
                        && self.endpoint.has_lost_peer()?
                }
            };
            if gone && !self.look()? {
                return Err(RecvError::Disconnected);
            }
            // The liveness check may have revealed what was sent just before the sender left.
            return if self.look()? { Ok(()) } else { Err(RecvError::Empty) };
        }
        self.wait(blocking, |consumer, endpoint, look| {
            let ready = || consumer.is_ready().map_err(Fault::from);
            if ready()? {
                return Ok(true);
            }
            if look == Poll::Quick {
                return Ok(false);
            }
            let lives = endpoint.attachment.look_at_lives()?;
            // Once the sender is known to be gone, everything it sent is visible.
            match endpoint.is_abandoned(&lives) {
                true if !matches!(look, Poll::Peek | Poll::Others) && !ready()? => {
                    Err(RecvError::Disconnected)
                }
                abandoned => Ok(abandoned),
            }
        })
    }

    /// Returns whether the next message arrives within a moment.
    fn comes_soon(&mut self) -> bool {
        let Receiver { consumer, backoff, policy, .. } = self;
        if policy.backs_off() && backoff.is_due(consumer.dry()) {
            backoff
                .back_off(|messages| consumer.has_more_than(messages), || consumer.has_message());
        }
        let soon = policy.poll_briefly(|| consumer.has_message());
        backoff.came(soon);
        soon
    }

    fn look(&mut self) -> Result<bool, RecvError> {
        self.consumer.is_ready().map_err(|corrupt| self.endpoint.stop(corrupt.into()).into())
    }

    /// Blocks where receivers wait.
    fn wait(
        &mut self,
        blocking: Blocking,
        mut look: impl FnMut(&Consumer, &Endpoint, Poll) -> Result<bool, RecvError>,
    ) -> Result<(), RecvError> {
        let Receiver { consumer, endpoint, policy, .. } = self;
        let look = |how| look(consumer, endpoint, how);
        let waited = wait::wait(endpoint.attachment.place(), policy, blocking.deadline(), look);
        waited.map_err(|ended| self.ended(ended))
    }

    /// Converts the error of a wait to that of the call.
    fn ended(&mut self, ended: WaitError<RecvError>) -> RecvError {
        let ended = match ended {
            WaitError::TimedOut => RecvError::Timeout,
            WaitError::Failed(RecvError::Fault(fault)) => self.endpoint.stop(fault).into(),
            WaitError::Failed(error) => error,
        };
        self.account();
        ended
    }

    /// Updates our line of the members' table.
    fn account(&self) {
        if self.endpoint.attachment.is_seated() {
            self.endpoint.attachment.account(
                self.consumer.position(),
                self.bytes,
                self.policy.parks,
            );
        }
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
        let backoff = ReceiverBackoff::new(attachment.geometry());
        Ok(Receiver {
            consumer,
            policy: WaitPolicy::new(wait),
            bytes: 0,
            backoff,
            throttle: Throttle::default(),
            endpoint: Endpoint::new(attachment),
            message: PhantomData,
        })
    }
}

impl<T: Message + ?Sized> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.settle();
    }
}
