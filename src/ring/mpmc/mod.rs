//! Many senders, many receivers: a claim is one compare-and-swap on the slot's own word, and the word
//! says whose it is.
//!
//! *Claim.* A sender that finds FREE(lap) swaps it to CLAIMED(lap, itself), writes the payload, and
//! swaps that to FULL(lap). A receiver swaps FULL(lap) to READING(lap, itself), reads, and swaps that
//! to FREE(lap + 1). The word of a slot therefore names its owner from the very instant it has one.
//! Rings that claim by moving an index first (Vyukov's and its kin) cannot tell whose a claimed slot
//! is, and stand still when that one dies.
//!
//! *Why no two own a slot.* Every step is a compare-and-swap of the exact word that was looked at, and
//! no word comes twice: the lap only grows, and within a lap the phase only goes on or, while a
//! message is delivered again, its count of deliveries grows.
//!
//! *Positions are found by walking.* A sender may claim position `p` when every position before it
//! was claimed. It knows that of the position behind its own last one, and of the tail in the header,
//! which senders store now and then; from there it walks over slots whose word says that they were
//! claimed in this lap or a later one. A receiver walks likewise from the head. So tail and head are
//! hints: any former value of theirs is as true, only further away, and a plain store may take them
//! back. They are stored with Release and read with Acquire, so that a walk that starts from one sees
//! the words that it stands for and never an older one. A walk never passes a slot whose word is of an
//! *older* lap than the position: that slot was not claimed (senders) or not sent (receivers) yet.
//!
//! *Why a walk converges from any hint.* A thread that is stopped in front of the store of a hint may
//! store it after any number of laps. A word of a *newer* lap `n` says where the walk should be: the
//! slot was made free for lap `n`, so its position in lap `n - 1` was done with, and every position
//! before that was claimed and taken. The walk goes on behind that position, in one step, and is then
//! within a lap of the end. (All later words of the slot are swaps of that one, so an Acquire load of
//! any of them sees what the member that made the slot free had seen.) What a walk can still meet is
//! others that are faster. A walk that is overtaken again and again gives up, and says just that: it
//! has found nothing out, least of all that anything is wrong.
//!
//! *Why nothing is lost by a death.* A claim of a dead sender becomes SKIP, which receivers step
//! over: its message was never acknowledged to anybody. A message that a dead receiver read is taken
//! over by another receiver, its count of deliveries one higher; a sender never frees such a slot.
//! Whoever repairs reads the word first, then asks whether its owner is dead, then swaps the very word
//! it read. Repairers may race, and die: any of them leaves the word as it was or one step further.
//! That a dead owner writes no more is the seats' business (`liveness/mod.rs`). Should one be taken for
//! dead and live (it gave its own token away, by `unshare`), its next swap fails, and it learns that
//! it was evicted.
//!
//! *Why nobody sleeps beside a free slot.* A slot becomes free by an acknowledgement, by a step over a
//! SKIP, and by a message that is set aside; a SKIP, made of an abandoned claim, is as good as free to
//! the sender whose turn it is. Every such step is told to the [`Watch`] of the call, at once; what is
//! not part of a walk (abandoning, [`orphan_slots`](Ring::orphan_slots)) is told by its caller. An acknowledgement is
//! told when half of the ring is free, or at once in a small one (`became_half_free`).
//!
//! Every call looks at a bounded number of slots, whatever the segment holds.

mod consumer;
mod look;
mod peek;
mod producer;
mod recovery;
mod search;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use self::consumer::{Consumer, Held, Next};
pub(crate) use self::producer::{Claim, Producer, Room};
#[cfg(all(test, not(loom)))]
pub(crate) use self::recovery::Disowned;
pub(crate) use self::search::{Snapshot, Stamps};
use super::{Corrupt, Cursor, Ring, Slot};
use crate::ring::slot_state::{LapOrder, NO_OWNER, Phase, SlotState};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// Positions between two stores of a hint: a line that everybody writes would travel between the
/// processors with each message, and walking over so few slots costs little, and not often.
/// Under loom, whose work grows with every step, it is the least.
pub(crate) const HINT_EVERY: u64 = if cfg!(loom) { 2 } else { 16 };

/// The word of a slot, to swap and to look at.
#[inline(always)]
fn swap(slot: &Slot<'_>, old: SlotState, new: SlotState, order: crate::sync::Ordering) -> bool {
    slot.head.word.compare_exchange(old.0, new.0, order, Relaxed).is_ok()
}

#[inline(always)]
fn look(slot: &Slot<'_>) -> SlotState {
    SlotState(slot.head.word.load(Acquire))
}

pub(super) const BAD_PHASE: Corrupt = Corrupt("a slot's word is of no known phase");
pub(super) const BAD_LAP: Corrupt = Corrupt("a slot's word is of a lap that cannot be");
/// An owner or a count of deliveries. Nobody would ever take such a word for the one that it looks like.
pub(super) const BAD_OWNER: Corrupt = Corrupt("a slot's word says more than its phase has");

/// What a walk asks about members, and tells of what it changed.
pub(crate) trait Watch {
    type Error: From<Corrupt>;

    /// The verdict over a seat.
    fn is_dead(&mut self, seat: u8) -> Result<bool, Self::Error>;

    /// A slot became free.
    fn freed(&mut self);

    /// A claim of a dead sender, which no receiver could pass, is out of their way.
    fn unblocked(&mut self);

    /// The message at this position was given up after its last delivery; its slot is free.
    fn set_aside(&mut self, position: u64);
}

/// For tests without sleepers: the verdict alone.
#[cfg(test)]
impl<F, E: From<Corrupt>> Watch for F
where
    F: FnMut(u8) -> Result<bool, E>,
{
    type Error = E;

    fn is_dead(&mut self, seat: u8) -> Result<bool, E> {
        self(seat)
    }

    fn freed(&mut self) {}

    fn unblocked(&mut self) {}

    fn set_aside(&mut self, _: u64) {}
}

/// For tests: the verdict, and what is set aside.
#[cfg(test)]
impl<F, G, E: From<Corrupt>> Watch for (F, G)
where
    F: FnMut(u8) -> Result<bool, E>,
    G: FnMut(u64),
{
    type Error = E;

    fn is_dead(&mut self, seat: u8) -> Result<bool, E> {
        self.0(seat)
    }

    fn freed(&mut self) {}

    fn unblocked(&mut self) {}

    fn set_aside(&mut self, position: u64) {
        self.1(position);
    }
}

/// Whether the owner of a claim or a reading is gone.
#[inline(always)]
fn is_gone<W: Watch>(word: SlotState, watch: &mut W) -> Result<bool, W::Error> {
    match word.owner() {
        NO_OWNER => Ok(true),
        seat => watch.is_dead(seat),
    }
}

impl Ring {
    #[inline(always)]
    fn lap(&self, position: u64) -> u64 {
        position >> self.shift
    }

    /// Messages in the ring, as the hints have it: within some positions of each member, and without a look at
    /// any slot, which would take its line from who is at work there.
    pub(crate) fn depth_hint(&self) -> u64 {
        let header = self.header();
        // Head first: the tail read after it is never behind an honest head.
        let head = header.head.0.load(Acquire);
        self.between(head, header.tail.0.load(Acquire))
    }

    /// Stores the hint at every position that is its turn, be it taken or stepped over: one that stayed behind for
    /// good would be a longer walk with each message. Whether this was one. Release: who starts there may trust
    /// that all before was taken.
    #[inline(always)]
    fn hint_head(&self, head: u64) -> bool {
        let turn = head.is_multiple_of(HINT_EVERY);
        if turn {
            self.header().head.0.store(head, Release);
        }
        turn
    }

    /// Whether a message is in the ring that was not acknowledged, by a walk from the hint to the first slot that
    /// nobody claimed. One that a receiver has in hand behind the hint is not seen.
    pub(crate) fn holds_messages(&self) -> bool {
        let mut at = self.cursor(self.header().head.0.load(Acquire));
        for _ in 0..self.walk_limit() {
            let word = look(&self.slot_at(&at));
            match (word.age(self.lap(at.position)), word.phase()) {
                (LapOrder::Older, _) | (LapOrder::Same, Some(Phase::Free) | None) => return false,
                (LapOrder::Same, Some(Phase::Full | Phase::Reading)) => return true,
                (LapOrder::Newer, _) => self.jump(&mut at, word, &self.header().head.0),
                _ => self.advance(&mut at),
            }
        }
        false
    }

    /// More slots than a walk passes that nobody overtakes: within a lap of the end it is after one
    /// step, and every slot changes a few times meanwhile.
    #[inline(always)]
    fn walk_limit(&self) -> u64 {
        (self.capacity() + HINT_EVERY).saturating_mul(4)
    }

    /// Moves a cursor on from a slot whose word is of a later lap: behind the slot's last position that
    /// is known to be done with, or to a hint if that is further. See the top of this file.
    #[cold]
    fn jump(&self, cursor: &mut Cursor, word: SlotState, hint: &AtomicU64) {
        let laps = word.laps_after(self.lap(cursor.position)).wrapping_sub(1);
        let behind = (laps << self.shift).wrapping_add(1);
        let hint = hint.load(Acquire).wrapping_sub(cursor.position);
        let on = if (behind..u64::MAX / 2).contains(&hint) { hint } else { behind };
        *cursor = self.cursor(cursor.position.wrapping_add(on));
    }
}
