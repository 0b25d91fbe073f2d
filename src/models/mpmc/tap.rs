//! Taps of an MPMC ring: is every message that a tap reports whole and that of its position,
//! whatever the members do to its slot meanwhile?
//!
//! The payloads are in words of the model, as in `models/tap.rs`.

use std::sync::Arc;

use crate::flavor::Flavor;
use crate::models::harness::{Fixture, Job, all_of, check, check_bounded, many, together};
use crate::models::tap::{Payloads, follow};
use crate::ring::Corrupt;
use crate::ring::mpmc::{Consumer, Held, Next, Producer, Room};
use crate::ring::tap::Follower;

fn alive(_: u8) -> Result<bool, Corrupt> {
    Ok(false)
}

/// A ring with its payloads.
#[derive(Clone)]
struct Channel {
    fixture: Arc<Fixture>,
    payloads: Arc<Payloads>,
}

impl Channel {
    fn new(capacity: u64) -> Channel {
        Channel { fixture: Fixture::new(capacity as usize), payloads: Payloads::new(capacity) }
    }

    fn sender(&self, seat: u8) -> Producer {
        Producer::new(self.fixture.ring(), seat)
    }

    fn receiver(&self, seat: u8) -> Consumer {
        Consumer::new(self.fixture.ring(), seat)
    }

    fn tap(&self) -> Follower {
        Follower::new(self.fixture.ring(), Flavor::Mpmc, 0)
    }

    /// Sends its position, if there is room.
    fn send(&self, producer: &Producer) -> Option<u64> {
        let Room::Claimed(claim) = producer.claim(alive).unwrap() else { return None };
        let position = claim.position();
        self.payloads.write(position, position);
        assert!(producer.publish(claim), "evicted");
        Some(position)
    }

    /// Abandons a message that it has begun to write.
    fn abandon(&self, producer: &Producer) {
        if let Room::Claimed(claim) = producer.claim(alive).unwrap() {
            self.payloads.write(claim.position(), u64::MAX);
            assert!(producer.abandon(claim), "evicted");
        }
    }

    fn follow(&self, tap: &mut Follower, tries: u64) -> Vec<u64> {
        follow(tap, &self.payloads, tries)
    }
}

fn take(consumer: &Consumer) -> Option<Held> {
    match consumer.take(alive).unwrap() {
        Next::Message(held) => Some(held),
        _ => None,
    }
}

fn receive(consumer: &Consumer) {
    if let Some(held) = take(consumer) {
        assert!(consumer.acknowledge(&held), "evicted");
    }
}

/// A member receives and sends, lap after lap, in the only slot.
fn lapped(laps: u64, received_before: bool) {
    let channel = Channel::new(1);
    let (producer, consumer) = (channel.sender(0), channel.receiver(1));
    channel.send(&producer).expect("room");
    if received_before {
        receive(&consumer);
    }
    let (mut tap, beside) = (channel.tap(), channel.clone());
    let passing = move || {
        for _ in 0..laps {
            receive(&consumer);
            beside.send(&producer);
        }
    };
    together(passing, move || _ = channel.follow(&mut tap, 2));
}

/// A message is abandoned, and its position passed by a receiver or claimed again.
fn abandoned(capacity: u64) {
    let channel = Channel::new(capacity);
    let (one, other, consumer) = (channel.sender(0), channel.sender(1), channel.receiver(2));
    let (mut tap, beside, receiving) = (channel.tap(), channel.clone(), channel.clone());
    let jobs: Vec<Job<Vec<u64>>> = vec![
        Box::new(move || {
            beside.abandon(&one);
            beside.send(&other).into_iter().collect()
        }),
        Box::new(move || {
            let _scene = receiving;
            receive(&consumer);
            Vec::new()
        }),
        Box::new(move || channel.follow(&mut tap, 2)),
    ];
    let [sent, _, found] = all_of(jobs).try_into().expect("three threads");
    assert!(found.iter().all(|position| sent.contains(position)), "{found:?} of {sent:?}");
}

/// The first of two slots is held and stepped over, then acknowledged.
fn stepped_over() {
    let channel = Channel::new(2);
    let (producer, consumer) = (channel.sender(0), channel.receiver(1));
    assert_eq!([(); 2].map(|()| channel.send(&producer)), [Some(0), Some(1)]);
    let held = take(&consumer).expect("a message");
    receive(&consumer);
    let (mut tap, beside) = (channel.tap(), channel.clone());
    let members = move || {
        let sent = beside.send(&producer);
        assert!(consumer.acknowledge(&held), "evicted");
        sent
    };
    let (sent, found) = together(members, move || channel.follow(&mut tap, 3));
    assert_eq!(sent, Some(3));
    assert!(!found.contains(&2), "nothing was sent there");
}

/// The message in the first of two slots is stepped over, and so is a later one there.
fn stepped_over_again() {
    let channel = Channel::new(2);
    let (producer, consumer) = (channel.sender(0), channel.receiver(1));
    assert_eq!([(); 2].map(|()| channel.send(&producer)), [Some(0), Some(1)]);
    let held = take(&consumer).expect("a message");
    receive(&consumer);
    assert_eq!(channel.send(&producer), Some(3));
    receive(&consumer);
    let (mut tap, beside) = (channel.tap(), channel.clone());
    let members = move || {
        assert!(consumer.acknowledge(&held), "evicted");
        assert_eq!(beside.send(&producer), Some(4));
        let held = take(&consumer).expect("a message");
        assert_eq!(beside.send(&producer), Some(5));
        receive(&consumer);
        assert_eq!(beside.send(&producer), Some(7));
        held
    };
    together(members, move || _ = channel.follow(&mut tap, 1));
}

/// A position that was abandoned is claimed again, and another message follows.
fn claimed_again() {
    let channel = Channel::new(4);
    let producer = channel.sender(0);
    channel.abandon(&producer);
    let (mut tap, beside) = (channel.tap(), channel.clone());
    let sender = move || assert_eq!([(); 2].map(|()| beside.send(&producer)), [Some(0), Some(1)]);
    let follower = move || {
        let found = channel.follow(&mut tap, 2);
        (channel, tap, found)
    };
    let ((), (channel, mut tap, mut found)) = together(sender, follower);
    found.extend(channel.follow(&mut tap, 3));
    assert_eq!(found, [0, 1]);
}

#[test]
fn a_copy_is_whole_if_the_state_says_so() {
    for received_before in [false, true] {
        let name = format!("a tap beside members that lap it, received {received_before}");
        check(&name, move || lapped(many(1), received_before));
    }
}

#[test]
fn an_abandoned_message_is_not_reported() {
    for capacity in [1, 2] {
        let name = format!("a tap beside an abandoned claim, capacity {capacity}");
        check(&name, move || abandoned(capacity));
    }
}

#[test]
fn a_position_that_was_stepped_over_is_not_reported() {
    check("a tap beside a sender that steps over a slot", stepped_over);
    check_bounded("a tap beside a sender that steps over it again", 1, stepped_over_again);
}

#[test]
fn a_position_that_is_claimed_again_is_not_passed() {
    check("a tap beside a position that is claimed again", claimed_again);
}
