//! Receiving any message: in place, or in a box.

use core::time::Duration;

use super::Receiver;
use crate::broadcast::Guard;
use crate::error::RecvError;
use crate::message::Message;

impl<T: Message + ?Sized> Receiver<T> {
    /// Receives the next message, of any length, into a `Box`, blocking until one arrives.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut tx: broadcast::Sender<str> = Options::private().slot_size(64).create()?;
    /// let mut rx: broadcast::Receiver<str> = Options::id(tx.id()).attach()?;
    /// tx.send("hello")?;
    /// let message: Box<str> = rx.recv_boxed()?;
    /// assert_eq!(&*message, "hello");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`recv`](Receiver::recv).
    pub fn recv_boxed(&mut self) -> Result<Box<T>, RecvError> {
        self.one.recv_boxed()
    }

    /// Attempts to receive a message of any length into a `Box` without blocking.
    ///
    /// # Errors
    /// As for [`try_recv`](Receiver::try_recv).
    pub fn try_recv_boxed(&mut self) -> Result<Box<T>, RecvError> {
        self.one.try_recv_boxed()
    }

    /// Receives the next message, of any length, into a `Box`, blocking for at most `timeout`.
    ///
    /// # Errors
    /// As for [`recv_timeout`](Receiver::recv_timeout).
    pub fn recv_boxed_timeout(&mut self, timeout: Duration) -> Result<Box<T>, RecvError> {
        self.one.recv_boxed_timeout(timeout)
    }

    /// Receives the next message in place, blocking until one arrives. [`Guard::ack`] acknowledges
    /// it for this receiver; a guard that is dropped returns it, and the next call receives it again.
    ///
    /// The receiver is borrowed until then, and in all arms of a `match`: move the error out of it.
    ///
    /// ```
    /// # use sysvring::{Options, RecvError, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// # tx.send(&7)?;
    /// # drop(tx);
    /// let is_over = loop {
    ///     match rx.recv_ref() {
    ///         Ok(message) => {
    ///             println!("{} at {}", *message, message.position());
    ///             message.ack()?;
    ///         }
    ///         Err(error) => break error,
    ///     }
    /// };
    /// // Here the receiver is no longer borrowed, and can `wait_for_peer` or `close`.
    /// assert_eq!(is_over, RecvError::Disconnected);
    /// rx.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`recv`](Receiver::recv).
    #[inline]
    pub fn recv_ref(&mut self) -> Result<Guard<'_, T>, RecvError> {
        self.one.recv_ref()
    }

    /// Attempts to receive a message in place without blocking.
    ///
    /// # Errors
    /// As for [`try_recv`](Receiver::try_recv).
    #[inline]
    pub fn try_recv_ref(&mut self) -> Result<Guard<'_, T>, RecvError> {
        self.one.try_recv_ref()
    }

    /// Receives the next message in place, blocking for at most `timeout`.
    ///
    /// # Errors
    /// As for [`recv_timeout`](Receiver::recv_timeout).
    #[inline]
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<Guard<'_, T>, RecvError> {
        self.one.recv_ref_timeout(timeout)
    }
}
