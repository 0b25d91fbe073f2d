//! Channels of any message type: a [`Sender`] and a [`Receiver`] of bytes.
//!
//! A typed handle knows its messages when it is compiled, and opens channels of that type and of its
//! flavor only. These handles open any channel, and take from it what it is: its
//! [flavor](Sender::flavor), the [layout of its messages](Sender::shape), its
//! [schema](Sender::schema), and, if the type of its creator describes itself, the
//! [structure](Sender::structure) of its messages. They are for programs that learn the type when they run: tools,
//! bridges to other protocols, bindings to other languages. The other members of the channel may be
//! typed or untyped, and do not notice the difference.
//!
//! - *Sending* checks the length: bytes that cannot be a message of the channel are
//!   [`SendError::WrongLength`](crate::SendError::WrongLength) or
//!   [`SendError::TooLong`](crate::SendError::TooLong), and nothing is sent. The values are not
//!   checked: a typed receiver gets [`RecvError::Invalid`](crate::RecvError::Invalid) for a `bool`
//!   of 7.
//! - *Receiving* returns whatever bytes were sent, if their number is possible.
//! - *Opening*: [`attach`](crate::Options::attach) takes an existing channel as it is. Options that
//!   are set must match it, as always. [`open`](crate::Options::open) and
//!   [`create`](crate::Options::create) make an MPMC channel of `[u8]` if there is none, or a
//!   broadcast channel if it is to be [overwriting](crate::Options::overwriting); to make another
//!   one, use a typed handle. A receiver of a broadcast channel starts as
//!   [`start`](crate::Options::start) and [`label`](crate::Options::label) say.
//! - *Delivery, waiting, death, the end of the stream* and the errors are those of the flavor.
//!   Whatever the flavor, calls take `&mut self`, and a handle has one message in flight, or
//!   one [`Batch`]. For more, and for many threads, open several handles, or a typed
//!   [`mpmc`](crate::mpmc) handle. In a [`broadcast`](crate::broadcast) channel,
//!   [`wait_for_peer`](Sender::wait_for_peer) of a sender returns when there is a receiver.
//!
//! ```
//! use sysvring::{Flavor, Options, SendError, spsc, untyped};
//!
//! # fn main() -> Result<(), sysvring::Error> {
//! let mut ticks: spsc::Receiver<u64> = Options::private().create()?;
//!
//! let mut tx: untyped::Sender = Options::id(ticks.id()).attach()?;
//! assert_eq!((tx.flavor(), tx.shape().size), (Flavor::Spsc, 8));
//! tx.send(&7u64.to_ne_bytes())?;
//! assert_eq!(ticks.recv()?, 7);
//!
//! let error = tx.send(b"7").unwrap_err();
//! assert_eq!(error, SendError::WrongLength { len: 1, size: 8, element: 0 });
//! # Ok(()) }
//! ```

#[cfg(feature = "async")]
mod asynchronous;
mod batch;
mod guard;
mod loan;
mod receiver;
mod recv_end;
mod send_end;
mod sender;

pub use batch::Batch;
pub use guard::Guard;
pub use loan::Loan;
pub use receiver::Receiver;
pub use sender::Sender;
#[cfg(feature = "postcard")]
pub(crate) use {receiver::copy_into, recv_end::Taken, send_end::Reserved};

mod handles {
    use core::fmt::Debug;

    use static_assertions::{assert_impl_all, assert_not_impl_any};

    use super::{Batch, Guard, Loan, Receiver, Sender};

    assert_impl_all!(Sender: Send, Debug);
    assert_impl_all!(Receiver: Send, Debug);
    // A task that holds one may move to another thread.
    assert_impl_all!(Guard<'static>: Send, Sync, Debug);
    assert_impl_all!(Batch<'static>: Send, Sync, Debug);
    assert_impl_all!(Loan<'static>: Send, Sync, Debug);
    assert_not_impl_any!(Sender: Sync, Clone);
    assert_not_impl_any!(Receiver: Sync, Clone);
    assert_not_impl_any!(Guard<'static>: Clone);
    assert_not_impl_any!(Batch<'static>: Clone);
    assert_not_impl_any!(Loan<'static>: Clone);
}
