//! The ends of an SPSC or broadcast ring, as the handle loop uses them.

use super::recv::{Acknowledged, RecvRing};
use super::send::SendRing;
use super::{Membership, Polled, count_receivers, returned};
use crate::error::Fault;
use crate::layout::Parking;
use crate::liveness::SemaphoreValues;
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::{Ring, Slot};
use crate::role::Side;
use crate::sync::Ordering::SeqCst;
use crate::sync::fence;
use crate::wait::{self, Poll};

/// Returns a poll's result.
fn polled(found: bool) -> Polled<()> {
    if found { Polled::Found(()) } else { Polled::Nothing }
}

/// The sending end of a ring, and the flags of the receiver that it knows.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) producer: Producer,
    known_flags: u32,
    /// A flag that is never set, if every message is to take the slow path, which has a fence.
    always: u32,
    /// The position at which it last looked whether the channel still exists, and the number of
    /// messages until the next look.
    looked_at: u64,
    look_every: u64,
    /// The number of messages with a fence since a receiver of a broadcast channel last waited.
    fenced: u32,
}

/// The number of messages without a waiting receiver after which the sender of a broadcast channel
/// executes no more fences. The model checker's work grows with every message.
const STREAM: u32 = if cfg!(loom) { 1 } else { 64 };

/// The minimum number of messages after which a sender looks at the clock, whether to ask the kernel
/// if the channel still exists.
const LOOK_EVERY: u64 = if cfg!(loom) { 1 } else { 4096 };

impl Sending {
    /// `is_registered`: whether `membarrier` orders the accesses of this process.
    pub(crate) fn new(mut producer: Producer, is_registered: bool) -> Sending {
        if is_registered {
            producer.rely_on_barriers();
        }
        let always = if is_registered { 0 } else { wait::NEVER_SET };
        let looked_at = producer.position();
        let look_every = producer.ring().capacity().max(LOOK_EVERY);
        Sending { producer, known_flags: always, always, looked_at, look_every, fenced: 0 }
    }

    /// Looks for room. A broadcast sender that finds none forgets every dead receiver, and not only the
    /// slowest: a receiver that makes room does not wake it while another one is named that is further
    /// behind.
    fn poll_exactly(&mut self, enough: u64, member: &impl Membership) -> Result<Polled<()>, Fault> {
        let has_enough = |producer: &mut Producer| -> Result<bool, Fault> {
            Ok(producer.refresh(true)? && (enough == 1 || producer.room() >= enough))
        };
        if has_enough(&mut self.producer)? {
            return Ok(Polled::Found(()));
        }
        if !self.producer.ring().is_broadcast() {
            return Ok(Polled::Nothing);
        }
        count_receivers(self, member)?;
        if has_enough(&mut self.producer)? {
            return Ok(Polled::Found(()));
        }
        let blocker = self.producer.blocker();
        Ok(blocker.map_or(Polled::Nothing, |slowest| Polled::Held { seat: slowest.seat }))
    }
}

impl SendRing for &mut Sending {
    /// The slot at the next position.
    type Slot = ();
    type Wait = ();
    const FILLS_RING_ALONE: bool = false;
    const SWAPS: bool = false;
    const HAS_OTHERS: bool = false;

    #[inline(always)]
    fn next_slot(&mut self) -> Option<()> {
        self.producer.has_room().then_some(())
    }

    /// By credit: loading the exact head would slow down a busy receiver.
    fn next_slot_slow(
        &mut self,
        last: bool,
        member: &impl Membership,
    ) -> Result<Polled<()>, Fault> {
        // A sender that never waits would never notice that the segment or the set is gone. It takes
        // this path at least once a lap, in a broadcast channel once in sixteen.
        let position = self.producer.run_end();
        if position.wrapping_sub(self.looked_at) >= self.look_every {
            self.looked_at = position;
            check_removal(member)?;
        }
        Ok(polled(self.producer.refresh(last)?))
    }

    fn poll(
        &mut self,
        poll: Poll,
        (): &mut (),
        member: &impl Membership,
    ) -> Result<Polled<()>, Fault> {
        match poll {
            Poll::Quick => Ok(polled(self.producer.refresh(false)?)),
            // A sender that parks is woken for half of the ring.
            Poll::BeforePark => self.poll_exactly(half(self.producer.ring()), member),
            _ => self.poll_exactly(1, member),
        }
    }

    fn is_worth_waking(&mut self, poll: Poll, _: &impl Membership) -> Result<bool, Fault> {
        self.producer.refresh(true)?;
        // The receiver checks whether to wake us when credit is due.
        let certain = match poll {
            Poll::Peek => self.producer.ring().credit_every() - 1,
            _ => 0,
        };
        Ok(self.producer.room() >= half(self.producer.ring()) + certain)
    }

    fn is_flushed(&self) -> bool {
        self.producer.is_drained()
    }

    fn pass_over_dead(&mut self, member: &impl Membership) -> Result<(), Fault> {
        while let Some(slowest) = self.producer.slowest_awaited()
            && member.is_dead(slowest.seat)?
        {
            self.producer.ring().forget_dead(slowest);
        }
        Ok(())
    }

    fn forget_room(&mut self) {
        self.producer.forget_room();
    }

    #[inline(always)]
    fn known_flags(&self) -> u32 {
        self.known_flags
    }

    fn set_known_flags(&mut self, flags: u32) {
        self.known_flags = flags | self.always;
    }

    /// Explained in `wait/mod.rs`: a receiver of a broadcast channel that finds FENCE set need not ask
    /// for it.
    fn adapt_fences(&mut self, flags: u32, receivers: &Parking) {
        if !self.producer.ring().is_broadcast() {
            return;
        }
        if flags & wait::WAITING != 0 {
            self.fenced = 0;
            receivers.promise_fences();
            return;
        }
        self.fenced = self.fenced.saturating_add(1);
        if self.fenced == STREAM {
            receivers.withdraw_fences();
        }
    }
}

/// Asks the kernel, if it is time to, whether the channel still exists.
#[cold]
#[inline(never)]
fn check_removal(member: &impl Membership) -> Result<(), Fault> {
    match member.is_removal_check_due() {
        true => member.semaphore_values().map(drop),
        false => Ok(()),
    }
}

/// Returns the number of free slots for which a sender is woken.
fn half(ring: &Ring) -> u64 {
    ring.capacity().div_ceil(2)
}

impl RecvRing for &mut Consumer {
    /// The message at the next position.
    type Held = ();
    type Seen = SemaphoreValues;
    const HAS_OTHERS: bool = false;

    fn capacity(&self) -> u64 {
        self.ring().capacity()
    }

    fn take_missed(&mut self) -> u64 {
        Consumer::take_missed(self)
    }

    fn waits_for_others(&self) -> bool {
        let (ring, position) = (self.ring(), Consumer::position(self));
        ring.is_broadcast() && ring.is_held_up_at(position)
    }

    fn see(member: &impl Membership) -> Result<SemaphoreValues, Fault> {
        member.semaphore_values()
    }

    fn alive(seen: &SemaphoreValues) -> &SemaphoreValues {
        seen
    }

    #[inline(always)]
    fn next_message(&mut self) -> Option<()> {
        Consumer::has_message(self).then_some(())
    }

    fn poll(
        &mut self,
        _: Option<&SemaphoreValues>,
        _: &impl Membership,
    ) -> Result<Polled<()>, Fault> {
        Ok(polled(self.obtain()?))
    }

    fn has_work(&mut self, _: &SemaphoreValues, member: &impl Membership) -> Result<bool, Fault> {
        Ok(self.is_ready()? && Consumer::deliveries(self) <= returned::no_work_from(member))
    }

    fn search(&mut self, _: &SemaphoreValues, _: &impl Membership) -> Result<Option<()>, Fault> {
        Ok(None)
    }

    fn has_new_orphans(&self, _: &SemaphoreValues) -> bool {
        false
    }

    fn deliveries(&self, (): &()) -> u8 {
        Consumer::deliveries(self)
    }

    fn begin_delivery(&mut self, (): &()) {
        Consumer::begin_delivery(self);
    }

    /// It is still the next one.
    fn put_back(&mut self, (): &()) {}

    fn slot_of(&self, (): &()) -> Slot<'_> {
        self.slot()
    }

    /// There is no other receiver; but the next message may have to wait until it can be moved.
    fn is_drained(&self) -> bool {
        !self.is_sent()
    }

    fn has_stuck(&self, member: &impl Membership) -> bool {
        let limit = member.delivery_limit().unwrap_or(u8::MAX);
        Consumer::has_message(self) && Consumer::deliveries(self) > limit
    }

    /// There is one sender, which sends in order.
    fn hides_message(&self) -> bool {
        false
    }

    /// There is no other receiver to report it to.
    fn in_flight(&self) -> Option<u64> {
        None
    }

    #[inline(always)]
    fn acknowledge(&mut self, (): &()) -> Acknowledged {
        match Consumer::acknowledge(self) {
            true => Acknowledged::Credit,
            false => Acknowledged::Unpublished,
        }
    }

    fn position_of(&self, (): &()) -> u64 {
        Consumer::position(self)
    }

    fn frees_enough(&self, _: u64) -> bool {
        let ring = self.ring();
        ring.capacity() - ring.depth() >= half(ring)
    }

    /// Another receiver of a broadcast channel may be behind. Of two that run dry at the same time, one
    /// sees the other.
    fn frees_enough_when_dry(&self, member: &impl Membership) -> bool {
        if !self.ring().is_broadcast() {
            return true;
        }
        fence(SeqCst);
        member.parking(Side::Senders).has_waiter() && self.frees_enough(Consumer::position(self))
    }

    /// Its slot is free only when it is acknowledged.
    fn opens_way(&self, _: u64, _: &impl Membership) -> bool {
        false
    }

    fn store_progress(&mut self) -> u64 {
        if self.owes_credit() {
            self.publish_credit();
        }
        Consumer::position(self)
    }

    fn has_message(&self) -> bool {
        Consumer::poll(self)
    }

    fn has_more_than(&self, messages: u64) -> bool {
        Consumer::has_more_than(self, messages)
    }

    fn take_burst_len(&mut self) -> u64 {
        Consumer::take_burst_len(self)
    }

    fn prefetch(&self) {}
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ring::testing::HeapRing;

    /// The word of the receivers' side never equals what such a sender knows, so it takes its slow
    /// path, which has a fence, for every message.
    #[test]
    fn a_sender_without_membarrier_knows_no_flags() {
        let block = HeapRing::new(2);
        // SAFETY: the block outlives the ring.
        let producer = || Producer::new(unsafe { block.ring() }).unwrap();
        let real = !wait::NEVER_SET;
        for (is_registered, never) in [(true, 0), (false, wait::NEVER_SET)] {
            let mut sending = Sending::new(producer(), is_registered);
            for known in [None, Some(0), Some(wait::LEFT), Some(real)] {
                if let Some(known) = known {
                    SendRing::set_known_flags(&mut &mut sending, known);
                }
                assert_eq!(SendRing::known_flags(&&mut sending), known.unwrap_or(0) | never);
            }
        }
    }
}
