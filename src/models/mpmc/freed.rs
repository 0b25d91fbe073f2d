//! Slots that become free without an acknowledgement, and the end of a flush: does a sender that is
//! blocked next to such a slot wake up, and does a flush report the truth while a receiver leaves?

use super::ends::{Receiver, Sender, message};
use crate::error::SendError;
use crate::liveness::Seat;
use crate::models::harness::{Fixture, check, together};
use crate::models::member::Until;
use crate::protocol::is_flushed;
use crate::ring::Corrupt;
use crate::ring::mpmc::{Consumer, Next, Producer, Room};
use crate::ring::testing::{read, write};
use crate::role::Side;

/// The only slot is loaned; another sender is blocked for it; no receiver exists.
fn abandoned() {
    let fixture = Fixture::new(1);
    let mut lends = Sender::join(&fixture, 0, Until::Ever);
    let mut sends = Sender::join(&fixture, 1, Until::Ever);
    let claim = lends.reserve().expect("it is empty");
    let (_, sent) = together(move || lends.abandon(claim), move || sends.send(1));
    assert!(sent);
}

/// The only message had its last delivery when its receiver died; a sender is blocked for its slot,
/// a receiver for the next message.
fn given_up() {
    let fixture = Fixture::new(1);
    let mut first = Sender::join(&fixture, 2, Until::Dead);
    assert!(first.send(1));
    let mut dying = Receiver::join(&fixture, 3, Until::Dead);
    assert!(dying.next().is_some());
    let mut rx = Receiver::join(&fixture, 1, Until::Dead);
    rx.limit_deliveries(1);
    fixture.kernel.member_died(3);
    fixture.kernel.forget_posts();
    let receiver = move || {
        let got = rx.recv();
        (got, rx.given_up())
    };
    let (sent, (got, aside)) = together(move || first.send(2), receiver);
    assert!(sent);
    assert_eq!((got, aside), (Some(message(2, 2)), vec![0]));
}

/// Every slot is held, and senders stepped over one of them; a sender is blocked until that one is
/// acknowledged.
fn held() {
    let fixture = Fixture::new(2);
    let mut tx = Sender::join(&fixture, 0, Until::Ever);
    let mut rx = Receiver::join(&fixture, 1, Until::Ever);
    assert!(tx.send(1) && tx.send(2));
    let first = rx.next().expect("a message");
    assert_eq!(rx.recv(), Some(message(0, 2)));
    assert!(tx.send(3), "the first slot is stepped over");
    let second = rx.next().expect("a message");
    let (sent, ()) = together(move || tx.send(4), move || rx.acknowledge(&first));
    assert!(sent && second.position() == 3);
}

/// A sender waits for the last message to be acknowledged by a receiver that leaves right after.
fn flushed() {
    let fixture = Fixture::new(1);
    let alive = |_| Ok::<bool, Corrupt>(false);
    fixture.kernel.take_seat(Seat { number: 1, side: Side::Receivers });
    let (producer, consumer) = (Producer::new(fixture.ring(), 0), Consumer::new(fixture.ring(), 1));
    let Room::Claimed(claim) = producer.claim(alive).unwrap() else { unreachable!("it is empty") };
    write(producer.slot(&claim), 7);
    assert!(producer.publish(claim));
    let beside = fixture.clone();
    let receiver = move || {
        let Next::Message(held) = consumer.take(alive).unwrap() else { unreachable!("it is full") };
        assert_eq!(read(consumer.slot(&held)), 7);
        assert!(consumer.acknowledge(&held));
        beside.kernel.leave(1);
    };
    let sender = move || {
        let drained = || producer.ring().count_messages() == 0;
        let abandoned = || Ok(!fixture.kernel.is_there(Side::Receivers));
        assert_ne!(is_flushed(drained, abandoned), Err(SendError::Disconnected));
    };
    // The thread that only polls comes second: see `docs/testing.md`, "What is not checked".
    together(receiver, sender);
}

#[test]
fn an_abandoned_slot_wakes_a_sender() {
    check("abandon beside a sleeping sender", abandoned);
}

#[test]
fn a_held_slot_wakes_a_sender() {
    check("a held slot beside a sleeping sender", held);
}

#[test]
fn a_poisoned_message_wakes_a_sender() {
    check("discarded beside a parked sender", given_up);
}

#[test]
fn a_flush_beside_the_last_receiver_is_no_end() {
    check("a flush beside a receiver that leaves", flushed);
}
