//! Sending messages that are copied into the channel, one or many.

use core::time::Duration;

use super::Sender;
use crate::error::{BatchError, SendError};
use crate::message::Message;
use crate::wait::blocking::Blocking;

impl<T: Message + ?Sized> Sender<T> {
    /// Sends a message; waits while the channel is full.
    ///
    /// `Ok` means that the message is in the channel and outlives this process.
    ///
    /// # Errors
    /// [`SendError::Disconnected`] when receivers were there and all are gone, at the latest when
    /// the channel is full; [`SendError::TooLong`]; [`SendError::Fault`].
    #[inline]
    pub fn send(&self, message: &T) -> Result<(), SendError> {
        self.put(message, Blocking::Forever)
    }

    /// Sends a message if there is room.
    ///
    /// # Errors
    /// [`SendError::Full`], and as [`send`](Sender::send). Who lives is looked after once in some
    /// milliseconds: the calls between are `Full` also where all receivers were killed.
    #[inline]
    pub fn try_send(&self, message: &T) -> Result<(), SendError> {
        self.put(message, Blocking::Never)
    }

    /// Sends a message; waits for room for at most `timeout`. Years are fine.
    ///
    /// # Errors
    /// [`SendError::Timeout`], or [`SendError::Behind`] when a living member is in the way; and as
    /// [`send`](Sender::send).
    #[inline]
    pub fn send_timeout(&self, message: &T, timeout: Duration) -> Result<(), SendError> {
        self.put(message, Blocking::For(timeout))
    }

    #[inline(always)]
    fn put(&self, message: &T, blocking: Blocking) -> Result<(), SendError> {
        self.check_length(message)?;
        let claim = self.inner.claim(blocking)?;
        let len = self.write(&claim, message);
        self.publish(claim, len)?;
        self.inner.look_after_receivers();
        Ok(())
    }

    /// Sends messages in order, each as soon as the iterator has it, perhaps with those of others in
    /// between; waits while the channel is full.
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
        self.put_batch(messages, Blocking::Forever)
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
            // Told at once: the next one may take the iterator a while, or be a panic.
            if let Err(error) = self.put(message, blocking) {
                return Err(BatchError { sent, error });
            }
        }
        Ok(())
    }
}
