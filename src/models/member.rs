//! A member of a model's channel: what the endpoint is to the handle loop, over the simulated
//! kernel and without statistics.

mod bell;

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::bell::Bell;
use super::harness::Fixture;
use super::sim_kernel::{Fences, SimKernel};
use crate::error::{DeadLetterFailure, Fault};
use crate::flavor::Flavor;
use crate::layout::Parking;
use crate::liveness::{Seat, SemaphoreValues};
use crate::protocol::{GivenUp, Membership, RecvRing, Seen};
use crate::ring::Ring;
use crate::ring::mpmc::Snapshot;
use crate::role::Side;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::wait::adaptive_spin::{Wait, WaitPolicy};
use crate::wait::doorbell::{self, Doorbells};
use crate::wait::interrupt::Interrupts;
use crate::wait::{self, FenceRequest, Holder, KnownOpen, Table, WaitSite};

/// What a member expects while it waits: whatever does not happen in a model is not checked, since
/// every check is a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum Until {
    /// Nothing: the event will occur.
    Ever,
    /// The other side leaves.
    Left,
    /// A member dies; in an SPSC channel, the peer.
    Dead,
}

/// A seat and its holder.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) until: Until,
    /// Whether it has not seen a member of the other side, and will not.
    pub(super) is_late: bool,
    flavor: Flavor,
    holder: Holder,
    policy: WaitPolicy,
    /// The number of deliveries after which a message is given up.
    pub(super) limit: Option<u8>,
    /// Positions of messages that were given up after their last delivery.
    pub(super) given_up: Mutex<Vec<u64>>,
    /// Whether the next call has to take the slow path. Not a step: each thread of a model has a
    /// member of its own.
    needs_slow_path: Cell<bool>,
    bell: Option<Bell>,
    /// The blocked calls, if the model interrupts them: they are steps as well.
    interrupts: Option<Arc<Interrupts>>,
    request: FenceRequest,
    known_open: KnownOpen,
    ring: Ring,
    /// Declared last: the ring refers to it.
    pub(super) fixture: Arc<Fixture>,
}

impl Member {
    fn new(fixture: &Arc<Fixture>, flavor: Flavor, holder: Holder, until: Until) -> Member {
        Member {
            until,
            is_late: false,
            flavor,
            holder,
            policy: WaitPolicy::new(Wait::Park),
            limit: None,
            given_up: Mutex::default(),
            needs_slow_path: Cell::new(false),
            bell: (holder.seat.number < fixture.bells).then(Bell::new),
            interrupts: None,
            request: match (flavor, fixture.kernel.fences) {
                (Flavor::Broadcast, _) => FenceRequest::shared(),
                (_, Fences::Asked) => FenceRequest::standing(),
                _ => FenceRequest::new(),
            },
            known_open: KnownOpen::new(),
            ring: fixture.ring(),
            fixture: fixture.clone(),
        }
    }

    /// Takes a side of an SPSC channel.
    pub(super) fn take_side(fixture: &Arc<Fixture>, side: Side) -> Member {
        let holder = Holder { seat: Seat::of(side), incarnation: 0 };
        let member = Member::new(fixture, Flavor::Spsc, holder, Until::Ever);
        if fixture.bells != 0 {
            fixture.kernel.take_seat(holder.seat);
            member.arrive();
        }
        // A joining member wakes the other side before it polls the ring.
        member.wake(side.other()).unwrap();
        member
    }

    /// Takes a seat of a broadcast channel.
    pub(super) fn take_seat(fixture: &Arc<Fixture>, seat: Seat) -> Member {
        fixture.kernel.take_seat(seat);
        let holder = Holder { seat, incarnation: 0 };
        let member = Member::new(fixture, Flavor::Broadcast, holder, Until::Ever);
        if seat.side == Side::Senders {
            member.parking(seat.side).clear(wait::LEFT);
        }
        if fixture.bells != 0 {
            member.arrive();
        }
        member
    }

    /// Joins an MPMC channel.
    pub(super) fn join(fixture: &Arc<Fixture>, seat: Seat, until: Until) -> Member {
        let last_died = fixture.kernel.take_seat(seat);
        let before = fixture.waiting().incarnations();
        let holder = fixture.waiting().sign(seat, &before).expect("nobody else signs there");
        let member = Member::new(fixture, Flavor::Mpmc, holder, until);
        if until >= Until::Left {
            member.parking(seat.side).clear(wait::LEFT);
        }
        if fixture.bells != 0 {
            member.arrive();
        }
        if last_died && member.ring.release_slots_of(seat.number).is_any() {
            member.wake(Side::Receivers).unwrap();
            member.wake(Side::Senders).unwrap();
        }
        member
    }

    /// Returns a handle for another thread of this MPMC member.
    pub(super) fn thread(&self) -> Member {
        let is_late = self.is_late;
        let mut member = Member::new(&self.fixture, self.flavor, self.holder, self.until);
        member.is_late = is_late;
        member.interrupts.clone_from(&self.interrupts);
        member.bell.clone_from(&self.bell);
        member
    }

    /// Makes calls of this member interruptible, also those of threads that are added later.
    pub(super) fn interrupter(&mut self) -> Interrupter {
        let calls = Arc::new(Interrupts::new());
        self.interrupts = Some(calls.clone());
        Interrupter { calls, side: self.seat().side, fixture: self.fixture.clone() }
    }

    /// Leaves the channel, as the endpoint does.
    pub(super) fn leave(self) {
        let Seat { number, side } = self.seat();
        if self.flavor == Flavor::Spsc {
            self.parking(side).set(wait::LEFT);
            self.deregister();
            self.fixture.kernel.side_left(side);
            return self.ring_all();
        }
        if self.flavor == Flavor::Broadcast {
            if side == Side::Senders {
                self.parking(side).set(wait::LEFT);
            }
            self.deregister();
            self.fixture.kernel.leave(number);
            return self.ring_all();
        }
        self.deregister();
        self.fixture.kernel.leave(number);
        self.ring_all();
        self.set_left();
    }

    /// Leaves an MPMC channel as a sender that has finished.
    pub(super) fn finish(self) {
        self.deregister();
        self.fixture.kernel.finish(self.seat().number);
        self.ring_all();
        self.set_left();
    }

    /// Sets LEFT after the last member of a side gave its seat back.
    fn set_left(&self) {
        let side = self.seat().side;
        if !self.fixture.kernel.is_there(side) {
            self.parking(side).set(wait::LEFT);
        }
    }
}

/// What interrupts the blocked calls of a member.
#[derive(Clone, Debug)]
pub(super) struct Interrupter {
    calls: Arc<Interrupts>,
    side: Side,
    fixture: Arc<Fixture>,
}

impl Interrupter {
    /// Makes blocked calls watch for interrupts, as the attachment does. Nobody else takes the
    /// tokens.
    pub(super) fn arm(&self) {
        self.calls.arm();
        for _ in 0..self.calls.unwatched() {
            wait::Parker::post(&self.fixture.kernel, self.side).unwrap();
        }
    }

    pub(super) fn interrupt(&self) {
        self.calls.interrupt(|| self.fixture.kernel.interrupt(self.side));
    }
}

impl Membership for Member {
    type Parker = SimKernel;

    fn flavor(&self) -> Flavor {
        self.flavor
    }

    fn seat(&self) -> Seat {
        self.holder.seat
    }

    fn site(&self) -> WaitSite<'_, SimKernel> {
        let table = match self.flavor {
            Flavor::Spsc | Flavor::Broadcast => Table(&[]),
            Flavor::Mpmc => self.fixture.waiting(),
        };
        let wakes_all = self.flavor == Flavor::Broadcast && self.seat().side == Side::Receivers;
        let (parker, parking) = (&self.fixture.kernel, self.parking(self.seat().side));
        let request = self.fence_request();
        let interrupts = self.interrupts.as_deref();
        let known_open = request.filter(|_| self.flavor == Flavor::Spsc).map(|_| &self.known_open);
        let holder = self.holder;
        WaitSite { parker, parking, table, holder, request, known_open, wakes_all, interrupts }
    }

    fn fence_request(&self) -> Option<&FenceRequest> {
        let asks = self.flavor != Flavor::Mpmc && self.seat().side == Side::Receivers;
        asks.then_some(&self.request)
    }

    fn parking(&self, side: Side) -> &Parking {
        match side {
            Side::Senders => &self.ring.header().senders,
            Side::Receivers => &self.ring.header().receivers,
        }
    }

    fn is_open(&self) -> bool {
        !self.needs_slow_path.get()
    }

    fn require_slow_path(&self) {
        self.needs_slow_path.set(true);
    }

    fn permit_fast_path(&self) {
        self.needs_slow_path.set(false);
    }

    fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn stop(&self, fault: Fault) -> Fault {
        panic!("{fault}")
    }

    fn check_removed(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// In an SPSC channel, the peer is asked for by its flag alone when it leaves: a seat would
    /// impose more ordering.
    fn semaphore_values(&self) -> Result<SemaphoreValues, Fault> {
        let peer = self.seat().side.other();
        let there = match (self.flavor, self.until) {
            (_, Until::Ever) => true,
            (Flavor::Spsc, Until::Left) => !self.parking(peer).has_left(),
            (Flavor::Spsc, Until::Dead) => !self.fixture.kernel.is_dead(peer),
            (Flavor::Mpmc | Flavor::Broadcast, _) => {
                return wait::Parker::semaphore_values(&self.fixture.kernel);
            }
        };
        let mut alive = SemaphoreValues::new();
        if there {
            alive.seat(Seat::of(peer));
        }
        Ok(alive)
    }

    fn see(&self) -> Result<Seen, Fault> {
        let dead = match (self.flavor, self.until) {
            (Flavor::Mpmc, Until::Dead) => {
                // The count first, as the endpoint does.
                let orphaned = self.ring.orphaned();
                Snapshot::of(orphaned, &self.fixture.kernel.dead())
            }
            _ => Snapshot::of(0, &[]),
        };
        Ok(Seen { alive: self.semaphore_values()?, dead })
    }

    fn is_dead(&self, seat: u8) -> Result<bool, Fault> {
        Ok(self.until == Until::Dead && !self.fixture.kernel.is_taken(seat))
    }

    fn pid(&self, _: u8) -> u32 {
        0
    }

    /// A sender whose receivers die without leaving learns it from the kernel alone.
    fn has_peer_left(&self) -> bool {
        let peer = self.seat().side.other();
        let looks = match self.until {
            Until::Ever => false,
            Until::Left => true,
            Until::Dead => peer == Side::Senders,
        };
        looks && self.parking(peer).has_left()
    }

    fn is_peer_unseen(&self, _: u32) -> bool {
        self.is_late || self.until < Until::Left
    }

    fn mark_peer_seen(&self) {}

    fn peer_joins(&self) -> u32 {
        0
    }

    fn is_end_denied(&self, _: u32) -> bool {
        false
    }

    fn deny_end(&self, _: u32) {}

    fn is_check_due(&self) -> bool {
        true
    }

    /// For each other flavor it would be one more step that changes nothing.
    fn is_removal_check_due(&self) -> bool {
        self.flavor() == Flavor::Broadcast
    }

    fn nap(&self, _: Duration, _: Option<u16>) -> Result<(), Fault> {
        Ok(())
    }

    fn with_policy<R>(&self, wait: impl FnOnce(&mut WaitPolicy) -> R) -> R {
        wait(&mut self.policy.with(self.policy.estimate))
    }

    fn poll_briefly(&self, _: &mut impl RecvRing) {}

    fn count_wakeup(&self) {}

    fn delivery_limit(&self) -> Option<u8> {
        self.limit
    }

    fn can_give_up(&self) -> bool {
        true
    }

    fn has_failed_to_give_up(&self) -> bool {
        false
    }

    fn give_up(&self, _: GivenUp<'_>) -> bool {
        true
    }

    fn give_up_failure(&self) -> Option<DeadLetterFailure> {
        None
    }

    fn count_redelivery(&self) {}

    fn count_given_up(&self, position: u64) {
        self.given_up.lock().unwrap().push(position);
    }

    fn doorbells(&self) -> impl Doorbells + '_ {
        self.bells()
    }

    fn arm(&self) -> bool {
        let Some(bell) = &self.bell else { return false };
        if bell.is_registered.load(Acquire) == 0 {
            return false;
        }
        let Seat { number, side } = self.seat();
        if doorbell::arm(self.word(), side, u32::from(number) + 1) {
            bell.duty.store(1, Release);
        }
        let parker = &self.fixture.kernel;
        doorbell::announce(parker, self.parking(side), self.fence_request());
        let arrivals = self.fixture.arrivals.load(Acquire);
        if bell.arrivals.replace(Some(arrivals)) != Some(arrivals) {
            // As `Peers::meet` does.
            for seat in parker.meet(number) {
                if seat < self.fixture.bells {
                    doorbell::pass_over(&self.bells(), seat);
                }
            }
        }
        true
    }

    fn show_armed(&self) {}

    fn disarm(&self) {
        if doorbell::disarm(self.word()) {
            self.charge();
        }
        // As `Doorbell::is_ready` does: a thread may wait for the doorbell.
        if self.bell.as_ref().is_some_and(Bell::is_shared) {
            self.fixture.kernel.send_key(self.seat().number);
        }
    }

    fn is_armed(&self) -> bool {
        self.bell.is_some() && self.is_waiting()
    }

    fn take_duty(&self) -> bool {
        let Some(bell) = &self.bell else { return false };
        bell.duty.load(Relaxed) != 0 && bell.duty.swap(0, AcqRel) != 0
    }

    fn offer_duty(&self) -> bool {
        let Seat { number, side } = self.seat();
        let has_others = doorbell::has_others(&self.bells(), number, side);
        if has_others {
            let parker = &self.fixture.kernel;
            doorbell::announce(parker, self.parking(side), self.fence_request());
        }
        has_others
    }

    fn waker_fence(&self) {
        let (kernel, own) = (&self.fixture.kernel, self.seat().side);
        match self.flavor {
            // Where the sender promises no fence, a receiver that parks calls `membarrier`.
            Flavor::Broadcast
                if own == Side::Senders && !self.parking(own.other()).has_fences() =>
            {
                wait::waker_fence();
            }
            Flavor::Spsc | Flavor::Broadcast => kernel.waker_fence(),
            Flavor::Mpmc => wait::waker_fence(),
        }
    }
}
