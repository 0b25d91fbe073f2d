//! What lies in the segment: the header at offset zero. `docs/design/memory-layout.md` draws it byte by byte.
//!
//! Who may write what:
//!
//! * [`Identity`] and the name: the process that holds the lifecycle semaphore and finds no users;
//!   never changed while there are members. The magic is stored last (Release), read first (Acquire).
//! * `tail`: the sender. `head`, `credit`: the receiver. Of many to many, `tail` and `head` are hints that
//!   every member may move.
//! * a [`Parking`] line: its own side parks, leaves and joins there, and takes PARKED off where it found
//!   something by itself; the other side takes PARKED off when it wakes that side, and sets and clears
//!   LEFT where it finds that side empty or not. A sender reads `receivers` at every message, so nothing
//!   that is written often may ever share that line.
//! * a [`Member`] line and a word of the waiting table: the member that has that seat. Others only
//!   clear the count of waiting threads, of a seat that they found without a member.
//!
//! Only fixed-width integers, all of them atomics. Offsets are computed from the types, so that the
//! same code runs over loom's atomics, which have another size; the numbers of the wire format are
//! asserted below for every ordinary build.

use crate::sync::plain;
use crate::sync::{AtomicU32, AtomicU64, Tracked};

/// "SYSVRING" as it is seen in a dump of the segment.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"SYSVRING");
/// Changes with any change of the layout; attaching to another version is refused.
pub(crate) const VERSION: u32 = 2;
/// Longest channel name, bytes.
pub(crate) const NAME_MAX: usize = 128;
/// Longest member label, bytes.
pub(crate) const LABEL_MAX: usize = 32;
/// The slots begin at a multiple of this, so that any message alignment up to it works.
pub(crate) const SLOTS_ALIGN: usize = 4096;

/// A value alone on its pair of cache lines (the prefetcher pulls pairs).
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

/// The facts of a channel, written once.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Identity {
    pub(crate) magic: plain::AtomicU64,
    pub(crate) version: plain::AtomicU32,
    /// Bytes from offset zero to the first slot.
    pub(crate) header_size: plain::AtomicU32,
    /// 1 one to one.
    pub(crate) flavor: plain::AtomicU32,
    /// Lines in the members' table.
    pub(crate) seats: plain::AtomicU32,
    /// Slots in the ring, a power of two.
    pub(crate) capacity: plain::AtomicU64,
    /// Longest message, bytes.
    pub(crate) slot_size: plain::AtomicU64,
    /// From one slot to the next, bytes.
    pub(crate) stride: plain::AtomicU64,
    /// 1 every message has the same size, 2 up to the slot size.
    pub(crate) shape: plain::AtomicU32,
    /// Alignment of the message type, bytes.
    pub(crate) align: plain::AtomicU32,
    /// Shape 1: size of a message. Shape 2: bytes before the trailing slice.
    pub(crate) size: plain::AtomicU64,
    /// Shape 2: size of one element of the trailing slice.
    pub(crate) element: plain::AtomicU64,
    /// The users' own number for the message type; 0 for none.
    pub(crate) schema: plain::AtomicU64,
    /// Identifier of the semaphore set.
    pub(crate) set: plain::AtomicU32,
    /// The same 30 bits lie in two semaphores of that set.
    pub(crate) nonce: plain::AtomicU32,
    /// Wall clock at creation, nanoseconds since 1970.
    pub(crate) created: plain::AtomicU64,
    /// 1 kept until removed, 2 removed with the last member.
    pub(crate) lifetime: plain::AtomicU32,
    /// Bytes used of the name.
    pub(crate) name_len: plain::AtomicU32,
    /// Header and slots, bytes.
    pub(crate) total: plain::AtomicU64,
    /// Many to many: what becomes of a message whose receiver died; 1 again, 2 dropped.
    pub(crate) on_death: plain::AtomicU32,
    /// Many to many: how often a message is delivered at most.
    pub(crate) deliveries: plain::AtomicU32,
}

/// Whether members of one side are parked, and how that side came and went.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Parking {
    /// See `wait/parking.rs`: PARKED and the flags beside it.
    pub(crate) word: AtomicU32,
    /// How often this side was joined.
    pub(crate) joins: plain::AtomicU32,
    /// Monotonic nanoseconds of the last wake: waiters learn from it what a wake costs.
    pub(crate) woken_at: plain::AtomicU64,
    /// Sleeps that ended by themselves beside something that nobody had woken them for: 0, unless a
    /// member was stopped between two steps of a wake-up.
    pub(crate) overslept: plain::AtomicU64,
}

/// What was done about deaths in a many-to-many channel.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Repairs {
    /// Changes whenever a message became nobody's: receivers look for it.
    pub(crate) orphaned: AtomicU64,
    /// Messages delivered again.
    pub(crate) redelivered: plain::AtomicU64,
    /// Messages dropped with their receiver, by [`Identity::on_death`].
    pub(crate) dropped: plain::AtomicU64,
    /// Messages given up after [`Identity::deliveries`] deliveries.
    pub(crate) set_aside: plain::AtomicU64,
    /// The position of the last one of these.
    pub(crate) last_set_aside: plain::AtomicU64,
}

/// One line of the members' table: facts and counters for observers. Of these, `state` and `joined` tell
/// members who died in a seat.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Member {
    pub(crate) pid: plain::AtomicU32,
    /// 1 sender, 2 receiver.
    pub(crate) role: plain::AtomicU32,
    /// 0 never taken, 1 here (or died here), 2 left.
    pub(crate) state: plain::AtomicU32,
    pub(crate) label_len: plain::AtomicU32,
    /// Wall clock, nanoseconds since 1970.
    pub(crate) joined: plain::AtomicU64,
    pub(crate) label: [plain::AtomicU64; LABEL_MAX / 8],
    /// The position it began at.
    pub(crate) first: plain::AtomicU64,
    /// Its next position when it last wrote this line.
    pub(crate) position: plain::AtomicU64,
    /// Since it joined, of messages of variable length.
    pub(crate) bytes: plain::AtomicU64,
    pub(crate) parks: plain::AtomicU64,
    pub(crate) wakes: plain::AtomicU64,
    pub(crate) repairs: plain::AtomicU64,
    /// Many to many: messages since it joined.
    pub(crate) messages: plain::AtomicU64,
}

/// Offset zero of the segment. The members' table follows, then the slots.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) identity: Identity,
    pub(crate) name: CachePadded<[plain::AtomicU64; NAME_MAX / 8]>,
    /// Next position to send.
    pub(crate) tail: CachePadded<AtomicU64>,
    /// Next position to receive: every position below it is acknowledged. Exact, one to one; of many to many
    /// a hint.
    pub(crate) head: CachePadded<AtomicU64>,
    /// What the sender is told of `head`, lazily.
    pub(crate) credit: CachePadded<AtomicU64>,
    pub(crate) receivers: Parking,
    pub(crate) senders: Parking,
    pub(crate) repairs: Repairs,
}

/// Where the waiting table lies, behind the members' table: a word for each seat, see
/// `wait/waiting.rs`. The words lie side by side, unlike what is written for every message: they are
/// written where a thread parks, and read all together.
pub(crate) const fn waiting_at(seats: usize) -> usize {
    size_of::<Header>() + seats * size_of::<Member>()
}

/// Bytes before the first slot of a channel with `seats` seats.
pub(crate) const fn header_size(seats: usize) -> usize {
    (waiting_at(seats) + seats * size_of::<AtomicU64>()).next_multiple_of(SLOTS_ALIGN)
}

impl Header {
    /// A header at its first position. The magic stays zero: whoever builds the channel stores it
    /// last.
    #[cfg(test)]
    pub(crate) fn new() -> Header {
        let zeros = || core::array::from_fn(|_| plain::AtomicU64::new(0));
        let parking = || Parking {
            word: AtomicU32::new(0),
            joins: plain::AtomicU32::new(0),
            woken_at: plain::AtomicU64::new(0),
            overslept: plain::AtomicU64::new(0),
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
        }
    }
}

/// Stores up to eight bytes a word, cut between characters; returns the number stored.
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

/// Reads `len` bytes of text; what is no UTF-8 is replaced, what is too long is cut.
pub(crate) fn load_text(words: &[plain::AtomicU64], len: u32) -> String {
    let bytes: Vec<u8> =
        words.iter().flat_map(|w| w.load(plain::Ordering::Relaxed).to_le_bytes()).collect();
    String::from_utf8_lossy(&bytes[..bytes.len().min(len as usize)]).into_owned()
}

/// What stands in front of a payload. A message of variable length has its length behind this.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct SlotHead {
    pub(crate) word: AtomicU64,
    pub(crate) tracked: Tracked,
}

/// The wire format: every number of `docs/design/memory-layout.md`.
#[cfg(not(loom))]
mod wire {
    use super::{
        CachePadded, Header, Identity, Member, Parking, Repairs, SlotHead, header_size, waiting_at,
    };
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
        on_death: 112, deliveries: 116,
    } size 128);
    at!(Parking { word: 0, joins: 4, woken_at: 8, overslept: 16 } size 128);
    at!(Member {
        pid: 0, role: 4, state: 8, label_len: 12, joined: 16, label: 24, first: 56, position: 64,
        bytes: 72, parks: 80, wakes: 88, repairs: 96,
        messages: 104,
    } size 128);
    at!(Repairs {
        orphaned: 0, redelivered: 8, dropped: 16, set_aside: 24, last_set_aside: 32,
    } size 128);
    at!(Header {
        identity: 0, name: 128, tail: 256, head: 384, credit: 512, receivers: 640, senders: 768,
        repairs: 896,
    } size 1024);
    at!(SlotHead { word: 0, tracked: 8 } size 8);
    const_assert_eq!(align_of::<CachePadded<u64>>(), 128);
    const_assert_eq!(waiting_at(2), 1280);
    const_assert_eq!(header_size(2), 4096);
    const_assert_eq!(header_size(254), 36864);
    const_assert!(cfg!(target_endian = "little"));
}
