//! Many to many: a channel with any number of [`Sender`]s and [`Receiver`]s, up to its
//! [`members`](crate::Options::members).
//!
//! Every message goes to one receiver. They come in one order, by position: each receiver sees the
//! messages of one sender in the order in which they were sent.
//!
//! A handle is used by reference, from all threads of its process, and cloned like an `Arc`: clones
//! are the same member. [`try_clone`](Sender::try_clone) makes another member, with a seat and
//! counters of its own.
//!
//! Any member may be killed at any instruction. A message that was claimed but not sent is stepped
//! over, by whoever meets it. One that was received but not acknowledged is delivered again to
//! another receiver, or dropped, as the channel's [`Redelivery`](crate::Redelivery) says: work done
//! under a [`Guard`] is done at least once, and [`Guard::delivery_count`] tells when it may have been
//! begun before. Positions are unique: who keeps the last one it has seen, or a set of them, can make
//! the effect exactly once. [`deaths`](Receiver::deaths) tells who died.
//!
//! A member that is merely slow or stopped is never taken for dead: the message it writes holds up
//! those behind it, and a call that waits for it says whom it waits for, once its time is over
//! ([`RecvError::Behind`](crate::RecvError::Behind)).
//!
//! ```
//! use sysvring::{Options, mpmc};
//!
//! # fn main() -> Result<(), sysvring::Error> {
//! let jobs: mpmc::Sender<u64> = Options::private().members(8).create()?;
//! let worker: mpmc::Receiver<u64> = Options::id(jobs.id()).attach()?; // in each of some processes
//! jobs.send(&7)?;
//! let job = worker.recv_ref()?; // in hand: another worker gets it if this one is killed
//! assert_eq!((*job, job.delivery_count()), (7, 1));
//! drop(job); // done
//! # Ok(()) }
//! ```

mod guard;
mod loan;
mod receiver;
mod sender;

pub use crate::endpoint::mpmc::Death;
pub use guard::Guard;
pub use loan::Loan;
pub use receiver::Receiver;
pub use sender::Sender;

use crate::message::Message;

crate::iter::iterators!(Receiver, &'a Receiver<T>);

impl<'a, T: Message> IntoIterator for &'a Receiver<T> {
    type Item = Result<T, crate::RecvError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
