//! Sending values: serialised straight into a slot.

use core::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ends::Lend;
use super::{Postcard, codec};
use crate::error::SendError;
use crate::untyped::{Loan, Reserved};
use crate::wait::blocking::Blocking;
use crate::{broadcast, mpmc, spsc};

/// Serialises a value into a reserved slot, and sends it. On an error, and if the value's own code
/// panics, the slot is given up.
fn send<T: Serialize>(slot: Reserved<'_>, value: &T) -> Result<(), SendError> {
    let max = slot.slot_size();
    let mut loan = Loan::new(slot, max);
    let len = codec::serialize(value, &mut loan)?;
    loan.truncate(len);
    loan.commit()
}

/// Defines the calls of a sender. The second argument is how they borrow it, the third one the kind of
/// its bindings in examples.
macro_rules! send_values {
    ($flavor:ident, ($($mutable:ident)?), $binding:literal) => {
        /// Sending values of serde types (feature `postcard`).
        impl<T: Serialize + DeserializeOwned> $flavor::Sender<Postcard<T>> {
            /// Sends a value, serialised straight into the slot, blocking while the channel is full.
            /// It allocates nothing, as far as `T` does not.
            ///
            /// The value is written as into a [loan](Self::loan_with), and its slot is reserved before it
            /// is serialised: whether it fits is known after that.
            ///
            /// ```
            #[doc = concat!("# use sysvring::{Options, Postcard, ", stringify!($flavor), "};")]
            /// # fn main() -> Result<(), sysvring::Error> {
            #[doc = concat!("let ", $binding, "tx: ", stringify!($flavor), "::Sender<Postcard<(u32, String)>> =")]
            ///     Options::private().slot_size(256).create()?;
            #[doc = concat!("let ", $binding, "rx: ", stringify!($flavor), "::Receiver<Postcard<(u32, String)>> =")]
            ///     Options::id(tx.id()).attach()?;
            /// tx.send_value(&(7, "hello".into()))?;
            /// assert_eq!(rx.recv_value()?, (7, "hello".into()));
            /// # Ok(()) }
            /// ```
            ///
            /// # Errors
            /// As for [`send`](Self::send), and nothing is sent:
            /// - [`SendError::TooLong`] if the value needs more bytes than a slot has, with both numbers;
            /// - [`SendError::NotSerialized`] if it cannot be serialised.
            pub fn send_value(&$($mutable)? self, value: &T) -> Result<(), SendError> {
                send(self.as_end().reserve_slot(Blocking::Forever)?, value)
            }

            /// Attempts to send a value without blocking.
            ///
            /// # Errors
            /// As for [`try_send`](Self::try_send) and [`send_value`](Self::send_value). A full channel
            /// is reported before the value is serialised.
            pub fn try_send_value(&$($mutable)? self, value: &T) -> Result<(), SendError> {
                send(self.as_end().reserve_slot(Blocking::Never)?, value)
            }

            /// Sends a value, blocking for at most `timeout`.
            ///
            /// # Errors
            /// As for [`send_timeout`](Self::send_timeout) and [`send_value`](Self::send_value).
            pub fn send_value_timeout(
                &$($mutable)? self,
                value: &T,
                timeout: Duration,
            ) -> Result<(), SendError> {
                send(self.as_end().reserve_slot(Blocking::For(timeout))?, value)
            }

            /// Sends a value, waiting without blocking the thread while the channel is full (feature
            /// `async`).
            ///
            /// # Cancel safety
            /// A future that is dropped before it is ready has sent nothing.
            ///
            /// # Errors
            /// As for [`send_async`](Self::send_async) and [`send_value`](Self::send_value).
            #[cfg(feature = "async")]
            pub async fn send_value_async(&$($mutable)? self, value: &T) -> Result<(), SendError> {
                send(self.as_end().reserve_slot_async().await?, value)
            }
        }
    };
}

send_values!(spsc, (mut), "mut ");
send_values!(broadcast, (mut), "mut ");
send_values!(mpmc, (), "");
