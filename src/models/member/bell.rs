//! The doorbell of a model's member.

use std::cell::Cell;
use std::sync::Arc;

use super::Member;
use crate::error::Fault;
use crate::flavor::Flavor;
use crate::liveness::Seat;
use crate::models::harness::Fixture;
use crate::protocol::Membership;
use crate::role::Side;
use crate::sync::Ordering::{AcqRel, Release, SeqCst};
use crate::sync::{AtomicU32, AtomicU64, fence};
use crate::wait::doorbell::{self, Doorbells};

/// What a process keeps for a member with a doorbell, shared by the threads of the member: the
/// registration of the handle, in `src/doorbell/registration.rs`.
#[derive(Clone, Debug)]
pub(super) struct Bell {
    pub(super) is_registered: Arc<AtomicU32>,
    pub(super) duty: Arc<AtomicU32>,
    /// The number of arrivals when the pidfds were opened.
    pub(super) arrivals: Cell<Option<u32>>,
}

impl Bell {
    pub(super) fn new() -> Bell {
        let [is_registered, duty] = [1, 0].map(|n| Arc::new(AtomicU32::new(n)));
        Bell { is_registered, duty, arrivals: Cell::new(None) }
    }

    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.duty) > 1
    }
}

/// The doorbell of the member, as `endpoint/attachment/armed.rs` and `src/doorbell/mod.rs` handle it.
impl Member {
    pub(super) fn bells(&self) -> SimBells<'_> {
        SimBells(&self.fixture)
    }

    pub(super) fn word(&self) -> &AtomicU64 {
        self.fixture.armed(self.seat().number)
    }

    /// Joins: clears what the last holder of the seat left, counts the arrival, and performs J1.
    pub(super) fn arrive(&self) {
        if self.bell.is_some() {
            self.word().swap(0, AcqRel);
            self.fixture.kernel.open_queue(self.seat().number);
        }
        self.fixture.arrivals.fetch_add(1, AcqRel);
        self.ring_all();
    }

    /// Rings every armed member, as `Bells::ring_all` does.
    pub(super) fn ring_all(&self) {
        if self.fixture.bells != 0 {
            fence(SeqCst);
            doorbell::ring_all(&self.bells(), Side::Senders);
            doorbell::ring_all(&self.bells(), Side::Receivers);
        }
    }

    /// Gives the handle the duty, as `Entry::charge` does; only MPMC handles have a gate.
    pub(super) fn charge(&self) {
        if let Some(bell) = &self.bell {
            bell.duty.store(1, Release);
        }
        if self.flavor == Flavor::Mpmc {
            self.require_slow_path();
        }
    }

    /// Takes the handle out of its doorbell, as `Doorbell::deregister` does.
    pub(in crate::models) fn deregister(&self) {
        let Some(bell) = &self.bell else { return };
        let Seat { number, side } = self.seat();
        bell.is_registered.store(0, Release);
        self.fixture.kernel.close_queue(number);
        let was_rung = doorbell::disarm(self.word());
        if (self.take_duty() || was_rung) && doorbell::has_others(&self.bells(), number, side) {
            doorbell::pass_on(&self.bells(), self.parking(side), side).unwrap();
        }
    }

    /// Waits for the doorbell, and handles what its descriptors show.
    pub(in crate::models) fn wait_for_doorbell(&self) {
        let shown = self.fixture.kernel.wait_for_descriptors(self.seat().number);
        // R1, as in `Doorbell::take_keys`.
        if shown.has_key && doorbell::is_rung(self.word()) {
            doorbell::disarm(self.word());
            self.charge();
        }
        // R2, as in `Doorbell::peer_ended`.
        if !shown.ended.is_empty() {
            for seat in shown.ended {
                doorbell::pass_over(&self.bells(), seat);
            }
            doorbell::disarm(self.word());
            self.charge();
        }
    }

    /// Returns whether the doorbell is armed.
    pub(in crate::models) fn is_waiting(&self) -> bool {
        doorbell::is_waiting(self.word())
    }

    /// Returns whether a waker has chosen the member, which has not noticed it yet.
    pub(in crate::models) fn is_rung(&self) -> bool {
        doorbell::is_rung(self.word()) && self.fixture.kernel.is_readable(self.seat().number)
    }

    /// Returns whether the member waits, and nothing tells it to look.
    pub(in crate::models) fn is_idle(&self) -> bool {
        self.is_waiting() && !self.fixture.kernel.is_readable(self.seat().number)
    }
}

/// The members of the model's channel, as a waker sees them.
#[derive(Debug)]
pub(super) struct SimBells<'a>(&'a Fixture);

impl Doorbells for SimBells<'_> {
    fn seats(&self) -> u8 {
        self.0.bells
    }

    fn word(&self, seat: u8) -> &AtomicU64 {
        self.0.armed(seat)
    }

    fn is_alive(&self, seat: u8) -> Result<bool, Fault> {
        Ok(self.0.kernel.is_taken(seat))
    }

    fn send(&self, seat: u8, _: u32) -> bool {
        self.0.kernel.send_key(seat)
    }

    fn first(&self) -> u8 {
        0
    }
}
