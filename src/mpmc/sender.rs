//! The sending handle.

#[cfg(feature = "async")]
pub(super) mod asynchronous;
mod loan;
mod send;

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;
use std::sync::Arc;

use super::Death;
use super::send_end::SendEnd;
use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::interrupter::Interrupter;
use crate::error::{Error, Fault, SendError};
use crate::flavor::Flavor;
use crate::message::{Message, MessageType, is_variable};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::ring::mpmc::Claim;
use crate::role::Side;
use crate::wait::adaptive_spin::Wait;

/// A sending half of an MPMC channel, opened with [`Options`](crate::Options); it may be shared
/// between threads and cloned.
///
/// Sending borrows the message: on an error it was not sent and is still yours.
#[derive(Debug)]
pub struct Sender<T: Message + ?Sized> {
    end: Arc<SendEnd>,
    message: PhantomData<fn(&T)>,
}

impl<T: Message + ?Sized> Clone for Sender<T> {
    /// Creates another handle to the same member.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let jobs: mpmc::Sender<u64> = Options::private().create()?;
    /// let same = jobs.clone(); // for another thread
    /// std::thread::spawn(move || same.send(&7)).join().unwrap()?;
    /// assert_eq!(jobs.len(), 1);
    /// # Ok(()) }
    /// ```
    fn clone(&self) -> Sender<T> {
        Sender { end: Arc::clone(&self.end), message: PhantomData }
    }
}

impl<T: Message + ?Sized> Sender<T> {
    /// Joins the same channel as an additional member, with its own seat. It waits like this one
    /// and has the same label.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let jobs: mpmc::Sender<u64> = Options::private().create()?;
    /// let second = jobs.try_clone()?;
    /// assert_eq!(jobs.stat()?.members.iter().filter(|member| member.alive).count(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`Options::attach`](crate::Options::attach), above all [`Error::NoSeat`].
    pub fn try_clone(&self) -> Result<Sender<T>, Error> {
        let other: Sender<T> = self.end.endpoint.like_this().attach()?;
        other.end.endpoint.inherit(&self.end.endpoint);
        Ok(other)
    }

    /// Blocks until every message that any member sent is acknowledged, for at most `timeout`.
    ///
    /// It polls, so it returns late by up to one eighth of the time that it waited (at least 50 µs,
    /// at most 16 ms).
    ///
    /// ```
    /// # use sysvring::{Options, SendError, mpmc};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<u64> = Options::private().create()?;
    /// # let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send(&7)?;
    /// assert_eq!(tx.flush(Duration::from_millis(1)), Err(SendError::Timeout));
    /// assert_eq!(rx.recv()?, 7);
    /// tx.flush(Duration::from_secs(10))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - [`SendError::Timeout`] if some message was not acknowledged in time: try again;
    /// - [`SendError::Disconnected`] if all receivers are gone and left messages unacknowledged:
    ///   [`wait_for_peer`](Sender::wait_for_peer) waits for another receiver;
    /// - [`SendError::Interrupted`] if an [`interrupter`](Sender::interrupter) ended the call;
    /// - [`SendError::Fault`] if the handle cannot go on.
    pub fn flush(&self, timeout: Duration) -> Result<(), SendError> {
        self.end.port().flush(timeout)
    }

    /// Blocks until a receiver has joined, for at most `timeout`.
    ///
    /// One that has left again counts if it joined after this handle last found the other side empty:
    /// after a call returned `Disconnected`, no receiver is missed.
    ///
    /// # Errors
    /// [`SendError::Timeout`] if no receiver joined in time: try again. [`SendError::Interrupted`]
    /// if an [`interrupter`](Sender::interrupter) ended the call. [`SendError::Fault`] if the
    /// handle cannot go on.
    pub fn wait_for_peer(&self, timeout: Duration) -> Result<(), SendError> {
        Ok(self.end.endpoint.wait_for_peer(timeout)?)
    }

    /// Returns the members that have died since the previous call. A death is not reported if
    /// another member has taken the seat since.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let jobs: mpmc::Sender<u64> = Options::private().create()?;
    /// for death in jobs.deaths()? {
    ///     println!("{:?} {:?} died, pid {}", death.role, death.label, death.pid);
    /// }
    /// # assert!(jobs.deaths()?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A [`Fault`] if the handle cannot go on.
    pub fn deaths(&self) -> Result<Vec<Death>, Fault> {
        self.end.deaths.since_last(&self.end.endpoint)
    }

    /// Returns a handle that ends blocked calls of this sender, from another thread or from a
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

    /// Returns whether no slot is free for a sender now: a [`try_send`](Sender::try_send) would fail with
    /// [`Full`](SendError::Full) or [`Behind`](SendError::Behind).
    ///
    /// Slots that receivers hold are stepped over, but messages that no receiver took are not: the
    /// channel may be full although [`len`](Sender::len) is smaller than the capacity.
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

    /// Leaves the channel like `drop` of the last clone, but reports errors. Messages stay in the
    /// channel.
    ///
    /// Calls on other clones return [`Fault::Closed`] from now on. While such clones exist, the
    /// seat is kept for the slots that they may have on loan; it is given back with the last of
    /// them.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] if there was nothing left to leave,
    /// [`Fault::LivenessLost`], [`Fault::Forked`] in a forked child, which leaves nothing, or the
    /// fault that stopped this handle before, such as [`Fault::Closed`].
    pub fn close(self) -> Result<(), Error> {
        self.leave()
    }

    /// Leaves the channel like [`close`](Sender::close): this sender is finished.
    ///
    /// The stream ends when all senders are gone, at least one of them finished, and none of them
    /// died without a successor; see [`Stat::stream`]. Once every message is acknowledged, receivers
    /// then get [`RecvError::Disconnected`](crate::RecvError::Disconnected), also those that join
    /// only now, until another sender joins, which opens the next stream.
    ///
    /// Calls on other clones return [`Fault::Closed`] from now on, as after `close`. While such
    /// clones exist, the sender is still there: it has finished when the last of them is gone, and
    /// if its process dies before, the sender has died.
    ///
    /// `drop` and `close` do not end the stream: receivers that saw a sender get `Disconnected` when
    /// all are gone, and those that join later wait for the next sender.
    ///
    /// ```
    /// # use sysvring::{Options, RecvError, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let name = format!("doc-mpmc-finish-{}", std::process::id());
    /// # let name = name.as_str();
    /// let jobs: mpmc::Sender<u64> = Options::named(name).create()?;
    /// jobs.send(&7)?;
    /// jobs.finish()?;
    /// let late: mpmc::Receiver<u64> = Options::named(name).attach()?;
    /// assert_eq!((late.recv(), late.recv()), (Ok(7), Err(RecvError::Disconnected)));
    /// # drop(late);
    /// # sysvring::remove(name)
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`close`](Sender::close); this sender is not finished then.
    pub fn finish(self) -> Result<(), Error> {
        self.end.endpoint.set_finishing()?;
        match self.leave() {
            // Another clone was closed just now. The last of them is not gone yet, and finishes.
            Err(Error::Fault(Fault::Closed)) => Ok(()),
            left => left,
        }
    }

    fn leave(mut self) -> Result<(), Error> {
        // It stays where it is: a doorbell may refer to it.
        match Arc::get_mut(&mut self.end) {
            Some(end) => end.endpoint.close(),
            None => self.end.endpoint.close_for_others(),
        }
    }

    #[inline(always)]
    fn check_length(&self, message: &T) -> Result<(), SendError> {
        let (len, max) = (size_of_val(message), self.end.sending.producer.ring().slot_size());
        if is_variable::<T>() && len > max {
            return Err(SendError::TooLong { len, max });
        }
        Ok(())
    }

    /// Sends the message that was written into a claimed slot; on a fault, gives the claim up.
    #[inline(always)]
    pub(super) fn commit(&self, claim: Claim, len: usize) -> Result<(), SendError> {
        self.end.commit(claim, len, is_variable::<T>())
    }

    /// Checks that the channel still exists and this process is a member of it.
    pub(super) fn confirm(&self) -> Result<(), Fault> {
        self.end.endpoint.attachment.confirm()
    }

    /// Gives a claim up.
    pub(super) fn abandon(&self, claim: Claim) {
        self.end.abandon(claim);
    }

    /// Returns where the message of a claimed slot begins.
    #[inline(always)]
    pub(super) fn payload(&self, claim: &Claim) -> NonNull<u8> {
        self.end.payload(claim)
    }
}

impl<T: Message + ?Sized> Sender<T> {
    #[cfg(feature = "postcard")]
    pub(crate) fn as_end(&self) -> &SendEnd {
        &self.end
    }

    pub(crate) fn as_endpoint(&self) -> &Endpoint {
        &self.end.endpoint
    }
}

impl<T: Message + ?Sized> Handle for Sender<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Sender<T> {
    const FLAVOR: Flavor = Flavor::Mpmc;
    const SIDE: Side = Side::Senders;

    fn message_type() -> MessageType {
        MessageType::of::<T>()
    }

    fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error> {
        let end = SendEnd::from_attachment(attachment, wait);
        Ok(Sender { end: Arc::new(end), message: PhantomData })
    }
}
