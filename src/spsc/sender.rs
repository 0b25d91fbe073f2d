//! The sending handle.

mod by_value;
mod in_place;

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;

use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::attachment::Membership;
use crate::endpoint::flush::is_flushed;
use crate::endpoint::spsc::{Channel, Peer};
use crate::error::{Error, Fault, SendError};
use crate::flavor::Flavor;
use crate::message::{self, Message, Shape, is_variable};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::ring::spsc::Producer;
use crate::role::Side;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::adaptive_spin::{Pace, Wait};
use crate::wait::blocking::{Patience, Seldom};
use crate::wait::{self, Ended, Look};

/// The sending side of a one-to-one channel. [`Options`](crate::Options) open it.
///
/// Sending borrows the message: on an error it was not sent and is still yours. A sender may be
/// moved to another thread. Dropping it leaves the channel; what was sent stays in it.
#[derive(Debug)]
pub struct Sender<T: Message + ?Sized> {
    producer: Producer,
    /// The receivers' word while there is nothing to do about it.
    quiet: u32,
    pace: Pace,
    /// Bytes sent since the seat was taken.
    bytes: u64,
    seldom: Seldom,
    /// Last: the ring lies in its mapping.
    channel: Channel,
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
        self.channel.check()?;
        self.look_after_receiver();
        let Sender { producer, channel, pace, .. } = self;
        let deadline = Patience::At(timeout).deadline();
        let nap = |time| Ok(channel.membership.nap(time)?);
        let drained = wait::poll(pace, nap, deadline, |look| {
            if look == Look::Quick {
                return Ok(producer.is_drained());
            }
            is_flushed(
                || producer.is_drained(),
                || {
                    let lives = channel.membership.look_at_lives()?;
                    Ok::<bool, Fault>(channel.is_abandoned(&lives))
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
        self.channel.membership.geometry().capacity
    }

    /// Longest message, bytes.
    pub fn slot_size(&self) -> usize {
        self.channel.membership.geometry().slot_size
    }

    /// The position of the next message in the sequence of all messages of this channel.
    pub fn position(&self) -> u64 {
        self.producer.position()
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

    /// Leaves the channel, as `drop` does, and tells what went wrong. Messages stay.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] when there was nothing left to leave,
    /// [`Fault::LivenessLost`], or [`Fault::Forked`] in a forked child, which leaves nothing.
    pub fn close(self) -> Result<(), Error> {
        self.settle();
        self.channel.leave()
    }

    /// Makes sure of a free slot at the next position.
    #[inline(always)]
    pub(super) fn claim(&mut self, patience: Patience) -> Result<(), SendError> {
        if !self.channel.guard.forked() && self.producer.has_room() {
            return Ok(());
        }
        self.make_room(patience)
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
        self.know_steps(message);
        let slot = self.producer.slot();
        slot.writing();
        // SAFETY: the slot is ours until it is published, and has room: sized messages have the size
        // both sides agreed on, the length of others was checked.
        unsafe { message::copy_in(bytes, slot.payload()) };
        self.set_length(bytes.len());
    }

    /// See [`Ring::assume_sized`](crate::ring::Ring::assume_sized).
    #[inline(always)]
    pub(super) fn know_steps(&self, message: &T) {
        if !is_variable::<T>() {
            let (size, align) = (size_of_val(message), align_of_val(message));
            // SAFETY: every message is a `T`: attaching compared the shapes.
            unsafe { self.producer.ring().assume_sized(size, align) };
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
        if self.channel.guard.forked() {
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
        wait::light_fence();
        if self.producer.ring().header().receivers.flags() != self.quiet {
            self.see_receiver();
        }
    }

    /// The receiver sleeps, or left, or there is something else about it.
    #[cold]
    #[inline(never)]
    fn see_receiver(&mut self) {
        // What fails here fails again in the next call, which can say so: the message is sent.
        let _ = self.channel.wake_peer();
        self.quiet = 0;
        let parking = self.channel.membership.peer_parking();
        if parking.is_removed() {
            return self.producer.forget_room();
        }
        if parking.has_left() {
            match self.channel.peer() {
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
    fn make_room(&mut self, patience: Patience) -> Result<(), SendError> {
        self.find_room(patience).map_err(|error| match error {
            SendError::Fault(fault) => self.channel.stop(fault).into(),
            error => error,
        })
    }

    fn find_room(&mut self, patience: Patience) -> Result<(), SendError> {
        self.channel.check()?;
        self.channel.membership.check_removed()?;
        self.account();
        if self.channel.membership.peer_parking().has_left() && self.channel.has_lost_peer()? {
            return Err(SendError::Disconnected);
        }
        // By credit: a look at the exact head would slow down a busy receiver.
        if self.producer.refresh(patience == Patience::Now).map_err(Fault::from)? {
            return Ok(());
        }
        // A batch that filled the ring was not announced yet.
        self.look_after_receiver();
        if patience == Patience::Now {
            return Err(match self.seldom.is_due() && self.channel.look_around()? {
                true => SendError::Disconnected,
                false => SendError::Full,
            });
        }
        self.wait(patience, |producer, channel, look| {
            let room = producer.refresh(look != Look::Quick).map_err(Fault::from)?;
            if room {
                let half = producer.ring().capacity().div_ceil(2);
                let enough = match look {
                    Look::Quick | Look::Exact => 1,
                    Look::BeforeSleep | Look::Others => half,
                    // The receiver looks whether it is to wake when credit is due.
                    Look::Peek => half + producer.ring().credit_every() - 1,
                };
                if producer.room() >= enough {
                    return Ok(true);
                }
            }
            if look == Look::Quick {
                return Ok(false);
            }
            let lives = channel.membership.look_at_lives()?;
            match channel.is_abandoned(&lives) {
                // Of a receiver that is gone there is no more room to wait for.
                true if room || matches!(look, Look::Peek | Look::Others) => Ok(true),
                true => Err(SendError::Disconnected),
                false => Ok(false),
            }
        })
    }

    /// Waits where senders wait.
    fn wait(
        &mut self,
        patience: Patience,
        mut look: impl FnMut(&mut Producer, &Channel, Look) -> Result<bool, SendError>,
    ) -> Result<(), SendError> {
        let Sender { producer, channel, pace, .. } = self;
        let look = |how| look(producer, channel, how);
        let waited = wait::wait(channel.membership.place(), pace, patience.deadline(), look);
        waited.map_err(|ended| self.ended(ended))
    }

    /// What a wait that ended in vain comes to.
    fn ended(&mut self, ended: Ended<SendError>) -> SendError {
        let ended = match ended {
            Ended::TimedOut => SendError::Timeout,
            Ended::Failed(SendError::Fault(fault)) => self.channel.stop(fault).into(),
            Ended::Failed(error) => error,
        };
        self.account();
        ended
    }

    /// Brings our line of the members' table and the tail up to date.
    fn account(&self) {
        if self.channel.membership.is_seated() {
            self.producer.publish_tail();
            self.channel.membership.account(self.producer.position(), self.bytes, self.pace.parks);
        }
    }

    /// The same for the last time.
    fn settle(&self) {
        if self.channel.membership.keeps_seat() {
            self.account();
        }
    }
}

impl<T: Message + ?Sized> Handle for Sender<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Sender<T> {
    const FLAVOR: Flavor = Flavor::Spsc;
    const SIDE: Side = Side::Senders;

    fn shape() -> Shape {
        Shape::of::<T>()
    }

    fn from_membership(membership: Membership, wait: Wait) -> Result<Self, Error> {
        let producer = Producer::new(membership.ring()).map_err(Fault::from)?;
        membership.begin_at(producer.position());
        Ok(Sender {
            producer,
            quiet: 0,
            pace: Pace::new(wait),
            bytes: 0,
            seldom: Seldom::default(),
            channel: Channel::new(membership),
            message: PhantomData,
        })
    }
}

impl<T: Message + ?Sized> Drop for Sender<T> {
    fn drop(&mut self) {
        self.settle();
    }
}
