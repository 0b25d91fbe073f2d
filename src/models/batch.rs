//! Batches: are messages acknowledged together whole, and is one look at the sleepers enough?

use super::ends::{Receiver, Sender};
use super::gate::Order;
use super::harness::{Scene, check, many, together};
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{read, write};

/// Nobody waits: the orderings of the ring are all there is.
fn acknowledged_together(tries: u64, exact: bool) {
    let scene = Scene::new(2, Order::Membarrier);
    let mut producer = Producer::new(scene.ring()).unwrap();
    let mut consumer = Consumer::new(scene.ring());
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
            for _ in 0..2 {
                if consumer.has_message() {
                    assert_eq!(read(consumer.slot()), consumer.position());
                    consumer.pass();
                }
            }
            if consumer.acknowledge_passed() {
                consumer.publish_credit();
            }
        }
    };
    together(sender, receiver);
}

/// Batches of `many` messages, one after the other, to a receiver that takes what is there.
fn one_look(capacity: usize, batches: u64, of: u64, order: Order) {
    let scene = Scene::new(capacity, order);
    let (mut tx, mut rx) = (Sender::new(&scene), Receiver::new(&scene));
    let sender = move || (0..batches).for_each(|_| tx.send_batch(of));
    let receiver = move || {
        let mut next = 0;
        while next < batches * of {
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
fn one_look_at_the_sleepers_is_enough() {
    for order in [Order::Membarrier, Order::Fences] {
        // The second does not fit the ring, and is looked after when it is full.
        for (capacity, of) in [(2, 2), (1, 2)] {
            let name = format!("batches of {of}, capacity {capacity}, {order:?}");
            check(&name, move || one_look(capacity, many(1), of, order));
        }
    }
}
