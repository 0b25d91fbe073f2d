//! Receiving messages of any length: copied to the heap, or borrowed in place.

use core::ptr::NonNull;
use core::slice;
use core::time::Duration;

use super::Receiver;
use crate::error::RecvError;
use crate::message::{self, Message};
use crate::mpmc::Guard;
use crate::ring::mpmc::Held;
use crate::wait::blocking::Blocking;

impl<T: Message + ?Sized> Receiver<T> {
    /// Receives the next message, of any length, into a `Box`, blocking until one arrives.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// let tx: mpmc::Sender<str> = Options::private().slot_size(64).create()?;
    /// let rx: mpmc::Receiver<str> = Options::id(tx.id()).attach()?;
    /// tx.send("hello")?;
    /// let message: Box<str> = rx.recv_boxed()?;
    /// assert_eq!(&*message, "hello");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`recv`](Receiver::recv).
    pub fn recv_boxed(&self) -> Result<Box<T>, RecvError> {
        self.take_boxed(Blocking::Forever)
    }

    /// Attempts to receive a message of any length into a `Box` without blocking.
    ///
    /// # Errors
    /// As for [`try_recv`](Receiver::try_recv).
    pub fn try_recv_boxed(&self) -> Result<Box<T>, RecvError> {
        self.take_boxed(Blocking::Never)
    }

    /// Receives the next message, of any length, into a `Box`, blocking for at most `timeout`.
    ///
    /// # Errors
    /// As for [`recv_timeout`](Receiver::recv_timeout).
    pub fn recv_boxed_timeout(&self, timeout: Duration) -> Result<Box<T>, RecvError> {
        self.take_boxed(Blocking::For(timeout))
    }

    fn take_boxed(&self, blocking: Blocking) -> Result<Box<T>, RecvError> {
        let held = self.end.next(blocking)?;
        self.boxed(held)
    }

    /// Returns a message that was taken in a box.
    pub(super) fn boxed(&self, held: Held) -> Result<Box<T>, RecvError> {
        let (payload, len) = self.payload(&held)?;
        let align = self.end.endpoint.geometry().shape.align;
        // SAFETY: `payload` compared the length with the slot's.
        let message = unsafe { message::read_boxed(payload, len, align) };
        self.finish(&held, len)?;
        message.ok_or(RecvError::Invalid { position: held.position() })
    }

    /// Receives the next message in place, blocking until one arrives. [`Guard::ack`] acknowledges
    /// it; a guard that is dropped returns it.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<u64> = Options::private().create()?;
    /// # let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send(&7)?;
    /// let message = rx.recv_ref()?;
    /// assert_eq!((*message, rx.len()), (7, 1)); // in flight
    /// message.ack()?;
    /// assert_eq!(rx.len(), 0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`recv`](Receiver::recv).
    #[inline]
    pub fn recv_ref(&self) -> Result<Guard<'_, T>, RecvError> {
        self.take_ref(Blocking::Forever)
    }

    /// Attempts to receive a message in place without blocking.
    ///
    /// # Errors
    /// As for [`try_recv`](Receiver::try_recv).
    #[inline]
    pub fn try_recv_ref(&self) -> Result<Guard<'_, T>, RecvError> {
        self.take_ref(Blocking::Never)
    }

    /// Receives the next message in place, blocking for at most `timeout`.
    ///
    /// # Errors
    /// As for [`recv_timeout`](Receiver::recv_timeout).
    #[inline]
    pub fn recv_ref_timeout(&self, timeout: Duration) -> Result<Guard<'_, T>, RecvError> {
        self.take_ref(Blocking::For(timeout))
    }

    #[inline(always)]
    fn take_ref(&self, blocking: Blocking) -> Result<Guard<'_, T>, RecvError> {
        let held = self.end.next(blocking)?;
        self.guard(held)
    }

    /// Returns a guard of a message that was taken.
    #[inline(always)]
    pub(super) fn guard(&self, held: Held) -> Result<Guard<'_, T>, RecvError> {
        self.end.port().notify_taken(held.position());
        let (payload, len) = self.payload(&held)?;
        // SAFETY: the message is ours until it is acknowledged, and is inside its slot.
        let bytes = unsafe { slice::from_raw_parts(payload.as_ptr(), len) };
        match T::try_ref_from_bytes(bytes).map(NonNull::from) {
            Ok(message) => Ok(Guard::new(self, held, message)),
            Err(_) => {
                self.finish(&held, len)?;
                Err(RecvError::Invalid { position: held.position() })
            }
        }
    }
}
