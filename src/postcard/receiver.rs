//! Receiving values: from a private copy of the message, or under a guard.

use core::cell::Cell;
use core::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::ends::Take;
use super::{Postcard, codec};
use crate::error::RecvError;
use crate::untyped::{Taken, copy_into};
use crate::wait::blocking::Blocking;
use crate::{broadcast, mpmc, spsc};

/// The capacity in bytes up to which a thread keeps the memory for its next message.
const KEPT_MAX: usize = 1 << 16;

thread_local! {
    /// Memory for the copy of a message, empty while a call uses it.
    static COPY: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Copies a message, acknowledges it, and deserialises the copy: whatever other processes write into the
/// slot meanwhile, the value is deserialised from bytes that do not change.
fn receive<T: DeserializeOwned>(taken: Taken<'_>) -> Result<T, RecvError> {
    let position = taken.position();
    // In a destructor of a thread it may be gone.
    let mut copy = COPY.try_with(Cell::take).unwrap_or_default();
    let value = copy_into(taken, &mut copy).and_then(|()| {
        codec::deserialize(&copy).map_err(|cause| RecvError::NotDeserialized { position, cause })
    });
    if copy.capacity() <= KEPT_MAX {
        let _ = COPY.try_with(|kept| kept.set(copy));
    }
    value
}

/// Defines the calls of a receiver. The second argument is how they borrow it.
macro_rules! receive_values {
    ($flavor:ident, ($($mutable:ident)?)) => {
        /// Receiving values of serde types (feature `postcard`).
        impl<T: DeserializeOwned> $flavor::Receiver<Postcard<T>> {
            /// Receives the next value, blocking until one arrives. The message is copied, acknowledged
            /// and then deserialised.
            ///
            /// # Errors
            /// As for [`recv_boxed`](Self::recv_boxed), and [`RecvError::NotDeserialized`] if the bytes
            /// are no value of the type: that message is discarded, and the next call receives the next
            /// one. To keep such messages, receive [in place](Self::recv_ref) and
            #[doc = concat!("[reject](crate::", stringify!($flavor), "::Guard::reject) them.")]
            pub fn recv_value(&$($mutable)? self) -> Result<T, RecvError> {
                receive(self.as_end().take_next(Blocking::Forever)?)
            }

            /// Attempts to receive a value without blocking.
            ///
            /// # Errors
            /// As for [`try_recv_boxed`](Self::try_recv_boxed) and [`recv_value`](Self::recv_value).
            pub fn try_recv_value(&$($mutable)? self) -> Result<T, RecvError> {
                receive(self.as_end().take_next(Blocking::Never)?)
            }

            /// Receives the next value, blocking for at most `timeout`.
            ///
            /// # Errors
            /// As for [`recv_boxed_timeout`](Self::recv_boxed_timeout) and
            /// [`recv_value`](Self::recv_value).
            pub fn recv_value_timeout(
                &$($mutable)? self,
                timeout: Duration,
            ) -> Result<T, RecvError> {
                receive(self.as_end().take_next(Blocking::For(timeout))?)
            }

            /// Receives the next value, waiting for one without blocking the thread (feature `async`).
            ///
            /// # Cancel safety
            /// A future that is dropped before it is ready has taken no message.
            ///
            /// # Errors
            /// As for [`recv_boxed_async`](Self::recv_boxed_async) and
            /// [`recv_value`](Self::recv_value).
            #[cfg(feature = "async")]
            pub async fn recv_value_async(&$($mutable)? self) -> Result<T, RecvError> {
                receive(self.as_end().take_next_async().await?)
            }
        }
    };
}

receive_values!(spsc, (mut));
receive_values!(broadcast, (mut));
receive_values!(mpmc, ());

/// Defines the calls of a guard.
macro_rules! guard_values {
    ($flavor:ident, $binding:literal) => {
        /// Values of serde types, deserialised in place (feature `postcard`).
        impl<T: DeserializeOwned> $flavor::Guard<'_, Postcard<T>> {
            /// Deserialises the value, which remains unacknowledged: [`ack`](Self::ack) acknowledges it,
            /// and [`reject`](Self::reject) moves one that is malformed to the dead letters.
            ///
            /// ```
            #[doc = concat!("# use sysvring::{Options, Postcard, ", stringify!($flavor), "};")]
            /// # fn main() -> Result<(), sysvring::Error> {
            #[doc = concat!("let ", $binding, "tx: ", stringify!($flavor), "::Sender<Postcard<Vec<u16>>> = Options::private().create()?;")]
            #[doc = concat!("let ", $binding, "rx: ", stringify!($flavor), "::Receiver<Postcard<Vec<u16>>> = Options::id(tx.id()).attach()?;")]
            /// tx.send_value(&vec![1, 2, 3])?;
            /// let message = rx.recv_ref()?;
            /// let result = message.value();
            /// match &result {
            ///     Ok(_) => message.ack()?,
            ///     Err(_) => message.reject()?,
            /// }
            /// assert_eq!(result?, [1, 2, 3]);
            /// # Ok(()) }
            /// ```
            ///
            /// # Errors
            /// [`RecvError::NotDeserialized`] if the bytes are no value of the type.
            pub fn value(&self) -> Result<T, RecvError> {
                self.value_as()
            }

            /// Deserialises the value as another type with the same format, which may borrow from the
            /// message; see [`Postcard::value_as`].
            ///
            /// # Errors
            /// As for [`value`](Self::value).
            pub fn value_as<'v, V: Deserialize<'v>>(&'v self) -> Result<V, RecvError> {
                let position = self.position();
                let value = Postcard::value_as(self);
                value.map_err(|cause| RecvError::NotDeserialized { position, cause })
            }
        }
    };
}

// Those of broadcast channels are those of `spsc`.
guard_values!(spsc, "mut ");
guard_values!(mpmc, "");
