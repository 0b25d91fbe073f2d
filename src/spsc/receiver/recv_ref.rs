//! Receiving messages of any length: copied to the heap, or borrowed in place.

use core::ptr::NonNull;
use core::slice;
use core::time::Duration;

use super::Receiver;
use crate::error::RecvError;
use crate::message::{self, Message};
use crate::spsc::Guard;
use crate::wait::blocking::Blocking;

impl<T: Message + ?Sized> Receiver<T> {
    /// Receives the next message, of any length, into a `Box`, blocking until one arrives.
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let mut tx: spsc::Sender<str> = Options::private().slot_size(64).create()?;
    /// let mut rx: spsc::Receiver<str> = Options::id(tx.id()).attach()?;
    /// tx.send("hello")?;
    /// let message: Box<str> = rx.recv_boxed()?;
    /// assert_eq!(&*message, "hello");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`recv`](Receiver::recv).
    pub fn recv_boxed(&mut self) -> Result<Box<T>, RecvError> {
        self.take_boxed(Blocking::Forever)
    }

    /// Attempts to receive a message of any length into a `Box` without blocking.
    ///
    /// # Errors
    /// As for [`try_recv`](Receiver::try_recv).
    pub fn try_recv_boxed(&mut self) -> Result<Box<T>, RecvError> {
        self.take_boxed(Blocking::Never)
    }

    /// Receives the next message, of any length, into a `Box`, blocking for at most `timeout`.
    ///
    /// # Errors
    /// As for [`recv_timeout`](Receiver::recv_timeout).
    pub fn recv_boxed_timeout(&mut self, timeout: Duration) -> Result<Box<T>, RecvError> {
        self.take_boxed(Blocking::For(timeout))
    }

    fn take_boxed(&mut self, blocking: Blocking) -> Result<Box<T>, RecvError> {
        self.next(blocking)?;
        self.boxed()
    }

    /// Returns the message that arrived in a box.
    pub(super) fn boxed(&mut self) -> Result<Box<T>, RecvError> {
        let (payload, len) = self.payload()?;
        // SAFETY: `payload` compared the length with the slot's.
        let message = unsafe {
            message::read_boxed(payload, len, self.end.endpoint.attachment.geometry().shape.align)
        };
        self.acknowledge(len);
        message.ok_or_else(|| self.end.invalid())
    }

    /// Receives the next message in place, blocking until one arrives. [`Guard::ack`] acknowledges
    /// it; a guard that is dropped returns it.
    ///
    /// The receiver is borrowed until then, and in all arms of a `match`: move the error out of it.
    ///
    /// ```
    /// # use sysvring::{Options, RecvError, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
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
        self.take_ref(Blocking::Forever)
    }

    /// Attempts to receive a message in place without blocking.
    ///
    /// # Errors
    /// As for [`try_recv`](Receiver::try_recv).
    #[inline]
    pub fn try_recv_ref(&mut self) -> Result<Guard<'_, T>, RecvError> {
        self.take_ref(Blocking::Never)
    }

    /// Receives the next message in place, blocking for at most `timeout`.
    ///
    /// # Errors
    /// As for [`recv_timeout`](Receiver::recv_timeout).
    #[inline]
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<Guard<'_, T>, RecvError> {
        self.take_ref(Blocking::For(timeout))
    }

    #[inline(always)]
    fn take_ref(&mut self, blocking: Blocking) -> Result<Guard<'_, T>, RecvError> {
        self.next(blocking)?;
        self.guard()
    }

    /// Returns a guard of the message that arrived.
    #[inline(always)]
    pub(super) fn guard(&mut self) -> Result<Guard<'_, T>, RecvError> {
        let (payload, len) = self.payload()?;
        // SAFETY: the message is ours until it is acknowledged, and is inside its slot.
        let bytes = unsafe { slice::from_raw_parts(payload.as_ptr(), len) };
        match T::try_ref_from_bytes(bytes).map(NonNull::from) {
            Ok(message) => Ok(Guard::new(self, message)),
            Err(_) => {
                self.acknowledge(len);
                Err(self.end.invalid())
            }
        }
    }
}
