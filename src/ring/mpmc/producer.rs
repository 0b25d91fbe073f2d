//! The sending end: claiming the first free slot, and publishing the message written there.

use super::{BAD_LAP, BAD_OWNER, BAD_PHASE, HINT_EVERY, Watch, is_gone, load_state, swap};
use crate::ring::prefetch::SlotPrefetcher;
use crate::ring::slot_state::{LapOrder, NO_OWNER, Phase, SlotState};
use crate::ring::{Cursor, Ring, Slot};
use crate::sync::Ordering::{AcqRel, Acquire, Release};
use crate::sync::{AtomicU64, plain};

/// The maximum lookahead of [`Producer::has_quarter_free`], in slots.
const MAX_LOOKAHEAD: u64 = 256;

/// The sending end of one member, shared by all its threads.
#[derive(Debug)]
pub(crate) struct Producer {
    ring: Ring,
    seat: u8,
    /// Lower bound: no earlier position is free. As for the tail, a stale value is correct, only
    /// slower.
    next: AtomicU64,
    /// Prefetches slots ahead of the next position.
    ahead: SlotPrefetcher,
}

/// The result of an attempt to claim a slot.
#[derive(Debug)]
pub(crate) enum Room {
    Claimed(Claim),
    /// The message in the next slot was not taken yet.
    Full,
    /// The message was taken by a receiver that died: another receiver must recover it.
    Orphaned,
    /// A living member is writing or reading the next slot.
    Behind {
        seat: u8,
    },
    /// Other members overtook the walk all the way: it has found nothing out.
    Overtaken,
}

/// A slot that this member has claimed.
#[derive(Debug)]
pub(crate) struct Claim {
    at: Cursor,
}

impl Claim {
    /// Returns the position of the claim.
    pub(crate) fn position(&self) -> u64 {
        self.at.position
    }
}

impl Producer {
    pub(crate) fn new(ring: Ring, seat: u8) -> Producer {
        let next = AtomicU64::new(ring.header().tail.0.load(Acquire));
        Producer { ring, seat, next, ahead: SlotPrefetcher::to_claim(&ring) }
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Returns the position after the last one claimed here.
    pub(crate) fn position(&self) -> u64 {
        self.next.load(plain::Ordering::Relaxed)
    }

    /// Returns whether a quarter of the ring is free, or [`MAX_LOOKAHEAD`] slots of a large one. It
    /// polls the last slot of that quarter, far from those that receivers use: polling the next
    /// slot would take the receivers' line from them with each poll, for one slot.
    pub(crate) fn has_quarter_free(&self) -> bool {
        let far = (self.ring.capacity() / 4).min(MAX_LOOKAHEAD);
        let at = self.ring.cursor(self.next.load(plain::Ordering::Acquire).wrapping_add(far));
        load_state(&self.ring.slot_at(&at)).age(self.ring.lap(at.position)) != LapOrder::Older
    }

    /// Claims the slot after the last one, if it is free. On this hot path it usually is, and all
    /// values stay in registers.
    #[inline(always)]
    pub(crate) fn claim_next(&self) -> Option<Claim> {
        let at = self.ring.cursor(self.next.load(plain::Ordering::Acquire));
        self.ahead.ask(&at);
        self.try_claim(at, load_state(&self.ring.slot_at(&at)))
    }

    /// Claims the slot at `at` if `word` shows that it is free, and the slot still holds that
    /// state.
    #[inline(always)]
    fn try_claim(&self, at: Cursor, word: SlotState) -> Option<Claim> {
        let lap = self.ring.lap(at.position);
        // Acquire: the last receiver's reads of the slot come before our writes.
        let claimed = word == SlotState::free(lap)
            && swap(&self.ring.slot_at(&at), word, SlotState::claimed(lap, self.seat), Acquire);
        claimed.then(|| {
            self.pass(at);
            Claim { at }
        })
    }

    /// Claims the first free slot.
    pub(crate) fn claim<W: Watch>(&self, mut watch: W) -> Result<Room, W::Error> {
        let mut at = self.ring.cursor(self.next.load(plain::Ordering::Acquire));
        for _ in 0..self.ring.walk_limit() {
            let lap = self.ring.lap(at.position);
            let before = lap.wrapping_sub(1);
            let slot = self.ring.slot_at(&at);
            let word = load_state(&slot);
            match word.age(lap) {
                LapOrder::Same if word == SlotState::free(lap) => {
                    if let Some(claim) = self.try_claim(at, word) {
                        return Ok(Room::Claimed(claim));
                    }
                }
                LapOrder::Same => match word.phase().ok_or(BAD_PHASE)? {
                    // Not exactly the state that this phase has.
                    Phase::Free => return Err(BAD_OWNER.into()),
                    _ => self.ring.advance(&mut at),
                },
                LapOrder::Newer => self.ring.jump(&mut at, word, &self.ring.header().tail.0),
                LapOrder::Older if word.age(before) != LapOrder::Same => return Err(BAD_LAP.into()),
                LapOrder::Older => match word.phase().ok_or(BAD_PHASE)? {
                    Phase::Full if word == SlotState::full(before) => return Ok(Room::Full),
                    Phase::Full => return Err(BAD_OWNER.into()),
                    Phase::Reading if is_gone(word, &mut watch)? => {
                        // Receivers may have searched without success: a member that lost its seat
                        // can have taken the message since. The new count makes them search again.
                        let nobody = SlotState::reading(word.lap(), word.deliveries(), NO_OWNER);
                        if word.owner() != NO_OWNER && swap(&slot, word, nobody, AcqRel) {
                            self.ring.bump_orphan_epoch();
                        }
                        return Ok(Room::Orphaned);
                    }
                    Phase::Claimed if is_gone(word, &mut watch)? => {
                        if swap(&slot, word, SlotState::skip(before), AcqRel) {
                            watch.unblocked();
                        }
                    }
                    Phase::Reading | Phase::Claimed => {
                        return Ok(Room::Behind { seat: word.owner() });
                    }
                    Phase::Skip => {
                        if swap(&slot, word, SlotState::free(lap), AcqRel) {
                            // A position of the previous lap; everything before it is finished, or
                            // there would be no room.
                            let position = at.position.wrapping_sub(self.ring.capacity());
                            self.ring.hint_head(position.wrapping_add(1));
                            // Ours, unless another sender is faster.
                            watch.freed();
                        }
                    }
                    Phase::Free => return Err(BAD_LAP.into()),
                },
            }
        }
        Ok(Room::Overtaken)
    }

    /// Advances past `at`. Release: a thread that starts after `at` may rely on everything before
    /// it having been claimed.
    #[inline(always)]
    fn pass(&self, at: Cursor) {
        let next = at.position.wrapping_add(1);
        self.next.store(next, plain::Ordering::Release);
        if next.is_multiple_of(HINT_EVERY) {
            self.ring.header().tail.0.store(next, Release);
        }
    }

    /// Returns the claim of a position that was claimed here.
    pub(crate) fn claimed(&self, position: u64) -> Claim {
        Claim { at: self.ring.cursor(position) }
    }

    /// Returns the claimed slot.
    #[inline(always)]
    pub(crate) fn slot(&self, claim: &Claim) -> Slot<'_> {
        self.ring.slot_at(&claim.at)
    }

    /// Publishes the message in a claimed slot. Returns false if this member was evicted and the
    /// message was not sent.
    #[inline(always)]
    pub(crate) fn publish(&self, claim: Claim) -> bool {
        // Release: the payload is published with the state.
        self.finish(&claim, SlotState::full(self.ring.lap(claim.at.position)))
    }

    /// Abandons a claimed slot without a message. Returns false if the slot was already taken from
    /// us.
    pub(crate) fn abandon(&self, claim: Claim) -> bool {
        self.finish(&claim, SlotState::skip(self.ring.lap(claim.at.position)))
    }

    #[inline(always)]
    fn finish(&self, claim: &Claim, word: SlotState) -> bool {
        let ours = SlotState::claimed(self.ring.lap(claim.at.position), self.seat);
        swap(&self.slot(claim), ours, word, Release)
    }
}
