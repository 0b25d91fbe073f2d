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

use super::{Corrupt, Cursor, Ring, Slot};
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, plain};
use crate::word::{Age, DELIVERIES_MAX, NOBODY, Phase, Word};

/// Positions between two stores of a hint: a line that everybody writes would travel between the
/// processors with each message, and walking over so few slots costs little, and not often.
/// Under loom, whose work grows with every step, it is the least.
pub(crate) const HINT_EVERY: u64 = if cfg!(loom) { 2 } else { 16 };

/// The sending end of one member, for all its threads.
#[derive(Debug)]
pub(crate) struct Producer {
    ring: Ring,
    seat: u8,
    /// No position before it is free. As the tail: any former value is as true.
    next: AtomicU64,
}

/// The receiving end of one member, for all its threads.
#[derive(Debug)]
pub(crate) struct Consumer {
    ring: Ring,
    seat: u8,
    /// No position before it holds a message that nobody took.
    next: AtomicU64,
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
}

/// What came of a try to take a message.
#[derive(Debug)]
pub(crate) enum Next {
    Message(Held),
    Nothing,
    /// The next message is being written by a living member.
    Behind {
        seat: u8,
    },
}

/// A slot that this member writes.
#[derive(Debug)]
pub(crate) struct Claim {
    at: Cursor,
}

/// A message that this member reads.
#[derive(Debug)]
pub(crate) struct Held {
    at: Cursor,
    word: Word,
}

impl Claim {
    /// Its place in the sequence.
    pub(crate) fn position(&self) -> u64 {
        self.at.position
    }
}

impl Held {
    /// Its place in the sequence.
    pub(crate) fn position(&self) -> u64 {
        self.at.position
    }

    /// How often it was delivered, this time included.
    pub(crate) fn deliveries(&self) -> u8 {
        self.word.deliveries()
    }
}

/// The word of a slot, to swap and to look at.
#[inline(always)]
fn swap(slot: &Slot<'_>, old: Word, new: Word, order: crate::sync::Ordering) -> bool {
    slot.head.word.compare_exchange(old.0, new.0, order, Relaxed).is_ok()
}

#[inline(always)]
fn look(slot: &Slot<'_>) -> Word {
    Word(slot.head.word.load(Acquire))
}

const UNKNOWN: Corrupt = Corrupt("a slot's word is of no known phase");
const IMPOSSIBLE: Corrupt = Corrupt("a slot's word is of a lap that cannot be");
const ENDLESS: Corrupt = Corrupt("no slot of the ring is where it can be");

impl Producer {
    pub(crate) fn new(ring: Ring, seat: u8) -> Producer {
        let next = AtomicU64::new(ring.header().tail.0.load(Acquire));
        Producer { ring, seat, next }
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The position behind the last one claimed here.
    pub(crate) fn position(&self) -> u64 {
        self.next.load(plain::Ordering::Relaxed)
    }

    /// Claims the slot behind the last one, if it is free. As a rule it is, and all stays in registers.
    #[inline(always)]
    pub(crate) fn claim_next(&self) -> Option<Claim> {
        let at = self.ring.cursor(self.next.load(plain::Ordering::Acquire));
        self.try_claim(at, look(&self.ring.slot_at(&at)))
    }

    /// Claims that slot if `word` says that it is free, and still does.
    #[inline(always)]
    fn try_claim(&self, at: Cursor, word: Word) -> Option<Claim> {
        let lap = self.ring.lap(at.position);
        // Acquire: what the last receiver read there, it had read.
        let claimed = word == Word::free(lap)
            && swap(&self.ring.slot_at(&at), word, Word::claimed(lap, self.seat), Acquire);
        claimed.then(|| {
            self.pass(at);
            Claim { at }
        })
    }

    /// Claims the first free slot. `is_dead` is the verdict over a seat.
    pub(crate) fn claim<E: From<Corrupt>>(
        &self,
        mut is_dead: impl FnMut(u8) -> Result<bool, E>,
    ) -> Result<Room, E> {
        let mut at = self.ring.cursor(self.next.load(plain::Ordering::Acquire));
        for _ in 0..self.ring.walk_limit() {
            let lap = self.ring.lap(at.position);
            let before = lap.wrapping_sub(1);
            let slot = self.ring.slot_at(&at);
            let word = look(&slot);
            match word.age(lap) {
                Age::Same if word == Word::free(lap) => {
                    if let Some(claim) = self.try_claim(at, word) {
                        return Ok(Room::Claimed(claim));
                    }
                }
                Age::Same => self.ring.advance(&mut at),
                Age::Newer => self.ring.jump(&mut at, &self.ring.header().tail.0),
                Age::Older if word.age(before) != Age::Same => return Err(IMPOSSIBLE.into()),
                Age::Older => match word.phase().ok_or(UNKNOWN)? {
                    Phase::Full => return Ok(Room::Full),
                    Phase::Reading if is_gone(word, &mut is_dead)? => return Ok(Room::Orphaned),
                    Phase::Claimed if is_gone(word, &mut is_dead)? => {
                        swap(&slot, word, Word::skip(before), AcqRel);
                    }
                    Phase::Reading | Phase::Claimed => {
                        return Ok(Room::Behind { seat: word.owner() });
                    }
                    Phase::Skip => _ = swap(&slot, word, Word::free(lap), AcqRel),
                    Phase::Free => return Err(IMPOSSIBLE.into()),
                },
            }
        }
        Err(ENDLESS.into())
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

    /// The claimed slot.
    #[inline(always)]
    pub(crate) fn slot(&self, claim: &Claim) -> Slot<'_> {
        self.ring.slot_at(&claim.at)
    }

    /// Announces the message in a claimed slot. False: we were taken for dead, and it was not sent.
    #[inline(always)]
    pub(crate) fn publish(&self, claim: Claim) -> bool {
        // Release: with the word goes the message.
        self.finish(&claim, Word::full(self.ring.lap(claim.at.position)))
    }

    /// Gives a claimed slot up without a message. False: it was taken from us already.
    pub(crate) fn abandon(&self, claim: Claim) -> bool {
        self.finish(&claim, Word::skip(self.ring.lap(claim.at.position)))
    }

    #[inline(always)]
    fn finish(&self, claim: &Claim, word: Word) -> bool {
        let ours = Word::claimed(self.ring.lap(claim.at.position), self.seat);
        swap(&self.slot(claim), ours, word, Release)
    }
}

impl Consumer {
    pub(crate) fn new(ring: Ring, seat: u8) -> Consumer {
        let next = AtomicU64::new(ring.header().head.0.load(Acquire));
        Consumer { ring, seat, next }
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Whether the next message is there for somebody to take.
    pub(crate) fn has_message(&self) -> bool {
        let at = self.ring.cursor(self.next.load(plain::Ordering::Acquire));
        look(&self.ring.slot_at(&at)) == Word::full(self.ring.lap(at.position))
    }

    /// The position behind the last one taken here.
    pub(crate) fn position(&self) -> u64 {
        self.next.load(plain::Ordering::Relaxed)
    }

    /// Takes the message behind the last one, if it is there. As a rule it is, and all stays in
    /// registers.
    #[inline(always)]
    pub(crate) fn take_next(&self) -> Option<Held> {
        let at = self.ring.cursor(self.next.load(plain::Ordering::Acquire));
        self.try_take(at, look(&self.ring.slot_at(&at)))
    }

    /// Takes the message there if `word` says that it is sent, and still does.
    #[inline(always)]
    fn try_take(&self, at: Cursor, word: Word) -> Option<Held> {
        let lap = self.ring.lap(at.position);
        let ours = Word::reading(lap, 1, self.seat);
        // Acquire: with the word comes the message.
        let taken = word == Word::full(lap) && swap(&self.ring.slot_at(&at), word, ours, Acquire);
        taken.then(|| {
            self.pass(at);
            Held { at, word: ours }
        })
    }

    /// Takes the first message that nobody took.
    pub(crate) fn take<E: From<Corrupt>>(
        &self,
        mut is_dead: impl FnMut(u8) -> Result<bool, E>,
    ) -> Result<Next, E> {
        let mut at = self.ring.cursor(self.next.load(plain::Ordering::Acquire));
        for _ in 0..self.ring.walk_limit() {
            let lap = self.ring.lap(at.position);
            let slot = self.ring.slot_at(&at);
            let word = look(&slot);
            match word.age(lap) {
                Age::Same if word == Word::full(lap) => {
                    if let Some(held) = self.try_take(at, word) {
                        return Ok(Next::Message(held));
                    }
                }
                Age::Same => match word.phase().ok_or(UNKNOWN)? {
                    Phase::Free => return Ok(Next::Nothing),
                    Phase::Claimed if is_gone(word, &mut is_dead)? => {
                        swap(&slot, word, Word::skip(lap), AcqRel);
                    }
                    Phase::Claimed => return Ok(Next::Behind { seat: word.owner() }),
                    Phase::Skip => {
                        swap(&slot, word, Word::free(lap.wrapping_add(1)), AcqRel);
                    }
                    Phase::Full | Phase::Reading => self.ring.advance(&mut at),
                },
                Age::Newer => self.ring.jump(&mut at, &self.ring.header().head.0),
                // Not claimed in this lap: nothing was sent there.
                Age::Older if word.age(lap.wrapping_sub(1)) == Age::Same => {
                    return Ok(Next::Nothing);
                }
                Age::Older => return Err(IMPOSSIBLE.into()),
            }
        }
        Err(ENDLESS.into())
    }

    /// Release: who starts behind `at` may trust that all before was taken.
    #[inline(always)]
    fn pass(&self, at: Cursor) {
        let next = at.position.wrapping_add(1);
        self.next.store(next, plain::Ordering::Release);
        if next.is_multiple_of(HINT_EVERY) {
            self.ring.header().head.0.store(next, Release);
        }
    }

    /// The slot of a held message.
    #[inline(always)]
    pub(crate) fn slot(&self, held: &Held) -> Slot<'_> {
        self.ring.slot_at(&held.at)
    }

    /// Acknowledges a held message. False: we were taken for dead, and another receiver has it.
    #[inline(always)]
    pub(crate) fn acknowledge(&self, held: &Held) -> bool {
        let free = Word::free(self.ring.lap(held.at.position).wrapping_add(1));
        // Release: the payload was read before anybody may write there again.
        swap(&self.slot(held), held.word, free, Release)
    }

    /// Takes over a message whose receiver died, if there is one. Looks at every slot.
    pub(crate) fn take_over<E>(
        &self,
        limit: u8,
        mut is_dead: impl FnMut(u8) -> Result<bool, E>,
        mut set_aside: impl FnMut(u64),
    ) -> Result<Option<Held>, E> {
        for at in self.ring.all_slots() {
            let slot = self.ring.slot_at(&at);
            let word = look(&slot);
            if word.phase() != Some(Phase::Reading) || !is_gone(word, &mut is_dead)? {
                continue;
            }
            let at = self.ring.cursor(self.ring.position_of(word.lap(), &at));
            let deliveries = word.deliveries();
            if deliveries >= limit.min(DELIVERIES_MAX) {
                if swap(&slot, word, Word::free(word.lap().wrapping_add(1)), AcqRel) {
                    set_aside(at.position);
                }
                continue;
            }
            let ours = Word::reading(word.lap(), deliveries + 1, self.seat);
            // Acquire: the dead one's own acquire of the message is none of ours.
            if swap(&slot, word, ours, AcqRel) {
                return Ok(Some(Held { at, word: ours }));
            }
        }
        Ok(None)
    }
}

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
    /// its claims hold no message, what it read is nobody's until a receiver takes it over. Whether
    /// there is any of these: then [`orphaned`](Ring::orphaned) is another.
    pub(crate) fn disown(&self, seat: u8) -> bool {
        let mut orphans = false;
        for at in self.all_slots() {
            let slot = self.slot_at(&at);
            let word = look(&slot);
            match (word.phase(), word.owner()) {
                (Some(Phase::Claimed), owner) if owner == seat => {
                    swap(&slot, word, Word::skip(word.lap()), AcqRel);
                }
                (Some(Phase::Reading), owner) if owner == seat => {
                    let nobody = Word::reading(word.lap(), word.deliveries(), NOBODY);
                    orphans |= swap(&slot, word, nobody, AcqRel);
                }
                // Whoever did so may have died before it was counted.
                (Some(Phase::Reading), NOBODY) => orphans = true,
                _ => {}
            }
        }
        if orphans {
            // Release: who sees the new number sees what is nobody's.
            self.header().repairs.orphaned.fetch_add(1, Release);
        }
        orphans
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

    /// Messages sent and not yet acknowledged, by a look at every slot.
    pub(crate) fn count_messages(&self) -> u64 {
        let holds = |at| {
            let phase = look(&self.slot_at(&at)).phase();
            matches!(phase, Some(Phase::Full | Phase::Reading))
        };
        self.all_slots().map(|at| u64::from(holds(at))).sum()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::testing::{HeapRing, read, write};
    use super::*;

    fn stress(capacity: usize, senders: u8, receivers: u8, each: u64) {
        let block = HeapRing::new(capacity);
        // SAFETY: the block outlives the scope.
        let ring = unsafe { block.ring() };
        let alive = |_: u8| Ok::<bool, Corrupt>(false);
        let total = u64::from(senders) * each;
        let got = crate::sync::plain::AtomicU64::new(0);
        let sum = crate::sync::plain::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for seat in 0..senders {
                scope.spawn(move || {
                    let tx = Producer::new(ring, seat);
                    for n in 0..each {
                        loop {
                            match tx.claim(alive).unwrap() {
                                Room::Claimed(claim) => {
                                    write(tx.slot(&claim), u64::from(seat) << 32 | n);
                                    assert!(tx.publish(claim));
                                    break;
                                }
                                _ => std::thread::yield_now(),
                            }
                        }
                    }
                });
            }
            for seat in 0..receivers {
                let (got, sum) = (&got, &sum);
                scope.spawn(move || {
                    let rx = Consumer::new(ring, senders + seat);
                    let mut last = vec![None; usize::from(senders)];
                    while got.load(crate::sync::plain::Ordering::Relaxed) < total {
                        match rx.take(alive).unwrap() {
                            Next::Message(held) => {
                                let message = read(rx.slot(&held));
                                assert!(rx.acknowledge(&held));
                                let (from, n) = ((message >> 32) as usize, message as u32);
                                assert!(last[from].is_none_or(|last| last < n));
                                last[from] = Some(n);
                                sum.fetch_add(u64::from(n), crate::sync::plain::Ordering::Relaxed);
                                got.fetch_add(1, crate::sync::plain::Ordering::Relaxed);
                            }
                            _ => std::thread::yield_now(),
                        }
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), u64::from(senders) * (each * (each - 1) / 2));
        assert_eq!(ring.count_messages(), 0);
    }

    #[test]
    fn every_message_once() {
        for (capacity, senders, receivers) in
            [(1, 1, 1), (1, 3, 3), (2, 2, 2), (8, 4, 4), (64, 1, 4), (64, 4, 1), (1024, 2, 2)]
        {
            stress(capacity, senders, receivers, 20_000);
        }
    }
}
