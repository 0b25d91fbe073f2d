//! A member of a model's channel: what `Attachment` and the MPMC endpoint are to the two ends,
//! without counters, facts and deadline.

use std::sync::Arc;

use crate::error::Fault;
use crate::layout::Parking;
use crate::liveness::Seat;
use crate::models::harness::Scene;
use crate::ring::Ring;
use crate::ring::mpmc::Watch;
use crate::role::Side;
use crate::sync::Ordering::SeqCst;
use crate::sync::fence;
use crate::wait::adaptive_spin::WaitPolicy;
use crate::wait::{self, Holder, Parker, Poll, WaitError, WaitSite};

/// What a member expects while it waits: whatever does not happen in a model is not checked, since
/// every check is a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum Until {
    /// Nothing: the event will occur.
    Ever,
    /// The other side leaves.
    Left,
    /// Any member dies.
    Dead,
}

/// A seat and its holder.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) seat: Seat,
    pub(super) until: Until,
    holder: Holder,
    ring: Ring,
    /// Declared last: the ring refers to it.
    pub(super) scene: Arc<Scene>,
}

impl Member {
    pub(super) fn join(scene: &Arc<Scene>, seat: Seat, until: Until) -> Member {
        let last_died = scene.gate.sit(seat);
        let before = scene.waiting().incarnations();
        let holder = scene.waiting().sign(seat, &before).expect("nobody else signs there");
        let member = Member { seat, until, holder, ring: scene.ring(), scene: scene.clone() };
        if until >= Until::Left {
            member.parking(seat.side).clear(wait::LEFT);
        }
        if last_died && member.ring.orphan_slots(seat.number).is_any() {
            member.wake(Side::Receivers);
            member.wake(Side::Senders);
        }
        member
    }

    /// Returns what `Endpoint::watch` is to the two ends.
    pub(super) fn watch(&self, asks: bool) -> Watching<'_> {
        Watching { member: self, asks, poisoned: None }
    }

    /// Returns a handle for another thread of this member.
    pub(super) fn thread(&self) -> Member {
        let Member { seat, until, holder, ring, ref scene } = *self;
        Member { seat, until, holder, ring, scene: scene.clone() }
    }

    pub(super) fn parking(&self, side: Side) -> &Parking {
        match side {
            Side::Senders => &self.ring.header().senders,
            Side::Receivers => &self.ring.header().receivers,
        }
    }

    pub(super) fn wake(&self, side: Side) {
        self.scene.gate.waker_fence();
        let parking = self.parking(side);
        if parking.flags() != 0 {
            wait::wake(&self.scene.gate, parking, side).unwrap();
        }
    }

    /// Checks whether the owner of a seat is dead; only a slow path asks for that.
    pub(super) fn is_dead(&self, asking: bool, seat: u8) -> Result<bool, Fault> {
        Ok(asking && self.until == Until::Dead && !self.scene.gate.is_taken(seat))
    }

    /// Returns whether all members of the other side are gone.
    pub(super) fn is_abandoned(&self) -> bool {
        if self.until < Until::Left {
            return false;
        }
        let peer = self.seat.side.other();
        let mut there = self.scene.gate.is_there(peer);
        if there && self.parking(peer).has_left() {
            self.parking(peer).clear(wait::LEFT);
            there = self.scene.gate.is_there(peer);
        }
        if !there {
            self.parking(peer).set(wait::LEFT);
            if !self.scene.gate.barrier() {
                fence(SeqCst);
            }
        }
        !there
    }

    /// Waits at the place of this side.
    pub(super) fn wait(
        &self,
        policy: &mut WaitPolicy,
        look: impl FnMut(Poll) -> Result<bool, Fault>,
    ) {
        let side = self.seat.side;
        let (gate, parking) = (&self.scene.gate, self.parking(side));
        let place = WaitSite { gate, parking, table: self.scene.waiting(), holder: self.holder };
        match wait::wait(place, policy, None, look) {
            Ok(()) => {}
            Err(WaitError::TimedOut) => unreachable!("there is no deadline"),
            Err(WaitError::Failed(fault)) => panic!("{fault}"),
        }
    }

    pub(super) fn leave(self) {
        let Seat { number, side } = self.seat;
        self.scene.gate.leave(number);
        if !self.scene.gate.is_there(side) {
            self.parking(side).set(wait::LEFT);
        }
    }
}

/// The watch of a call, which [`Member::watch`] returns.
#[derive(Debug)]
pub(super) struct Watching<'a> {
    member: &'a Member,
    asks: bool,
    pub(super) poisoned: Option<&'a mut Vec<u64>>,
}

impl Watch for Watching<'_> {
    type Error = Fault;

    fn is_dead(&mut self, seat: u8) -> Result<bool, Fault> {
        self.member.is_dead(self.asks, seat)
    }

    fn freed(&mut self) {
        self.member.wake(Side::Senders);
    }

    fn unblocked(&mut self) {
        self.member.wake(Side::Receivers);
    }

    fn poisoned(&mut self, position: u64) {
        self.poisoned.as_mut().expect("by a search only").push(position);
    }
}

/// Returns a message that holds its sender and its number among that sender's messages.
pub(super) fn message(sender: u8, number: u64) -> u64 {
    u64::from(sender) << 32 | number
}

/// Returns the sender of a message, and its number.
pub(super) fn sender_of(message: u64) -> (u8, u64) {
    ((message >> 32) as u8, message & 0xffff_ffff)
}
