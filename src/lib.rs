//! Channels between processes over one System V shared-memory segment and one System V semaphore
//! set.
//!
//! [`spsc::Sender`] and [`spsc::Receiver`] feel like [`std::sync::mpsc`]'s, but sit in separate
//! processes, started in either order. A message is written into a slot of the shared segment, and
//! one cache line carries it across; while both sides are awake no system call is made, and a side
//! with nothing to do sleeps in the kernel. Any process may be killed at any instruction: what was
//! acknowledged is gone, what was sent is there, nothing is torn, the dead one's seat is free, and
//! its peer wakes and is told. [`mpmc`] has any number of senders and receivers, where another receiver
//! gets what a dead one had in hand.
//!
//! ```
//! use sysvring::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
//! use sysvring::{Lifetime, Options, spsc};
//!
//! #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
//! #[zerocopy(crate = "sysvring::zerocopy")]
//! #[repr(C)]
//! struct Tick {
//!     id: u64,
//!     price: f64,
//! }
//!
//! # fn main() -> Result<(), sysvring::Error> {
//! let ticks = || Options::named("doc-ticks").lifetime(Lifetime::LastMember);
//! // One process:                             another, before or after:
//! let mut tx: spsc::Sender<Tick> = ticks().open()?;
//! let mut rx: spsc::Receiver<Tick> = ticks().open()?;
//! tx.send(&Tick { id: 1, price: 9.5 })?;
//! assert_eq!(rx.recv()?.id, 1);
//! # Ok(()) }
//! ```
//!
//! # Messages
//!
//! A [`Message`] is bytes that may travel: any type with four traits of [`zerocopy`], which this
//! crate re-exports. Their derives name the crate `zerocopy`; with `zerocopy` among your own
//! dependencies nothing more is needed, without it the attribute above tells them where it is.
//! Received bytes are validated, so a `bool` of 7 is an error and not undefined behaviour. Types
//! that end in a slice, `[u8]` and `str` among them, are messages of variable length, up to
//! [`Options::slot_size`].
//!
//! # Life of a channel
//!
//! A channel is found by a name (each user has names of their own, see [`Options::owner`]), a raw
//! System V key, a file and a project number, or, without any of them, by an identifier that its
//! creator hands on. It is there from the first
//! [`open`](Options::open) until [`remove`] ([`Lifetime::Kept`], the default), or until its last
//! member leaves ([`Lifetime::LastMember`]). [`list`], [`stat`] and [`Observer`] look at channels
//! without joining them; [`reap`] removes what dead processes left.
//!
//! # Death
//!
//! That a process is alive is the kernel's word: each member holds a semaphore that the kernel gives
//! back (`SEM_UNDO`) when the process ends, whatever ended it and after its last thread can no longer
//! write. There are no heartbeats and no timeouts that could be wrong. The same step posts to the
//! other side's sleepers. A process loses its seat, and is told so, if it calls `unshare` for IPC or
//! System V semaphores. It keeps it over `exec`, though its memory is gone: close channels before.
//! A process that dumps core is dead when the dump is written.
//!
//! # Trust
//!
//! Whoever may write to the segment may write anything there. Receiving by value copies a message to
//! private memory before it is validated, and no address or length is taken from the segment
//! unchecked: a hostile member can withhold and invent messages, but not make this side undefined.
//! References *into* the segment ([`spsc::Guard`], [`spsc::Loan`]) trust every process that the mode
//! lets write. The default mode is `0o600`.
//!
//! # Limits
//!
//! 64-bit Linux, little-endian. The kernel's limits on segments and sets apply; see
//! [`Error::Limit`].

// Programs depend on this in their worst moments: it neither panics nor prints.
#![cfg_attr(
    not(any(test, loom)),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable),
    deny(clippy::todo, clippy::dbg_macro, clippy::print_stdout, clippy::print_stderr)
)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
compile_error!("sysvring is for 64-bit little-endian Linux");

mod address;
mod admin;
mod endpoint;
mod error;
mod flavor;
mod iter;
mod layout;
mod liveness;
mod message;
#[cfg(test)]
mod models;
pub mod mpmc;
mod open;
mod options;
mod os_error;
mod ring;
mod role;
mod segment;
pub mod spsc;
mod sync;
mod sysv;
mod wait;

pub use address::{Address, ChannelId};
pub use admin::observer::{Observer, list, stat};
pub use admin::reap::{Reaped, reap, remove};
pub use admin::stat::{Member, Role, Stat};
pub use endpoint::spsc::Peer;
pub use error::{BatchError, Error, Fault, RecvError, SendError};
pub use flavor::Flavor;
pub use message::Message;
pub use open::handle::Handle;
pub use options::Options;
pub use segment::{Lifetime, Redelivery};
pub use sysv::sem::SetStat;
pub use sysv::shm::SegmentStat;
pub use wait::adaptive_spin::Wait;

pub use zerocopy;

/// The examples of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The examples of the guide, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
struct Guide;

/// The examples of the page for operators, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../docs/operations.md")]
struct Operations;
