//! Receiving messages of a fixed size: returned, appended to a vector, or into a place of the caller's.

use core::mem::MaybeUninit;
use core::time::Duration;

use zerocopy::FromBytes;

use super::Receiver;
use crate::error::RecvError;
use crate::message::{self, Message};
use crate::mpmc::{Iter, TryIter};
use crate::ring::mpmc::Held;
use crate::wait::blocking::Blocking;

/// Messages of a batch that are acknowledged together.
const TOGETHER: usize = 32;

/// Receiving by value: the message is copied, acknowledged and returned.
impl<T: Message> Receiver<T> {
    /// The next message; waits for one. It also waits for a first sender, or the next one if all had left
    /// when this receiver came.
    ///
    /// # Errors
    /// [`RecvError::Disconnected`] when the channel is drained and all senders are gone: every
    /// message was acknowledged, by this or another receiver. [`RecvError::Invalid`],
    /// [`RecvError::Fault`].
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.take(Blocking::Forever)
    }

    /// The next message if it is there.
    ///
    /// # Errors
    /// [`RecvError::Empty`], and as [`recv`](Receiver::recv). Who lives is looked after once in some
    /// milliseconds: the calls between are `Empty` also where all senders were killed, or a receiver with a
    /// message in hand.
    #[inline]
    pub fn try_recv(&self) -> Result<T, RecvError> {
        self.take(Blocking::Never)
    }

    /// The next message; waits for one for at most `timeout`. Years are fine.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], or [`RecvError::Behind`] when a living sender has claimed the next
    /// message and not sent it yet; and as [`recv`](Receiver::recv).
    #[inline]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvError> {
        self.take(Blocking::For(timeout))
    }

    #[inline(always)]
    fn take(&self, blocking: Blocking) -> Result<T, RecvError> {
        let held = self.inner.hold(blocking)?;
        let mut result = Ok(MaybeUninit::uninit());
        if let Ok(message) = &mut result {
            let valid = self.copy_to(&held, message);
            self.finish(&held, size_of::<T>())?;
            if !valid {
                result = Err(RecvError::Invalid { position: held.position() });
            }
        }
        // SAFETY: these very bytes were found to be a `T`, and nobody else sees them.
        result.map(|message| unsafe { message.assume_init() })
    }

    /// Up to `max` messages that are there, at most a ring full, appended to `messages`; waits for the first,
    /// unless `max` is 0. They are acknowledged when they are copied, up to 32 at a time. How many.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv). An invalid message is left out, and is an error when there was
    /// no other. After a [`Fault`](crate::Fault) messages may have been appended that others get again.
    pub fn recv_batch(&self, messages: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        self.take_batch(messages, max, Blocking::Forever)
    }

    /// Up to `max` messages that are there.
    ///
    /// # Errors
    /// [`RecvError::Empty`] when there is none, and as [`recv_batch`](Receiver::recv_batch).
    pub fn try_recv_batch(&self, messages: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        self.take_batch(messages, max, Blocking::Never)
    }

    /// Up to `max` messages; waits for the first for at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], and as [`recv_batch`](Receiver::recv_batch).
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
        let max = max.min(self.capacity());
        let before = messages.len();
        let mut invalid = None;
        // Nothing here fails while messages are in hand: a vector that cannot grow ends the process, and
        // another receiver gets them.
        let mut copy = |held: &Held| {
            let mut message = MaybeUninit::uninit();
            match self.copy_to(held, &mut message) {
                // SAFETY: these very bytes were found to be a `T`, and nobody else sees them.
                true => messages.push(unsafe { message.assume_init() }),
                false => invalid = Some(held.position()),
            }
        };
        let mut taken = 0;
        let mut next = Some(self.inner.hold(blocking)?);
        while let Some(first) = next.take() {
            let most = (max - taken).min(TOGETHER);
            let mut others = [0; TOGETHER];
            let mut count = 0;
            copy(&first);
            while count + 1 < most
                && let Some(held) = self.inner.find_another()
            {
                copy(&held);
                others[count] = held.position();
                count += 1;
            }
            let mut result = self.finish(&first, size_of::<T>());
            for &position in &others[..count] {
                // All of them, whatever comes of one.
                let held = self.inner.consumer.held(position);
                result = result.and(self.inner.acknowledge(&held));
            }
            self.inner.endpoint.count_all(count, size_of::<T>());
            result?;
            taken += count + 1;
            if count + 1 == most && taken < max {
                next = self.inner.find_another();
            }
        }
        match (messages.len() - before, invalid) {
            (0, Some(position)) => Err(RecvError::Invalid { position }),
            (taken, _) => Ok(taken),
        }
    }

    /// Waits for each message; ends when the channel is drained and all senders are gone.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self, ended: false }
    }

    /// The messages that are there now; never waits.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self, ended: false }
    }

    /// Copies a held message; whether it is a `T`.
    #[inline(always)]
    fn copy_to(&self, held: &Held, message: &mut MaybeUninit<T>) -> bool {
        let slot = self.inner.consumer.slot(held);
        slot.reading();
        // SAFETY: a slot of sized messages has room for one, rounded up to 8, and is aligned to 8.
        unsafe { message::read(slot.payload(), message) }
    }
}

/// Receiving into a place of the caller's, for types of which any bytes are a value. A large message
/// is moved once; returned by value it is moved twice.
impl<T: Message + FromBytes> Receiver<T> {
    /// The next message, written over `message`; waits for one.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv).
    #[inline]
    pub fn recv_into(&self, message: &mut T) -> Result<(), RecvError> {
        self.take_into(message, Blocking::Forever)
    }

    /// The next message, written over `message`, if it is there.
    ///
    /// # Errors
    /// As [`try_recv`](Receiver::try_recv).
    #[inline]
    pub fn try_recv_into(&self, message: &mut T) -> Result<(), RecvError> {
        self.take_into(message, Blocking::Never)
    }

    /// The next message, written over `message`; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Receiver::recv_timeout).
    #[inline]
    pub fn recv_into_timeout(&self, message: &mut T, timeout: Duration) -> Result<(), RecvError> {
        self.take_into(message, Blocking::For(timeout))
    }

    #[inline(always)]
    fn take_into(&self, message: &mut T, blocking: Blocking) -> Result<(), RecvError> {
        let held = self.inner.hold(blocking)?;
        let slot = self.inner.consumer.slot(&held);
        slot.reading();
        // SAFETY: as in `copy_to`.
        unsafe { message::read_over(slot.payload(), message) };
        self.finish(&held, size_of::<T>())
    }
}
