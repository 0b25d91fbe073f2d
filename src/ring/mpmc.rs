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
//! back. They are stored with Release and read with Acquire, so that who starts from one sees the
//! words that it stands for and never an older one. A walk never passes a slot whose word is of an *older* lap than the position: that slot was
//! not claimed (senders) or not sent (receivers) yet.
//!
//! *Why nothing is lost by a death.* A claim of a dead sender becomes SKIP, which receivers step
//! over: its message was never acknowledged to anybody. A message that a dead receiver read is taken
//! over by another receiver, its count of deliveries one higher; a sender never frees such a slot.
//! Whoever repairs reads the word first, then asks whether its owner is dead, then swaps the very word
//! it read. Repairers may race, and die: any of them leaves the word as it was or one step further.
//! That a dead owner writes no more is the seats' business (`members.rs`). Should one be taken for
//! dead and live (it gave its own token away, by `unshare`), its next swap fails, and it learns that
//! it was evicted.
//!
//! Every call looks at a bounded number of slots, whatever the segment holds.

mod consumer;
mod peek;
mod producer;
mod repair;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use self::consumer::{Consumer, Held, Next};
pub(crate) use self::producer::{Claim, Producer, Room};
use super::{Corrupt, Cursor, Ring, Slot};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::word::{Age, NOBODY, Phase, Word};

/// Positions between two stores of a hint: a line that everybody writes would travel between the
/// processors with each message, and walking over so few slots costs little, and not often.
/// Under loom, whose work grows with every step, it is the least.
pub(crate) const HINT_EVERY: u64 = if cfg!(loom) { 2 } else { 16 };

/// The word of a slot, to swap and to look at.
#[inline(always)]
fn swap(slot: &Slot<'_>, old: Word, new: Word, order: crate::sync::Ordering) -> bool {
    slot.head.word.compare_exchange(old.0, new.0, order, Relaxed).is_ok()
}

#[inline(always)]
fn look(slot: &Slot<'_>) -> Word {
    Word(slot.head.word.load(Acquire))
}

pub(super) const UNKNOWN: Corrupt = Corrupt("a slot's word is of no known phase");
pub(super) const IMPOSSIBLE: Corrupt = Corrupt("a slot's word is of a lap that cannot be");
/// An owner or a count of deliveries. Nobody would ever take such a word for the one that it looks like.
pub(super) const MORE: Corrupt = Corrupt("a slot's word says more than its phase has");
const ENDLESS: Corrupt = Corrupt("no slot of the ring is where it can be");

/// Whether the owner of a claim or a reading is gone.
#[inline(always)]
fn is_gone<E>(word: Word, is_dead: &mut impl FnMut(u8) -> Result<bool, E>) -> Result<bool, E> {
    match word.owner() {
        NOBODY => Ok(true),
        seat => is_dead(seat),
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
                (Age::Older, _) | (Age::Same, Some(Phase::Free) | None) => return false,
                (Age::Same, Some(Phase::Full | Phase::Reading)) => return true,
                _ => self.advance(&mut at),
            }
        }
        false
    }

    /// More slots than an honest walk passes: a hint is behind by so much, and each slot changes a
    /// few times meanwhile. Others may be faster than we walk, so what is over it is only taken for
    /// corrupt far beyond.
    #[inline(always)]
    fn walk_limit(&self) -> u64 {
        (self.capacity() + HINT_EVERY).saturating_mul(64)
    }

    /// Moves a cursor on, at least by one, to a hint if that is further.
    #[cold]
    fn jump(&self, cursor: &mut Cursor, hint: &AtomicU64) {
        let hint = hint.load(Acquire);
        let ahead = hint.wrapping_sub(cursor.position);
        if (1..u64::MAX / 2).contains(&ahead) {
            *cursor = self.cursor(hint);
        } else {
            self.advance(cursor);
        }
    }
}
