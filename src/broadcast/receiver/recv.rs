//! Receiving sized messages: returned, appended to a vector, or into a caller-provided buffer.

use core::time::Duration;

use zerocopy::FromBytes;

use super::Receiver;
use crate::broadcast::{Iter, TryIter};
use crate::error::RecvError;
use crate::message::Message;

/// Receiving by value: the message is copied, acknowledged and returned.
impl<T: Message> Receiver<T> {
    /// Receives the next message, blocking until one arrives.
    ///
    /// A receiver that has not seen a sender since it joined receives the messages from its
    /// [start](crate::Options::start) on, and then waits for the next sender instead of returning [`RecvError::Disconnected`], unless the
    /// stream was [finished](crate::broadcast::Sender::finish).
    ///
    /// ```
    /// # use sysvring::{Options, RecvError, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send(&7)?;
    /// drop(tx);
    /// assert_eq!(rx.recv(), Ok(7));
    /// assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    /// # Ok(()) }
    /// ```
    ///
    /// The message is moved through the stack, once or twice: one of 1 KiB or more is faster with
    /// [`recv_into`](Receiver::recv_into) or [`recv_ref`](Receiver::recv_ref), and one of some MiB
    /// needs these or [`recv_boxed`](Receiver::recv_boxed), because it overflows the stack.
    ///
    /// # Errors
    /// - [`RecvError::Disconnected`] if this receiver has received every message, and the sender finished
    ///   or is gone: [`wait_for_peer`](Receiver::wait_for_peer) waits for another sender;
    /// - [`RecvError::Lagged`] once, if messages were overwritten before this receiver received them,
    ///   because it was a ring behind in an overwriting channel, or could not start where it was to
    ///   start: the next call receives one that is left;
    /// - [`RecvError::Invalid`] if the bytes are not a valid message: that message is discarded,
    ///   and the next call receives the next one;
    /// - [`RecvError::Interrupted`] if an [`interrupter`](Receiver::interrupter) ended the call:
    ///   call again to wait on;
    /// - [`RecvError::Fault`] if the handle cannot go on.
    #[inline]
    pub fn recv(&mut self) -> Result<T, RecvError> {
        self.one.recv()
    }

    /// Attempts to receive a message without blocking.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if no message is available: try again later. Otherwise as for
    /// [`recv`](Receiver::recv). A sender that left is noticed at once. Whether it is alive is
    /// checked at most once every few milliseconds, so `Empty` may be returned briefly after it was
    /// killed.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, RecvError> {
        self.one.try_recv()
    }

    /// Receives the next message, blocking for at most `timeout`. Arbitrarily long timeouts are
    /// accepted.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if no message arrived in time: try again. Otherwise as for
    /// [`recv`](Receiver::recv).
    #[inline]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvError> {
        self.one.recv_timeout(timeout)
    }

    /// Appends up to `max` available messages to `messages` and returns how many, blocking for the
    /// first one.
    ///
    /// It takes at most [`capacity`](Receiver::capacity) messages, and does not block if `max` is
    /// 0. All are acknowledged together.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<u64> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send_batch(&[1, 2, 3])?;
    /// let mut messages = Vec::new();
    /// assert_eq!(rx.recv_batch(&mut messages, 100)?, 3);
    /// assert_eq!(messages, [1, 2, 3]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`recv`](Receiver::recv). A batch ends before an invalid message, which is an error
    /// only if it is the first.
    pub fn recv_batch(&mut self, messages: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        self.one.recv_batch(messages, max)
    }

    /// Appends up to `max` available messages to `messages` and returns how many, without blocking.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if no message is available; otherwise as for
    /// [`recv_batch`](Receiver::recv_batch).
    pub fn try_recv_batch(
        &mut self,
        messages: &mut Vec<T>,
        max: usize,
    ) -> Result<usize, RecvError> {
        self.one.try_recv_batch(messages, max)
    }

    /// Appends up to `max` available messages to `messages` and returns how many, blocking for the
    /// first one for at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if no message arrived in time; otherwise as for
    /// [`recv_batch`](Receiver::recv_batch).
    pub fn recv_batch_timeout(
        &mut self,
        messages: &mut Vec<T>,
        max: usize,
        timeout: Duration,
    ) -> Result<usize, RecvError> {
        self.one.recv_batch_timeout(messages, max, timeout)
    }

    /// Returns a blocking iterator over messages; it ends when this receiver has received every message
    /// and the sender is gone, and after a fault. An interrupt and [`Lagged`](RecvError::Lagged) are
    /// items like others, and the iteration can go on.
    pub fn iter(&mut self) -> Iter<'_, T> {
        self.one.iter()
    }

    /// Returns a non-blocking iterator over messages; it ends when no message is available.
    pub fn try_iter(&mut self) -> TryIter<'_, T> {
        self.one.try_iter()
    }
}

/// Receiving into a caller-provided buffer, for types of which any bytes are a valid value. A large
/// message is moved once; returned by value it is moved twice.
impl<T: Message + FromBytes> Receiver<T> {
    /// Receives the next message into `message`, blocking until one arrives.
    ///
    /// ```
    /// # use sysvring::{Options, broadcast};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: broadcast::Sender<[u64; 4]> = Options::private().create()?;
    /// # let mut rx: broadcast::Receiver<[u64; 4]> = Options::id(tx.id()).attach()?;
    /// tx.send(&[1, 2, 3, 4])?;
    /// let mut message = [0; 4]; // reused for every message
    /// rx.recv_into(&mut message)?;
    /// assert_eq!(message, [1, 2, 3, 4]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`recv`](Receiver::recv), except `Invalid`; `message` is unchanged then.
    #[inline]
    pub fn recv_into(&mut self, message: &mut T) -> Result<(), RecvError> {
        self.one.recv_into(message)
    }

    /// Attempts to receive a message into `message` without blocking.
    ///
    /// # Errors
    /// As for [`try_recv`](Receiver::try_recv), except `Invalid`; `message` is unchanged then.
    #[inline]
    pub fn try_recv_into(&mut self, message: &mut T) -> Result<(), RecvError> {
        self.one.try_recv_into(message)
    }

    /// Receives the next message into `message`, blocking for at most `timeout`.
    ///
    /// # Errors
    /// As for [`recv_timeout`](Receiver::recv_timeout), except `Invalid`; `message` is unchanged
    /// then.
    #[inline]
    pub fn recv_into_timeout(
        &mut self,
        message: &mut T,
        timeout: Duration,
    ) -> Result<(), RecvError> {
        self.one.recv_into_timeout(message, timeout)
    }
}
