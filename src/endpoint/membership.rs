//! What the handle loop asks of an endpoint.

use core::time::Duration;

use super::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::error::{DeadLetterFailure, Fault};
use crate::flavor::{Flavor, SEATS_MAX};
use crate::layout::Parking;
use crate::liveness::{self, Seat, SemaphoreValues};
use crate::protocol::{GivenUp, Membership, RecvRing, Seen};
use crate::ring::mpmc::Snapshot;
use crate::role::Side;
use crate::segment;
use crate::sync::plain::Ordering::{Acquire, Relaxed};
use crate::sysv::time;
use crate::wait::adaptive_spin::{SpinEstimate, WaitPolicy};
use crate::wait::doorbell::Doorbells;
use crate::wait::{FenceRequest, WaitSite};

impl Membership for Endpoint {
    type Parker = Attachment;

    fn flavor(&self) -> Flavor {
        self.attachment.facts.flavor
    }

    fn seat(&self) -> Seat {
        self.attachment.seat
    }

    fn site(&self) -> WaitSite<'_, Attachment> {
        self.attachment.wait_site()
    }

    fn fence_request(&self) -> Option<&FenceRequest> {
        self.attachment.fence_request()
    }

    #[inline(always)]
    fn parking(&self, side: Side) -> &Parking {
        self.attachment.parking_of(side)
    }

    #[inline(always)]
    fn is_open(&self) -> bool {
        self.gate.is_open()
    }

    fn require_slow_path(&self) {
        self.gate.require_slow_path();
    }

    fn permit_fast_path(&self) {
        self.gate.permit_fast_path();
    }

    #[cold]
    fn check(&self) -> Result<(), Fault> {
        match self.gate.reason() {
            Some(fault) => Err(fault),
            None if self.is_forked() => Err(Fault::Forked),
            // Another thread is about to store the reason.
            None => Ok(()),
        }
    }

    /// A receiver of a removed channel still receives the messages that are in the ring. A forked
    /// child stops nothing: the handle and its threads are the parent's.
    fn stop(&self, fault: Fault) -> Fault {
        if self.is_forked() {
            return Fault::Forked;
        }
        if fault == Fault::Removed && self.attachment.seat.side == Side::Receivers {
            return fault;
        }
        if fault == Fault::LivenessLost {
            // Another member may hold the seat by now, even one in this very process.
            let _ = self.attachment.mark_seat_lost();
        }
        let is_first = self.gate.reason().is_none();
        let fault = self.gate.close(fault);
        // Only an MPMC member can have several threads in calls.
        if is_first && self.flavor() == Flavor::Mpmc {
            self.attachment.wake_own_threads();
        }
        fault
    }

    fn check_removed(&self) -> Result<(), Fault> {
        self.attachment.check_removed()
    }

    fn semaphore_values(&self) -> Result<SemaphoreValues, Fault> {
        self.check()?;
        self.attachment.check_membership()
    }

    fn see(&self) -> Result<Seen, Fault> {
        let (alive, dead) = Snapshot::take(
            &self.attachment.ring(),
            self.geometry().seats,
            |seat| self.stamp(seat),
            || self.semaphore_values(),
            SemaphoreValues::is_taken,
        )?;
        Ok(Seen { alive, dead })
    }

    fn is_dead(&self, seat: u8) -> Result<bool, Fault> {
        if usize::from(seat) >= self.geometry().seats {
            return Err(Fault::Corrupt { what: "a slot belongs to a seat that does not exist" });
        }
        let taken = self.attachment.members.is_taken(seat);
        taken.map(|taken| !taken).map_err(liveness::fault("semctl"))
    }

    fn pid(&self, seat: u8) -> u32 {
        match usize::from(seat) < SEATS_MAX {
            true => self.attachment.members.shown_pid(seat),
            false => 0,
        }
    }

    /// A peer that took its seat and died since is counted.
    fn is_peer_unseen(&self, joins: u32) -> bool {
        self.peer_seen.load(Relaxed) == 0 && self.attachment.peer_not_seen() == Some(joins)
    }

    #[inline(always)]
    fn mark_peer_seen(&self) {
        if self.peer_seen.load(Relaxed) == 0 {
            self.peer_seen.store(1, Relaxed);
        }
    }

    fn peer_joins(&self) -> u32 {
        self.attachment.peer_joins()
    }

    fn is_end_denied(&self, joins: u32) -> bool {
        self.open_after.load(Relaxed) == joins.into()
    }

    fn deny_end(&self, joins: u32) {
        self.open_after.store(joins.into(), Relaxed);
    }

    fn is_check_due(&self) -> bool {
        self.liveness_throttle.is_due()
    }

    fn is_removal_check_due(&self) -> bool {
        self.removal_throttle.is_due()
    }

    fn nap(&self, time: Duration, seen: Option<u16>) -> Result<(), Fault> {
        self.attachment.nap(time, seen)
    }

    fn with_policy<R>(&self, wait: impl FnOnce(&mut WaitPolicy) -> R) -> R {
        let bits = self.estimate.load(Relaxed);
        let mut policy = self.policy.with(SpinEstimate::from_bits(bits));
        let result = wait(&mut policy);
        let learnt = policy.estimate.to_bits();
        if learnt != bits {
            self.estimate.store(learnt, Relaxed);
        }
        // A seat that was lost may belong to another member by now.
        if policy.parks != 0 && self.attachment.is_seated() {
            self.attachment.record().parks.fetch_add(policy.parks, Relaxed);
        }
        result
    }

    fn poll_briefly(&self, ring: &mut impl RecvRing) {
        let found = ring.take_burst_len();
        self.with_policy(|policy| {
            let has_message = || ring.has_message();
            if policy.backs_off()
                && self.backoff.should_back_off(found, time::now_ns)
                && self.backoff.back_off(|messages| ring.has_more_than(messages), has_message)
            {
                ring.prefetch();
            }
            self.backoff.record_arrival(policy.poll_briefly(has_message));
        });
    }

    fn count_wakeup(&self) {
        // A wrapping add: the segment may contain any value.
        self.attachment.record().wakes.fetch_add(1, Relaxed);
    }

    fn count_redelivery(&self) {
        self.attachment.header().repairs.redelivered.fetch_add(1, Relaxed);
        self.attachment.record().repairs.fetch_add(1, Relaxed);
    }

    fn delivery_limit(&self) -> Option<u8> {
        self.attachment.facts.redelivery.limit()
    }

    fn can_give_up(&self) -> bool {
        self.dead_letters.is_none() || self.give_up_throttle.is_past()
    }

    fn has_failed_to_give_up(&self) -> bool {
        self.give_up_throttle.was_done()
    }

    fn give_up(&self, message: GivenUp<'_>) -> bool {
        let given_up = self.dispose_of(&message).is_ok();
        if !given_up {
            self.give_up_throttle.done();
        }
        given_up
    }

    fn give_up_failure(&self) -> Option<DeadLetterFailure> {
        let last = self.attachment.header().repairs.last_failure.load(Relaxed);
        DeadLetterFailure::from_number(last)
    }

    fn count_given_up(&self, position: u64) {
        self.count_disposal(position);
    }

    fn doorbells(&self) -> impl Doorbells + '_ {
        self.attachment.bells()
    }

    fn arm(&self) -> bool {
        self.attachment.arm()
    }

    fn show_armed(&self) {
        self.attachment.show_armed();
    }

    fn disarm(&self) {
        self.attachment.disarm();
    }

    fn is_armed(&self) -> bool {
        self.attachment.is_armed()
    }

    fn take_duty(&self) -> bool {
        self.attachment.take_duty()
    }

    fn offer_duty(&self) -> bool {
        self.attachment.offer_duty()
    }
}

impl Endpoint {
    /// Returns when the last holder of a seat joined, if it did not leave; else 0. No two holders
    /// of a seat have the same stamp.
    pub(super) fn stamp(&self, seat: u8) -> u64 {
        let record = self.attachment.record_of(seat);
        match record.state.load(Acquire) == segment::STATE_PRESENT {
            true => record.joined.load(Relaxed),
            false => 0,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::flavor::{Flavor, SPSC_SEATS};
    use crate::liveness::{Joined, Standing};
    use crate::protocol::Membership;
    use crate::role::Side;
    use crate::{Options, broadcast, mpmc, spsc};

    /// The kernel was asked before a member joined: what it said must not be taken for its end.
    macro_rules! joins_after_the_look {
        ($flavor:ident) => {
            let rx: $flavor::Receiver<u64> = Options::private().create().unwrap();
            let (id, endpoint) = (rx.id(), rx.as_endpoint());
            let before = endpoint.semaphore_values().unwrap();
            let tx: $flavor::Sender<u64> = Options::id(id).attach().unwrap();
            assert!(!endpoint.is_abandoned(&before));
            let during = endpoint.semaphore_values().unwrap();
            assert!(!endpoint.is_abandoned(&during));
            drop(tx);
            let after = endpoint.semaphore_values().unwrap();
            assert!(endpoint.is_abandoned(&after));
        };
    }

    #[test]
    fn a_member_that_joins_after_the_look_is_not_gone() {
        joins_after_the_look!(spsc);
        joins_after_the_look!(mpmc);
        joins_after_the_look!(broadcast);
    }

    /// A sender that took its seat and could not open the channel is never seen.
    #[test]
    fn a_sender_that_withdraws_ends_no_stream() {
        let rx: spsc::Receiver<u64> = Options::private().create().unwrap();
        let endpoint = rx.as_endpoint();
        let (flavor, standing) = (Flavor::Spsc, Standing::Member(Side::Senders));
        let members = endpoint.attachment.members;
        let joined = members.join(flavor, SPSC_SEATS, &[], &[], standing, None).unwrap();
        let Joined::Seated(seated) = joined else { panic!("{joined:?}") };
        assert!(!endpoint.is_abandoned(&endpoint.semaphore_values().unwrap()));
        members.withdraw(flavor, seated).unwrap();
        assert!(!endpoint.is_abandoned(&endpoint.semaphore_values().unwrap()));
    }

    /// It goes on, whenever the last receiver died.
    #[test]
    fn a_broadcast_sender_is_never_abandoned() {
        let tx: broadcast::Sender<u64> = Options::private().create().unwrap();
        let rx: broadcast::Receiver<u64> = Options::id(tx.id()).attach().unwrap();
        let is_abandoned = || {
            let endpoint = tx.as_endpoint();
            endpoint.is_abandoned(&endpoint.semaphore_values().unwrap())
        };
        assert!(!is_abandoned());
        drop(rx);
        assert!(!is_abandoned());
    }
}
