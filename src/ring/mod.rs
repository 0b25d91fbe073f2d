//! The ring: positions and slots over a header somewhere in this process' memory. No system call,
//! no waiting; it neither maps nor frees. The same code runs over a segment and, for the model
//! checker and the tests, over a block of the heap.

#[cfg(all(test, not(loom)))]
mod exhaustive;
pub(crate) mod geometry;
pub(crate) mod mpmc;
mod prefetch;
#[cfg(all(test, not(loom)))]
mod properties;
pub(crate) mod slot_state;
pub(crate) mod spsc;
#[cfg(test)]
pub(crate) mod testing;

use core::ptr::NonNull;

use crate::layout::{Header, SlotHead};
use crate::ring::geometry::{Geometry, SlotLayout};
use crate::ring::slot_state::SlotState;

/// The segment holds what no honest member writes; the handle that sees it stops for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt(pub(crate) &'static str);

/// The header and the slots of one channel, found by the private copy of its geometry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    header: NonNull<Header>,
    slots: NonNull<u8>,
    mask: u64,
    shift: u32,
    stride: usize,
    payload_at: usize,
    slot_size: usize,
}

// SAFETY: a ring is addresses and numbers; what lies there is atomics, and payloads that the
// protocol gives to one owner at a time.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

/// A position with its slot and the word that will announce its message: kept beside each other and
/// moved on together, so that no message pays for a multiplication.
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
    /// # Safety
    /// At `base`, aligned to [`SLOTS_ALIGN`](crate::layout::SLOTS_ALIGN), lie a header and slots of
    /// exactly this geometry, and stay there while this ring or a copy of it is used.
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

    /// Tells the compiler how slots lie where every message is of this size and alignment, so that it has not
    /// to ask. After each write into the segment it has to be told again.
    ///
    /// # Safety
    /// Every message of this ring is.
    #[inline(always)]
    pub(crate) unsafe fn assume_slot_layout(&self, size: usize, align: usize) {
        if let Some(steps) = SlotLayout::new(false, size, align) {
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

    /// The slot of a position.
    pub(crate) fn slot(&self, position: u64) -> Slot<'_> {
        self.slot_at(&self.cursor(position))
    }

    pub(crate) fn cursor(&self, position: u64) -> Cursor {
        let offset = (position & self.mask) as usize * self.stride;
        // SAFETY: the index is masked, so the slot lies inside, whatever the position.
        let slot = unsafe { self.slots.add(offset) };
        Cursor { position, slot, full: self.full(position) }
    }

    /// Moves a cursor of this ring on to the next position.
    #[inline(always)]
    pub(crate) fn advance(&self, cursor: &mut Cursor) {
        cursor.position = cursor.position.wrapping_add(1);
        if cursor.position & self.mask == 0 {
            *cursor = self.cursor(cursor.position);
        } else {
            // SAFETY: not the last slot's: another one lies behind it.
            cursor.slot = unsafe { cursor.slot.add(self.stride) };
        }
    }

    /// The slot of a cursor of this ring.
    #[inline(always)]
    pub(crate) fn slot_at(&self, cursor: &Cursor) -> Slot<'_> {
        // SAFETY: the cursor is at a whole slot of this ring.
        unsafe { self.slot_from(cursor.slot) }
    }

    /// The slot that begins there.
    ///
    /// # Safety
    /// A whole slot of this ring does.
    #[inline(always)]
    unsafe fn slot_from(&self, start: NonNull<u8>) -> Slot<'_> {
        // SAFETY: a slot begins with its head and has room for its payload.
        unsafe { Slot { head: start.cast().as_ref(), payload: start.add(self.payload_at) } }
    }

    /// The word that says: the message of this position is here.
    #[inline(always)]
    pub(crate) fn full(&self, position: u64) -> SlotState {
        SlotState::full(position >> self.shift)
    }

    /// The word a sender finds at `position` when no message was put there yet: that of one lap
    /// before, or what a fresh segment holds.
    fn is_before(&self, word: SlotState, position: u64) -> bool {
        word == SlotState::UNUSED || word == self.full(position.wrapping_sub(self.capacity()))
    }

    /// Whether all before `position` can have been sent: the slot before it holds the word of that
    /// message, or of the one a lap later.
    fn is_reached(&self, position: u64) -> bool {
        let last = position.wrapping_sub(1);
        let word = SlotState(self.slot(last).head.word.load(crate::sync::Ordering::Acquire));
        let later = last.wrapping_add(self.capacity());
        position == 0 || word == self.full(last) || word == self.full(later)
    }
}

impl Slot<'_> {
    /// Where the message lies: aligned as its type wants, with room for the slot size rounded up to 8.
    #[inline(always)]
    pub(crate) fn payload(&self) -> NonNull<u8> {
        self.payload
    }

    /// The length word of a message of variable length.
    #[inline(always)]
    pub(crate) fn length(&self) -> &crate::sync::plain::AtomicU64 {
        // SAFETY: geometry of variable shape leaves these 8 bytes in front of the payload; the
        // payload is aligned to 8 at least.
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
