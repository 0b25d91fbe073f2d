//! What a sender sees beyond the slot that it has come to, without changing anything: whether
//! stepping over it leads to a free slot, and whether a message lies behind it.

use super::{BAD_PHASE, Watch, is_gone, load_state};
use crate::ring::slot_state::{LapOrder, NO_OWNER, Phase, SlotState};
use crate::ring::{Cursor, Ring};

/// What lies beyond a slot that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    /// A slot that can be claimed, or that other members went past, and up to there only slots that
    /// can be stepped over.
    Room,
    /// A message that no receiver took.
    Full,
    /// A slot in which a living member writes.
    Claimed { seat: u8 },
    /// Every slot is being read.
    Held,
}

/// What one walk has seen ahead of it. It looks along a run of slots once and not at each of them.
#[derive(Debug)]
pub(super) struct Ahead {
    /// There is room at this position, if it is ahead.
    room: u64,
    /// There is a message at this position, if it is ahead.
    message: u64,
}

/// Returns whether `position` is one of the slots that a look from `at` passes.
fn is_ahead(ring: &Ring, position: u64, at: &Cursor) -> bool {
    (1..ring.capacity()).contains(&position.wrapping_sub(at.position))
}

impl Ring {
    /// Returns whether a position that was abandoned may be claimed again.
    pub(super) fn may_reclaim(&self, at: &Cursor, word: SlotState, ahead: &mut Ahead) -> bool {
        word.claimed_again(NO_OWNER).is_some() && ahead.is_last(self, at)
    }
}

impl Ahead {
    /// Nothing was seen yet by a walk that starts at `at`.
    pub(super) fn of(at: &Cursor) -> Ahead {
        Ahead { room: at.position, message: at.position }
    }

    /// Looks beyond the slot at `at`, which is being read: may a sender step over it?
    pub(super) fn look_beyond<W: Watch>(
        &mut self,
        ring: &Ring,
        at: &Cursor,
        watch: &mut W,
    ) -> Result<Beyond, W::Error> {
        if is_ahead(ring, self.room, at) {
            return Ok(Beyond::Room);
        }
        let mut look = *at;
        for _ in 1..ring.capacity() {
            ring.advance(&mut look);
            let word = load_state(&ring.slot_at(&look));
            match (word.age(ring.lap(look.position)), word.phase().ok_or(BAD_PHASE)?) {
                (LapOrder::Older, Phase::Full) => return Ok(Beyond::Full),
                (LapOrder::Older, Phase::Claimed) if !is_gone(word, watch)? => {
                    return Ok(Beyond::Claimed { seat: word.owner() });
                }
                // Claimed or stepped over meanwhile, or to be stepped over.
                (LapOrder::Same, phase) if phase != Phase::Free => {}
                (LapOrder::Older, Phase::Reading | Phase::Held) => {}
                _ => {
                    self.room = look.position;
                    return Ok(Beyond::Room);
                }
            }
        }
        Ok(Beyond::Held)
    }

    /// Returns whether no position after `at` was claimed for a message, as far as a look finds:
    /// only then may a position that was abandoned be claimed again. A message behind it would be
    /// older than the one sent there.
    pub(super) fn is_last(&mut self, ring: &Ring, at: &Cursor) -> bool {
        if is_ahead(ring, self.message, at) {
            return false;
        }
        let mut look = *at;
        for _ in 1..ring.capacity() {
            ring.advance(&mut look);
            let word = load_state(&ring.slot_at(&look));
            match (word.age(ring.lap(look.position)), word.phase()) {
                (LapOrder::Older, _) | (LapOrder::Same, Some(Phase::Free)) => break,
                (LapOrder::Same, Some(Phase::Skip | Phase::Held)) => {}
                _ => {
                    self.message = look.position;
                    return false;
                }
            }
        }
        true
    }
}
