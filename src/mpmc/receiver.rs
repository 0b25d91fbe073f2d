//! The receiving handle.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::slice;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use zerocopy::FromBytes;

use super::post::{Dead, Post};
use super::{Death, Guard, Iter, TryIter};
use crate::address::ChannelId;
use crate::error::{Error, Fault, RecvError};
use crate::members::Flavor;
use crate::membership::Membership;
use crate::message::{self, Message, Shape, is_variable};
use crate::options::{Handle, sealed::Sealed};
use crate::patience::Patience;
use crate::ring::mpmc::{Consumer, Held, Next};
use crate::segment::Redelivery;
use crate::stat::Stat;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::{self, Ended, Look, Place, SLICE, Side, Wait};

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
    /// What was seen when the slots were last looked through for messages of the dead.
    searched: Mutex<Searched>,
    /// Last: the ring lies in its mapping.
    post: Post,
}

#[derive(Debug, Default, PartialEq)]
struct Searched {
    dead: Dead,
    orphaned: u64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.account();
        // Who wants to hear of errors calls `close`.
        let _ = self.post.leave();
    }
}

impl<T: Message + ?Sized> Clone for Receiver<T> {
    /// The same member once more.
    fn clone(&self) -> Receiver<T> {
        Receiver { inner: Arc::clone(&self.inner), message: PhantomData }
    }
}

/// Receiving by value: the message is copied, acknowledged and returned.
impl<T: Message> Receiver<T> {
    /// The next message; waits for one. Before there ever was a sender, it waits for that, too.
    ///
    /// # Errors
    /// [`RecvError::Disconnected`] when the channel is drained and all senders are gone: every
    /// message was acknowledged, by this or another receiver. [`RecvError::Invalid`],
    /// [`RecvError::Fault`].
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.take(Patience::Forever)
    }

    /// The next message if it is there.
    ///
    /// # Errors
    /// [`RecvError::Empty`], and as [`recv`](Receiver::recv).
    #[inline]
    pub fn try_recv(&self) -> Result<T, RecvError> {
        self.take(Patience::Now)
    }

    /// The next message; waits for one for at most `timeout`. Years are fine.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], or [`RecvError::Behind`] when a living sender has claimed the next
    /// message and not sent it yet; and as [`recv`](Receiver::recv).
    #[inline]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvError> {
        self.take(Patience::At(timeout))
    }

    #[inline(always)]
    fn take(&self, patience: Patience) -> Result<T, RecvError> {
        let held = self.inner.hold(patience)?;
        let mut result = Ok(MaybeUninit::uninit());
        if let Ok(message) = &mut result {
            let valid = self.copy_to(&held, message);
            self.finish(&held, size_of::<T>())?;
            if !valid {
                result = Err(RecvError::Invalid { position: held.position() });
            }
        }
        // SAFETY: these very bytes were found to be a `T`, and nobody else sees them.
        result.map(|message| unsafe { message.assume_init() })
    }

    /// Up to `max` messages that are there, appended to `messages`; waits for the first. They are
    /// acknowledged when all are copied. How many.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv). An invalid message is left out, and is an error when there was
    /// no other.
    pub fn recv_batch(&self, messages: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        self.take_batch(messages, max, Patience::Forever)
    }

    /// Up to `max` messages that are there.
    ///
    /// # Errors
    /// [`RecvError::Empty`] when there is none, and as [`recv_batch`](Receiver::recv_batch).
    pub fn try_recv_batch(&self, messages: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        self.take_batch(messages, max, Patience::Now)
    }

    /// Up to `max` messages; waits for the first for at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], and as [`recv_batch`](Receiver::recv_batch).
    pub fn recv_batch_timeout(
        &self,
        messages: &mut Vec<T>,
        max: usize,
        timeout: Duration,
    ) -> Result<usize, RecvError> {
        self.take_batch(messages, max, Patience::At(timeout))
    }

    fn take_batch(
        &self,
        messages: &mut Vec<T>,
        max: usize,
        patience: Patience,
    ) -> Result<usize, RecvError> {
        if max == 0 {
            return Ok(0);
        }
        let max = max.min(self.capacity());
        let before = messages.len();
        let mut all = vec![self.inner.hold(patience)?];
        let mut invalid = None;
        loop {
            if let Some(held) = all.last() {
                let mut message = MaybeUninit::uninit();
                match self.copy_to(held, &mut message) {
                    // SAFETY: these very bytes were found to be a `T`, and nobody else sees them.
                    true => messages.push(unsafe { message.assume_init() }),
                    false => invalid = Some(held.position()),
                }
            }
            if all.len() == max {
                break;
            }
            match self.inner.consumer.take(|_| Ok::<bool, Fault>(false)) {
                Ok(Next::Message(held)) => all.push(held),
                _ => break,
            }
        }
        let mut result = Ok(());
        for held in &all {
            // All of them, whatever comes of one.
            result = result.and(self.finish(held, size_of::<T>()));
        }
        result?;
        match (messages.len() - before, invalid) {
            (0, Some(position)) => Err(RecvError::Invalid { position }),
            (taken, _) => Ok(taken),
        }
    }

    /// Waits for each message; ends when the channel is drained and all senders are gone.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self, ended: false }
    }

    /// The messages that are there now; never waits.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self, ended: false }
    }

    /// Copies a held message; whether it is a `T`.
    #[inline(always)]
    fn copy_to(&self, held: &Held, message: &mut MaybeUninit<T>) -> bool {
        let slot = self.inner.consumer.slot(held);
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
    /// As [`recv`](Receiver::recv).
    #[inline]
    pub fn recv_into(&self, message: &mut T) -> Result<(), RecvError> {
        self.take_into(message, Patience::Forever)
    }

    /// The next message, written over `message`, if it is there.
    ///
    /// # Errors
    /// As [`try_recv`](Receiver::try_recv).
    #[inline]
    pub fn try_recv_into(&self, message: &mut T) -> Result<(), RecvError> {
        self.take_into(message, Patience::Now)
    }

    /// The next message, written over `message`; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Receiver::recv_timeout).
    #[inline]
    pub fn recv_into_timeout(&self, message: &mut T, timeout: Duration) -> Result<(), RecvError> {
        self.take_into(message, Patience::At(timeout))
    }

    #[inline(always)]
    fn take_into(&self, message: &mut T, patience: Patience) -> Result<(), RecvError> {
        let held = self.inner.hold(patience)?;
        // SAFETY: `FromBytes`: whatever arrives is a `T`, so a place of a `T` may hold it.
        let message = unsafe { &mut *core::ptr::from_mut(message).cast::<MaybeUninit<T>>() };
        self.copy_to(&held, message);
        self.finish(&held, size_of::<T>())
    }
}

impl<T: Message + ?Sized> Receiver<T> {
    /// Another member of the same channel, with a seat of its own; it waits as this one and has its
    /// label.
    ///
    /// # Errors
    /// As [`Options::attach`](crate::Options::attach), above all [`Error::NoSeat`].
    pub fn try_clone(&self) -> Result<Receiver<T>, Error> {
        self.inner.post.like_this().attach()
    }

    /// The next message, copied to the heap; waits for one. For messages of variable length.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv).
    pub fn recv_boxed(&self) -> Result<Box<T>, RecvError> {
        self.take_boxed(Patience::Forever)
    }

    /// The next message if it is there, copied to the heap.
    ///
    /// # Errors
    /// As [`try_recv`](Receiver::try_recv).
    pub fn try_recv_boxed(&self) -> Result<Box<T>, RecvError> {
        self.take_boxed(Patience::Now)
    }

    /// The next message, copied to the heap; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Receiver::recv_timeout).
    pub fn recv_boxed_timeout(&self, timeout: Duration) -> Result<Box<T>, RecvError> {
        self.take_boxed(Patience::At(timeout))
    }

    fn take_boxed(&self, patience: Patience) -> Result<Box<T>, RecvError> {
        let held = self.inner.hold(patience)?;
        let (payload, len) = self.find(&held)?;
        let align = self.inner.post.membership.geometry().shape.align;
        // SAFETY: `find` compared the length with the slot's.
        let message = unsafe { message::read_boxed(payload, len, align) };
        self.finish(&held, len)?;
        message.ok_or(RecvError::Invalid { position: held.position() })
    }

    /// The next message, where it lies; waits for one. It is acknowledged when the guard is dropped.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv).
    pub fn recv_ref(&self) -> Result<Guard<'_, T>, RecvError> {
        self.lend(Patience::Forever)
    }

    /// The next message, where it lies, if it is there.
    ///
    /// # Errors
    /// As [`try_recv`](Receiver::try_recv).
    pub fn try_recv_ref(&self) -> Result<Guard<'_, T>, RecvError> {
        self.lend(Patience::Now)
    }

    /// The next message, where it lies; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Receiver::recv_timeout).
    pub fn recv_ref_timeout(&self, timeout: Duration) -> Result<Guard<'_, T>, RecvError> {
        self.lend(Patience::At(timeout))
    }

    fn lend(&self, patience: Patience) -> Result<Guard<'_, T>, RecvError> {
        let held = self.inner.hold(patience)?;
        let (payload, len) = self.find(&held)?;
        // SAFETY: the message is ours until it is acknowledged, and lies in its slot.
        let bytes = unsafe { slice::from_raw_parts(payload.as_ptr(), len) };
        match T::try_ref_from_bytes(bytes).map(NonNull::from) {
            Ok(message) => Ok(Guard::new(self, held, message)),
            Err(_) => {
                self.finish(&held, len)?;
                Err(RecvError::Invalid { position: held.position() })
            }
        }
    }

    /// Waits until a sender is there, for at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], [`RecvError::Fault`].
    pub fn wait_for_peer(&self, timeout: Duration) -> Result<(), RecvError> {
        let inner = &*self.inner;
        inner.post.check()?;
        inner.wait(Patience::At(timeout), |look| match look {
            Look::Quick => Ok(false),
            _ => Ok(inner.post.meets_peer()?),
        })
    }

    /// The members that died since this was last asked. One whose seat was taken again meanwhile is
    /// not among them.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn deaths(&self) -> Result<Vec<Death>, Fault> {
        self.inner.post.deaths()
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
        self.inner.post.membership.geometry().capacity
    }

    /// Longest message, bytes.
    pub fn slot_size(&self) -> usize {
        self.inner.post.membership.geometry().slot_size
    }

    /// What others need to attach by identifier.
    pub fn id(&self) -> ChannelId {
        self.inner.post.membership.id
    }

    /// Everything about the channel.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] or [`Fault::Corrupt`].
    pub fn stat(&self) -> Result<Stat, Error> {
        self.inner.account();
        self.inner.post.membership.stat()
    }

    /// Leaves the channel, as `drop` of the last clone does, and tells what went wrong. For all
    /// clones: those say [`Fault::Closed`] afterwards.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] when there was nothing left to leave, or
    /// [`Fault::LivenessLost`].
    pub fn close(self) -> Result<(), Error> {
        self.inner.account();
        self.inner.post.close()
    }

    /// Where a held message lies, and how many bytes it has: never more than a slot.
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
            let what = "a message is longer than its slot";
            return Err(self.inner.post.stop(Fault::Corrupt { what }).into());
        }
        Ok((slot.payload(), len as usize))
    }

    /// Acknowledges a held message.
    #[inline(always)]
    pub(super) fn finish(&self, held: &Held, len: usize) -> Result<(), RecvError> {
        self.inner.post.count(len);
        self.inner.acknowledge(held)
    }
}

impl Inner {
    /// Takes a message.
    #[inline(always)]
    fn hold(&self, patience: Patience) -> Result<Held, RecvError> {
        self.post.check()?;
        // The first look asks nobody: members in the middle of a message are alive, as a rule.
        match self.consumer.take(|_| Ok::<bool, Fault>(false)) {
            Ok(Next::Message(held)) => {
                self.post.meet();
                self.pass_on();
                Ok(held)
            }
            _ => self.await_message(patience),
        }
    }

    /// We have a message in hand: where there is another one, another receiver shall be awake.
    #[inline(always)]
    fn pass_on(&self) {
        let ring = self.consumer.ring();
        if ring.header().receivers.is_parked() && self.consumer.has_message() {
            // What fails here fails again in the next call that waits.
            let _ = self.post.membership.wake(Side::Receivers);
        }
    }

    #[inline(always)]
    fn acknowledge(&self, held: &Held) -> Result<(), RecvError> {
        if self.post.membership.is_inherited() {
            return Err(Fault::Forked.into());
        }
        if !self.consumer.acknowledge(held) {
            // Somebody took us for dead: our token is gone, or was for a moment.
            return Err(self.post.stop(Fault::LivenessLost).into());
        }
        wait::light_fence();
        if self.consumer.ring().header().senders.flags() != 0 {
            self.see_senders();
        }
        Ok(())
    }

    /// Senders sleep, or left, or there is something else about them.
    #[cold]
    #[inline(never)]
    fn see_senders(&self) {
        let ring = self.consumer.ring();
        let senders = &ring.header().senders;
        // Those who wait for room are woken when half of it is free: a burst for each, not a message.
        if !senders.is_parked() || ring.depth() <= ring.capacity() / 2 || self.is_sparse() {
            // What fails here fails again in the next call that waits.
            let _ = self.post.membership.wake(Side::Senders);
        }
        // The other receivers end when the last message is acknowledged.
        if senders.has_left() {
            let _ = self.post.membership.wake(Side::Receivers);
        }
    }

    /// Whether the depth is too coarse for this ring: it is known to within some positions.
    fn is_sparse(&self) -> bool {
        self.consumer.ring().capacity() <= 64 || !self.consumer.has_message()
    }

    #[cold]
    #[inline(never)]
    fn await_message(&self, patience: Patience) -> Result<Held, RecvError> {
        let held = match self.seek_message(patience) {
            // Sent before the channel was removed, and seen after.
            Err(RecvError::Fault(Fault::Removed)) => {
                match self.consumer.take(|_| Ok::<bool, Fault>(false)) {
                    Ok(Next::Message(held)) => held,
                    _ => return Err(self.post.stop(Fault::Removed).into()),
                }
            }
            Err(RecvError::Fault(fault)) => return Err(self.post.stop(fault).into()),
            other => other?,
        };
        self.post.meet();
        self.pass_on();
        Ok(held)
    }

    fn seek_message(&self, patience: Patience) -> Result<Held, RecvError> {
        self.account();
        self.post.membership.wake(Side::Senders)?;
        let mut found = None;
        let mut behind = None;
        // Whether a message was taken; asks after the living only where it may take its time.
        let mut look = |asking: bool| {
            let next = self.consumer.take(|seat| match asking {
                true => self.post.is_dead(seat),
                false => Ok(false),
            })?;
            behind = None;
            match next {
                Next::Message(held) => found = Some(held),
                Next::Nothing if asking => found = self.inherit()?,
                Next::Nothing => {}
                Next::Behind { seat } => {
                    behind = Some(seat);
                    if asking {
                        found = self.inherit()?;
                    }
                }
            }
            Ok::<bool, RecvError>(found.is_some())
        };
        if patience == Patience::Now {
            self.post.membership.check_removed()?;
            let left = self.post.membership.peer_parking().has_left();
            let asking = left || self.post.seldom.is_due();
            if asking {
                self.post.membership.check_life()?;
            }
            let gone = asking && self.post.is_abandoned()?;
            // What was sent before they went is visible by now.
            if !look(asking)? {
                return Err(match gone && self.is_drained() {
                    true => RecvError::Disconnected,
                    false => RecvError::Empty,
                });
            }
        } else {
            let waited = self.wait(patience, |how| {
                if how == Look::Quick {
                    return look(false);
                }
                self.post.membership.check_life()?;
                let gone = self.post.is_abandoned()?;
                // What was sent before they went is visible by now.
                if look(true)? {
                    return Ok(true);
                }
                match gone && self.is_drained() {
                    true => Err(RecvError::Disconnected),
                    false => Ok(false),
                }
            });
            match (waited, behind) {
                (Err(RecvError::Timeout), Some(seat)) => {
                    return Err(RecvError::Behind { pid: self.post.pid(seat) });
                }
                (waited, _) => waited?,
            }
        }
        found.ok_or(RecvError::Empty)
    }

    /// Whether every message was acknowledged, but for those that this process has in hand.
    fn is_drained(&self) -> bool {
        self.consumer.ring().is_drained(self.post.membership.seat.number)
    }

    /// A message whose receiver died, if there is one. Looks through the slots only when somebody
    /// died since it last did.
    fn inherit(&self) -> Result<Option<Held>, RecvError> {
        let repairs = &self.post.membership.header().repairs;
        let orphaned = repairs.orphaned.load(crate::sync::plain::Ordering::Acquire);
        let now = Searched { dead: self.post.dead()?, orphaned };
        let mut searched = self.searched.lock().unwrap_or_else(PoisonError::into_inner);
        if *searched == now {
            return Ok(None);
        }
        let limit = match self.post.membership.facts.redelivery {
            Redelivery::UpTo(times) => times,
            Redelivery::Never => 0,
        };
        let found = self.consumer.take_over(
            limit,
            |seat| self.post.is_dead(seat),
            |position| {
                if limit == 0 {
                    repairs.dropped.fetch_add(1, Relaxed);
                } else {
                    repairs.set_aside.fetch_add(1, Relaxed);
                    repairs.last_set_aside.store(position, Relaxed);
                }
            },
        )?;
        match &found {
            Some(_) => {
                repairs.redelivered.fetch_add(1, Relaxed);
                self.post.membership.line().repairs.fetch_add(1, Relaxed);
            }
            None => *searched = now,
        }
        Ok(found)
    }

    /// Waits where receivers wait.
    fn wait(
        &self,
        patience: Patience,
        look: impl FnMut(Look) -> Result<bool, RecvError>,
    ) -> Result<(), RecvError> {
        let membership = &self.post.membership;
        let place = Place {
            gate: &membership.members,
            parking: &self.consumer.ring().header().receivers,
            side: Side::Receivers,
            slice: SLICE,
            most: membership.geometry().seats as u32,
        };
        let waited = self.post.with_pace(|pace| wait::wait(place, pace, patience.deadline(), look));
        match waited {
            Ok(()) => Ok(()),
            Err(Ended::TimedOut) => Err(RecvError::Timeout),
            Err(Ended::Failed(error)) => Err(error),
        }
    }

    fn account(&self) {
        self.post.account(self.consumer.position());
    }
}

impl<T: Message + ?Sized> Handle for Receiver<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Receiver<T> {
    const FLAVOR: Flavor = Flavor::Mpmc;
    const SIDE: Side = Side::Receivers;

    fn shape() -> Shape {
        Shape::of::<T>()
    }

    fn from_membership(membership: Membership, wait: Wait) -> Result<Self, Error> {
        let post = Post::new(membership, wait);
        let consumer = Consumer::new(post.membership.ring(), post.membership.seat.number);
        post.membership.begin_at(consumer.position());
        let inner = Inner { consumer, searched: Mutex::default(), post };
        Ok(Receiver { inner: Arc::new(inner), message: PhantomData })
    }
}
