//! The sending handle.

use core::time::Duration;

use super::Loan;
use super::send_end::SendEnd;
use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::interrupter::Interrupter;
use crate::error::{Error, SendError};
use crate::flavor::Flavor;
use crate::message::{MessageLayout, MessageType};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::poll::{Pollable, sealed};
use crate::role::Side;
use crate::structure::Structure;
use crate::wait::adaptive_spin::Wait;
use crate::wait::blocking::Blocking;

/// A sending half of a channel of any flavor and message type, opened with
/// [`Options`](crate::Options).
///
/// Sending borrows the message: on an error it was not sent and is still yours. A sender may be
/// moved to another thread. Dropping it leaves the channel; messages that were sent stay in it.
#[derive(Debug)]
pub struct Sender {
    pub(super) end: SendEnd,
}

impl Sender {
    /// Sends a message, blocking until a slot is free.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc, untyped};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let text: mpmc::Receiver<str> = Options::private().slot_size(16).create()?;
    /// let mut tx: untyped::Sender = Options::id(text.id()).attach()?;
    /// tx.send("grüße".as_bytes())?;
    /// assert_eq!(&*text.recv_boxed()?, "grüße");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - [`SendError::WrongLength`] if no message of the channel has this length, and
    ///   [`SendError::TooLong`] if it is longer than a slot: send bytes of a length that
    ///   [`shape`](Sender::shape) allows, up to [`slot_size`](Sender::slot_size);
    /// - [`SendError::Disconnected`] if all receivers are gone, in an MPMC channel only once it is
    ///   full, and never in a broadcast channel: [`wait_for_peer`](Sender::wait_for_peer) waits for another one;
    /// - [`SendError::Interrupted`] if an [`interrupter`](Sender::interrupter) ended the call: call
    ///   again to wait on;
    /// - [`SendError::Fault`] if the handle cannot go on.
    pub fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.put(message, Blocking::Forever)
    }

    /// Attempts to send a message without blocking.
    ///
    /// # Errors
    /// [`SendError::Full`] if no slot is free, and [`SendError::Behind`] if another sender's
    /// unfinished message is why: try again later. Otherwise as for [`send`](Sender::send).
    pub fn try_send(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.put(message, Blocking::Never)
    }

    /// Sends a message, blocking for at most `timeout`. Arbitrarily long timeouts are accepted.
    ///
    /// # Errors
    /// [`SendError::Timeout`] if no slot became free in time, and [`SendError::Blocked`] with the
    /// pid of the process that holds the slot: try again. Otherwise as for [`send`](Sender::send).
    pub fn send_timeout(&mut self, message: &[u8], timeout: Duration) -> Result<(), SendError> {
        self.put(message, Blocking::For(timeout))
    }

    fn put(&mut self, message: &[u8], blocking: Blocking) -> Result<(), SendError> {
        self.end.check_length(message.len())?;
        self.end.reserve(blocking)?.send(message)
    }

    /// Reserves a slot for a message of `len` bytes, to be written in place, blocking until one is
    /// free.
    ///
    /// ```
    /// # use sysvring::{Options, spsc, untyped};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut frames: spsc::Receiver<[u8]> = Options::private().slot_size(1 << 16).create()?;
    /// let mut tx: untyped::Sender = Options::id(frames.id()).attach()?;
    /// let mut frame = tx.loan(50_000)?;
    /// frame.fill(7);
    /// frame.commit()?;
    /// let frame = frames.recv_ref()?;
    /// assert_eq!((frame.len(), frame[49_999]), (50_000, 7));
    /// # frame.ack()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`send`](Sender::send).
    pub fn loan(&mut self, len: usize) -> Result<Loan<'_>, SendError> {
        self.lend(len, Blocking::Forever)
    }

    /// Attempts to reserve a slot without blocking; see [`loan`](Sender::loan).
    ///
    /// # Errors
    /// As for [`try_send`](Sender::try_send).
    pub fn try_loan(&mut self, len: usize) -> Result<Loan<'_>, SendError> {
        self.lend(len, Blocking::Never)
    }

    /// Reserves a slot, blocking for at most `timeout`; see [`loan`](Sender::loan).
    ///
    /// # Errors
    /// As for [`send_timeout`](Sender::send_timeout).
    pub fn loan_timeout(&mut self, len: usize, timeout: Duration) -> Result<Loan<'_>, SendError> {
        self.lend(len, Blocking::For(timeout))
    }

    fn lend(&mut self, len: usize, blocking: Blocking) -> Result<Loan<'_>, SendError> {
        self.end.check_length(len)?;
        Ok(Loan::new(self.end.reserve(blocking)?, len))
    }

    /// Blocks until every message is acknowledged, for at most `timeout`. In an MPMC channel, the
    /// messages of all senders count.
    ///
    /// It polls, so it returns late by up to one eighth of the time that it waited (at least 50 µs,
    /// at most 16 ms).
    ///
    /// # Errors
    /// - [`SendError::Timeout`] if some message was not acknowledged in time: try again;
    /// - [`SendError::Disconnected`] if all receivers are gone and left messages unacknowledged, but not in
    ///   a broadcast channel: [`wait_for_peer`](Sender::wait_for_peer) waits for another one, which gets them;
    /// - [`SendError::Interrupted`] if an [`interrupter`](Sender::interrupter) ended the call;
    /// - [`SendError::Fault`] if the handle cannot go on.
    pub fn flush(&mut self, timeout: Duration) -> Result<(), SendError> {
        self.end.flush(timeout)
    }

    /// Blocks until a receiver has joined, for at most `timeout`.
    ///
    /// # Errors
    /// [`SendError::Timeout`] if no receiver joined in time: try again. [`SendError::Interrupted`]
    /// if an [`interrupter`](Sender::interrupter) ended the call. [`SendError::Fault`] if the
    /// handle cannot go on.
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), SendError> {
        Ok(self.end.endpoint().wait_for_peer(timeout)?)
    }

    /// Checks that the channel still exists and this sender is a member of it. A sender that never waits
    /// notices a removal late, and what it sends until then is lost with the channel; a program that deletes
    /// messages elsewhere once they are sent calls this in between.
    ///
    /// ```
    /// # use sysvring::{Fault, Options, SendError, mpmc, untyped};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let name = format!("doc-confirm-{}", std::process::id());
    /// let jobs: mpmc::Receiver<u64> = Options::named(&*name).create()?;
    /// let mut tx: untyped::Sender = Options::named(&*name).attach()?;
    /// tx.send(&7u64.to_ne_bytes())?;
    /// tx.confirm()?; // it is in the channel
    /// sysvring::remove(&*name)?;
    /// assert_eq!(tx.confirm(), Err(SendError::Fault(Fault::Removed)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`SendError::Fault`] if the handle cannot go on.
    pub fn confirm(&self) -> Result<(), SendError> {
        Ok(self.end.endpoint().attachment.confirm()?)
    }

    /// Returns a handle that ends blocked calls of this sender, from another thread or from a
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
    /// let ticks: mpmc::Receiver<[u64; 2]> = Options::private().create()?;
    /// let other: untyped::Sender = Options::id(ticks.id()).attach()?;
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

    /// Returns the number of messages sent but not yet acknowledged, including those that receivers
    /// are reading. In an MPMC channel, it scans all slots.
    pub fn len(&self) -> usize {
        self.end.len()
    }

    /// Returns whether every sent message was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether no slot is free for the next message: a [`try_send`](Sender::try_send) would
    /// fail with [`Full`](SendError::Full) or [`Behind`](SendError::Behind) now.
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

    /// Leaves the channel like [`close`](Sender::close): this sender is finished.
    ///
    /// The stream ends when all senders are gone, at least one of them finished, and none of them
    /// died without a successor; see [`Stat::stream`]. Once every message is received, receivers then
    /// get [`RecvError::Disconnected`](crate::RecvError::Disconnected), also those that join only
    /// now, until another sender joins, which opens the next stream.
    ///
    /// # Errors
    /// As for [`close`](Sender::close); this sender is not finished then.
    pub fn finish(self) -> Result<(), Error> {
        self.end.finish()
    }

    /// Leaves the channel like `drop`, but reports errors. Messages stay in the channel.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`](crate::Fault::Removed) if there was nothing left to
    /// leave, [`Fault::LivenessLost`](crate::Fault::LivenessLost), or
    /// [`Fault::Forked`](crate::Fault::Forked) in a forked child, which leaves nothing.
    pub fn close(self) -> Result<(), Error> {
        self.end.close()
    }
}

impl Handle for Sender {}

#[expect(private_interfaces, reason = "sealed")]
impl Sealed for Sender {
    const FLAVOR: Flavor = Flavor::Mpmc;
    const SIDE: Side = Side::Senders;
    const TAKES_ANY: bool = true;

    fn message_type() -> MessageType {
        MessageType::bytes()
    }

    fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error> {
        Ok(Sender { end: SendEnd::of(attachment, wait)? })
    }
}

impl Pollable for Sender {}

#[expect(private_interfaces, reason = "sealed")]
impl sealed::Sealed for Sender {
    fn endpoint(&self) -> &Endpoint {
        self.end.endpoint()
    }
}
