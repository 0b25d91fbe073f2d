//! The table of origins: for each slot, the position of the message in it that senders stepped
//! over.
//!
//! The state HELD has no room for two laps. Its lap is that of the last position that was skipped;
//! the message is older, and the table has its position. A sender raises the entry *before* it
//! swaps READING to HELD, and never lowers it. So an entry is exact while its slot is HELD:
//!
//! - It is not less: the sender that made the HELD raised it before. The swap is a Release, and a
//!   member that acquires the state, or a later one, reads the entry after that.
//! - It is not more, if the exact state is still there after the entry was read: only a sender that
//!   saw READING of a later message raises it further, and that message comes after this HELD. A
//!   member that uses the entry therefore reads it between the load and a swap of the state.
//!
//! A sender may be stopped before it raises an entry, for any time. A plain store would then move
//! the entry back to a message that is long gone, below one that is HELD by now.

use crate::ring::slot_state::{Phase, SlotState};
use crate::ring::{Cursor, Ring};
use crate::sync::Ordering::Relaxed;

impl Ring {
    /// Raises the entry of the slot at `at` to `position`, unless it is that of a later message.
    pub(super) fn raise_origin(&self, at: &Cursor, position: u64) {
        let Some(origin) = self.origin(at) else { return };
        let mut old = origin.load(Relaxed);
        // Each try that fails was another sender's; the bound is for other writers.
        for _ in 0..self.walk_limit() {
            // By distance: positions wrap.
            if position.wrapping_sub(old) as i64 <= 0 {
                return;
            }
            match origin.compare_exchange(old, position, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    /// Returns the position of the message in the slot at `at`, whose state is `word`. It is
    /// certain only if a swap of that state succeeds afterwards.
    pub(in crate::ring) fn position_of(&self, at: &Cursor, word: SlotState) -> u64 {
        let position = match word.phase() {
            Some(Phase::Held) => self.origin(at).map_or(0, |origin| origin.load(Relaxed)),
            _ => self.position_in_lap(word.lap()),
        };
        // Whatever the segment holds, it is a position of this slot.
        position & !self.mask | at.position & self.mask
    }

    /// Returns the first position of a state's lap: a state holds 48 bits of its lap; the remaining
    /// bits are those of the head's lap, or of an adjacent one.
    fn position_in_lap(&self, lap: u64) -> u64 {
        let near = self.lap(self.header().head.0.load(Relaxed));
        let distance = (lap.wrapping_sub(near) << 16) as i64 >> 16;
        near.wrapping_add(distance as u64) << self.shift
    }
}
