//! Operations that scan every slot: messages whose receiver died, the slots of a seat that changes
//! hands, and counting messages.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::consumer::{Consumer, Held};
use super::{Watch, is_gone, load_state, swap};
use crate::ring::slot_state::{NO_OWNER, Phase, SlotState};
use crate::ring::{Cursor, Ring};
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};

impl Consumer {
    /// Returns whether there is a message whose receiver died or returned it. Scans every slot.
    /// Leaves out messages that were delivered `leave` times or more.
    pub(super) fn has_orphan<W: Watch>(&self, leave: u8, mut watch: W) -> Result<bool, W::Error> {
        for at in self.ring.all_slots() {
            let word = load_state(&self.ring.slot_at(&at));
            if word.phase() == Some(Phase::Reading) && is_gone(word, &mut watch)? {
                if word.deliveries() < leave {
                    return Ok(true);
                }
                watch.left_out();
            }
        }
        Ok(false)
    }

    /// Takes over a message whose receiver died or returned it, if there is one. Scans every slot.
    /// Leaves messages where they are that were delivered `leave` times or more.
    pub(crate) fn take_over<W: Watch>(
        &self,
        leave: u8,
        mut watch: W,
    ) -> Result<Option<Held>, W::Error> {
        for at in self.ring.all_slots() {
            let slot = self.ring.slot_at(&at);
            let word = load_state(&slot);
            if word.phase() != Some(Phase::Reading) || !is_gone(word, &mut watch)? {
                continue;
            }
            let at = self.ring.cursor(self.ring.position_of(word.lap(), &at));
            if word.deliveries() >= leave {
                watch.left_out();
                continue;
            }
            let ours = SlotState::reading(word.lap(), word.deliveries_after(), self.seat);
            // Acquire: the dead receiver's Acquire of the message does not order our reads.
            if swap(&slot, word, ours, AcqRel) {
                return Ok(Some(Held { at, word: ours }));
            }
        }
        Ok(None)
    }
}

/// What was cleared in the slots of a seat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReleasedSlots {
    /// Claims, which senders and receivers can now step over.
    pub(crate) claims: u64,
    /// Whether there are orphaned messages for another receiver.
    pub(crate) orphans: bool,
}

impl ReleasedSlots {
    /// Returns whether anything changed that a member may wait for.
    pub(crate) fn is_any(self) -> bool {
        self.claims != 0 || self.orphans
    }
}

impl Ring {
    /// Returns a cursor at every slot, at an arbitrary position.
    fn all_slots(&self) -> impl Iterator<Item = Cursor> {
        (0..self.capacity()).map(|index| self.cursor(index))
    }

    /// Returns the position of a state's lap at a slot: a state holds 48 bits of its lap; the
    /// remaining bits are those of the head's lap, or of an adjacent one.
    pub(super) fn position_of(&self, lap: u64, at: &Cursor) -> u64 {
        let near = self.lap(self.header().head.0.load(Relaxed));
        let distance = (lap.wrapping_sub(near) << 16) as i64 >> 16;
        let lap = near.wrapping_add(distance as u64);
        lap << self.shift | (at.position & self.mask)
    }

    /// Clears what the last holder of a seat left in the slots, before another member uses the
    /// seat: its claims hold no message, and the messages it was reading are orphaned until a
    /// receiver takes them over. If there is any such message, [`orphaned`](Ring::orphaned) returns
    /// another value afterwards.
    pub(crate) fn release_slots_of(&self, seat: u8) -> ReleasedSlots {
        let mut disowned = ReleasedSlots::default();
        for at in self.all_slots() {
            let slot = self.slot_at(&at);
            let word = load_state(&slot);
            match (word.phase(), word.owner()) {
                (Some(Phase::Claimed), owner) if owner == seat => {
                    let skip = SlotState::skip(word.lap());
                    disowned.claims += u64::from(swap(&slot, word, skip, AcqRel));
                }
                (Some(Phase::Reading), owner) if owner == seat => {
                    let nobody = SlotState::reading(word.lap(), word.deliveries(), NO_OWNER);
                    disowned.orphans |= swap(&slot, word, nobody, AcqRel);
                }
                // The member that orphaned it may have died before it was counted.
                (Some(Phase::Reading), NO_OWNER) => disowned.orphans = true,
                _ => {}
            }
        }
        if disowned.orphans {
            self.bump_orphan_epoch();
        }
        disowned
    }

    /// Tells receivers that a message was orphaned.
    pub(super) fn bump_orphan_epoch(&self) {
        // Release: a receiver that sees the new count sees the orphaned message.
        self.header().repairs.orphaned.fetch_add(1, Release);
    }

    /// Returns a count that changes whenever a message was orphaned.
    pub(crate) fn orphaned(&self) -> u64 {
        self.header().repairs.orphaned.load(Acquire)
    }

    /// Returns whether every message was acknowledged, except those that `seat` is reading.
    pub(crate) fn is_drained(&self, seat: u8) -> bool {
        self.all_slots().all(|at| {
            let word = load_state(&self.slot_at(&at));
            match word.phase() {
                Some(Phase::Full) => false,
                Some(Phase::Reading) => word.owner() == seat,
                _ => true,
            }
        })
    }

    /// Returns whether there is a message that no receiver took yet. Scans every slot.
    pub(crate) fn has_untaken(&self) -> bool {
        self.all_slots().any(|at| load_state(&self.slot_at(&at)).phase() == Some(Phase::Full))
    }

    /// Returns whether any member has a message in flight. Scans every slot.
    pub(crate) fn has_taken(&self) -> bool {
        self.all_slots().any(|at| load_state(&self.slot_at(&at)).phase() == Some(Phase::Reading))
    }

    /// Returns a hash of the messages in the ring and of the members that have them in flight: a
    /// number that does not recur.
    pub(crate) fn in_flight_hash(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        for at in self.all_slots() {
            let word = load_state(&self.slot_at(&at));
            if let Some(Phase::Full | Phase::Reading) = word.phase() {
                (at.position, word.0).hash(&mut hash);
            }
        }
        hash.finish()
    }

    /// Returns the number of messages sent and not yet acknowledged. Scans every slot.
    pub(crate) fn count_messages(&self) -> u64 {
        let holds = |at| {
            let phase = load_state(&self.slot_at(&at)).phase();
            matches!(phase, Some(Phase::Full | Phase::Reading))
        };
        self.all_slots().map(|at| u64::from(holds(at))).sum()
    }
}
