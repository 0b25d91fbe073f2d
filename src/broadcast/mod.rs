//! Broadcast channels: one [`Sender`], and any number of [`Receiver`]s, each of which gets every
//! message.
//!
//! All receivers read the same slots, so a message is written once, however many there are. The sender
//! is a seat, as in [`spsc`](crate::spsc): a second one cannot join while it lives, and a successor
//! continues where a dead one stopped. Up to 253 receivers come and go as they like; set
//! [`max_members`](crate::Options::max_members) for more than 63.
//!
//! ```
//! use sysvring::{Options, broadcast};
//!
//! # fn main() -> Result<(), sysvring::Error> {
//! let mut prices: broadcast::Sender<u64> = Options::private().create()?;
//! let mut trader: broadcast::Receiver<u64> = Options::id(prices.id()).attach()?;
//! let mut logger: broadcast::Receiver<u64> = Options::id(prices.id()).attach()?;
//! prices.send(&101)?;
//! assert_eq!((trader.recv()?, logger.recv()?), (101, 101));
//! # Ok(()) }
//! ```
//!
//! # Who gets what
//!
//! Every receiver gets every message that is sent while it is there, in order. A message stays in its
//! slot until the last living receiver has acknowledged it, and after that until the sender needs the
//! slot: at least the last messages of half of the ring are there. So a receiver that comes
//! late [starts](crate::Options::start) at the oldest message that the sender may not overwrite yet,
//! unless it asks for the [next](Start::Next) one or for a [position](Start::Position). While there is
//! no receiver, the sender goes on, and the last messages stay in the ring.
//!
//! The sender waits for the slowest receiver, unless the channel is [overwriting](#overwriting).
//! [`Stat`](crate::Stat) shows how far each is behind
//! ([`lag`](crate::Member::lag)), and a call that gives up waiting names the slowest one
//! ([`SendError::Blocked`](crate::SendError::Blocked)). A receiver that is only slow is never left
//! out. One that is dead is, as soon as the sender has no room: the kernel tells. So no call of a sender
//! returns [`SendError::Disconnected`](crate::SendError::Disconnected).
//!
//! A receiver with the [label](crate::Options::label) of a dead one continues at the first message
//! that the dead one had not acknowledged, so that work under a [`Guard`] is done at least once. The
//! sender did not wait for it meanwhile: if messages were overwritten, the first call that receives
//! returns [`RecvError::Lagged`](crate::RecvError::Lagged) with their number. A receiver that left is
//! not succeeded by another one, nor one whose seat another receiver took meanwhile. If several dead receivers have the same label, their successor
//! continues where one of them stopped.
//!
//! To begin only when all receivers are there, use
//! [`Sender::wait_for_receivers`].
//!
//! # Overwriting
//!
//! With [`Options::overwriting`](crate::Options::overwriting), the sender waits for no receiver: when
//! the ring is full, it overwrites the oldest message. So no receiver slows down the sender or another
//! receiver. One that is a ring behind misses messages: the next call returns
//! [`RecvError::Lagged`](crate::RecvError::Lagged) with their number, once, and the one after that
//! continues a quarter of a ring after the oldest message, so that it is not overtaken again at once.
//! The sender does not know how far its receivers are: [`flush`](Sender::flush) returns at once, and
//! [`len`](Sender::len) is 0. [`Receiver::latest`] passes over all messages
//! but the newest one.
//!
//! Each message is copied to memory of the receiver, and checked to be whole, before it is returned,
//! also by [`recv_ref`](Receiver::recv_ref). One that was not acknowledged may be overwritten, too.
//!
//! ```
//! use sysvring::{Options, RecvError, broadcast};
//!
//! # fn main() -> Result<(), sysvring::Error> {
//! let options = Options::private().capacity(8).overwriting(true);
//! let mut tx: broadcast::Sender<u64> = options.create()?;
//! let mut rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach()?;
//! for n in 0..100 {
//!     tx.try_send(&n)?;
//! }
//! let Err(RecvError::Lagged { messages }) = rx.try_recv() else { panic!("it is behind") };
//! assert_eq!(rx.try_recv()?, messages);
//! assert_eq!(rx.latest()?, 99);
//! # Ok(()) }
//! ```
//!
//! # Calls
//!
//! The calls are those of [`spsc`](crate::spsc): by value, in place, in batches, blocking, not
//! blocking, with a timeout, and as futures. A receiver acknowledges for itself alone. There is no limit
//! of deliveries, and there are no dead letters: [`Guard::reject`] acknowledges the message for this
//! receiver, and counts it in [`Stat::rejected`](crate::Stat::rejected).

mod receiver;
mod sender;

pub use receiver::Receiver;
pub use sender::Sender;

pub use crate::ring::broadcast::Start;
pub use crate::spsc::{Guard, IntoIter, Iter, Loan, TryIter};
#[cfg(feature = "async")]
pub use crate::spsc::{IntoStream, Sink, Stream};

use crate::message::Message;

crate::poll::pollable!(Sender, Receiver);

impl<T: Message> IntoIterator for Receiver<T> {
    type Item = Result<T, crate::RecvError>;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        self.into_inner().into_iter()
    }
}

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

    use super::{Receiver, Sender};

    assert_impl_all!(Sender<u64>: Send, Debug);
    assert_impl_all!(Receiver<[u8]>: Send, Debug);
    assert_not_impl_any!(Sender<u64>: Sync, Clone);
    assert_not_impl_any!(Receiver<[u8]>: Sync, Clone);
}
