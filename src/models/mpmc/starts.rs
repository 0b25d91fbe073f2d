//! Where a member starts: from a hint in the header, or from the position of another thread of the
//! same handle. Does it see the states that such a position stands for, and never an older one?
//!
//! An older state would have an impossible lap, and would stop the handle for good.

use std::sync::Arc;

use crate::models::harness::{Fixture, check, many, together};
use crate::ring::Corrupt;
use crate::ring::mpmc::{Consumer, HINT_EVERY, Next, Producer, Room};
use crate::ring::testing::{read, write};

/// Laps of a ring of one slot that pass next to a starting member: so many that the state before
/// all of them is impossible at any position after them.
const LAPS: u64 = 2;

/// No member dies.
fn alive(_: u8) -> Result<bool, Corrupt> {
    Ok(false)
}

/// Sends and receives a message, if no other member does so; returns whether it did.
fn pass(producer: &Producer, consumer: &Consumer) -> bool {
    let Room::Claimed(claim) = producer.claim(alive).unwrap() else { return false };
    write(producer.slot(&claim), claim.position());
    assert!(producer.publish(claim));
    let Next::Message(held) = consumer.take(alive).unwrap() else { return false };
    assert_eq!(read(consumer.slot(&held)), held.position());
    consumer.acknowledge(&held)
}

/// A member passes messages on until the hints are stored, while another one joins.
fn comes_late(newcomer: fn(&Fixture)) {
    let fixture = Fixture::new(1);
    let (producer, consumer) = (Producer::new(fixture.ring(), 0), Consumer::new(fixture.ring(), 1));
    for _ in 0..HINT_EVERY - LAPS {
        assert!(pass(&producer, &consumer));
    }
    let beside = fixture.clone();
    let passing = move || {
        let _scene = beside;
        // The last message may be the newcomer's by then.
        (0..LAPS).for_each(|_| _ = pass(&producer, &consumer));
    };
    // The thread that only polls comes second: see `docs/testing.md`, "What is not checked".
    together(passing, move || newcomer(&fixture));
}

fn a_sender_comes(fixture: &Fixture) {
    let producer = Producer::new(fixture.ring(), 2);
    if let Room::Claimed(claim) = producer.claim(alive).unwrap() {
        assert!(producer.abandon(claim));
    }
}

fn a_receiver_comes(fixture: &Fixture) {
    let consumer = Consumer::new(fixture.ring(), 2);
    if let Next::Message(held) = consumer.take(alive).unwrap() {
        assert!(consumer.acknowledge(&held));
    }
}

/// Two threads of one handle.
fn shared(laps: u64, other: fn(&Producer, &Consumer)) {
    let fixture = Fixture::new(1);
    let (producer, consumer) = (Producer::new(fixture.ring(), 0), Consumer::new(fixture.ring(), 1));
    let ends = Arc::new((producer, consumer));
    let (theirs, beside) = (ends.clone(), fixture.clone());
    let passing = move || {
        let (ends, _scene) = (theirs, beside);
        (0..laps).for_each(|_| _ = pass(&ends.0, &ends.1));
    };
    let other = move || {
        let _scene = fixture;
        other(&ends.0, &ends.1);
    };
    together(passing, other);
}

fn sends(producer: &Producer, _: &Consumer) {
    if let Room::Claimed(claim) = producer.claim(alive).unwrap() {
        assert!(producer.abandon(claim));
    }
}

fn receives(_: &Producer, consumer: &Consumer) {
    if let Next::Message(held) = consumer.take(alive).unwrap() {
        assert!(consumer.acknowledge(&held));
    }
}

#[test]
fn a_hint_is_as_good_as_a_walk() {
    check("a sender starts from the tail", || comes_late(a_sender_comes));
    check("a receiver starts from the head", || comes_late(a_receiver_comes));
}

#[test]
fn threads_share_a_handle() {
    check("threads share a sender", || shared(many(LAPS), sends));
    check("threads share a receiver", || shared(many(LAPS), receives));
}
