//! The receiving end.

mod overwriting;
mod words;

use self::words::Words;
use crate::layout::Progress;
use crate::ring::broadcast::PrivateCopy;
use crate::ring::delivery_record::DeliveryRecord;
use crate::ring::prefetch::{self, ReadAhead};
use crate::ring::slot_state::SlotState;
use crate::ring::{Corrupt, Cursor, Ring, Slot};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::plain;

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Consumer {
    ring: Ring,
    words: Words,
    /// The next position to receive.
    next: Cursor,
    /// The position at which credit is to be published next, or the end of the ring if that comes
    /// first. Between two of them, `ahead` stays as it is.
    credit_at: u64,
    /// The credit that was last published.
    credited: u64,
    /// The position at which the ring was last found empty.
    empty_at: u64,
    /// The number of messages that were overwritten before this receiver joined, and that it has not
    /// reported yet.
    missed: u64,
    /// Where the next message is copied to, in an overwriting channel: `next` is that slot while it
    /// holds the message.
    copy: Option<PrivateCopy>,
    /// Prefetches slots ahead of the one that is read.
    ahead: ReadAhead,
}

impl Consumer {
    /// Checks that a receiver can start at the head. Call it before there is a receiver.
    pub(crate) fn check(ring: &Ring) -> Result<(), Corrupt> {
        match ring.is_reached(ring.header().head.0.load(Acquire)) {
            true => Ok(()),
            false => Err(Corrupt("the head is past a message that was never sent")),
        }
    }

    /// Takes over at the first message that was not acknowledged.
    pub(crate) fn new(ring: Ring) -> Consumer {
        let position = ring.header().head.0.load(Acquire);
        Consumer::at(ring, Words::of_header(&ring), position)
    }

    /// Starts at the head of a record of a broadcast channel, for which the sender waits, after it
    /// `missed` so many messages.
    pub(in crate::ring) fn of_record(
        ring: Ring,
        record: &Progress,
        position: u64,
        missed: u64,
    ) -> Consumer {
        let mut consumer = Consumer::at(ring, Words::of_record(record), position);
        record.shown.missed.store(0, plain::Ordering::Relaxed);
        consumer.miss(missed);
        consumer
    }

    fn at(ring: Ring, words: Words, position: u64) -> Consumer {
        let next = ring.cursor(position);
        let ahead = ReadAhead::of(&ring);
        let (credit_at, credited, empty_at) = (position, position, position);
        let mut consumer = Consumer {
            ring,
            words,
            next,
            credit_at,
            credited,
            empty_at,
            missed: 0,
            copy: None,
            ahead,
        };
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

    /// Returns whether the next message is available.
    #[inline(always)]
    pub(crate) fn has_message(&self) -> bool {
        let word = self.slot().head.word.load(Acquire);
        word == self.next.full.0
    }

    /// Records that the ring is empty at the next position. Returns how many messages there were
    /// since the last such record.
    pub(crate) fn take_burst_len(&mut self) -> u64 {
        let found = self.next.position.wrapping_sub(self.empty_at);
        self.empty_at = self.next.position;
        found
    }

    /// Returns whether the next message is available, for a receiver that polls again if it is not.
    pub(crate) fn poll(&self) -> bool {
        if self.copy.is_some() {
            return self.can_fetch();
        }
        let is_there = self.has_message();
        if !is_there {
            prefetch::second_line(self.ring.stride, self.next.slot.as_ptr());
        }
        is_there
    }

    /// Returns whether more than `messages` messages are available.
    pub(crate) fn has_more_than(&self, messages: u64) -> bool {
        self.ring.is_full(self.next.position.wrapping_add(messages))
    }

    /// Returns the slot of the next position. The receiver owns its message until it is
    /// acknowledged.
    #[inline(always)]
    pub(crate) fn slot(&self) -> Slot<'_> {
        self.ring.slot_at(&self.next)
    }

    /// Returns the slot so many positions behind the next one, if its message is available. The
    /// receiver owns it, as it owns the next one: no position before it was acknowledged.
    pub(crate) fn slot_ahead(&self, ahead: u64) -> Option<Slot<'_>> {
        if self.copy.is_some() {
            return (ahead == 0 && self.has_message()).then(|| self.slot());
        }
        if ahead >= self.ring.capacity() {
            return None;
        }
        let at = self.ring.cursor(self.next.position.wrapping_add(ahead));
        let slot = self.ring.slot_at(&at);
        (slot.head.word.load(Acquire) == at.full.0).then_some(slot)
    }

    /// Returns how often the message at the next position was delivered, this delivery included.
    pub(crate) fn deliveries(&self) -> u8 {
        self.record().ended(self.next.position).saturating_add(1).min(u64::from(u8::MAX)) as u8
    }

    /// Records that a delivery of the message at the next position begins.
    pub(crate) fn begin_delivery(&self) {
        self.set_record(self.record().begin(self.next.position));
    }

    /// Records that a delivery of that message ended without an acknowledgement.
    pub(crate) fn end_delivery(&self) {
        self.set_record(self.record().end(self.next.position));
    }

    /// Ends the delivery that the last receiver had begun, if it had begun one. Returns whether the
    /// message at the next position was delivered before.
    pub(crate) fn inherit_delivery(&self, may_have_begun: bool) -> bool {
        let position = self.next.position;
        if may_have_begun || self.record().has_begun(position) {
            self.end_delivery();
        }
        self.record().ended(position) != 0
    }

    fn record(&self) -> DeliveryRecord {
        DeliveryRecord(self.words.delivery().load(Relaxed))
    }

    fn set_record(&self, record: DeliveryRecord) {
        self.words.delivery().store(record.0, Relaxed);
    }

    /// Returns whether the next message is available; reports an impossible state as corruption.
    pub(crate) fn is_ready(&self) -> Result<bool, Corrupt> {
        if self.copy.is_some() {
            return Ok(self.can_fetch());
        }
        let word = SlotState(self.slot().head.word.load(Acquire));
        if word == self.next.full {
            Ok(true)
        } else if self.ring.is_before(word, self.next.position) {
            Ok(false)
        } else {
            Err(Corrupt("a slot state has an impossible lap"))
        }
    }

    /// Acknowledges the message at the next position. Returns whether credit is due.
    #[inline(always)]
    pub(crate) fn acknowledge(&mut self) -> bool {
        let due = self.step();
        // Release: the payload was read before the sender may write there again.
        self.words.head().store(self.next.position, Release);
        due
    }

    /// Passes the slots of available messages to `take`, at most `most`, as long as it returns true.
    /// Moves past those that it took without acknowledging them yet; returns how many they were.
    #[inline(always)]
    pub(crate) fn take_while(
        &mut self,
        most: usize,
        mut take: impl FnMut(Slot<'_>) -> bool,
    ) -> usize {
        // A copy: the fields are not loaded again, and their layout stays known, after a call.
        let ring = self.ring;
        let mut taken = 0;
        while taken < most {
            // Up to there, all slots lie in one lap, and none is prefetched that is not full.
            let until = self.credit_at.wrapping_sub(self.next.position);
            let left = until.min((most - taken) as u64) as usize;
            let (Cursor { mut slot, full, .. }, ahead) = (self.next, self.ahead);
            let mut passed = 0;
            while passed < left {
                // SAFETY: before the end of the ring, a whole slot of it lies there.
                let next: Slot<'_> = unsafe { ring.slot_from(slot) };
                if next.head.word.load(Acquire) != full.0 || !take(next) {
                    break;
                }
                ahead.ask(ring.stride, slot.as_ptr());
                // SAFETY: another slot, or the end of the ring.
                slot = unsafe { slot.add(ring.stride) };
                passed += 1;
            }
            self.next.position = self.next.position.wrapping_add(passed as u64);
            self.next.slot = slot;
            if self.next.position == self.credit_at {
                self.wrap_or_credit();
                self.fetch_more();
            }
            taken += passed;
            if passed < left {
                break;
            }
        }
        taken
    }

    /// Acknowledges all messages that were passed. Returns whether credit is due.
    #[inline(always)]
    pub(crate) fn acknowledge_passed(&mut self) -> bool {
        self.words.head().store(self.next.position, Release);
        self.owes() >= self.ring.credit_every()
    }

    /// Advances by one position. Returns whether credit is due.
    #[inline(always)]
    fn step(&mut self) -> bool {
        self.next.position = self.next.position.wrapping_add(1);
        self.ahead.ask(self.ring.stride, self.next.slot.as_ptr());
        // SAFETY: the slot belongs to this ring; at the end of the ring, `credit_at` wraps around.
        self.next.slot = unsafe { self.next.slot.add(self.ring.stride) };
        self.next.position == self.credit_at && self.wrap_or_credit()
    }

    /// Computes the next `credit_at`, continues at the start of the ring after its end, and decides
    /// whether to prefetch up to there. Returns whether credit is due.
    #[inline(never)]
    fn wrap_or_credit(&mut self) -> bool {
        self.next = self.ring.cursor(self.next.position);
        if let Some(copy) = &self.copy {
            // Nothing is read in the ring, and each message is copied by itself. In private memory, no
            // word is NEVER.
            (self.next.slot, self.next.full) = (copy.start(), SlotState::NEVER);
            self.credit_at = self.next.position.wrapping_add(1);
            return self.owes() >= self.ring.credit_every();
        }
        let in_lap = self.ring.capacity() - (self.next.position & self.ring.mask);
        let (owes, every) = (self.owes(), self.ring.credit_every());
        // If credit is due already, the next such position is at the end of the ring at the latest.
        let more = every.checked_sub(owes).filter(|&more| more != 0).unwrap_or(every).min(in_lap);
        self.credit_at = self.next.position.wrapping_add(more);
        self.ahead.choose(&self.ring, self.next.position, more);
        owes >= every
    }

    /// Publishes the credit to the sender.
    pub(crate) fn publish_credit(&mut self) {
        self.words.credit().store(self.next.position, Release);
        self.credited = self.next.position;
        self.wrap_or_credit();
    }

    /// Returns the number of messages acknowledged, or passed, that the credit does not include
    /// yet.
    fn owes(&self) -> u64 {
        self.next.position.wrapping_sub(self.credited)
    }

    /// Returns whether there is unpublished credit.
    #[inline(always)]
    pub(crate) fn owes_credit(&self) -> bool {
        self.credited != self.next.position
    }
}
