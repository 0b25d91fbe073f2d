//! The ends of a model's channel: what `spsc::Sender` and `spsc::Receiver` do between ring and
//! waiting, in the same order, without type, seat and counters.

use std::sync::Arc;

use super::harness::Scene;
use crate::error::Fault;
use crate::layout::Parking;
use crate::liveness::Seat;
use crate::ring::Ring;
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{read, write};
use crate::role::Side;
use crate::wait::adaptive_spin::{Wait, WaitPolicy};
use crate::wait::{self, Holder, Poll, Table, WaitError, WaitSite};

/// Wakes that side if it is parked, as `Endpoint::wake_peer` does.
fn wake(scene: &Scene, side: Side) {
    scene.gate.waker_fence();
    let ring = scene.ring();
    if parking(&ring, side).flags() != 0 {
        wait::wake(&scene.gate, parking(&ring, side), side).unwrap();
    }
}

/// Parks until `look` finds what it wants.
fn park(
    scene: &Scene,
    policy: &mut WaitPolicy,
    side: Side,
    look: impl FnMut(Poll) -> Result<bool, Fault>,
) {
    let ring = scene.ring();
    let holder = Holder { seat: Seat::of(side), incarnation: 0 };
    let (gate, parking) = (&scene.gate, parking(&ring, side));
    let place = WaitSite { gate, parking, table: Table(&[]), holder };
    match wait::wait(place, policy, None, look) {
        Ok(()) => {}
        Err(WaitError::TimedOut) => unreachable!("there is no deadline"),
        Err(WaitError::Failed(fault)) => panic!("{fault}"),
    }
}

/// What ends a wait without the event that it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Nothing: the event will occur.
    Ever,
    /// The peer's flag.
    Left,
    /// The peer's empty seat.
    Dead,
}

impl Until {
    /// Returns whether the side that is waited for is gone.
    fn is_gone(self, scene: &Scene, side: Side) -> bool {
        match self {
            Until::Ever => false,
            Until::Left => parking(&scene.ring(), side).has_left(),
            Until::Dead => scene.gate.is_dead(side),
        }
    }
}

fn parking(ring: &Ring, side: Side) -> &Parking {
    match side {
        Side::Senders => &ring.header().senders,
        Side::Receivers => &ring.header().receivers,
    }
}

/// The sending end. A message is its position.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) producer: Producer,
    policy: WaitPolicy,
    /// Declared last: the ring refers to it.
    scene: Arc<Scene>,
}

impl Sender {
    pub(super) fn new(scene: &Arc<Scene>) -> Sender {
        // A joining member wakes the other side before it polls the ring.
        wake(scene, Side::Receivers);
        let producer = Producer::new(scene.ring()).expect("no corruption");
        Sender { producer, policy: WaitPolicy::new(Wait::Park), scene: scene.clone() }
    }

    /// Sends, blocking while the ring is full.
    pub(super) fn send(&mut self) {
        assert!(self.send_until(Until::Ever));
    }

    /// Sends; returns whether there was a peer to wait for.
    pub(super) fn send_until(&mut self, until: Until) -> bool {
        let claimed = self.claim(until);
        if claimed {
            self.put();
            self.look_after_receiver();
        }
        claimed
    }

    /// Leaves the channel, as the endpoints do.
    pub(super) fn leave(self) {
        self.producer.ring().header().senders.set(wait::LEFT);
        wait::Parker::post(&self.scene.gate, Side::Receivers).unwrap();
    }

    fn put(&mut self) {
        write(self.producer.slot(), self.producer.position());
        self.producer.publish();
    }

    fn look_after_receiver(&self) {
        self.scene.gate.waker_fence();
        if self.producer.ring().header().receivers.flags() != 0 {
            wake(&self.scene, Side::Receivers);
        }
    }

    /// Returns whether there is a free slot; blocks until there is one, or until `until` ends the
    /// wait.
    fn claim(&mut self, until: Until) -> bool {
        // By credit first, since a busy receiver is not to be disturbed.
        if self.producer.has_room() || self.producer.refresh(false).unwrap() {
            return true;
        }
        self.look_after_receiver();
        let Sender { producer, policy, scene } = self;
        let mut ended = false;
        park(scene, policy, Side::Senders, |look| {
            if producer.refresh(look != Poll::Quick)? {
                let half = producer.ring().capacity().div_ceil(2);
                let content = matches!(look, Poll::Quick | Poll::Exact);
                // Once the receiver is gone, no more acknowledgements will arrive.
                return Ok(content
                    || producer.room() >= half
                    || until.is_gone(scene, Side::Receivers));
            }
            ended = look != Poll::Quick && until.is_gone(scene, Side::Receivers);
            Ok(ended)
        });
        !ended
    }
}

/// The receiving end.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) consumer: Consumer,
    policy: WaitPolicy,
    /// Declared last: the ring refers to it.
    scene: Arc<Scene>,
}

impl Receiver {
    pub(super) fn new(scene: &Arc<Scene>) -> Receiver {
        wake(scene, Side::Senders);
        let consumer = Consumer::new(scene.ring());
        Receiver { consumer, policy: WaitPolicy::new(Wait::Park), scene: scene.clone() }
    }

    /// Receives, blocking while the ring is empty.
    pub(super) fn recv(&mut self) -> u64 {
        self.recv_until(Until::Ever).expect("a message")
    }

    /// Receives; returns `None` if there is no message and there will be none.
    pub(super) fn recv_until(&mut self, until: Until) -> Option<u64> {
        self.arrive(until).then(|| {
            let number = read(self.consumer.slot());
            self.acknowledge();
            number
        })
    }

    /// Reads a message in place while `work` runs, then acknowledges it.
    pub(super) fn recv_ref(&mut self, work: impl FnOnce(u64)) {
        self.arrive(Until::Ever);
        let number = read(self.consumer.slot());
        work(number);
        assert_eq!(read(self.consumer.slot()), number, "overwritten under the guard");
        self.acknowledge();
    }

    /// Receives the available messages and acknowledges them together; blocks while the ring is
    /// empty.
    pub(super) fn recv_batch(&mut self) -> Vec<u64> {
        self.arrive(Until::Ever);
        let mut numbers = Vec::new();
        while numbers.len() < self.consumer.ring().capacity() as usize
            && self.consumer.has_message()
        {
            numbers.push(read(self.consumer.slot()));
            self.consumer.pass();
        }
        if self.consumer.acknowledge_passed() {
            self.give_credit();
        }
        numbers
    }

    fn acknowledge(&mut self) {
        if self.consumer.acknowledge() {
            self.give_credit();
        }
    }

    fn give_credit(&mut self) {
        self.consumer.publish_credit();
        self.scene.gate.waker_fence();
        let ring = self.consumer.ring();
        if ring.header().senders.flags() != 0
            && ring.capacity() - ring.depth() >= ring.capacity().div_ceil(2)
        {
            wake(&self.scene, Side::Senders);
        }
    }

    /// Returns whether there is a message; blocks until there is one, or until `until` ends the
    /// wait.
    fn arrive(&mut self, until: Until) -> bool {
        if self.consumer.has_message() {
            return true;
        }
        if self.consumer.owes_credit() {
            self.consumer.publish_credit();
        }
        wake(&self.scene, Side::Senders);
        if self.consumer.is_ready().unwrap() {
            return true;
        }
        let Receiver { consumer, policy, scene } = self;
        let mut ended = false;
        park(scene, policy, Side::Receivers, |look| {
            if consumer.is_ready()? {
                return Ok(true);
            }
            let gone = look != Poll::Quick && until.is_gone(scene, Side::Senders);
            // Once the peer is known to be gone, all that it sent is visible.
            ended = gone && !consumer.is_ready()?;
            Ok(gone)
        });
        !ended
    }
}
