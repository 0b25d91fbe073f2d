//! A received message, in place.

use core::alloc::Layout;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;

use super::Receiver;
use crate::error::RecvError;
use crate::message::Message;
use crate::ring::slot_state::DELIVERIES_SHOWN;

/// A received message, borrowed from its slot.
///
/// [`ack`](Guard::ack) acknowledges the message; [`read`](Guard::read) and
/// [`process`](Guard::process) do so when a closure has finished. A guard that is dropped, for
/// example by `?`, by `break` or by a panic, returns its message: the next call receives it again.
/// So work done under a guard is done at least once, as if this process had been killed at that
/// point.
/// [`reject`](Guard::reject) gives the message up for good.
///
/// In the terms of message brokers, `ack` is *ack*, `release` and dropping are *nack with requeue*,
/// and `reject` is *reject without requeue*, which dead-letters the message if the channel has
/// [dead letters](crate::Options::dead_letters). Unlike there, a returned message comes before the
/// messages that were not delivered yet.
///
/// A guard that is forgotten (`mem::forget`) returns its message, too. A forked child that drops its
/// parent's guard changes nothing.
///
/// The message is memory that other processes have mapped. No correct member touches it while the
/// guard exists, but see [Trust](crate#trust).
#[must_use = "a guard that is dropped returns its message; acknowledge it by ack, read or process"]
pub struct Guard<'a, T: Message + ?Sized> {
    receiver: &'a mut Receiver<T>,
    message: NonNull<T>,
}

impl<'a, T: Message + ?Sized> Guard<'a, T> {
    /// `message` is in the slot at the receiver's position and was validated as a `T`.
    #[inline(always)]
    pub(super) fn new(receiver: &'a mut Receiver<T>, message: NonNull<T>) -> Guard<'a, T> {
        Guard { receiver, message }
    }

    /// Returns the message's position in the sequence of all messages of this channel.
    pub fn position(&self) -> u64 {
        self.receiver.position()
    }

    /// Returns how many times this message has been delivered, including this delivery; 16 stands
    /// for 16 or more. If it is more than 1, its processing may have begun before. A delivery whose
    /// guard was forgotten is not counted.
    pub fn delivery_count(&self) -> u8 {
        self.receiver.deliveries().min(DELIVERIES_SHOWN)
    }

    /// Acknowledges the message: its slot is free for senders.
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<u64> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<u64> = Options::id(tx.id()).attach()?;
    /// tx.send(&7)?;
    /// drop(rx.recv_ref()?); // returned
    /// let message = rx.recv_ref()?;
    /// assert_eq!((*message, message.delivery_count()), (7, 2));
    /// message.ack()?;
    /// assert!(rx.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`RecvError::Fault`] if the handle cannot go on; the message is not acknowledged then. In
    /// particular [`Fault::Forked`](crate::Fault::Forked) in a forked child, where the message
    /// belongs to the parent.
    #[inline]
    pub fn ack(self) -> Result<(), RecvError> {
        let mut guard = ManuallyDrop::new(self);
        let message = Layout::for_value::<T>(&guard);
        guard.receiver.acknowledge_guard(message)
    }

    /// Returns the message, like dropping the guard, but reports errors: the next call receives it
    /// again.
    ///
    /// The delivery counts towards the limit of the channel's [`Redelivery`](crate::Redelivery).
    ///
    /// # Errors
    /// As for [`ack`](Guard::ack).
    pub fn release(self) -> Result<(), RecvError> {
        let mut guard = ManuallyDrop::new(self);
        guard.receiver.release()
    }

    /// Gives the message up for good: no receiver gets it again.
    ///
    /// It is moved to the [dead-letter channel](crate::Options::dead_letters) if the channel has
    /// one; otherwise it is discarded. [`Stat::rejected`](crate::Stat::rejected) counts it.
    ///
    /// # Errors
    /// [`RecvError::NotMoved`] if the dead-letter channel cannot take the message, which is returned
    /// then: the error says what to do. Otherwise as for [`ack`](Guard::ack).
    pub fn reject(self) -> Result<(), RecvError> {
        let mut guard = ManuallyDrop::new(self);
        let len = size_of_val::<T>(&guard);
        guard.receiver.reject(len)
    }

    /// Passes the message to `f`, acknowledges it when `f` returns, and returns what `f` returned.
    /// If `f` panics, the message is returned.
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), sysvring::Error> {
    /// # let mut tx: spsc::Sender<[u64; 3]> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<[u64; 3]> = Options::id(tx.id()).attach()?;
    /// tx.send(&[1, 2, 3])?;
    /// let sum: u64 = rx.recv_ref()?.read(|message| message.iter().sum())?;
    /// assert_eq!((sum, rx.len()), (6, 0));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`ack`](Guard::ack); the result of `f` is dropped then.
    #[inline]
    pub fn read<R>(self, f: impl FnOnce(&T) -> R) -> Result<R, RecvError> {
        let result = f(&self);
        self.ack()?;
        Ok(result)
    }

    /// Passes the message to `f` and acknowledges it if `f` returns `Ok`. If `f` returns `Err` or
    /// panics, the message is returned: the next call to receive may get it again at once.
    ///
    /// ```
    /// # use sysvring::{Options, spsc};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut tx: spsc::Sender<[u8; 2]> = Options::private().create()?;
    /// # let mut rx: spsc::Receiver<[u8; 2]> = Options::id(tx.id()).attach()?;
    /// fn store(text: &[u8]) -> Result<u8, Box<dyn std::error::Error>> {
    ///     Ok(std::str::from_utf8(text)?.parse()?)
    /// }
    /// tx.send(b"no")?;
    /// assert!(rx.recv_ref()?.process(|text| store(text)).is_err());
    /// assert_eq!(rx.len(), 1); // still there
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The error of `f`, or that of [`ack`](Guard::ack).
    #[inline]
    pub fn process<R, E: From<RecvError>>(
        self,
        f: impl FnOnce(&T) -> Result<R, E>,
    ) -> Result<R, E> {
        let result = f(&self)?;
        self.ack()?;
        Ok(result)
    }
}

impl<T: Message + ?Sized> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the slot is ours until it is acknowledged, and its bytes are a `T`.
        unsafe { self.message.as_ref() }
    }
}

impl<T: Message + ?Sized> Drop for Guard<'_, T> {
    #[cold]
    fn drop(&mut self) {
        // The next call reports an error of this one.
        let _ = self.receiver.release();
    }
}

impl<T: Message + fmt::Debug + ?Sized> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&&**self).finish()
    }
}
