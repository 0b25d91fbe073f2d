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

/// The receiving side of a one-to-one channel. [`Options`](crate::Options) open it.
///
/// A receiver may be moved to another thread. Dropping it leaves the channel; what was not
/// acknowledged stays in it for the next receiver.
#[derive(Debug)]
pub struct Receiver<T: Message + ?Sized> {
    consumer: Consumer,
    policy: WaitPolicy,
    /// Bytes received since the seat was taken.
    bytes: u64,
    backoff: ReceiverBackoff,
    throttle: Throttle,
    /// Last: the ring lies in its mapping.
    endpoint: Endpoint,
    message: PhantomData<fn() -> Box<T>>,
}

impl<T: Message + ?Sized> Receiver<T> {
    /// Waits until a sender is there, for at most `timeout`; its process.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], [`RecvError::Fault`].
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<u32, RecvError> {
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
        self.consumer.ring().depth() as usize
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        !self.consumer.has_message()
    }

    /// Whether a sender would have to wait.
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

    /// The position of the next message in the sequence of all messages of this channel: everything
    /// below it is acknowledged.
    pub fn position(&self) -> u64 {
        self.consumer.position()
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

    /// Leaves the channel, as `drop` does, and tells what went wrong. What was not acknowledged stays.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] when there was nothing left to leave,
    /// [`Fault::LivenessLost`], or [`Fault::Forked`] in a forked child, which leaves nothing.
    pub fn close(mut self) -> Result<(), Error> {
        self.settle();
        self.endpoint.leave()
    }

    /// Makes sure of a message at the next position.
    #[inline(always)]
    fn arrive(&mut self, blocking: Blocking) -> Result<(), RecvError> {
        if self.consumer.has_message() && !self.endpoint.guard.forked() {
            return Ok(());
        }
        self.await_message(blocking)
    }

    /// Where the arrived message lies, and how many bytes it has: never more than a slot.
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

    /// Acknowledges a message that was lent. In a forked child it is the parent's to acknowledge.
    #[inline(always)]
    pub(super) fn acknowledge_lent(&mut self, len: usize) {
        if !self.endpoint.guard.forked() {
            self.acknowledge(len);
        }
    }

    /// The message just acknowledged was no `T`.
    #[cold]
    fn invalid(&self) -> RecvError {
        RecvError::Invalid { position: self.consumer.position().wrapping_sub(1) }
    }

    /// Tells the sender how far we are, and wakes it when it sleeps and enough is free for it.
    #[inline(never)]
    fn give_credit(&mut self) {
        self.consumer.publish_credit();
        self.account();
        wait::waker_fence();
        if self.endpoint.attachment.peer_parking().flags() != 0 {
            let ring = self.consumer.ring();
            if ring.capacity() - ring.depth() >= ring.capacity().div_ceil(2) {
                // What fails here fails again in the next call that waits.
                let _ = self.endpoint.wake_peer();
            }
        }
    }

    /// All that was received is told to the sender, who is woken whatever it waits for.
    fn settle(&mut self) {
        if self.endpoint.attachment.owns_seat() {
            self.consumer.publish_credit();
            self.account();
            // What fails here fails again in whatever comes next.
            let _ = self.endpoint.wake_peer();
        }
    }

    /// The slow half of [`arrive`](Receiver::arrive).
    #[cold]
    #[inline(never)]
    fn await_message(&mut self, blocking: Blocking) -> Result<(), RecvError> {
        match self.seek_message(blocking) {
            // Sent before the channel was removed, and seen after.
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
        // Seldom, since it takes as long as a message that is on its way.
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
            // The look may have found what was sent just before the sender went.
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
            // Once it is known to be gone, all that it sent is visible.
            match endpoint.is_abandoned(&lives) {
                true if !matches!(look, Poll::Peek | Poll::Others) && !ready()? => {
                    Err(RecvError::Disconnected)
                }
                abandoned => Ok(abandoned),
            }
        })
    }

    /// Whether the next message comes within a moment.
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

    /// Waits where receivers wait.
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

    /// What a wait that ended in vain comes to.
    fn ended(&mut self, ended: WaitError<RecvError>) -> RecvError {
        let ended = match ended {
            WaitError::TimedOut => RecvError::Timeout,
            WaitError::Failed(RecvError::Fault(fault)) => self.endpoint.stop(fault).into(),
            WaitError::Failed(error) => error,
        };
        self.account();
        ended
    }

    /// Brings our line of the members' table up to date.
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
