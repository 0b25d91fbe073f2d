//! The sending end.

use core::ptr::NonNull;

use crate::ring::broadcast::JoinedReceiver;
use crate::ring::prefetch::RunPrefetcher;
use crate::ring::slot_state::SlotState;
use crate::ring::{Corrupt, Cursor, Ring, Slot};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::fence;

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
    /// Whether a sender of a broadcast channel executes a fence for each grant.
    fences: bool,
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
impl Producer {
    /// Takes over where the last sender ended, at whatever instruction it died.
    pub(crate) fn new(ring: Ring) -> Result<Producer, Corrupt> {
        let header = ring.header();
        let head = ring.kept_from();
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
        let end = head.wrapping_add(ring.capacity());
        let mut position = start;
        while position != end && ring.is_full(position) {
            position = position.wrapping_add(1);
        }
        // The receivers of a broadcast channel decide: another one may have joined since.
        let limit = if ring.is_broadcast() { position } else { end };
        header.tail.0.store(position, Release);
        let Cursor { slot, full, .. } = ring.cursor(position);
        let ahead = RunPrefetcher::of(&ring);
        Ok(Producer {
            ring,
            slot,
            end: slot,
            end_position: position,
            full,
            limit,
            fences: true,
            ahead,
        })
    }

    /// Leaves the fence of each grant to the receivers that join, which execute a barrier in this
    /// process.
    pub(crate) fn rely_on_barriers(&mut self) {
        self.fences = false;
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

    /// Returns the end of this run, which is the next position if nothing is left of it.
    pub(crate) fn run_end(&self) -> u64 {
        self.end_position
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
        if ring.is_broadcast() {
            self.grant_early(position);
        }
        // Release: a tap that reads anything of a payload of this run finds this tail, and the head
        // or the grant that made room for it (`ring/tap`).
        fence(Release);
        let ring = &self.ring;
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

    /// Looks for more room before there is none, in a broadcast channel: a sender that stands still at its
    /// limit has prefetched no slot behind it. One that has no room left takes its slow path, and in every
    /// sixteenth lap it takes it anyway, to notice that the channel is gone.
    #[inline(never)]
    fn grant_early(&mut self, position: u64) {
        let room = self.limit.wrapping_sub(position);
        let is_left_to_slow_path = (position >> self.ring.shift).is_multiple_of(16);
        if room == 0 || room >= 2 * self.ring.run() || is_left_to_slow_path {
            return;
        }
        // An error is that of the next slow path.
        if let Ok(more) = self.ring.grant(position, false, self.fences)
            && more > room
        {
            self.limit = position.wrapping_add(more);
        }
    }

    /// Stores the next position to send as the tail, for a successor and observers.
    pub(crate) fn publish_tail(&self) {
        self.ring.header().tail.0.store(self.position(), Relaxed);
    }

    /// Returns the number of slots that are known to be free.
    #[inline]
    pub(crate) fn room(&self) -> u64 {
        match self.ring.is_broadcast() {
            // The limit is lower.
            true => self.ring.capacity() - self.unacknowledged(),
            false => self.limit.wrapping_sub(self.position()),
        }
    }

    /// Updates the limit from the receiver's progress: from its lazy credit, or, if `exact`, from
    /// its head, on a line that it writes for every message. Returns whether there is room.
    ///
    /// Only the head can prove corruption. Credit that is more than a ring old, or ahead, is
    /// ignored: the module's documentation explains how stale it can be.
    pub(crate) fn refresh(&mut self, exact: bool) -> Result<bool, Corrupt> {
        let position = self.position();
        let room = match self.ring.is_broadcast() {
            true => self.ring.grant(position, exact, self.fences)?,
            false => self.room_by_receiver(position, exact)?,
        };
        // It never goes back: a receiver that joins shows a head that may be too low.
        if room > self.limit.wrapping_sub(position) {
            self.limit = position.wrapping_add(room);
        }
        Ok(self.has_room())
    }

    fn room_by_receiver(&self, position: u64, exact: bool) -> Result<u64, Corrupt> {
        let header = self.ring.header();
        let acknowledged = if exact { &header.head.0 } else { &header.credit.0 }.load(Acquire);
        match self.ring.capacity().checked_sub(position.wrapping_sub(acknowledged)) {
            Some(room) => Ok(room),
            None if exact => Err(Corrupt("the receiver acknowledged an unsent message")),
            None => Ok(0),
        }
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
        let position = self.position();
        let head = match self.ring.is_broadcast() {
            true => self.ring.slowest(position, true).map_or(position, |slowest| slowest.position),
            false => self.ring.header().head.0.load(Acquire),
        };
        position.wrapping_sub(head).min(self.ring.capacity())
    }

    /// Returns the receiver of a broadcast channel that is furthest behind, if one has not acknowledged
    /// every message.
    pub(crate) fn slowest_awaited(&self) -> Option<JoinedReceiver> {
        let position = self.position();
        self.ring.slowest(position, true).filter(|slowest| slowest.position != position)
    }

    /// Returns the receiver of a broadcast channel for which this sender has no room.
    pub(crate) fn blocker(&self) -> Option<JoinedReceiver> {
        let position = self.position();
        let slowest = self.ring.slowest(position, true)?;
        (position.wrapping_sub(slowest.position) >= self.ring.capacity()).then_some(slowest)
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
