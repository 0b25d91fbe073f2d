//! What a tap sees in an MPMC ring.

use super::{Seen, WALK};
use crate::ring::mpmc::BAD_PHASE;
use crate::ring::slot_state::{LapOrder, Phase, SlotState};
use crate::ring::{Corrupt, Cursor, Ring, Slot};
use crate::sync::Ordering::Acquire;
use crate::sync::fence;

impl Ring {
    /// `message` is a position at which a message was seen.
    pub(super) fn tap_mpmc<R>(
        &self,
        position: u64,
        message: &mut u64,
        copy: &mut impl FnMut(u64, Slot<'_>) -> R,
    ) -> Result<Seen<R>, Corrupt> {
        let (at, lap) = (self.cursor(position), position >> self.shift);
        let slot = self.slot_at(&at);
        // Acquire: the payload is visible, and the origin of a HELD message.
        let word = SlotState(slot.head.word.load(Acquire));
        // Laps wrap: the state of a fresh slot is not that of the lap before the first.
        if word == SlotState::UNUSED {
            return Ok(Seen::NotYet);
        }
        match (word.age(lap), word.phase().ok_or(BAD_PHASE)?) {
            (LapOrder::Older, _) | (LapOrder::Same, Phase::Free | Phase::Claimed) => {
                return Ok(Seen::NotYet);
            }
            (LapOrder::Same, Phase::Held) => return Ok(Seen::Unsent),
            (LapOrder::Same, Phase::Skip) => return Ok(self.pass_over(&at, word, message)),
            (LapOrder::Same, Phase::Full | Phase::Reading) => {}
            (LapOrder::Newer, Phase::Free) if word == SlotState::free(lap.wrapping_add(1)) => {}
            (LapOrder::Newer, Phase::Free)
                if word == SlotState::free_unsent(lap.wrapping_add(1)) =>
            {
                return Ok(Seen::Unsent);
            }
            (LapOrder::Newer, Phase::Held) => match self.origin_after(&at, word) {
                0 => {}
                ..0 => return Ok(Seen::Unsent),
                _ => return Ok(self.lost(&at, word)),
            },
            (LapOrder::Newer, _) => return Ok(self.lost(&at, word)),
        }
        let copied = copy(position, slot);
        // Acquire: the state below is that of the sender whose stores were read, or a later one.
        fence(Acquire);
        // Acquire: for the origin.
        let now = SlotState(slot.head.word.load(Acquire));
        match self.holds_still(&at, now) {
            true => Ok(Seen::Whole(copied)),
            false => Ok(self.lost(&at, now)),
        }
    }

    /// Returns how far the origin of a HELD slot is behind the position at `at`.
    fn origin_after(&self, at: &Cursor, word: SlotState) -> i64 {
        self.position_of(at, word).wrapping_sub(at.position) as i64
    }

    /// Returns whether a slot that held the message of this position still holds it.
    fn holds_still(&self, at: &Cursor, now: SlotState) -> bool {
        let lap = at.position >> self.shift;
        match (now.age(lap), now.phase()) {
            (LapOrder::Same, Some(Phase::Full | Phase::Reading)) => true,
            (LapOrder::Newer, Some(Phase::Held)) => self.origin_after(at, now) == 0,
            _ => now == SlotState::free(lap.wrapping_add(1)),
        }
    }

    /// The position at `at` is lost: its slot has a state of a later lap.
    fn lost<R>(&self, at: &Cursor, word: SlotState) -> Seen<R> {
        let Cursor { position, .. } = *at;
        // The slot's last position that is known to be claimed or skipped.
        let laps = match (word.age(position >> self.shift), word.phase()) {
            (LapOrder::Newer, Some(Phase::Free)) => word.laps_after(position >> self.shift) - 1,
            (LapOrder::Newer, _) => word.laps_after(position >> self.shift),
            _ => return Seen::Changed,
        };
        let claimed = position.wrapping_add(laps << self.shift).wrapping_add(1);
        let hint = self.header().tail.0.load(Acquire);
        let is_further = (hint.wrapping_sub(claimed) as i64) > 0;
        let end = if is_further { hint } else { claimed };
        Seen::Lost(end.wrapping_sub(self.capacity()).wrapping_add(self.margin()))
    }

    /// Looks for a message behind a SKIP, which a sender may claim again while there is none.
    fn pass_over<R>(&self, at: &Cursor, word: SlotState, message: &mut u64) -> Seen<R> {
        // The state was loaded after that message was seen.
        if (1..self.capacity()).contains(&message.wrapping_sub(at.position)) {
            return Seen::Unsent;
        }
        let mut look = *at;
        for _ in 1..self.capacity().min(WALK) {
            self.advance(&mut look);
            let next = SlotState(self.slot_at(&look).head.word.load(Acquire));
            match (next.age(look.position >> self.shift), next.phase()) {
                (LapOrder::Same, Some(Phase::Skip | Phase::Held)) => {}
                (LapOrder::Same, Some(Phase::Full | Phase::Reading)) | (LapOrder::Newer, _) => {
                    *message = look.position;
                    // The caller looks at the SKIP once more.
                    let now = SlotState(self.slot_at(at).head.word.load(Acquire));
                    return if now == word { Seen::Unsent } else { Seen::Changed };
                }
                _ => break,
            }
        }
        Seen::NotYet
    }

    pub(super) fn is_unacknowledged(&self, position: u64) -> bool {
        let (at, lap) = (self.cursor(position), position >> self.shift);
        let word = SlotState(self.slot_at(&at).head.word.load(Acquire));
        match (word.age(lap), word.phase()) {
            _ if word == SlotState::UNUSED => false,
            (LapOrder::Same, Some(Phase::Full | Phase::Reading)) => true,
            (LapOrder::Newer, Some(Phase::Held)) => self.origin_after(&at, word) == 0,
            _ => false,
        }
    }

    /// Returns the first position from which on nothing was published, as far as a walk finds.
    pub(super) fn first_unsent(&self) -> u64 {
        let end = self.end_of_claims();
        let is_open = |position: u64| {
            let word = SlotState(self.slot(position).head.word.load(Acquire));
            let is_same = word.age(position >> self.shift) == LapOrder::Same;
            is_same && matches!(word.phase(), Some(Phase::Claimed | Phase::Skip | Phase::Held))
        };
        // What is claimed now is sent later, and a SKIP may be.
        let open =
            (1..=self.capacity().min(WALK)).take_while(|back| is_open(end.wrapping_sub(*back)));
        end.wrapping_sub(open.count() as u64)
    }

    /// Returns the first position that is not lost.
    pub(super) fn oldest_not_lost(&self) -> u64 {
        let end = self.end_of_claims();
        // Positions begin at 0, and the ring has no more than one lap.
        let first = end.saturating_sub(self.capacity());
        let mut message = first;
        let mut is_lost = |position: &u64| {
            let seen = self.tap_mpmc(*position, &mut message, &mut |_, _| {});
            matches!(seen, Ok(Seen::Lost(_) | Seen::Unsent))
        };
        let mut positions = (0..end.wrapping_sub(first).min(WALK)).map(|on| first.wrapping_add(on));
        positions.find(|position| !is_lost(position)).unwrap_or(end)
    }

    fn end_of_claims(&self) -> u64 {
        let mut left = WALK;
        let hint = || self.header().tail.0.load(Acquire);
        self.first_unclaimed(&mut left).unwrap_or_else(hint)
    }
}
