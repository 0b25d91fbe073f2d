//! Operations that scan every slot: messages whose receiver died, the slots of a seat that changes
//! hands, and counting messages.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::consumer::{Consumer, Held};
use super::{Watch, is_gone, load_state, swap};
use crate::ring::slot_state::{NO_OWNER, Phase, SlotState};
use crate::ring::{Cursor, Ring, Slot};
use crate::sync::Ordering::{AcqRel, Acquire, Release, SeqCst};
use crate::sync::plain;

impl Consumer {
    /// Returns whether there is a message whose receiver died or returned it. Scans every slot.
    /// Leaves out messages that were delivered `leave` times or more.
    pub(super) fn has_orphan<W: Watch>(&self, leave: u8, mut watch: W) -> Result<bool, W::Error> {
        for at in self.ring.all_slots() {
            let word = load_state(&self.ring.slot_at(&at));
            if word.is_in_flight() && is_gone(word, &mut watch)? {
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
    ///
    /// A scan begins where the last one found something: many such messages take one pass over the
    /// slots, and one that cannot be given up does not hide the others.
    pub(crate) fn take_over<W: Watch>(
        &self,
        leave: u8,
        mut watch: W,
    ) -> Result<Option<Held>, W::Error> {
        let from = self.search_from.load(plain::Ordering::Relaxed);
        for at in self.ring.all_slots_from(from) {
            let slot = self.ring.slot_at(&at);
            for word in self.ring.states_of(&slot) {
                if !word.is_in_flight() || !is_gone(word, &mut watch)? {
                    break;
                }
                if word.deliveries() >= leave {
                    watch.left_out();
                    break;
                }
                // Before the swap: only then it is certain (`origin.rs`).
                let at = self.ring.cursor(self.ring.position_of(&at, word));
                let ours = word.taken_over(self.seat);
                // Acquire: the dead receiver's Acquire of the message does not order our reads.
                // SeqCst: as in `Consumer::try_take`.
                if swap(&slot, word, ours, SeqCst) {
                    let next = at.position.wrapping_add(1);
                    self.search_from.store(next, plain::Ordering::Relaxed);
                    // The acknowledgement of a HELD slot takes the way of those (`finish`).
                    let held = ours.phase() == Some(Phase::Held);
                    let word = if held { ours.before_step() } else { ours };
                    return Ok(Some(Held { at, word }));
                }
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
        self.all_slots_from(0)
    }

    /// Returns the same, beginning at the slot of a position.
    fn all_slots_from(&self, from: u64) -> impl Iterator<Item = Cursor> {
        (0..self.capacity()).map(move |on| self.cursor(from.wrapping_add(on)))
    }

    /// Returns the states of a slot for a step that is tried until it succeeds or the state rules
    /// it out: a scan that went on after a failed swap would miss what is still there, since the
    /// faster member may be a sender that stepped over the slot. Another member wins each try, so
    /// their number is small; if it is not, receivers are made to search again.
    fn states_of(&self, slot: &Slot<'_>) -> impl Iterator<Item = SlotState> {
        let mut left = self.walk_limit();
        core::iter::from_fn(move || {
            if left == 0 {
                self.bump_orphan_epoch();
                return None;
            }
            left -= 1;
            Some(load_state(slot))
        })
    }

    /// Clears what the last holder of a seat left in the slots, before another member uses the
    /// seat: its claims hold no message, and the messages it was reading are orphaned until a
    /// receiver takes them over. If there is any such message, [`orphaned`](Ring::orphaned) returns
    /// another value afterwards.
    pub(crate) fn release_slots_of(&self, seat: u8) -> ReleasedSlots {
        let mut disowned = ReleasedSlots::default();
        for at in self.all_slots() {
            let slot = self.slot_at(&at);
            for word in self.states_of(&slot) {
                let (claimed, taken) = (word.phase() == Some(Phase::Claimed), word.is_in_flight());
                // The member that orphaned it may have died before it was counted.
                disowned.orphans |= taken && word.owner() == NO_OWNER;
                if !(claimed || taken) || word.owner() != seat {
                    break;
                }
                let to = if claimed { word.abandoned() } else { word.orphaned() };
                if swap(&slot, word, to, AcqRel) {
                    disowned.claims += u64::from(claimed);
                    disowned.orphans |= taken;
                    break;
                }
            }
        }
        if disowned.orphans {
            self.bump_orphan_epoch();
        }
        disowned
    }

    /// Tells receivers that a message was orphaned, or that one was found that still is: they have
    /// to search for it. The one place that every such message passes, before the wake-up of a
    /// receiver.
    pub(super) fn bump_orphan_epoch(&self) {
        // Release: a receiver that sees the new count sees the orphaned message.
        self.header().repairs.orphaned.fetch_add(1, Release);
    }

    /// Returns a count that changes whenever a message was orphaned.
    pub(crate) fn orphaned(&self) -> u64 {
        self.header().repairs.orphaned.load(Acquire)
    }

    /// Returns whether every message was acknowledged, except those that `seat` is reading. Begins at
    /// a position where there is likely a message, if there is any: each acknowledgement after the end
    /// of the stream asks, and must not scan every slot.
    pub(crate) fn is_drained(&self, seat: u8, from: u64) -> bool {
        self.all_slots_from(from).all(|at| {
            let word = load_state(&self.slot_at(&at));
            !word.holds_message() || word.is_in_flight() && word.owner() == seat
        })
    }

    /// Returns whether there is a message that no receiver took yet. Scans every slot.
    pub(crate) fn has_untaken(&self) -> bool {
        self.all_slots().any(|at| load_state(&self.slot_at(&at)).phase() == Some(Phase::Full))
    }

    /// Returns whether any member has a message in flight. Scans every slot.
    pub(crate) fn has_taken(&self) -> bool {
        self.all_slots().any(|at| load_state(&self.slot_at(&at)).is_in_flight())
    }

    /// Returns a hash of the messages in the ring and of the members that have them in flight: a
    /// number that does not recur.
    pub(crate) fn in_flight_hash(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        for at in self.all_slots() {
            let word = load_state(&self.slot_at(&at));
            if word.holds_message() {
                (at.position, word.0).hash(&mut hash);
            }
        }
        hash.finish()
    }

    /// Returns the number of messages sent and not yet acknowledged. Scans every slot.
    pub(crate) fn count_messages(&self) -> u64 {
        let holds = |at| load_state(&self.slot_at(&at)).holds_message();
        self.all_slots().map(|at| u64::from(holds(at))).sum()
    }
}
