//! The receiving handle.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::slice;
use core::time::Duration;

use zerocopy::FromBytes;

use super::{Guard, Iter, TryIter};
use crate::address::ChannelId;
use crate::channel::{Channel, Peer};
use crate::error::{Error, Fault, RecvError};
use crate::members::Flavor;
use crate::membership::Membership;
use crate::message::{self, Message, Shape, is_variable};
use crate::options::{Handle, sealed::Sealed};
use crate::patience::{Patience, Seldom};
use crate::ring::spsc::Consumer;
use crate::stat::Stat;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::{self, Ended, Look, Pace, Place, SLICE, Side, Wait};

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
    seldom: Seldom,
    /// Last: the ring lies in its mapping.
    channel: Channel,
    message: PhantomData<fn() -> Box<T>>,
}

/// Receiving by value: the message is copied, acknowledged and returned.
impl<T: Message> Receiver<T> {
    /// The next message; waits for one. Before there ever was a sender, it waits for that, too.
    ///
    /// # Errors
    /// [`RecvError::Disconnected`] when the channel is drained and its sender gone;
    /// [`RecvError::Invalid`], [`RecvError::Fault`].
    #[inline]
    pub fn recv(&mut self) -> Result<T, RecvError> {
        self.take(Patience::Forever)
    }

    /// The next message if it is there.
    ///
    /// # Errors
    /// [`RecvError::Empty`], and as [`recv`](Receiver::recv). That a sender was killed is noticed
    /// within milliseconds, that it left at once.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, RecvError> {
        self.take(Patience::Now)
    }

    /// The next message; waits for one for at most `timeout`. Years are fine.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], and as [`recv`](Receiver::recv).
    #[inline]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvError> {
        self.take(Patience::At(timeout))
    }

    #[inline(always)]
    fn take(&mut self, patience: Patience) -> Result<T, RecvError> {
        self.arrive(patience)?;
        // Copied straight into what is returned: a large message is moved once, not three times.
        let mut result = Ok(MaybeUninit::uninit());
        if let Ok(message) = &mut result {
            let valid = self.copy_to(message);
            self.acknowledge(size_of::<T>());
            if !valid {
                result = Err(self.invalid());
            }
        }
        // SAFETY: these very bytes were found to be a `T`, and nobody else sees them.
        result.map(|message| unsafe { message.assume_init() })
    }

    /// Up to `max` messages that are there, appended to `messages`; waits for the first. All are
    /// acknowledged together. How many.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv). An invalid message ends a batch before it, and is an error when
    /// it is the first.
    pub fn recv_batch(&mut self, messages: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        self.take_batch(messages, max, Patience::Forever)
    }

    /// Up to `max` messages that are there.
    ///
    /// # Errors
    /// [`RecvError::Empty`] when there is none, and as [`recv_batch`](Receiver::recv_batch).
    pub fn try_recv_batch(
        &mut self,
        messages: &mut Vec<T>,
        max: usize,
    ) -> Result<usize, RecvError> {
        self.take_batch(messages, max, Patience::Now)
    }

    /// Up to `max` messages; waits for the first for at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], and as [`recv_batch`](Receiver::recv_batch).
    pub fn recv_batch_timeout(
        &mut self,
        messages: &mut Vec<T>,
        max: usize,
        timeout: Duration,
    ) -> Result<usize, RecvError> {
        self.take_batch(messages, max, Patience::At(timeout))
    }

    #[inline(always)]
    fn take_batch(
        &mut self,
        messages: &mut Vec<T>,
        max: usize,
        patience: Patience,
    ) -> Result<usize, RecvError> {
        if max == 0 {
            return Ok(0);
        }
        self.arrive(patience)?;
        // At most a ring full: the time a call takes is bounded.
        let max = max.min(self.capacity());
        let mut taken = 0;
        while taken < max && self.consumer.has_message() {
            let mut message = MaybeUninit::uninit();
            if !self.copy_to(&mut message) {
                break;
            }
            // SAFETY: these very bytes were found to be a `T`, and nobody else sees them.
            messages.push(unsafe { message.assume_init() });
            self.consumer.pass();
            taken += 1;
        }
        if taken == 0 {
            self.acknowledge(size_of::<T>());
            return Err(self.invalid());
        }
        if self.consumer.acknowledge_passed() {
            self.give_credit();
        }
        Ok(taken)
    }

    /// Waits for each message; ends when the channel is drained and its sender gone.
    pub fn iter(&mut self) -> Iter<'_, T> {
        Iter { receiver: self, ended: false }
    }

    /// The messages that are there now; never waits.
    pub fn try_iter(&mut self) -> TryIter<'_, T> {
        TryIter { receiver: self, ended: false }
    }

    /// Copies the arrived message; whether it is a `T`.
    #[inline(always)]
    fn copy_to(&self, message: &mut MaybeUninit<T>) -> bool {
        let slot = self.consumer.slot();
        slot.reading();
        // SAFETY: a slot of sized messages has room for one, rounded up to 8, and is aligned to 8.
        unsafe { message::read(slot.payload(), message) }
    }
}

/// Receiving into a place of the caller's, for types of which any bytes are a value. A large message
/// is moved once; returned by value it is moved twice.
impl<T: Message + FromBytes> Receiver<T> {
    /// The next message, written over `message`; waits for one.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv); `message` is what it was.
    #[inline]
    pub fn recv_into(&mut self, message: &mut T) -> Result<(), RecvError> {
        self.take_into(message, Patience::Forever)
    }

    /// The next message, written over `message`, if it is there.
    ///
    /// # Errors
    /// As [`try_recv`](Receiver::try_recv); `message` is what it was.
    #[inline]
    pub fn try_recv_into(&mut self, message: &mut T) -> Result<(), RecvError> {
        self.take_into(message, Patience::Now)
    }

    /// The next message, written over `message`; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Receiver::recv_timeout); `message` is what it was.
    #[inline]
    pub fn recv_into_timeout(
        &mut self,
        message: &mut T,
        timeout: Duration,
    ) -> Result<(), RecvError> {
        self.take_into(message, Patience::At(timeout))
    }

    #[inline(always)]
    fn take_into(&mut self, message: &mut T, patience: Patience) -> Result<(), RecvError> {
        self.arrive(patience)?;
        // SAFETY: `FromBytes`: whatever arrives is a `T`, so a place of a `T` may hold it.
        let message = unsafe { &mut *core::ptr::from_mut(message).cast::<MaybeUninit<T>>() };
        self.copy_to(message);
        self.acknowledge(size_of::<T>());
        Ok(())
    }
}

impl<T: Message + ?Sized> Receiver<T> {
    /// The next message, copied to the heap; waits for one. For messages of variable length.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv).
    pub fn recv_boxed(&mut self) -> Result<Box<T>, RecvError> {
        self.take_boxed(Patience::Forever)
    }

    /// The next message if it is there, copied to the heap.
    ///
    /// # Errors
    /// As [`try_recv`](Receiver::try_recv).
    pub fn try_recv_boxed(&mut self) -> Result<Box<T>, RecvError> {
        self.take_boxed(Patience::Now)
    }

    /// The next message, copied to the heap; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Receiver::recv_timeout).
    pub fn recv_boxed_timeout(&mut self, timeout: Duration) -> Result<Box<T>, RecvError> {
        self.take_boxed(Patience::At(timeout))
    }

    fn take_boxed(&mut self, patience: Patience) -> Result<Box<T>, RecvError> {
        self.arrive(patience)?;
        let (payload, len) = self.find()?;
        // SAFETY: `find` compared the length with the slot's.
        let message = unsafe {
            message::read_boxed(payload, len, self.channel.membership.geometry().shape.align)
        };
        self.acknowledge(len);
        message.ok_or_else(|| self.invalid())
    }

    /// The next message, where it lies; waits for one. It is acknowledged when the guard is dropped.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv).
    #[inline]
    pub fn recv_ref(&mut self) -> Result<Guard<'_, T>, RecvError> {
        self.lend(Patience::Forever)
    }

    /// The next message, where it lies, if it is there.
    ///
    /// # Errors
    /// As [`try_recv`](Receiver::try_recv).
    #[inline]
    pub fn try_recv_ref(&mut self) -> Result<Guard<'_, T>, RecvError> {
        self.lend(Patience::Now)
    }

    /// The next message, where it lies; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Receiver::recv_timeout).
    #[inline]
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<Guard<'_, T>, RecvError> {
        self.lend(Patience::At(timeout))
    }

    #[inline(always)]
    fn lend(&mut self, patience: Patience) -> Result<Guard<'_, T>, RecvError> {
        self.arrive(patience)?;
        let (payload, len) = self.find()?;
        // SAFETY: the message is ours until it is acknowledged, and lies in its slot.
        let bytes = unsafe { slice::from_raw_parts(payload.as_ptr(), len) };
        match T::try_ref_from_bytes(bytes).map(NonNull::from) {
            Ok(message) => Ok(Guard::new(self, message)),
            Err(_) => {
                self.acknowledge(len);
                Err(self.invalid())
            }
        }
    }

    /// Waits until a sender is there, for at most `timeout`; its process.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], [`RecvError::Fault`].
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<u32, RecvError> {
        self.channel.check()?;
        let mut pid = 0;
        self.wait(Patience::At(timeout), |_, channel, look| {
            Ok(channel.meets_peer(look, &mut pid)?)
        })?;
        Ok(pid)
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
        if self.channel.membership.is_seated() {
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
        if self.consumer.owes_credit() {
            self.consumer.publish_credit();
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
                        && self.channel.is_abandoned()?
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
            channel.membership.check_life()?;
            // Once it is known to be gone, all that it sent is visible.
            match channel.is_abandoned()? {
                true if !ready()? => Err(RecvError::Disconnected),
                abandoned => Ok(abandoned),
            }
        })
    }

    fn look(&mut self) -> Result<bool, RecvError> {
        self.consumer.is_ready().map_err(|corrupt| self.channel.stop(corrupt.into()).into())
    }

    /// Waits where receivers wait.
    fn wait(
        &mut self,
        patience: Patience,
        mut look: impl FnMut(&mut Consumer, &mut Channel, Look) -> Result<bool, RecvError>,
    ) -> Result<(), RecvError> {
        let Receiver { consumer, channel, pace, .. } = self;
        let (ring, members) = (*consumer.ring(), *channel.members());
        let parking = &ring.header().receivers;
        let place = Place { gate: &members, parking, side: Side::Receivers, slice: SLICE, most: 1 };
        let waited =
            wait::wait(place, pace, patience.deadline(), |how| look(consumer, channel, how));
        let ended = match waited {
            Ok(()) => return Ok(()),
            Err(Ended::TimedOut) => RecvError::Timeout,
            Err(Ended::Failed(RecvError::Fault(fault))) => self.channel.stop(fault).into(),
            Err(Ended::Failed(error)) => error,
        };
        self.account();
        Err(ended)
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
        Ok(Receiver {
            consumer,
            pace: Pace::new(wait),
            bytes: 0,
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
