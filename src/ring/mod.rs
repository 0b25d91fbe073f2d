//! The ring: positions and slots over a header in this process' memory. It makes no system call,
//! never waits, and neither maps nor frees memory. The same code runs over a segment and, for the
//! model checker and the tests, over a block of the heap.

pub(crate) mod broadcast;
mod delivery_record;
#[cfg(all(test, not(loom)))]
mod exhaustive;
pub(crate) mod geometry;
pub(crate) mod mpmc;
mod prefetch;
#[cfg(all(test, not(loom)))]
mod properties;
pub(crate) mod slot_state;
pub(crate) mod spsc;
pub(crate) mod tap;
#[cfg(test)]
pub(crate) mod testing;

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::layout::{Header, Progress, SlotHead};
use crate::ring::geometry::{FlavorTable, Geometry, SlotLayout};
use crate::ring::slot_state::SlotState;
use crate::sync::AtomicU64;

/// The segment holds a value that no honest member writes; the handle that finds it stops for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt(pub(crate) &'static str);

/// The header and the slots of one channel, addressed by the private copy of its geometry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    header: NonNull<Header>,
    slots: NonNull<u8>,
    mask: u64,
    shift: u32,
    stride: usize,
    payload_at: usize,
    slot_size: usize,
    /// The progress table, which rings of broadcast channels have before the slots.
    progress: Option<NonNull<[Progress]>>,
    /// Whether the sender of a broadcast channel waits for nobody.
    overwrites: bool,
    /// The table of origins, which rings of MPMC channels have behind the slots.
    origins: Option<NonNull<AtomicU64>>,
}

// SAFETY: a ring consists of addresses and numbers; they refer to atomics, and to payloads that the
// protocol gives to one owner at a time.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

/// A position with its slot and the state that will publish its message. The three are stored
/// together and advance together, so that no message pays for a multiplication.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    position: u64,
    slot: NonNull<u8>,
    full: SlotState,
}

// SAFETY: as for the ring.
unsafe impl Send for Cursor {}

/// One slot, at one position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot<'a> {
    head: &'a SlotHead,
    payload: NonNull<u8>,
}

impl Ring {
    /// Returns the ring at `base`.
    ///
    /// # Safety
    /// A header, slots and tables of exactly this geometry must lie at `base`, aligned to
    /// [`SLOTS_ALIGN`](crate::layout::SLOTS_ALIGN), and must stay there while this ring or a copy
    /// of it is used.
    pub(crate) unsafe fn new(base: NonNull<u8>, geometry: &Geometry) -> Ring {
        Ring {
            header: base.cast(),
            // SAFETY: the header is part of what lies at `base`.
            slots: unsafe { base.add(geometry.header_size) },
            mask: geometry.capacity as u64 - 1,
            shift: geometry.capacity.trailing_zeros(),
            stride: geometry.stride,
            payload_at: geometry.payload_at,
            slot_size: geometry.slot_size,
            progress: match geometry.table {
                // SAFETY: the table is part of what lies at `base`.
                FlavorTable::Progress { at, .. } => Some(unsafe {
                    NonNull::slice_from_raw_parts(base.add(at).cast(), geometry.seats)
                }),
                _ => None,
            },
            overwrites: geometry.overwrites(),
            origins: match geometry.table {
                // SAFETY: as above.
                FlavorTable::Origins { at } => Some(unsafe { base.add(at).cast() }),
                _ => None,
            },
        }
    }

    #[inline(always)]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: `new`'s contract; the header is all atomics.
        unsafe { self.header.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn capacity(&self) -> u64 {
        self.mask + 1
    }

    /// Tells the compiler the slot layout of a ring whose messages all have this size and
    /// alignment, so that it need not load it. The hint has to be repeated after each write into
    /// the segment.
    ///
    /// # Safety
    /// Every message of this ring must have this size and alignment.
    #[inline(always)]
    pub(crate) unsafe fn assume_slot_layout(&self, message: Layout) {
        if let Some(steps) = SlotLayout::new(false, message.size(), message.align()) {
            // SAFETY: a geometry has the steps that follow from its messages.
            unsafe {
                core::hint::assert_unchecked(self.payload_at == steps.payload_at);
                core::hint::assert_unchecked(self.stride == steps.stride);
            }
        }
    }

    #[inline(always)]
    pub(crate) fn slot_size(&self) -> usize {
        self.slot_size
    }

    /// Returns the slot of a position.
    pub(crate) fn slot(&self, position: u64) -> Slot<'_> {
        self.slot_at(&self.cursor(position))
    }

    pub(crate) fn cursor(&self, position: u64) -> Cursor {
        let offset = (position & self.mask) as usize * self.stride;
        // SAFETY: the index is masked, so the slot lies inside, whatever the position.
        let slot = unsafe { self.slots.add(offset) };
        Cursor { position, slot, full: self.full(position) }
    }

    /// Advances a cursor of this ring to the next position.
    #[inline(always)]
    pub(crate) fn advance(&self, cursor: &mut Cursor) {
        cursor.position = cursor.position.wrapping_add(1);
        if cursor.position & self.mask == 0 {
            *cursor = self.cursor(cursor.position);
        } else {
            // SAFETY: this is not the last slot: another one follows it.
            cursor.slot = unsafe { cursor.slot.add(self.stride) };
        }
    }

    /// Returns the slot of a cursor of this ring.
    #[inline(always)]
    pub(crate) fn slot_at(&self, cursor: &Cursor) -> Slot<'_> {
        // SAFETY: the cursor is at a whole slot of this ring.
        unsafe { self.slot_from(cursor.slot) }
    }

    /// Returns the entry of a slot in the table of origins, if this ring has one.
    fn origin(&self, cursor: &Cursor) -> Option<&AtomicU64> {
        let index = (cursor.position & self.mask) as usize;
        // SAFETY: the table has an entry for each slot, and all of them are atomics.
        self.origins.map(|table| unsafe { table.add(index).as_ref() })
    }

    /// Returns the slot that begins at `start`.
    ///
    /// # Safety
    /// A whole slot of this ring must begin there, and stay mapped for that lifetime.
    #[inline(always)]
    unsafe fn slot_from<'a>(&self, start: NonNull<u8>) -> Slot<'a> {
        // SAFETY: a slot begins with its head and has room for its payload.
        unsafe { Slot { head: start.cast().as_ref(), payload: start.add(self.payload_at) } }
    }

    /// Returns the state that publishes the message of this position.
    #[inline(always)]
    pub(crate) fn full(&self, position: u64) -> SlotState {
        SlotState::full(position >> self.shift)
    }

    /// Returns whether `word` is a state that a sender can find at `position` before it sends a
    /// message there: that of one lap before, or that of a fresh segment.
    fn is_before(&self, word: SlotState, position: u64) -> bool {
        word == SlotState::UNUSED || word == self.full(position.wrapping_sub(self.capacity()))
    }

    /// Returns whether everything before `position` can have been sent: the slot before it holds
    /// the state of that message, or of the one a lap later.
    fn is_reached(&self, position: u64) -> bool {
        let last = position.wrapping_sub(1);
        let word = SlotState(self.slot(last).head.word.load(crate::sync::Ordering::Acquire));
        let later = last.wrapping_add(self.capacity());
        position == 0 || word == self.full(last) || word == self.full(later)
    }
}

impl Slot<'_> {
    /// Returns the address of the message: aligned for its type, with room for the slot size
    /// rounded up to a multiple of 8.
    #[inline(always)]
    pub(crate) fn payload(&self) -> NonNull<u8> {
        self.payload
    }

    /// Returns the length word of a message of variable length.
    #[inline(always)]
    pub(crate) fn length(&self) -> &crate::sync::plain::AtomicU64 {
        // SAFETY: the geometry of a variable shape leaves these 8 bytes in front of the payload;
        // the payload is aligned to at least 8.
        unsafe { self.payload.sub(8).cast().as_ref() }
    }

    /// Tells the model checker that the payload is read here.
    #[inline(always)]
    pub(crate) fn reading(&self) {
        self.head.tracked.reading();
    }

    /// Tells the model checker that the payload is written here.
    #[inline(always)]
    pub(crate) fn writing(&self) {
        self.head.tracked.writing();
    }
}
