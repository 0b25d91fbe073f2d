//! Looking without taking: is there anything for another member of this side?

use super::{BAD_LAP, BAD_PHASE, Consumer, Producer, Watch, is_gone, look};
use crate::ring::Ring;
use crate::ring::slot_state::{LapOrder, Phase};
use crate::sync::Ordering::Acquire;

/// Rings of so few slots are never called half full: the depth is known to within some positions.
const SMALL: u64 = 64;

impl Consumer {
    /// Whether a receiver would find a message, or a claim of a dead sender to step over.
    pub(crate) fn has_any<W: Watch>(&self, mut watch: W) -> Result<bool, W::Error> {
        let mut at = self.ring.cursor(self.position());
        for _ in 0..self.ring.walk_limit() {
            let word = look(&self.ring.slot_at(&at));
            match word.age(self.ring.lap(at.position)) {
                LapOrder::Older => return Ok(false),
                LapOrder::Newer => self.ring.jump(&mut at, word, &self.ring.header().head.0),
                LapOrder::Same => match word.phase().ok_or(BAD_PHASE)? {
                    Phase::Free => return Ok(false),
                    Phase::Full => return Ok(true),
                    Phase::Claimed => return is_gone(word, &mut watch),
                    Phase::Reading | Phase::Skip => self.ring.advance(&mut at),
                },
            }
        }
        // Others are faster than this walk: one more look does no harm.
        Ok(true)
    }
}

impl Producer {
    /// Whether a sender would find a free slot, or one that it can free.
    pub(crate) fn has_any<W: Watch>(&self, mut watch: W) -> Result<bool, W::Error> {
        let ring = self.ring();
        let mut at = ring.cursor(self.position());
        for _ in 0..ring.walk_limit() {
            let lap = ring.lap(at.position);
            let word = look(&ring.slot_at(&at));
            match (word.age(lap), word.phase().ok_or(BAD_PHASE)?) {
                (LapOrder::Same, Phase::Free) => return Ok(true),
                (LapOrder::Same, _) => ring.advance(&mut at),
                (LapOrder::Newer, _) => ring.jump(&mut at, word, &ring.header().tail.0),
                (LapOrder::Older, Phase::Skip) => return Ok(true),
                (LapOrder::Older, Phase::Claimed) => return is_gone(word, &mut watch),
                (LapOrder::Older, Phase::Full | Phase::Reading) => return Ok(false),
                (LapOrder::Older, Phase::Free) => return Err(BAD_LAP.into()),
            }
        }
        Ok(true)
    }
}

impl Ring {
    /// Whether so much is free that a parked sender is to be woken for it: half of the ring, so that
    /// a wake-up is for a burst and not for a message.
    pub(crate) fn is_half_free(&self) -> bool {
        self.capacity() <= SMALL || self.depth_hint() <= self.capacity() / 2
    }

    /// Whether the acknowledgement of a message at that position made half of the ring free. Half gets free where
    /// the hint of the head moves, which a receiver does when it takes, and it asks when it acknowledges: what it
    /// took lies before the hint. As long as it keeps that, all others ask for it. The hint is on the receivers'
    /// line; the tail's is taken from the senders only for who is to ask.
    pub(crate) fn became_half_free(&self, position: u64) -> bool {
        let head = self.header().head.0.load(Acquire);
        let is_passed = head.wrapping_sub(position.wrapping_add(1)) <= u64::MAX / 2;
        self.capacity() <= SMALL
            || (is_passed || self.is_taken(head.wrapping_sub(1))) && self.is_half_free()
    }

    /// Whether the message of that position is in hand.
    fn is_taken(&self, position: u64) -> bool {
        let word = look(&self.slot(position));
        word.age(self.lap(position)) == LapOrder::Same && word.phase() == Some(Phase::Reading)
    }
}
