//! Sending messages by value, singly or in batches.

use core::alloc::Layout;
use core::time::Duration;

use super::Sender;
use crate::error::{BatchError, SendError};
use crate::message::Message;
use crate::wait::blocking::Blocking;

impl<T: Message + ?Sized> Sender<T> {
    /// Sends a message, blocking while the channel is full.
    ///
    /// `Ok` means that the message is in the channel and outlives this process. To learn whether it
    /// was received, use [`flush`](Sender::flush).
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send(&7)?;
    /// assert_eq!(rx.recv()?, 7);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - [`SendError::Disconnected`] if there was a receiver and it is gone; this is detected when
    ///   the channel is full, at the latest. [`wait_for_peer`](Sender::wait_for_peer) waits for
    ///   another receiver;
    /// - [`SendError::TooLong`] if the message is longer than a slot: create the channel with a
    ///   larger [`slot_size`](crate::Options::slot_size), or shorten the message;
    /// - [`SendError::Interrupted`] if an [`interrupter`](Sender::interrupter) ended the call:
    ///   call again to wait on;
    /// - [`SendError::Fault`] if the handle cannot go on.
    #[inline]
    pub fn send(&mut self, message: &T) -> Result<(), SendError> {
        self.put(message, Blocking::Forever)
    }

    /// Attempts to send a message without blocking.
    ///
    /// ```
    /// # use sysvring::{Options, SendError, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut tx: spsc::Sender<u64> = Options::private().capacity(2).create()?;
    /// # let rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.try_send(&1)?;
    /// tx.try_send(&2)?;
    /// assert_eq!(tx.try_send(&3), Err(SendError::Full));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`SendError::Full`] if no slot is free: try again later. Otherwise as for
    /// [`send`](Sender::send). Whether the receiver is alive is checked at most once every few
    /// milliseconds, so `Full` may be returned briefly after it was killed.
    #[inline]
    pub fn try_send(&mut self, message: &T) -> Result<(), SendError> {
        self.put(message, Blocking::Never)
    }

    /// Sends a message, blocking for at most `timeout` while the channel is full. Arbitrarily long
    /// timeouts are accepted.
    ///
    /// # Errors
    /// [`SendError::Timeout`] if no slot became free in time: try again. Otherwise as for
    /// [`send`](Sender::send).
    #[inline]
    pub fn send_timeout(&mut self, message: &T, timeout: Duration) -> Result<(), SendError> {
        self.put(message, Blocking::For(timeout))
    }

    #[inline(always)]
    fn put(&mut self, message: &T, blocking: Blocking) -> Result<(), SendError> {
        self.check_length(message)?;
        self.reserve(blocking)?;
        self.put_reserved(message);
        Ok(())
    }

    /// Sends a message of checked length in the reserved slot.
    #[inline(always)]
    pub(super) fn put_reserved(&mut self, message: &T) {
        self.write(message);
        self.assume_slot_layout(Layout::for_value(message));
        self.end.publish_and_notify();
    }

    /// Sends messages in order, blocking while the channel is full.
    ///
    /// Each message is published as soon as the iterator returns it.
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send_batch(&[1, 2, 3])?;
    /// assert_eq!(rx.try_iter().collect::<Result<Vec<_>, _>>()?, [1, 2, 3]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A [`BatchError`], which contains the number of messages sent and the error of the next one,
    /// as for [`send`](Sender::send).
    pub fn send_batch<'m>(
        &mut self,
        messages: impl IntoIterator<Item = &'m T>,
    ) -> Result<(), BatchError>
    where
        T: 'm,
    {
        self.put_batch(messages, Blocking::Forever)
    }

    /// Sends messages in order until no slot is free, without blocking.
    ///
    /// # Errors
    /// As for [`send_batch`](Sender::send_batch), with [`SendError::Full`] if not all messages had
    /// room.
    pub fn try_send_batch<'m>(
        &mut self,
        messages: impl IntoIterator<Item = &'m T>,
    ) -> Result<(), BatchError>
    where
        T: 'm,
    {
        self.put_batch(messages, Blocking::Never)
    }

    #[inline(always)]
    fn put_batch<'m>(
        &mut self,
        messages: impl IntoIterator<Item = &'m T>,
        blocking: Blocking,
    ) -> Result<(), BatchError>
    where
        T: 'm,
    {
        let mut messages = messages.into_iter();
        let (mut sent, mut next) = (0, messages.next());
        while let Some(message) = next {
            let reserved = self.check_length(message).and_then(|()| self.reserve(blocking));
            reserved.map_err(|error| BatchError { sent, error })?;
            next = self.put_run(message, &mut messages, &mut sent);
        }
        Ok(())
    }
}
