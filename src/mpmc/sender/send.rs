//! Sending messages by value, singly or in batches.

use core::time::Duration;

use super::Sender;
use crate::error::{BatchError, SendError};
use crate::message::{Message, is_variable};
use crate::ring::mpmc::Claim;
use crate::wait::blocking::Blocking;

impl<T: Message + ?Sized> Sender<T> {
    /// Sends a message, blocking while the channel is full.
    ///
    /// `Ok` means that the message is in the channel and outlives this process. To learn whether it
    /// was received, use [`flush`](Sender::flush).
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<u64> = Options::private().create()?;
    /// # let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send(&7)?;
    /// assert_eq!(rx.recv()?, 7);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - [`SendError::Disconnected`] if there were receivers and all are gone; this is detected
    ///   when the channel is full, at the latest. [`wait_for_peer`](Sender::wait_for_peer) waits
    ///   for another receiver;
    /// - [`SendError::TooLong`] if the message is longer than a slot: create the channel with a
    ///   larger [`slot_size`](crate::Options::slot_size), or shorten the message;
    /// - [`SendError::Interrupted`] if an [`interrupter`](Sender::interrupter) ended the call:
    ///   call again to wait on;
    /// - [`SendError::Fault`] if the handle cannot go on.
    #[inline]
    pub fn send(&self, message: &T) -> Result<(), SendError> {
        self.put(message, Blocking::Forever)
    }

    /// Attempts to send a message without blocking.
    ///
    /// ```
    /// # use sysvring::{Options, SendError, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let tx: mpmc::Sender<u64> = Options::private().capacity(2).create()?;
    /// # let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.try_send(&1)?;
    /// tx.try_send(&2)?;
    /// assert_eq!(tx.try_send(&3), Err(SendError::Full));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`SendError::Full`] if no slot is free: try again later. [`SendError::Behind`] if a live
    /// sender is still writing in the next slot and holds up those behind it: try again, or resume
    /// or kill that process if it is stopped. Otherwise as for [`send`](Sender::send). Membership is checked at most once every few milliseconds, so `Full`
    /// may be returned briefly after all receivers were killed.
    #[inline]
    pub fn try_send(&self, message: &T) -> Result<(), SendError> {
        self.put(message, Blocking::Never)
    }

    /// Sends a message, blocking for at most `timeout` while the channel is full. Arbitrarily long
    /// timeouts are accepted.
    ///
    /// # Errors
    /// [`SendError::Timeout`] if no slot became free in time: try again. [`SendError::Blocked`] if a
    /// live sender is still writing in the next slot, or if live receivers hold every slot: if that
    /// process is stopped, resume or kill it. Otherwise as for [`send`](Sender::send).
    #[inline]
    pub fn send_timeout(&self, message: &T, timeout: Duration) -> Result<(), SendError> {
        self.put(message, Blocking::For(timeout))
    }

    #[inline(always)]
    fn put(&self, message: &T, blocking: Blocking) -> Result<(), SendError> {
        self.check_length(message)?;
        let claim = self.end.reserve(blocking)?;
        self.put_claimed(claim, message)
    }

    /// Sends a message of checked length in a claimed slot.
    #[inline(always)]
    pub(super) fn put_claimed(&self, claim: Claim, message: &T) -> Result<(), SendError> {
        let bytes = message.as_bytes();
        // SAFETY: sized messages have the size that both sides agreed on, and the length of others
        // was checked.
        unsafe { self.end.write(&claim, bytes) };
        self.end.publish(claim, bytes.len(), is_variable::<T>())?;
        self.end.port().notify_if_needed();
        Ok(())
    }

    /// Sends messages in order, blocking while the channel is full.
    ///
    /// Each message is published as soon as the iterator returns it; messages of other senders may
    /// come between them.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<u64> = Options::private().create()?;
    /// # let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send_batch(&[1, 2, 3])?;
    /// assert_eq!(rx.try_iter().collect::<Result<Vec<_>, _>>()?, [1, 2, 3]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A [`BatchError`], which contains the number of messages sent and the error of the next one,
    /// as for [`send`](Sender::send).
    pub fn send_batch<'m>(
        &self,
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
    /// As for [`send_batch`](Sender::send_batch), with [`SendError::Full`] or
    /// [`SendError::Behind`] if not all messages had room.
    pub fn try_send_batch<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m T>,
    ) -> Result<(), BatchError>
    where
        T: 'm,
    {
        self.put_batch(messages, Blocking::Never)
    }

    fn put_batch<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m T>,
        blocking: Blocking,
    ) -> Result<(), BatchError>
    where
        T: 'm,
    {
        for (sent, message) in messages.into_iter().enumerate() {
            // Notified at once: the iterator may take long to return the next message, or may
            // panic.
            if let Err(error) = self.put(message, blocking) {
                return Err(BatchError { sent, error });
            }
        }
        Ok(())
    }
}
