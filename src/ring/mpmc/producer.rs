//! Senders: claiming the first free slot, and announcing what was written there.

use super::{BAD_LAP, BAD_OWNER, BAD_PHASE, HINT_EVERY, Watch, is_gone, look, swap};
use crate::ring::prefetch::SlotPrefetcher;
use crate::ring::slot_state::{LapOrder, NO_OWNER, Phase, SlotState};
use crate::ring::{Cursor, Ring, Slot};
use crate::sync::Ordering::{AcqRel, Acquire, Release};
use crate::sync::{AtomicU64, plain};

/// Slots that are much, however large the ring.
const MAX_LOOKAHEAD: u64 = 256;

/// The sending end of one member, for all its threads.
#[derive(Debug)]
pub(crate) struct Producer {
    ring: Ring,
    seat: u8,
    /// No position before it is free. As the tail: any former value is as true.
    next: AtomicU64,
    /// How far ahead the memory of slots is asked for.
    ahead: SlotPrefetcher,
}

/// What came of a try to claim a slot.
#[derive(Debug)]
pub(crate) enum Room {
    Claimed(Claim),
    /// The message there was not taken yet.
    Full,
    /// It was taken by a receiver that died: another receiver must see to it.
    Orphaned,
    /// A living member is at work there.
    Behind {
        seat: u8,
    },
    /// Others were faster than this walk all the way: nothing was found out.
    Overtaken,
}

/// A slot that this member writes.
#[derive(Debug)]
pub(crate) struct Claim {
    at: Cursor,
}

impl Claim {
    /// Its place in the sequence.
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

    /// The position behind the last one claimed here.
    pub(crate) fn position(&self) -> u64 {
        self.next.load(plain::Ordering::Relaxed)
    }

    /// Whether a quarter of the ring is free, or much of a large one. It looks at the last slot of that
    /// quarter, far from those that receivers are at work on: at the next one, it would take their line
    /// from them with each look, for one slot.
    pub(crate) fn has_quarter_free(&self) -> bool {
        let far = (self.ring.capacity() / 4).min(MAX_LOOKAHEAD);
        let at = self.ring.cursor(self.next.load(plain::Ordering::Acquire).wrapping_add(far));
        look(&self.ring.slot_at(&at)).age(self.ring.lap(at.position)) != LapOrder::Older
    }

    /// Claims the slot behind the last one, if it is free. As a rule it is, and all stays in registers.
    #[inline(always)]
    pub(crate) fn claim_next(&self) -> Option<Claim> {
        let at = self.ring.cursor(self.next.load(plain::Ordering::Acquire));
        self.ahead.ask(&at);
        self.try_claim(at, look(&self.ring.slot_at(&at)))
    }

    /// Claims that slot if `word` says that it is free, and still does.
    #[inline(always)]
    fn try_claim(&self, at: Cursor, word: SlotState) -> Option<Claim> {
        let lap = self.ring.lap(at.position);
        // Acquire: what the last receiver read there, it had read.
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
            let word = look(&slot);
            match word.age(lap) {
                LapOrder::Same if word == SlotState::free(lap) => {
                    if let Some(claim) = self.try_claim(at, word) {
                        return Ok(Room::Claimed(claim));
                    }
                }
                LapOrder::Same => match word.phase().ok_or(BAD_PHASE)? {
                    // Not the word that it should be.
                    Phase::Free => return Err(BAD_OWNER.into()),
                    _ => self.ring.advance(&mut at),
                },
                LapOrder::Newer => self.ring.jump(&mut at, word, &self.ring.header().tail.0),
                LapOrder::Older if word.age(before) != LapOrder::Same => return Err(BAD_LAP.into()),
                LapOrder::Older => match word.phase().ok_or(BAD_PHASE)? {
                    Phase::Full if word == SlotState::full(before) => return Ok(Room::Full),
                    Phase::Full => return Err(BAD_OWNER.into()),
                    Phase::Reading if is_gone(word, &mut watch)? => {
                        // Receivers may have searched in vain: a member that lost its seat can have taken
                        // it since. From now on they know.
                        let nobody = SlotState::reading(word.lap(), word.deliveries(), NO_OWNER);
                        if word.owner() != NO_OWNER && swap(&slot, word, nobody, AcqRel) {
                            self.ring.count_orphans();
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
                            // Of the lap before, and all before that is done with, or there were no room.
                            let position = at.position.wrapping_sub(self.ring.capacity());
                            self.ring.hint_head(position.wrapping_add(1));
                            // Ours, if nobody is faster.
                            watch.freed();
                        }
                    }
                    Phase::Free => return Err(BAD_LAP.into()),
                },
            }
        }
        Ok(Room::Overtaken)
    }

    /// Release: who starts behind `at` may trust that all before was claimed.
    #[inline(always)]
    fn pass(&self, at: Cursor) {
        let next = at.position.wrapping_add(1);
        self.next.store(next, plain::Ordering::Release);
        if next.is_multiple_of(HINT_EVERY) {
            self.ring.header().tail.0.store(next, Release);
        }
    }

    /// The claim of a position that was claimed here.
    pub(crate) fn claimed(&self, position: u64) -> Claim {
        Claim { at: self.ring.cursor(position) }
    }

    /// The claimed slot.
    #[inline(always)]
    pub(crate) fn slot(&self, claim: &Claim) -> Slot<'_> {
        self.ring.slot_at(&claim.at)
    }

    /// Announces the message in a claimed slot. False: we were taken for dead, and it was not sent.
    #[inline(always)]
    pub(crate) fn publish(&self, claim: Claim) -> bool {
        // Release: with the word goes the message.
        self.finish(&claim, SlotState::full(self.ring.lap(claim.at.position)))
    }

    /// Gives a claimed slot up without a message. False: it was taken from us already.
    pub(crate) fn abandon(&self, claim: Claim) -> bool {
        self.finish(&claim, SlotState::skip(self.ring.lap(claim.at.position)))
    }

    #[inline(always)]
    fn finish(&self, claim: &Claim, word: SlotState) -> bool {
        let ours = SlotState::claimed(self.ring.lap(claim.at.position), self.seat);
        swap(&self.slot(claim), ours, word, Release)
    }
}
