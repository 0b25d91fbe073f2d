//! The SPSC ring: a slot's own state word publishes its message.
//!
//! *Sender.* It writes the payload, then stores the state FULL(lap) with Release. A private `limit`
//! holds how far it may go; it loads what the receiver published only when that limit is reached.
//! It works in *runs*: consecutive slots that are known to be free. A message then costs one
//! comparison, and everything else is done once for each run. That includes storing the tail, which
//! only a successor and observers read and which may therefore lag by up to one run.
//!
//! *Receiver.* It polls the next slot's state: one cache line carries both the message and its
//! publication. It keeps two words. `head` is exact and is stored for every message: it is the
//! acknowledgement, on a line that no other process reads in steady state. `credit` is what the
//! sender reads; it is stored after every min(capacity / 4, 128) messages, when the ring is found
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

use core::ptr::NonNull;

use super::delivery_record::DeliveryRecord;
use super::prefetch::{ReadAhead, RunPrefetcher};
use super::{Corrupt, Cursor, Ring, Slot};
use crate::ring::slot_state::SlotState;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// The sending end.
#[derive(Debug)]
pub(crate) struct Producer {
    ring: Ring,
    /// The next slot to write.
    slot: NonNull<u8>,
    /// One past the last slot of the run.
    end: NonNull<u8>,
    /// The position of `end`.
    end_position: u64,
    /// The state that publishes the messages of this run, which lies within one lap.
    full: SlotState,
    /// The first position known to have no room.
    limit: u64,
    /// Prefetches slots ahead of the one that is written.
    ahead: RunPrefetcher,
}

// SAFETY: as for the ring.
unsafe impl Send for Producer {}

/// The rest of a sender's run, in registers: what a message loads from the sender otherwise, it has
/// to load again after the store that publishes the message before it.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    ring: Ring,
    slot: NonNull<u8>,
    end: NonNull<u8>,
    full: SlotState,
    ahead: RunPrefetcher,
    /// Where the sender keeps `slot`.
    kept: &'a mut NonNull<u8>,
}

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Consumer {
    ring: Ring,
    /// The next position to receive.
    next: Cursor,
    /// The position at which credit is to be published next, or the end of the ring if that comes
    /// first. Between two of them, `ahead` stays as it is.
    credit_at: u64,
    /// The credit that was last published.
    credited: u64,
    /// The position at which the ring was last found empty.
    empty_at: u64,
    /// Prefetches slots ahead of the one that is read.
    ahead: ReadAhead,
}

impl Producer {
    /// Takes over where the last sender ended, at whatever instruction it died.
    pub(crate) fn new(ring: Ring) -> Result<Producer, Corrupt> {
        let header = ring.header();
        let head = header.head.0.load(Acquire);
        let tail = header.tail.0.load(Acquire);
        let filled = tail.wrapping_sub(head);
        // The tail may lag by a run, so the receiver can be past it.
        let start = if filled <= ring.capacity() {
            tail
        } else if filled.wrapping_neg() <= ring.capacity() {
            head
        } else {
            return Err(Corrupt("tail and head differ by more than the capacity"));
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

    /// Returns the next position to send.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        let left = (self.end.addr().get() - self.slot.addr().get()) / self.ring.stride;
        self.end_position.wrapping_sub(left as u64)
    }

    /// Returns whether the next slot is free, as far as is known without loading the receiver's
    /// line.
    #[inline(always)]
    pub(crate) fn has_room(&mut self) -> bool {
        self.slot != self.end || self.next_run()
    }

    /// Begins a new run at the end of the last one. Returns whether there is room for one.
    #[inline(never)]
    fn next_run(&mut self) -> bool {
        let (ring, position) = (&self.ring, self.end_position);
        ring.header().tail.0.store(position, Relaxed);
        let room = self.limit.wrapping_sub(position);
        let in_lap = ring.capacity() - (position & ring.mask);
        let most = in_lap.min(ring.run());
        let run = self.ahead.run(ring, position, room, most);
        Cursor { slot: self.slot, full: self.full, .. } = ring.cursor(position);
        // SAFETY: at least `run` slots lie between that slot and the end of the ring.
        self.end = unsafe { self.slot.add(run as usize * ring.stride) };
        self.end_position = position.wrapping_add(run);
        run != 0
    }

    /// Stores the next position to send as the tail, for a successor and observers.
    pub(crate) fn publish_tail(&self) {
        self.ring.header().tail.0.store(self.position(), Relaxed);
    }

    /// Returns the number of slots that are known to be free.
    #[inline]
    pub(crate) fn room(&self) -> u64 {
        self.limit.wrapping_sub(self.position())
    }

    /// Updates the limit from the receiver's progress: from its lazy credit, or, if `exact`, from
    /// its head, on a line that it writes for every message. Returns whether there is room.
    ///
    /// Only the head can prove corruption. Credit that is more than a ring old, or ahead, is
    /// ignored: the module's documentation explains how stale it can be.
    pub(crate) fn refresh(&mut self, exact: bool) -> Result<bool, Corrupt> {
        let header = self.ring.header();
        let acknowledged = if exact { &header.head.0 } else { &header.credit.0 }.load(Acquire);
        let position = self.position();
        let unread = position.wrapping_sub(acknowledged);
        match self.ring.capacity().checked_sub(unread) {
            Some(room) if room > self.limit.wrapping_sub(position) => {
                self.limit = position.wrapping_add(room);
            }
            None if exact => return Err(Corrupt("the receiver acknowledged an unsent message")),
            _ => {}
        }
        Ok(self.has_room())
    }

    /// Leaves no room until the next [`refresh`](Producer::refresh): the next send takes its slow
    /// path without an extra test.
    pub(crate) fn forget_room(&mut self) {
        self.limit = self.position();
        (self.end, self.end_position) = (self.slot, self.limit);
    }

    /// Returns the slot of the next position. The sender owns it until
    /// [`publish`](Producer::publish), once [`has_room`](Producer::has_room) has returned true.
    #[inline(always)]
    pub(crate) fn slot(&self) -> Slot<'_> {
        debug_assert!(self.slot != self.end, "no slot was found free");
        // SAFETY: inside the run, a whole slot of this ring lies there.
        unsafe { self.ring.slot_from(self.slot) }
    }

    /// Returns the exact number of messages sent and not yet acknowledged.
    pub(crate) fn unacknowledged(&self) -> u64 {
        let head = self.ring.header().head.0.load(Acquire);
        self.position().wrapping_sub(head).min(self.ring.capacity())
    }

    /// Returns whether everything sent was acknowledged.
    pub(crate) fn is_drained(&self) -> bool {
        self.unacknowledged() == 0
    }

    /// Publishes the message in the next slot, which [`has_room`](Producer::has_room) has reported
    /// free.
    #[inline(always)]
    pub(crate) fn publish(&mut self) {
        self.run().publish();
    }

    /// Returns the rest of the run, for several messages in one call.
    #[inline(always)]
    pub(crate) fn run(&mut self) -> Run<'_> {
        let Producer { ring, slot, end, full, ahead, .. } = self;
        Run { ring: *ring, slot: *slot, end: *end, full: *full, ahead: *ahead, kept: slot }
    }
}

impl Run<'_> {
    #[inline(always)]
    pub(crate) fn has_room(&self) -> bool {
        self.slot != self.end
    }

    /// Returns the next slot. The sender owns it until it is published.
    #[inline(always)]
    pub(crate) fn slot(&self) -> Slot<'_> {
        debug_assert!(self.has_room(), "no slot was found free");
        // SAFETY: inside the run, a whole slot of this ring lies there.
        unsafe { self.ring.slot_from(self.slot) }
    }

    /// Publishes the message in the next slot.
    #[inline(always)]
    pub(crate) fn publish(&mut self) {
        debug_assert!(self.has_room(), "published without room");
        let now = self.slot;
        // SAFETY: inside the run, another slot or its end lies there. The private copy is updated
        // first: after a Release store, the compiler would load it once more.
        self.slot = unsafe { now.add(self.ring.stride) };
        *self.kept = self.slot;
        // SAFETY: a whole slot of this ring, as above.
        unsafe { self.ring.slot_from(now) }.head.word.store(self.full.0, Release);
        self.ahead.ask(self.ring.stride, now.as_ptr());
    }
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
        let next = ring.cursor(position);
        let ahead = ReadAhead::of(&ring);
        let (credit_at, credited, empty_at) = (position, position, position);
        let mut consumer = Consumer { ring, next, credit_at, credited, empty_at, ahead };
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

    /// Returns whether more than `messages` messages are available.
    pub(crate) fn has_more_than(&self, messages: u64) -> bool {
        let position = self.next.position.wrapping_add(messages);
        self.ring.word(position) == self.ring.full(position)
    }

    /// Returns the slot of the next position. The receiver owns its message until it is
    /// acknowledged.
    #[inline(always)]
    pub(crate) fn slot(&self) -> Slot<'_> {
        self.ring.slot_at(&self.next)
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
        DeliveryRecord(self.ring.header().repairs.delivery.load(Relaxed))
    }

    fn set_record(&self, record: DeliveryRecord) {
        self.ring.header().repairs.delivery.store(record.0, Relaxed);
    }

    /// Returns whether the next message is available; reports an impossible state as corruption.
    pub(crate) fn is_ready(&self) -> Result<bool, Corrupt> {
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
        self.ring.header().head.0.store(self.next.position, Release);
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
        self.ring.header().head.0.store(self.next.position, Release);
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

    /// Computes the next such position, continues at the start of the ring after its end, and decides
    /// whether to prefetch up to there. Returns whether credit is due.
    #[inline(never)]
    fn wrap_or_credit(&mut self) -> bool {
        self.next = self.ring.cursor(self.next.position);
        let in_lap = self.ring.capacity() - (self.next.position & self.ring.mask);
        let (owes, every) = (self.owes(), self.ring.credit_every());
        // If credit is due already, the next such position is at the end of the ring at the latest.
        let more = every.checked_sub(owes).filter(|&more| more != 0).unwrap_or(every).min(in_lap);
        self.credit_at = self.next.position.wrapping_add(more);
        let Consumer { ring, next: Cursor { position, .. }, .. } = *self;
        self.ahead.choose(&ring, position, more, |far| ring.word(far) == ring.full(far));
        owes >= every
    }

    /// Publishes the credit to the sender.
    pub(crate) fn publish_credit(&mut self) {
        self.ring.header().credit.0.store(self.next.position, Release);
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

impl Ring {
    fn word(&self, position: u64) -> SlotState {
        SlotState(self.slot(position).head.word.load(Acquire))
    }

    /// Returns the number of messages between two stores of the credit. Rarer stores are not
    /// faster, and more frequent ones cost a cache line each, and with it a part of the messages
    /// that the two sides move meanwhile (docs/design/experiments.md).
    pub(crate) fn credit_every(&self) -> u64 {
        (self.capacity() / 4).clamp(1, 128)
    }

    /// Returns the maximum number of slots of a sender's run: 1 KiB, but at least 8 slots. Runs of
    /// half that length were measured to be slightly slower for messages of 8 and 64 B.
    fn run(&self) -> u64 {
        (1024 / self.stride).max(8) as u64
    }

    /// Returns the next position to send, as an observer sees it: exact at some moment. The tail
    /// may lag by one run; beyond it, the slot states decide.
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
        let head = self.header().head.0.load(Acquire);
        self.between(head, self.tail())
    }
}

/// The number of attempts of an observer that was overtaken by a lap.
const LOOKS: usize = 8;

/// Returns whether `one` is further than `other`.
fn is_past(one: u64, other: u64) -> bool {
    other.wrapping_sub(one) > u64::MAX / 2
}

#[cfg(all(test, not(loom)))]
pub(super) mod tests;
