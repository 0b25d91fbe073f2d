//! Receiving messages of a fixed size: returned, appended to a vector, or into a place of the caller's.

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
    /// The next message; waits for one. It also waits for a first sender, or the next one if the last had
    /// left when this receiver came.
    ///
    /// # Errors
    /// [`RecvError::Disconnected`] when the channel is drained and its sender gone;
    /// [`RecvError::Invalid`], [`RecvError::Fault`].
    #[inline]
    pub fn recv(&mut self) -> Result<T, RecvError> {
        self.take(Blocking::Forever)
    }

    /// The next message if it is there.
    ///
    /// # Errors
    /// [`RecvError::Empty`], and as [`recv`](Receiver::recv). That the sender left is noticed at once.
    /// Whether it lives is looked after once in some milliseconds: the calls between are `Empty` also where
    /// it was killed.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, RecvError> {
        self.take(Blocking::Never)
    }

    /// The next message; waits for one for at most `timeout`. Years are fine.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], and as [`recv`](Receiver::recv).
    #[inline]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvError> {
        self.take(Blocking::For(timeout))
    }

    #[inline(always)]
    fn take(&mut self, blocking: Blocking) -> Result<T, RecvError> {
        self.arrive(blocking)?;
        // Copied straight into what is returned: a large message is moved once, not three times.
        let mut result = Ok(MaybeUninit::uninit());
        if let Ok(message) = &mut result {
            let valid = self.copy_to(message);
            self.acknowledge(size_of::<T>());
            if !valid {
                result = Err(self.invalid());
            }
        }
        // SAFETY: these very bytes were found to be a `T`, and nobody else sees them.
        result.map(|message| unsafe { message.assume_init() })
    }

    /// Up to `max` messages that are there, at most a ring full, appended to `messages`; waits for the first,
    /// unless `max` is 0. All are acknowledged together. How many.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv). An invalid message ends a batch before it, and is an error when
    /// it is the first.
    pub fn recv_batch(&mut self, messages: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        self.take_batch(messages, max, Blocking::Forever)
    }

    /// Up to `max` messages that are there.
    ///
    /// # Errors
    /// [`RecvError::Empty`] when there is none, and as [`recv_batch`](Receiver::recv_batch).
    pub fn try_recv_batch(
        &mut self,
        messages: &mut Vec<T>,
        max: usize,
    ) -> Result<usize, RecvError> {
        self.take_batch(messages, max, Blocking::Never)
    }

    /// Up to `max` messages; waits for the first for at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], and as [`recv_batch`](Receiver::recv_batch).
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
        self.arrive(blocking)?;
        // At most a ring full: the time a call takes is bounded.
        let max = max.min(self.capacity());
        let mut taken = 0;
        while taken < max && self.consumer.has_message() {
            let mut message = MaybeUninit::uninit();
            if !self.copy_to(&mut message) {
                break;
            }
            // SAFETY: these very bytes were found to be a `T`, and nobody else sees them.
            messages.push(unsafe { message.assume_init() });
            self.consumer.pass();
            taken += 1;
        }
        if taken == 0 {
            self.acknowledge(size_of::<T>());
            return Err(self.invalid());
        }
        if self.consumer.acknowledge_passed() {
            self.give_credit();
        }
        Ok(taken)
    }

    /// Waits for each message; ends when the channel is drained and its sender gone.
    pub fn iter(&mut self) -> Iter<'_, T> {
        Iter { receiver: self, ended: false }
    }

    /// The messages that are there now; never waits.
    pub fn try_iter(&mut self) -> TryIter<'_, T> {
        TryIter { receiver: self, ended: false }
    }

    /// Copies the arrived message; whether it is a `T`.
    #[inline(always)]
    fn copy_to(&self, message: &mut MaybeUninit<T>) -> bool {
        self.assume_slot_layout();
        let slot = self.consumer.slot();
        slot.reading();
        // SAFETY: a slot of sized messages has room for one, rounded up to 8, and is aligned to 8.
        unsafe { message::read(slot.payload(), message) }
    }

    /// See [`Ring::assume_slot_layout`](crate::ring::Ring::assume_slot_layout).
    #[inline(always)]
    fn assume_slot_layout(&self) {
        // SAFETY: every message is a `T`: attaching compared the shapes.
        unsafe { self.consumer.ring().assume_slot_layout(size_of::<T>(), align_of::<T>()) };
    }
}

/// Receiving into a place of the caller's, for types of which any bytes are a value. A large message
/// is moved once; returned by value it is moved twice.
impl<T: Message + FromBytes> Receiver<T> {
    /// The next message, written over `message`; waits for one.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv); `message` is what it was.
    #[inline]
    pub fn recv_into(&mut self, message: &mut T) -> Result<(), RecvError> {
        self.take_into(message, Blocking::Forever)
    }

    /// The next message, written over `message`, if it is there.
    ///
    /// # Errors
    /// As [`try_recv`](Receiver::try_recv); `message` is what it was.
    #[inline]
    pub fn try_recv_into(&mut self, message: &mut T) -> Result<(), RecvError> {
        self.take_into(message, Blocking::Never)
    }

    /// The next message, written over `message`; waits for one for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Receiver::recv_timeout); `message` is what it was.
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
        self.arrive(blocking)?;
        self.assume_slot_layout();
        let slot = self.consumer.slot();
        slot.reading();
        // SAFETY: as in `copy_to`.
        unsafe { message::read_over(slot.payload(), message) };
        self.acknowledge(size_of::<T>());
        Ok(())
    }
}
