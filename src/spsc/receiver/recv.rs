//! Receiving sized messages: returned, appended to a vector, or into a caller-provided buffer.

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::time::Duration;

use zerocopy::FromBytes;

use super::Receiver;
use crate::error::RecvError;
use crate::message::{self, Message};
use crate::spsc::{Iter, TryIter};
use crate::wait::blocking::Blocking;

/// Receiving by value: the message is copied, acknowledged and returned.
impl<T: Message> Receiver<T> {
    /// Receives the next message, blocking until one arrives.
    ///
    /// A receiver that has not seen a sender since it joined receives the messages in the ring, and
    /// then waits for the next sender instead of returning [`RecvError::Disconnected`], unless the
    /// stream was [finished](crate::spsc::Sender::finish).
    ///
    /// ```
    /// # use sysvring::{Options, RecvError, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
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
    /// - [`RecvError::Disconnected`] if the channel is drained and its sender finished or is gone:
    ///   [`wait_for_peer`](Receiver::wait_for_peer) waits for another sender;
    /// - [`RecvError::Invalid`] if the bytes are not a valid message: that message is discarded,
    ///   and the next call receives the next one;
    /// - [`RecvError::Interrupted`] if an [`interrupter`](Receiver::interrupter) ended the call:
    ///   call again to wait on;
    /// - [`RecvError::Fault`] if the handle cannot go on.
    #[inline]
    pub fn recv(&mut self) -> Result<T, RecvError> {
        self.take(Blocking::Forever)
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
        self.take(Blocking::Never)
    }

    /// Receives the next message, blocking for at most `timeout`. Arbitrarily long timeouts are
    /// accepted.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if no message arrived in time: try again. Otherwise as for
    /// [`recv`](Receiver::recv).
    #[inline]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvError> {
        self.take(Blocking::For(timeout))
    }

    #[inline(always)]
    fn take(&mut self, blocking: Blocking) -> Result<T, RecvError> {
        self.next(blocking)?;
        self.value()
    }

    /// Returns the message that arrived.
    #[inline(always)]
    pub(super) fn value(&mut self) -> Result<T, RecvError> {
        // Copied directly into the value that is returned: a large message is moved once, not three
        // times.
        let mut result = Ok(MaybeUninit::uninit());
        if let Ok(message) = &mut result {
            let valid = self.copy_to(message);
            self.acknowledge(size_of::<T>());
            if !valid {
                result = Err(self.end.invalid());
            }
        }
        // SAFETY: these very bytes were validated as a `T`, and nothing else can access them.
        result.map(|message| unsafe { message.assume_init() })
    }

    /// Appends up to `max` available messages to `messages` and returns how many, blocking for the
    /// first one.
    ///
    /// It takes at most [`capacity`](Receiver::capacity) messages, and does not block if `max` is
    /// 0. All are acknowledged together.
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
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
        self.take_batch(messages, max, Blocking::Forever)
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
        self.take_batch(messages, max, Blocking::Never)
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
        self.take_batch(messages, max, Blocking::For(timeout))
    }

    #[inline(always)]
    fn take_batch(
        &mut self,
        messages: &mut Vec<T>,
        max: usize,
        blocking: Blocking,
    ) -> Result<usize, RecvError> {
        if max == 0 {
            return Ok(0);
        }
        self.next(blocking)?;
        self.batch(messages, max)
    }

    /// Appends the messages that arrived; `max` is not 0.
    #[inline(always)]
    pub(super) fn batch(&mut self, messages: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        // At most as many messages as the ring has slots: this bounds the duration of a call.
        let max = max.min(self.capacity());
        self.assume_slot_layout(Layout::new::<T>());
        let taken = self.end.consumer.take_while(max, |slot| {
            let mut message = MaybeUninit::uninit();
            slot.reading();
            // SAFETY: as in `copy_to`.
            let valid = unsafe { message::read(slot.payload(), &mut message) };
            if valid {
                // SAFETY: these very bytes were validated as a `T`, and nothing else can access
                // them.
                messages.push(unsafe { message.assume_init() });
            }
            valid
        });
        if taken == 0 {
            return Err(self.discard_invalid());
        }
        if self.end.consumer.acknowledge_passed() {
            self.end.port().give_credit();
        }
        Ok(taken)
    }

    /// Acknowledges a message that is no valid `T`.
    #[cold]
    #[inline(never)]
    fn discard_invalid(&mut self) -> RecvError {
        self.acknowledge(size_of::<T>());
        self.end.invalid()
    }

    /// Returns a blocking iterator over messages; it ends when the channel is drained and its
    /// sender is gone, and after a fault.
    /// An interrupt is an item like another, and the iteration can go on.
    pub fn iter(&mut self) -> Iter<'_, T> {
        Iter { receiver: self, is_over: false }
    }

    /// Returns a non-blocking iterator over messages; it ends when no message is available.
    pub fn try_iter(&mut self) -> TryIter<'_, T> {
        TryIter { receiver: self, is_over: false }
    }

    /// Copies the message that arrived and returns whether it is a valid `T`.
    #[inline(always)]
    fn copy_to(&self, message: &mut MaybeUninit<T>) -> bool {
        self.assume_slot_layout(Layout::new::<T>());
        let slot = self.end.consumer.slot();
        slot.reading();
        // SAFETY: a slot of sized messages has room for one, rounded up to 8, and is aligned to 8.
        unsafe { message::read(slot.payload(), message) }
    }
}

/// Receiving into a caller-provided buffer, for types of which any bytes are a valid value. A large
/// message is moved once; returned by value it is moved twice.
impl<T: Message + FromBytes> Receiver<T> {
    /// Receives the next message into `message`, blocking until one arrives.
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<[u64; 4]> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<[u64; 4]> = Options::id(tx.id()).attach()?;
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
        self.take_into(message, Blocking::Forever)
    }

    /// Attempts to receive a message into `message` without blocking.
    ///
    /// # Errors
    /// As for [`try_recv`](Receiver::try_recv), except `Invalid`; `message` is unchanged then.
    #[inline]
    pub fn try_recv_into(&mut self, message: &mut T) -> Result<(), RecvError> {
        self.take_into(message, Blocking::Never)
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
        self.take_into(message, Blocking::For(timeout))
    }

    #[inline(always)]
    fn take_into(&mut self, message: &mut T, blocking: Blocking) -> Result<(), RecvError> {
        self.next(blocking)?;
        self.value_into(message);
        Ok(())
    }

    /// Copies the message that arrived into `message`.
    #[inline(always)]
    pub(super) fn value_into(&mut self, message: &mut T) {
        self.assume_slot_layout(Layout::new::<T>());
        let slot = self.end.consumer.slot();
        slot.reading();
        // SAFETY: as in `copy_to`.
        unsafe { message::read_over(slot.payload(), message) };
        self.acknowledge(size_of::<T>());
    }
}
