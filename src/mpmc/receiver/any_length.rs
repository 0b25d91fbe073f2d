//! Receiving messages of any length: copied to the heap, or lent where they lie.

use core::ptr::NonNull;
use core::slice;
use core::time::Duration;

use super::Receiver;
use crate::error::RecvError;
use crate::message::{self, Message};
use crate::mpmc::Guard;
use crate::wait::blocking::Blocking;

impl<T: Message + ?Sized> Receiver<T> {
    /// The next message, copied to the heap; waits for one. For messages of variable length.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv).
    pub fn recv_boxed(&self) -> Result<Box<T>, RecvError> {
        self.take_boxed(Blocking::Forever)
    }

    /// The next message if it is there, copied to the heap.
    ///
    /// # Errors
    /// As [`try_recv`](Receiver::try_recv).
    pub fn try_recv_boxed(&self) -> Result<Box<T>, RecvError> {
        self.take_boxed(Blocking::Never)
    }

    /// The next message, copied to the heap; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Receiver::recv_timeout).
    pub fn recv_boxed_timeout(&self, timeout: Duration) -> Result<Box<T>, RecvError> {
        self.take_boxed(Blocking::For(timeout))
    }

    fn take_boxed(&self, blocking: Blocking) -> Result<Box<T>, RecvError> {
        let held = self.inner.hold(blocking)?;
        let (payload, len) = self.find(&held)?;
        let align = self.inner.endpoint.attachment.geometry().shape.align;
        // SAFETY: `find` compared the length with the slot's.
        let message = unsafe { message::read_boxed(payload, len, align) };
        self.finish(&held, len)?;
        message.ok_or(RecvError::Invalid { position: held.position() })
    }

    /// The next message, where it lies; waits for one. It is acknowledged when the guard is dropped.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv).
    #[inline]
    pub fn recv_ref(&self) -> Result<Guard<'_, T>, RecvError> {
        self.lend(Blocking::Forever)
    }

    /// The next message, where it lies, if it is there.
    ///
    /// # Errors
    /// As [`try_recv`](Receiver::try_recv).
    #[inline]
    pub fn try_recv_ref(&self) -> Result<Guard<'_, T>, RecvError> {
        self.lend(Blocking::Never)
    }

    /// The next message, where it lies; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Receiver::recv_timeout).
    #[inline]
    pub fn recv_ref_timeout(&self, timeout: Duration) -> Result<Guard<'_, T>, RecvError> {
        self.lend(Blocking::For(timeout))
    }

    #[inline(always)]
    fn lend(&self, blocking: Blocking) -> Result<Guard<'_, T>, RecvError> {
        let held = self.inner.hold(blocking)?;
        let (payload, len) = self.find(&held)?;
        // SAFETY: the message is ours until it is acknowledged, and lies in its slot.
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
