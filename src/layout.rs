//! The layout of the segment: the header at offset zero, then the tables and the slots.
//! `docs/design/memory-layout.md` documents it byte by byte.
//!
//! Which process may write which part:
//!
//! * [`Identity`], the names and the description: the process that holds the lifecycle semaphore and finds no users;
//!   never changed while there are members. The magic is stored last (Release) and loaded first
//!   (Acquire).
//! * `tail`: the sender. `head`, `credit`: the receiver. In MPMC channels, `tail` and `head` are
//!   hints that every member may move. In broadcast channels, `credit` belongs to the sender, and
//!   `head` to the receivers that join: each has a [`Progress`] of its own.
//! * a [`Parking`] line: the members of its own side park, leave and join there, and clear PARKED
//!   after they found work by themselves; the members of the other side clear PARKED when they wake
//!   that side, and set and clear LEFT when they find that side empty or not. A sender reads
//!   `receivers` for every message, so no frequently written field may ever share that line.
//! * a [`Member`] record and a word of the waiting table: the member that has that seat. Others
//!   only clear the count of waiting threads, of a seat that they found without a member, and mark
//!   an armed doorbell as rung.
//!
//! All fields are fixed-width integers, and all of them are atomics. Offsets are computed from the
//! types, so that the same code runs over loom's atomics, which have another size; the numbers of
//! the wire format are asserted below for every ordinary build.

use crate::flavor::Flavor;
use crate::sync::plain;
use crate::sync::{AtomicU32, AtomicU64, Tracked};

/// "SYSVRING" as it appears in a dump of the segment.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"SYSVRING");
/// The layout version. It changes with every change of the layout; a process refuses to attach to a
/// segment of another version.
pub(crate) const VERSION: u32 = 4;
/// The maximum length of a channel name, in bytes.
pub(crate) const NAME_MAX: usize = 128;
/// The maximum length of a member label, in bytes.
pub(crate) const LABEL_MAX: usize = 32;
/// The maximum length of the text of a structure, in bytes.
pub(crate) const STRUCTURE_MAX: usize = 65_536;
/// The alignment of the first slot, and so the maximum alignment of a message.
pub(crate) const SLOTS_ALIGN: usize = 4096;

/// A value alone on its pair of cache lines (the hardware prefetcher loads lines in pairs).
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

/// The constant facts of a channel, written once.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Identity {
    pub(crate) magic: plain::AtomicU64,
    pub(crate) version: plain::AtomicU32,
    /// The offset of the first slot, in bytes.
    pub(crate) header_size: plain::AtomicU32,
    /// 1: SPSC, 2: MPMC, 3: broadcast.
    pub(crate) flavor: plain::AtomicU32,
    /// The number of records in the members' table.
    pub(crate) seats: plain::AtomicU32,
    /// The number of slots in the ring, a power of two.
    pub(crate) capacity: plain::AtomicU64,
    /// The maximum length of a message, in bytes.
    pub(crate) slot_size: plain::AtomicU64,
    /// The distance from one slot to the next, in bytes.
    pub(crate) stride: plain::AtomicU64,
    /// 1: every message has the same size, 2: any length up to the slot size.
    pub(crate) shape: plain::AtomicU32,
    /// The alignment of the message type, in bytes.
    pub(crate) align: plain::AtomicU32,
    /// Shape 1: the size of a message. Shape 2: the number of bytes before the trailing slice.
    pub(crate) size: plain::AtomicU64,
    /// Shape 2: the size of one element of the trailing slice.
    pub(crate) element: plain::AtomicU64,
    /// A number for the message type, chosen by the user; 0 for none.
    pub(crate) schema: plain::AtomicU64,
    /// The identifier of the semaphore set.
    pub(crate) set: plain::AtomicU32,
    /// A random number; two semaphores of that set hold the same 30 bits.
    pub(crate) nonce: plain::AtomicU32,
    /// The wall clock at creation, in nanoseconds since 1970.
    pub(crate) created: plain::AtomicU64,
    /// 1: kept until removed, 2: removed with the last member.
    pub(crate) lifetime: plain::AtomicU32,
    /// The length of the name, in bytes.
    pub(crate) name_len: plain::AtomicU32,
    /// The size of the header and the slots together, in bytes.
    pub(crate) total: plain::AtomicU64,
    /// What happens to a message that was not acknowledged, after `deliveries` deliveries. 1: it is
    /// delivered again without limit, 2: it is dropped, 3: it is discarded, 4: it is moved to the
    /// dead-letter channel.
    pub(crate) redelivery: plain::AtomicU32,
    /// The maximum number of deliveries of a message; 0 without a limit.
    pub(crate) deliveries: plain::AtomicU32,
    /// The length of the dead-letter channel's name, in bytes; 0 without one.
    pub(crate) dead_letters_len: plain::AtomicU32,
    /// 1 in a broadcast channel whose sender waits for no receiver, otherwise 0.
    pub(crate) overwrites: plain::AtomicU32,
}

/// What is known of the message type beside its layout. The text of its structure lies behind the
/// tables.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Description {
    /// The length of the text of the structure, in bytes; 0 for a type that does not describe itself.
    pub(crate) structure_len: plain::AtomicU32,
}

/// Whether members of one side are parked, and how often that side was joined.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Parking {
    /// The bit PARKED and the flags of `wait/parking.rs`.
    pub(crate) word: AtomicU32,
    /// How often a member joined this side.
    pub(crate) joins: plain::AtomicU32,
    /// The time of the last wake-up, in nanoseconds of the monotonic clock: waiters estimate from
    /// it what a wake-up costs.
    pub(crate) woken_at: plain::AtomicU64,
    /// The number of blocking waits that ended by their slice while there was work for which no
    /// waker had posted: 0, unless a member was stopped between two steps of a wake-up.
    pub(crate) overslept: plain::AtomicU64,
    /// How often a courier joined this side: a sender that moves messages and opens no stream.
    pub(crate) couriers: plain::AtomicU32,
}

/// Counters of messages that were not acknowledged.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Repairs {
    /// Changes whenever a message is orphaned: receivers then search for it.
    pub(crate) orphaned: AtomicU64,
    /// The number of redelivered messages.
    pub(crate) redelivered: plain::AtomicU64,
    /// The number of messages dropped with their receiver, by [`Identity::redelivery`].
    pub(crate) dropped: plain::AtomicU64,
    /// The number of messages discarded as poison after [`Identity::deliveries`] deliveries.
    pub(crate) poisoned: plain::AtomicU64,
    /// The position of the last discarded message.
    pub(crate) last_poisoned: plain::AtomicU64,
    /// The number of messages that receivers rejected.
    pub(crate) rejected: plain::AtomicU64,
    /// The number of messages moved to the dead-letter channel.
    pub(crate) dead_letters: plain::AtomicU64,
    /// How often a message could not be moved there.
    pub(crate) dead_letter_failures: plain::AtomicU64,
    /// The reason of the last such failure.
    pub(crate) last_failure: plain::AtomicU32,
    /// SPSC: how often the next message was delivered (`ring/delivery_record.rs`).
    pub(crate) delivery: plain::AtomicU64,
}

/// One record of the members' table: facts and counters for observers. Members read `state`
/// and `joined`, to find out which holder of a seat died, and the rest to describe a death.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Member {
    pub(crate) pid: plain::AtomicU32,
    /// 1: sender, 2: receiver.
    pub(crate) role: plain::AtomicU32,
    /// 0: never taken, 1: present (or died there), 2: left.
    pub(crate) state: plain::AtomicU32,
    pub(crate) label_len: plain::AtomicU32,
    /// The wall clock, in nanoseconds since 1970.
    pub(crate) joined: plain::AtomicU64,
    pub(crate) label: [plain::AtomicU64; LABEL_MAX / 8],
    /// The position at which the member began.
    pub(crate) first: plain::AtomicU64,
    /// MPMC: the position of the message that the member last sent or acknowledged; until then, the
    /// position before `first`.
    pub(crate) last: plain::AtomicU64,
    /// Bytes since it joined, in messages of variable length.
    pub(crate) bytes: plain::AtomicU64,
    pub(crate) parks: plain::AtomicU64,
    pub(crate) wakes: plain::AtomicU64,
    pub(crate) repairs: plain::AtomicU64,
    /// MPMC: the number of messages since it joined.
    pub(crate) messages: plain::AtomicU64,
    /// The number of the message queue that is the member's doorbell; 0 without one.
    pub(crate) doorbell: plain::AtomicU64,
    /// Whether the doorbell is to be rung (`wait/doorbell.rs`).
    pub(crate) armed: AtomicU64,
}

/// How far a receiver of a broadcast channel is: one record of the progress table.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Progress {
    /// The next position to receive: every position below it is acknowledged.
    pub(crate) head: CachePadded<AtomicU64>,
    pub(crate) shown: Shown,
}

impl Progress {
    /// Returns the record of a seat that nobody had.
    #[cfg(test)]
    pub(crate) fn new() -> Progress {
        let [credit, holder] = core::array::from_fn(|_| AtomicU64::new(0));
        let [delivery, missed] = core::array::from_fn(|_| plain::AtomicU64::new(0));
        let shown = Shown { credit, holder, delivery, missed };
        Progress { head: CachePadded(AtomicU64::new(0)), shown }
    }
}

/// What a receiver of a broadcast channel shows to its sender.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Shown {
    /// A lazily updated copy of `head`.
    pub(crate) credit: AtomicU64,
    /// The stamp of the receiver that the sender must wait for; 0 if it waits for none.
    pub(crate) holder: AtomicU64,
    /// How often the message at `head` was delivered (`ring/delivery_record.rs`).
    pub(crate) delivery: plain::AtomicU64,
    /// The number of messages that the receiver missed since it joined.
    pub(crate) missed: plain::AtomicU64,
}

/// The header, at offset zero of the segment. The members' table follows, then the waiting table,
/// in broadcast channels the progress table, then the text of the structure, then the slots.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) identity: Identity,
    pub(crate) name: CachePadded<[plain::AtomicU64; NAME_MAX / 8]>,
    /// The next position to send.
    pub(crate) tail: CachePadded<AtomicU64>,
    /// The next position to receive: every position below it is acknowledged. It is exact in SPSC
    /// channels, and a hint in MPMC channels. In broadcast channels: the arrivals of receivers
    /// (`Ring::arrivals`).
    pub(crate) head: CachePadded<AtomicU64>,
    /// A lazily updated copy of `head`, for the sender. In broadcast channels: the first position
    /// that the sender may not have written to.
    pub(crate) credit: CachePadded<AtomicU64>,
    pub(crate) receivers: Parking,
    pub(crate) senders: Parking,
    pub(crate) repairs: Repairs,
    /// The name of the dead-letter channel.
    pub(crate) dead_letters: CachePadded<[plain::AtomicU64; NAME_MAX / 8]>,
    pub(crate) description: Description,
}

/// Returns the offset of the waiting table, which follows the members' table: one word for each
/// seat, as `wait/waiting_table.rs` defines it. The words are adjacent, unlike the fields that are
/// written for every message: they are written when a thread parks, and read all together.
pub(crate) const fn waiting_at(seats: usize) -> usize {
    size_of::<Header>() + seats * size_of::<Member>()
}

/// Returns the offset of the progress table, which a broadcast channel has behind the waiting table:
/// one record for each seat.
pub(crate) const fn progress_at(seats: usize) -> usize {
    (waiting_at(seats) + seats * size_of::<AtomicU64>()).next_multiple_of(align_of::<Progress>())
}

/// Returns the offset of the text of the structure, which follows the last table.
pub(crate) const fn structure_at(flavor: Flavor, seats: usize) -> usize {
    match flavor {
        Flavor::Broadcast => progress_at(seats) + seats * size_of::<Progress>(),
        Flavor::Spsc | Flavor::Mpmc => waiting_at(seats) + seats * size_of::<AtomicU64>(),
    }
}

/// Returns the number of bytes before the first slot of a channel with `seats` seats, whose structure
/// has a text of `structure_len` bytes, at most [`STRUCTURE_MAX`].
pub(crate) const fn header_size(flavor: Flavor, seats: usize, structure_len: usize) -> usize {
    (structure_at(flavor, seats) + structure_len).next_multiple_of(SLOTS_ALIGN)
}

impl Header {
    /// Returns a header at its first position. The magic stays zero: the process that builds the
    /// channel stores it last.
    #[cfg(test)]
    pub(crate) fn new() -> Header {
        let zeros = || core::array::from_fn(|_| plain::AtomicU64::new(0));
        let parking = || Parking {
            word: AtomicU32::new(0),
            joins: plain::AtomicU32::new(0),
            woken_at: plain::AtomicU64::new(0),
            overslept: plain::AtomicU64::new(0),
            couriers: plain::AtomicU32::new(0),
        };
        Header {
            identity: Identity::default(),
            name: CachePadded(zeros()),
            tail: CachePadded(AtomicU64::new(0)),
            head: CachePadded(AtomicU64::new(0)),
            credit: CachePadded(AtomicU64::new(0)),
            receivers: parking(),
            senders: parking(),
            repairs: Repairs::default(),
            dead_letters: CachePadded(zeros()),
            description: Description::default(),
        }
    }
}

/// Stores up to eight bytes in each word, cut at a character boundary; returns the number of bytes
/// stored.
pub(crate) fn store_text(words: &[plain::AtomicU64], text: &str) -> u32 {
    let mut end = text.len().min(words.len() * 8);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let bytes = &text.as_bytes()[..end];
    for (i, word) in words.iter().enumerate() {
        let mut eight = [0u8; 8];
        let part = bytes.get(i * 8..).unwrap_or_default();
        let n = part.len().min(8);
        eight[..n].copy_from_slice(&part[..n]);
        word.store(u64::from_le_bytes(eight), plain::Ordering::Relaxed);
    }
    bytes.len() as u32
}

/// Loads `len` bytes of text; invalid UTF-8 is replaced, and text that is too long is cut.
pub(crate) fn load_text(words: &[plain::AtomicU64], len: u32) -> String {
    String::from_utf8_lossy(&load_bytes(words, len)).into_owned()
}

/// Loads `len` bytes, or as many as there are.
pub(crate) fn load_bytes(words: &[plain::AtomicU64], len: u32) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        words.iter().flat_map(|w| w.load(plain::Ordering::Relaxed).to_le_bytes()).collect();
    bytes.truncate(len as usize);
    bytes
}

/// The head of a slot, which precedes the payload. A message of variable length has its length
/// after the head.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct SlotHead {
    pub(crate) word: AtomicU64,
    pub(crate) tracked: Tracked,
}

/// The wire format: every number in `docs/design/memory-layout.md`.
#[cfg(not(loom))]
mod wire {
    use super::{
        CachePadded, Description, Header, Identity, Member, Parking, Progress, Repairs,
        STRUCTURE_MAX, Shown, SlotHead, header_size, progress_at, structure_at, waiting_at,
    };
    use crate::flavor::Flavor;
    use memoffset::offset_of;
    use static_assertions::{const_assert, const_assert_eq};

    macro_rules! at {
        ($ty:ty { $($field:ident : $offset:expr),* $(,)? } size $size:expr) => {
            $(const_assert_eq!(offset_of!($ty, $field), $offset);)*
            const_assert_eq!(size_of::<$ty>(), $size);
        };
    }

    at!(Identity {
        magic: 0, version: 8, header_size: 12, flavor: 16, seats: 20, capacity: 24, slot_size: 32,
        stride: 40, shape: 48, align: 52, size: 56, element: 64, schema: 72, set: 80, nonce: 84,
        created: 88, lifetime: 96, name_len: 100, total: 104,
        redelivery: 112, deliveries: 116, dead_letters_len: 120, overwrites: 124,
    } size 128);
    at!(Parking { word: 0, joins: 4, woken_at: 8, overslept: 16, couriers: 24 } size 128);
    at!(Member {
        pid: 0, role: 4, state: 8, label_len: 12, joined: 16, label: 24, first: 56, last: 64,
        bytes: 72, parks: 80, wakes: 88, repairs: 96,
        messages: 104, doorbell: 112, armed: 120,
    } size 128);
    at!(Repairs {
        orphaned: 0, redelivered: 8, dropped: 16, poisoned: 24, last_poisoned: 32,
        rejected: 40, dead_letters: 48, dead_letter_failures: 56, last_failure: 64,
        delivery: 72,
    } size 128);
    at!(Header {
        identity: 0, name: 128, tail: 256, head: 384, credit: 512, receivers: 640, senders: 768,
        repairs: 896, dead_letters: 1024, description: 1152,
    } size 1280);
    at!(Description { structure_len: 0 } size 128);
    at!(Shown { credit: 0, holder: 8, delivery: 16, missed: 24 } size 128);
    at!(Progress { head: 0, shown: 128 } size 256);
    at!(SlotHead { word: 0, tracked: 8 } size 8);
    const_assert_eq!(align_of::<CachePadded<u64>>(), 128);
    const_assert_eq!(waiting_at(2), 1536);
    const_assert_eq!(progress_at(2), 1664);
    const_assert_eq!(structure_at(Flavor::Spsc, 2), 1552);
    const_assert_eq!(structure_at(Flavor::Mpmc, 254), 35_824);
    const_assert_eq!(structure_at(Flavor::Broadcast, 254), 100_864);
    const_assert_eq!(header_size(Flavor::Spsc, 2, 0), 4096);
    const_assert_eq!(header_size(Flavor::Spsc, 2, 2544), 4096);
    const_assert_eq!(header_size(Flavor::Spsc, 2, 2545), 8192);
    const_assert_eq!(header_size(Flavor::Mpmc, 254, 0), 36864);
    const_assert_eq!(header_size(Flavor::Broadcast, 254, 0), 102_400);
    const_assert_eq!(header_size(Flavor::Broadcast, 254, STRUCTURE_MAX), 167_936);
    const_assert!(cfg!(target_endian = "little"));
}
