//! Batches: are messages that are acknowledged together whole, and does every waiter blocked before
//! one wake up?

use super::ends::{Receiver, Sender};
use super::harness::{Fixture, check, many, together};
use super::sim_kernel::Fences;
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{read, write};

/// No thread waits, so only the orderings of the ring are tested.
fn acknowledged_together(tries: u64, exact: bool) {
    let fixture = Fixture::new(2);
    let mut producer = Producer::new(fixture.ring()).unwrap();
    let mut consumer = Consumer::new(fixture.ring());
    let sender = move || {
        for _ in 0..tries {
            if producer.has_room() || producer.refresh(exact).unwrap() {
                write(producer.slot(), producer.position());
                producer.publish();
            }
        }
    };
    let receiver = move || {
        for _ in 0..tries / 2 {
            let mut next = consumer.position();
            consumer.take_while(2, |slot| {
                assert_eq!(read(slot), next);
                next += 1;
                true
            });
            if consumer.acknowledge_passed() {
                consumer.publish_credit();
            }
        }
    };
    together(sender, receiver);
}

/// Sends this many messages one after the other, to a receiver that takes what is available.
fn taken_together(capacity: usize, messages: u64, fences: Fences) {
    let fixture = Fixture::with(capacity, fences);
    let (mut tx, mut rx) = (Sender::new(&fixture), Receiver::new(&fixture));
    let sender = move || (0..messages).for_each(|_| tx.send());
    let receiver = move || {
        let mut next = 0;
        while next < messages {
            for number in rx.recv_batch() {
                assert_eq!(number, next);
                next += 1;
            }
        }
    };
    together(sender, receiver);
}

#[test]
fn batches_are_whole() {
    for exact in [false, true] {
        let name = format!("batch, exact {exact}");
        check(&name, move || acknowledged_together(many(4), exact));
    }
}

#[test]
fn a_receiver_parked_before_a_batch_wakes_up() {
    for fences in [Fences::OnRequest, Fences::Asked] {
        for capacity in [2, 1] {
            let name = format!("batch that is waited for, capacity {capacity}, {fences:?}");
            check(&name, move || taken_together(capacity, many(2), fences));
        }
    }
}
