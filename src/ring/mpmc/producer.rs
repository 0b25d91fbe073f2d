//! The sending end: claiming the first free slot, and publishing the message written there.

use super::ahead::{Ahead, Beyond};
use super::{BAD_LAP, BAD_OWNER, BAD_PHASE, HINT_EVERY, Watch, is_gone, load_state, swap};
use crate::ring::prefetch::SlotPrefetcher;
use crate::ring::slot_state::{LapOrder, NO_OWNER, Phase, SlotState};
use crate::ring::{Cursor, Ring, Slot};
use crate::sync::Ordering::{AcqRel, Acquire, Release, SeqCst};
use crate::sync::{AtomicU64, fence, plain};

/// The maximum lookahead of [`Producer::has_quarter_free`], in slots.
const MAX_LOOKAHEAD: u64 = 256;

/// The number of positions after which the known flags are forgotten; a multiple of [`HINT_EVERY`].
const LOOK_EVERY: u64 = 1024;

/// No flags that receivers ever have.
pub(crate) const NONE_KNOWN: u32 = u32::MAX;

/// The sending end of one member, shared by all its threads.
#[derive(Debug)]
pub(crate) struct Producer {
    ring: Ring,
    seat: u8,
    /// Lower bound: no earlier position is free, and every message sent here is before it. As for
    /// the tail, a stale value is correct, only slower.
    next: AtomicU64,
    /// The flags of the receivers that require no action at present, for the caller. Forgotten now and
    /// then, so that a sender that always finds a free slot and no flag looks around.
    pub(crate) known_flags: plain::AtomicU32,
    /// Prefetches slots ahead of the next position.
    ahead: SlotPrefetcher,
}

/// The result of an attempt to claim a slot.
#[derive(Debug)]
pub(crate) enum Room {
    Claimed(Claim),
    /// The next message was not taken yet, and no slot before it can be claimed.
    Full,
    /// A message is in the way that was taken by a receiver that died, or returned by one: another
    /// receiver must recover it.
    Orphaned,
    /// A living member is writing in a slot that comes before any free one.
    Behind {
        seat: u8,
    },
    /// Every slot is being read, the next one by this living member.
    Held {
        seat: u8,
    },
    /// Other members overtook the walk all the way: it has found nothing out.
    Overtaken,
}

/// A slot that this member has claimed.
#[derive(Debug)]
pub(crate) struct Claim {
    at: Cursor,
    word: SlotState,
}

impl Claim {
    /// Returns the position of the claim.
    pub(crate) fn position(&self) -> u64 {
        self.at.position
    }

    /// Returns the slot's state while it is claimed.
    pub(crate) fn state(&self) -> SlotState {
        self.word
    }
}

impl Producer {
    pub(crate) fn new(ring: Ring, seat: u8) -> Producer {
        let next = AtomicU64::new(ring.header().tail.0.load(Acquire));
        let known_flags = plain::AtomicU32::new(0);
        Producer { ring, seat, next, known_flags, ahead: SlotPrefetcher::to_claim(&ring) }
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
        let word = load_state(&self.ring.slot_at(&at));
        // The other kind of FREE is left to the walk, and with it a comparison.
        (word == SlotState::free(self.ring.lap(at.position))).then(|| self.try_claim(at, word))?
    }

    /// Claims the slot at `at`, which `word` shows to be free, if it still holds that state.
    #[inline(always)]
    fn try_claim(&self, at: Cursor, word: SlotState) -> Option<Claim> {
        let ours = SlotState::claimed(self.ring.lap(at.position), self.seat);
        // Acquire: the last receiver's reads of the slot come before our writes.
        swap(&self.ring.slot_at(&at), word, ours, Acquire).then(|| self.claimed_at(at, ours))
    }

    /// The slot at `at` was claimed.
    #[inline(always)]
    fn claimed_at(&self, at: Cursor, word: SlotState) -> Claim {
        // Release: a tap that reads anything of the new payload finds this claim (`ring/tap`).
        fence(Release);
        self.pass(at);
        Claim { at, word }
    }

    /// Claims the slot at `at` again, which was abandoned in this lap. Acquire: as above, the last
    /// sender's writes.
    fn try_reclaim(&self, at: Cursor, word: SlotState) -> Option<Claim> {
        let ours = word.claimed_again(self.seat)?;
        swap(&self.ring.slot_at(&at), word, ours, Acquire).then(|| self.claimed_at(at, ours))
    }

    /// Claims the first free slot.
    pub(crate) fn claim<W: Watch>(&self, mut watch: W) -> Result<Room, W::Error> {
        let mut at = self.ring.cursor(self.next.load(plain::Ordering::Acquire));
        let mut ahead = Ahead::of(&at);
        for _ in 0..self.ring.walk_limit() {
            let lap = self.ring.lap(at.position);
            let before = lap.wrapping_sub(1);
            let slot = self.ring.slot_at(&at);
            let word = load_state(&slot);
            match word.age(lap) {
                LapOrder::Same if word.is_free() => {
                    if let Some(claim) = self.try_claim(at, word) {
                        return Ok(Room::Claimed(claim));
                    }
                }
                LapOrder::Same => match word.phase().ok_or(BAD_PHASE)? {
                    // Not exactly the state that this phase has.
                    Phase::Free => return Err(BAD_OWNER.into()),
                    Phase::Skip if self.ring.may_reclaim(&at, word, &mut ahead) => {
                        if let Some(claim) = self.try_reclaim(at, word) {
                            return Ok(Room::Claimed(claim));
                        }
                    }
                    _ => self.ring.advance(&mut at),
                },
                LapOrder::Newer => self.ring.jump_to_claim(&mut at, word),
                LapOrder::Older if word.age(before) != LapOrder::Same => return Err(BAD_LAP.into()),
                LapOrder::Older => match word.phase().ok_or(BAD_PHASE)? {
                    Phase::Full if word == SlotState::full(before) => return Ok(Room::Full),
                    Phase::Full => return Err(BAD_OWNER.into()),
                    Phase::Reading | Phase::Held => {
                        match ahead.look_beyond(&self.ring, &at, &mut watch)? {
                            Beyond::Room => self.step_over(&at, word, &mut watch)?,
                            _ if is_gone(word, &mut watch)? => {
                                self.orphan(&slot, word);
                                return Ok(Room::Orphaned);
                            }
                            Beyond::Full => return Ok(Room::Full),
                            Beyond::Claimed { seat } => return Ok(Room::Behind { seat }),
                            Beyond::Held => return Ok(Room::Held { seat: word.owner() }),
                        }
                    }
                    Phase::Claimed if is_gone(word, &mut watch)? => {
                        if swap(&slot, word, word.abandoned(), AcqRel) {
                            watch.unblocked();
                        }
                    }
                    Phase::Claimed => return Ok(Room::Behind { seat: word.owner() }),
                    Phase::Skip => {
                        if swap(&slot, word, word.freed_unsent(), AcqRel) {
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
        // The next walk starts where this one ended.
        self.next.store(at.position, plain::Ordering::Release);
        Ok(Room::Overtaken)
    }

    /// Skips the position `at`, whose slot still holds a message of an earlier lap that is being
    /// read. If its receiver is gone, receivers have to search for the message.
    fn step_over<W: Watch>(
        &self,
        at: &Cursor,
        word: SlotState,
        watch: &mut W,
    ) -> Result<(), W::Error> {
        let gone = match word.owner() {
            NO_OWNER => true,
            seat => watch.is_dead_beside(seat)?,
        };
        if word.phase() == Some(Phase::Reading) {
            // Before the swap: see `origin.rs`. An older state is of the lap before.
            self.ring.raise_origin(at, at.position.wrapping_sub(self.ring.capacity()));
        }
        let owner = if gone { NO_OWNER } else { word.owner() };
        let held = SlotState::held(self.ring.lap(at.position), word.deliveries(), owner);
        // Release: for the origin, and because a walk that finds this state relies on everything
        // before it having been claimed. Acquire: a walk that finds the next one does so, too.
        if swap(&self.ring.slot_at(at), word, held, AcqRel) {
            self.ring.raise_hint(&self.ring.header().tail.0, at.position.wrapping_add(1));
            if gone {
                self.ring.bump_orphan_epoch();
                watch.orphaned();
            }
        }
        Ok(())
    }

    /// Orphans the message of a receiver that is gone. Receivers may have searched without success:
    /// a member that lost its seat can have taken the message since. The new count makes them
    /// search again.
    fn orphan(&self, slot: &Slot<'_>, word: SlotState) {
        // The member that orphaned it may have been stopped before it was counted.
        if word.owner() == NO_OWNER || swap(slot, word, word.orphaned(), AcqRel) {
            self.ring.bump_orphan_epoch();
        }
    }

    /// Advances past `at`. Release: a thread that starts after `at` may rely on everything before
    /// it having been claimed.
    #[inline(always)]
    fn pass(&self, at: Cursor) {
        let next = at.position.wrapping_add(1);
        self.next.store(next, plain::Ordering::Release);
        if next.is_multiple_of(HINT_EVERY) {
            self.ring.header().tail.0.store(next, Release);
            if next.is_multiple_of(LOOK_EVERY) {
                self.known_flags.store(NONE_KNOWN, plain::Ordering::Relaxed);
            }
        }
    }

    /// Returns the claim of a position that was claimed here.
    pub(crate) fn claimed(&self, position: u64, word: SlotState) -> Claim {
        Claim { at: self.ring.cursor(position), word }
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
        // Release: the payload is published with the state. SeqCst: a parking word is loaded after it
        // (`wait/mod.rs`).
        swap(&self.slot(&claim), claim.word, claim.word.published(), SeqCst)
    }

    /// Abandons a claimed slot without a message. Returns false if the slot was already taken from
    /// us.
    pub(crate) fn abandon(&self, claim: Claim) -> bool {
        // Release: our writes of the slot come before those of the next sender.
        let abandoned = swap(&self.slot(&claim), claim.word, claim.word.abandoned(), Release);
        if abandoned {
            self.return_to(claim.at.position);
        }
        abandoned
    }

    /// Makes the next claim try this position again, also that of a member that joins. What was sent
    /// here after it denies that.
    fn return_to(&self, position: u64) {
        use plain::Ordering::{Relaxed, Release};

        let tail = &self.ring.header().tail.0;
        if tail.load(Acquire).wrapping_sub(position) as i64 > 0 {
            // Release, as in `pass`: everything before the position was claimed.
            tail.store(position, crate::sync::Ordering::Release);
        }

        let mut next = self.next.load(Relaxed);
        while next.wrapping_sub(position) as i64 > 0 {
            // Release: as in `pass`; this thread walked to the position.
            match self.next.compare_exchange(next, position, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => next = now,
            }
        }
    }
}
