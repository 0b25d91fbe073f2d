//! The MPMC ring alone: does each message reach one receiver, whole and in order, and is its slot
//! left alone as long as a member owns it?

use super::check_exchange;
use super::ends::message;
use crate::models::harness::{Fixture, Job, all_of, check, many};
use crate::ring::Corrupt;
use crate::ring::mpmc::{Consumer, Next, Producer, Room};
use crate::ring::testing::{read, write};

/// No member dies.
fn alive(_: u8) -> Result<bool, Corrupt> {
    Ok(false)
}

/// How a slot is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// After the last one, or not at all.
    Next,
    Walk,
}

/// Sends if there is room.
fn try_send(producer: &Producer, message: u64, way: Way) -> bool {
    let claim = match way {
        Way::Next => producer.claim_next(),
        Way::Walk => match producer.claim(alive).unwrap() {
            Room::Claimed(claim) => Some(claim),
            _ => None,
        },
    };
    let Some(claim) = claim else { return false };
    write(producer.slot(&claim), message);
    assert!(producer.publish(claim), "evicted");
    true
}

/// Receives if there is a message, which it reads twice.
fn try_recv(consumer: &Consumer, way: Way) -> Option<u64> {
    let held = match way {
        Way::Next => consumer.take_next()?,
        Way::Walk => match consumer.take(alive).unwrap() {
            Next::Message(held) => held,
            _ => return None,
        },
    };
    assert_eq!(held.deliveries(), 1);
    let message = read(consumer.slot(&held));
    assert_eq!(read(consumer.slot(&held)), message, "overwritten in its slot");
    assert!(consumer.acknowledge(&held), "evicted");
    Some(message)
}

/// Runs all members, with `tries` attempts each; no thread waits, so only the orderings of the ring
/// are tested.
fn transfer(senders: u8, receivers: u8, capacity: usize, tries: u64, way: Way) {
    let fixture = Fixture::new(capacity);
    let mut jobs: Vec<Job<Vec<u64>>> = Vec::new();
    for seat in 0..senders {
        let (producer, fixture) = (Producer::new(fixture.ring(), seat), fixture.clone());
        jobs.push(Box::new(move || {
            let _scene = fixture;
            let mut sent = Vec::new();
            for _ in 0..tries {
                let next = message(seat, sent.len() as u64);
                sent.extend(try_send(&producer, next, way).then_some(next));
            }
            sent
        }));
    }
    for seat in senders..senders + receivers {
        let (consumer, fixture) = (Consumer::new(fixture.ring(), seat), fixture.clone());
        jobs.push(Box::new(move || {
            let _scene = fixture;
            (0..tries).filter_map(|_| try_recv(&consumer, way)).collect()
        }));
    }
    let mut sent = all_of(jobs);
    let mut received = sent.split_off(usize::from(senders));
    let rest = Consumer::new(fixture.ring(), senders + receivers);
    received.push(std::iter::from_fn(|| try_recv(&rest, Way::Walk)).collect());
    check_exchange(&sent.concat(), &received);
}

/// Every other loan is abandoned: what was half written there belongs to no message.
fn abandoned_loans(capacity: usize, tries: u64) {
    let fixture = Fixture::new(capacity);
    let (producer, consumer) = (Producer::new(fixture.ring(), 0), Consumer::new(fixture.ring(), 1));
    let other = Producer::new(fixture.ring(), 2);
    let (beside, behind) = (fixture.clone(), fixture.clone());
    let jobs: Vec<Job<Vec<u64>>> = vec![
        Box::new(move || {
            let _scene = beside;
            for _ in 0..tries {
                if let Room::Claimed(claim) = producer.claim(alive).unwrap() {
                    write(producer.slot(&claim), u64::MAX);
                    assert!(producer.abandon(claim), "evicted");
                }
            }
            Vec::new()
        }),
        Box::new(move || {
            let _scene = behind;
            let numbers =
                (0..tries).filter(|&number| try_send(&other, message(2, number), Way::Walk));
            numbers.map(|number| message(2, number)).collect()
        }),
    ];
    let sent = all_of(jobs);
    let received = std::iter::from_fn(|| try_recv(&consumer, Way::Walk)).collect();
    check_exchange(&sent.concat(), &[received]);
}

#[test]
fn each_message_comes_to_one() {
    for (senders, receivers, capacity, tries) in
        [(1, 1, 1, 3), (1, 1, 2, 3), (2, 1, 1, 2), (2, 1, 2, 2), (1, 2, 1, 2), (1, 2, 2, 2)]
    {
        for way in [Way::Next, Way::Walk] {
            let name = format!("{senders} to {receivers}, capacity {capacity}, {way:?}");
            check(&name, move || transfer(senders, receivers, capacity, many(tries), way));
        }
    }
}

#[test]
fn each_message_of_two_comes_to_one_of_two() {
    for capacity in [1, 2] {
        let name = format!("2 to 2, capacity {capacity}");
        check(&name, move || transfer(2, 2, capacity, many(1), Way::Walk));
    }
}

#[test]
fn an_abandoned_loan_delivers_nothing() {
    for (capacity, tries) in [(1, 2), (2, 2)] {
        let name = format!("abandoned loans, capacity {capacity}");
        check(&name, move || abandoned_loans(capacity, many(tries)));
    }
}
