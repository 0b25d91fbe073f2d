//! What a tap sees in an SPSC ring.

use super::Seen;
use crate::ring::slot_state::{LapOrder, SlotState};
use crate::ring::{Corrupt, Ring, Slot};
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::sync::fence;

impl Ring {
    pub(in crate::ring) fn tap_spsc<R>(
        &self,
        position: u64,
        copy: &mut impl FnMut(u64, Slot<'_>) -> R,
    ) -> Result<Seen<R>, Corrupt> {
        let slot = self.slot(position);
        // Acquire: the payload is visible.
        let word = SlotState(slot.head.word.load(Acquire));
        if word != self.full(position) {
            return match word.age(position >> self.shift) {
                _ if self.is_before(word, position) => Ok(Seen::NotYet),
                LapOrder::Older => Ok(Seen::NotYet),
                LapOrder::Newer => Ok(Seen::Lost(self.after_lapping(position))),
                LapOrder::Same => Err(Corrupt("a slot state has an impossible lap")),
            };
        }
        let copied = copy(position, slot);
        // Acquire: the tail and the head below are those of the sender whose stores were read.
        fence(Acquire);
        match self.is_left_alone(position) {
            true => Ok(Seen::Whole(copied)),
            false => Ok(Seen::Lost(self.after_lapping(position))),
        }
    }

    /// Returns the end of the run that begins at `tail`, if it is as long as a run can be.
    fn begun(&self, tail: u64) -> u64 {
        let in_lap = self.capacity() - (tail & self.mask);
        tail.wrapping_add(self.run().min(in_lap))
    }

    /// Returns whether no sender has begun to overwrite the message of this position.
    fn is_left_alone(&self, position: u64) -> bool {
        let not_before = |one: u64, other: u64| one.wrapping_sub(other) as i64 >= 0;
        let header = self.header();
        let begun = self.begun(header.tail.0.load(Relaxed));
        not_before(position.wrapping_add(self.capacity()), begun)
            || not_before(position, self.kept_from())
    }

    /// Returns the distance from `position` to the first one that is left alone, and to the tail.
    fn distances(&self, position: u64) -> [i64; 2] {
        let header = self.header();
        let (head, tail) = (self.kept_from(), header.tail.0.load(Acquire));
        let overwritten = self.begun(tail).wrapping_sub(self.capacity());
        let [head, tail, overwritten] =
            [head, tail, overwritten].map(|to| to.wrapping_sub(position) as i64);
        [head.min(overwritten), tail]
    }

    pub(super) fn is_unreceived(&self, position: u64) -> bool {
        let head = match self.is_broadcast() {
            true => self.slowest_head().unwrap_or(u64::MAX / 2),
            false => self.header().head.0.load(Acquire),
        };
        self.is_full(position) && position.wrapping_sub(head) as i64 >= 0
    }

    fn after_lapping(&self, position: u64) -> u64 {
        let [oldest, tail] = self.distances(position);
        let on = oldest.saturating_add(self.margin() as i64).min(tail);
        position.wrapping_add(on.max(0) as u64)
    }

    pub(super) fn oldest_left_alone(&self) -> u64 {
        let tail = self.header().tail.0.load(Acquire);
        // Positions begin at 0, and the ring has no more than one lap.
        let first = tail.saturating_sub(self.capacity());
        let [oldest, tail] = self.distances(first);
        first.wrapping_add(oldest.clamp(0, tail.max(0)) as u64)
    }
}
