//! One to one: a channel with one [`Sender`] and one [`Receiver`].
//!
//! Each side is a seat. A second sender is refused with the process that sits there; when that
//! process ends, however it does, its seat is free at once, and whoever takes it goes on where the
//! dead one stopped: what was sent is delivered, what was not acknowledged is delivered again.
//!
//! | call | by | acknowledges | for |
//! |---|---|---|---|
//! | [`send`](Sender::send), [`recv`](Receiver::recv) | value | before it returns | sized messages |
//! | [`send`](Sender::send), [`recv_boxed`](Receiver::recv_boxed) | value | before it returns | any message |
//! | [`loan`](Sender::loan), [`recv_ref`](Receiver::recv_ref) | place | when the [`Guard`] is dropped | large messages, work that must not be lost |
//! | [`send_batch`](Sender::send_batch), [`recv_batch`](Receiver::recv_batch) | value | once for all | many small messages |
//!
//! Receiving by value is at most once for the application: a receiver killed after the call returned
//! has had the message. Work done under a [`Guard`] is at least once.
//!
//! Every blocking call has a `try_` form that never waits and a `_timeout` form, but for batches to
//! send, which have no `_timeout`.
//!
//! A large message is written and read in its slot, without a copy:
//!
//! ```
//! use sysvring::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
//! use sysvring::{Options, spsc};
//!
//! #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
//! #[zerocopy(crate = "sysvring::zerocopy")]
//! #[repr(C)]
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
//! frame.commit();
//! let frame = rx.recv_ref()?;
//! assert_eq!((frame.number, frame.pixels[65_527]), (1, 7));
//! # Ok(()) }
//! ```

mod guard;
mod loan;
mod receiver;
mod sender;

pub use guard::Guard;
pub use loan::Loan;
pub use receiver::Receiver;
pub use sender::Sender;

use crate::message::Message;

crate::iter::iterators!(Receiver, &'a mut Receiver<T>);

impl<'a, T: Message> IntoIterator for &'a mut Receiver<T> {
    type Item = Result<T, crate::RecvError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// A handle is one thread's at a time, and may be another's later.
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
