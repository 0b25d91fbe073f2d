//! What looks at every slot: messages whose receiver died, slots of a seat that changes hands, and how
//! many messages there are.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::consumer::{Consumer, Held};
use super::{Watch, is_gone, look, swap};
use crate::ring::slot_state::{DELIVERIES_MAX, NO_OWNER, Phase, SlotState};
use crate::ring::{Cursor, Ring};
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};

impl Consumer {
    /// Whether there is a message whose receiver died. Looks at every slot.
    pub(super) fn has_orphan<W: Watch>(&self, mut watch: W) -> Result<bool, W::Error> {
        for at in self.ring.all_slots() {
            let word = look(&self.ring.slot_at(&at));
            if word.phase() == Some(Phase::Reading) && is_gone(word, &mut watch)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes over a message whose receiver died, if there is one. Looks at every slot.
    pub(crate) fn take_over<W: Watch>(
        &self,
        limit: u8,
        mut watch: W,
    ) -> Result<Option<Held>, W::Error> {
        for at in self.ring.all_slots() {
            let slot = self.ring.slot_at(&at);
            let word = look(&slot);
            if word.phase() != Some(Phase::Reading) || !is_gone(word, &mut watch)? {
                continue;
            }
            let at = self.ring.cursor(self.ring.position_of(word.lap(), &at));
            let deliveries = word.deliveries();
            if deliveries >= limit.min(DELIVERIES_MAX) {
                if swap(&slot, word, SlotState::free(word.lap().wrapping_add(1)), AcqRel) {
                    watch.set_aside(at.position);
                    watch.freed();
                }
                continue;
            }
            let ours = SlotState::reading(word.lap(), deliveries + 1, self.seat);
            // Acquire: the dead one's own acquire of the message is none of ours.
            if swap(&slot, word, ours, AcqRel) {
                return Ok(Some(Held { at, word: ours }));
            }
        }
        Ok(None)
    }
}

/// What there was to clear in the slots of a seat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disowned {
    /// Claims, which senders and receivers can step over now.
    pub(crate) claims: u64,
    /// Whether there are messages for another receiver.
    pub(crate) orphans: bool,
}

impl Disowned {
    /// Whether anything changed that somebody may wait for.
    pub(crate) fn is_any(self) -> bool {
        self.claims != 0 || self.orphans
    }
}

impl Ring {
    /// A cursor at every slot, at whatever position.
    fn all_slots(&self) -> impl Iterator<Item = Cursor> {
        (0..self.capacity()).map(|index| self.cursor(index))
    }

    /// The position of a word's lap at a slot: a word knows 48 bits of its lap, the rest is that of
    /// the head, or of the lap beside it.
    fn position_of(&self, lap: u64, at: &Cursor) -> u64 {
        let near = self.lap(self.header().head.0.load(Relaxed));
        let distance = (lap.wrapping_sub(near) << 16) as i64 >> 16;
        let lap = near.wrapping_add(distance as u64);
        lap << self.shift | (at.position & self.mask)
    }

    /// Clears what the last holder of a seat left in the slots, before another one uses the seat:
    /// its claims hold no message, what it read is nobody's until a receiver takes it over. If there
    /// is any of these, [`orphaned`](Ring::orphaned) is another afterwards.
    pub(crate) fn orphan_slots(&self, seat: u8) -> Disowned {
        let mut disowned = Disowned::default();
        for at in self.all_slots() {
            let slot = self.slot_at(&at);
            let word = look(&slot);
            match (word.phase(), word.owner()) {
                (Some(Phase::Claimed), owner) if owner == seat => {
                    let skip = SlotState::skip(word.lap());
                    disowned.claims += u64::from(swap(&slot, word, skip, AcqRel));
                }
                (Some(Phase::Reading), owner) if owner == seat => {
                    let nobody = SlotState::reading(word.lap(), word.deliveries(), NO_OWNER);
                    disowned.orphans |= swap(&slot, word, nobody, AcqRel);
                }
                // Whoever did so may have died before it was counted.
                (Some(Phase::Reading), NO_OWNER) => disowned.orphans = true,
                _ => {}
            }
        }
        if disowned.orphans {
            self.count_orphans();
        }
        disowned
    }

    /// Tells receivers that a message became nobody's.
    pub(super) fn count_orphans(&self) {
        // Release: who sees the new number sees what is nobody's.
        self.header().repairs.orphaned.fetch_add(1, Release);
    }

    /// Changes whenever messages became nobody's.
    pub(crate) fn orphaned(&self) -> u64 {
        self.header().repairs.orphaned.load(Acquire)
    }

    /// Whether every message was acknowledged, but for those that `seat` reads.
    pub(crate) fn is_drained(&self, seat: u8) -> bool {
        self.all_slots().all(|at| {
            let word = look(&self.slot_at(&at));
            match word.phase() {
                Some(Phase::Full) => false,
                Some(Phase::Reading) => word.owner() == seat,
                _ => true,
            }
        })
    }

    /// Whether a message is there that nobody took yet, by a look at every slot.
    pub(crate) fn has_untaken(&self) -> bool {
        self.all_slots().any(|at| look(&self.slot_at(&at)).phase() == Some(Phase::Full))
    }

    /// Whether a member has a message in hand, by a look at every slot.
    pub(crate) fn has_taken(&self) -> bool {
        self.all_slots().any(|at| look(&self.slot_at(&at)).phase() == Some(Phase::Reading))
    }

    /// Which messages are in the ring and who has them in hand, in one number that does not come again.
    pub(crate) fn hands(&self) -> u64 {
        let mut hands = DefaultHasher::new();
        for at in self.all_slots() {
            let word = look(&self.slot_at(&at));
            if let Some(Phase::Full | Phase::Reading) = word.phase() {
                (at.position, word.0).hash(&mut hands);
            }
        }
        hands.finish()
    }

    /// Messages sent and not yet acknowledged, by a look at every slot.
    pub(crate) fn count_messages(&self) -> u64 {
        let holds = |at| {
            let phase = look(&self.slot_at(&at)).phase();
            matches!(phase, Some(Phase::Full | Phase::Reading))
        };
        self.all_slots().map(|at| u64::from(holds(at))).sum()
    }
}
