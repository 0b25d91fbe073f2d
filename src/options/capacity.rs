//! The number of slots of a new channel: given, or by the memory that they take.

use crate::message::MessageLayout;
use crate::ring::geometry::SlotLayout;

/// Slots of a new channel, unless an option sets them, and as long as they fit in [`MEMORY`].
const SLOTS: usize = 1024;
/// The minimum number of slots of a new channel for which no option sets it.
const SLOTS_MIN: usize = 16;
/// The maximum size of the slots of a new channel, in bytes, unless an option sets their number or
/// they would be fewer than [`SLOTS_MIN`].
const MEMORY: usize = 64 << 20;

/// How many slots a channel is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capacity {
    Slots(usize),
    /// As many as fit in this number of bytes.
    Memory(usize),
}

impl Capacity {
    /// Returns the number of slots of a new channel, before it is rounded up to a power of two; 0 if
    /// not even one fits.
    pub(super) fn slots(wanted: Option<Capacity>, shape: MessageLayout, slot_size: usize) -> usize {
        match wanted {
            Some(Capacity::Slots(slots)) => slots,
            Some(Capacity::Memory(bytes)) => fitting(bytes, shape, slot_size),
            None => fitting(MEMORY, shape, slot_size).clamp(SLOTS_MIN, SLOTS),
        }
    }
}

/// Returns the largest power of two of slots that fits in `bytes`; 0 if none does.
pub(super) fn fitting(bytes: usize, shape: MessageLayout, slot_size: usize) -> usize {
    let stride = SlotLayout::new(shape.variable, slot_size, shape.align).map(|slot| slot.stride);
    match stride.map_or(0, |stride| bytes / stride) {
        0 => 0,
        slots => 1 << slots.ilog2(),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Message;

    fn slots<T: Message + ?Sized>(wanted: Option<Capacity>, slot_size: usize) -> usize {
        Capacity::slots(wanted, MessageLayout::of::<T>(), slot_size)
    }

    #[test]
    fn the_default_is_bounded_by_memory() {
        assert_eq!(slots::<u64>(None, 8), 1024);
        assert_eq!(slots::<[u8]>(None, (64 << 10) - 16), 1024);
        assert_eq!(slots::<[u8]>(None, 64 << 10), 512);
        assert_eq!(slots::<[u8; 6_220_800]>(None, 6_220_800), 16);
        assert_eq!(slots::<[u8]>(None, usize::MAX), 16);
    }

    #[test]
    fn memory_is_the_maximum() {
        let memory = |bytes| slots::<u64>(Some(Capacity::Memory(bytes)), 8);
        assert_eq!([0, 15, 16, 31, 32, 1 << 30].map(memory), [0, 0, 1, 1, 2, 1 << 26]);
    }
}
