//! Channels between processes over one System V shared-memory segment and one System V semaphore
//! set.
//!
//! [`spsc::Sender`] and [`spsc::Receiver`] resemble those of [`std::sync::mpsc`], but live in
//! separate processes, which may start in either order. A message is written into a slot of the
//! shared segment, and one cache line carries it across. While neither side is blocked, a message
//! needs no system call; a side that has nothing to do blocks in the kernel. Any process may be
//! killed at any instruction: acknowledged messages are gone, sent messages are available, no
//! message is torn, the seat of the dead process is free, and its peer wakes up and gets an error.
//! [`mpmc`] channels have any number of senders and receivers; there, a message that was in flight
//! in a receiver that died is delivered to another receiver. [`broadcast`] channels have one sender,
//! and each of their receivers gets every message. [`untyped`] handles open channels of any flavor and
//! message type, as bytes.
//!
#![cfg_attr(feature = "macros", doc = "```")]
#![cfg_attr(not(feature = "macros"), doc = "```ignore")]
//! use sysvring::{Lifetime, Options, spsc};
//!
//! #[sysvring::message]
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
//! [`#[sysvring::message]`](macro@message) declares a struct or a fieldless enum as a [`Message`]; numbers,
//! `bool`, `char` and arrays of messages are messages already. Types that end in a slice, including
//! `[u8]` and `str`, have variable length, up to [`Options::slot_size`]. A declaration with padding,
//! references or pointers does not compile, and the error says what to do. Received bytes are validated,
//! so a `bool` of 7 is an error and not undefined behaviour. [`Message`] says how to do without the
//! attribute, which belongs to the feature `macros`, on by default.
//!
//! # Life of a channel
//!
//! A channel is found by a name (names are per user, see [`Options::owner`]), by a raw System V
//! key, by a file and a project number, or, if it has none of these, by an identifier that its
//! creator passes on. It exists from the first [`open`](Options::open) until [`remove`]
//! ([`Lifetime::Kept`], the default), or until its last member leaves ([`Lifetime::LastMember`]).
//! [`list`], [`stat`] and [`Observer`] examine channels without joining them, a [`Tap`] reads their
//! messages, and [`unusable`] returns what is broken; [`reap`] removes what dead processes left
//! behind, and [`reapable`] only reports it.
//!
//! # Death
//!
//! The kernel tracks which processes are alive: each member holds a semaphore with `SEM_UNDO`,
//! which the kernel gives back when the process ends for any reason, after its last thread can no
//! longer write. There are no heartbeats and no timeouts that could be wrong. The same step posts
//! to the blocked waiters of the other side. A process that calls `unshare` for IPC or System V
//! semaphores loses its seat, and its calls return [`Fault::LivenessLost`]. After `exec`, a process
//! keeps its seat although its mapping is gone: close channels before `exec`. A process that dumps core
//! counts as dead once the dump is written.
//!
//! # Trust
//!
//! A process that may write to the segment may write anything there. Receiving by value copies a
//! message to private memory before it is validated, and no address or length is taken from the
//! segment unchecked: a malicious member can withhold and forge messages, but cannot cause
//! undefined behaviour in this process. References *into* the segment (a `Guard` or a `Loan`, such
//! as [`spsc::Guard`] and [`spsc::Loan`]) trust every process that the mode lets write. The default
//! mode is `0o600`.
//!
//! # Limits
//!
//! 64-bit Linux, little-endian. The kernel's limits on segments and sets apply; see
//! [`Error::Limit`].

// Programs depend on this crate when other processes fail: it neither panics nor prints.
#![cfg_attr(
    not(any(test, loom)),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable),
    deny(clippy::todo, clippy::dbg_macro, clippy::print_stdout, clippy::print_stderr)
)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
compile_error!("sysvring is for 64-bit little-endian Linux");

mod address;
mod admin;
pub mod broadcast;
mod dead_letter;
mod doorbell;
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
mod poll;
#[cfg(feature = "postcard")]
mod postcard;
mod protocol;
mod ring;
mod role;
mod segment;
pub mod spsc;
mod structure;
mod sync;
mod sysv;
pub mod untyped;
mod wait;

#[cfg(feature = "postcard")]
pub use crate::postcard::Postcard;
pub use address::{Address, ChannelId};
pub use admin::missing_set::MissingSet;
pub use admin::observer::{Observer, list, stat};
pub use admin::reap::{Reaped, reap, reapable};
pub use admin::remove::remove;
pub use admin::stat::rates::{MemberRates, Rates};
pub use admin::stat::{Member, Role, Stat, StreamState};
pub use admin::tap::{Tap, TapStart, Tapped};
pub use admin::unusable::{Defect, IpcObject, Unusable, unusable};
pub use dead_letter::DeadLetter;
pub use endpoint::interrupter::Interrupter;
pub use endpoint::peer::Peer;
pub use error::Error;
pub use error::call::{BatchError, RecvError, SendError};
pub use error::dead_letter::DeadLetterFailure;
pub use error::fault::Fault;
pub use error::permissions::Permissions;
pub use error::registration_failure::RegistrationFailure;
pub use error::value::{ValueError, ValueFailure};
pub use flavor::Flavor;
#[doc(hidden)]
pub use message::check as __message;
pub use message::{Message, MessageLayout};
pub use open::handle::Handle;
pub use options::Options;
pub use poll::Pollable;
pub use poll::event::{Event, Interest, Token};
pub use poll::readiness::Readiness;
pub use poll::wait_set::{Notifier, WaitSet};
pub use segment::Lifetime;
pub use segment::redelivery::Redelivery;
pub use structure::compare::Difference;
pub use structure::number::{ByteOrder, Number, NumberType};
pub use structure::parse::ParseStructureError;
pub use structure::{Field, Structure, Variant};
#[doc(hidden)]
pub use sysv::cgroup::{GroupMemory, group_memory};
pub use sysv::sem::SetStat;
pub use sysv::shm::SegmentStat;
/// Declares a struct or a fieldless enum as a [`Message`].
///
/// ```
/// use sysvring::{Options, spsc};
///
/// #[sysvring::message]
/// struct Order {
///     id: u64,
///     price: f64,
///     side: Side,
///     _pad: [u8; 7],
/// }
///
/// #[sysvring::message]
/// enum Side {
///     Buy,
///     Sell,
/// }
///
/// # fn main() -> Result<(), sysvring::Error> {
/// let mut tx: spsc::Sender<Order> = Options::private().create()?;
/// let mut rx: spsc::Receiver<Order> = Options::id(tx.id()).attach()?;
/// tx.send(&Order { id: 1, price: 9.5, side: Side::Sell, _pad: [0; 7] })?;
/// assert!(matches!(rx.recv()?.side, Side::Sell));
/// # Ok(()) }
/// ```
///
/// A struct may end in a slice: then its messages have variable length. The fields in front of a slice of
/// bytes must not be aligned, because the struct would have padding behind the slice. The numbers of
/// [`zerocopy::native_endian`] are not:
///
/// ```
/// use sysvring::zerocopy::native_endian::U64;
/// use sysvring::{Options, spsc};
///
/// #[sysvring::message]
/// struct Line {
///     number: U64,
///     text: [u8],
/// }
///
/// # fn main() -> Result<(), sysvring::Error> {
/// let mut tx: spsc::Sender<Line> = Options::private().create()?;
/// let mut line = tx.loan_with(5)?; // 5 bytes of text
/// line.number.set(1);
/// line.text.copy_from_slice(b"hello");
/// line.commit()?;
/// # Ok(()) }
/// ```
///
/// # What it adds
///
/// * `#[repr(C)]` to a struct and `#[repr(u8)]` to an enum, which fix the place of each byte. Others are
///   kept: `packed`, `align(64)` and `transparent` of a struct, and another integer of an enum, such as
///   `#[repr(u16)]`.
/// * The derives `IntoBytes`, `Immutable`, `KnownLayout`, and `FromBytes` or `TryFromBytes`, of
///   [`zerocopy`], unless the declaration has them itself, *below* this attribute. No dependency on
///   zerocopy is needed. A struct of plain numbers, and arrays and slices of them, implements `FromBytes`:
///   all bytes are values of it, so it can be written in place
///   ([`loan`](spsc::Sender::loan)). Plain numbers are recognised by their names, also `U16`, `F64` and the
///   others of zerocopy: if a type of your own with such a name has fewer values, write
///   `#[derive(sysvring::zerocopy::TryFromBytes)]` below this attribute.
/// * An implementation of [`Message`], whose [`structure`](Message::structure) has the names and types of
///   all fields. The two sides of a channel compare it. Generic arguments are part of it as far as types of
///   fields depend on them.
///
/// # Arguments
///
/// | argument | effect |
/// |---|---|
/// | `#[sysvring::message(from_bytes)]` | derives `FromBytes` for a type with fields of other types that implement it |
/// | `#[sysvring::message(crate = "path")]` | the name under which a program depends on this crate, or a path such as `crate::other::sysvring` |
/// | `#[message(opaque)]` on a field | compares the field by its size; for types that implement the traits of zerocopy and not [`Message`], and not for a type parameter with `?Sized` |
///
/// # What does not compile
///
/// * **Padding.** The error names the field and the missing bytes, such as `_pad: [u8; 7]`.
///
///   ```compile_fail
///   #[sysvring::message]
///   struct Tick {
///       id: u8,
///       price: f64, // error: 7 bytes of padding in front of field `price`
///   }
///   ```
/// * **References and pointers**, such as `&str`, `String` and `Vec`, and lifetimes: other processes cannot
///   follow them. Use an array, or end the struct in a slice.
/// * **Types without a fixed layout**, such as `Option<u64>`, tuples and `Duration`, and enums with fields.
/// * **Fields in front of another that ends in a slice, and `str` as a field.** Only the message itself ends in a
///   slice.
/// * **Variants whose numbers do not fit** the integer of the enum: the error names one that does.
/// * **A generic struct of several fields that are aligned**, because its padding is not known. A generic type
///   that is such a field derives [`zerocopy::Unaligned`].
/// * **Names with characters that are neither letters nor digits**, such as combining marks, which identifiers
///   may contain: the text of a [`Structure`] does not.
#[cfg(feature = "macros")]
#[doc(inline)]
pub use sysvring_macros::message;
pub use wait::adaptive_spin::Wait;

pub use zerocopy;

/// The examples of the README, compiled and run.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The examples of the guide, compiled and run.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../docs/guide.md")]
struct Guide;

/// The examples of the document for operators, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../docs/operations.md")]
struct Operations;
