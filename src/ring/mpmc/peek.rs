//! Polling without taking: is there work for another member of this side?

use super::ahead::{Ahead, Beyond};
use super::{BAD_LAP, BAD_PHASE, Consumer, Producer, Watch, is_gone, load_state};
use crate::ring::Ring;
use crate::ring::slot_state::{LapOrder, Phase};
use crate::sync::Ordering::Acquire;

/// Rings of up to this many slots always count as half free: their depth is known only to within
/// some positions.
const SMALL: u64 = 64;

impl Consumer {
    /// Returns whether a receiver would find a message, or a claim of a dead sender to step over.
    pub(crate) fn has_any<W: Watch>(&self, mut watch: W) -> Result<bool, W::Error> {
        let mut at = self.ring.cursor(self.position());
        for _ in 0..self.ring.walk_limit() {
            let word = load_state(&self.ring.slot_at(&at));
            match word.age(self.ring.lap(at.position)) {
                LapOrder::Older => return Ok(false),
                LapOrder::Newer => self.ring.jump_to_take(&mut at, word),
                LapOrder::Same => match word.phase().ok_or(BAD_PHASE)? {
                    Phase::Free => return Ok(false),
                    Phase::Full => return Ok(true),
                    Phase::Claimed => return is_gone(word, &mut watch),
                    Phase::Reading | Phase::Held | Phase::Skip => self.ring.advance(&mut at),
                },
            }
        }
        // Other members overtook this walk: one more poll does no harm.
        Ok(true)
    }

    /// Returns whether a message lies behind a slot in which a sender is still writing.
    pub(crate) fn hides_message(&self) -> bool {
        let mut at = self.ring.cursor(self.position());
        let mut behind = false;
        for _ in 0..self.ring.walk_limit() {
            let word = load_state(&self.ring.slot_at(&at));
            match (word.age(self.ring.lap(at.position)), word.phase()) {
                (LapOrder::Newer, _) => self.ring.jump_to_take(&mut at, word),
                (LapOrder::Older, _) | (LapOrder::Same, None | Some(Phase::Free)) => return false,
                (LapOrder::Same, Some(Phase::Full)) => return behind,
                (LapOrder::Same, Some(phase)) => {
                    behind |= phase == Phase::Claimed;
                    self.ring.advance(&mut at);
                }
            }
        }
        false
    }
}

impl Producer {
    /// Returns whether a sender would find a free slot, or one that it can free.
    pub(crate) fn has_any<W: Watch>(&self, watch: W) -> Result<bool, W::Error> {
        self.ring().has_room(self.position(), watch)
    }
}

impl Ring {
    /// Returns whether a sender would find a free slot, or one that it can free; for a member that
    /// is no sender.
    pub(crate) fn has_any_room<W: Watch>(&self, watch: W) -> Result<bool, W::Error> {
        self.has_room(self.header().tail.0.load(Acquire), watch)
    }

    /// Returns the same, by a walk from a position before which no slot is free.
    fn has_room<W: Watch>(&self, from: u64, mut watch: W) -> Result<bool, W::Error> {
        let mut at = self.cursor(from);
        let mut ahead = Ahead::of(&at);
        for _ in 0..self.walk_limit() {
            let lap = self.lap(at.position);
            let word = load_state(&self.slot_at(&at));
            match (word.age(lap), word.phase().ok_or(BAD_PHASE)?) {
                (LapOrder::Same, Phase::Free) => return Ok(true),
                (LapOrder::Same, Phase::Skip) if self.may_reclaim(&at, word, &mut ahead) => {
                    return Ok(true);
                }
                (LapOrder::Same, _) => self.advance(&mut at),
                (LapOrder::Newer, _) => self.jump_to_claim(&mut at, word),
                (LapOrder::Older, Phase::Skip) => return Ok(true),
                (LapOrder::Older, Phase::Claimed) => return is_gone(word, &mut watch),
                (LapOrder::Older, Phase::Full) => return Ok(false),
                (LapOrder::Older, Phase::Reading | Phase::Held) => {
                    return Ok(ahead.look_beyond(self, &at, &mut watch)? == Beyond::Room);
                }
                (LapOrder::Older, Phase::Free) => return Err(BAD_LAP.into()),
            }
        }
        Ok(true)
    }

    /// Returns whether enough is free to wake a parked sender: half of the ring, so that one
    /// wake-up serves a burst and not a single message.
    pub(crate) fn is_half_free(&self) -> bool {
        self.capacity() <= SMALL || self.depth_hint() <= self.capacity() / 2
    }

    /// Returns whether the acknowledgement of the message at `position` made half of the ring free.
    /// Half of the ring becomes free when the head hint moves. A receiver moves the hint when it
    /// takes a message, and checks when it acknowledges: the message then lies before the hint. As
    /// long as the receiver has not acknowledged it, all other receivers check in its place. The
    /// head hint is on the receivers' line; the tail hint is loaded from the senders' line only by
    /// the receiver that has to check.
    pub(crate) fn became_half_free(&self, position: u64) -> bool {
        if self.capacity() <= SMALL {
            return true;
        }
        let head = self.header().head.0.load(Acquire);
        let is_passed = head.wrapping_sub(position.wrapping_add(1)) <= u64::MAX / 2;
        (is_passed || self.is_taken(head.wrapping_sub(1))) && self.is_half_free()
    }

    /// Returns whether the message at that position is in flight, or an older one in its slot.
    fn is_taken(&self, position: u64) -> bool {
        let word = load_state(&self.slot(position));
        word.age(self.lap(position)) == LapOrder::Same && word.is_in_flight()
    }
}
