//! One sender, one receiver: a slot's own word announces its message.
//!
//! *Sender.* It writes the payload, then the word FULL(lap) with Release. It knows how far it may go from
//! its private `limit` and looks at what the receiver published only when that is reached. It goes in
//! *runs*: some slots that lie behind each other and are known to be free, so that a message costs
//! one comparison and the rest is done once a run, the tail too, which only a successor and observers
//! read and which is therefore up to a run behind.
//!
//! *Receiver.* It polls the next slot's word: one cache line brings the message and its announcement.
//! It keeps two words. `head` is exact, stored for every message: the acknowledgement, on a line that
//! nobody reads in steady state. `credit` is what the sender reads, stored every quarter ring (64
//! messages at most), when the ring is found empty, before a park and on leaving.
//!
//! *How old credit can be.* As old as it likes. A receiver that is stopped between `head` and `credit`
//! has acknowledged up to a whole ring of which credit does not tell, a batch at once; a sender that
//! saw that head fills the ring again. Credit can then be more than two rings behind the sender, and
//! after a takeover it can be older still. So credit only ever adds room, within a ring of the
//! sender's position, and proves nothing; a verdict comes from `head` alone, which the sender is never
//! more than a ring ahead of.
//!
//! *Why nothing is torn or overwritten.* A receiver that reads FULL(lap) with Acquire sees the whole
//! payload. A sender writes into a slot only at a position below `credit + capacity` or `head +
//! capacity`, both read with Acquire and stored with Release after the receiver's last read of the slot.
//!
//! *Why nothing is lost by a death.* The word is the message's birth and `head` its end, each one
//! store. A sender killed before the word was stored has sent nothing; its successor finds the end of
//! the stream as the first position from `head` on that is not FULL in its lap. A receiver killed
//! before `head` was stored has received nothing; its successor starts at `head`. `tail` and `credit`
//! may lag at a death and are re-derived. That there is one sender and one receiver at a time, and
//! that a dead one writes no more, is the seats' business (`liveness/mod.rs`).
//!
//! After Giacomoni, Moseley and Vachharajani, "FastForward" (PPoPP 2008), for the word in the slot;
//! the receiver here never writes the slot back.

use core::ptr::NonNull;

use super::prefetch::RunPrefetcher;
use super::{Corrupt, Cursor, Ring, Slot};
use crate::ring::slot_state::SlotState;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// The sending end.
#[derive(Debug)]
pub(crate) struct Producer {
    ring: Ring,
    /// The next slot to write.
    slot: NonNull<u8>,
    /// Behind the last slot of the run.
    end: NonNull<u8>,
    /// The position there.
    end_position: u64,
    /// What announces the messages of this run, which is of one lap.
    full: SlotState,
    /// The first position there is no room for, as far as we know.
    limit: u64,
    /// How far ahead the memory of slots is asked for.
    ahead: RunPrefetcher,
}

// SAFETY: as for the ring.
unsafe impl Send for Producer {}

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Consumer {
    ring: Ring,
    /// At the next position to receive.
    next: Cursor,
    /// The position at which credit is next to be published, or the end of the ring before it.
    turn: u64,
    /// What was last published.
    credited: u64,
    /// Where there was nothing, last time.
    dry_at: u64,
}

impl Producer {
    /// Takes over where the last sender ended, at whatever instruction it did.
    pub(crate) fn new(ring: Ring) -> Result<Producer, Corrupt> {
        let header = ring.header();
        let head = header.head.0.load(Acquire);
        let tail = header.tail.0.load(Acquire);
        let filled = tail.wrapping_sub(head);
        // The tail may be a run behind: then the receiver can be past it.
        let start = if filled <= ring.capacity() {
            tail
        } else if filled.wrapping_neg() <= ring.capacity() {
            head
        } else {
            return Err(Corrupt("tail and head are further apart than the ring is long"));
        };
        if !ring.is_reached(start) {
            return Err(Corrupt("the tail is past a message that was never sent"));
        }
        let limit = head.wrapping_add(ring.capacity());
        let mut position = start;
        while position != limit && ring.word(position) == ring.full(position) {
            position = position.wrapping_add(1);
        }
        header.tail.0.store(position, Release);
        let Cursor { slot, full, .. } = ring.cursor(position);
        let ahead = RunPrefetcher::of(&ring);
        Ok(Producer { ring, slot, end: slot, end_position: position, full, limit, ahead })
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The next position to send.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        let left = (self.end.addr().get() - self.slot.addr().get()) / self.ring.stride;
        self.end_position.wrapping_sub(left as u64)
    }

    /// Whether the next slot is free, as far as is known without a look at the receiver's line.
    #[inline(always)]
    pub(crate) fn has_room(&mut self) -> bool {
        self.slot != self.end || self.next_run()
    }

    /// Begins a run at the end of the last. Whether there is room for one.
    #[inline(never)]
    fn next_run(&mut self) -> bool {
        let (ring, position) = (&self.ring, self.end_position);
        ring.header().tail.0.store(position, Relaxed);
        let room = self.limit.wrapping_sub(position);
        let in_lap = ring.capacity() - (position & ring.mask);
        let most = in_lap.min(ring.run());
        let run = self.ahead.run(ring, position, room, most);
        Cursor { slot: self.slot, full: self.full, .. } = ring.cursor(position);
        // SAFETY: from that slot to the end of the ring there are as many at least.
        self.end = unsafe { self.slot.add(run as usize * ring.stride) };
        self.end_position = position.wrapping_add(run);
        run != 0
    }

    /// Tells observers how far we are.
    pub(crate) fn publish_tail(&self) {
        self.ring.header().tail.0.store(self.position(), Relaxed);
    }

    /// How many slots are known to be free.
    #[inline]
    pub(crate) fn room(&self) -> u64 {
        self.limit.wrapping_sub(self.position())
    }

    /// Sees how far the receiver is: by its lazy credit, or `exact`ly, on a line it writes at every
    /// message. Returns whether there is room.
    ///
    /// Only the head can be wrong. Credit that is older than a ring, or ahead, is no news: see the top
    /// of this file.
    pub(crate) fn refresh(&mut self, exact: bool) -> Result<bool, Corrupt> {
        let header = self.ring.header();
        let acknowledged = if exact { &header.head.0 } else { &header.credit.0 }.load(Acquire);
        let position = self.position();
        let unread = position.wrapping_sub(acknowledged);
        match self.ring.capacity().checked_sub(unread) {
            Some(room) if room > self.limit.wrapping_sub(position) => {
                self.limit = position.wrapping_add(room);
            }
            None if exact => return Err(Corrupt("the receiver acknowledges what was not sent")),
            _ => {}
        }
        Ok(self.has_room())
    }

    /// No room from now on until the next [`refresh`](Producer::refresh): sends the next send to
    /// its slow path without a test of its own.
    pub(crate) fn forget_room(&mut self) {
        self.limit = self.position();
        (self.end, self.end_position) = (self.slot, self.limit);
    }

    /// The slot of the next position. It is ours until [`publish`](Producer::publish) once
    /// [`has_room`](Producer::has_room) said so.
    #[inline(always)]
    pub(crate) fn slot(&self) -> Slot<'_> {
        debug_assert!(self.slot != self.end, "no slot was found free");
        // SAFETY: inside the run, a whole slot of this ring lies there.
        unsafe { self.ring.slot_from(self.slot) }
    }

    /// Messages sent and not yet acknowledged. Exact.
    pub(crate) fn unacknowledged(&self) -> u64 {
        let head = self.ring.header().head.0.load(Acquire);
        self.position().wrapping_sub(head).min(self.ring.capacity())
    }

    /// Whether everything sent was acknowledged.
    pub(crate) fn is_drained(&self) -> bool {
        self.unacknowledged() == 0
    }

    /// Announces the message in the next slot, of which [`has_room`](Producer::has_room) said that it is free.
    #[inline(always)]
    pub(crate) fn publish(&mut self) {
        debug_assert!(self.slot != self.end, "published without room");
        let (now, full) = (self.slot, self.full);
        // SAFETY: inside the run, another slot or its end lies there. Our own copy first: what lies
        // behind a Release store, the compiler reads once more.
        self.slot = unsafe { now.add(self.ring.stride) };
        // SAFETY: a whole slot of this ring, as above.
        unsafe { self.ring.slot_from(now) }.head.word.store(full.0, Release);
        self.ahead.ask(&self.ring, now.as_ptr());
    }
}

impl Consumer {
    /// Whether there can be a receiver at the head. To be asked before there is one.
    pub(crate) fn check(ring: &Ring) -> Result<(), Corrupt> {
        match ring.is_reached(ring.header().head.0.load(Acquire)) {
            true => Ok(()),
            false => Err(Corrupt("the head is past a message that was never sent")),
        }
    }

    /// Takes over at the first message that was not acknowledged.
    pub(crate) fn new(ring: Ring) -> Consumer {
        let position = ring.header().head.0.load(Acquire);
        let next = ring.cursor(position);
        let mut consumer =
            Consumer { ring, next, turn: position, credited: position, dry_at: position };
        consumer.publish_credit();
        consumer
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    #[inline(always)]
    pub(crate) fn position(&self) -> u64 {
        self.next.position
    }

    /// Whether the next message is there.
    #[inline(always)]
    pub(crate) fn has_message(&self) -> bool {
        let word = self.slot().head.word.load(Acquire);
        word == self.next.full.0
    }

    /// There is nothing at the next position; how many messages there were since it was so the last time.
    pub(crate) fn dry(&mut self) -> u64 {
        let found = self.next.position.wrapping_sub(self.dry_at);
        self.dry_at = self.next.position;
        found
    }

    /// Whether there are more than so many messages.
    pub(crate) fn has_more_than(&self, messages: u64) -> bool {
        let position = self.next.position.wrapping_add(messages);
        self.ring.word(position) == self.ring.full(position)
    }

    /// The slot of the next position. Its message is ours until it is acknowledged.
    #[inline(always)]
    pub(crate) fn slot(&self) -> Slot<'_> {
        self.ring.slot_at(&self.next)
    }

    /// Whether the next message is there; finds words that cannot be.
    pub(crate) fn is_ready(&self) -> Result<bool, Corrupt> {
        let word = SlotState(self.slot().head.word.load(Acquire));
        if word == self.next.full {
            Ok(true)
        } else if self.ring.is_before(word, self.next.position) {
            Ok(false)
        } else {
            Err(Corrupt("a slot's word is of a lap that cannot be"))
        }
    }

    /// Acknowledges the message at the next position; whether credit is due.
    #[inline(always)]
    pub(crate) fn acknowledge(&mut self) -> bool {
        let due = self.step();
        // Release: the payload was read before anybody may write there again.
        self.ring.header().head.0.store(self.next.position, Release);
        due
    }

    /// Moves past the message at the next position without acknowledging it yet.
    #[inline(always)]
    pub(crate) fn pass(&mut self) {
        self.step();
    }

    /// Acknowledges all that was passed; whether credit is due.
    #[inline(always)]
    pub(crate) fn acknowledge_passed(&mut self) -> bool {
        self.ring.header().head.0.store(self.next.position, Release);
        self.owes() >= self.ring.credit_every()
    }

    /// Moves on; whether credit is due.
    #[inline(always)]
    fn step(&mut self) -> bool {
        self.next.position = self.next.position.wrapping_add(1);
        // SAFETY: the slot was of this ring; at its end we turn.
        self.next.slot = unsafe { self.next.slot.add(self.ring.stride) };
        self.next.position == self.turn && self.turn()
    }

    /// Goes on at the start of the ring after its end; whether credit is due.
    #[inline(never)]
    fn turn(&mut self) -> bool {
        self.next = self.ring.cursor(self.next.position);
        let in_lap = self.ring.capacity() - (self.next.position & self.ring.mask);
        let (owes, every) = (self.owes(), self.ring.credit_every());
        // When it is due already, at the end of the ring at the latest.
        let more = every.checked_sub(owes).filter(|&more| more != 0).unwrap_or(every);
        self.turn = self.next.position.wrapping_add(more.min(in_lap));
        owes >= every
    }

    /// Tells the sender how far we are.
    pub(crate) fn publish_credit(&mut self) {
        self.ring.header().credit.0.store(self.next.position, Release);
        self.credited = self.next.position;
        self.turn();
    }

    /// Messages acknowledged, or passed, that the sender has not been told of.
    fn owes(&self) -> u64 {
        self.next.position.wrapping_sub(self.credited)
    }

    /// Whether there is credit the sender has not been told of.
    #[inline(always)]
    pub(crate) fn owes_credit(&self) -> bool {
        self.credited != self.next.position
    }
}

impl Ring {
    fn word(&self, position: u64) -> SlotState {
        SlotState(self.slot(position).head.word.load(Acquire))
    }

    /// Messages from one credit to the next. Measured: rarer is not faster, more often costs the sender a line.
    pub(crate) fn credit_every(&self) -> u64 {
        (self.capacity() / 4).clamp(1, 64)
    }

    /// Slots of a sender's longest run. Measured: half as many bytes are a little slower at 8 and 64 B.
    fn run(&self) -> u64 {
        (1024 / self.stride).max(8) as u64
    }

    /// The next position to send, as an observer sees it: exact at some moment. The tail may be a run
    /// behind; from there on the words tell.
    pub(crate) fn tail(&self) -> u64 {
        let header = self.header();
        let mut position = 0;
        for _ in 0..LOOKS {
            let head = header.head.0.load(Acquire);
            let tail = header.tail.0.load(Acquire);
            position = if is_past(head, tail) { head } else { tail };
            let most = position.wrapping_add(self.run());
            while position != most && self.word(position) == self.full(position) {
                position = position.wrapping_add(1);
            }
            // The word of a later lap: that long we slept, and all of it is old.
            if position == most || self.is_before(self.word(position), position) {
                break;
            }
        }
        position
    }

    /// Messages from `head` to `tail`, as far as there can be so many.
    pub(super) fn between(&self, head: u64, tail: u64) -> u64 {
        if is_past(head, tail) { 0 } else { tail.wrapping_sub(head).min(self.capacity()) }
    }

    /// Messages sent and not yet acknowledged, as an observer sees them: exact if no end moves meanwhile, and for
    /// the receiver itself.
    pub(crate) fn depth(&self) -> u64 {
        // Head first: the tail read after it is never behind an honest head.
        let head = self.header().head.0.load(Acquire);
        self.between(head, self.tail())
    }
}

/// How often an observer looks once more when it was overtaken by a lap.
const LOOKS: usize = 8;

/// Whether `one` is further than `other`.
fn is_past(one: u64, other: u64) -> bool {
    other.wrapping_sub(one) > u64::MAX / 2
}

#[cfg(all(test, not(loom)))]
pub(super) mod tests;
