//! The ends of an MPMC ring, as the handle loop uses them.

use std::sync::{Mutex, TryLockError};

use super::recv::{Acknowledged, RecvRing};
use super::send::SendRing;
use super::{Membership, Polled, Seen, returned};
use crate::error::Fault;
use crate::liveness::SemaphoreValues;
use crate::ring::Slot;
use crate::ring::mpmc::{Claim, Consumer, Held, Next, Producer, Released, Room, Snapshot};
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::Poll;

/// Quick polls for a quarter of the ring to be free, before one slot is enough: about twenty
/// microseconds, less than blocking would cost, while receivers still have three quarters of the
/// ring.
const FAR_POLLS: u32 = 1_000;

/// Maximum number of walks in one exact poll, if other members overtake each of them.
const WALKS: u32 = 8;

/// Quick polls that still wait for a quarter of the ring.
#[derive(Debug)]
pub(crate) struct FarPolls(u32);

impl Default for FarPolls {
    fn default() -> FarPolls {
        FarPolls(FAR_POLLS)
    }
}

/// The sending end of a ring.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) producer: Producer,
}

impl Sending {
    pub(crate) fn new(producer: Producer) -> Sending {
        Sending { producer }
    }
}

impl SendRing for &Sending {
    type Slot = Claim;
    type Wait = FarPolls;
    const FILLS_RING_ALONE: bool = true;
    const SWAPS: bool = true;
    const HAS_OTHERS: bool = true;

    #[inline(always)]
    fn next_slot(&mut self) -> Option<Claim> {
        self.producer.claim_next()
    }

    fn next_slot_slow(
        &mut self,
        _: bool,
        member: &impl Membership,
    ) -> Result<Polled<Claim>, Fault> {
        walk_to_claim(&self.producer, false, member)
    }

    fn poll(
        &mut self,
        poll: Poll,
        far: &mut FarPolls,
        member: &impl Membership,
    ) -> Result<Polled<Claim>, Fault> {
        if poll == Poll::Quick && far.0 != 0 && !self.producer.has_quarter_free() {
            far.0 -= 1;
            return Ok(Polled::Nothing);
        }
        if poll == Poll::BeforePark {
            // A sender that was woken takes what is free.
            far.0 = 0;
        }
        walk_to_claim(&self.producer, poll != Poll::Quick, member)
    }

    /// While messages are in flight, the next acknowledgement may be what wakes the sender: a
    /// `Peek` is certain only without them.
    fn is_worth_waking(&mut self, poll: Poll, member: &impl Membership) -> Result<bool, Fault> {
        let ring = self.producer.ring();
        let has_room = ring.is_half_free() && self.producer.has_any(member.watch(true))?;
        Ok(has_room && (poll != Poll::Peek || !ring.has_taken()))
    }

    /// Messages of all senders count.
    fn is_flushed(&self) -> bool {
        self.producer.ring().count_messages() == 0
    }

    fn forget_room(&mut self) {}

    #[inline(always)]
    fn known_flags(&self) -> u32 {
        self.producer.known_flags.load(Relaxed)
    }

    fn set_known_flags(&mut self, flags: u32) {
        self.producer.known_flags.store(flags, Relaxed);
    }
}

/// Walks once; or, in a call that may take its time (`asks`), again while other members overtake
/// the walk. The faster members free slots, and wake us.
fn walk_to_claim(
    producer: &Producer,
    asks: bool,
    member: &impl Membership,
) -> Result<Polled<Claim>, Fault> {
    for _ in 0..if asks { WALKS } else { 1 } {
        return Ok(match producer.claim(member.watch(asks))? {
            Room::Claimed(claim) => Polled::Found(claim),
            Room::Full => Polled::Nothing,
            Room::Orphaned => Polled::Orphaned,
            Room::Behind { seat } => Polled::Behind { seat },
            Room::Held { seat } => Polled::Held { seat },
            Room::Overtaken => continue,
        });
    }
    Ok(Polled::Nothing)
}

/// The receiving end of a ring, with what it remembers of its searches for the messages of dead
/// receivers.
#[derive(Debug)]
pub(crate) struct Receiving {
    pub(crate) consumer: Consumer,
    /// What was known when the last unsuccessful search began. Locked only by `try_lock`: a signal
    /// handler may receive while it interrupts a search of this very handle.
    pub(crate) searched: Mutex<Option<Snapshot>>,
}

impl Receiving {
    pub(crate) fn new(consumer: Consumer) -> Receiving {
        Receiving { consumer, searched: Mutex::default() }
    }

    /// Runs `search` with what was known before the last unsuccessful search, if no other call uses
    /// it.
    fn with_searched<R>(&self, search: impl FnOnce(&mut Option<Snapshot>) -> R) -> R {
        match self.searched.try_lock() {
            Ok(mut searched) => search(&mut searched),
            Err(TryLockError::Poisoned(poisoned)) => search(&mut poisoned.into_inner()),
            // Another thread is searching, or the call that this signal handler interrupted.
            Err(TryLockError::WouldBlock) => search(&mut None),
        }
    }
}

impl RecvRing for &Receiving {
    type Held = Held;
    type Seen = Seen;
    const HAS_OTHERS: bool = true;

    fn capacity(&self) -> u64 {
        self.consumer.ring().capacity()
    }

    fn see(member: &impl Membership) -> Result<Seen, Fault> {
        member.see()
    }

    fn alive(seen: &Seen) -> &SemaphoreValues {
        &seen.alive
    }

    #[inline(always)]
    fn next_message(&mut self) -> Option<Held> {
        self.consumer.take_next()
    }

    /// Searches the slots for the message of a dead receiver if a member died since the last
    /// search.
    fn poll(
        &mut self,
        seen: Option<&Seen>,
        member: &impl Membership,
    ) -> Result<Polled<Held>, Fault> {
        let polled = walk_to_take(&self.consumer, seen.is_some(), member)?;
        let (Some(seen), Polled::Nothing | Polled::Behind { .. }) = (seen, &polled) else {
            return Ok(polled);
        };
        Ok(self.search(seen, member)?.map_or(polled, Polled::Found))
    }

    fn search(&mut self, seen: &Seen, member: &impl Membership) -> Result<Option<Held>, Fault> {
        let (leave, watch) = (returned::leave_from(member), member.watch(true));
        self.with_searched(|searched| self.consumer.adopt(leave, &seen.dead, searched, watch))
    }

    fn has_new_orphans(&self, seen: &Seen) -> bool {
        !seen.dead.has_count(self.consumer.ring().orphaned())
    }

    /// A message that cannot be moved stays aside.
    fn has_stuck(&self, _: &impl Membership) -> bool {
        false
    }

    fn deliveries(&self, held: &Held) -> u8 {
        held.deliveries()
    }

    /// The slot's state has counted it.
    fn begin_delivery(&mut self, _: &Held) {}

    fn put_back(&mut self, held: &Held) {
        self.consumer.release(held);
    }

    fn slot_of(&self, held: &Held) -> Slot<'_> {
        self.consumer.slot(held)
    }

    fn has_work(&mut self, seen: &Seen, member: &impl Membership) -> Result<bool, Fault> {
        let leave = returned::no_work_from(member);
        let may_adopt = |searched: &mut _| {
            self.consumer.may_adopt(leave, &seen.dead, searched, member.watch(true))
        };
        Ok(self.consumer.has_any(member.watch(true))? || self.with_searched(may_adopt)?)
    }

    /// Nor is a message left in the ring.
    fn is_drained(&self) -> bool {
        self.consumer.ring().is_drained(self.consumer.seat(), self.consumer.position())
    }

    fn hides_message(&self) -> bool {
        self.consumer.hides_message()
    }

    fn in_flight(&self) -> Option<u64> {
        let ring = self.consumer.ring();
        (!ring.has_untaken()).then(|| ring.in_flight_hash())
    }

    #[inline(always)]
    fn acknowledge(&mut self, held: &Held) -> Acknowledged {
        match self.consumer.finish(held) {
            Released::Yes => Acknowledged::Published,
            Released::SteppedOver => Acknowledged::SteppedOver,
            Released::Evicted => Acknowledged::Evicted,
        }
    }

    #[inline(always)]
    fn position_of(&self, held: &Held) -> u64 {
        held.position()
    }

    fn frees_enough(&self, position: u64) -> bool {
        self.consumer.ring().became_half_free(position) || !self.consumer.has_message()
    }

    /// As for an acknowledgement, a sender is woken for half of the ring, or if nothing else would
    /// wake it.
    fn opens_way(&self, position: u64, member: &impl Membership) -> bool {
        self.frees_enough(position)
            && self.consumer.ring().has_any_room(member.watch(false)) == Ok(true)
    }

    fn store_progress(&mut self) -> u64 {
        self.consumer.position()
    }

    fn has_message(&self) -> bool {
        self.consumer.has_message()
    }

    fn has_more_than(&self, messages: u64) -> bool {
        self.consumer.has_more_than(messages)
    }

    fn take_burst_len(&mut self) -> u64 {
        self.consumer.take_burst_len()
    }

    fn prefetch(&self) {
        self.consumer.enable_prefetch();
    }
}

/// Walks once; or, in a call that may take its time (`asks`), again while other members overtake
/// the walk. The faster members take what is available, and wake others if there is more.
fn walk_to_take(
    consumer: &Consumer,
    asks: bool,
    member: &impl Membership,
) -> Result<Polled<Held>, Fault> {
    for _ in 0..if asks { WALKS } else { 1 } {
        return Ok(match consumer.take(member.watch(asks))? {
            Next::Message(held) => Polled::Found(held),
            Next::Nothing => Polled::Nothing,
            Next::Behind { seat } => Polled::Behind { seat },
            Next::Overtaken => continue,
        });
    }
    Ok(Polled::Nothing)
}
