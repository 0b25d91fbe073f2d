//! The receiving handle.

use core::ptr::NonNull;
use core::time::Duration;

use super::recv_end::{RecvEnd, Taken};
use super::{Batch, Guard};
use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::interrupter::Interrupter;
use crate::error::{Error, RecvError};
use crate::flavor::Flavor;
use crate::message::{self, MessageLayout, MessageType};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::poll::{Pollable, sealed};
use crate::role::Side;
use crate::structure::Structure;
use crate::wait::adaptive_spin::Wait;
use crate::wait::blocking::Blocking;

/// A receiving half of a channel of any flavor and message type, opened with
/// [`Options`](crate::Options).
///
/// A receiver may be moved to another thread. Dropping it leaves the channel; messages that were
/// not acknowledged are delivered to the next receiver, or to another one. In a broadcast channel, the
/// other receivers get them anyway.
#[derive(Debug)]
pub struct Receiver {
    pub(super) end: RecvEnd,
}

impl Receiver {
    /// Receives the next message into `message`, whose contents it replaces and whose memory it
    /// reuses, blocking until one arrives.
    ///
    /// The message is acknowledged before the call returns: if this process is killed after that, it
    /// is not delivered again.
    ///
    /// ```
    /// # use sysvring::{Options, RecvError, spsc, untyped};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut ticks: spsc::Sender<u64> = Options::private().create()?;
    /// let mut rx: untyped::Receiver = Options::id(ticks.id()).attach()?;
    /// ticks.send(&7)?;
    /// drop(ticks);
    /// let mut message = Vec::new();
    /// rx.recv_into(&mut message)?;
    /// assert_eq!(message, 7u64.to_ne_bytes());
    /// assert_eq!(rx.recv_into(&mut message), Err(RecvError::Disconnected));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - [`RecvError::Disconnected`] if the channel is drained and all senders finished or are gone:
    ///   [`wait_for_peer`](Receiver::wait_for_peer) waits for another one. A receiver that has not
    ///   seen a sender since it joined waits for one instead, unless the stream was
    ///   [finished](super::Sender::finish);
    /// - [`RecvError::Lagged`] once, if this receiver of a broadcast channel could not start where it was
    ///   to start, because messages were overwritten: the next call receives the oldest one that is left;
    /// - [`RecvError::Invalid`] if no message of the channel has the length of this one: it is
    ///   discarded, and the next call receives the next one;
    /// - [`RecvError::Interrupted`] if an [`interrupter`](Receiver::interrupter) ended the call:
    ///   call again to wait on;
    /// - [`RecvError::Fault`] if the handle cannot go on.
    pub fn recv_into(&mut self, message: &mut Vec<u8>) -> Result<(), RecvError> {
        copy_into(self.end.next(Blocking::Forever)?, message)
    }

    /// Attempts to receive a message into `message` without blocking.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if no message is available, and [`RecvError::Behind`] if another
    /// sender's unfinished message is why: try again later. Otherwise as for
    /// [`recv_into`](Receiver::recv_into).
    pub fn try_recv_into(&mut self, message: &mut Vec<u8>) -> Result<(), RecvError> {
        copy_into(self.end.next(Blocking::Never)?, message)
    }

    /// Receives the next message into `message`, blocking for at most `timeout`. Arbitrarily long
    /// timeouts are accepted.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if no message arrived in time, and [`RecvError::Blocked`] with the pid
    /// of the process that has not finished writing it: try again. Otherwise as for
    /// [`recv_into`](Receiver::recv_into).
    pub fn recv_into_timeout(
        &mut self,
        message: &mut Vec<u8>,
        timeout: Duration,
    ) -> Result<(), RecvError> {
        copy_into(self.end.next(Blocking::For(timeout))?, message)
    }

    /// Receives the next message in a new allocation, blocking until one arrives. It is acknowledged
    /// before the call returns.
    ///
    /// # Errors
    /// As for [`recv_into`](Receiver::recv_into).
    pub fn recv_boxed(&mut self) -> Result<Box<[u8]>, RecvError> {
        boxed(self.end.next(Blocking::Forever)?)
    }

    /// Attempts to receive a message in a new allocation without blocking.
    ///
    /// # Errors
    /// As for [`try_recv_into`](Receiver::try_recv_into).
    pub fn try_recv_boxed(&mut self) -> Result<Box<[u8]>, RecvError> {
        boxed(self.end.next(Blocking::Never)?)
    }

    /// Receives the next message in a new allocation, blocking for at most `timeout`.
    ///
    /// # Errors
    /// As for [`recv_into_timeout`](Receiver::recv_into_timeout).
    pub fn recv_boxed_timeout(&mut self, timeout: Duration) -> Result<Box<[u8]>, RecvError> {
        boxed(self.end.next(Blocking::For(timeout))?)
    }

    /// Receives the next message in place, blocking until one arrives. It is acknowledged by
    /// [`Guard::ack`]: if this process is killed before, it is delivered again.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc, untyped};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let jobs: mpmc::Sender<str> = Options::private().create()?;
    /// let mut rx: untyped::Receiver = Options::id(jobs.id()).attach()?;
    /// jobs.send("compress")?;
    /// drop(rx.recv_ref()?); // not acknowledged
    /// let job = rx.recv_ref()?;
    /// assert_eq!((&*job, job.delivery_count()), (&b"compress"[..], 2));
    /// job.ack()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`recv_into`](Receiver::recv_into).
    pub fn recv_ref(&mut self) -> Result<Guard<'_>, RecvError> {
        Guard::of(self.end.next(Blocking::Forever)?)
    }

    /// Attempts to receive a message in place without blocking.
    ///
    /// # Errors
    /// As for [`try_recv_into`](Receiver::try_recv_into).
    pub fn try_recv_ref(&mut self) -> Result<Guard<'_>, RecvError> {
        Guard::of(self.end.next(Blocking::Never)?)
    }

    /// Receives the next message in place, blocking for at most `timeout`.
    ///
    /// # Errors
    /// As for [`recv_into_timeout`](Receiver::recv_into_timeout).
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<Guard<'_>, RecvError> {
        Guard::of(self.end.next(Blocking::For(timeout))?)
    }

    /// Receives up to `max` available messages in place, blocking until one arrives.
    /// [`Batch::ack`] acknowledges all of them: if this process is killed before, all are delivered
    /// again.
    ///
    /// The messages of a batch occupy their slots until then; in an MPMC channel other receivers do
    /// not get them, so a `max` of a fraction of the slots lets them take part. It is 1 if `max` is 0,
    /// and in an SPSC channel that limits [redeliveries](crate::Options::redelivery).
    ///
    /// ```
    /// # use sysvring::{Options, mpmc, untyped};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let lines: mpmc::Sender<str> = Options::private().create()?;
    /// let mut rx: untyped::Receiver = Options::id(lines.id()).attach()?;
    /// lines.send("one")?;
    /// lines.send("two")?;
    /// let batch = rx.recv_batch_ref(64)?;
    /// let written: Vec<u8> = batch.iter().flatten().copied().collect(); // for example, to a file
    /// batch.ack()?;
    /// assert_eq!(written, b"onetwo");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`recv_into`](Receiver::recv_into), of the first message.
    pub fn recv_batch_ref(&mut self, max: usize) -> Result<Batch<'_>, RecvError> {
        Batch::of(self.end.next(Blocking::Forever)?, max)
    }

    /// Attempts to receive messages in place without blocking.
    ///
    /// # Errors
    /// As for [`try_recv_into`](Receiver::try_recv_into), of the first message.
    pub fn try_recv_batch_ref(&mut self, max: usize) -> Result<Batch<'_>, RecvError> {
        Batch::of(self.end.next(Blocking::Never)?, max)
    }

    /// Receives messages in place, blocking for the first one for at most `timeout`.
    ///
    /// # Errors
    /// As for [`recv_into_timeout`](Receiver::recv_into_timeout), of the first message.
    pub fn recv_batch_ref_timeout(
        &mut self,
        max: usize,
        timeout: Duration,
    ) -> Result<Batch<'_>, RecvError> {
        Batch::of(self.end.next(Blocking::For(timeout))?, max)
    }

    /// Blocks until a sender has joined, for at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if no sender joined in time: try again. [`RecvError::Interrupted`]
    /// if an [`interrupter`](Receiver::interrupter) ended the call. [`RecvError::Fault`] if the
    /// handle cannot go on.
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), RecvError> {
        Ok(self.end.endpoint().wait_for_peer(timeout)?)
    }

    /// Returns a handle that ends blocked calls of this receiver, from another thread or from a
    /// signal handler; see [`Interrupter`](crate::Interrupter).
    ///
    /// From the first call on, blocked calls also watch for interrupts, which makes blocking a
    /// little slower.
    pub fn interrupter(&self) -> Interrupter {
        self.end.endpoint().attachment.interrupter()
    }

    /// Returns the kind of channel.
    pub fn flavor(&self) -> Flavor {
        self.end.endpoint().attachment.facts.flavor
    }

    /// Returns the layout of the channel's messages.
    pub fn shape(&self) -> MessageLayout {
        self.end.endpoint().geometry().shape
    }

    /// Returns the structure of the channel's messages; `None` if the type of its creator does not describe
    /// itself.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc, untyped};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let ticks: mpmc::Sender<[u64; 2]> = Options::private().create()?;
    /// let other: untyped::Receiver = Options::id(ticks.id()).attach()?;
    /// let structure = other.structure().map(|structure| structure.to_string());
    /// assert_eq!(structure.as_deref(), Some("[u64; 2]"));
    /// # Ok(()) }
    /// ```
    pub fn structure(&self) -> Option<&Structure> {
        self.end.endpoint().attachment.facts.structure.as_ref()
    }

    /// Returns the [schema](crate::Options::schema) number of the channel's messages; 0 for none.
    pub fn schema(&self) -> u64 {
        self.end.endpoint().attachment.facts.schema
    }

    /// Returns the number of messages sent but not yet acknowledged. In an MPMC channel, it scans
    /// all slots, and counts the messages that other receivers are reading.
    pub fn len(&self) -> usize {
        self.end.len()
    }

    /// Returns whether every message was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.end.is_empty()
    }

    /// Returns whether no slot is free for a sender's next message.
    pub fn is_full(&self) -> bool {
        self.end.is_full()
    }

    /// Returns the number of slots of the ring.
    pub fn capacity(&self) -> usize {
        self.end.endpoint().geometry().capacity
    }

    /// Returns the maximum message length in bytes.
    pub fn slot_size(&self) -> usize {
        self.end.endpoint().geometry().slot_size
    }

    /// Returns the identifier that other processes can pass to [`Options::id`](crate::Options::id).
    pub fn id(&self) -> ChannelId {
        self.end.endpoint().id()
    }

    /// Returns a snapshot of the channel's state.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`](crate::Fault::Removed) or
    /// [`Fault::Corrupt`](crate::Fault::Corrupt).
    pub fn stat(&self) -> Result<Stat, Error> {
        self.end.endpoint().stat()
    }

    /// Leaves the channel like `drop`, but reports errors. Messages that were not acknowledged
    /// stay.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`](crate::Fault::Removed) if there was nothing left to
    /// leave, [`Fault::LivenessLost`](crate::Fault::LivenessLost), or
    /// [`Fault::Forked`](crate::Fault::Forked) in a forked child, which leaves nothing.
    pub fn close(self) -> Result<(), Error> {
        self.end.close()
    }
}

/// Copies a message, and acknowledges it.
pub(crate) fn copy_into(taken: Taken<'_>, message: &mut Vec<u8>) -> Result<(), RecvError> {
    let (mut taken, bytes, len) = taken.with_bytes()?;
    // SAFETY: a message that is ours, and lies in its slot.
    unsafe { copy(bytes, len, message) };
    taken.acknowledge(len)
}

/// Copies a message into an allocation of its length, and acknowledges it.
pub(super) fn boxed(taken: Taken<'_>) -> Result<Box<[u8]>, RecvError> {
    let (mut taken, bytes, len) = taken.with_bytes()?;
    let mut message = Vec::with_capacity(len);
    // SAFETY: as above.
    unsafe { copy(bytes, len, &mut message) };
    taken.acknowledge(len)?;
    Ok(message.into_boxed_slice())
}

/// Replaces the contents of `message`. What is copied may change at any time, if another process
/// violates the protocol; the copy does not.
///
/// # Safety
/// `len` bytes, rounded up to 8, must be readable at `from`, which is aligned to 8.
unsafe fn copy(from: NonNull<u8>, len: usize, message: &mut Vec<u8>) {
    message.clear();
    message.reserve(len);
    // SAFETY: the caller's contract, and there is room for `len` bytes, which are all written.
    unsafe {
        message::copy_out(from, message.as_mut_ptr(), len);
        message.set_len(len);
    }
}

impl Handle for Receiver {}

#[expect(private_interfaces, reason = "sealed")]
impl Sealed for Receiver {
    const FLAVOR: Flavor = Flavor::Mpmc;
    const SIDE: Side = Side::Receivers;
    const TAKES_ANY: bool = true;

    fn message_type() -> MessageType {
        MessageType::bytes()
    }

    fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error> {
        Ok(Receiver { end: RecvEnd::of(attachment, wait)? })
    }
}

impl Pollable for Receiver {}

#[expect(private_interfaces, reason = "sealed")]
impl sealed::Sealed for Receiver {
    fn endpoint(&self) -> &Endpoint {
        self.end.endpoint()
    }
}
