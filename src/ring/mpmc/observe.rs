//! Inspection from outside, of a ring whose slots may hold anything.

use super::load_state;
use crate::ring::Ring;
use crate::ring::slot_state::{LapOrder, Phase, SlotState};
use crate::sync::Ordering::Acquire;

impl Ring {
    /// Returns the number of messages sent and not yet acknowledged: exact if no member moves
    /// meanwhile. Returns `None` if that takes more than `at_most` slots.
    ///
    /// It walks forward from the tail's hint to the first slot that is not claimed, and from there
    /// back over all slots that were ever used. A slot that was never used ends either walk,
    /// whatever the header holds; so it makes at most two pages resident that were never written.
    pub(crate) fn count_used(&self, at_most: u64) -> Option<u64> {
        // Far more than an honest walk in both directions takes, however fast the members are
        // meanwhile.
        let mut left = at_most.min(self.walk_limit().saturating_add(self.capacity()));
        let mut at = self.cursor(self.header().tail.0.load(Acquire));
        loop {
            let word = load_state(&self.slot_at(&at));
            match (word.age(self.lap(at.position)), word.phase()) {
                _ if word == SlotState::UNUSED => break,
                (LapOrder::Older, _) | (LapOrder::Same, Some(Phase::Free) | None) => break,
                (LapOrder::Newer, _) => self.jump(&mut at, word, &self.header().tail.0),
                (LapOrder::Same, _) => self.advance(&mut at),
            }
            left = left.checked_sub(1)?;
        }
        let mut messages = 0;
        for back in 1..=self.capacity() {
            let word = load_state(&self.slot(at.position.wrapping_sub(back)));
            if word == SlotState::UNUSED {
                break;
            }
            left = left.checked_sub(1)?;
            messages += u64::from(matches!(word.phase(), Some(Phase::Full | Phase::Reading)));
        }
        Some(messages)
    }
}
