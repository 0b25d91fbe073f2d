//! Recovery: what a dead member leaves is passed from member to member. Is it whole, and is the
//! slot written again only after the last member released it?
//!
//! No thread waits, and only one of the living members asks the kernel about the dead: what the
//! others know of a death came with the slot's state.

use crate::liveness::Seat;
use crate::models::harness::{Fixture, Job, all_of, check, together};
use crate::ring::Corrupt;
use crate::ring::mpmc::{Consumer, Held, Next, Producer, Room};
use crate::ring::testing::{read, write};
use crate::role::Side;
use std::sync::Arc;

/// The seat of the member that dies.
const DEAD: u8 = 0;

/// The liveness check of a member that does not ask the kernel.
fn alive(_: u8) -> Result<bool, Corrupt> {
    Ok(false)
}

/// The liveness check of a member that asks the kernel.
fn verdict(fixture: &Fixture) -> impl Fn(u8) -> Result<bool, Corrupt> {
    |seat| Ok(!fixture.kernel.is_taken(seat))
}

/// A channel of one slot, with a member in the first seat.
fn fixture(side: Side) -> Arc<Fixture> {
    let fixture = Fixture::new(1);
    for (number, side) in [(DEAD, side), (1, Side::Receivers), (2, Side::Senders)] {
        fixture.kernel.take_seat(Seat { number, side });
    }
    fixture
}

/// Claims the slot, writes half a message there, and dies, unless the slot belongs to another
/// member.
fn die_writing(fixture: &Fixture) -> bool {
    let producer = Producer::new(fixture.ring(), DEAD);
    let Room::Claimed(claim) = producer.claim(alive).unwrap() else { return false };
    producer.slot(&claim).writing();
    fixture.kernel.member_died(DEAD);
    true
}

/// Takes the message, reads it, and dies.
fn die_reading(fixture: &Fixture) {
    let consumer = Consumer::new(fixture.ring(), DEAD);
    let Next::Message(held) = consumer.take(alive).unwrap() else { return };
    read(consumer.slot(&held));
    fixture.kernel.member_died(DEAD);
}

/// Sends what another member sent; returns whether there was room.
fn send(fixture: &Fixture, seat: u8, number: u64) -> bool {
    let producer = Producer::new(fixture.ring(), seat);
    let Room::Claimed(claim) = producer.claim(alive).unwrap() else { return false };
    write(producer.slot(&claim), number);
    assert!(producer.publish(claim));
    true
}

fn receive(consumer: &Consumer, held: &Held) -> u64 {
    let number = read(consumer.slot(held));
    assert!(consumer.acknowledge(held));
    number
}

/// Recovers as a receiver, which may find what was sent meanwhile.
fn repair_receiving(fixture: &Fixture) {
    let consumer = Consumer::new(fixture.ring(), 1);
    if let Next::Message(held) = consumer.take(verdict(fixture)).unwrap() {
        assert_eq!(receive(&consumer, &held), 2);
    }
}

/// Recovers as a sender, and abandons a loan of the slot.
fn repair_sending(fixture: &Fixture) {
    let producer = Producer::new(fixture.ring(), 1);
    if let Room::Claimed(claim) = producer.claim(verdict(fixture)).unwrap() {
        write(producer.slot(&claim), u64::MAX);
        assert!(producer.abandon(claim));
    }
}

/// One member dies in the middle of a message, another one recovers, a third one writes there.
fn half_a_message(repair: fn(&Fixture)) {
    let fixture = fixture(Side::Senders);
    let (dying, repairing) = (fixture.clone(), fixture.clone());
    let jobs: Vec<Job<()>> = vec![
        Box::new(move || _ = send(&fixture, 2, 2)),
        Box::new(move || _ = die_writing(&dying)),
        Box::new(move || repair(&repairing)),
    ];
    all_of(jobs);
}

/// One member dies with a message in flight, another one takes it over, a third one writes there.
fn a_message_in_flight() {
    let fixture = fixture(Side::Receivers);
    assert!(send(&fixture, 2, 1));
    let (dying, repairing) = (fixture.clone(), fixture.clone());
    let jobs: Vec<Job<()>> = vec![
        Box::new(move || die_reading(&dying)),
        Box::new(move || {
            let consumer = Consumer::new(repairing.ring(), 1);
            let dead = verdict(&repairing);
            if let Some(held) = consumer.take_over(u8::MAX, dead).unwrap() {
                assert_eq!((held.deliveries(), receive(&consumer, &held)), (2, 1));
            }
        }),
        // A thread that may only poll comes last: see `docs/testing.md`, "What is not checked".
        Box::new(move || _ = send(&fixture, 2, 2)),
    ];
    all_of(jobs);
}

/// One member dies in the middle of a message; another one takes the seat, and a third one writes
/// there.
fn half_a_message_of_a_seat() {
    let fixture = fixture(Side::Senders);
    let dying = fixture.clone();
    let successor = move || {
        if die_writing(&dying) {
            dying.kernel.take_seat(Seat { number: DEAD, side: Side::Senders });
            // A receiver may have stepped over it.
            assert!(!dying.ring().release_slots_of(DEAD).orphans);
        }
    };
    together(successor, move || (0..2).for_each(|_| _ = send(&fixture, 2, 2)));
}

/// One member sends a message, and dies with it in flight; another one takes the seat. The count of
/// orphaned messages changes, and the receiver that takes the message over gets it whole.
fn an_in_flight_message_of_a_seat() {
    let fixture = fixture(Side::Receivers);
    let dying = fixture.clone();
    let successor = move || {
        assert!(send(&dying, 2, 1));
        die_reading(&dying);
        dying.kernel.take_seat(Seat { number: DEAD, side: Side::Receivers });
        assert!(dying.ring().release_slots_of(DEAD).orphans);
    };
    let heir = move || {
        let orphaned = fixture.ring().orphaned();
        let consumer = Consumer::new(fixture.ring(), 1);
        match consumer.take_over(u8::MAX, alive).unwrap() {
            Some(held) => {
                assert_eq!((held.deliveries(), receive(&consumer, &held)), (2, 1));
                assert!(send(&fixture, 3, 3), "it is free");
            }
            None => assert_eq!(orphaned, 0, "counted, and not to be seen"),
        }
    };
    together(successor, heir);
}

#[test]
fn half_a_message_is_stepped_over() {
    check("half a message, a receiver repairs", || half_a_message(repair_receiving));
    check("half a message, a sender repairs", || half_a_message(repair_sending));
    check("half a message, the seat is taken", half_a_message_of_a_seat);
}

#[test]
fn an_in_flight_message_is_taken_over() {
    check("in flight, taken over", a_message_in_flight);
    check("in flight, the seat is taken", an_in_flight_message_of_a_seat);
}
