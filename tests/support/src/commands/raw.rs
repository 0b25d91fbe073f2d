//! What the slots of an MPMC channel hold, read from its segment.

use std::sync::atomic::Ordering::Acquire;

use super::{Holds, Inside, Slot};
use crate::raw_ipc::{Segment, at};

/// Returns what the segment holds. No member may be in a call meanwhile.
pub(super) fn inside(segment: i32) -> Option<Inside> {
    let segment = Segment::attach_read_only(segment).ok()?;
    if segment.u32(at::FLAVOR).load(Acquire) != 2 {
        return None;
    }
    let capacity = segment.u64(at::CAPACITY).load(Acquire);
    let stride = segment.u64(at::STRIDE).load(Acquire);
    let slots = u64::from(segment.u32(at::HEADER_SIZE).load(Acquire));
    let slot = |index: u64| {
        let word = segment.u64((slots + index * stride) as usize).load(Acquire);
        let origin = segment.u64((slots + capacity * stride + 8 * index) as usize).load(Acquire);
        let position = (word >> 16) * capacity + index;
        let holds = match word & 7 {
            0 => Holds::Nothing,
            4 => Holds::Skip,
            5 => Holds::Entry(origin),
            _ => Holds::Entry(position),
        };
        Slot::new(position, holds)
    };
    let hint = segment.u64(at::TAIL).load(Acquire);
    Some(Inside { slots: (0..capacity).map(slot).collect(), hint })
}
