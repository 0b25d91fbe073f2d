//! A ring without processes: header and slots in a block of the heap, for unit tests and models.
//!
//! The words are constructed in place, so that loom, whose atomics are values of its own and of
//! another size, can track them; every offset comes from the geometry, which computes it from the
//! types.

use core::mem::{MaybeUninit, offset_of};
use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

use super::{Ring, Slot};
use crate::flavor::Flavor;
use crate::layout::{self, Header, Progress, SLOTS_ALIGN, SlotHead};
use crate::message::{self, MessageLayout};
use crate::ring::geometry::{FlavorTable, Geometry};
#[cfg(not(loom))]
use crate::ring::slot_state::SlotState;
use crate::sync::{AtomicU64, Tracked, crash_point};
use crate::wait::Table;

/// The test message: the same number twice, so that a torn message is detected.
type Twice = [u64; 2];

/// The number of seats in the block's waiting table.
pub(crate) const SEATS: usize = 4;

/// The block.
#[derive(Debug)]
pub(crate) struct HeapRing {
    base: NonNull<u8>,
    geometry: Geometry,
}

// SAFETY: owned memory that holds atomics and, between them, payloads that the protocol gives to
// one owner at a time.
unsafe impl Send for HeapRing {}
// SAFETY: as above.
unsafe impl Sync for HeapRing {}

impl HeapRing {
    /// Returns a block like a fresh segment of an SPSC or MPMC channel.
    pub(crate) fn new(capacity: usize) -> HeapRing {
        // An SPSC ring does not use the table that this one has in addition.
        HeapRing::of(Flavor::Mpmc, capacity)
    }

    /// Returns a block like a fresh segment of a broadcast channel.
    pub(crate) fn of_broadcast(capacity: usize) -> HeapRing {
        HeapRing::of(Flavor::Broadcast, capacity)
    }

    fn of(flavor: Flavor, capacity: usize) -> HeapRing {
        let shape = MessageLayout::of::<Twice>();
        let geometry = Geometry::new(flavor, shape, SEATS, capacity, size_of::<Twice>(), 0)
            .expect("a geometry that can be");
        let layout = HeapRing::layout(&geometry);
        // SAFETY: the layout has a non-zero size.
        let Some(base) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            handle_alloc_error(layout)
        };
        let ring = HeapRing { base, geometry };
        // SAFETY: the geometry begins with room for a header. The members' records after it hold
        // plain words, for which zeros are valid, and the word that is constructed below.
        unsafe { base.cast().write(Header::new()) };
        for seat in 0..SEATS {
            // SAFETY: the geometry has room for this many words after the records.
            unsafe { ring.waiting_word(seat).write(AtomicU64::new(0)) };
            // SAFETY: the geometry has room for this many records after the header.
            unsafe { ring.armed_word(seat).write(AtomicU64::new(0)) };
            if let Some(record) = ring.progress(seat) {
                // SAFETY: as above.
                unsafe { record.write(Progress::new()) };
            }
        }
        for index in 0..geometry.capacity {
            let head = SlotHead { word: AtomicU64::new(0), tracked: Tracked::new() };
            // SAFETY: a slot begins with room for its head.
            unsafe { ring.slot_head(index).write(head) };
            if let Some(origin) = ring.origin_word(index) {
                // SAFETY: the geometry has room for this many words after the slots.
                unsafe { origin.write(AtomicU64::new(0)) };
            }
        }
        ring
    }

    /// Returns a block as it is after `position` messages of an SPSC sender, all of them received.
    #[cfg(not(loom))]
    pub(crate) fn at(capacity: usize, position: u64) -> HeapRing {
        HeapRing::new(capacity).after(position, SlotState::full)
    }

    /// Returns a block of a broadcast channel as it is after `position` messages without a receiver.
    #[cfg(not(loom))]
    pub(crate) fn of_broadcast_at(capacity: usize, position: u64) -> HeapRing {
        HeapRing::of_broadcast(capacity).after(position, SlotState::full)
    }

    /// Returns a block as it is after `position` messages of MPMC senders, all of them received.
    #[cfg(not(loom))]
    pub(crate) fn of_many_at(capacity: usize, position: u64) -> HeapRing {
        let free = |lap: u64| SlotState::free(lap.wrapping_add(1));
        HeapRing::new(capacity).after(position, free)
    }

    /// Returns a fresh block in which every slot holds `left` of its last lap before `position`.
    #[cfg(not(loom))]
    fn after(self, position: u64, left: fn(u64) -> SlotState) -> HeapRing {
        use crate::sync::Ordering::Relaxed;

        // SAFETY: used here only.
        let ring = unsafe { self.ring() };
        let header = ring.header();
        for word in [&header.tail.0, &header.head.0, &header.credit.0] {
            word.store(position, Relaxed);
        }
        for back in 1..=ring.capacity() {
            let sent = position.wrapping_sub(back);
            ring.slot(sent).head.word.store(left(sent >> ring.shift).0, Relaxed);
            if let Some(origin) = ring.origin(&ring.cursor(sent)) {
                // As if senders had stepped over it in the lap before.
                origin.store(sent.wrapping_sub(ring.capacity()), Relaxed);
            }
        }
        self
    }

    /// Returns the ring in this block.
    ///
    /// # Safety
    /// The block must outlive the ring and its copies.
    pub(crate) unsafe fn ring(&self) -> Ring {
        // SAFETY: header and slots of this geometry were constructed at this base.
        unsafe { Ring::new(self.base, &self.geometry) }
    }

    /// Returns the words of the waiting table.
    pub(crate) fn waiting(&self) -> Table<'_> {
        // SAFETY: header and tables were constructed at this base.
        unsafe { Table::at(self.base, SEATS) }
    }

    /// Returns the word of the doorbell in a member's record.
    pub(crate) fn armed(&self, seat: u8) -> &AtomicU64 {
        // SAFETY: constructed by `new`.
        unsafe { self.armed_word(usize::from(seat).min(SEATS - 1)).as_ref() }
    }

    fn armed_word(&self, seat: usize) -> NonNull<AtomicU64> {
        let at = size_of::<Header>() + seat * size_of::<layout::Member>();
        // SAFETY: the block has that many records there, with this word in each.
        unsafe { self.base.add(at + offset_of!(layout::Member, armed)).cast() }
    }

    fn waiting_word(&self, seat: usize) -> NonNull<AtomicU64> {
        // SAFETY: the block has that many words there.
        unsafe { self.base.add(layout::waiting_at(SEATS)).cast::<AtomicU64>().add(seat) }
    }

    fn slot_head(&self, index: usize) -> NonNull<SlotHead> {
        // SAFETY: the block has that many slots.
        unsafe { self.base.add(self.geometry.header_size + index * self.geometry.stride).cast() }
    }

    fn origin_word(&self, index: usize) -> Option<NonNull<AtomicU64>> {
        let FlavorTable::Origins { at: table } = self.geometry.table else { return None };
        // SAFETY: the block has that many words there.
        Some(unsafe { self.base.add(table).cast::<AtomicU64>().add(index) })
    }

    fn progress(&self, seat: usize) -> Option<NonNull<Progress>> {
        let FlavorTable::Progress { at: table, .. } = self.geometry.table else { return None };
        // SAFETY: the block has a record there for each seat.
        Some(unsafe { self.base.add(table).cast::<Progress>().add(seat) })
    }

    fn layout(geometry: &Geometry) -> Layout {
        Layout::from_size_align(geometry.total, SLOTS_ALIGN).expect("a layout that can be")
    }
}

impl Drop for HeapRing {
    fn drop(&mut self) {
        // SAFETY: constructed by `new`, and no ring uses them any more.
        unsafe {
            self.base.cast::<Header>().drop_in_place();
            for seat in 0..SEATS {
                self.waiting_word(seat).drop_in_place();
                self.armed_word(seat).drop_in_place();
                if let Some(record) = self.progress(seat) {
                    record.drop_in_place();
                }
            }
            for index in 0..self.geometry.capacity {
                self.slot_head(index).drop_in_place();
                if let Some(origin) = self.origin_word(index) {
                    origin.drop_in_place();
                }
            }
            dealloc(self.base.as_ptr(), HeapRing::layout(&self.geometry));
        }
    }
}

/// Writes the message `number` into a slot that the caller has claimed. A process can die half-way.
pub(crate) fn write(slot: Slot<'_>, number: u64) {
    slot.writing();
    let payload = slot.payload().cast::<u64>();
    // SAFETY: the slot is owned by the caller and two words long.
    unsafe { payload.write(number) };
    crash_point::step();
    // SAFETY: as above.
    unsafe { payload.add(1).write(number) };
}

/// Reads the message in a slot that the caller may read, as receivers do.
pub(crate) fn read(slot: Slot<'_>) -> u64 {
    slot.reading();
    let mut message = MaybeUninit::<Twice>::uninit();
    // SAFETY: a slot has room for one message and is aligned to 8.
    let valid = unsafe { message::read(slot.payload(), &mut message) };
    assert!(valid);
    // SAFETY: just read, and found to be a message.
    let [number, again] = unsafe { message.assume_init() };
    assert_eq!(number, again, "a torn message");
    number
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::Ordering::Relaxed;

    #[test]
    fn a_new_block_is_what_a_fresh_segment_is() {
        for capacity in [1, 2, 8, 300] {
            let block = HeapRing::new(capacity);
            assert!(block.base.addr().get().is_multiple_of(SLOTS_ALIGN));
            // SAFETY: dropped before the block.
            let ring = unsafe { block.ring() };
            let header = ring.header();
            let words = [&header.tail.0, &header.head.0, &header.credit.0];
            assert!(words.iter().all(|word| word.load(Relaxed) == 0));
            assert_eq!((header.senders.flags(), header.receivers.flags()), (0, 0));
            for position in 0..ring.capacity() {
                assert_eq!(ring.slot(position).head.word.load(Relaxed), 0);
            }
        }
    }
}
