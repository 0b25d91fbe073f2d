//! The receiving end: taking the first message that no receiver took, and acknowledging it.

use super::{BAD_LAP, BAD_OWNER, BAD_PHASE, Watch, is_gone, load_state, swap};
use crate::ring::prefetch::SlotPrefetcher;
use crate::ring::slot_state::{LapOrder, Phase, SlotState};
use crate::ring::{Cursor, Ring, Slot};
use crate::sync::Ordering::{AcqRel, Acquire, SeqCst};
use crate::sync::{AtomicU64, plain};

/// The number of consecutive messages after which a receiver assumes that more are available.
const MANY: u64 = 64;

/// The receiving end of one member, shared by all its threads.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(super) ring: Ring,
    pub(super) seat: u8,
    /// Lower bound: no earlier position holds a message that was not taken.
    next: AtomicU64,
    /// The position at which the ring was last found empty.
    empty_at: AtomicU64,
    /// Prefetches slots ahead of the next position, and whether prefetching is enabled.
    ahead: SlotPrefetcher,
    prefetches: plain::AtomicBool,
    /// The slot at which the next search begins: behind the last one that a search found.
    pub(super) search_from: plain::AtomicU64,
}

/// The result of an attempt to take a message.
#[derive(Debug)]
pub(crate) enum Next {
    Message(Held),
    Nothing,
    /// The next message is being written by a living member.
    Behind {
        seat: u8,
    },
    /// Other members overtook the walk all the way: it has found nothing out.
    Overtaken,
}

/// What became of a message that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    /// Its slot is free.
    Yes,
    /// The same, and senders had stepped over it.
    SteppedOver,
    /// This member was evicted, and another receiver has it.
    Evicted,
}

/// A message that this member holds, unacknowledged.
#[derive(Debug)]
pub(crate) struct Held {
    pub(super) at: Cursor,
    pub(super) word: SlotState,
}

impl Held {
    /// Returns the position of the message.
    pub(crate) fn position(&self) -> u64 {
        self.at.position
    }

    /// Returns how often the message was delivered, this delivery included; 16 or more stand for
    /// any higher number.
    pub(crate) fn deliveries(&self) -> u8 {
        self.word.deliveries()
    }
}

impl Consumer {
    pub(crate) fn new(ring: Ring, seat: u8) -> Consumer {
        let head = ring.header().head.0.load(Acquire);
        let [next, empty_at] = [head; 2].map(AtomicU64::new);
        let ahead = SlotPrefetcher::to_take(&ring);
        let (prefetches, search_from) = (plain::AtomicBool::new(false), plain::AtomicU64::new(0));
        Consumer { ring, seat, next, empty_at, ahead, prefetches, search_from }
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Returns the seat of this end.
    pub(crate) fn seat(&self) -> u8 {
        self.seat
    }

    /// Returns whether the next message is available to any receiver.
    pub(crate) fn has_message(&self) -> bool {
        let at = self.ring.cursor(self.next.load(plain::Ordering::Acquire));
        load_state(&self.ring.slot_at(&at)) == SlotState::full(self.ring.lap(at.position))
    }

    /// Returns whether the slot `messages` positions ahead is or was claimed in its lap: it holds a
    /// message, or will soon, or held one.
    pub(crate) fn has_more_than(&self, messages: u64) -> bool {
        let next = self.next.load(plain::Ordering::Acquire);
        let at = self.ring.cursor(next.wrapping_add(messages));
        let (word, lap) = (load_state(&self.ring.slot_at(&at)), self.ring.lap(at.position));
        word.age(lap) == LapOrder::Newer || word.age(lap) == LapOrder::Same && !word.is_free()
    }

    /// Records that the ring is empty at the next position. Returns how many messages were taken
    /// since the last such record.
    pub(crate) fn take_burst_len(&self) -> u64 {
        let next = self.position();
        self.prefetches.store(false, plain::Ordering::Relaxed);
        let found = next.wrapping_sub(self.empty_at.load(plain::Ordering::Relaxed));
        self.empty_at.store(next, plain::Ordering::Relaxed);
        found
    }

    /// Enables prefetching: many messages are available.
    pub(crate) fn enable_prefetch(&self) {
        self.prefetches.store(true, plain::Ordering::Relaxed);
    }

    /// Returns the position after the last one taken here.
    pub(crate) fn position(&self) -> u64 {
        self.next.load(plain::Ordering::Relaxed)
    }

    /// Takes the message after the last one, if it is available. On this hot path it usually is,
    /// and all values stay in registers.
    #[inline(always)]
    pub(crate) fn take_next(&self) -> Option<Held> {
        let at = self.ring.cursor(self.next.load(plain::Ordering::Acquire));
        if self.prefetches.load(plain::Ordering::Relaxed) {
            self.ahead.ask(&at);
        }
        self.try_take(at, load_state(&self.ring.slot_at(&at)))
    }

    /// Takes the message at `at` if `word` shows that it was sent, and the slot still holds that
    /// state.
    #[inline(always)]
    fn try_take(&self, at: Cursor, word: SlotState) -> Option<Held> {
        let lap = self.ring.lap(at.position);
        let ours = SlotState::reading(lap, 1, self.seat);
        // Acquire: the payload becomes visible with the state. SeqCst: `notify_taken` may load a
        // parking word after it (`wait/mod.rs`).
        let taken =
            word == SlotState::full(lap) && swap(&self.ring.slot_at(&at), word, ours, SeqCst);
        taken.then(|| {
            self.pass(at);
            Held { at, word: ours }
        })
    }

    /// Takes the first message that no receiver took.
    pub(crate) fn take<W: Watch>(&self, mut watch: W) -> Result<Next, W::Error> {
        let mut at = self.ring.cursor(self.next.load(plain::Ordering::Acquire));
        for _ in 0..self.ring.walk_limit() {
            let lap = self.ring.lap(at.position);
            let slot = self.ring.slot_at(&at);
            let word = load_state(&slot);
            match word.age(lap) {
                LapOrder::Same if word == SlotState::full(lap) => {
                    if let Some(held) = self.try_take(at, word) {
                        return Ok(Next::Message(held));
                    }
                }
                LapOrder::Same => match word.phase().ok_or(BAD_PHASE)? {
                    Phase::Free if word.is_free() => return Ok(self.nothing_at(&at)),
                    Phase::Claimed if is_gone(word, &mut watch)? => {
                        swap(&slot, word, word.abandoned(), AcqRel);
                    }
                    Phase::Claimed => return Ok(Next::Behind { seat: word.owner() }),
                    Phase::Skip => {
                        if swap(&slot, word, word.freed_unsent(), AcqRel) {
                            self.ring.hint_head(at.position.wrapping_add(1));
                            watch.freed();
                        }
                    }
                    Phase::Reading => self.ring.advance(&mut at),
                    Phase::Held => {
                        self.ring
                            .raise_hint(&self.ring.header().head.0, at.position.wrapping_add(1));
                        self.ring.advance(&mut at);
                    }
                    // Not exactly the state that this phase has.
                    Phase::Free | Phase::Full => return Err(BAD_OWNER.into()),
                },
                LapOrder::Newer => self.ring.jump_to_take(&mut at, word),
                // Not claimed in this lap: no message was sent there.
                LapOrder::Older if word.age(lap.wrapping_sub(1)) == LapOrder::Same => {
                    return Ok(self.nothing_at(&at));
                }
                LapOrder::Older => return Err(BAD_LAP.into()),
            }
        }
        self.stop_at(&at);
        Ok(Next::Overtaken)
    }

    /// A walk found no message up to `at`.
    fn nothing_at(&self, at: &Cursor) -> Next {
        self.stop_at(at);
        Next::Nothing
    }

    /// Makes the next walk start where this one ended: otherwise [`has_message`](Self::has_message)
    /// would go on looking at a slot that was stepped over. Release: as in `pass`.
    fn stop_at(&self, at: &Cursor) {
        if self.position() != at.position {
            self.next.store(at.position, plain::Ordering::Release);
        }
    }

    /// Advances past `at`. Release: a thread that starts after `at` may rely on everything before
    /// it having been taken.
    #[inline(always)]
    fn pass(&self, at: Cursor) {
        let next = at.position.wrapping_add(1);
        self.next.store(next, plain::Ordering::Release);
        // An uninterrupted run of messages comes from a sender that is ahead.
        if self.ring.hint_head(next)
            && next.wrapping_sub(self.empty_at.load(plain::Ordering::Relaxed)) > MANY
        {
            self.enable_prefetch();
        }
    }

    /// Returns the message at a position that was taken here, at its first delivery.
    pub(crate) fn held(&self, position: u64) -> Held {
        let at = self.ring.cursor(position);
        Held { at, word: SlotState::reading(self.ring.lap(position), 1, self.seat) }
    }

    /// Returns the slot of a held message.
    #[inline(always)]
    pub(crate) fn slot(&self, held: &Held) -> Slot<'_> {
        self.ring.slot_at(&held.at)
    }

    /// Releases a held message without acknowledging it: it is orphaned until a receiver takes it
    /// over, possibly this one. Returns false if this member was evicted and another receiver has
    /// the message.
    pub(crate) fn release(&self, held: &Held) -> bool {
        let released = swap(&self.slot(held), held.word, held.word.orphaned(), AcqRel)
            || self.let_go_stepped_over(held.at.position, held.word, SlotState::orphaned);
        if released {
            self.ring.bump_orphan_epoch();
        }
        released
    }

    /// For tests: acknowledges a held message, and returns false if this member was evicted.
    #[cfg(test)]
    pub(crate) fn acknowledge(&self, held: &Held) -> bool {
        self.finish(held) != Released::Evicted
    }

    /// Acknowledges a held message.
    #[inline(always)]
    pub(crate) fn finish(&self, held: &Held) -> Released {
        // Release: the payload was read before any sender may write there again. SeqCst: a parking
        // word is loaded after it (`wait/mod.rs`).
        if swap(&self.slot(held), held.word, held.word.freed(), SeqCst) {
            return Released::Yes;
        }
        // Also if it was HELD already when it was taken over: its word is that from before
        // (`take_over`). By value: on the fast path, nothing of it is in memory.
        match self.let_go_stepped_over(held.at.position, held.word, SlotState::freed_unsent) {
            true => Released::SteppedOver,
            false => Released::Evicted,
        }
    }

    /// Lets go of a message whose state is not `word` any more: because senders stepped over it, or
    /// because this member was evicted. The slot is still ours if only the lap grew, and if it
    /// holds the same message: an evicted member finds that of its successor in the seat.
    #[cold]
    #[inline(never)]
    fn let_go_stepped_over(
        &self,
        position: u64,
        mut word: SlotState,
        to: fn(SlotState) -> SlotState,
    ) -> bool {
        let at = self.ring.cursor(position);
        let slot = self.ring.slot_at(&at);
        // Each try that fails was a sender's step; the bound is for other writers.
        for _ in 0..self.ring.walk_limit() {
            let now = load_state(&slot);
            let ours = now.phase() == Some(Phase::Held)
                && (now.owner(), now.deliveries()) == (self.seat, word.deliveries())
                && now.age(word.lap()) == LapOrder::Newer
                && self.ring.position_of(&at, now) == position;
            if !ours {
                return false;
            }
            // AcqRel: our reads come before the next owner's, and a sender may have skipped the
            // position since.
            if swap(&slot, now, to(now), AcqRel) {
                return true;
            }
            word = now;
        }
        false
    }
}
