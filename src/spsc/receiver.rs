//! The receiving handle.

mod any_length;
mod by_value;

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;

use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::attachment::Membership;
use crate::endpoint::spsc::{Channel, Peer};
use crate::error::{Error, Fault, RecvError};
use crate::flavor::Flavor;
use crate::message::{Message, Shape, is_variable};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::ring::spsc::Consumer;
use crate::role::Side;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::adaptive_spin::{Pace, Wait};
use crate::wait::backoff::Lead;
use crate::wait::blocking::{Patience, Seldom};
use crate::wait::{self, Ended, Look};

/// The receiving side of a one-to-one channel. [`Options`](crate::Options) open it.
///
/// A receiver may be moved to another thread. Dropping it leaves the channel; what was not
/// acknowledged stays in it for the next receiver.
#[derive(Debug)]
pub struct Receiver<T: Message + ?Sized> {
    consumer: Consumer,
    pace: Pace,
    /// Bytes received since the seat was taken.
    bytes: u64,
    lead: Lead,
    seldom: Seldom,
    /// Last: the ring lies in its mapping.
    channel: Channel,
    message: PhantomData<fn() -> Box<T>>,
}

impl<T: Message + ?Sized> Receiver<T> {
    /// Waits until a sender is there, for at most `timeout`; its process.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], [`RecvError::Fault`].
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<u32, RecvError> {
        self.channel.check()?;
        self.channel.wait_for_peer(timeout).map_err(|ended| self.ended(ended.of_call()))
    }

    /// Who is on the other side, by the kernel's word.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn peer(&mut self) -> Result<Peer, Fault> {
        self.channel.check()?;
        self.channel.peer()
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
        self.channel.membership.geometry().capacity
    }

    /// Longest message, bytes.
    pub fn slot_size(&self) -> usize {
        self.channel.membership.geometry().slot_size
    }

    /// The position of the next message in the sequence of all messages of this channel: everything
    /// below it is acknowledged.
    pub fn position(&self) -> u64 {
        self.consumer.position()
    }

    /// What others need to attach by identifier.
    pub fn id(&self) -> ChannelId {
        self.channel.membership.id
    }

    /// Everything about the channel.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] or [`Fault::Corrupt`].
    pub fn stat(&self) -> Result<Stat, Error> {
        self.account();
        self.channel.membership.stat()
    }

    /// Leaves the channel, as `drop` does, and tells what went wrong. What was not acknowledged stays.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] when there was nothing left to leave,
    /// [`Fault::LivenessLost`], or [`Fault::Forked`] in a forked child, which leaves nothing.
    pub fn close(mut self) -> Result<(), Error> {
        self.settle();
        self.channel.leave()
    }

    /// Makes sure of a message at the next position.
    #[inline(always)]
    fn arrive(&mut self, patience: Patience) -> Result<(), RecvError> {
        if self.consumer.has_message() && !self.channel.guard.forked() {
            return Ok(());
        }
        self.await_message(patience)
    }

    /// Where the arrived message lies, and how many bytes it has: never more than a slot.
    #[inline(always)]
    fn find(&mut self) -> Result<(NonNull<u8>, usize), RecvError> {
        let slot = self.consumer.slot();
        slot.reading();
        let geometry = self.channel.membership.geometry();
        if !is_variable::<T>() {
            return Ok((slot.payload(), geometry.slot_size));
        }
        let len = slot.length().load(Relaxed);
        if len > geometry.slot_size as u64 {
            let what = "a message is longer than its slot";
            return Err(self.channel.stop(Fault::Corrupt { what }).into());
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
    pub(super) fn give_back(&mut self, len: usize) {
        if !self.channel.guard.forked() {
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
        wait::light_fence();
        if self.channel.membership.peer_parking().flags() != 0 {
            let ring = self.consumer.ring();
            if ring.capacity() - ring.depth() >= ring.capacity().div_ceil(2) {
                // What fails here fails again in the next call that waits.
                let _ = self.channel.wake_peer();
            }
        }
    }

    /// All that was received is told to the sender, who is woken whatever it waits for.
    fn settle(&mut self) {
        if self.channel.membership.keeps_seat() {
            self.consumer.publish_credit();
            self.account();
            // What fails here fails again in whatever comes next.
            let _ = self.channel.wake_peer();
        }
    }

    /// The slow half of [`arrive`](Receiver::arrive).
    #[cold]
    #[inline(never)]
    fn await_message(&mut self, patience: Patience) -> Result<(), RecvError> {
        match self.seek_message(patience) {
            // Sent before the channel was removed, and seen after.
            Err(RecvError::Fault(Fault::Removed)) if self.look()? => Ok(()),
            Err(RecvError::Fault(fault)) => Err(self.channel.stop(fault).into()),
            other => other,
        }
    }

    fn seek_message(&mut self, patience: Patience) -> Result<(), RecvError> {
        self.channel.check()?;
        let owes = self.consumer.owes_credit();
        if owes {
            self.consumer.publish_credit();
        }
        // Seldom, since it takes as long as a message that is on its way.
        if self.channel.membership.is_behind(self.consumer.position()) {
            self.account();
        }
        if patience != Patience::Now && self.comes_soon() {
            return Ok(());
        }
        if owes {
            self.account();
        }
        self.channel.wake_peer()?;
        if self.look()? {
            return Ok(());
        }
        if patience == Patience::Now {
            self.channel.membership.check_removed()?;
            let gone = match self.seldom.is_due() {
                true => self.channel.look_around()?,
                false => {
                    self.channel.membership.peer_parking().has_left()
                        && self.channel.has_lost_peer()?
                }
            };
            if gone && !self.look()? {
                return Err(RecvError::Disconnected);
            }
            // The look may have found what was sent just before the sender went.
            return if self.look()? { Ok(()) } else { Err(RecvError::Empty) };
        }
        self.wait(patience, |consumer, channel, look| {
            let ready = || consumer.is_ready().map_err(Fault::from);
            if ready()? {
                return Ok(true);
            }
            if look == Look::Quick {
                return Ok(false);
            }
            let lives = channel.membership.look_at_lives()?;
            // Once it is known to be gone, all that it sent is visible.
            match channel.is_abandoned(&lives) {
                true if !matches!(look, Look::Peek | Look::Others) && !ready()? => {
                    Err(RecvError::Disconnected)
                }
                abandoned => Ok(abandoned),
            }
        })
    }

    /// Whether the next message comes within a moment.
    fn comes_soon(&mut self) -> bool {
        let Receiver { consumer, lead, pace, .. } = self;
        if pace.lets_lead() && lead.is_due(consumer.dry()) {
            lead.let_lead(|messages| consumer.has_more_than(messages), || consumer.has_message());
        }
        let soon = pace.glance(|| consumer.has_message());
        lead.came(soon);
        soon
    }

    fn look(&mut self) -> Result<bool, RecvError> {
        self.consumer.is_ready().map_err(|corrupt| self.channel.stop(corrupt.into()).into())
    }

    /// Waits where receivers wait.
    fn wait(
        &mut self,
        patience: Patience,
        mut look: impl FnMut(&Consumer, &Channel, Look) -> Result<bool, RecvError>,
    ) -> Result<(), RecvError> {
        let Receiver { consumer, channel, pace, .. } = self;
        let look = |how| look(consumer, channel, how);
        let waited = wait::wait(channel.membership.place(), pace, patience.deadline(), look);
        waited.map_err(|ended| self.ended(ended))
    }

    /// What a wait that ended in vain comes to.
    fn ended(&mut self, ended: Ended<RecvError>) -> RecvError {
        let ended = match ended {
            Ended::TimedOut => RecvError::Timeout,
            Ended::Failed(RecvError::Fault(fault)) => self.channel.stop(fault).into(),
            Ended::Failed(error) => error,
        };
        self.account();
        ended
    }

    /// Brings our line of the members' table up to date.
    fn account(&self) {
        if self.channel.membership.is_seated() {
            self.channel.membership.account(self.consumer.position(), self.bytes, self.pace.parks);
        }
    }
}

impl<T: Message + ?Sized> Handle for Receiver<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Receiver<T> {
    const FLAVOR: Flavor = Flavor::Spsc;
    const SIDE: Side = Side::Receivers;

    fn shape() -> Shape {
        Shape::of::<T>()
    }

    fn from_membership(membership: Membership, wait: Wait) -> Result<Self, Error> {
        Consumer::check(&membership.ring()).map_err(Fault::from)?;
        let consumer = Consumer::new(membership.ring());
        membership.begin_at(consumer.position());
        let lead = Lead::new(membership.geometry());
        Ok(Receiver {
            consumer,
            pace: Pace::new(wait),
            bytes: 0,
            lead,
            seldom: Seldom::default(),
            channel: Channel::new(membership),
            message: PhantomData,
        })
    }
}

impl<T: Message + ?Sized> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.settle();
    }
}
