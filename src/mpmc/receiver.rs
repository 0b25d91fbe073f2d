//! The receiving handle.

#[cfg(feature = "async")]
pub(super) mod asynchronous;
mod recv;
mod recv_ref;

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;
use std::sync::Arc;

use super::Death;
use super::dead_letters::DeadLetters;
use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::deaths::Deaths;
use crate::endpoint::interrupter::Interrupter;
use crate::error::{Error, Fault, RecvError};
use crate::flavor::Flavor;
use crate::message::{Message, MessageLayout, is_variable};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::protocol::mpmc::Receiving;
use crate::protocol::{GivenUp, Membership, RecvPort};
use crate::ring::mpmc::{Consumer, Held};
use crate::role::Side;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::adaptive_spin::Wait;
use crate::wait::blocking::Blocking;

/// A receiving half of an MPMC channel, opened with [`Options`](crate::Options); it may be shared
/// between threads and cloned.
#[derive(Debug)]
pub struct Receiver<T: Message + ?Sized> {
    inner: Arc<Inner>,
    message: PhantomData<fn() -> Box<T>>,
}

/// One member, shared by all clones of its handle.
#[derive(Debug)]
struct Inner {
    receiving: Receiving,
    deaths: Deaths,
    /// Must be last: the ring is in its mapping.
    endpoint: Endpoint,
}

impl Inner {
    #[inline(always)]
    fn port(&self) -> RecvPort<'_, &Receiving, Endpoint> {
        RecvPort { ring: &self.receiving, member: &self.endpoint }
    }

    /// Takes a message.
    #[inline(always)]
    fn next(&self, blocking: Blocking) -> Result<Held, RecvError> {
        self.port().next(blocking)
    }

    #[inline(always)]
    fn acknowledge(&self, held: &Held) -> Result<(), RecvError> {
        if self.endpoint.is_forked() {
            return Err(Fault::Forked.into());
        }
        Ok(self.port().acknowledge(held)?)
    }

    /// Returns a message: another receiver gets it, possibly this one.
    #[cold]
    fn release(&self, held: &Held) -> Result<(), Fault> {
        // In a forked child it is the parent's.
        if self.endpoint.is_forked() {
            return Err(Fault::Forked);
        }
        if !self.receiving.consumer.release(held) {
            return Err(self.endpoint.stop(Fault::LivenessLost));
        }
        self.endpoint.announce_returned()
    }

    /// Gives a message up for good, or returns it.
    #[cold]
    fn reject(&self, held: &Held) -> Result<(), RecvError> {
        if self.endpoint.is_forked() {
            return Err(Fault::Forked.into());
        }
        let (slot, position) = (self.receiving.consumer.slot(held), held.position());
        let message = GivenUp { slot, position, deliveries: held.deliveries() };
        if let Err(reason) = self.endpoint.dispose_of(&message) {
            self.release(held)?;
            return Err(RecvError::NotMoved { reason });
        }
        self.acknowledge(held)?;
        self.endpoint.count_rejection();
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.endpoint.release_in_flight();
        // A caller that needs the errors calls `close`.
        let _ = self.endpoint.leave();
    }
}

impl<T: Message + ?Sized> Clone for Receiver<T> {
    /// Creates another handle to the same member.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let jobs: mpmc::Sender<u64> = Options::private().create()?;
    /// let worker: mpmc::Receiver<u64> = Options::id(jobs.id()).attach()?;
    /// let same = worker.clone(); // for another thread
    /// jobs.send(&7)?;
    /// assert_eq!(std::thread::spawn(move || same.recv()).join().unwrap(), Ok(7));
    /// # Ok(()) }
    /// ```
    fn clone(&self) -> Receiver<T> {
        Receiver { inner: Arc::clone(&self.inner), message: PhantomData }
    }
}

impl<T: Message + ?Sized> Receiver<T> {
    /// Joins the same channel as an additional member, with its own seat. It waits like this one
    /// and has the same label.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let jobs: mpmc::Sender<u64> = Options::private().create()?;
    /// let worker: mpmc::Receiver<u64> = Options::id(jobs.id()).attach()?;
    /// let second = worker.try_clone()?;
    /// assert_eq!(jobs.stat()?.members.iter().filter(|member| member.alive).count(), 3);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`Options::attach`](crate::Options::attach), above all [`Error::NoSeat`].
    pub fn try_clone(&self) -> Result<Receiver<T>, Error> {
        let other: Receiver<T> = self.inner.endpoint.like_this().attach()?;
        other.inner.endpoint.inherit(&self.inner.endpoint);
        Ok(other)
    }

    /// Blocks until a sender has joined, for at most `timeout`.
    ///
    /// One that has left again counts if it joined after this handle last found the other side empty:
    /// after a call returned `Disconnected`, no sender is missed.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if no sender joined in time: try again. [`RecvError::Interrupted`]
    /// if an [`interrupter`](Receiver::interrupter) ended the call. [`RecvError::Fault`] if the
    /// handle cannot go on.
    pub fn wait_for_peer(&self, timeout: Duration) -> Result<(), RecvError> {
        Ok(self.inner.endpoint.wait_for_peer(timeout)?)
    }

    /// Returns the members that have died since the previous call. A death is not reported if
    /// another member has taken the seat since.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let jobs: mpmc::Sender<u64> = Options::private().create()?;
    /// # let worker: mpmc::Receiver<u64> = Options::id(jobs.id()).attach()?;
    /// for death in worker.deaths()? {
    ///     println!("{:?} {} died, pid {}", death.role, death.label, death.pid);
    /// }
    /// # assert!(worker.deaths()?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A [`Fault`] if the handle cannot go on.
    pub fn deaths(&self) -> Result<Vec<Death>, Fault> {
        self.inner.deaths.since_last(&self.inner.endpoint)
    }

    /// Returns a handle that ends blocked calls of this receiver, from another thread or from a
    /// signal handler; see [`Interrupter`](crate::Interrupter). It ends calls on all clones.
    ///
    /// From the first call on, blocked calls also watch for interrupts, which makes blocking a
    /// little slower. That call waits until threads that are blocked at that moment have noticed,
    /// usually for some microseconds, for a fifth of a second at worst; so it is not for signal
    /// handlers.
    pub fn interrupter(&self) -> Interrupter {
        self.inner.endpoint.attachment.interrupter()
    }

    /// Returns the number of messages sent but not yet acknowledged, including those that receivers
    /// hold. Loads the state of every slot.
    pub fn len(&self) -> usize {
        self.inner.receiving.consumer.ring().count_messages() as usize
    }

    /// Returns whether every sent message was acknowledged. Loads the state of every slot.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether no slot is free for a sender now: a `try_send` of a sender would fail with
    /// [`Full`](crate::SendError::Full) or [`Behind`](crate::SendError::Behind).
    ///
    /// Slots that receivers hold are stepped over, but messages that no receiver took are not: the
    /// channel may be full although [`len`](Receiver::len) is smaller than the capacity.
    pub fn is_full(&self) -> bool {
        let watch = self.inner.endpoint.watch(true);
        // An error is for the next call to return.
        self.inner.receiving.consumer.ring().has_any_room(watch) == Ok(false)
    }

    /// Returns the number of slots of the ring.
    pub fn capacity(&self) -> usize {
        self.inner.endpoint.geometry().capacity
    }

    /// Returns the maximum message length in bytes.
    pub fn slot_size(&self) -> usize {
        self.inner.endpoint.geometry().slot_size
    }

    /// Returns the identifier that other processes can pass to [`Options::id`](crate::Options::id).
    pub fn id(&self) -> ChannelId {
        self.inner.endpoint.id()
    }

    /// Returns a snapshot of the channel's state.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] or [`Fault::Corrupt`].
    pub fn stat(&self) -> Result<Stat, Error> {
        self.inner.endpoint.stat()
    }

    /// Leaves the channel like `drop` of the last clone, but reports errors.
    ///
    /// Calls on other clones return [`Fault::Closed`] from now on. While such clones exist, the
    /// seat is kept for the messages that they may hold in guards; it is given back with the last
    /// of them.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] if there was nothing left to leave,
    /// [`Fault::LivenessLost`], [`Fault::Forked`] in a forked child, which leaves nothing, or the
    /// fault that stopped this handle before, such as [`Fault::Closed`].
    pub fn close(mut self) -> Result<(), Error> {
        // It stays where it is: a doorbell may refer to it.
        match Arc::get_mut(&mut self.inner) {
            Some(inner) => inner.endpoint.close(),
            None => self.inner.endpoint.close_for_others(),
        }
    }

    /// Returns the address and length of a held message; it never exceeds a slot. On an error the
    /// message is released to other receivers.
    #[inline(always)]
    fn payload(&self, held: &Held) -> Result<(NonNull<u8>, usize), RecvError> {
        let slot = self.inner.receiving.consumer.slot(held);
        slot.reading();
        let slot_size = self.slot_size();
        if !is_variable::<T>() {
            return Ok((slot.payload(), slot_size));
        }
        let len = slot.length().load(Relaxed);
        if len > slot_size as u64 {
            let _ = self.inner.release(held);
            let what = "a message is longer than its slot";
            return Err(self.inner.endpoint.stop(Fault::Corrupt { what }).into());
        }
        Ok((slot.payload(), len as usize))
    }

    /// Acknowledges a held message.
    #[inline(always)]
    pub(super) fn finish(&self, held: &Held, len: usize) -> Result<(), RecvError> {
        self.inner.acknowledge(held)?;
        self.inner.endpoint.count(held.position());
        if is_variable::<T>() {
            self.inner.endpoint.count_bytes(len);
        }
        Ok(())
    }

    /// Returns a held message to the receivers.
    pub(super) fn release(&self, held: &Held) -> Result<(), RecvError> {
        Ok(self.inner.release(held)?)
    }

    /// Gives a held message up for good.
    pub(super) fn reject(&self, held: &Held) -> Result<(), RecvError> {
        self.inner.reject(held)
    }
}

impl<T: Message + ?Sized> Receiver<T> {
    pub(crate) fn as_endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }
}

impl<T: Message + ?Sized> Handle for Receiver<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Receiver<T> {
    const FLAVOR: Flavor = Flavor::Mpmc;
    const SIDE: Side = Side::Receivers;

    fn shape() -> MessageLayout {
        MessageLayout::of::<T>()
    }

    fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error> {
        let letters = DeadLetters::of(&attachment)?;
        let endpoint = Endpoint::new(attachment, wait).with_dead_letters(letters);
        let consumer = Consumer::new(endpoint.attachment.ring(), endpoint.attachment.seat.number);
        endpoint.attachment.begin_at(consumer.position());
        let receiving = Receiving::new(consumer);
        let inner = Inner { receiving, deaths: Deaths::new(), endpoint };
        Ok(Receiver { inner: Arc::new(inner), message: PhantomData })
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
