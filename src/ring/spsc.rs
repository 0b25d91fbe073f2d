//! The SPSC ring: a slot's own state word publishes its message.
//!
//! *Sender.* It writes the payload, then stores the state FULL(lap) with Release. A private `limit`
//! holds how far it may go; it loads what the receiver published only when that limit is reached.
//! It works in *runs*: consecutive slots that are known to be free. A message then costs one
//! comparison, and everything else is done once for each run. That includes storing the tail, which
//! only a successor and observers read and which may therefore lag by up to one run.
//!
//! *Receiver.* It polls the next slot's state: one cache line carries both the message and its
//! publication. It keeps two words. `head` is exact and is stored for every message, or once for a
//! batch: it is the acknowledgement, on a line that no other process reads in steady state. `credit` is
//! what the sender reads; it is stored after every min(capacity / 4, 128) messages, when the ring is found
//! empty, before parking and on leaving.
//!
//! *How stale credit can be.* There is no bound. A receiver that is stopped between storing `head`
//! and `credit` has acknowledged up to a whole ring that credit does not include, since a batch is
//! acknowledged at once; a sender that saw that head fills the ring again. Credit can then be more
//! than two rings behind the sender, and after a takeover it can be older still. So credit only
//! ever adds room, within one ring of the sender's position, and proves nothing; corruption is
//! diagnosed from `head` alone, which the sender is never more than one ring ahead of.
//!
//! *Why nothing is torn or overwritten.* A receiver that loads FULL(lap) with Acquire sees the
//! whole payload. A sender writes into a slot only at a position below `credit + capacity` or
//! `head + capacity`, both loaded with Acquire and stored with Release after the receiver's last
//! read of the slot.
//!
//! *Why nothing is lost by a death.* A message begins with its slot's state and ends with `head`,
//! each one store. A sender killed before the state was stored has sent nothing; its successor
//! finds the end of the stream as the first position from `head` on that is not FULL in its lap. A
//! receiver killed before `head` was stored has received nothing; its successor starts at `head`.
//! `tail` and `credit` may lag at a death and are re-derived. That there is one sender and one
//! receiver at a time, and that a dead one writes no more, is guaranteed by the seats
//! (`liveness/mod.rs`).
//!
//! The state word in the slot follows Giacomoni, Moseley and Vachharajani, "FastForward" (PPoPP
//! 2008); here the receiver never writes the slot back.

mod consumer;
mod producer;
#[cfg(all(test, not(loom)))]
pub(super) mod tests;

pub(crate) use self::consumer::Consumer;
pub(crate) use self::producer::Producer;
use crate::ring::Ring;
use crate::ring::slot_state::SlotState;
use crate::sync::Ordering::Acquire;

impl Ring {
    fn word(&self, position: u64) -> SlotState {
        SlotState(self.slot(position).head.word.load(Acquire))
    }

    /// Returns whether the message of this position was sent, and no later one in its slot.
    pub(super) fn is_full(&self, position: u64) -> bool {
        self.word(position) == self.full(position)
    }

    /// Returns the number of messages between two stores of the credit. Rarer stores are not
    /// faster, and more frequent ones cost a cache line each, and with it a part of the messages
    /// that the two sides move meanwhile (docs/design/experiments.md).
    pub(crate) fn credit_every(&self) -> u64 {
        (self.capacity() / 4).clamp(1, 128)
    }

    /// Returns the maximum number of slots of a sender's run: 1 KiB, but at least 8 slots. Runs of
    /// half that length were measured to be slightly slower for messages of 8 and 64 B.
    /// Observers and taps rely on it: another maximum is another protocol.
    pub(super) fn run(&self) -> u64 {
        (1024 / self.stride).max(8) as u64
    }

    /// Returns the next position to send, as an observer sees it: exact at some moment. The tail
    /// may lag by one run; beyond it, the slot states decide.
    pub(crate) fn tail(&self) -> u64 {
        let header = self.header();
        let mut position = 0;
        for _ in 0..LOOKS {
            let head = self.kept_from();
            let tail = header.tail.0.load(Acquire);
            position = if is_past(head, tail) { head } else { tail };
            let most = position.wrapping_add(self.run());
            while position != most && self.is_full(position) {
                position = position.wrapping_add(1);
            }
            // Otherwise the state is of a later lap: this thread was delayed that long, and all it
            // loaded is old.
            if position == most || self.is_before(self.word(position), position) {
                break;
            }
        }
        position
    }

    /// Returns the number of messages from `head` to `tail`, limited to what is possible.
    pub(super) fn between(&self, head: u64, tail: u64) -> u64 {
        if is_past(head, tail) { 0 } else { tail.wrapping_sub(head).min(self.capacity()) }
    }

    /// Returns the number of messages sent and not yet acknowledged, as an observer sees them:
    /// exact if neither end moves meanwhile, and exact for the receiver itself.
    pub(crate) fn depth(&self) -> u64 {
        // The head is loaded first: the tail loaded after it is never behind an honest head.
        let head = match self.is_broadcast() {
            true => self.slowest_head(),
            false => Some(self.header().head.0.load(Acquire)),
        };
        head.map_or(0, |head| self.between(head, self.tail()))
    }

    /// Returns the position up to which messages may have been overwritten: the head, or, in a
    /// broadcast channel, a ring before the first position that the sender may not have written to.
    pub(super) fn kept_from(&self) -> u64 {
        match self.is_broadcast() {
            true => self.oldest(),
            false => self.header().head.0.load(Acquire),
        }
    }
}

/// The number of attempts of an observer that was overtaken by a lap.
const LOOKS: usize = 8;

/// Returns whether `one` is further than `other`.
fn is_past(one: u64, other: u64) -> bool {
    other.wrapping_sub(one) > u64::MAX / 2
}
