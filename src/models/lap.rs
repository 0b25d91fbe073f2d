//! A batch of a whole ring, then a lap: is credit from before both ignored?
//!
//! The receiver acknowledges a whole ring together and is stopped before it publishes its credit.
//! The sender refreshes exactly, continues for a lap and then loads that credit.

use super::harness::{Fixture, check, together};
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{read, write};

/// The smallest ring whose credit is not published with every message.
const CAPACITY: u64 = 8;

fn send(producer: &mut Producer, most: u64) {
    for _ in 0..most {
        if !producer.has_room() {
            return;
        }
        write(producer.slot(), producer.position());
        producer.publish();
    }
}

fn batch_then_lap() {
    let fixture = Fixture::new(CAPACITY as usize);
    let mut producer = Producer::new(fixture.ring()).unwrap();
    let mut consumer = Consumer::new(fixture.ring());
    producer.refresh(true).unwrap();
    send(&mut producer, CAPACITY);
    assert!(!consumer.acknowledge(), "credit is not due");
    producer.refresh(true).unwrap();
    send(&mut producer, 1);
    let beside = fixture.clone();
    let sender = move || {
        let _scene = beside;
        for exact in [true, false] {
            producer.refresh(exact).expect("both ends are honest");
            send(&mut producer, CAPACITY);
        }
    };
    let receiver = move || {
        let _scene = fixture;
        let mut next = consumer.position();
        let taken = consumer.take_while(CAPACITY as usize, |slot| {
            assert_eq!(read(slot), next);
            next += 1;
            true
        });
        assert_eq!(taken, CAPACITY as usize);
        assert!(consumer.acknowledge_passed());
        consumer.publish_credit();
    };
    together(sender, receiver);
}

#[test]
fn stale_credit_is_ignored() {
    check("a batch of a whole ring, then a lap", batch_then_lap);
}
