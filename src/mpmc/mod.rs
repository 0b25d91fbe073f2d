//! MPMC channels, with any number of [`Sender`]s and [`Receiver`]s, up to the channel's
//! [`members`](crate::Options::max_members).
//!
//! Every message is delivered to one receiver. Messages have one order, by position: each receiver
//! sees the messages of one sender in the order in which they were sent.
//!
//! A handle is used by reference, from all threads of its process, and cloned like an `Arc`: clones
//! are the same member. [`try_clone`](Sender::try_clone) joins as another member, with its own seat
//! and counters.
//!
//! Any member may be killed at any instruction. If a sender dies after it claimed a slot and before
//! it published the message, the next member that reaches the slot skips it. A message that was
//! received but not acknowledged is delivered again to another receiver, or dropped, according to
//! the channel's [`Redelivery`](crate::Redelivery): work done under a [`Guard`] before
//! [`ack`](Guard::ack) is done at least once, and [`Guard::delivery_count`] shows whether it may have been begun before. Positions are
//! unique: a receiver that records the last position it has processed, or a set of them, can make
//! the effect exactly once. [`deaths`](Receiver::deaths) returns the members that died.
//!
//! A member that is merely slow or stopped is never treated as dead. A receiver that holds a message
//! for long costs the ring one slot: senders step over it, and the order of the others is kept. A
//! message that a sender is writing delays those behind it, and a call that waits for it and times
//! out returns its pid ([`RecvError::Blocked`](crate::RecvError::Blocked)).
//!
//! ```
//! use sysvring::{Options, mpmc};
//!
//! # fn main() -> Result<(), sysvring::Error> {
//! let jobs: mpmc::Sender<u64> = Options::private().max_members(8).create()?;
//! let worker: mpmc::Receiver<u64> = Options::id(jobs.id()).attach()?; // in each worker process
//! jobs.send(&7)?;
//! let job = worker.recv_ref()?; // in flight: another worker gets it if this one is killed
//! assert_eq!((*job, job.delivery_count()), (7, 1));
//! job.ack()?;
//! # Ok(()) }
//! ```

mod dead_letters;
mod guard;
mod loan;
mod receiver;
mod recv_end;
mod send_end;
mod sender;

pub use crate::endpoint::deaths::Death;
pub(crate) use dead_letters::DeadLetters;
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

crate::iter::iterators!(Receiver, &'a Receiver<T>);

impl<'a, T: Message> IntoIterator for &'a Receiver<T> {
    type Item = Result<T, crate::RecvError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
