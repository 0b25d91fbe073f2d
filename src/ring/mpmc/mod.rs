//! The MPMC ring: a claim is one compare-and-swap on the slot's own state word, and that word names
//! the owner.
//!
//! *Claim.* A sender that finds FREE(lap) swaps it to CLAIMED(lap, itself), writes the payload, and
//! swaps that to FULL(lap). A receiver swaps FULL(lap) to READING(lap, itself), reads, and swaps
//! that to FREE(lap + 1). The state of a slot therefore names its owner from the very instant it
//! has one. Rings that claim by advancing an index first (Vyukov's and its relatives) cannot tell
//! which process owns a claimed slot, and stop for good when that process dies.
//!
//! *Stepping over.* A receiver may hold a message for any time. A sender that comes to its slot a
//! lap later swaps READING(lap - 1) to HELD(lap) and goes on: the position is skipped, and the ring
//! works like one with a slot less. The receiver keeps the message. A lap later, the next sender
//! swaps HELD(lap) to HELD(lap + 1), and so on; the receiver acknowledges by swapping whatever HELD
//! it finds to FREE of the lap after it. So the mark of a skipped position is the lap itself, in
//! the word that every walk loads, and not a count that could be wrong by one. The lap of the
//! message has no room there; its position is in the table of origins (`origin.rs`).
//!
//! A sender steps over a slot only if there is room beyond, with nothing between but slots that can
//! be stepped over (`ahead.rs`); otherwise senders of a ring whose slots are all being read would
//! skip positions for ever. It never steps over FULL, because messages are taken in their order,
//! nor over CLAIMED: receivers wait there, and what lies behind is not delivered yet.
//!
//! *Why no two members own a slot.* Every step is a compare-and-swap of the exact state that was
//! loaded, and no state occurs twice. Order the states of a slot by lap, and within a lap as FREE
//! of either kind, CLAIMED, SKIP, CLAIMED again with a higher count, FULL, and READING or HELD by
//! their deliveries, each with an owner before the same without one. Every step goes up: stepping over raises the
//! lap, and an acknowledgement makes the FREE of a later lap. A step that succeeds has therefore
//! found the slot as it was when its member looked, and what the member checked in between (is the
//! owner dead? where did the message come from?) was true of this very state.
//!
//! *Positions are found by walking.* A sender may claim position `p` once every position before it
//! was claimed or stepped over. It knows that of the position after its own last one, and of the
//! tail in the header, which senders store now and then; from there it walks over slots whose state
//! shows that they were claimed or stepped over in this lap or a later one. Each position of a slot
//! is used up once, by the swap that claims it or by the swap that skips it. A receiver walks
//! likewise from the head; HELD of its own lap is nothing to it, as READING is. So tail and head
//! are hints: any former value of theirs is just as valid, only further away, and a plain store may
//! move them back. They are stored with Release and loaded with Acquire, so that a walk that starts
//! from one sees the states that it stands for and never an older one. A walk never passes a slot
//! whose state is of an *older* lap than the position: that slot was not claimed or stepped over
//! yet (for senders) or nothing was sent there yet (for receivers). Such a state is older by
//! exactly one lap.
//!
//! *Why a walk converges from any hint.* A thread that is stopped just before it stores a hint may
//! store it after any number of laps. A state of a *newer* lap `n` shows where the walk should be:
//! the slot's position in lap `n - 1` was claimed or skipped, and so was every position before
//! that. A sender's walk continues after that position. A position is claimed or skipped only after
//! the message of the lap before in its slot was taken; so every message up to the slot's position
//! in lap `n - 2` was taken, and a receiver's walk continues after that one. (It must not go
//! further: a slot that was stepped over in lap `n - 1` becomes free for lap `n` while messages are
//! before it.) Either walk is then within two laps of the end. (All later states of the slot are
//! swaps of that one, so an Acquire load of any of them sees what the member that made it had
//! seen.) The only remaining obstacle is that other members may be faster. A walk that is overtaken
//! again and again gives up, keeps the place where it came to, and reports just that: it has found
//! nothing out, and in particular it has not found an error. Hints are also stored for positions
//! that are skipped: the slots whose turn it is may be the held ones.
//!
//! *Why an abandoned claim costs nothing.* A sender that abandons a claim makes it SKIP and returns
//! to it with its next claim. It may claim the position again if no position behind it was claimed
//! for a message (`Ahead::is_last`): then no message that was sent before this call lies behind the
//! new one, and the order of sending holds, also between senders. Otherwise the SKIP stays until
//! the receivers step over it. CLAIMED and SKIP count how often that happened, for a member with an
//! old verdict may still be about to swap the CLAIMED of an earlier claim.
//!
//! *Both kinds of FREE.* A slot that becomes free by an acknowledgement of the message of its lap
//! says so; one that was a SKIP, or HELD, says that nothing was sent at that position. Members do
//! not care. A tap, which may come to the slot later, has no other means to know (`ring/tap`).
//!
//! *Why nothing is lost.* FULL is left only by the receiver that takes the message. READING and
//! HELD are left only by their owner, which acknowledges or returns the message, or for another
//! owner: no sender ever frees such a slot. A claim of a dead sender becomes SKIP, which receivers
//! step over: no call ever reported its message as sent. A message that a dead receiver was
//! reading, or that a receiver returned, is taken over by another receiver, with its delivery count
//! increased by one. A recovering member loads the state first, then checks whether its owner is
//! dead, then swaps exactly the state that it loaded. Recovering members may race, and may die:
//! each of them leaves the state as it was or one step further. If it loses to a sender that steps
//! over the slot, it looks at the same slot again: the orphaned message is still there, and nobody
//! else may ever look for it. That a dead owner writes no more is guaranteed by the seats
//! (`liveness/mod.rs`). If a living member is evicted (because it gave its own token away, by
//! `unshare`), its next swap fails, and so it detects the eviction. It does not take the slot of a
//! successor in its seat for its own, stepped over: the delivery count differs, or the origin.
//!
//! *Why senders that never wait leave no message behind.* A sender that steps over the slot of a
//! dead receiver, or over one without owner, orphans the message and tells the receivers to search
//! for it, in each lap again. It asks about living ones now and then (`Watch::is_dead_beside`).
//!
//! *Why no waiter stays blocked next to a free slot.* A slot becomes free by an acknowledgement and
//! by a step over a SKIP; a SKIP that was made of an abandoned claim is as good as free to the
//! sender whose turn it is. Every such step of a walk is reported to the [`Watch`] of the call, at
//! once; for steps outside a walk (abandoning a claim,
//! [`release_slots_of`](Ring::release_slots_of)), the caller sends the wake-up. For an
//! acknowledgement the wake-up is sent when half of the ring is free, or at once in a small ring
//! (`became_half_free`), or if senders had stepped over the slot: hints count skipped positions,
//! and are no measure then. A free slot behind an untaken message cannot be reached, because of the
//! order. A receiver that takes that message and holds it opens the way, and wakes a sender
//! (`notify_taken` in `protocol/recv.rs`).
//!
//! Every call polls a bounded number of slots, whatever the segment holds.

mod ahead;
mod consumer;
mod observe;
mod origin;
mod peek;
mod producer;
mod recovery;
mod search;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use self::consumer::{Consumer, Held, Next, Released};
pub(crate) use self::observe::Survey;
pub(crate) use self::producer::{Claim, Producer, Room};
#[cfg(all(test, not(loom)))]
pub(crate) use self::recovery::ReleasedSlots;
pub(crate) use self::search::Snapshot;
use super::{Corrupt, Cursor, Ring, Slot};
use crate::ring::slot_state::{NO_OWNER, SlotState};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// The number of positions between two stores of a hint. A cache line that every member writes
/// would travel between the processors with each message, while walking over this many slots costs
/// little and happens rarely. Under loom, whose work grows with every step, the number is minimal.
pub(crate) const HINT_EVERY: u64 = if cfg!(loom) { 2 } else { 16 };

/// Swaps the state of a slot; returns false if it was not `old`.
#[inline(always)]
fn swap(slot: &Slot<'_>, old: SlotState, new: SlotState, order: crate::sync::Ordering) -> bool {
    slot.head.word.compare_exchange(old.0, new.0, order, Relaxed).is_ok()
}

#[inline(always)]
fn load_state(slot: &Slot<'_>) -> SlotState {
    SlotState(slot.head.word.load(Acquire))
}

pub(super) const BAD_PHASE: Corrupt = Corrupt("a slot state has an unknown phase");
pub(super) const BAD_LAP: Corrupt = Corrupt("a slot state has an impossible lap");
/// An owner or a delivery count in a phase that has none. No compare-and-swap would ever match such
/// a state in place of the one that it resembles.
pub(super) const BAD_OWNER: Corrupt =
    Corrupt("a slot state has an owner or a count that its phase does not have");

/// What a walk asks about members, and where it reports what it changed.
pub(crate) trait Watch {
    type Error: From<Corrupt>;

    /// Checks whether the owner of a seat is dead.
    fn is_dead(&mut self, seat: u8) -> Result<bool, Self::Error>;

    /// The same for the receiver whose slot a sender is about to step over. The walk goes on without
    /// an answer, so it may be `false` most of the time.
    fn is_dead_beside(&mut self, seat: u8) -> Result<bool, Self::Error> {
        self.is_dead(seat)
    }

    /// Reports that a slot became free.
    fn freed(&mut self);

    /// Reports that a message without a receiver was found: a receiver has to search for it.
    fn orphaned(&mut self);

    /// Reports that a claim of a dead sender, which no receiver could pass, was turned into a SKIP.
    fn unblocked(&mut self);

    /// Reports that a search left a message where it is.
    fn left_out(&mut self) {}
}

/// For tests without parked waiters: the liveness check alone.
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

    fn orphaned(&mut self) {}

    fn unblocked(&mut self) {}
}

/// Returns whether the owner of a claimed slot, or of one being read, is gone.
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

    /// Returns the number of messages in the ring according to the hints: accurate to within some
    /// positions for each member. It loads no slot, which would take its line from the member that
    /// uses it.
    pub(crate) fn depth_hint(&self) -> u64 {
        let header = self.header();
        // The head is loaded first: the tail loaded after it is never behind an honest head.
        let head = header.head.0.load(Acquire);
        self.between(head, header.tail.0.load(Acquire))
    }

    /// Stores the hint if `head` is a multiple of [`HINT_EVERY`], whether the position before it
    /// was taken or stepped over: a hint that stayed behind for good would lengthen the walk with
    /// each message. Returns whether it stored. Release: a walk that starts there may rely on
    /// everything before it having been taken.
    #[inline(always)]
    fn hint_head(&self, head: u64) -> bool {
        let turn = head.is_multiple_of(HINT_EVERY);
        if turn {
            self.header().head.0.store(head, Release);
        }
        turn
    }

    /// Stores a hint if it is the turn of `position` and the hint grows: for a position that is
    /// passed and was stepped over, so that nobody else stores it.
    fn raise_hint(&self, hint: &AtomicU64, position: u64) {
        let grows = || position.wrapping_sub(hint.load(Relaxed)) as i64 > 0;
        if position.is_multiple_of(HINT_EVERY) && grows() {
            hint.store(position, Release);
        }
    }

    /// A bound on the slots of a walk that is not overtaken: after one step it is within a lap of
    /// the end, and every slot changes a few times meanwhile.
    #[inline(always)]
    fn walk_limit(&self) -> u64 {
        (self.capacity() + HINT_EVERY).saturating_mul(4)
    }

    /// Moves a sender's cursor past a slot whose state is of a later lap: to just after the slot's
    /// last position that is known to be claimed or skipped, or to a hint if that is further. The
    /// module's documentation proves that walks converge by this step.
    #[cold]
    fn jump_to_claim(&self, cursor: &mut Cursor, word: SlotState) {
        self.jump(
            cursor,
            word.laps_after(self.lap(cursor.position)).wrapping_sub(1),
            &self.header().tail.0,
        );
    }

    /// The same for a receiver's cursor: to just after the slot's last position of which it is
    /// known that every message before it was taken.
    #[cold]
    fn jump_to_take(&self, cursor: &mut Cursor, word: SlotState) {
        let laps = word.laps_after(self.lap(cursor.position));
        self.jump(cursor, laps.saturating_sub(2), &self.header().head.0);
    }

    /// Moves a cursor this many laps and one position on, or to a hint if that is further.
    fn jump(&self, cursor: &mut Cursor, laps: u64, hint: &AtomicU64) {
        let behind = (laps << self.shift).wrapping_add(1);
        let hint = hint.load(Acquire).wrapping_sub(cursor.position);
        let on = if (behind..u64::MAX / 2).contains(&hint) { hint } else { behind };
        *cursor = self.cursor(cursor.position.wrapping_add(on));
    }
}
