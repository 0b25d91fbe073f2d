//! Inspection from outside, of a ring whose slots may hold anything.

use super::load_state;
use crate::flavor::SEATS_MAX;
use crate::ring::Ring;
use crate::ring::slot_state::{LapOrder, NO_OWNER, Phase, SlotState};
use crate::sync::Ordering::Acquire;

/// What the slots of a ring hold, if no member moved meanwhile.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The first position that no sender has claimed.
    pub(crate) end: u64,
    /// The number of messages sent and not yet acknowledged.
    pub(crate) messages: u64,
    /// The number of messages that a sender would find room for, if no receiver acknowledged one.
    pub(crate) room: u64,
    /// The slots that no member owns any more.
    pub(crate) orphaned: Owned,
    by_seat: [Owned; SEATS_MAX],
}

/// The slots that one member owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) slots: u64,
    /// The lowest position among them.
    pub(crate) oldest: Option<u64>,
}

impl Survey {
    /// Returns the slots of a seat.
    pub(crate) fn of_seat(&self, seat: usize) -> Owned {
        self.by_seat.get(seat).copied().unwrap_or_default()
    }

    fn add(&mut self, owner: u8, position: u64) {
        let owned = match (owner, self.by_seat.get_mut(usize::from(owner))) {
            (NO_OWNER, _) => &mut self.orphaned,
            (_, Some(owned)) => owned,
            // No honest member writes that.
            (_, None) => return,
        };
        owned.slots += 1;
        let is_older = |oldest: u64| (oldest.wrapping_sub(position) as i64) > 0;
        if owned.oldest.is_none_or(is_older) {
            owned.oldest = Some(position);
        }
    }
}

impl Ring {
    /// Returns what the slots hold: exact if no member moves meanwhile. Returns `None` if that
    /// takes more than `at_most` slots. `is_dead` tells whether the holder of a seat is dead.
    ///
    /// It walks forward from the tail's hint to the first slot that is not claimed, and from there
    /// back over all slots that were ever used. A slot that was never used ends either walk,
    /// whatever the header holds; so it makes at most two pages resident that were never written.
    pub(crate) fn survey(&self, at_most: u64, is_dead: impl Fn(u8) -> bool) -> Option<Survey> {
        // Far more than an honest walk in both directions takes, however fast the members are
        // meanwhile.
        let mut left = at_most.min(self.walk_limit().saturating_add(self.capacity()));
        let end = self.first_unclaimed(&mut left)?;
        let orphaned = Owned::default();
        let by_seat = [orphaned; SEATS_MAX];
        let mut survey = Survey { end, messages: 0, room: 0, orphaned, by_seat };
        for back in 1..=self.capacity() {
            let at = self.cursor(end.wrapping_sub(back));
            let word = load_state(&self.slot_at(&at));
            if word == SlotState::UNUSED {
                break;
            }
            left = left.checked_sub(1)?;
            let (holds_message, owner) = use_of(word);
            survey.messages += u64::from(holds_message);
            if let Some(owner) = owner {
                survey.add(owner, self.position_of(&at, word));
            }
        }
        survey.room = self.room_from(end, &mut left, is_dead)?;
        Some(survey)
    }

    /// Returns the first position that is not claimed, by a walk from the tail's hint. Returns
    /// `None` if that takes more slots than are left.
    pub(in crate::ring) fn first_unclaimed(&self, left: &mut u64) -> Option<u64> {
        let mut at = self.cursor(self.header().tail.0.load(Acquire));
        loop {
            let word = load_state(&self.slot_at(&at));
            match (word.age(self.lap(at.position)), word.phase()) {
                _ if word == SlotState::UNUSED => break,
                (LapOrder::Older, _) | (LapOrder::Same, Some(Phase::Free) | None) => break,
                (LapOrder::Newer, _) => self.jump_to_claim(&mut at, word),
                (LapOrder::Same, _) => self.advance(&mut at),
            }
            *left = left.checked_sub(1)?;
        }
        Some(at.position)
    }

    /// Returns how many slots a sender can use from `start` on, where the first slot lies that is
    /// not claimed, and just before it. Slots that were never used are not loaded, but for the
    /// first.
    fn room_from(&self, start: u64, left: &mut u64, is_dead: impl Fn(u8) -> bool) -> Option<u64> {
        let mut room = 0;
        // What was abandoned last is claimed again.
        for position in (1..=start.min(self.capacity() - 1)).map(|back| start - back) {
            let word = load_state(&self.slot(position));
            *left = left.checked_sub(1)?;
            match (word.age(self.lap(position)), word.phase()) {
                (LapOrder::Same, Some(Phase::Skip)) if word.claimed_again(NO_OWNER).is_some() => {
                    room += 1;
                }
                (LapOrder::Same, Some(Phase::Held)) => {}
                _ => break,
            }
        }
        let mut ahead = 0;
        while ahead < self.capacity() {
            let position = start.wrapping_add(ahead);
            let (word, lap) = (load_state(&self.slot(position)), self.lap(position));
            *left = left.checked_sub(1)?;
            ahead += 1;
            let is_older = word.age(lap) == LapOrder::Older;
            match word.phase() {
                // In the first lap, no slot behind one that was never used was used, either.
                _ if word == SlotState::UNUSED && lap == 0 => {
                    room += self.capacity() - position;
                    ahead += self.capacity() - position - 1;
                }
                Some(Phase::Free) if word.is_free() && word.age(lap) == LapOrder::Same => room += 1,
                // A sender frees these,
                Some(Phase::Skip) if is_older => room += 1,
                Some(Phase::Claimed) if is_older && is_dead(word.owner()) => room += 1,
                // and steps over these.
                Some(Phase::Reading | Phase::Held) if is_older => {}
                _ => break,
            }
        }
        Some(room.min(self.capacity()))
    }
}

/// Returns whether a slot of this state holds a message that was not acknowledged, and which member
/// works in it.
fn use_of(word: SlotState) -> (bool, Option<u8>) {
    match word.phase() {
        Some(Phase::Full) => (true, None),
        Some(Phase::Reading | Phase::Held) => (true, Some(word.owner())),
        Some(Phase::Claimed) => (false, Some(word.owner())),
        Some(Phase::Free | Phase::Skip) | None => (false, None),
    }
}
