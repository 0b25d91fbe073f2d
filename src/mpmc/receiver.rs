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
use super::recv_end::RecvEnd;
use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::interrupter::Interrupter;
use crate::error::{Error, Fault, RecvError};
use crate::flavor::Flavor;
use crate::message::{Message, MessageType, is_variable};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::ring::mpmc::Held;
use crate::role::Side;
use crate::wait::adaptive_spin::Wait;

/// A receiving half of an MPMC channel, opened with [`Options`](crate::Options); it may be shared
/// between threads and cloned.
#[derive(Debug)]
pub struct Receiver<T: Message + ?Sized> {
    end: Arc<RecvEnd>,
    message: PhantomData<fn() -> Box<T>>,
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
        Receiver { end: Arc::clone(&self.end), message: PhantomData }
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
        let other: Receiver<T> = self.end.endpoint.like_this().attach()?;
        other.end.endpoint.inherit(&self.end.endpoint);
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
        Ok(self.end.endpoint.wait_for_peer(timeout)?)
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
    ///     println!("{:?} {:?} died, pid {}", death.role, death.label, death.pid);
    /// }
    /// # assert!(worker.deaths()?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A [`Fault`] if the handle cannot go on.
    pub fn deaths(&self) -> Result<Vec<Death>, Fault> {
        self.end.deaths.since_last(&self.end.endpoint)
    }

    /// Returns a handle that ends blocked calls of this receiver, from another thread or from a
    /// signal handler; see [`Interrupter`](crate::Interrupter). It ends calls on all clones.
    ///
    /// From the first call on, blocked calls also watch for interrupts, which makes blocking a
    /// little slower. That call waits until threads that are blocked at that moment have noticed,
    /// usually for some microseconds, for a fifth of a second at worst; so it is not for signal
    /// handlers.
    pub fn interrupter(&self) -> Interrupter {
        self.end.endpoint.attachment.interrupter()
    }

    /// Returns the number of messages sent but not yet acknowledged, including those that receivers
    /// hold. Loads the state of every slot.
    pub fn len(&self) -> usize {
        self.end.len()
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
        self.end.is_full()
    }

    /// Returns the number of slots of the ring.
    pub fn capacity(&self) -> usize {
        self.end.endpoint.geometry().capacity
    }

    /// Returns the maximum message length in bytes.
    pub fn slot_size(&self) -> usize {
        self.end.endpoint.geometry().slot_size
    }

    /// Returns the identifier that other processes can pass to [`Options::id`](crate::Options::id).
    pub fn id(&self) -> ChannelId {
        self.end.endpoint.id()
    }

    /// Returns a snapshot of the channel's state.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] or [`Fault::Corrupt`].
    pub fn stat(&self) -> Result<Stat, Error> {
        self.end.endpoint.stat()
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
        match Arc::get_mut(&mut self.end) {
            Some(end) => end.endpoint.close(),
            None => self.end.endpoint.close_for_others(),
        }
    }

    /// Returns the address and length of a held message; it never exceeds a slot. On an error the
    /// message is released to other receivers.
    #[inline(always)]
    fn payload(&self, held: &Held) -> Result<(NonNull<u8>, usize), RecvError> {
        self.end.payload(held, is_variable::<T>())
    }

    /// Acknowledges a held message.
    #[inline(always)]
    pub(super) fn finish(&self, held: &Held, len: usize) -> Result<(), RecvError> {
        self.end.finish(held, len, is_variable::<T>())
    }

    /// Returns a held message to the receivers.
    pub(super) fn release(&self, held: &Held) -> Result<(), RecvError> {
        Ok(self.end.release(held)?)
    }

    /// Gives a held message up for good.
    pub(super) fn reject(&self, held: &Held) -> Result<(), RecvError> {
        self.end.reject(held)
    }
}

impl<T: Message + ?Sized> Receiver<T> {
    #[cfg(feature = "postcard")]
    pub(crate) fn as_end(&self) -> &RecvEnd {
        &self.end
    }

    pub(crate) fn as_endpoint(&self) -> &Endpoint {
        &self.end.endpoint
    }
}

impl<T: Message + ?Sized> Handle for Receiver<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Receiver<T> {
    const FLAVOR: Flavor = Flavor::Mpmc;
    const SIDE: Side = Side::Receivers;

    fn message_type() -> MessageType {
        MessageType::of::<T>()
    }

    fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error> {
        let end = RecvEnd::from_attachment(attachment, wait)?;
        Ok(Receiver { end: Arc::new(end), message: PhantomData })
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
