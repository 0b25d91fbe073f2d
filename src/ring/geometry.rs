//! Geometry: the number of slots, their size and their place. A total function of the options,
//! computed with checked arithmetic.

use crate::flavor::Flavor;
use crate::layout::{self, SLOTS_ALIGN, SlotHead};
use crate::message::MessageLayout;
use crate::sync::AtomicU64;

/// The maximum number of slots of a ring.
pub(crate) const CAPACITY_MAX: usize = 1 << 40;

/// The private copy of a channel's measures: every address is computed from these, whatever is
/// written into the segment later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) shape: MessageLayout,
    pub(crate) seats: usize,
    /// The number of slots, a power of two.
    pub(crate) capacity: usize,
    /// The maximum length of a message, in bytes.
    pub(crate) slot_size: usize,
    /// The offset of the payload in its slot, in bytes.
    pub(crate) payload_at: usize,
    /// The distance from one slot to the next, in bytes.
    pub(crate) stride: usize,
    /// The length of the text of the structure, in bytes.
    pub(crate) structure_len: usize,
    /// The size of the header, up to the first slot, in bytes.
    pub(crate) header_size: usize,
    /// The table that only channels of this flavor have.
    pub(crate) table: FlavorTable,
    /// The size of the header, the slots and the table together, in bytes.
    pub(crate) total: usize,
}

/// A table that the channels of one flavor have, and its offset in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlavorTable {
    None,
    /// The progress table of a broadcast channel, which lies before the slots.
    Progress {
        at: usize,
        /// Whether the sender waits for no receiver.
        overwrites: bool,
    },
    /// The table of origins of an MPMC channel, which lies behind the slots.
    Origins {
        at: usize,
    },
}

/// The layout of a slot; for messages of one size, it follows from their type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotLayout {
    /// The offset of the payload in its slot, in bytes.
    pub(crate) payload_at: usize,
    /// The distance from one slot to the next, in bytes.
    pub(crate) stride: usize,
}

impl SlotLayout {
    /// Returns `None` for slots longer than the address space.
    #[inline(always)]
    pub(crate) const fn new(variable: bool, slot_size: usize, align: usize) -> Option<SlotLayout> {
        let unit = if align > 8 { align } else { 8 };
        let head = size_of::<SlotHead>() + if variable { size_of::<u64>() } else { 0 };
        let payload_at = head.next_multiple_of(unit);
        let Some(end) = payload_at.checked_add(slot_size) else { return None };
        match end.checked_next_multiple_of(unit) {
            Some(stride) => Some(SlotLayout { payload_at, stride }),
            None => None,
        }
    }
}

impl Geometry {
    /// Returns the geometry for these options, or the name of the option that is invalid and the
    /// reason. The text of the structure has at most [`STRUCTURE_MAX`](layout::STRUCTURE_MAX) bytes.
    pub(crate) fn new(
        flavor: Flavor,
        shape: MessageLayout,
        seats: usize,
        capacity: usize,
        slot_size: usize,
        structure_len: usize,
    ) -> Result<Geometry, (&'static str, String)> {
        let wrong = |option, reason: String| Err((option, reason));
        if shape.align == 0 {
            return wrong(
                "message",
                format!(
                    "aligned to more than {SLOTS_ALIGN} bytes; use a type with a smaller alignment"
                ),
            );
        }
        if capacity == 0 || capacity > CAPACITY_MAX {
            return wrong("capacity", format!("{capacity} slots; it must be 1 to {CAPACITY_MAX}"));
        }
        if !shape.variable && slot_size != shape.size {
            return wrong(
                "slot_size",
                format!(
                    "{slot_size} bytes; every message of this type has {}: leave the option out",
                    shape.size
                ),
            );
        }
        if shape.variable && slot_size < shape.size.max(1) {
            return wrong(
                "slot_size",
                format!(
                    "{slot_size} bytes; it must be at least {}, the smallest message of this type",
                    shape.size.max(1)
                ),
            );
        }
        let capacity = capacity.next_power_of_two();
        let header_size = layout::header_size(flavor, seats, structure_len);
        let sizes = || {
            let steps = SlotLayout::new(shape.variable, slot_size, shape.align)?;
            let end = steps.stride.checked_mul(capacity)?.checked_add(header_size)?;
            let (table, total) = match flavor {
                Flavor::Spsc => (FlavorTable::None, end),
                Flavor::Mpmc => {
                    let table = size_of::<AtomicU64>().checked_mul(capacity)?;
                    (FlavorTable::Origins { at: end }, end.checked_add(table)?)
                }
                Flavor::Broadcast => (
                    FlavorTable::Progress { at: layout::progress_at(seats), overwrites: false },
                    end,
                ),
            };
            (total <= isize::MAX as usize).then_some((steps, table, total))
        };
        let Some((SlotLayout { payload_at, stride }, table, total)) = sizes() else {
            return wrong(
                "capacity",
                format!(
                    "{capacity} slots of {slot_size} bytes are more than the address space; take \
                     fewer or smaller slots"
                ),
            );
        };
        Ok(Geometry {
            shape,
            seats,
            capacity,
            slot_size,
            payload_at,
            stride,
            structure_len,
            header_size,
            table,
            total,
        })
    }

    /// Makes the sender of a broadcast channel wait for no receiver.
    pub(crate) fn overwriting(mut self) -> Geometry {
        if let FlavorTable::Progress { overwrites, .. } = &mut self.table {
            *overwrites = true;
        }
        self
    }

    /// Returns whether the sender of a broadcast channel waits for no receiver.
    pub(crate) fn overwrites(&self) -> bool {
        matches!(self.table, FlavorTable::Progress { overwrites: true, .. })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of<T: crate::Message + ?Sized>(
        capacity: usize,
        slot: usize,
    ) -> Result<Geometry, &'static str> {
        Geometry::new(Flavor::Spsc, MessageLayout::of::<T>(), 2, capacity, slot, 0)
            .map_err(|(option, _)| option)
    }

    #[test]
    #[cfg(not(loom))]
    fn slots_are_the_word_and_the_message() {
        let g = of::<u64>(1000, 8).unwrap();
        assert_eq!((g.capacity, g.payload_at, g.stride), (1024, 8, 16));
        assert_eq!(g.total, 4096 + 1024 * 16);
        let g = of::<[u8]>(1, 3).unwrap();
        assert_eq!((g.capacity, g.payload_at, g.stride), (1, 16, 24));
        let g = of::<u128>(4, 16).unwrap();
        assert_eq!((g.payload_at, g.stride), (16, 32));
        let g = of::<()>(4, 0).unwrap();
        assert_eq!((g.payload_at, g.stride), (8, 8));
    }

    /// The edges of what fits in each number of bits, and their neighbours.
    #[cfg(not(loom))]
    fn edges(bits: impl Iterator<Item = u32>) -> Vec<usize> {
        let mut edges: Vec<usize> = bits
            .flat_map(|bit| {
                let edge = 1usize << bit;
                [edge - 1, edge, edge + 1]
            })
            .chain([0, isize::MAX as usize, usize::MAX - 4096, usize::MAX])
            .collect();
        edges.sort();
        edges.dedup();
        edges
    }

    /// All small values and all edges with their neighbours, compared with arithmetic that cannot
    /// overflow.
    #[test]
    #[cfg(not(loom))]
    fn a_geometry_is_right_or_refused() {
        // The second text is the first one that needs another page.
        const ALL: [(Flavor, usize, usize); 5] = [
            (Flavor::Spsc, 2, 2544),
            (Flavor::Spsc, 2, 2545),
            (Flavor::Mpmc, 254, 0),
            (Flavor::Mpmc, 254, layout::STRUCTURE_MAX),
            (Flavor::Broadcast, 254, 1537),
        ];
        let capacities = edges((0..7).chain([20, 39, 40, 41, 47, 62, 63]));
        let sizes = edges((0..8).chain([12, 31, 32, 53, 62, 63]));
        let (mut made, mut refused) = (0u64, 0u64);
        for align in [0, 1, 8, 16, 64, SLOTS_ALIGN] {
            for variable in [false, true] {
                for &size in &sizes {
                    for &slot_size in &sizes {
                        for &capacity in &capacities {
                            for (flavor, seats, text) in ALL {
                                let shape = MessageLayout { variable, size, element: 0, align };
                                let of = (flavor, shape, seats, text);
                                let result =
                                    Geometry::new(flavor, shape, seats, capacity, slot_size, text);
                                match check(of, capacity, slot_size, result) {
                                    true => made += 1,
                                    false => refused += 1,
                                }
                            }
                        }
                    }
                }
            }
        }
        assert!(made > 10_000 && refused > 10_000, "{made} and {refused}");
    }

    /// Returns whether a geometry was made; checks that it is right, or that there was a reason to
    /// refuse.
    #[cfg(not(loom))]
    fn check(
        (flavor, shape, seats, text): (Flavor, MessageLayout, usize, usize),
        capacity: usize,
        slot_size: usize,
        result: Result<Geometry, (&'static str, String)>,
    ) -> bool {
        let round = |n: u128, to: usize| n.div_ceil(to as u128) * to as u128;
        let unit = shape.align.max(8);
        let payload_at = round(if shape.variable { 16 } else { 8 }, unit);
        let stride = round(payload_at + slot_size as u128, unit);
        let tables = 1280 + 136 * seats as u128;
        let tables = match flavor {
            Flavor::Broadcast => round(tables, 128) + 256 * seats as u128,
            Flavor::Spsc | Flavor::Mpmc => tables,
        };
        let header = round(tables + text as u128, SLOTS_ALIGN);
        let slots = (capacity as u128).next_power_of_two();
        // Both may be 2^64.
        let end = stride.saturating_mul(slots).saturating_add(header);
        let table = if flavor == Flavor::Mpmc { 8 * slots } else { 0 };
        let total = end.saturating_add(table);
        let fits = shape.align != 0
            && (1..=CAPACITY_MAX).contains(&capacity)
            && if shape.variable {
                slot_size >= shape.size.max(1)
            } else {
                slot_size == shape.size
            }
            && total <= isize::MAX as u128;
        let Ok(made) = result else {
            assert!(!fits, "{shape:?}, {capacity} slots of {slot_size} were refused");
            return false;
        };
        assert!(fits, "{made:?}");
        let sizes = [made.capacity, made.payload_at, made.stride, made.header_size, made.total];
        assert_eq!(sizes.map(|size| size as u128), [slots, payload_at, stride, header, total]);
        let expected = match flavor {
            Flavor::Spsc => FlavorTable::None,
            Flavor::Mpmc => FlavorTable::Origins { at: end as usize },
            Flavor::Broadcast => {
                FlavorTable::Progress { at: layout::progress_at(seats), overwrites: false }
            }
        };
        assert_eq!(made.table, expected);
        // Its entries are aligned.
        assert!(end.is_multiple_of(8));
        // The last slot ends where the segment ends, and every payload is aligned, with room for
        // its last word.
        assert!(made.payload_at.is_multiple_of(unit) && made.stride.is_multiple_of(unit));
        assert!(made.header_size.is_multiple_of(unit));
        assert!(made.payload_at + slot_size.next_multiple_of(8) <= made.stride);
        true
    }

    #[test]
    fn refusals_name_the_option() {
        assert_eq!(of::<u64>(0, 8), Err("capacity"));
        assert_eq!(of::<u64>(usize::MAX, 8), Err("capacity"));
        assert_eq!(of::<[u8]>(CAPACITY_MAX, 1 << 30), Err("capacity"));
        assert_eq!(of::<u64>(8, 9), Err("slot_size"));
        assert_eq!(of::<[u8]>(8, 0), Err("slot_size"));
        assert_eq!(of::<[u8]>(8, usize::MAX), Err("capacity"));
    }

    /// Numbers of every size, and the edges of each.
    #[cfg(not(loom))]
    fn size() -> impl Strategy<Value = usize> {
        let near = |(bits, off): (u32, i8)| (1usize << bits).wrapping_add_signed(off.into());
        prop_oneof![0..300usize, (0..64u32, -2..3i8).prop_map(near), any::<usize>()]
    }

    proptest! {
        /// For any options: either the slots are adjacent, each with room for a state word and a
        /// message, and all of them lie in the segment; or the error names the invalid option.
        #[test]
        #[cfg(not(loom))]
        fn any_wish_is_a_geometry_or_an_error(
            (variable, size, element, align) in (any::<bool>(), size(), 1..9usize, 0..13u32),
            (seats, capacity, slot_size, fits) in (2..=254usize, size(), size(), any::<bool>()),
            (mpmc, text) in (any::<bool>(), 0..=layout::STRUCTURE_MAX),
        ) {
            let flavor = if mpmc { Flavor::Mpmc } else { Flavor::Spsc };
            let shape = MessageLayout { variable, size, element, align: 1 << align };
            let slot_size = if fits && !variable { size } else { slot_size };
            // Computed with numbers that cannot overflow.
            let wide = |n: usize| n as u128;
            let slots = wide(capacity).next_power_of_two();
            let head = if variable { 16 } else { 8 };
            let unit = wide(shape.align).max(8);
            let stride = (wide(head).next_multiple_of(unit) + wide(slot_size)).next_multiple_of(unit);
            let end = stride.saturating_mul(slots).saturating_add(wide(layout::header_size(flavor, seats, text)));
            let total = end.saturating_add(if mpmc { 8 * slots } else { 0 });
            let possible = (1..=CAPACITY_MAX).contains(&capacity)
                && (if variable { slot_size >= size.max(1) } else { slot_size == size })
                && total <= isize::MAX as u128;
            match Geometry::new(flavor, shape, seats, capacity, slot_size, text) {
                Ok(g) => {
                    prop_assert!(possible);
                    prop_assert_eq!((wide(g.capacity), wide(g.stride)), (slots, stride));
                    prop_assert_eq!((wide(g.total), g.slot_size), (total, slot_size));
                    prop_assert!(g.payload_at >= head && g.payload_at + slot_size <= g.stride);
                    prop_assert!(g.payload_at.is_multiple_of(shape.align));
                    prop_assert!(g.stride.is_multiple_of(shape.align.max(8)));
                    prop_assert!(g.header_size.is_multiple_of(SLOTS_ALIGN));
                }
                Err((option, reason)) => {
                    prop_assert!(!possible && !reason.is_empty());
                    prop_assert!(["capacity", "slot_size"].contains(&option));
                }
            }
        }
    }
}
