//! The sending end of a model's channel: what `mpmc::Sender` does between ring and waiting, in the
//! same order, without type and counters.

use std::sync::Arc;

use super::member::{Member, Until, message};
use crate::liveness::Seat;
use crate::models::harness::Scene;
use crate::ring::mpmc::{Claim, Producer, Room};
use crate::ring::testing::write;
use crate::role::Side;
use crate::wait::Poll;
use crate::wait::adaptive_spin::{Wait, WaitPolicy};

/// A sending end.
#[derive(Debug)]
pub(super) struct Sender {
    producer: Producer,
    policy: WaitPolicy,
    /// The sender number in its messages: its seat, or the number of a thread.
    name: u8,
    /// Declared last: the ring refers to its scene.
    member: Member,
}

impl Sender {
    pub(super) fn join(scene: &Arc<Scene>, seat: u8, until: Until) -> Sender {
        let member = Member::join(scene, Seat { number: seat, side: Side::Senders }, until);
        let producer = Producer::new(scene.ring(), seat);
        Sender { producer, policy: WaitPolicy::new(Wait::Park), name: seat, member }
    }

    /// Returns a handle for another thread of this member.
    pub(super) fn thread(&self, name: u8) -> Sender {
        let producer = Producer::new(*self.producer.ring(), self.member.seat.number);
        Sender { producer, policy: WaitPolicy::new(Wait::Park), name, member: self.member.thread() }
    }

    /// Sends its message of this number, blocking while the ring is full. Returns false if all
    /// receivers are gone.
    pub(super) fn send(&mut self, number: u64) -> bool {
        let sent = self.put(number);
        if sent {
            self.look_after_receivers();
        }
        sent
    }

    /// Loans a slot and abandons the loan.
    pub(super) fn lend_in_vain(&mut self) {
        let claim = self.claim().expect("a receiver");
        write(self.producer.slot(&claim), u64::MAX);
        self.abandon(claim);
    }

    /// Abandons a claim: receivers can pass it, and senders can use its slot.
    pub(super) fn abandon(&self, claim: Claim) {
        assert!(self.producer.abandon(claim));
        self.member.wake(Side::Senders);
        self.look_after_receivers();
    }

    pub(super) fn leave(self) {
        self.member.leave();
    }

    fn put(&mut self, number: u64) -> bool {
        let Some(claim) = self.claim() else { return false };
        write(self.producer.slot(&claim), message(self.name, number));
        assert!(self.producer.publish(claim), "evicted");
        true
    }

    fn look_after_receivers(&self) {
        self.member.scene.gate.waker_fence();
        if self.member.parking(Side::Receivers).flags() != 0 {
            self.member.wake(Side::Receivers);
        }
    }

    /// Claims a slot, blocking until one is free. Returns `None` if all receivers are gone.
    pub(super) fn claim(&mut self) -> Option<Claim> {
        if let Some(claim) = self.producer.claim_next() {
            return Some(claim);
        }
        if let Room::Claimed(claim) = self.producer.claim(self.member.watch(false)).unwrap() {
            return Some(claim);
        }
        self.look_after_receivers();
        let Sender { producer, policy, member, .. } = self;
        let mut claimed = None;
        member.wait(policy, |how| {
            let asking = how != Poll::Quick;
            if let Poll::Peek | Poll::Others = how {
                let has_any = producer.has_any(member.watch(true))?;
                return Ok(has_any || member.is_abandoned());
            }
            match producer.claim(member.watch(asking))? {
                Room::Claimed(claim) => claimed = Some(claim),
                Room::Orphaned => member.wake(Side::Receivers),
                Room::Full | Room::Overtaken | Room::Behind { .. } => {}
            }
            Ok(claimed.is_some() || asking && member.is_abandoned())
        });
        claimed
    }
}
