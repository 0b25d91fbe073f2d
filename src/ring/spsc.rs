//! One sender, one receiver: a slot's own word announces its message.
//!
//! *Sender.* It writes the payload, then the word FULL(lap) with Release, then the tail, which only
//! a successor and observers read. It knows how far it may go from its private `limit` and looks
//! at what the receiver published only when that is reached.
//!
//! *Receiver.* It polls the next slot's word: one cache line brings the message and its announcement.
//! It keeps two words. `head` is exact, stored for every message: the acknowledgement, on a line that
//! nobody reads in steady state. `credit` is what the sender reads, stored every quarter ring (64
//! messages at most), when the ring is found empty, before a park and on leaving.
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
//! that a dead one writes no more, is the seats' business (`members.rs`).
//!
//! After Giacomoni, Moseley and Vachharajani, "FastForward" (PPoPP 2008), for the word in the slot;
//! the receiver here never writes the slot back.

use super::ahead::Ahead;
use super::{Corrupt, Cursor, Ring, Slot};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::word::Word;

/// The sending end.
#[derive(Debug)]
pub(crate) struct Producer {
    ring: Ring,
    /// At the next position to send.
    next: Cursor,
    /// The first position there is no room for, as far as we know.
    limit: u64,
    /// How far ahead the memory of slots is asked for.
    ahead: Ahead,
}

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Consumer {
    ring: Ring,
    /// At the next position to receive.
    next: Cursor,
    /// The position at which credit is next to be published.
    due: u64,
    /// What was last published.
    credited: u64,
}

impl Producer {
    /// Takes over where the last sender ended, at whatever instruction it did.
    pub(crate) fn new(ring: Ring) -> Result<Producer, Corrupt> {
        let header = ring.header();
        let head = header.head.0.load(Acquire);
        let tail = header.tail.0.load(Acquire);
        let filled = tail.wrapping_sub(head);
        // A predecessor may have died between a word and the tail: then the receiver can be past it.
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
        let end = head.wrapping_add(ring.capacity());
        let mut position = start;
        while position != end && ring.word(position) == ring.full(position) {
            position = position.wrapping_add(1);
        }
        header.tail.0.store(position, Release);
        Ok(Producer { ring, next: ring.cursor(position), limit: end, ahead: Ahead::of(&ring) })
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    #[inline(always)]
    pub(crate) fn position(&self) -> u64 {
        self.next.position
    }

    /// Whether the next slot is free, as far as is known without a look at the receiver's line.
    #[inline(always)]
    pub(crate) fn has_room(&self) -> bool {
        self.next.position != self.limit
    }

    /// How many slots are known to be free.
    #[inline(always)]
    pub(crate) fn room(&self) -> u64 {
        self.limit.wrapping_sub(self.next.position)
    }

    /// Sees how far the receiver is: by its lazy credit, or `exact`ly, on a line it writes at every
    /// message. Whether there is room.
    pub(crate) fn refresh(&mut self, exact: bool) -> Result<bool, Corrupt> {
        let header = self.ring.header();
        let acknowledged = if exact { &header.head.0 } else { &header.credit.0 }.load(Acquire);
        // Credit may be older than a head seen before, by less than a ring: then it tells nothing new.
        let oldest = if exact { 1 } else { 2 } * self.ring.capacity();
        let unread = self.next.position.wrapping_sub(acknowledged);
        if unread > oldest {
            return Err(Corrupt("the receiver acknowledges what was not sent"));
        }
        let room = self.ring.capacity().saturating_sub(unread);
        if room > self.room() {
            self.limit = self.next.position.wrapping_add(room);
        }
        Ok(self.has_room())
    }

    /// No room from now on until the next [`refresh`](Producer::refresh): sends the next send to
    /// its slow path without a test of its own.
    pub(crate) fn forget_room(&mut self) {
        self.limit = self.next.position;
    }

    /// The slot of the next position. It is ours until [`publish`](Producer::publish) while there is room.
    #[inline(always)]
    pub(crate) fn slot(&self) -> Slot<'_> {
        self.ring.slot_at(&self.next)
    }

    /// Messages sent and not yet acknowledged. Exact.
    pub(crate) fn unacknowledged(&self) -> u64 {
        let head = self.ring.header().head.0.load(Acquire);
        self.next.position.wrapping_sub(head).min(self.ring.capacity())
    }

    /// Whether everything sent was acknowledged.
    pub(crate) fn is_drained(&self) -> bool {
        self.unacknowledged() == 0
    }

    /// Announces the message in the next slot.
    #[inline(always)]
    pub(crate) fn publish(&mut self) {
        let now = self.next;
        // Our own copy first: what lies behind a Release store, the compiler reads once more.
        self.ring.advance(&mut self.next);
        let (next, room) = (self.next, self.room());
        self.ring.slot_at(&now).head.word.store(now.full.0, Release);
        self.ring.header().tail.0.store(next.position, Relaxed);
        self.ahead.ask(&next, room);
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
        let mut consumer = Consumer { ring, next, due: position, credited: position };
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

    /// The slot of the next position. Its message is ours until it is acknowledged.
    #[inline(always)]
    pub(crate) fn slot(&self) -> Slot<'_> {
        self.ring.slot_at(&self.next)
    }

    /// Whether the next message is there; finds words that cannot be.
    pub(crate) fn is_ready(&self) -> Result<bool, Corrupt> {
        let word = Word(self.slot().head.word.load(Acquire));
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
        self.ring.advance(&mut self.next);
        // Release: the payload was read before anybody may write there again.
        self.ring.header().head.0.store(self.next.position, Release);
        self.next.position == self.due
    }

    /// Moves past the message at the next position without acknowledging it yet.
    #[inline(always)]
    pub(crate) fn pass(&mut self) {
        self.ring.advance(&mut self.next);
    }

    /// Acknowledges all that was passed; whether credit is due.
    #[inline(always)]
    pub(crate) fn acknowledge_passed(&mut self) -> bool {
        self.ring.header().head.0.store(self.next.position, Release);
        self.due.wrapping_sub(self.next.position) > self.ring.capacity()
            || self.next.position == self.due
    }

    /// Tells the sender how far we are.
    pub(crate) fn publish_credit(&mut self) {
        self.ring.header().credit.0.store(self.next.position, Release);
        self.credited = self.next.position;
        // Measured: rarer is not faster, more often costs the sender a line.
        self.due = self.next.position.wrapping_add((self.ring.capacity() / 4).clamp(1, 64));
    }

    /// Whether there is credit the sender has not been told of.
    #[inline(always)]
    pub(crate) fn owes_credit(&self) -> bool {
        self.credited != self.next.position
    }
}

impl Ring {
    fn word(&self, position: u64) -> Word {
        Word(self.slot(position).head.word.load(Acquire))
    }

    /// Messages sent and not yet acknowledged, as an observer sees them: exact at some moment.
    pub(crate) fn depth(&self) -> u64 {
        let header = self.header();
        // Head first: the tail read after it is never behind an honest head.
        let head = header.head.0.load(Acquire);
        let tail = header.tail.0.load(Acquire);
        let depth = tail.wrapping_sub(head);
        if depth > u64::MAX / 2 { 0 } else { depth.min(self.capacity()) }
    }
}

#[cfg(all(test, not(loom)))]
pub(super) mod tests;
