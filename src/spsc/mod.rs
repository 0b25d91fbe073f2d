//! SPSC channels, with one [`Sender`] and one [`Receiver`].
//!
//! Each side is a seat. Opening a second sender fails with the pid of the process that holds the
//! seat. When that process ends for any reason, its seat is free at once, and its successor
//! continues where it stopped: sent messages are delivered, and messages that were not acknowledged
//! are delivered again.
//!
//! | calls | message | acknowledged | for |
//! |---|---|---|---|
//! | [`send`], [`recv`] | by value | before the call returns | sized messages |
//! | [`send`], [`recv_boxed`] | by value | before the call returns | any message |
//! | [`loan`], [`recv_ref`] | in place | by [`Guard::ack`] | large messages, no lost work |
//! | [`send_batch`], [`recv_batch`] | by value | once for the batch | many small messages |
//!
//! [`send`]: Sender::send
//! [`recv`]: Receiver::recv
//! [`recv_boxed`]: Receiver::recv_boxed
//! [`loan`]: Sender::loan
//! [`recv_ref`]: Receiver::recv_ref
//! [`send_batch`]: Sender::send_batch
//! [`recv_batch`]: Receiver::recv_batch
//!
//! Receiving by value gives at-most-once processing: if the receiver is killed after the call
//! returned, the message is not delivered again. Work done under a [`Guard`] before
//! [`ack`](Guard::ack) is done at least once.
//!
//! Each of these calls blocks, and has a `try_` form that never blocks and a `_timeout` form,
//! except `send_batch`, which has no `_timeout` form.
//!
//! A large message is written and read in its slot, without a copy:
//!
#![cfg_attr(feature = "macros", doc = "```")]
#![cfg_attr(not(feature = "macros"), doc = "```ignore")]
//! use sysvring::{Options, spsc};
//!
//! #[sysvring::message]
//! struct Frame {
//!     number: u64,
//!     pixels: [u8; 65_528],
//! }
//!
//! # fn main() -> Result<(), sysvring::Error> {
//! let mut tx: spsc::Sender<Frame> = Options::private().capacity(16).create()?;
//! let mut rx: spsc::Receiver<Frame> = Options::id(tx.id()).attach()?;
//! let mut frame = tx.loan()?;
//! frame.number = 1;
//! frame.pixels.fill(7);
//! frame.commit()?;
//! let frame = rx.recv_ref()?;
//! assert_eq!((frame.number, frame.pixels[65_527]), (1, 7));
//! frame.ack()?;
//! # Ok(()) }
//! ```

mod guard;
mod loan;
mod receiver;
mod recv_end;
mod send_end;
mod sender;

pub use guard::Guard;
pub use loan::Loan;
pub use receiver::Receiver;
pub(crate) use recv_end::RecvEnd;
pub(crate) use send_end::SendEnd;
pub use sender::Sender;
#[cfg(feature = "async")]
pub use {
    receiver::asynchronous::{IntoStream, Stream},
    sender::asynchronous::Sink,
};

use crate::message::Message;

crate::poll::pollable!(Sender, Receiver);

crate::iter::iterators!(Receiver, &'a mut Receiver<T>);

impl<'a, T: Message> IntoIterator for &'a mut Receiver<T> {
    type Item = Result<T, crate::RecvError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Assertions: a handle belongs to one thread at a time, and may move to another.
mod handles {
    use core::fmt::Debug;

    use static_assertions::{assert_impl_all, assert_not_impl_any};

    use super::{Guard, IntoIter, Iter, Loan, Receiver, Sender, TryIter};

    assert_impl_all!(Sender<u64>: Send, Debug);
    assert_impl_all!(Sender<[u8]>: Send, Debug);
    assert_impl_all!(Receiver<u64>: Send, Debug);
    assert_impl_all!(Receiver<[u8]>: Send, Debug);
    assert_impl_all!(Guard<'static, [u8]>: Debug);
    assert_impl_all!(Loan<'static, [u8]>: Debug);
    assert_impl_all!(Iter<'static, u64>: Send, Debug);
    assert_impl_all!(TryIter<'static, u64>: Send, Debug);
    assert_impl_all!(IntoIter<u64>: Send, Debug);
    assert_not_impl_any!(Sender<u64>: Sync, Clone);
    assert_not_impl_any!(Sender<[u8]>: Sync, Clone);
    assert_not_impl_any!(Receiver<u64>: Sync, Clone);
    assert_not_impl_any!(Receiver<[u8]>: Sync, Clone);
    assert_not_impl_any!(Guard<'static, u64>: Sync, Clone);
    assert_not_impl_any!(Loan<'static, u64>: Sync, Clone);
}
