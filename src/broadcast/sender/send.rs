//! Sending messages by value, singly or in batches.

use core::time::Duration;

use super::Sender;
use crate::error::{BatchError, SendError};
use crate::message::Message;

impl<T: Message + ?Sized> Sender<T> {
    /// Sends a message, blocking while the slowest living receiver is a whole ring behind. Without
    /// receivers, it never blocks.
    ///
    /// `Ok` means that the message is in the channel and outlives this process. To learn whether all
    /// have received it, use [`flush`](Sender::flush).
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send(&7)?;
    /// assert_eq!(rx.recv()?, 7);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - [`SendError::TooLong`] if the message is longer than a slot: create the channel with a
    ///   larger [`slot_size`](crate::Options::slot_size), or shorten the message;
    /// - [`SendError::Interrupted`] if an [`interrupter`](Sender::interrupter) ended the call:
    ///   call again to wait on;
    /// - [`SendError::Fault`] if the handle cannot go on.
    #[inline]
    pub fn send(&mut self, message: &T) -> Result<(), SendError> {
        self.one.send(message)
    }

    /// Attempts to send a message without blocking.
    ///
    /// ```
    /// # use sysvring::{Options, SendError, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut tx: broadcast::Sender<u64> = Options::private().capacity(2).create()?;
    /// # let rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.try_send(&1)?;
    /// tx.try_send(&2)?;
    /// assert_eq!(tx.try_send(&3), Err(SendError::Full));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`SendError::Full`] if the slowest living receiver is a whole ring behind: try again later.
    /// Otherwise as for
    /// [`send`](Sender::send).
    #[inline]
    pub fn try_send(&mut self, message: &T) -> Result<(), SendError> {
        self.one.try_send(message)
    }

    /// Sends a message, blocking for at most `timeout` while the channel is full. Arbitrarily long
    /// timeouts are accepted.
    ///
    /// # Errors
    /// [`SendError::Blocked`] if no slot became free in time: it names the slowest receiver. Otherwise
    /// as for [`send`](Sender::send).
    #[inline]
    pub fn send_timeout(&mut self, message: &T, timeout: Duration) -> Result<(), SendError> {
        self.one.send_timeout(message, timeout)
    }

    /// Sends messages in order, blocking while the channel is full.
    ///
    /// Each message is published as soon as the iterator returns it.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
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
        self.one.send_batch(messages)
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
        self.one.try_send_batch(messages)
    }
}
