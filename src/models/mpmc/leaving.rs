//! Leaving: does a process that sees the end of the stream see all that was sent and done before,
//! and is every waiter notified?

use super::ends::{Receiver, Sender, message};
use super::{check_exchange, check_order};
use crate::models::harness::{Fixture, Job, all_of, check, check_bounded, many, together};
use crate::models::member::Until;
use crate::ring::Corrupt;
use crate::ring::mpmc::{Consumer, Next, Producer, Room};
use crate::ring::slot_state::NO_OWNER;
use crate::ring::testing::{read, write};

/// A process that sees the ring drained sees what was done under the last guard: here, in another
/// ring's slot.
fn drained_is_done() {
    let fixture = Fixture::new(1);
    let elsewhere = Fixture::new(1);
    let (producer, consumer) = (Producer::new(fixture.ring(), 0), Consumer::new(fixture.ring(), 1));
    let alive = |_| Ok::<bool, Corrupt>(false);
    let Room::Claimed(claim) = producer.claim(alive).unwrap() else { unreachable!("it is empty") };
    write(producer.slot(&claim), 7);
    assert!(producer.publish(claim));
    let (ours, theirs) = (fixture.clone(), elsewhere.clone());
    let worker = move || {
        let (_scene, elsewhere) = (ours, theirs.ring());
        let Next::Message(held) = consumer.take(alive).unwrap() else { unreachable!("it is full") };
        write(elsewhere.slot(0), read(consumer.slot(&held)));
        assert!(consumer.acknowledge(&held));
    };
    let observer = move || {
        if fixture.ring().is_drained(NO_OWNER, 0) {
            assert_eq!(read(elsewhere.ring().slot(0)), 7);
        }
    };
    // The thread that only polls comes second: see `docs/testing.md`, "What is not checked".
    together(worker, observer);
}

/// All senders send and leave; all receivers are notified, after the last message, even if the
/// receivers that were notified before do not leave.
fn senders_leave(capacity: usize, senders: &[u64], receivers: u8, stay: bool) {
    let fixture = Fixture::new(capacity);
    let mut sent = Vec::new();
    let mut jobs: Vec<Job<Vec<u64>>> = Vec::new();
    for (seat, &some) in (0..).zip(senders) {
        let (mut tx, some) = (Sender::join(&fixture, seat, Until::Left), many(some));
        sent.extend((0..some).map(|number| message(seat, number)));
        jobs.push(Box::new(move || {
            (0..some).for_each(|number| assert!(tx.send(number)));
            tx.leave();
            Vec::new()
        }));
    }
    for seat in (senders.len() as u8..).take(receivers.into()) {
        let mut rx = Receiver::join(&fixture, seat, Until::Left);
        jobs.push(Box::new(move || {
            let got = std::iter::from_fn(|| rx.recv()).collect();
            if !stay {
                rx.leave();
            }
            got
        }));
    }
    let received = all_of(jobs);
    check_exchange(&sent, &received);
}

/// A receiver takes this many messages and leaves; the sender is notified when the ring is full.
fn receivers_leave(capacity: usize, taken: u64) {
    let fixture = Fixture::new(capacity);
    let mut tx = Sender::join(&fixture, 0, Until::Left);
    let mut rx = Receiver::join(&fixture, 1, Until::Left);
    let receiver = move || {
        let got: Vec<u64> = (0..taken).filter_map(|_| rx.recv()).collect();
        check_order(&got);
        rx.leave();
        got.len() as u64
    };
    let (sent, received) = together(move || (0..).take_while(|&n| tx.send(n)).count(), receiver);
    assert_eq!(received, taken);
    // The sender may see that there is no receiver before it sees the room.
    assert!((taken..=taken + capacity as u64).contains(&(sent as u64)), "sent {sent}");
}

/// Of two receivers, one leaves after a message, or at once; the other one gets all the rest.
fn one_of_two_leaves(capacity: usize, sent: u64, taken: u64) {
    let fixture = Fixture::new(capacity);
    let mut tx = Sender::join(&fixture, 0, Until::Left);
    let mut leaving = Receiver::join(&fixture, 1, Until::Left);
    let mut staying = Receiver::join(&fixture, 2, Until::Left);
    let jobs: Vec<Job<Vec<u64>>> = vec![
        Box::new(move || {
            (0..sent).for_each(|number| assert!(tx.send(number)));
            tx.leave();
            Vec::new()
        }),
        Box::new(move || {
            let got = (0..taken).filter_map(|_| leaving.recv()).collect();
            leaving.leave();
            got
        }),
        Box::new(move || {
            let got = std::iter::from_fn(|| staying.recv()).collect();
            staying.leave();
            got
        }),
    ];
    let received = all_of(jobs);
    let sent: Vec<u64> = (0..sent).map(|number| message(0, number)).collect();
    check_exchange(&sent, &received);
}

#[test]
fn the_end_is_seen_after_what_was_done() {
    check("drained is done", drained_is_done);
}

#[test]
fn receivers_learn_of_the_end_after_the_last_message() {
    for (capacity, senders, receivers, stay) in [
        (1, &[1][..], 1, false),
        (1, &[2], 1, false),
        (1, &[1, 1], 1, false),
        (1, &[1], 2, false),
        (1, &[0], 2, true),
        (1, &[1], 2, true),
    ] {
        let staying = if stay { ", who stay" } else { "" };
        let name =
            format!("senders of {senders:?} leave {receivers}{staying}, capacity {capacity}");
        // Three blocking threads, or two.
        let bound = if senders.len() + usize::from(receivers) > 2 { 1 } else { 2 };
        let model = move || senders_leave(capacity, senders, receivers, stay);
        check_bounded(&name, bound, model);
    }
}

#[test]
fn a_sender_in_a_full_ring_learns_of_the_end() {
    for (capacity, taken) in [(1, 0), (1, 1), (2, 1)] {
        let name = format!("the receiver leaves after {taken}, capacity {capacity}");
        check(&name, move || receivers_leave(capacity, taken));
    }
}

#[test]
fn remaining_receivers_get_the_rest() {
    for (capacity, sent, taken) in [(1, 1, 0), (1, 1, 1)] {
        let name = format!("one of two leaves after {taken} of {sent}, capacity {capacity}");
        let model = move || one_of_two_leaves(capacity, sent, taken);
        check_bounded(&name, 1, model);
    }
}
