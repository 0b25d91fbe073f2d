//! The doorbell of this member's process, as the member arms it, and ringing those of others. The
//! protocol is in `wait/doorbell.rs`.

use std::sync::Arc;

use super::Attachment;
use crate::doorbell::{self, Bells, Doorbell, Failed, Registration, View};
use crate::sync::plain::Ordering::Relaxed;
use crate::sysv::fork_guard::SharedForkGuard;
use crate::wait::Parker;
use crate::wait::doorbell::{announce, arm, disarm, has_others, is_waiting};

impl Attachment {
    /// Returns the doorbells of all members.
    pub(crate) fn bells(&self) -> Bells<'_> {
        Bells::of(&self.mapping, self.facts.geometry.seats, self.members)
    }

    /// Removes what the last holder of our seat left: the new holder is the only one that still knows
    /// the name of its queue.
    pub(super) fn clear_doorbell(&self) {
        let record = self.record();
        record.armed.swap(0, crate::sync::Ordering::AcqRel);
        doorbell::unlink_of_dead(record.doorbell.load(Relaxed));
        record.doorbell.store(0, Relaxed);
    }

    /// Returns whether the handle is registered with a doorbell. In a forked child the registration is
    /// the parent's.
    pub(crate) fn has_doorbell(&self) -> bool {
        self.registration().key() != 0 && !self.is_forked()
    }

    /// Returns what the handle shares with its doorbell.
    pub(crate) fn registration(&self) -> &Arc<Registration> {
        self.interruption.registration()
    }

    /// Registers the handle with a doorbell.
    ///
    /// # Safety
    /// The gate, which a ring closes, must stay where it is until `deregister`.
    pub(crate) unsafe fn register(
        &self,
        doorbell: &Arc<Doorbell>,
        gate: Option<&SharedForkGuard>,
    ) -> Result<u32, Failed> {
        let geometry = &self.facts.geometry;
        // SAFETY: the mapping has this geometry, and `deregister` takes the view away before the
        // mapping is gone.
        let view = unsafe {
            let (flavor, segment) = (self.facts.flavor, self.id.segment);
            View::new(&self.mapping, self.members, flavor, geometry, segment, self.key, self.seat)
        };
        doorbell.register(view, self.registration(), self.mode, gate)
    }

    /// Takes the handle out of its doorbell.
    pub(crate) fn deregister(&self) {
        if self.has_doorbell()
            && let Some(doorbell) = self.registration().doorbell()
        {
            doorbell.deregister_own(self.registration());
        }
    }

    /// Performs A1 to A3, and opens pidfds of new members. Returns false if the handle is registered
    /// with no doorbell, or lost its seat.
    pub(crate) fn arm(&self) -> bool {
        if !self.has_doorbell() || !self.has_seat() {
            return false;
        }
        let registration = self.registration();
        let Some(doorbell) = registration.doorbell() else { return false };
        let key = registration.key();
        registration.set_resting(false);
        doorbell.collect_if_solo();
        if arm(&self.record().armed, self.seat.side, key) {
            registration.charge();
        }
        announce(self, self.parking(), self.fence_request());
        let arrivals = doorbell::arrivals(self.header());
        if !registration.knows(arrivals) {
            // Before that: it is forgotten again when a member dies.
            registration.learn(arrivals);
            doorbell.meet_peers(key);
        }
        true
    }

    /// Records that the handle found nothing to do, and stays armed.
    pub(crate) fn show_armed(&self) {
        if let Some(doorbell) = self.registration().doorbell() {
            doorbell.is_armed();
        }
    }

    /// Returns whether the handle is armed.
    pub(crate) fn is_armed(&self) -> bool {
        self.has_doorbell() && is_waiting(&self.record().armed)
    }

    /// Performs D1.
    pub(crate) fn disarm(&self) {
        let registration = self.registration();
        if disarm(&self.record().armed) {
            registration.charge();
        }
        if let Some(doorbell) = registration.doorbell() {
            doorbell.is_ready(registration.key());
        }
        #[cfg(feature = "async")]
        registration.tasks().settle(|| self.is_armed());
    }

    /// Passes the duty on to another member, if this one has it. Where all are rung, each was rung itself.
    pub(crate) fn pass_duty_on(&self) {
        let registration = self.registration();
        let has_duty = registration.discharge() && !self.wakes_all();
        if has_duty && has_others(&self.bells(), self.seat.number, self.seat.side) {
            // An error here recurs in the members' own calls.
            let _ = crate::wait::doorbell::pass_on(&self.bells(), self.parking(), self.seat.side);
        }
    }

    /// Returns whether the member has the duty, and takes it away.
    pub(crate) fn take_duty(&self) -> bool {
        self.registration().discharge()
    }

    /// Performs O1 and O2. Returns false if there is nobody to pass a ring on to.
    pub(crate) fn offer_duty(&self) -> bool {
        let (side, parking) = (self.seat.side, self.parking());
        let has_others = has_others(&self.bells(), self.seat.number, side);
        if has_others {
            announce(self, parking, self.fence_request());
        }
        has_others
    }
}
