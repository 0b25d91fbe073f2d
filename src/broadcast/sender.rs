//! The sending handle: what is not about messages.

#[cfg(feature = "async")]
mod asynchronous;
mod loan;
mod send;

use core::time::Duration;

use crate::address::ChannelId;
use crate::admin::stat::{Member, Stat};
use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::interrupter::Interrupter;
use crate::error::{Error, Fault, SendError};
use crate::flavor::Flavor;
use crate::message::{Message, MessageType};
use crate::open::handle::{Handle, sealed::Sealed};
use crate::role::Side;
use crate::spsc;
use crate::wait::adaptive_spin::Wait;

/// The sending half of a broadcast channel, opened with [`Options`](crate::Options).
///
/// Sending borrows the message: on an error it was not sent and is still yours. A sender may be
/// moved to another thread. Dropping it leaves the channel; its receivers get the messages that were
/// sent.
#[derive(Debug)]
pub struct Sender<T: Message + ?Sized> {
    one: spsc::Sender<T>,
}

impl<T: Message + ?Sized> Sender<T> {
    /// Blocks until every receiver has acknowledged every message that was sent, for at most `timeout`.
    /// Without receivers it returns at once.
    ///
    /// It polls, so it returns late by up to one eighth of the time that it waited (at least 50 µs,
    /// at most 16 ms).
    ///
    /// ```
    /// # use sysvring::{Options, SendError, broadcast};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send(&7)?;
    /// assert_eq!(tx.flush(Duration::from_millis(1)), Err(SendError::Timeout));
    /// assert_eq!(rx.recv()?, 7);
    /// tx.flush(Duration::from_secs(10))?;
    /// # Ok(()) }
    /// ```
    ///
    /// In an overwriting channel it returns at once: the sender does not know how far its receivers are.
    ///
    /// # Errors
    /// - [`SendError::Timeout`] if some receiver did not acknowledge in time: try again;
    /// - [`SendError::Interrupted`] if an [`interrupter`](Sender::interrupter) ended the call;
    /// - [`SendError::Fault`] if the handle cannot go on.
    pub fn flush(&mut self, timeout: Duration) -> Result<(), SendError> {
        self.one.flush(timeout)
    }

    /// Blocks until there are at least `count` receivers, for at most `timeout`. Each of them gets every
    /// message that is sent after the call, unless the channel is overwriting.
    ///
    /// It polls, so it returns late by up to one eighth of the time that it waited (at least 50 µs,
    /// at most 16 ms).
    ///
    /// ```
    /// # use sysvring::{Options, SendError, broadcast};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.wait_for_receivers(1, Duration::from_secs(10))?;
    /// assert_eq!(tx.wait_for_receivers(2, Duration::ZERO), Err(SendError::Timeout));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`SendError::Timeout`] if there were fewer in time: start them, or try again. [`SendError::Interrupted`]
    /// if an [`interrupter`](Sender::interrupter) ended the call. [`SendError::Fault`] if the
    /// handle cannot go on.
    pub fn wait_for_receivers(&mut self, count: usize, timeout: Duration) -> Result<(), SendError> {
        self.one.as_end().gather(count, timeout)
    }

    /// Returns the number of living receivers. Those that are found dead are not waited for from then
    /// on.
    ///
    /// # Errors
    /// A [`Fault`] if the handle cannot go on.
    pub fn receivers(&mut self) -> Result<usize, Fault> {
        self.one.as_end().count_receivers()
    }

    /// Returns the living receiver that is furthest behind, for whom a blocked call waits: its pid,
    /// label and [`lag`](Member::lag). `None` without receivers, and if none has anything left to
    /// receive.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sysvring::{Options, SendError, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut tx: broadcast::Sender<u64> = Options::private().capacity(1).create()?;
    /// let options = Options::id(tx.id()).label("recorder");
    /// let rx: broadcast::Receiver<u64> = options.attach()?;
    /// tx.send(&1)?;
    /// let blocked = tx.send_timeout(&2, Duration::from_millis(1));
    /// assert!(matches!(blocked, Err(SendError::Blocked { pid }) if pid == std::process::id()));
    /// let slowest = tx.slowest()?.expect("a receiver");
    /// assert_eq!((slowest.label.as_str(), slowest.lag), ("recorder", Some(1)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`stat`](Sender::stat).
    pub fn slowest(&self) -> Result<Option<Member>, Error> {
        let behind = |member: &Member| member.lag.is_some_and(|lag| lag > 0);
        Ok(self.stat()?.members.into_iter().filter(behind).max_by_key(|member| member.lag))
    }

    /// Returns a handle that ends blocked calls of this sender, from another thread or from a
    /// signal handler; see [`Interrupter`](crate::Interrupter).
    ///
    /// From the first call on, blocked calls also watch for interrupts, which makes blocking a
    /// little slower.
    pub fn interrupter(&self) -> Interrupter {
        self.one.interrupter()
    }

    /// Returns the number of messages that the slowest receiver has not acknowledged; 0 without
    /// receivers, and in an overwriting channel.
    pub fn len(&self) -> usize {
        self.one.len()
    }

    /// Returns whether every receiver has acknowledged every message.
    pub fn is_empty(&self) -> bool {
        self.one.is_empty()
    }

    /// Returns whether a [`try_send`](Sender::try_send) would fail with [`Full`](SendError::Full)
    /// now: no slot is free for the next message.
    pub fn is_full(&self) -> bool {
        self.one.is_full()
    }

    /// Returns the number of slots of the ring.
    pub fn capacity(&self) -> usize {
        self.one.capacity()
    }

    /// Returns the maximum message length in bytes.
    pub fn slot_size(&self) -> usize {
        self.one.slot_size()
    }

    /// Returns the position of the next message in the sequence of all messages of this channel.
    pub fn position(&self) -> u64 {
        self.one.position()
    }

    /// Returns the identifier that other processes can pass to [`Options::id`](crate::Options::id).
    pub fn id(&self) -> ChannelId {
        self.one.id()
    }

    /// Returns a snapshot of the channel's state.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] or [`Fault::Corrupt`].
    pub fn stat(&self) -> Result<Stat, Error> {
        self.one.stat()
    }

    /// Leaves the channel and ends its stream: this sender is finished.
    ///
    /// A receiver that has received every message gets
    /// [`RecvError::Disconnected`](crate::RecvError::Disconnected), also one that joins only now,
    /// until another sender joins, which opens the next stream. The stream does not end if a sender
    /// died before and has no successor; see [`Stat::stream`].
    ///
    /// `drop` and [`close`](Sender::close) leave the stream open: the receivers that saw this sender
    /// get `Disconnected`, and those that join later wait for the next sender.
    ///
    /// ```
    /// # use sysvring::{Options, RecvError, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let name = format!("doc-finish-{}", std::process::id());
    /// # let name = name.as_str();
    /// let mut tx: broadcast::Sender<u64> = Options::named(name).create()?;
    /// tx.send(&7)?;
    /// tx.finish()?;
    /// let mut late: broadcast::Receiver<u64> = Options::named(name).attach()?;
    /// assert_eq!((late.recv(), late.recv()), (Ok(7), Err(RecvError::Disconnected)));
    /// # drop(late);
    /// # sysvring::remove(name)
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`close`](Sender::close); the stream is not finished then.
    pub fn finish(self) -> Result<(), Error> {
        self.one.finish()
    }

    /// Leaves the channel like `drop`, but reports errors. Its receivers get the messages that were sent.
    ///
    /// # Errors
    /// [`Error::Fault`] with [`Fault::Removed`] if there was nothing left to leave,
    /// [`Fault::LivenessLost`], or [`Fault::Forked`] in a forked child, which leaves nothing.
    pub fn close(self) -> Result<(), Error> {
        self.one.close()
    }
}

impl<T: Message + ?Sized> Sender<T> {
    #[cfg(feature = "postcard")]
    pub(crate) fn as_end(&mut self) -> &mut spsc::SendEnd {
        self.one.as_end()
    }

    pub(crate) fn as_endpoint(&self) -> &Endpoint {
        self.one.as_endpoint()
    }
}

impl<T: Message + ?Sized> Handle for Sender<T> {}

#[expect(private_interfaces, reason = "sealed")]
impl<T: Message + ?Sized> Sealed for Sender<T> {
    const FLAVOR: Flavor = Flavor::Broadcast;
    const SIDE: Side = Side::Senders;

    fn message_type() -> MessageType {
        MessageType::of::<T>()
    }

    fn from_attachment(attachment: Attachment, wait: Wait) -> Result<Self, Error> {
        Ok(Sender { one: spsc::Sender::from_attachment(attachment, wait)? })
    }
}
