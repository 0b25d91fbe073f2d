//! Receivers: taking the first message that nobody took, and acknowledging it.

use super::{BAD_LAP, BAD_OWNER, BAD_PHASE, Watch, is_gone, look, swap};
use crate::ring::prefetch::SlotPrefetcher;
use crate::ring::slot_state::{LapOrder, NO_OWNER, Phase, SlotState};
use crate::ring::{Cursor, Ring, Slot};
use crate::sync::Ordering::{AcqRel, Acquire, Release};
use crate::sync::{AtomicU64, plain};

/// Messages after which a receiver takes it that more are there.
const MANY: u64 = 64;

/// The receiving end of one member, for all its threads.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(super) ring: Ring,
    pub(super) seat: u8,
    /// No position before it holds a message that nobody took.
    next: AtomicU64,
    /// Where there was nothing, last time.
    dry_at: AtomicU64,
    /// How far ahead the memory of slots is asked for, and whether it is.
    ahead: SlotPrefetcher,
    asks: plain::AtomicBool,
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
    /// Others were faster than this walk all the way: nothing was found out.
    Overtaken,
}

/// A message that this member reads.
#[derive(Debug)]
pub(crate) struct Held {
    pub(super) at: Cursor,
    pub(super) word: SlotState,
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

impl Consumer {
    pub(crate) fn new(ring: Ring, seat: u8) -> Consumer {
        let head = ring.header().head.0.load(Acquire);
        let [next, dry_at] = [head; 2].map(AtomicU64::new);
        let ahead = SlotPrefetcher::to_take(&ring);
        Consumer { ring, seat, next, dry_at, ahead, asks: plain::AtomicBool::new(false) }
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Whether the next message is there for somebody to take.
    pub(crate) fn has_message(&self) -> bool {
        let at = self.ring.cursor(self.next.load(plain::Ordering::Acquire));
        look(&self.ring.slot_at(&at)) == SlotState::full(self.ring.lap(at.position))
    }

    /// Whether so many positions on, a message is there or about to be, or was.
    pub(crate) fn has_more_than(&self, messages: u64) -> bool {
        let next = self.next.load(plain::Ordering::Acquire);
        let at = self.ring.cursor(next.wrapping_add(messages));
        let (word, lap) = (look(&self.ring.slot_at(&at)), self.ring.lap(at.position));
        word.age(lap) != LapOrder::Older && word != SlotState::free(lap)
    }

    /// There is nothing at the next position; how many were taken since it was so the last time.
    pub(crate) fn dry(&self) -> u64 {
        let next = self.position();
        self.asks.store(false, plain::Ordering::Relaxed);
        let found = next.wrapping_sub(self.dry_at.load(plain::Ordering::Relaxed));
        self.dry_at.store(next, plain::Ordering::Relaxed);
        found
    }

    /// Many messages are there: from now on their memory is asked for early.
    pub(crate) fn ask(&self) {
        self.asks.store(true, plain::Ordering::Relaxed);
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
        if self.asks.load(plain::Ordering::Relaxed) {
            self.ahead.ask(&at);
        }
        self.try_take(at, look(&self.ring.slot_at(&at)))
    }

    /// Takes the message there if `word` says that it is sent, and still does.
    #[inline(always)]
    fn try_take(&self, at: Cursor, word: SlotState) -> Option<Held> {
        let lap = self.ring.lap(at.position);
        let ours = SlotState::reading(lap, 1, self.seat);
        // Acquire: with the word comes the message.
        let taken =
            word == SlotState::full(lap) && swap(&self.ring.slot_at(&at), word, ours, Acquire);
        taken.then(|| {
            self.pass(at);
            Held { at, word: ours }
        })
    }

    /// Takes the first message that nobody took.
    pub(crate) fn take<W: Watch>(&self, mut watch: W) -> Result<Next, W::Error> {
        let mut at = self.ring.cursor(self.next.load(plain::Ordering::Acquire));
        for _ in 0..self.ring.walk_limit() {
            let lap = self.ring.lap(at.position);
            let slot = self.ring.slot_at(&at);
            let word = look(&slot);
            match word.age(lap) {
                LapOrder::Same if word == SlotState::full(lap) => {
                    if let Some(held) = self.try_take(at, word) {
                        return Ok(Next::Message(held));
                    }
                }
                LapOrder::Same => match word.phase().ok_or(BAD_PHASE)? {
                    Phase::Free if word == SlotState::free(lap) => return Ok(Next::Nothing),
                    Phase::Claimed if is_gone(word, &mut watch)? => {
                        swap(&slot, word, SlotState::skip(lap), AcqRel);
                    }
                    Phase::Claimed => return Ok(Next::Behind { seat: word.owner() }),
                    Phase::Skip => {
                        if swap(&slot, word, SlotState::free(lap.wrapping_add(1)), AcqRel) {
                            self.ring.hint_head(at.position.wrapping_add(1));
                            watch.freed();
                        }
                    }
                    Phase::Reading => self.ring.advance(&mut at),
                    // Not the words that they should be.
                    Phase::Free | Phase::Full => return Err(BAD_OWNER.into()),
                },
                LapOrder::Newer => self.ring.jump(&mut at, word, &self.ring.header().head.0),
                // Not claimed in this lap: nothing was sent there.
                LapOrder::Older if word.age(lap.wrapping_sub(1)) == LapOrder::Same => {
                    return Ok(Next::Nothing);
                }
                LapOrder::Older => return Err(BAD_LAP.into()),
            }
        }
        Ok(Next::Overtaken)
    }

    /// Release: who starts behind `at` may trust that all before was taken.
    #[inline(always)]
    fn pass(&self, at: Cursor) {
        let next = at.position.wrapping_add(1);
        self.next.store(next, plain::Ordering::Release);
        // What came without a stop comes from a sender that is ahead.
        if self.ring.hint_head(next)
            && next.wrapping_sub(self.dry_at.load(plain::Ordering::Relaxed)) > MANY
        {
            self.ask();
        }
    }

    /// The message at a position that was taken here, for the first time that it was delivered.
    pub(crate) fn held(&self, position: u64) -> Held {
        let at = self.ring.cursor(position);
        Held { at, word: SlotState::reading(self.ring.lap(position), 1, self.seat) }
    }

    /// The slot of a held message.
    #[inline(always)]
    pub(crate) fn slot(&self, held: &Held) -> Slot<'_> {
        self.ring.slot_at(&held.at)
    }

    /// Gives a held message up without acknowledging it: it is nobody's until a receiver takes it over,
    /// this one too. False: we were taken for dead, and another receiver has it.
    pub(crate) fn release(&self, held: &Held) -> bool {
        let nobody = SlotState::reading(held.word.lap(), held.word.deliveries(), NO_OWNER);
        let released = swap(&self.slot(held), held.word, nobody, AcqRel);
        if released {
            self.ring.count_orphans();
        }
        released
    }

    /// Acknowledges a held message. False: we were taken for dead, and another receiver has it.
    #[inline(always)]
    pub(crate) fn acknowledge(&self, held: &Held) -> bool {
        let free = SlotState::free(self.ring.lap(held.at.position).wrapping_add(1));
        // Release: the payload was read before anybody may write there again.
        swap(&self.slot(held), held.word, free, Release)
    }
}
