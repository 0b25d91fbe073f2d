//! The SPSC ring alone: is a message whole, and its slot not written again before it was read?

use super::harness::{Fixture, check, many, together};
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{read, write};

/// How the two ends learn about each other: each pair of orderings is tested alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// The sender loads the head instead of the credit.
    pub(super) exact: bool,
    /// The receiver checks for impossible states, too.
    pub(super) checked: bool,
}

/// Runs both ends, with `tries` attempts each; no thread waits, so only the orderings of the ring
/// are tested.
fn transfer(capacity: usize, tries: u64, way: Way) {
    let fixture = Fixture::new(capacity);
    let mut producer = Producer::new(fixture.ring()).unwrap();
    let mut consumer = Consumer::new(fixture.ring());
    let sender = move || {
        for _ in 0..tries {
            if producer.has_room() || producer.refresh(way.exact).unwrap() {
                write(producer.slot(), producer.position());
                producer.publish();
            }
        }
        producer.position()
    };
    let mut receive = move || {
        let there = match way.checked {
            true => consumer.is_ready().unwrap(),
            false => consumer.has_message(),
        };
        there.then(|| {
            let number = read(consumer.slot());
            if consumer.acknowledge() {
                consumer.publish_credit();
            }
            number
        })
    };
    let receiver = move || {
        let mut next = 0;
        for _ in 0..tries {
            if let Some(number) = receive() {
                assert_eq!(number, next);
                next += 1;
            }
        }
        (receive, next)
    };
    let (sent, (mut receive, mut next)) = together(sender, receiver);
    while let Some(number) = receive() {
        assert_eq!(number, next);
        next += 1;
    }
    assert_eq!(next, sent);
}

#[test]
fn messages_arrive_whole_and_in_order() {
    for (capacity, tries) in [(1, 3), (2, 4)] {
        for (exact, checked) in [(false, false), (false, true), (true, false), (true, true)] {
            let way = Way { exact, checked };
            let name = format!("transfer, capacity {capacity}, {way:?}");
            check(&name, move || transfer(capacity, many(tries), way));
        }
    }
}
