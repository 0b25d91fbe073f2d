//! Receiving messages of any length: copied to the heap, or lent where they lie.

use core::ptr::NonNull;
use core::slice;
use core::time::Duration;

use super::Receiver;
use crate::error::RecvError;
use crate::message::{self, Message};
use crate::spsc::Guard;
use crate::wait::blocking::Blocking;

impl<T: Message + ?Sized> Receiver<T> {
    /// The next message, copied to the heap; waits for one. For messages of variable length.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv).
    pub fn recv_boxed(&mut self) -> Result<Box<T>, RecvError> {
        self.take_boxed(Blocking::Forever)
    }

    /// The next message if it is there, copied to the heap.
    ///
    /// # Errors
    /// As [`try_recv`](Receiver::try_recv).
    pub fn try_recv_boxed(&mut self) -> Result<Box<T>, RecvError> {
        self.take_boxed(Blocking::Never)
    }

    /// The next message, copied to the heap; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Receiver::recv_timeout).
    pub fn recv_boxed_timeout(&mut self, timeout: Duration) -> Result<Box<T>, RecvError> {
        self.take_boxed(Blocking::For(timeout))
    }

    fn take_boxed(&mut self, blocking: Blocking) -> Result<Box<T>, RecvError> {
        self.arrive(blocking)?;
        let (payload, len) = self.find()?;
        // SAFETY: `find` compared the length with the slot's.
        let message = unsafe {
            message::read_boxed(payload, len, self.endpoint.attachment.geometry().shape.align)
        };
        self.acknowledge(len);
        message.ok_or_else(|| self.invalid())
    }

    /// The next message, where it lies; waits for one. It is acknowledged when the guard is dropped.
    ///
    /// The receiver is borrowed until then, and in all arms of a `match`: take the error out of it.
    ///
    /// ```
    /// # use sysvring::{Options, RecvError, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// # tx.send(&7)?;
    /// # drop(tx);
    /// let ended = loop {
    ///     match rx.recv_ref() {
    ///         Ok(message) => println!("{} at {}", *message, message.position()),
    ///         Err(error) => break error,
    ///     }
    /// };
    /// // Here the receiver is free again, to `wait_for_peer` or `close`.
    /// assert_eq!(ended, RecvError::Disconnected);
    /// rx.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv).
    #[inline]
    pub fn recv_ref(&mut self) -> Result<Guard<'_, T>, RecvError> {
        self.lend(Blocking::Forever)
    }

    /// The next message, where it lies, if it is there.
    ///
    /// # Errors
    /// As [`try_recv`](Receiver::try_recv).
    #[inline]
    pub fn try_recv_ref(&mut self) -> Result<Guard<'_, T>, RecvError> {
        self.lend(Blocking::Never)
    }

    /// The next message, where it lies; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Receiver::recv_timeout).
    #[inline]
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<Guard<'_, T>, RecvError> {
        self.lend(Blocking::For(timeout))
    }

    #[inline(always)]
    fn lend(&mut self, blocking: Blocking) -> Result<Guard<'_, T>, RecvError> {
        self.arrive(blocking)?;
        let (payload, len) = self.find()?;
        // SAFETY: the message is ours until it is acknowledged, and lies in its slot.
        let bytes = unsafe { slice::from_raw_parts(payload.as_ptr(), len) };
        match T::try_ref_from_bytes(bytes).map(NonNull::from) {
            Ok(message) => Ok(Guard::new(self, message)),
            Err(_) => {
                self.acknowledge(len);
                Err(self.invalid())
            }
        }
    }
}
