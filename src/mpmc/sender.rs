//! The sending handle.

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;
use std::sync::Arc;

use zerocopy::{FromBytes, KnownLayout};

use super::post::Post;
use super::{Death, Loan};
use crate::address::ChannelId;
use crate::error::{BatchError, Error, Fault, SendError};
use crate::members::Flavor;
use crate::membership::Membership;
use crate::message::{Message, Shape, is_variable};
use crate::options::{Handle, sealed::Sealed};
use crate::patience::Patience;
use crate::ring::mpmc::{Claim, Producer, Room};
use crate::stat::Stat;
use crate::sync::plain::AtomicU32;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::{self, Ended, Look, Place, SLICE, Side, Wait};

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
    post: Post,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.account();
        // Who wants to hear of errors calls `close`.
        let _ = self.post.leave();
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
        self.inner.post.like_this().attach()
    }

    /// Sends a message; waits while the channel is full.
    ///
    /// `Ok` means that the message is in the channel and outlives this process.
    ///
    /// # Errors
    /// [`SendError::Disconnected`] when receivers were there and all are gone, at the latest when
    /// the channel is full; [`SendError::TooLong`]; [`SendError::Fault`].
    #[inline]
    pub fn send(&self, message: &T) -> Result<(), SendError> {
        self.put(message, Patience::Forever)
    }

    /// Sends a message if there is room.
    ///
    /// # Errors
    /// [`SendError::Full`], and as [`send`](Sender::send).
    #[inline]
    pub fn try_send(&self, message: &T) -> Result<(), SendError> {
        self.put(message, Patience::Now)
    }

    /// Sends a message; waits for room for at most `timeout`. Years are fine.
    ///
    /// # Errors
    /// [`SendError::Timeout`], or [`SendError::Behind`] when a living member is in the way; and as
    /// [`send`](Sender::send).
    #[inline]
    pub fn send_timeout(&self, message: &T, timeout: Duration) -> Result<(), SendError> {
        self.put(message, Patience::At(timeout))
    }

    #[inline(always)]
    fn put(&self, message: &T, patience: Patience) -> Result<(), SendError> {
        self.check_length(message)?;
        let claim = self.inner.claim(patience)?;
        let len = self.write(&claim, message);
        self.publish(claim, len)?;
        self.inner.look_after_receivers();
        Ok(())
    }

    /// Sends messages in order, perhaps with those of others in between; waits while the channel is
    /// full. The receivers are looked after once for the batch.
    ///
    /// # Errors
    /// A [`BatchError`] tells how many were sent and why the next one was not, as
    /// [`send`](Sender::send) would.
    pub fn send_batch<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m T>,
    ) -> Result<(), BatchError>
    where
        T: 'm,
    {
        self.put_batch(messages, Patience::Forever)
    }

    /// Sends messages in order while there is room.
    ///
    /// # Errors
    /// As [`send_batch`](Sender::send_batch), with [`SendError::Full`] when not all had room.
    pub fn try_send_batch<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m T>,
    ) -> Result<(), BatchError>
    where
        T: 'm,
    {
        self.put_batch(messages, Patience::Now)
    }

    fn put_batch<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m T>,
        patience: Patience,
    ) -> Result<(), BatchError>
    where
        T: 'm,
    {
        let one = |message: &T| {
            self.check_length(message)?;
            let claim = self.inner.claim(patience)?;
            let len = self.write(&claim, message);
            self.publish(claim, len)
        };
        let mut result = Ok(());
        for (sent, message) in messages.into_iter().enumerate() {
            if let Err(error) = one(message) {
                result = Err(BatchError { sent, error });
                break;
            }
        }
        self.inner.look_after_receivers();
        result
    }

    /// Waits until everything that anybody sent was acknowledged, for at most `timeout`.
    ///
    /// # Errors
    /// [`SendError::Timeout`]; [`SendError::Disconnected`] when all receivers are gone and left
    /// something; [`SendError::Fault`].
    pub fn flush(&self, timeout: Duration) -> Result<(), SendError> {
        let inner = &*self.inner;
        inner.post.check()?;
        inner.look_after_receivers();
        let mut nap = Duration::from_millis(1);
        let deadline = Patience::At(timeout).deadline();
        loop {
            let part = deadline.map_or(nap, |d| d.remaining().min(nap));
            let drained = inner.wait(Patience::At(part), nap, |look| {
                if inner.producer.ring().count_messages() == 0 {
                    return Ok(true);
                }
                if look == Look::Quick {
                    return Ok(false);
                }
                inner.post.membership.check_life()?;
                match inner.post.is_abandoned()? {
                    true => Err(SendError::Disconnected),
                    false => Ok(false),
                }
            });
            match drained {
                Err(SendError::Timeout) if deadline.is_none_or(|d| !d.passed()) => {
                    nap = (nap * 2).min(Duration::from_millis(16));
                }
                other => return other,
            }
        }
    }

    /// Waits until a receiver is there, for at most `timeout`.
    ///
    /// # Errors
    /// [`SendError::Timeout`], [`SendError::Fault`].
    pub fn wait_for_peer(&self, timeout: Duration) -> Result<(), SendError> {
        let inner = &*self.inner;
        inner.post.check()?;
        inner.wait(Patience::At(timeout), SLICE, |look| match look {
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
    /// clones: those say [`Fault::Closed`] afterwards. Messages stay.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] when there was nothing left to leave, or
    /// [`Fault::LivenessLost`].
    pub fn close(self) -> Result<(), Error> {
        self.inner.account();
        self.inner.post.close()
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
                inner.post.count(len);
                Ok(())
            }
            // Somebody took us for dead: our token is gone, or was for a moment.
            false => Err(inner.post.stop(Fault::LivenessLost).into()),
        }
    }

    pub(super) fn commit(&self, claim: Claim, len: usize) -> Result<(), SendError> {
        self.inner.post.check()?;
        self.publish(claim, len)?;
        self.inner.look_after_receivers();
        Ok(())
    }

    pub(super) fn abandon(&self, claim: Claim) {
        // In a forked child it is the parent's.
        if !self.inner.post.membership.is_inherited() {
            self.inner.producer.abandon(claim);
            self.inner.look_after_receivers();
        }
    }

    /// Where the message of a claimed slot goes.
    #[inline(always)]
    pub(super) fn payload(&self, claim: &Claim) -> NonNull<u8> {
        let slot = self.inner.producer.slot(claim);
        slot.writing();
        slot.payload()
    }
}

impl Inner {
    /// Claims a slot.
    #[inline(always)]
    fn claim(&self, patience: Patience) -> Result<Claim, SendError> {
        self.post.check()?;
        // The first look asks nobody: members in the middle of a message are alive, as a rule.
        match self.producer.claim(|_| Ok::<bool, Fault>(false)) {
            Ok(Room::Claimed(claim)) => Ok(claim),
            _ => self.make_room(patience),
        }
    }

    /// Who published looks: see `wait.rs`.
    #[inline(always)]
    fn look_after_receivers(&self) {
        wait::light_fence();
        if self.producer.ring().header().receivers.flags() != self.quiet.load(Relaxed) {
            self.see_receivers();
        }
    }

    #[cold]
    #[inline(never)]
    fn see_receivers(&self) {
        // What fails here fails again in the next call, which can say so: the message is sent.
        let _ = self.post.membership.wake(Side::Receivers);
        let left = self.post.membership.peer_parking().has_left();
        // While nobody came since, that they left is how things are.
        let quiet = left && matches!(self.post.is_abandoned(), Ok(false));
        self.quiet.store(if quiet { wait::LEFT } else { 0 }, Relaxed);
    }

    #[cold]
    #[inline(never)]
    fn make_room(&self, patience: Patience) -> Result<Claim, SendError> {
        let stop = |error| match error {
            SendError::Fault(fault) => self.post.stop(fault).into(),
            error => error,
        };
        self.seek_room(patience).map_err(stop)
    }

    fn seek_room(&self, patience: Patience) -> Result<Claim, SendError> {
        self.post.membership.check_removed()?;
        self.account();
        let left = self.post.membership.peer_parking().has_left();
        if left && self.post.is_abandoned()? {
            return Err(SendError::Disconnected);
        }
        let mut claimed = None;
        let mut behind = None;
        // Whether a slot was claimed; asks after the living only where it may take its time.
        let mut look = |asking: bool| {
            let room = self.producer.claim(|seat| match asking {
                true => self.post.is_dead(seat),
                false => Ok(false),
            })?;
            behind = None;
            match room {
                Room::Claimed(claim) => claimed = Some(claim),
                Room::Full => {}
                Room::Orphaned => self.post.membership.wake(Side::Receivers)?,
                Room::Behind { seat } => behind = Some(seat),
            }
            Ok::<bool, SendError>(claimed.is_some())
        };
        // A batch that filled the ring was not announced yet.
        self.look_after_receivers();
        if patience == Patience::Now {
            if !look(true)? {
                let gone = self.post.seldom.is_due() && {
                    self.post.membership.check_life()?;
                    self.post.is_abandoned()?
                };
                return Err(if gone { SendError::Disconnected } else { SendError::Full });
            }
        } else {
            let waited = self.wait(patience, SLICE, |how| {
                if look(how != Look::Quick)? {
                    return Ok(true);
                }
                if how == Look::Quick {
                    return Ok(false);
                }
                self.post.membership.check_life()?;
                match self.post.is_abandoned()? {
                    true => Err(SendError::Disconnected),
                    false => Ok(false),
                }
            });
            match (waited, behind) {
                (Err(SendError::Timeout), Some(seat)) => {
                    return Err(SendError::Behind { pid: self.post.pid(seat) });
                }
                (waited, _) => waited?,
            }
        }
        claimed.ok_or(SendError::Full)
    }

    /// Waits where senders wait.
    fn wait(
        &self,
        patience: Patience,
        slice: Duration,
        look: impl FnMut(Look) -> Result<bool, SendError>,
    ) -> Result<(), SendError> {
        let membership = &self.post.membership;
        let place = Place {
            gate: &membership.members,
            parking: &self.producer.ring().header().senders,
            side: Side::Senders,
            slice,
            most: membership.geometry().seats as u32,
        };
        let waited = self.post.with_pace(|pace| wait::wait(place, pace, patience.deadline(), look));
        match waited {
            Ok(()) => Ok(()),
            Err(Ended::TimedOut) => Err(SendError::Timeout),
            Err(Ended::Failed(error)) => Err(error),
        }
    }

    fn account(&self) {
        self.post.account(self.producer.position());
    }
}

/// Writing in place, for types of which any bytes are a value. What a slot holds at first is some
/// former message, or zeros.
impl<T: Message + FromBytes> Sender<T> {
    /// Lends a slot, to be written in place; waits while the channel is full.
    ///
    /// The slot holds its place in the order: messages sent after it was lent wait for it.
    ///
    /// # Errors
    /// As [`send`](Sender::send).
    pub fn loan(&self) -> Result<Loan<'_, T>, SendError> {
        self.inner.claim(Patience::Forever).map(|claim| Loan::new(self, claim))
    }

    /// Lends a slot if there is one.
    ///
    /// # Errors
    /// As [`try_send`](Sender::try_send).
    pub fn try_loan(&self) -> Result<Loan<'_, T>, SendError> {
        self.inner.claim(Patience::Now).map(|claim| Loan::new(self, claim))
    }

    /// Lends a slot; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`send_timeout`](Sender::send_timeout).
    pub fn loan_timeout(&self, timeout: Duration) -> Result<Loan<'_, T>, SendError> {
        self.inner.claim(Patience::At(timeout)).map(|claim| Loan::new(self, claim))
    }
}

/// Writing messages of variable length in place.
impl<T> Sender<T>
where
    T: Message + FromBytes + KnownLayout<PointerMetadata = usize> + ?Sized,
{
    /// Lends a slot for a message whose trailing slice has `elements` elements, which
    /// [`Loan::truncate`] can make fewer; waits while the channel is full.
    ///
    /// # Errors
    /// As [`send`](Sender::send).
    pub fn loan_with(&self, elements: usize) -> Result<Loan<'_, T>, SendError> {
        self.lend(elements, Patience::Forever)
    }

    /// Lends a slot for a message of that many elements, if there is one.
    ///
    /// # Errors
    /// As [`try_send`](Sender::try_send).
    pub fn try_loan_with(&self, elements: usize) -> Result<Loan<'_, T>, SendError> {
        self.lend(elements, Patience::Now)
    }

    /// Lends a slot for a message of that many elements; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`send_timeout`](Sender::send_timeout).
    pub fn loan_with_timeout(
        &self,
        elements: usize,
        timeout: Duration,
    ) -> Result<Loan<'_, T>, SendError> {
        self.lend(elements, Patience::At(timeout))
    }

    fn lend(&self, elements: usize, patience: Patience) -> Result<Loan<'_, T>, SendError> {
        let (len, max) = (T::size_for_metadata(elements).unwrap_or(usize::MAX), self.slot_size());
        if len > max {
            return Err(SendError::TooLong { len, max });
        }
        let claim = self.inner.claim(patience)?;
        Loan::with_elements(self, claim, elements).ok_or(SendError::TooLong { len, max })
    }
}

impl<T: Message + ?Sized> Handle for Sender<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Sender<T> {
    const FLAVOR: Flavor = Flavor::Mpmc;
    const SIDE: Side = Side::Senders;

    fn shape() -> Shape {
        Shape::of::<T>()
    }

    fn from_membership(membership: Membership, wait: Wait) -> Result<Self, Error> {
        let post = Post::new(membership, wait);
        let producer = Producer::new(post.membership.ring(), post.membership.seat.number);
        post.membership.begin_at(producer.position());
        let inner = Inner { producer, quiet: AtomicU32::new(0), post };
        Ok(Sender { inner: Arc::new(inner), message: PhantomData })
    }
}
