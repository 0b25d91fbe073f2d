//! The receiving end of a model's channel: what `mpmc::Receiver` does between ring and waiting, in
//! the same order, without type and counters.

use std::sync::Arc;

use super::member::{Member, Until};
use crate::error::Fault;
use crate::liveness::Seat;
use crate::models::harness::Scene;
use crate::ring::mpmc::{Consumer, Held, Next, Snapshot};
use crate::ring::slot_state::DELIVERIES_MAX;
use crate::ring::testing::read;
use crate::role::Side;
use crate::wait::Poll;
use crate::wait::adaptive_spin::{Wait, WaitPolicy};

/// A receiving end.
#[derive(Debug)]
pub(super) struct Receiver {
    consumer: Consumer,
    policy: WaitPolicy,
    /// The maximum number of deliveries of a message.
    pub(super) limit: u8,
    /// Positions of messages that reached that number.
    pub(super) poisoned: Vec<u64>,
    searched: Option<Snapshot>,
    /// Declared last: the ring refers to its scene.
    member: Member,
}

impl Receiver {
    pub(super) fn join(scene: &Arc<Scene>, seat: u8, until: Until) -> Receiver {
        let member = Member::join(scene, Seat { number: seat, side: Side::Receivers }, until);
        let consumer = Consumer::new(scene.ring(), seat);
        let (policy, limit) = (WaitPolicy::new(Wait::Park), DELIVERIES_MAX);
        Receiver { consumer, policy, limit, poisoned: Vec::new(), searched: None, member }
    }

    /// Returns a handle for another thread of this member.
    pub(super) fn thread(&self) -> Receiver {
        let consumer = Consumer::new(*self.consumer.ring(), self.member.seat.number);
        let (policy, limit) = (WaitPolicy::new(Wait::Park), self.limit);
        let member = self.member.thread();
        Receiver { consumer, policy, limit, poisoned: Vec::new(), searched: None, member }
    }

    /// Receives, blocking while there is no message. Returns `None` if the ring is drained and all
    /// senders are gone.
    pub(super) fn recv(&mut self) -> Option<u64> {
        self.recv_ref(|_, _| ())
    }

    /// Reads a message in place while `work` runs, then acknowledges it. `work` gets the delivery
    /// count.
    pub(super) fn recv_ref(&mut self, work: impl FnOnce(u64, u8)) -> Option<u64> {
        let held = self.hold()?;
        let message = read(self.consumer.slot(&held));
        work(message, held.deliveries());
        self.acknowledge(&held);
        Some(message)
    }

    /// Receives up to `most` available messages, acknowledged when all are copied.
    pub(super) fn recv_batch(&mut self, most: usize) -> Vec<u64> {
        let Some(first) = self.hold() else { return Vec::new() };
        let mut messages = vec![read(self.consumer.slot(&first))];
        let mut others = Vec::new();
        while messages.len() < most
            && let Some(held) = self.take()
        {
            messages.push(read(self.consumer.slot(&held)));
            others.push(held.position());
        }
        self.acknowledge(&first);
        others.into_iter().for_each(|position| self.acknowledge(&self.consumer.held(position)));
        messages
    }

    pub(super) fn leave(self) {
        self.member.leave();
    }

    fn acknowledge(&self, held: &Held) {
        assert!(self.consumer.acknowledge(held), "evicted");
        self.member.scene.gate.waker_fence();
        let senders = self.member.parking(Side::Senders);
        if senders.flags() != 0 {
            // In so small a ring, at the first free slot.
            self.member.wake(Side::Senders);
            if senders.has_left() {
                self.member.wake(Side::Receivers);
            }
        }
    }

    /// Takes an available message.
    fn take(&self) -> Option<Held> {
        self.consumer.take_next().or_else(|| {
            match self.consumer.take(self.member.watch(false)).unwrap() {
                Next::Message(held) => Some(held),
                _ => None,
            }
        })
    }

    /// Takes a message, blocking until there is one.
    pub(super) fn hold(&mut self) -> Option<Held> {
        self.take().or_else(|| self.seek())
    }

    fn seek(&mut self) -> Option<Held> {
        self.member.wake(Side::Senders);
        let Receiver { consumer, policy, limit, poisoned, searched, member } = self;
        let (mut found, mut told) = (None, None);
        member.wait(policy, |how| {
            let asking = how != Poll::Quick;
            let gone = asking && member.is_abandoned();
            let is_found = match how {
                // Once for each number of unacknowledged messages.
                Poll::Others if gone && !consumer.ring().has_untaken() => {
                    let now = Some(consumer.ring().count_messages());
                    std::mem::replace(&mut told, now) != now
                }
                Poll::Peek | Poll::Others => {
                    let may_inherit =
                        |now| consumer.may_inherit(&now, searched, member.watch(true));
                    consumer.has_any(member.watch(true))?
                        || known(consumer, member).map_or(Ok(false), may_inherit)?
                }
                _ => {
                    found = match consumer.take(member.watch(asking))? {
                        Next::Message(held) => Some(held),
                        _ if asking => inherit(consumer, member, *limit, poisoned, searched)?,
                        _ => None,
                    };
                    found.is_some()
                }
            };
            Ok(is_found || gone && consumer.ring().is_drained(member.seat.number))
        });
        found
    }
}

/// Takes over a message whose receiver died, if there is one and a member died since the last call.
fn inherit(
    consumer: &Consumer,
    member: &Member,
    limit: u8,
    poisoned: &mut Vec<u64>,
    searched: &mut Option<Snapshot>,
) -> Result<Option<Held>, Fault> {
    let Some(now) = known(consumer, member) else { return Ok(None) };
    let mut watch = member.watch(true);
    watch.poisoned = Some(poisoned);
    consumer.inherit(limit, &now, searched, watch)
}

/// Returns what is known of the dead, or `None` if no member dies in this model.
fn known(consumer: &Consumer, member: &Member) -> Option<Snapshot> {
    let dead = || member.scene.gate.dead();
    let now = || Snapshot::of(consumer.ring().orphaned(), &dead());
    (member.until == Until::Dead).then(now)
}
