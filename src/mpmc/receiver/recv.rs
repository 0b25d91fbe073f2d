//! Receiving sized messages: returned, appended to a vector, or into a caller-provided buffer.

use core::mem::MaybeUninit;
use core::time::Duration;

use zerocopy::FromBytes;

use super::Receiver;
use crate::error::RecvError;
use crate::message::{self, Message};
use crate::mpmc::{Iter, TryIter};
use crate::ring::mpmc::Held;
use crate::wait::blocking::Blocking;

/// Maximum number of messages of a batch that are acknowledged together.
const TOGETHER: usize = 32;

/// Receiving by value: the message is copied, acknowledged and returned.
impl<T: Message> Receiver<T> {
    /// Receives the next message, blocking until one arrives.
    ///
    /// A receiver that has not seen a sender since it joined receives the messages in the ring, and
    /// then waits for the next sender instead of returning [`RecvError::Disconnected`], unless the
    /// stream was [finished](crate::mpmc::Sender::finish).
    ///
    /// ```
    /// # use sysvring::{Options, RecvError, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<u64> = Options::private().create()?;
    /// # let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach()?;
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
    /// - [`RecvError::Disconnected`] if the channel is drained and all senders finished or are gone:
    ///   every message was acknowledged, or is held by this member or a clone of it.
    ///   [`wait_for_peer`](Receiver::wait_for_peer) waits for another sender;
    /// - [`RecvError::Invalid`] if the bytes are not a valid message: that message is discarded,
    ///   and the next call receives the next one;
    /// - [`RecvError::Interrupted`] if an [`interrupter`](Receiver::interrupter) ended the call:
    ///   call again to wait on;
    /// - [`RecvError::Fault`] if the handle cannot go on.
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.take(Blocking::Forever)
    }

    /// Attempts to receive a message without blocking.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if no message is available: try again later. [`RecvError::Behind`] if
    /// messages were sent, but a live sender is still writing the one before them: try again, or
    /// resume or kill that process if it is stopped. Otherwise as for [`recv`](Receiver::recv).
    /// Membership is checked at most once every few milliseconds, so
    /// `Empty` may be returned briefly after all senders were killed, or a receiver whose message
    /// was in flight.
    #[inline]
    pub fn try_recv(&self) -> Result<T, RecvError> {
        self.take(Blocking::Never)
    }

    /// Receives the next message, blocking for at most `timeout`. Arbitrarily long timeouts are
    /// accepted.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] if no message arrived in time: try again. [`RecvError::Blocked`] if a
    /// live sender has claimed the next slot and not published its message yet: if that process is
    /// stopped, resume or kill it. Otherwise as for [`recv`](Receiver::recv).
    #[inline]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvError> {
        self.take(Blocking::For(timeout))
    }

    #[inline(always)]
    fn take(&self, blocking: Blocking) -> Result<T, RecvError> {
        let held = self.end.next(blocking)?;
        self.value(held)
    }

    /// Returns a message that was taken.
    #[inline(always)]
    pub(super) fn value(&self, held: Held) -> Result<T, RecvError> {
        let mut result = Ok(MaybeUninit::uninit());
        if let Ok(message) = &mut result {
            let valid = self.copy_to(&held, message);
            self.finish(&held, size_of::<T>())?;
            if !valid {
                result = Err(RecvError::Invalid { position: held.position() });
            }
        }
        // SAFETY: these very bytes were validated as a `T`, and nothing else can access them.
        result.map(|message| unsafe { message.assume_init() })
    }

    /// Appends up to `max` available messages to `messages` and returns how many, blocking for the
    /// first one.
    ///
    /// It takes at most [`capacity`](Receiver::capacity) messages, and does not block if `max` is
    /// 0. Messages are acknowledged in groups of up to 32 after they are copied.
    ///
    /// ```
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<u64> = Options::private().create()?;
    /// # let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send_batch(&[1, 2, 3])?;
    /// let mut messages = Vec::new();
    /// assert_eq!(rx.recv_batch(&mut messages, 100)?, 3);
    /// assert_eq!(messages, [1, 2, 3]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`recv`](Receiver::recv). An invalid message is left out, and is an error only if
    /// there was no other. After a [`Fault`](crate::Fault), `messages` may contain messages that
    /// are delivered again to other receivers.
    pub fn recv_batch(&self, messages: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        self.take_batch(messages, max, Blocking::Forever)
    }

    /// Appends up to `max` available messages to `messages` and returns how many, without blocking.
    ///
    /// # Errors
    /// [`RecvError::Empty`] or [`RecvError::Behind`] if no message is available; otherwise as for
    /// [`recv_batch`](Receiver::recv_batch).
    pub fn try_recv_batch(&self, messages: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        self.take_batch(messages, max, Blocking::Never)
    }

    /// Appends up to `max` available messages to `messages` and returns how many, blocking for the
    /// first one for at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`] or [`RecvError::Blocked`] if no message arrived in time; otherwise as
    /// for [`recv_batch`](Receiver::recv_batch).
    pub fn recv_batch_timeout(
        &self,
        messages: &mut Vec<T>,
        max: usize,
        timeout: Duration,
    ) -> Result<usize, RecvError> {
        self.take_batch(messages, max, Blocking::For(timeout))
    }

    fn take_batch(
        &self,
        messages: &mut Vec<T>,
        max: usize,
        blocking: Blocking,
    ) -> Result<usize, RecvError> {
        if max == 0 {
            return Ok(0);
        }
        let first = self.end.next(blocking)?;
        self.batch(first, messages, max)
    }

    /// Appends a message that was taken, and those behind it; `max` is not 0.
    #[inline(always)]
    pub(super) fn batch(
        &self,
        first: Held,
        messages: &mut Vec<T>,
        max: usize,
    ) -> Result<usize, RecvError> {
        let max = max.min(self.capacity());
        let before = messages.len();
        let mut invalid = None;
        // Nothing here fails while messages are in flight: a vector that cannot grow ends the
        // process, and another receiver gets them.
        let mut copy = |held: &Held| {
            let mut message = MaybeUninit::uninit();
            match self.copy_to(held, &mut message) {
                // SAFETY: these very bytes were validated as a `T`, and nothing else can access
                // them.
                true => messages.push(unsafe { message.assume_init() }),
                false => invalid = Some(held.position()),
            }
        };
        let mut taken = 0;
        let mut next = Some(first);
        while let Some(first) = next.take() {
            let most = (max - taken).min(TOGETHER);
            let mut others = [0; TOGETHER];
            let mut count = 0;
            copy(&first);
            while count + 1 < most
                && let Some(held) = self.end.port().another()
            {
                copy(&held);
                others[count] = held.position();
                count += 1;
            }
            let mut result = self.finish(&first, size_of::<T>());
            for &position in &others[..count] {
                // Acknowledges all of them, even if one fails.
                let held = self.end.receiving.consumer.held(position);
                match self.end.acknowledge(&held) {
                    Ok(()) => self.end.endpoint.count(position),
                    Err(error) => result = result.and(Err(error)),
                }
            }
            result?;
            taken += count + 1;
            if count + 1 == most && taken < max {
                next = self.end.port().another();
            }
        }
        match (messages.len() - before, invalid) {
            (0, Some(position)) => Err(RecvError::Invalid { position }),
            (taken, _) => Ok(taken),
        }
    }

    /// Returns a blocking iterator over messages; it ends when the channel is drained and all
    /// senders are gone, and after a fault.
    /// An interrupt is an item like another, and the iteration can go on.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self, is_over: false }
    }

    /// Returns a non-blocking iterator over messages; it ends when no message is available.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self, is_over: false }
    }

    /// Copies a held message and returns whether it is a valid `T`.
    #[inline(always)]
    fn copy_to(&self, held: &Held, message: &mut MaybeUninit<T>) -> bool {
        let slot = self.end.receiving.consumer.slot(held);
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
    /// # use sysvring::{Options, mpmc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let tx: mpmc::Sender<[u64; 4]> = Options::private().create()?;
    /// # let rx: mpmc::Receiver<[u64; 4]> = Options::id(tx.id()).attach()?;
    /// tx.send(&[1, 2, 3, 4])?;
    /// let mut message = [0; 4]; // reused for every message
    /// rx.recv_into(&mut message)?;
    /// assert_eq!(message, [1, 2, 3, 4]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`recv`](Receiver::recv), except `Invalid`. After a [`Fault`](crate::Fault),
    /// `message` may have been overwritten with a message that another receiver gets again;
    /// otherwise it is unchanged.
    #[inline]
    pub fn recv_into(&self, message: &mut T) -> Result<(), RecvError> {
        self.take_into(message, Blocking::Forever)
    }

    /// Attempts to receive a message into `message` without blocking.
    ///
    /// # Errors
    /// As for [`try_recv`](Receiver::try_recv), except `Invalid`; `message` as for
    /// [`recv_into`](Receiver::recv_into).
    #[inline]
    pub fn try_recv_into(&self, message: &mut T) -> Result<(), RecvError> {
        self.take_into(message, Blocking::Never)
    }

    /// Receives the next message into `message`, blocking for at most `timeout`.
    ///
    /// # Errors
    /// As for [`recv_timeout`](Receiver::recv_timeout), except `Invalid`; `message` as for
    /// [`recv_into`](Receiver::recv_into).
    #[inline]
    pub fn recv_into_timeout(&self, message: &mut T, timeout: Duration) -> Result<(), RecvError> {
        self.take_into(message, Blocking::For(timeout))
    }

    #[inline(always)]
    fn take_into(&self, message: &mut T, blocking: Blocking) -> Result<(), RecvError> {
        let held = self.end.next(blocking)?;
        self.value_into(held, message)
    }

    /// Copies a message that was taken into `message`.
    #[inline(always)]
    pub(super) fn value_into(&self, held: Held, message: &mut T) -> Result<(), RecvError> {
        let slot = self.end.receiving.consumer.slot(&held);
        slot.reading();
        // SAFETY: as in `copy_to`.
        unsafe { message::read_over(slot.payload(), message) };
        self.finish(&held, size_of::<T>())
    }
}
