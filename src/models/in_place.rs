//! In-place receiving: is a message left alone as long as a receiver reads it?

use super::harness::{Fixture, check, many, together};
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{read, write};

/// No thread waits. The receiver reads each message when it arrives and again before it releases
/// it; every other guard is forgotten at first.
fn guarded(capacity: usize, tries: u64, exact: bool) {
    let fixture = Fixture::new(capacity);
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
        let mut forget = true;
        for _ in 0..tries {
            if consumer.has_message() {
                let number = read(consumer.slot());
                assert_eq!(number, consumer.position());
                // Any other step may happen meanwhile.
                consumer.ring().depth();
                assert_eq!(read(consumer.slot()), number, "overwritten under the guard");
                if !forget && consumer.acknowledge() {
                    consumer.publish_credit();
                }
                forget = !forget;
            }
        }
    };
    together(sender, receiver);
}

#[test]
fn a_guarded_message_is_left_alone() {
    for (capacity, tries) in [(1, 3), (2, 4)] {
        for exact in [false, true] {
            let name = format!("in place, capacity {capacity}, exact {exact}");
            check(&name, move || guarded(capacity, many(tries), exact));
        }
    }
}
